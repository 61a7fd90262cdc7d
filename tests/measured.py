"""The toy pack with a judge of random weights and blunt perception, for the bench's plumbing."""

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
            "name": "toy", "hash": "0" * 64, "text_to_image": toy.text_to_image, "instruct": toy.instruct,
            "planner": toy.planner, "segmenter": toy.segmenter, "captioner": toy.captioner,
            "defaults": {"instructedit": {"steps": 2}, "instructpix2pix": {"steps": 1}},
            "judge": Judge(JudgeNet(JudgeConfig(FACTORS, widths=(8, 8, 8, 8), hidden=8)).eval()),
            "perceptual": SimpleNamespace(distances=lambda a, b: np.zeros(len(a)), name="none"),
            "features": SimpleNamespace(name="none"), **more,
        }
    )  # fmt: skip
