"""Settings of a pack, chosen on validation scenes: the same number of trials for every method, all of them kept.

And what an inversion loses: the picture back from its own noise, by encoding ratio.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.judging import SURE, belief
from ..editors import EDITORS, InstructEdit
from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..values import Plan, Request
from ..vision.judge import Judge
from .judge import round_trip
from .metrics import psnr
from .statistics import mean
from .table import BenchPack, attempt
from .tasks import Task, draw_tasks, given

DEFAULTS = "defaults.json"
PRICE = 0.02
"""What a decibel lost outside the edit, below the autoencoder's, costs in the share of edits carried out."""
GUIDANCE = (2.0, 3.0, 4.5, 7.0)
CLOSEST, GROW = (1.0, 0.4), (0, 1)
GRIDS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "instructedit": {"guidance": (4.5, 7.0), "ratio": (0.75, 0.9), "closest": CLOSEST, "grow": GROW},
    "instructpix2pix": {"guidance": (2.0, 3.5, 5.0, 7.5), "image_guidance": (1.0, 1.3, 1.6, 2.0)},
    "diffedit": {"ratio": (0.75, 0.9), "mask_guidance": (2.0, 7.5), "closest": CLOSEST, "grow": GROW},
    "mdp": {"guidance": GUIDANCE, "window_end": (0.2, 0.4, 0.6, 0.8)},
    "sdedit": {"guidance": GUIDANCE, "strength": (0.45, 0.6, 0.75, 0.9)},
    "inpaint": {"guidance": (1.5, 2.5, 4.0, 7.5), "closest": CLOSEST, "grow": GROW},
}
"""Sixteen trials for each method."""


@dataclass(frozen=True)
class Trial:
    """Settings with what they reached: share carried out, dB lost outside below the autoencoder's, and the score."""

    settings: Mapping[str, Any]
    carried: float
    lost: float

    @property
    def score(self) -> float:
        return self.carried - PRICE * self.lost

    def to_json(self) -> dict[str, Any]:
        return {**self.settings, "carried out": self.carried, "dB lost outside": self.lost, "score": self.score}


def tune(
    pack: BenchPack, method: str, grid: Mapping[str, Sequence[Any]], n: int, seed: int, watch: Watch = unwatched
) -> tuple[Trial, ...]:
    """Every combination of `grid` on `n` validation tasks, in training phrasings; the best first.

    Every method that works from a plan is given the true one, and one that works from the segmenter's mask that mask
    too: what is chosen here belongs to the painters alone.
    Raises: PackError when the pack lacks a model or the judge.
    """
    judge = pack.judge
    trip = round_trip(pack.text_to_image.autoencoder)
    names = list(grid)
    combinations = [dict(zip(names, values, strict=True)) for values in product(*grid.values())]
    carried: list[list[float]] = [[] for _ in combinations]
    lost: list[list[float]] = [[] for _ in combinations]
    for task in draw_tasks(n, seed, "validation", held_out=False):
        watch("edit", task.number, n)
        limit = _outside(task, trip(task.truth.before))
        for i, settings in enumerate(combinations):
            picture = _decoded(pack, method, settings, task)
            carried[i].append(float(_carried(judge, task, picture)))
            if not np.isnan(limit):
                lost[i].append(max(0.0, limit - _outside(task, picture)))
    trials = [
        Trial(settings, float(np.mean(carried[i])), float(np.mean(lost[i])) if lost[i] else 0.0)
        for i, settings in enumerate(combinations)
    ]
    return tuple(sorted(trials, key=lambda trial: -trial.score))


def _decoded(pack: BenchPack, method: str, settings: Mapping[str, Any], task: Task) -> np.ndarray:
    """The edit before the composite; the picture before it when the words were not understood."""
    editor = EDITORS[method]
    chosen: dict[str, Any] = {**pack.defaults.get(method, {}), **settings, "pack": pack}
    seen = given(task)
    plan = task.wanted if "plan" in editor.works_from else None
    mask = task.truth.target if "mask" in editor.works_from else None
    made = attempt(editor(**chosen), Request(seen.image, seen.instruction, plan=plan, mask=mask))
    return np.asarray((made.result.decoded if made.result else seen.image).convert("RGB"))


def _carried(judge: Judge, task: Task, picture: np.ndarray) -> bool:
    return belief(judge, task.edit, picture) >= SURE


def _outside(task: Task, picture: np.ndarray) -> float:
    """PSNR where nothing should change; nan when everything may."""
    return psnr(picture, task.truth.after, ~(task.truth.mask | task.truth.target))


def write_defaults(folder: Path, method: str, settings: Mapping[str, Any]) -> Path:
    """Write settings into the pack folder's defaults.json, beside those of other methods; sealing reads it.

    Raises: PackError when the file that is there is no JSON.
    """
    path = folder / DEFAULTS
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise PackError(f"{path} is no JSON ({error}): mend or delete it") from None
    known[method] = {**known.get(method, {}), **settings}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def reconstruction(
    pack: BenchPack,
    n: int = 50,
    seed: int = 0,
    ratios: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Inversion and decoding with the same caption at guidance 1, by ratio: PSNR to the picture, beside the
    autoencoder's own, which no editor can pass. JSON-able.
    """
    trip = round_trip(pack.text_to_image.autoencoder)
    values: dict[str, list[float]] = {name: [] for name in ("autoencoder", *(f"ratio {ratio:g}" for ratio in ratios))}
    for task in draw_tasks(n, seed):
        watch("invert", task.number, n)
        before = task.truth.before
        values["autoencoder"].append(psnr(trip(before), before))
        caption = task.wanted.before
        plan = Plan(find=(), before=caption, after=caption, kind="replace")
        for ratio in ratios:
            chosen: dict[str, Any] = {**pack.defaults.get("instructedit", {}), "ratio": ratio, "guidance": 1.0}
            request = Request(Image.fromarray(before), plan=plan, mask=np.ones(before.shape[:2], dtype=bool))
            result = InstructEdit(**chosen, pack=pack)(request)
            values[f"ratio {ratio:g}"].append(psnr(np.asarray(result.decoded), before))
    return {name: mean(group, np.random.default_rng([n, 808])).to_json() for name, group in values.items()}
