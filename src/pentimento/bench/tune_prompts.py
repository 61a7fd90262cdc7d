"""Settings of what sees an example pair, and of the InstructPix2Pix beside it, chosen on validation visual prompts.

All of them show kinds of edit that are trained: nobody's settings have seen a withheld one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..data.judging import SURE
from ..editors.requests import Watch, unwatched
from .instructgie_rows import TAUGHT, editor_of, of_pack
from .judge import round_trip
from .metrics import psnr
from .table import BenchPack, attempt, unchanged
from .tune import Trial
from .visual_cases import KINDS_OF, VisualCase, draw_case

GUIDANCES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


@dataclass(frozen=True)
class Tuned:
    """A method with the settings that stay as they are and the grid of those that are tried."""

    method: str
    fixed: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]


TUNED: Mapping[str, Tuned] = {
    "instructgie": Tuned("instructgie", {}, {"guidance": GUIDANCES}),
    "promptdiffusion": Tuned("promptdiffusion", {}, {"guidance": GUIDANCES}),
    "instruct_in_context": Tuned(
        "instructpix2pix", TAUGHT, {"guidance": (2.0, 3.5, 5.0, 7.5), "image_guidance": (1.0, 1.3, 1.6, 2.0)}
    ),
}
"""Sixteen trials for each, by their names among a pack's defaults."""


def tune_prompted(
    pack: BenchPack, name: str, n: int, seed: int, watch: Watch = unwatched, tuned: Mapping[str, Tuned] = TUNED
) -> tuple[Trial, ...]:
    """Every combination of a method's grid on `n` validation visual prompts, in training phrasings; the best first.

    Raises: PackError when the pack lacks a model or the judge.
    """
    one, judge = tuned[name], pack.judge
    trip = round_trip(pack.text_to_image.autoencoder)
    combinations = [dict(zip(one.grid, values, strict=True)) for values in product(*one.grid.values())]
    fixed = {**of_pack(pack, one.method), **of_pack(pack, name), **one.fixed}
    editors = [editor_of(one.method, pack, {**fixed, **chosen}) for chosen in combinations]
    carried: list[list[float]] = [[] for _ in combinations]
    lost: list[list[float]] = [[] for _ in combinations]
    for number in range(n):
        watch("edit", number, n)
        drawn = draw_case(len(KINDS_OF) * number, seed, "in_domain", "validation", held_out=False)
        assert drawn.case.judged is not None
        limit = _outside(drawn, trip(np.asarray(drawn.case.image)))
        for i, editor in enumerate(editors):
            result = attempt(editor, drawn.asked()).result or unchanged(drawn.asked())
            picture = np.asarray(result.decoded.convert("RGB"))
            carried[i].append(float(drawn.case.judged(judge, picture) >= SURE))
            if not np.isnan(limit):
                lost[i].append(max(0.0, limit - _outside(drawn, picture)))
    trials = [
        Trial(chosen, float(np.mean(carried[i])), float(np.mean(lost[i])) if lost[i] else 0.0)
        for i, chosen in enumerate(combinations)
    ]
    return tuple(sorted(trials, key=lambda trial: -trial.score))


def _outside(drawn: VisualCase, picture: np.ndarray) -> float:
    """PSNR where nothing should change; nan when everything may."""
    assert drawn.case.truth is not None and drawn.region is not None
    return psnr(picture, drawn.case.truth, ~drawn.region)
