"""What InstructGIE asks of pixels beside the noise loss: editing-shift matching and selective-area matching.

Both look at a pseudo output: the clean grid that one predicted noise means, decoded. Decoder and CLIP come as functions
on tensors, which must let gradients through and clamp nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..values import Segment
from .grids import of_dropped_pair, quadrants

Decode = Callable[[Tensor], Tensor]
"""Latents (b, c, h, w) -> pixels (b, 3, H, W) around [-1, 1], not clamped, with gradients."""
Embed = Callable[[Tensor], Tensor]
"""Pixels (b, 3, H, W) around [-1, 1] -> embeddings (b, d), with gradients; see `roles.Clip.embed_pixels`."""
OverTime = Literal["alpha_bar", "below"]
LEAST_SHIFT = 1e-3
"""Shorter editing shifts have no direction: their cosine and its gradient are scaled down."""


@dataclass(frozen=True)
class VisualWeights:
    """How much the two losses weigh beside the noise loss, and at which timesteps.

    The paper gives no weights. At the noisiest timesteps one step's error grows like (1 - alpha) / alpha, which would
    rule the area loss: `alpha_bar` weighs by alpha, but hushes the timesteps where the layout forms too; `below` counts
    the timesteps under t_max alike and no others.
    """

    shift: float = 1.0
    area: float = 1.0
    over_time: OverTime = "alpha_bar"
    t_max: int = 500


@dataclass(frozen=True)
class TrueGrids:
    """Ground truth: `pixels` (b, 3, 2h, 2w) in [-1, 1]; `details` bool (b, 1, 2h, 2w), where a picture shows a living
    creature (see `detail_mask`); `no_pair` bool (b,), whose example pair is dropped and counts in no loss."""

    pixels: Tensor
    details: Tensor
    no_pair: Tensor


def one_step_x0(x_t: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The clean latents (b, c, h, w) that noise eps in x_t at timesteps t (b,) means: InstructGIE Eq. 1, solved."""
    alpha = alphas_cumprod.to(x_t.device)[t.to(x_t.device)].float().view(-1, 1, 1, 1)
    return (x_t.float() - (1 - alpha).sqrt() * eps.float()) / alpha.sqrt()


def timestep_weights(t: Tensor, alphas_cumprod: Tensor, weights: VisualWeights) -> Tensor:
    """The weights (b,) in [0, 1] of the two losses at timesteps t (b,); see `VisualWeights`."""
    if weights.over_time == "below":
        return (t < weights.t_max).float()
    return alphas_cumprod.to(t.device)[t].float()


def editing_shift(grid: Tensor, embed: Embed, no_pair: Tensor) -> Tensor:
    """T (b, d), the mean of embed(in) - embed(out) over both pairs of grids (b, 3, 2h, 2w) (InstructGIE Eq. 4).

    Each embedding is L2-normalised. Where the pair is dropped, no_pair (b,), the lower pair stands alone.
    """
    parts = quadrants(grid)
    pictures = torch.cat([parts.in0, parts.out0, parts.in1, parts.answer])
    in0, out0, in1, answer = F.normalize(embed(pictures), dim=-1).chunk(4)  # (b, d) each
    alone = no_pair.to(grid.device)[:, None]
    return torch.where(alone, in1 - answer, (in0 - out0 + in1 - answer) / 2)


def shift_losses(shift: Tensor, true_shift: Tensor) -> Tensor:
    """1 - cos of two editing shifts (b, d), (b,) in [0, 2] (InstructGIE Eq. 5)."""
    return 1 - F.cosine_similarity(shift, true_shift, dim=-1, eps=LEAST_SHIFT)


def area_losses(pixels: Tensor, true_pixels: Tensor, mask: Tensor) -> Tensor:
    """Squared error of pixels (b, 3, h, w) inside mask, bool (b, 1, h, w), (b,) (InstructGIE Eq. 10).

    A mean over all N pixels and their three channels, not over the mask: small faces weigh little.
    """
    return torch.where(mask, pixels - true_pixels, 0.0).square().mean(dim=(1, 2, 3))


def noise_losses(eps: Tensor, noise: Tensor, no_pair: Tensor) -> Tensor:
    """Mean squared error (b,) of the predicted noise of grids (b, c, 2h, 2w), without the pairs that are dropped."""
    left_out = of_dropped_pair(eps, no_pair).expand_as(eps)
    error = torch.where(left_out, 0.0, eps.float() - noise.float()).square()
    return error.sum(dim=(1, 2, 3)) / (~left_out).sum(dim=(1, 2, 3))


def detail_mask(segments: Sequence[Segment], living: Collection[str], height: int, width: int) -> Tensor:
    """Which pixels of one picture show a class of `living`, bool (1, height, width) (InstructGIE Eq. 9).

    The segments are those of this picture, of its size; a grid's mask is joined from four of them.
    """
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    for segment in segments:
        if segment.label in living:
            mask |= torch.from_numpy(segment.mask)
    return mask


def visual_loss(
    x_t: Tensor,
    eps: Tensor,
    t: Tensor,
    truth: TrueGrids,
    alphas_cumprod: Tensor,
    decode: Decode,
    embed: Embed,
    weights: VisualWeights,
) -> Tensor:
    """Both losses of a batch, weighted: what is added to the noise loss (InstructGIE Sec. 4.1, 4.3, Fig. 2).

    x_t and eps (b, c, h, w) are the noised latents of the grids and the noise that is predicted there. Timesteps that
    weigh nothing are not decoded: they cost nothing, and where alpha is 0 no clean latents could be told.
    """
    over_time = timestep_weights(t.to(x_t.device), alphas_cumprod, weights)  # (b,)
    rows = over_time > 0
    if not rows.any() or not (weights.shift or weights.area):
        return x_t.new_zeros(())
    pseudo = decode(one_step_x0(x_t[rows], eps[rows], t.to(rows.device)[rows], alphas_cumprod))  # (n, 3, 2h, 2w)
    true, no_pair = truth.pixels.to(pseudo)[rows], truth.no_pair.to(rows.device)[rows]
    losses = pseudo.new_zeros(len(pseudo))
    if weights.shift:
        with torch.no_grad():
            true_shift = editing_shift(true, embed, no_pair)
        losses = losses + weights.shift * shift_losses(editing_shift(pseudo, embed, no_pair), true_shift)
    if weights.area:
        mask = truth.details.to(rows.device)[rows] & ~of_dropped_pair(pseudo, no_pair)
        losses = losses + weights.area * area_losses(pseudo, true, mask)
    return (over_time[rows] * losses).sum() / len(x_t)
