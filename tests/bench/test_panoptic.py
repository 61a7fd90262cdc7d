"""Panoptic quality against a formula spelt out, and at its ends."""

import numpy as np
import pytest
from PIL import Image

from pentimento.bench.panoptic import panoptic_quality, quality, tally
from pentimento.data.scenes import draw_scene
from pentimento.data.segments import true_segments
from pentimento.values import Segment


def random_segments(rng: np.random.Generator, near: tuple[Segment, ...] = ()) -> tuple[Segment, ...]:
    """Stripes that do not overlap, of a few labels; those `near` others move by a few rows."""
    edges = np.sort(rng.choice(np.arange(1, 32), 5, replace=False))
    if near:
        edges = np.unique(np.clip([np.flatnonzero(s.mask.any(1))[0] + rng.integers(-1, 3) for s in near], 0, 31))
    labels = [s.label for s in near] or [str(rng.choice(["cat", "dog", "sky"])) for _ in edges]
    found = []
    for label, top, bottom in zip(labels, edges, [*edges[1:], 32], strict=False):
        mask = np.zeros((32, 8), bool)
        mask[top:bottom] = True
        found.append(Segment(label, mask, 1.0))
    return tuple(found)


def naive(pictures: list[tuple[tuple[Segment, ...], tuple[Segment, ...]]]) -> float:
    """PQ of every label by hand: match, sum, count, mean."""
    values = []
    for label in {s.label for found, truth in pictures for s in (*found, *truth)}:
        total, pairs, segments = 0.0, 0, 0
        for found, truth in pictures:
            for one in found:
                for other in truth:
                    if one.label == other.label == label:
                        inter = sum(bool(a) and bool(b) for a, b in zip(one.mask.flat, other.mask.flat, strict=True))
                        union = sum(bool(a) or bool(b) for a, b in zip(one.mask.flat, other.mask.flat, strict=True))
                        if inter / union > 0.5:
                            total, pairs = total + inter / union, pairs + 1
            segments += sum(s.label == label for s in (*found, *truth))
        values.append(total / (pairs + (segments - 2 * pairs) / 2))
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths = [random_segments(rng) for _ in range(4)]
    pictures = [(random_segments(rng, truth), truth) for truth in truths]
    figure = quality([tally(*one) for one in pictures], np.random.default_rng(0))
    assert figure.value == pytest.approx(naive(pictures))
    assert figure.low <= figure.value <= figure.high and figure.n == 4
    assert 0 < figure.value < 1


class Knowing:
    """A model that looks up the truth, with wrong names if asked for."""

    def __init__(self, n: int, wrong: bool = False):
        self.left, self.wrong = iter(range(n)), wrong

    def segments(self, image: Image.Image) -> tuple[Segment, ...]:
        truth = true_segments(draw_scene(next(self.left), "test"))
        return tuple(Segment("unicorn", s.mask, 1.0) for s in truth) if self.wrong else truth


def test_the_truth_scores_one_and_wrong_names_nothing_but_their_masks() -> None:
    right = panoptic_quality(Knowing(3), 3)
    assert all(figure.value == figure.low == figure.high == 1 for figure in right.values())
    wrong = panoptic_quality(Knowing(3, wrong=True), 3)
    assert wrong["things"].value == wrong["all"].value == 0 and wrong["surfaces"].value == 0
    assert 0.5 < wrong["things by any name"].value < 1  # surfaces were called things, too


def test_nothing_found_scores_nothing() -> None:
    truth = true_segments(draw_scene(0, "test"))
    assert quality([tally((), truth)], np.random.default_rng(0)).value == 0
