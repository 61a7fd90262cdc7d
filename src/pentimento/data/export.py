"""The drawn world on disk: imagefolders that `datasets` reads, and the examples of the documentation.

Same arguments, same bytes. A folder appears whole or not at all.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..errors import RequestError
from ..language.captions import plan_of
from . import captions, words
from .edits import draw_edit, render_edit
from .scenes import SPLITS, WORLD_VERSION, Rendering, Scene, Thing, draw_scene, generator, render


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name when everything in it is written; else nothing is left.

    Raises:
        RequestError: `folder` is a file, holds something already, or cannot be written.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise RequestError(f"{target}: is a file; name a new folder")
    partial: Path | None = None
    try:
        if target.is_dir() and any(target.iterdir()):
            raise RequestError(f"{target}: is not empty; name a new folder or empty this one")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        yield partial
        partial.chmod(0o755)
        os.replace(partial, target)
    except OSError as error:
        raise RequestError(f"{target}: cannot be written ({error.strerror or error}); name another place") from None
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def save_pixels(path: Path, pixels: np.ndarray) -> None:
    """uint8 pixels, (h, w, 3) or bool (h, w), as a PNG without a time stamp."""
    shown = np.where(pixels, 255, 0).astype(np.uint8) if pixels.dtype == bool else pixels
    Image.fromarray(shown).save(path, "PNG")


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) around a mask, in pixels, right and bottom exclusive; zeros for none."""
    if not mask.any():
        return 0, 0, 0, 0
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def write_scenes(folder: Path, n: int, seed: int, split: str = "train", size: int = 128) -> None:
    """`n` scenes of a split as an imagefolder: pictures and metadata.jsonl, one line a picture.

    A line holds file_name, caption, phrases and boxes (one of each a thing; boxes are XYXY pixels of what is visible,
    all zeros for a hidden thing), the scene as JSON, scene_seed, split and world_version. Scene i of seed s has
    scene_seed 1000003 s + i. Read with `datasets.load_dataset("imagefolder", data_dir=folder)`.

    Raises:
        RequestError: an unknown split, or a folder that is not empty or cannot be written.
    """
    check_split(split)
    with new_folder(folder) as partial:
        (partial / split).mkdir()
        with (partial / split / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as metadata:
            for i in tqdm(range(n), desc="scenes", unit="scene"):
                scene_seed = _seed(seed, i)
                scene = draw_scene(scene_seed, split)
                rendering = render(scene, size)
                save_pixels(partial / split / f"{i:06d}.png", rendering.image)
                line = {
                    "file_name": f"{i:06d}.png",
                    "caption": captions.caption(scene, generator(split, scene_seed, purpose=2)),
                    **_things(scene, rendering),
                    "scene_seed": scene_seed,
                    "split": split,
                    "world_version": WORLD_VERSION,
                }
                metadata.write(json.dumps(line) + "\n")


def write_edits(folder: Path, n: int, seed: int, split: str = "train", size: int = 128) -> None:
    """`n` edits of a split as an imagefolder. A line names three pictures: file_name (before), after_file_name and
    mask_file_name; `datasets` reads them as "image", "after" and "mask".

    The mask is white where before and after differ. A line also holds the instruction, the plan (find, which, kind,
    both captions), and the before scene as in `write_scenes`. Raises what `write_scenes` raises.
    """
    check_split(split)
    with new_folder(folder) as partial:
        (partial / split).mkdir()
        with (partial / split / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as metadata:
            for i in tqdm(range(n), desc="edits", unit="edit"):
                scene_seed = _seed(seed, i)
                edit = draw_edit(scene_seed, split)
                shown = render_edit(edit, size)
                names = {k: f"{i:06d}_{k}.png" for k in ("before", "after", "mask")}
                for name, pixels in zip(names.values(), (shown.before, shown.after, shown.mask), strict=True):
                    save_pixels(partial / split / name, pixels)
                said = edit.words
                plan = plan_of(said.kind, said.find, said.which, said.new)
                line = {
                    "file_name": names["before"],
                    "after_file_name": names["after"],
                    "mask_file_name": names["mask"],
                    "instruction": words.instruction(said, generator(split, scene_seed, purpose=8)),
                    "kind": plan.kind,
                    "find": list(plan.find),
                    "which": plan.which if isinstance(plan.which, str) else ", ".join(plan.which),
                    "caption_before": plan.before,
                    "caption_after": plan.after,
                    "targets": list(edit.targets),
                    **_things(edit.before, render(edit.before, size)),
                    "scene_seed": scene_seed,
                    "split": split,
                    "world_version": WORLD_VERSION,
                }
                metadata.write(json.dumps(line) + "\n")


def check_split(split: str) -> None:
    """Raises RequestError for a split that the world does not have."""
    if split not in SPLITS:
        raise RequestError(f"there is no split {split!r}; take one of {', '.join(SPLITS)}")


def _seed(seed: int, index: int) -> int:
    return seed * 1_000_003 + index


def _things(scene: Scene, rendering: Rendering) -> dict[str, Any]:
    return {
        "phrases": [captions.phrase(t) for t in scene.things],
        "boxes": [list(box_of(mask)) for mask in rendering.masks],
        "scene": json.dumps(asdict(scene)),
    }


EXAMPLES: dict[str, Scene] = {
    "cat-and-dog": Scene(12, (Thing("cat", 0.27, 0.68, 0.42), Thing("dog", 0.72, 0.67, 0.46)), "grass"),
    "two-cats": Scene(
        5, (Thing("cat", 0.25, 0.66, 0.36, "orange"), Thing("cat", 0.73, 0.66, 0.4, "black", flip=True)), "room"
    ),
    "buses": Scene(
        21,
        (
            Thing("bus", 0.18, 0.7, 0.3, "green"), Thing("bus", 0.5, 0.72, 0.3, "blue"),
            Thing("bus", 0.82, 0.7, 0.3, "green"),
        ),
        "street",
    ),
    "horse": Scene(9, (Thing("horse", 0.4, 0.66, 0.52), Thing("tree", 0.8, 0.56, 0.46)), "mountains"),
    "beach": Scene(31, (Thing("umbrella", 0.7, 0.56, 0.44, "red"), Thing("penguin", 0.28, 0.68, 0.42)), "sand"),
}  # fmt: skip
"""The pictures of the documentation, each a fixed scene."""


def write_examples(folder: Path, size: int = 128) -> None:
    """Write the pictures of EXAMPLES into an existing folder, over those of the same names."""
    for name, scene in EXAMPLES.items():
        save_pixels(Path(folder) / f"{name}.png", render(scene, size).image)
