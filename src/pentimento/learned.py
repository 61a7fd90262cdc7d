"""Learned instructions as files: one .safetensors with the numbers and, in its header, all that is known about them."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RequestError
from .values import Learned

FORMAT = "pentimento learned instruction 1"
FIELDS = ("method", "space", "instruction", "base", "about")


def save_learned(learned: Learned, path: Path) -> None:
    """Write a learned instruction to a .safetensors file; it appears whole or not at all.

    The numbers stay fp32: before the first step an edit is the initial words' own, to the bit.

    Raises: RequestError when the place cannot be written.
    """
    from safetensors.numpy import save

    tensors = {
        f"{name}.{i:03d}": array for name in ("keys", "values") for i, array in enumerate(getattr(learned, name))
    }
    described = {name: value for name, value in asdict(learned).items() if name in FIELDS}
    content = save({name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()},
                   {"format": FORMAT, "learned": json.dumps(described)})  # fmt: skip
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written ({error.strerror}); name another place") from None


def load_learned(path: Path) -> Learned:
    """The learned instruction in a file.

    Raises: RequestError when the file is missing, is no safetensors file, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except FileNotFoundError:
        raise RequestError(
            f"{path}: there is no such file; 'pentimento learn PAIRS -o NAME.safetensors' makes one"
        ) from None
    except (SafetensorError, OSError) as error:
        raise RequestError(f"{path}: is no safetensors file ({error}); learn it again, or name another") from None
    if header.get("format") != FORMAT:
        raise RequestError(f"{path}: holds no learned instruction, or one of another version; learn it again")
    try:
        described: dict[str, Any] = json.loads(header["learned"])
        described |= {
            name: tuple(tensor for key, tensor in tensors.items() if key.startswith(f"{name}."))
            for name in ("keys", "values")
        }
        return Learned(**described)
    except (KeyError, ValueError, TypeError) as error:
        raise RequestError(f"{path}: its description is broken ({error}); learn it again") from None


def file_hash(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
