"""What benchmarks that take turns share: what an edit cost, a median with its interval, how far pictures are apart."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Took:
    """What an edit cost: seconds by the clock, and CPU seconds of all threads."""

    clock: float
    cpu: float


@dataclass(frozen=True)
class Estimate:
    """A median with a 95 % bootstrap interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Apart:
    """How far two pictures are apart, in levels of 255."""

    most: int
    mean: float


def timed(edit: Callable[[], Image.Image]) -> tuple[Took, Image.Image]:
    """What an edit cost, and its picture. Pictures lie in memory, so whatever an accelerator had to do is done."""
    clock, cpu = perf_counter(), process_time()
    picture = edit()
    return Took(perf_counter() - clock, process_time() - cpu), picture


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Turn by turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def estimate(values: list[float]) -> Estimate:
    """The median and what 95 % of the medians of 2000 resamples lie between."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return Estimate(statistics.median(values), float(low), float(high))


def apart(one: Image.Image, other: Image.Image) -> Apart:
    difference = np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int))
    return Apart(int(difference.max()), float(difference.mean()))
