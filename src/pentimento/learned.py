"""Learned instructions as files: one .safetensors with the numbers and, in its header, all that is known about them."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RequestError
from .values import SCALES, Learned

FORMAT = "pentimento learned instruction 1"
METHODS = {"instructbrush": ("attention", "text"), "visii": ("text",)}
"""What learns instructions, and the spaces in which it does."""
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
    tensors = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()}
    described = json.dumps({name: value for name, value in asdict(learned).items() if name in FIELDS})
    content = save(tensors, {"format": FORMAT, "learned": described, "sha256": _digest(described, tensors)})
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written ({error.strerror}); name another place") from None


def load_learned(path: Path) -> Learned:
    """The learned instruction in a file.

    Raises: RequestError when the file is missing, is no safetensors file, is damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise RequestError(f"{path}: holds no learned instruction, or one of another version; learn it again")
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except FileNotFoundError:
        raise RequestError(
            f"{path}: there is no such file; 'pentimento learn PAIRS -o NAME.safetensors' makes one"
        ) from None
    except (SafetensorError, OSError, TypeError) as error:
        raise RequestError(f"{path}: is no safetensors file ({error}); learn it again, or name another") from None
    if header.get("sha256") != _digest(header.get("learned", ""), tensors):
        raise RequestError(f"{path}: is damaged (its content has another sha256 than it says); copy or learn it again")
    try:
        described: dict[str, Any] = json.loads(header["learned"])
        described |= {
            name: tuple(tensor for key, tensor in tensors.items() if key.startswith(f"{name}."))
            for name in ("keys", "values")
        }
        learned = Learned(**described)
    except (KeyError, ValueError, TypeError) as error:
        raise RequestError(f"{path}: its description is broken ({error}); learn it again") from None
    if problem := _problem(learned):
        raise RequestError(f"{path}: {problem}; learn it again")
    return learned


def _digest(described: str, tensors: Mapping[str, np.ndarray]) -> str:
    """The sha256 of a description and all numbers, with their names and shapes."""
    seen = hashlib.sha256(described.encode())
    for name, tensor in sorted(tensors.items()):
        seen.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        seen.update(tensor.tobytes())
    return seen.hexdigest()


def _problem(learned: Learned) -> str:
    """Why no editor could apply it; "" when one can."""
    keys, values, arrays = len(learned.keys), len(learned.values), (*learned.keys, *learned.values)
    if learned.space not in METHODS.get(learned.method, ()):
        return f"{learned.method!r} learns no instruction in the space {learned.space!r}"
    if lacking := [name for name in SCALES if name not in learned.about]:
        return f"does not say for which {' and '.join(lacking)} it was learned"
    if not ((keys, values) == (0, 1) if learned.space == "text" else keys == values > 0):
        return f"holds {keys} layers of keys and {values} of values in the space {learned.space!r}"
    if not all(array.ndim == 3 and array.size for array in arrays):
        return "holds numbers that are not (parts, tokens, width)"
    if len({array.shape[:2] for array in arrays}) > 1:
        return "its layers differ in their parts or tokens"
    if not all(np.isfinite(array).all() for array in arrays):
        return "holds numbers that are not finite"
    return ""


def file_hash(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
