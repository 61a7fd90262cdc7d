"""Settings of what InstructGIE's tables compare, chosen on validation visual prompts by LPIPS to the true picture.

All of them show kinds of edit that are trained: nobody's settings have seen a withheld one. All are tried at the
sampling steps of the tables. The judge's belief, which chooses elsewhere, is nearly 0 or nearly 1 for most prompts: it
hardly moves with guidance over 24 of them, and burnt colours do not offend it (docs/LOG.md, 2026-11-28).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..editors.requests import Watch, unwatched
from .instructgie_rows import PAINTERS, SDEDIT, SHARED, STEPS, TAUGHT, editor_of, of_pack
from .judge import round_trip
from .metrics import psnr
from .table import BenchPack, attempt, unchanged
from .tune import GRIDS, Trial, Tried, sweep
from .visual_cases import KINDS_OF, draw_case

GUIDANCES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


@dataclass(frozen=True)
class Tuned:
    """A method with the settings that stay as they are and the grid of those that are tried; `kept`, of the former, go
    into a pack's defaults with what is chosen."""

    method: str
    grid: Mapping[str, Sequence[Any]]
    kept: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)


TUNED: Mapping[str, Tuned] = {
    "instructgie": Tuned("instructgie", {"guidance": GUIDANCES}, {"steps": STEPS}),
    "promptdiffusion": Tuned("promptdiffusion", {"guidance": GUIDANCES}, {"steps": STEPS}),
    "instruct_in_context": Tuned("instructpix2pix", GRIDS["instructpix2pix"], {"steps": STEPS}, TAUGHT),
    SDEDIT: Tuned("sdedit", GRIDS["sdedit"]),
}
"""Sixteen trials for each, by their names among a pack's defaults."""


def tune_prompted(
    pack: BenchPack,
    name: str,
    n: int,
    seed: int,
    output: Path,
    watch: Watch = unwatched,
    tuned: Mapping[str, Tuned] = TUNED,
) -> tuple[Trial, ...]:
    """Every combination of a method's grid on `n` validation visual prompts, in training phrasings; the best first.

    Raises: PackError when the pack lacks a model, the judge or a network for LPIPS.
    """
    one, judge, perceptual = tuned[name], pack.judge, pack.perceptual
    trip = round_trip(pack.text_to_image.autoencoder)
    fixed = {**of_pack(pack, one.method), **of_pack(pack, name), **one.fixed, **one.kept}
    others = {setting: value for setting, value in fixed.items() if setting not in one.grid}

    def tried(number: int) -> Tried:
        drawn = draw_case(len(KINDS_OF) * number, seed, "in_domain", "validation", held_out=False)
        assert drawn.case.judged is not None and drawn.case.truth is not None and drawn.region is not None
        truth, elsewhere = drawn.case.truth, ~drawn.region

        def edited(settings: Mapping[str, Any]) -> np.ndarray:
            editor = editor_of(one.method, pack, {**others, **settings})
            result = attempt(editor, drawn.asked()).result or unchanged(drawn.asked())
            return np.asarray(result.decoded.convert("RGB"))

        def outside(picture: np.ndarray) -> float:
            return psnr(picture, truth, elsewhere)

        def apart(picture: np.ndarray) -> float:
            return float(perceptual.distances([Image.fromarray(picture)], [Image.fromarray(truth)])[0])

        limit = outside(trip(np.asarray(drawn.case.image)))
        return Tried(drawn.case.group, edited, partial(drawn.case.judged, judge), outside, limit, apart)

    models = pack.hash_of(*SHARED, PAINTERS.get(name, ""))
    return sweep(pack, name, one.grid, others, n, seed, tried, output, watch, models, "LPIPS")
