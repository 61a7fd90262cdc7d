"""Weights in and out of folders: warm starts, and folders that appear whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import TrainingError


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the safetensors files directly in `folder`; empty when there are none.

    Raises: TrainingError when a file is no whole safetensors file.
    """
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors |= load_file(path)
        except SafetensorError as error:
            raise TrainingError(f"{path} is no whole safetensors file ({error}): delete it and run again") from error
    return tensors


@torch.no_grad()
def warm_start(model: nn.Module, folder: Path) -> bool:
    """Load the weights that lie in `folder` into `model`; False, and the model untouched, when none there fit.

    They fit when every stored tensor has its place and shape in the model, and every parameter that is trained
    gets a value (tied parameters may be stored once). Half-precision files are widened to the model's type.
    """
    stored = read_weights(Path(folder))
    own = model.state_dict(keep_vars=True)
    if not stored or any(name not in own or own[name].shape != tensor.shape for name, tensor in stored.items()):
        return False
    filled = {own[name].data_ptr() for name in stored}
    if any(p.requires_grad and p.numel() and p.data_ptr() not in filled for p in model.parameters()):
        return False
    for name, tensor in stored.items():
        own[name].copy_(tensor)
    return True


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the name `path` only when the block has ended well.

    What a killed process leaves behind is named `.NAME.partial` and is cleared by the next attempt.
    """
    partial = path.parent / f".{path.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    for file in sorted(partial.rglob("*")):
        if file.is_file():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
    swap_folder(partial, path)


def swap_folder(new: Path, path: Path) -> None:
    """Rename `new` to `path`; a folder of that name is renamed away first and then deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.parent / f".{path.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.rename(path, old)
    os.rename(new, path)
    shutil.rmtree(old, ignore_errors=True)


def export_whole(export: Callable[[Path], None], pack_dir: Path, name: str) -> None:
    """Let `export` write into a folder beside the pack's components, then move each component into its place.

    A component is the topmost folder that holds files. Components that `export` did not write stay as they are.
    """
    pack_dir.mkdir(parents=True, exist_ok=True)
    staging = pack_dir / f".export-{name}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    export(staging)
    _move_in(staging, pack_dir)
    shutil.rmtree(staging)


def _move_in(staging: Path, target: Path) -> None:
    for entry in sorted(staging.iterdir()):
        if entry.is_file():
            os.replace(entry, target / entry.name)
        elif any(inner.is_file() for inner in entry.iterdir()):
            swap_folder(entry, target / entry.name)
        else:
            (target / entry.name).mkdir(exist_ok=True)
            _move_in(entry, target / entry.name)


def write_json(path: Path, value: object) -> None:
    """Write `value` so that the file is either the old one or the whole new one."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text so that the file is either the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
