"""Noise levels: how much of the signal is left at each of the steps that a sampler takes.

A *level* is a number of sampling steps away from the clean latent: level 0 is the clean end, level n the noisiest.
`alphas` are the cumulative products (alpha_t of InstructEdit Eq. 2, "alphas_cumprod" in checkpoints).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import RequestError


@dataclass(frozen=True)
class Levels:
    """The levels 0..n of n sampling steps.

    `times` (n + 1,) are integer timesteps, ascending; `alphas` (n + 1,) the share of signal variance there, in (0, 1].
    """

    times: Tensor
    alphas: Tensor

    @property
    def steps(self) -> int:
        return len(self.times) - 1


def levels(alphas_cumprod: Tensor, steps: int, steps_offset: int = 1) -> Levels:
    """The levels of DDIM with `steps` steps, spaced as Stable Diffusion's own DDIM does ("leading").

    Level i > 0 stands at timestep (i - 1) * (T // steps) + steps_offset; level 0 at timestep 0, because these
    checkpoints say set_alpha_to_one False: their final alpha is alphas_cumprod[0], not 1. The noisiest level is
    not always pure noise: of T = 1000 it is 981 for 50 steps, 951 for 20, 501 for 2, 1 for 1, and as T // steps is
    rounded down, 501 for 501.
    Raises: RequestError when steps is not in [1, T].
    """
    total = len(alphas_cumprod)
    if not 1 <= steps <= total:
        raise RequestError(f"{steps} steps were asked for: this model takes 1 to {total}")
    times = torch.arange(steps) * (total // steps) + steps_offset
    times = torch.cat([torch.zeros(1, dtype=torch.long), times]).clamp(max=total - 1)  # only steps = T meets the clamp
    return Levels(times, alphas_cumprod.detach().float().cpu()[times])


def encoding_level(steps: int, ratio: float) -> int:
    """k, the level that an inversion to the encoding ratio r stops at: round(n * r), halves upwards (Sec. 3.1)."""
    return math.floor(steps * ratio + 0.5)


def scaled_linear_alphas_cumprod(steps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012) -> Tensor:
    """Stable Diffusion's training schedule ("scaled_linear"): betas linear in their square roots."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, steps, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def cosine_alphas_cumprod(
    steps: int = 1000, shift: float = -0.5, min_logsnr: float = -8.0, max_logsnr: float = 10.0
) -> Tensor:
    """A shifted cosine schedule: logsnr(u) = -2 log tan(pi u / 2) + 2 shift, alpha = sigmoid(logsnr).

    A positive shift leaves more signal at every timestep, as small latents need, which lose theirs sooner (simple
    diffusion, Hoogeboom et al. 2023, Sec. 3.1, there written 2 log of a ratio of sides). But what a caption decides,
    places and colours, stands in the mean of many latents, which shows through far more noise than any one of them
    (256 latents: 5.5 nats more): a schedule needs many steps down there. u runs over the part of (0, 1) that
    keeps logsnr in [min_logsnr, max_logsnr]: cut off rather than clipped, so that no two timesteps are alike.
    """
    first = math.atan(math.exp(-0.5 * (max_logsnr - 2 * shift)))
    last = math.atan(math.exp(-0.5 * (min_logsnr - 2 * shift)))
    logsnr = -2 * torch.linspace(first, last, steps, dtype=torch.float64).tan().log() + 2 * shift
    return logsnr.sigmoid().float()


def betas_from_alphas(alphas_cumprod: Tensor) -> Tensor:
    """The betas (T,) whose cumulative product of (1 - beta) is alphas_cumprod, at most 0.999 each."""
    alphas = alphas_cumprod.double()
    before = torch.cat([torch.ones(1, dtype=torch.float64, device=alphas.device), alphas[:-1]])
    return (1 - alphas / before).clamp(0, 0.999).float()
