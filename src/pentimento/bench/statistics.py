"""Figures with their uncertainty, at 95 %: a share with Wilson's interval, a difference of shares with Agresti and
Min's, a mean with a bootstrap interval, anything else with the jackknife's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf, sqrt

import numpy as np
from scipy.stats import t as student_t

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
    """The mean with a percentile bootstrap interval: the same generator state gives the same interval.

    Resamples of few values spread too little: the interval is drawn out from the mean as Student's t is wider than the
    normal distribution with the variance over n (Hesterberg 2015, Sec. 5.3). One value says nothing of its spread:
    bounds are infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    if not n:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    if n == 1:
        return Figure(float(array[0]), -inf, inf, 1)
    picked = generator.integers(0, n, (resamples, n))
    centre = float(array.mean())
    wider = sqrt(n / (n - 1)) * float(student_t.ppf(0.975, n - 1)) / Z
    low, high = centre + wider * (np.quantile(array[picked].mean(1), [0.025, 0.975]) - centre)
    return Figure(centre, float(low), float(high), n)
