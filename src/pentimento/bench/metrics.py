"""Numbers for pictures and masks: intersection over union, PSNR inside a mask, what stayed bit-identical.

Pictures are uint8 (h, w, 3) in [0, 255], masks bool (h, w).
"""

from collections.abc import Sequence

import numpy as np


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    """In [0, 1]; two empty masks agree: 1."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def psnr(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in decibels over the pixels of `mask` (all of them without one), at most 99.

    An empty mask gives nan. The cap keeps means finite when some pictures are equal.
    """
    error = np.square(picture.astype(np.float64) - truth.astype(np.float64))
    if mask is not None:
        error = error[mask]
    if not error.size:
        return float("nan")
    mse = float(error.mean())
    return 99.0 if mse == 0 else min(99.0, 10 * float(np.log10(255.0**2 / mse)))


def touched(mask: np.ndarray, cell: int) -> np.ndarray:
    """The mask grown to whole cells of `cell` x `cell` pixels: where an edit on the latent grid may act at all."""
    h, w = mask.shape
    padded = np.pad(mask, ((0, -h % cell), (0, -w % cell)))
    coarse = padded.reshape(padded.shape[0] // cell, cell, -1, cell).any((1, 3))
    return coarse.repeat(cell, 0).repeat(cell, 1)[:h, :w]


def is_identical(picture: np.ndarray, other: np.ndarray, where: np.ndarray) -> bool:
    """Whether every pixel of `where` has the same bits in both."""
    return bool((picture == other).all(-1)[where].all())


def best_covered(mask: np.ndarray, things: Sequence[np.ndarray], at_least: float = 0.2) -> int:
    """The number of the thing whose mask agrees best with `mask`; -1 when none reaches `at_least` in IoU."""
    agreements = [intersection_over_union(mask, thing) for thing in things]
    if not agreements or max(agreements) < at_least:
        return -1
    return int(np.argmax(agreements))
