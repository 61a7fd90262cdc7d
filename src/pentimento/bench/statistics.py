"""Figures with their uncertainty: a share with Wilson's interval, a mean with a bootstrap interval, both at 95 %."""

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


def mean(values: Sequence[float], generator: np.random.Generator, resamples: int = RESAMPLES) -> Figure:
    """The mean with a percentile bootstrap interval: the same generator state gives the same interval."""
    if not len(values):
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, dtype=np.float64)
    picked = generator.integers(0, len(array), (resamples, len(array)))
    low, high = np.quantile(array[picked].mean(1), [0.025, 0.975])
    return Figure(float(array.mean()), float(low), float(high), len(array))
