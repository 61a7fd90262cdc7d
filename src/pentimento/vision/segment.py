"""Phrases to one mask: detect, choose by geometry, segment, unite (InstructEdit Sec. 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import NothingFound, RequestError
from ..roles import BoxSegmenter, Detector
from ..values import Found
from .select import select


@dataclass(frozen=True)
class GroundedSegmenter:
    """Fulfils `roles.Segmenter`. `threshold` is the lowest box score in [0, 1]; the paper's code has 0.3.

    `companions` is the lowest score of the other boxes of a phrase that has one at the threshold; None is the same. A
    choice by place or size goes wrong as soon as one of its candidates is missed, and where one is sure, its like are
    less of a surprise.
    """

    detector: Detector
    box_segmenter: BoxSegmenter
    threshold: float = 0.3
    companions: float | None = None

    def find(self, image: Image.Image, phrases: Sequence[str], which: str | Sequence[str] = "best") -> Found:
        """The union of the chosen boxes' masks.

        Raises: NothingFound when any of the phrases has no box at the threshold, or fewer than `which` asks for;
        RequestError when there is no phrase.
        """
        wanted = tuple(dict.fromkeys(phrase.strip() for phrase in phrases if phrase.strip()))
        if not wanted:
            raise RequestError("no phrase says what to find; name a thing in the picture, or give a mask")
        lowest = self.threshold if self.companions is None else min(self.companions, self.threshold)
        boxes = self.detector.detect(image, wanted, lowest)
        seen = {box.phrase for box in boxes if box.score >= self.threshold}
        for phrase in wanted:
            if phrase not in seen:
                raise NothingFound(phrase, self.detector.best_score(image, phrase), self.threshold)
        chosen = select(boxes, which, lowest)
        masks = self.box_segmenter.masks(image, chosen)
        return Found(np.asarray(masks, bool).any(axis=0), chosen)
