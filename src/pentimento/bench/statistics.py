"""Figures with their uncertainty, at 95 %: a share with Wilson's interval, a difference of shares with Agresti and
Min's, a mean with a bootstrap interval, anything else with the jackknife's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np

Z = 1.959964
"""The normal distribution's 97.5 % quantile."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A measured value over `n` cases with its 95 % interval. With n = 0 nothing was measured and value is nan."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)


def share(right: int, n: int) -> Figure:
    """`right` of `n`, in [0, 1], with Wilson's score interval (Wilson 1927)."""
    if not n:
        return Figure(float("nan"), 0.0, 1.0, 0)
    p = right / n
    centre, spread = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return Figure(p, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale), n)


def share_difference(more: int, less: int, n: int) -> Figure:
    """By how much one share of the same `n` cases is above another, when `more` cases count in that one alone and
    `less` in the other alone; in [-1, 1], with the adjusted Wald interval for matched pairs (Agresti & Min 2005)."""
    if not n:
        return Figure(float("nan"), -1.0, 1.0, 0)
    centre = (more - less) / (n + 2)
    spread = Z * sqrt((more + less + 1) / (n + 2) - centre * centre) / sqrt(n + 2)
    return Figure((more - less) / n, max(-1.0, centre - spread), min(1.0, centre + spread), n)


def jackknife(value: float, without: Sequence[float] | np.ndarray, n: int) -> Figure:
    """A statistic of `n` cases, from its values without each group of cases in turn (Shao & Tu 1995, Sec. 1.2).

    For what a bootstrap distorts because resamples hold a case twice, such as distances between sets.
    """
    array = np.asarray(without, dtype=np.float64)
    reach = Z * sqrt((len(array) - 1) * array.var())
    return Figure(value, value - reach, value + reach, n)


def mean(values: Sequence[float], generator: np.random.Generator, resamples: int = RESAMPLES) -> Figure:
    """The mean with a percentile bootstrap interval: the same generator state gives the same interval."""
    if not len(values):
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, dtype=np.float64)
    picked = generator.integers(0, len(array), (resamples, len(array)))
    low, high = np.quantile(array[picked].mean(1), [0.025, 0.975])
    return Figure(float(array.mean()), float(low), float(high), len(array))
