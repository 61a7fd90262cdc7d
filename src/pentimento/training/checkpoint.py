"""The state of a run on disk: safetensors for tensors, json for the rest, nothing pickled.

A checkpoint is a folder `checkpoint-IMAGES` that appears whole or not at all; the last two are kept. There is no
random state in it: noise, dropout and batches are functions of the seed and the step.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import TrainingError
from .weights import whole_folder

KEPT = 2
# What may change between two stretches of one run: how long, how closely watched, how fed, where it cools down.
FREE = {"images", "minutes", "cooldown", "log_every", "checkpoint_minutes", "sample_minutes", "workers"}


@dataclass(frozen=True)
class Position:
    """Where a run stands: steps done, seconds trained, bytes of log written, the last mean loss, its settings, and what
    it learns beside (`Job.beside`; empty in checkpoints from before that was kept)."""

    step: int
    seconds: float
    log_bytes: int
    loss: float
    settings: dict[str, Any]
    beside: str = ""


def _named(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def save(run_dir: Path, images: int, position: Position, model: nn.Module, ema: nn.Module, optimizer: Any) -> Path:
    """Write a checkpoint and delete all but the last two."""
    tensors = {f"model/{name}": tensor for name, tensor in _named(model).items()}
    tensors |= {f"ema/{name}": tensor for name, tensor in _named(ema).items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    path = run_dir / f"checkpoint-{images:010d}"
    with whole_folder(path) as folder:
        save_file({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()},
                  folder / "state.safetensors")  # fmt: skip
        (folder / "state.json").write_text(json.dumps(position.__dict__, indent=2) + "\n")
    for old in _all(run_dir)[:-KEPT]:
        shutil.rmtree(old)
    return path


def _all(run_dir: Path) -> list[Path]:
    return sorted(p for p in run_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d{10,}", p.name))


def images_done(run_dir: Path) -> int:
    """The images that the newest checkpoint in a run folder has seen; 0 when there is none."""
    folders = _all(run_dir)
    return int(folders[-1].name.removeprefix("checkpoint-")) if folders else 0


@torch.no_grad()
def restore(
    run_dir: Path, settings: dict[str, Any], beside: str, model: nn.Module, ema: nn.Module, optimizer: Any
) -> Position | None:
    """Fill model, EMA and optimizer from the newest checkpoint; None when there is none.

    Raises: TrainingError when the checkpoint belongs to other settings or to another model, was trained beside other
    models, or is damaged.
    """
    folders = _all(run_dir)
    if not folders:
        return None
    newest = folders[-1]
    try:
        position = Position(**json.loads((newest / "state.json").read_text()))
        tensors = load_file(newest / "state.safetensors")
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise TrainingError(f"{newest} is damaged ({error}): delete it to go on from the one before") from error
    _refuse_other_settings(newest, position.settings, settings)
    if position.beside and position.beside != beside:
        raise TrainingError(
            f"{newest} was trained beside other models than the pack has now: take another run folder, or delete it"
        )
    for kind, module in (("model", model), ("ema", ema)):
        own = _named(module)
        stored = {name.removeprefix(f"{kind}/"): t for name, t in tensors.items() if name.startswith(f"{kind}/")}
        strange = sorted(set(own) ^ set(stored)) or [n for n, t in own.items() if t.shape != stored[n].shape]
        if strange:
            raise TrainingError(f"{newest} holds another model ({strange[0]} differs): take another run folder")
        for name, tensor in own.items():
            tensor.copy_(stored[name])
    for name, parameter in model.named_parameters():
        if f"optimizer/step/{name}" not in tensors:
            continue
        optimizer.state[parameter] = {
            "step": tensors[f"optimizer/step/{name}"].to(parameter.device),
            "exp_avg": torch.zeros_like(parameter).copy_(tensors[f"optimizer/exp_avg/{name}"]),
            "exp_avg_sq": torch.zeros_like(parameter).copy_(tensors[f"optimizer/exp_avg_sq/{name}"]),
        }
    return position


def _refuse_other_settings(folder: Path, stored: dict[str, Any], settings: dict[str, Any]) -> None:
    changed = [
        f"{name} was {stored.get(name)!r} and is now {settings.get(name)!r}"
        for name in sorted((set(stored) | set(settings)) - FREE)
        if stored.get(name) != settings.get(name)
    ]
    if changed:
        raise TrainingError(
            f"{folder} was made with other settings ({'; '.join(changed)}): take the old ones or another run folder"
        )
