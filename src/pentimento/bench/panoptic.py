"""Panoptic quality (Kirillov et al. 2019) of a pack's panoptic model on test scenes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..data.scenes import draw_scene, render
from ..data.segments import SURFACES, true_segments
from ..roles import Panoptic
from ..values import Segment
from .statistics import RESAMPLES, Figure
from .vision import overlap

RIGHT = 0.5
"""Two segments of a label with a larger intersection over union are one; no segment then has two partners."""


@dataclass(frozen=True)
class Tally:
    """Of one label in one picture: the pairs' summed overlaps, pairs, segments found without and missed."""

    overlaps: float = 0.0
    pairs: int = 0
    extra: int = 0
    missed: int = 0


def tally(found: Sequence[Segment], truth: Sequence[Segment]) -> dict[str, Tally]:
    """The tallies of one picture by label, for every label that is found or true."""
    tallies = {}
    for label in {segment.label for segment in (*found, *truth)}:
        ours, true = ([segment.mask for segment in group if segment.label == label] for group in (found, truth))
        table = np.array([[overlap(one, other) for other in true] for one in ours]).reshape(len(ours), len(true))
        pairs = table[table > RIGHT]
        tallies[label] = Tally(float(pairs.sum()), len(pairs), len(ours) - len(pairs), len(true) - len(pairs))
    return tallies


def quality(tallies: Sequence[Mapping[str, Tally]], rng: np.random.Generator) -> Figure:
    """PQ in [0, 1] over pictures: overlaps / (pairs + extra / 2 + missed / 2), a mean over the labels that occur
    (Kirillov et al. 2019, Eq. 1). The interval is a bootstrap over the pictures; `n` counts them.
    """
    labels = sorted({label for one in tallies for label in one})
    if not labels:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    counts = np.array([[_parts(one.get(label, Tally())) for label in labels] for one in tallies])  # (n, labels, 2)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)  # (resamples, n)
    low, high = np.quantile(_mean_quality(np.tensordot(drawn, counts, 1)), [0.025, 0.975])
    return Figure(float(_mean_quality(counts.sum(0)[None])[0]), float(low), float(high), len(counts))


def _parts(one: Tally) -> tuple[float, float]:
    return one.overlaps, one.pairs + one.extra / 2 + one.missed / 2


def _mean_quality(sums: np.ndarray) -> np.ndarray:
    """Of summed overlaps and counts (k, labels, 2), (k,); labels that do not occur are left out."""
    above, below = sums[..., 0], sums[..., 1]
    occurs = below > 0
    return np.where(occurs, above / np.where(occurs, below, 1.0), 0.0).sum(1) / np.maximum(occurs.sum(1), 1)


def panoptic_quality(model: Panoptic, n: int = 200, split: str = "test", seed: int = 0) -> dict[str, Figure]:
    """PQ over n scenes: of "all" labels, of "things" and of "surfaces", and of things "by any name", which count as
    one label: what is lost beside it in "things" are names."""
    groups: dict[str, list[dict[str, Tally]]] = defaultdict(list)
    for number in range(seed * 100_000, seed * 100_000 + n):
        scene = draw_scene(number, split)
        found, truth = model.segments(Image.fromarray(render(scene).image)), true_segments(scene)
        whole = tally(found, truth)
        groups["all"].append(whole)
        groups["things"].append({label: one for label, one in whole.items() if label not in SURFACES})
        groups["surfaces"].append({label: one for label, one in whole.items() if label in SURFACES})
        groups["things by any name"].append(tally(_unnamed(found), _unnamed(truth)))
    rng = np.random.default_rng([45, seed])
    return {name: quality(tallies, rng) for name, tallies in groups.items()}


def _unnamed(segments: Sequence[Segment]) -> list[Segment]:
    return [replace(segment, label="thing") for segment in segments if segment.label not in SURFACES]
