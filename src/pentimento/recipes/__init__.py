"""What to train: one file a model. Here only their names, and `run`, which the command calls.

A recipe's module has `Settings` (a `TrainSettings` with its own fields and defaults) and `job(settings, pack_dir)`,
which warm-starts from the pack folder's weights where they fit. Importing this package imports no recipe.
"""

import shutil
from collections.abc import Mapping
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..errors import TrainingError

if TYPE_CHECKING:
    from ..training import TrainReport

RECIPES = {
    name: f"pentimento.recipes.{name}"
    for name in (
        "autoencoder", "clip", "reader", "text_to_image", "instruct", "inpaint", "detector",
        "segmenter", "panoptic", "captioner", "language", "instructgie", "prompt_diffusion", "instruct_in_context",
        "judge", "perceptual",
    )
}  # fmt: skip


def run(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    run_dir: Path | None = None,
    pack_dir: Path | None = None,
    minutes: float | None = None,
    preset: str = "",
) -> "TrainReport":
    """Train the recipe `name`, or go on with it, and export it into `pack_dir`.

    `overrides` maps settings to values as typed on a command line, over those of a `preset` of the recipe's ("paper"
    of instructgie); lists are separated by commas. `run_dir` is
    runs/NAME by default, `pack_dir` runs/miniature. A pack folder that does not exist begins as a copy of the
    installed miniature, so the run warm-starts from the committed weights; an empty folder means from nothing.

    Raises: TrainingError for an unknown recipe or setting, or a value out of range.
    """
    if name not in RECIPES:
        raise TrainingError(f"no recipe is called {name!r}: take one of {', '.join(RECIPES)}")
    from ..packs.guard import hide_broken_torchvision

    hide_broken_torchvision()
    module = import_module(RECIPES[name])
    presets: Mapping[str, Mapping[str, Any]] = getattr(module, "PRESETS", {})
    if preset and preset not in presets:
        raise TrainingError(f"{name} has no preset {preset!r}: it has {', '.join(presets) or 'none'}")
    values = {**presets.get(preset, {}), **{key: _value(text) for key, text in (overrides or {}).items()}}
    if minutes is not None:
        values["minutes"] = minutes
    try:
        settings = module.Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"])
        raise TrainingError(
            f"{setting}={values.get(setting, '')}: {first['msg']}; "
            f"the settings of {name} are {', '.join(sorted(module.Settings.model_fields))}"
        ) from error
    import torch

    from ..training import train

    run_dir = run_dir or Path("runs") / name
    pack_dir = pack_dir or Path("runs") / "miniature"
    if not pack_dir.exists():
        _copy_installed_pack(pack_dir)
    torch.manual_seed(settings.seed)  # the weights that a new model begins with
    return train(module.job(settings, pack_dir), settings, run_dir, pack_dir)


def _value(typed: Any) -> Any:
    if isinstance(typed, str) and "," in typed:
        return [part.strip() for part in typed.split(",") if part.strip()]
    return typed


def _copy_installed_pack(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with resources.as_file(resources.files("pentimento.packs") / "miniature") as installed:
        if (installed / "manifest.json").is_file():
            shutil.copytree(installed, partial)
        else:
            partial.mkdir()
    partial.rename(folder)
