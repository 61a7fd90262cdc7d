"""What diffusion models are trained to do: predict the noise that was added (InstructEdit Eq. 1, InstructBrush Eq. 5).

Everything random is drawn on the CPU from a generator, so that a seed means one run everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Noise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (b, c, h, w), t (b,) integer timesteps) -> eps (b, c, h, w)."""
Further = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t (b, c, h, w), predicted eps (b, c, h, w), t (b,)) -> a scalar to be added to the noise loss."""


def draw_timesteps(count: int, low: int, high: int, generator: torch.Generator) -> Tensor:
    """Timesteps (count,), uniform in [low, high); one in each of `count` equal parts of the range, in random order.

    Each one alone is uniform; spreading them over the batch only takes away variance between batches.
    """
    place = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return (low + place * (high - low)).long().clamp(max=high - 1)


def draw_noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of `like`'s shape, drawn on the CPU in fp32 and moved to its device and dtype."""
    return torch.randn(like.shape, generator=generator).to(like)


def q_sample(x0: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_t: the clean latents x0 (b, c, h, w) with noise added up to timesteps t (b,). The forward noising formula."""
    alpha = alphas_cumprod.to(x0.device)[t.to(x0.device)].to(x0.dtype).view(-1, 1, 1, 1)
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise


def eps_of_v(v: Tensor, x_t: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The noise in x_t (b, c, h, w) that a velocity v means: sqrt(1 - alpha) x_t + sqrt(alpha) v (Salimans & Ho 2022).

    A network that predicts v tells the clean latents at the noisiest steps, where eps hardly differs from x_t.
    """
    alpha = alphas_cumprod.to(v.device)[t.to(v.device)].to(v.dtype).view(-1, 1, 1, 1)
    return (1 - alpha).sqrt() * x_t + alpha.sqrt() * v


def min_snr_weights(t: Tensor, alphas_cumprod: Tensor, gamma: float = 5.0, floor: float = 0.0) -> Tensor:
    """Loss weights (b,) min(SNR, gamma) / SNR for noise prediction (Hang et al. 2023, Sec. 3.4).

    In terms of the clean latents they are min(SNR, gamma). A floor keeps that from vanishing at the noisiest steps,
    where a caption decides what a picture shows: max(floor, min(SNR, gamma)) / SNR.
    """
    alpha = alphas_cumprod[t.to(alphas_cumprod.device)].double()
    snr = alpha / (1 - alpha)
    return (snr.clamp(min=floor, max=gamma) / snr).float()


def noise_loss(
    noise_of: Noise,
    x0: Tensor,
    alphas_cumprod: Tensor,
    generator: torch.Generator,
    gamma: float | None = None,
    floor: float = 0.0,
    importance: Tensor | None = None,
    further: Further | None = None,
) -> Tensor:
    """The mean squared error of the predicted noise over a batch of clean latents x0 (b, c, h, w) (InstructEdit Eq. 1).

    t is uniform over all timesteps. gamma turns on min-SNR weighting, with this floor; None is the paper's unweighted
    loss. `importance` (b, 1, h, w) weighs cells against each other; only its ratios count. `further` adds
    what else is asked of the prediction.
    """
    t = draw_timesteps(len(x0), 0, len(alphas_cumprod), generator).to(x0.device)
    noise = draw_noise(x0, generator)
    x_t = q_sample(x0, noise, t, alphas_cumprod)
    eps = noise_of(x_t, t)
    errors = (eps.float() - noise.float()).square()  # (b, c, h, w)
    if importance is not None:
        errors = errors * (importance / importance.mean())
    losses = errors.mean(dim=(1, 2, 3))  # (b,)
    if gamma is not None:
        losses = losses * min_snr_weights(t, alphas_cumprod, gamma, floor).to(losses.device)
    return losses.mean() if further is None else losses.mean() + further(x_t, eps, t)


@dataclass(frozen=True)
class Dropped:
    """Which conditions of which samples are taken away, bool (b,) each; a sample may lose both."""

    text: Tensor
    image: Tensor


def draw_dropped(
    count: int, generator: torch.Generator, text: float = 0.05, image: float = 0.05, both: float = 0.05
) -> Dropped:
    """Draw the conditions to drop: only text, only image, or both, 5 % each (InstructPix2Pix Sec. 3.2.1).

    InstructGIE Sec. 6.1 drops 15 % "of language or visual instructions": there `image` is the example pair.
    """
    u = torch.rand(count, generator=generator)
    return Dropped(text=(u < text) | ((u >= text + image) & (u < text + image + both)),
                   image=(u >= text) & (u < text + image + both))  # fmt: skip
