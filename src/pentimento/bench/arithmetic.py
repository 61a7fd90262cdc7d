"""Whether a pack edits alike in bf16 and in fp32: whoever computes in either gets the same edits, by the judge."""

from typing import Any, Protocol

import numpy as np

from ..data.edits import Edit
from ..data.judging import SURE, belief
from ..editors import InstructEdit
from .instructedit import request_for
from .metrics import psnr
from .statistics import mean, share
from .table import Attempt, BenchPack, attempt
from .tasks import draw_tasks, given

ARITHMETICS = ("fp32", "bf16")


class Placed(BenchPack, Protocol):
    """A pack that can be opened in another arithmetic."""

    def computing_in(self, dtype: str) -> BenchPack: ...


def agreement(pack: Placed, n: int, seed: int = 0) -> dict[str, Any]:
    """How alike InstructEdit's pictures are on `n` test tasks, with the pack's defaults: PSNR between the two as
    decoded, and how often both are refused, both carried out, or neither. A CPU without bf16 emulates it, slowly."""
    settings = pack.defaults.get("instructedit", {})
    editors = [InstructEdit(**{**settings, "pack": pack.computing_in(dtype)}) for dtype in ARITHMETICS]
    apart, alike = list[float](), 0
    for task in draw_tasks(n, seed):
        made = [attempt(editor, request_for(task, frozenset(), given(task))) for editor in editors]
        alike += len({verdict(pack, task.edit, one) for one in made}) == 1
        pictures = [np.asarray(one.result.decoded.convert("RGB")) for one in made if one.result is not None]
        if len(pictures) == len(made):
            apart.append(psnr(*pictures))
    figures = {"same verdict": share(alike, n).to_json()}
    if apart:
        figures["PSNR between the pictures"] = mean(apart, np.random.default_rng([seed, 910])).to_json()
    return figures


def verdict(pack: BenchPack, edit: Edit, made: Attempt) -> str:
    """What came of it: "refused", "carried out" or "not carried out"."""
    if made.result is None:
        return "refused"
    sure = belief(pack.judge, edit, np.asarray(made.result.decoded.convert("RGB"))) >= SURE
    return "carried out" if sure else "not carried out"
