"""Numbers for pictures and masks: how alike two pictures are (in a region, too), how alike a picture and words, how
far apart two sets of pictures.

Pictures are uint8 (h, w, 3) in [0, 255], masks bool (h, w). A masked value is averaged over the region alone. PIE-Bench
blackens the rest instead and averages over the whole frame, so that its figures depend on the region's size; its form
is here beside ours, for comparison with papers (`blackened`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_DIRECTION = 1e-4
"""Embeddings of one picture differ by some 1e-6 when they come from batches of other sizes."""


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


def near(mask: np.ndarray, distance: int) -> np.ndarray:
    """The mask grown by `distance` pixels to all sides, diagonals too: as far as an edit on a latent grid may reach
    when a cell has that side."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(mask, size=2 * distance + 1))


def is_identical(picture: np.ndarray, other: np.ndarray, where: np.ndarray) -> bool:
    """Whether every pixel of `where` has the same bits in both."""
    return bool((picture == other).all(-1)[where].all())


def best_covered(mask: np.ndarray, things: Sequence[np.ndarray], at_least: float = 0.2) -> int:
    """The number of the thing whose mask agrees best with `mask`; -1 when none reaches `at_least` in IoU."""
    agreements = [intersection_over_union(mask, thing) for thing in things]
    if not agreements or max(agreements) < at_least:
        return -1
    return int(np.argmax(agreements))


def blackened(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with everything outside the mask black, as PIE-Bench compares regions (Ju et al. 2024, Sec. 5.1)."""
    return np.where(mask[..., None], picture, 0).astype(picture.dtype)


def ssim(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Structural similarity in [-1, 1] (Wang et al. 2004: Gaussian window, sigma 1.5), averaged over `mask`'s pixels.

    An empty mask gives nan. Raises: ImportError without torchmetrics (the extra "eval").
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    one, other = (torch.tensor(p).permute(2, 0, 1)[None] / 255 for p in (picture, truth))
    _, every = structural_similarity_index_measure(one, other, data_range=1.0, return_full_image=True)
    values = every[0].mean(0).numpy()  # (h, w): torchmetrics reflects the borders
    if mask is not None:
        values = values[mask]
    return float(values.mean()) if values.size else float("nan")


def clip_score(image: Tensor, text: Tensor) -> float:
    """100 max(cos, 0) of two embeddings (d,) (Hessel et al. 2021, as torchmetrics scales it)."""
    return 100 * max(0.0, float(F.cosine_similarity(image, text, dim=0)))


def clip_direction(before: Tensor, after: Tensor, said_before: Tensor, said_after: Tensor) -> float:
    """cos between what changed in the picture and what changed in the words, embeddings (d,) (Gal et al. 2022).

    This is the "CLIP directional similarity" of InstructEdit's and InstructGIE's tables; up is better. A picture that
    did not change has no direction: 0.
    """
    return _direction(after - before, said_after - said_before)


def direction_distance(inputs: Tensor, results: Tensor, before: Tensor, after: Tensor) -> float:
    """ "Direct." of InstructBrush's tables (its Appendix A, Eq. 8): 1 - cos between the mean direction from the inputs
    to the results and that of the training pairs, embeddings (n, d) and (m, d); in [0, 2], down is better.

    The equation is lost in the paper's text; the distance is our reading of its arrows. Results that did not change
    have no direction: 1.
    """
    made, wanted = (results - inputs).mean(0), (after - before).mean(0)
    return 1 - _direction(made, wanted)


def _direction(one: Tensor, other: Tensor) -> float:
    """cos of two directions between embeddings of length 1; 0 where one is no more than rounding."""
    if min(float(one.norm()), float(other.norm())) < LEAST_DIRECTION:
        return 0.0
    return float(F.cosine_similarity(one, other, dim=0))


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """FID's formula on features (n, d) and (m, d): |mu - mu'|^2 + tr(S + S' - 2 (S S')^(1/2)) (Heusel et al. 2017).

    With fewer rows than dimensions the covariances have no full rank, and the value is too high: see `kernel_distance`.
    Raises: ImportError without torchmetrics.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_AsTheyAre(features.shape[1]))
    metric.update(features, real=True)
    metric.update(others, real=False)
    return max(0.0, float(metric.compute()))


def kernel_distance(features: Tensor, others: Tensor, paired: bool = False) -> float:
    """KID: the unbiased squared MMD with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018), over all rows at once.

    It has no bias at any n, which is why it decides where FID's n is small; it may come out below 0. With `paired`, row
    i of both is of the same case, and no case is held against itself (Gretton et al. 2012, Lemma 6).
    """
    x, y = features.double(), others.double()
    d, n, m = x.shape[1], len(x), len(y)

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return (one @ other.T / d + 1) ** 3

    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    across = (xy.sum() - xy.trace()) / (n * (n - 1)) if paired else xy.mean()
    return float(within - 2 * across)


class _AsTheyAre(torch.nn.Module):
    """Tells torchmetrics that the pictures it gets are features already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
