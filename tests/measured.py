"""The toy pack with a judge of random weights and blunt perception, for the bench's plumbing."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from pentimento.data.judging import FACTORS
from pentimento.vision.judge import Judge, JudgeConfig, JudgeNet
from toy import ToyPack


def bench_pack(**more: Any) -> Any:
    """The toy pack with a judge of random weights."""
    toy = ToyPack()
    return SimpleNamespace(
        **{
            "name": "toy", "hash": "0" * 64, "hash_of": toy.hash_of,
            "text_to_image": toy.text_to_image, "instruct": toy.instruct, "inpaint": toy.inpaint,
            "planner": toy.planner, "segmenter": toy.segmenter, "captioner": toy.captioner,
            "defaults": {"instructedit": {"steps": 2}, "instructpix2pix": {"steps": 1}},
            "judge": Judge(JudgeNet(JudgeConfig(FACTORS, widths=(8, 8, 8, 8), hidden=8)).eval()),
            "perceptual": SimpleNamespace(distances=lambda a, b: np.zeros(len(a)), name="none"),
            "features": SimpleNamespace(name="none"), **more,
        }
    )  # fmt: skip


class Poisoned:
    """Stands where an edit stands and raises at every look while it is locked."""

    def __init__(self, edit: Any):
        self.__dict__.update(_edit=edit, _locked=False)

    def __getattr__(self, name: str) -> Any:
        if self.__dict__["_locked"]:
            raise AssertionError(f"an editor looked at {name} of a scene")
        return getattr(self.__dict__["_edit"], name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.__dict__["_locked"] = True
        yield
        self.__dict__["_locked"] = False
