"""What stands where in a drawn scene, as a perfect panoptic model would tell it: things by noun, surfaces by name."""

import numpy as np

from ..values import Segment
from .scenes import Scene, render
from .vocabulary import INDOORS, LIVING, PLACES

SURFACES = ("sky", "wall", "floor", *(place for place in PLACES if place not in INDOORS))
SMALLEST = 30
"""Pixels of 128x128 below which a segment is too hidden to be told."""


def surface_name(part: str, place: str) -> str:
    """What a part of a rendering that is no thing is called: the ground has its place's name."""
    return place if part == "ground" else part


def living(scene: Scene, size: int) -> np.ndarray:
    """Where living creatures are seen in a scene, bool (size, size)."""
    masks = zip(scene.things, render(scene, size).masks, strict=True)
    nothing = np.zeros((size, size), dtype=bool)
    return np.logical_or.reduce([nothing, *(mask for thing, mask in masks if thing.noun in LIVING)])


def true_segments(scene: Scene, size: int = 128) -> tuple[Segment, ...]:
    """Things, then surfaces, of a scene drawn at size x size pixels; none overlap, and each is at least SMALLEST."""
    rendering = render(scene, size)
    named = [(thing.noun, mask) for thing, mask in zip(scene.things, rendering.masks, strict=True)]
    named += [(surface_name(p, scene.place), mask) for p, mask in rendering.parts.items() if p != "background"]
    least = SMALLEST * (size / 128) ** 2
    return tuple(Segment(label, mask, 1.0) for label, mask in named if mask.sum() >= least)
