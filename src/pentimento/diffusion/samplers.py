"""From noise to latents and back: DDIM, its inversion, and Euler ancestral.

Free functions over `Noise = (x_t, t) -> eps`; what eps is conditioned on is the caller's business (see guidance).
Latents keep the dtype they come in; the levels' alphas stay on the CPU as scalars.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import RequestError
from .objectives import Noise, draw_noise
from .schedule import Levels

InversionTimestep = Literal["source", "destination"]
AfterStep = Callable[[int, Tensor], Tensor]
"""(level just reached, latents there) -> the latents to go on with."""


@dataclass(frozen=True)
class Trajectory:
    """The latents of an inversion, by level: `latents[0]` is the clean one, each (b, c, h, w)."""

    latents: tuple[Tensor, ...]


def unchanged(level: int, x: Tensor) -> Tensor:
    """The AfterStep that does nothing."""
    return x


def ddim_step(x: Tensor, eps: Tensor, a: Tensor, a_next: Tensor) -> Tensor:
    """Move x from noise level a to a_next along the DDIM path (InstructEdit Eq. 2; Eq. 3 when a_next < a)."""
    x0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
    return a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps


def invert(
    noise: Noise,
    known: Trajectory,
    levels: Levels,
    level: int,
    inversion_timestep: InversionTimestep = "source",
    after: AfterStep = unchanged,
) -> Trajectory:
    """The DDIM inversion up to `level`, going on where `known` ends (InstructEdit Sec. 3.1, Eq. 3).

    Eq. 3 evaluates eps at (x_t, t), which is "source"; "destination" evaluates it at the timestep that the step goes
    to, as the authors' code and diffusers' inverse scheduler do. A trajectory that is long enough comes back as it is.
    """
    latents = list(known.latents)
    for i in range(len(latents) - 1, level):
        x, t = latents[-1], levels.times[i if inversion_timestep == "source" else i + 1]
        eps = noise(x, t.expand(len(x)).to(x.device)).to(x.dtype)
        latents.append(after(i + 1, ddim_step(x, eps, levels.alphas[i], levels.alphas[i + 1])))
    return Trajectory(tuple(latents))


def ddim_sample(noise: Noise, x: Tensor, levels: Levels, level: int, after: AfterStep = unchanged) -> Tensor:
    """The clean latents that DDIM reaches from x (b, c, h, w) at `level` (InstructEdit Eq. 2)."""
    for i in range(level, 0, -1):
        eps = noise(x, levels.times[i].expand(len(x)).to(x.device)).to(x.dtype)
        x = after(i - 1, ddim_step(x, eps, levels.alphas[i], levels.alphas[i - 1]))
    return x


def ddim_sample_joined(
    noise: Noise, starts: Mapping[int, Tensor], levels: Levels, after: AfterStep = unchanged
) -> dict[int, Tensor]:
    """The clean latents that DDIM reaches from several levels >= 1 at once, by level (InstructEdit Eq. 2).

    `starts[k]` (b, c, h, w) joins the batch when that has come down to level k, so that each step asks for noise once;
    `after` sees all rows that are there. Equal to `ddim_sample` from each within rounding, and from one bit for bit.
    """
    order = sorted(starts, reverse=True)
    x = starts[order[0]][:0]
    for i in range(order[0], 0, -1):
        x = torch.cat([x, starts[i]]) if i in starts else x
        eps = noise(x, levels.times[i].expand(len(x)).to(x.device)).to(x.dtype)
        x = after(i - 1, ddim_step(x, eps, levels.alphas[i], levels.alphas[i - 1]))
    return dict(zip(order, x.split([len(starts[k]) for k in order]), strict=True))


def euler_times(total: int, steps: int) -> Tensor:
    """Timesteps (steps,), descending from T - 1 to 0 in equal strides, rounded to those that training saw.

    k-diffusion and diffusers ("linspace") leave them fractional; where the stride is whole, all three agree.
    Raises: RequestError when steps is not in [1, total].
    """
    if not 1 <= steps <= total:
        raise RequestError(f"{steps} steps were asked for: this model takes 1 to {total}")
    return torch.linspace(total - 1, 0, steps, dtype=torch.float64).round().long()


def euler_ancestral_sample(
    noise: Noise,
    like: Tensor,
    alphas_cumprod: Tensor,
    steps: int,
    generator: torch.Generator,
    after: AfterStep = unchanged,
) -> Tensor:
    """Clean latents of `like`'s shape, device and dtype, from pure noise; see `euler_ancestral`."""
    return euler_ancestral(noise, lambda: draw_noise(like, generator), alphas_cumprod, steps, after)


def euler_ancestral(
    noise: Noise, draw: Callable[[], Tensor], alphas_cumprod: Tensor, steps: int, after: AfterStep = unchanged
) -> Tensor:
    """Clean latents from pure noise (Karras et al. 2022; k-diffusion's form), all of which `draw` gives.

    x stands at x0 + sigma * noise with sigma = sqrt((1 - alpha) / alpha); eps is asked at x / sqrt(1 + sigma^2),
    which is the model's own scale. Each step goes down to sigma_down and adds fresh noise of sigma_up; the last
    one, to sigma 0, draws none. `after` sees x at the scale of sigma and the number of steps that are left.
    """
    times = euler_times(len(alphas_cumprod), steps)
    alphas = alphas_cumprod.detach().double().cpu()[times]
    sigmas = torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1, dtype=torch.float64)])
    x = draw() * sigmas[0]
    for i, t in enumerate(times):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        eps = noise(x / (1 + sigma**2).sqrt(), t.expand(len(x)).to(x.device)).to(x.dtype)
        sigma_up = sigma_next * (1 - (sigma_next / sigma) ** 2).clamp(min=0).sqrt()
        sigma_down = (sigma_next**2 - sigma_up**2).sqrt()
        x = x + (sigma_down - sigma) * eps
        if sigma_next > 0:
            x = x + sigma_up * draw()
        x = after(steps - 1 - i, x)
    return x
