"""Guidance: which mixture of conditional and unconditional noise a sampler follows.

A guided prediction is a sum of branches with weights that add up to 1. A branch of weight 0 is never computed, so
guidance 1 costs and gives exactly the conditional branch. All other branches share one batch.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .objectives import Noise

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (b, c, h, w), t (b,), text states (b, tokens, d)) -> eps."""


def classifier_free(denoise: Denoise, text: Tensor, null: Tensor, scale: float) -> Noise:
    """eps_null + scale * (eps_text - eps_null): classifier-free guidance towards text states (1, tokens, d)."""

    def noise(x: Tensor, t: Tensor) -> Tensor:
        return _mix(denoise, t, ((scale, x, text), (1 - scale, x, null)))

    return noise


def dual(denoise: Denoise, text: Tensor, null: Tensor, image: Tensor, text_scale: float, image_scale: float) -> Noise:
    """InstructPix2Pix's guidance (its Sec. 3.2.1, Eq. 3), with the picture's latents `image` (1, c, h, w).

    eps_uncond + image_scale * (eps_image - eps_uncond) + text_scale * (eps_text - eps_image). The branches stand in
    the order text, image, uncond: text and picture, picture alone, neither (the picture's latents are zero there).
    """
    nothing = torch.zeros_like(image)

    def noise(x: Tensor, t: Tensor) -> Tensor:
        with_image = torch.cat([x, image.expand(len(x), -1, -1, -1)], dim=1)  # (b, 2c, h, w)
        without = torch.cat([x, nothing.expand(len(x), -1, -1, -1)], dim=1)
        return _mix(
            denoise,
            t,
            (
                (text_scale, with_image, text),
                (image_scale - text_scale, with_image, null),
                (1 - image_scale, without, null),
            ),
        )

    return noise


def dual_nulls(denoise: Denoise, null: Tensor, image: Tensor, text_scale: float, image_scale: float) -> Noise:
    """The part of `dual` that the instruction has no say in: all of it but text_scale * eps_text, with the pictures'
    latents `image` (b, c, h, w), one for each row."""

    weights = image_scale - text_scale, 1 - image_scale

    def noise(x: Tensor, t: Tensor) -> Tensor:
        if not any(weights):
            return torch.zeros_like(x)
        rows = torch.cat([x, image], dim=1), torch.cat([x, torch.zeros_like(image)], dim=1)
        return _mix(denoise, t, [(weight, row, null) for weight, row in zip(weights, rows, strict=True)])

    return noise


def rows_of_dual(text_scale: float, image_scale: float) -> int:
    """The branches that `dual` computes, its instruction's among them: 1, 2 or 3."""
    return 1 + (image_scale != text_scale) + (image_scale != 1)


def _mix(denoise: Denoise, t: Tensor, branches: Sequence[tuple[float, Tensor, Tensor]]) -> Tensor:
    """The weighted sum of the branches (weight, x, text), not all of weight 0; a lone one of weight 1 is untouched."""
    branches = [branch for branch in branches if branch[0] != 0]
    x = torch.cat([x for _, x, _ in branches])
    text = torch.cat([text.expand(len(x), -1, -1) for _, x, text in branches])
    eps = denoise(x, t.repeat(len(branches)), text).chunk(len(branches))
    if [weight for weight, *_ in branches] == [1]:
        return eps[0]
    return sum((weight * part for (weight, _, _), part in zip(branches, eps, strict=True)), torch.zeros_like(eps[0]))
