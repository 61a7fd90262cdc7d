"""The image editor that InstructEdit (Sec. 3.4) and DiffEdit share: DDIM inversion with the caption before, then DDIM
decoding with the caption after inside the mask, and the picture's own pixels outside."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import View, choose_view, look, put_back
from ..diffusion.masks import ToGrid, blend, composite, latent_mask, opacity
from ..diffusion.objectives import draw_noise
from ..diffusion.samplers import InversionTimestep, Trajectory, ddim_sample_joined, invert
from ..diffusion.schedule import Levels, encoding_level, levels
from ..roles import Autoencoder, Diffusion
from ..values import Plan
from .planned import Step
from .requests import Watch
from .trajectories import RECENT, Start, digest


class Paste(Protocol):
    """The settings of pasting into a mask."""

    @property
    def mask_to_grid(self) -> ToGrid: ...
    @property
    def grow(self) -> int: ...
    @property
    def feather(self) -> int: ...


class Placing(Paste, Protocol):
    """The settings of looking at the part around a mask, and of pasting into it."""

    @property
    def context(self) -> float: ...
    @property
    def closest(self) -> float: ...


class Coded(Protocol):
    """A model with an autoencoder."""

    @property
    def autoencoder(self) -> Autoencoder: ...


class Decoding(Placing, Protocol):
    """The settings of the shared editor; `InstructEdit` says what each means."""

    @property
    def steps(self) -> int: ...
    @property
    def ratio(self) -> float: ...
    @property
    def guidance(self) -> float: ...
    @property
    def inversion_timestep(self) -> InversionTimestep: ...
    @property
    def variety(self) -> float: ...


def edit_inside(
    settings: Decoding, model: Diffusion, picture: Image.Image, plan: Plan, mask: np.ndarray, seed: int, watch: Watch
) -> Step:
    """Edit `picture` inside mask (h, w) from plan.before to plan.after (InstructEdit Sec. 3.4, Eq. 2-4)."""
    (step,) = edits_inside(settings, (settings.ratio,), model, picture, plan, mask, seed, watch)
    return step


@torch.no_grad()
def edits_inside(
    settings: Decoding,
    ratios: Sequence[float],
    model: Diffusion,
    picture: Image.Image,
    plan: Plan,
    mask: np.ndarray,
    seed: int,
    watch: Watch,
) -> tuple[Step, ...]:
    """`edit_inside` at each of the encoding ratios (InstructEdit Fig. 7), which take the place of the settings' own.

    All start from one trajectory and are decoded as one batch, which each joins at its own level. Equal to single edits
    within the rounding that batches of other sizes bring.
    """
    steps, ks = levels(model.alphas_cumprod, settings.steps), [encoding_level(settings.steps, r) for r in ratios]
    made, top = {0: Step(picture, picture, mask)}, max(ks)
    if top == 0:
        return tuple(made[k] for k in ks)
    before, after, null = model.encode_text([plan.before, plan.after, ""]).split(1)  # (1, tokens, d) each
    view = choose_view(mask, model.size, settings.context, settings.closest)
    grid = latent_mask(mask, view, model.autoencoder.factor, settings.mask_to_grid, settings.grow)  # (1, 1, g, g)
    pixels = look(picture, view)  # (1, 3, size, size)
    with model.same_texts():
        trajectory = inverted(model, pixels, plan.before, before, steps, top, settings.inversion_timestep, watch)

        def keep_outside(level: int, y: Tensor) -> Tensor:
            watch("edit", top - level, top)
            return blend(grid, y, trajectory.latents[level])  # Eq. 4; the last blend is with the clean latent

        x_r = {k: trajectory.latents[k] for k in ks if k > 0}  # (1, c, g, g) each
        if seed:
            x_r = {k: varied(trajectory, k, steps.alphas[k], settings.variety, seed) for k in x_r}
        guided = classifier_free(model.denoise, after, null, settings.guidance)
        y0 = ddim_sample_joined(guided, x_r, steps, keep_outside)
    opaque = opacity(grid, view, settings.feather)
    for k, y in y0.items():
        decoded = put_back(model.autoencoder.decode(y), view, picture)
        made[k] = Step(decoded, composite(decoded, picture, opaque, view), mask)
    return tuple(made[k] for k in ks)


def inverted(
    model: Diffusion,
    pixels: Tensor,
    caption: str,
    text: Tensor,
    steps: Levels,
    level: int,
    timestep: InversionTimestep,
    watch: Watch,
) -> Trajectory:
    """The DDIM inversion of pixels (1, 3, size, size) up to `level`, at guidance 1 with the caption before, whose
    states are `text`; it goes on from one that is kept, and is kept itself."""

    def inverting(reached: int, x: Tensor) -> Tensor:
        watch("invert", reached, level)
        return x

    start = Start(digest(pixels), caption, len(steps.times) - 1, timestep)
    known = RECENT.find(model, start) or Trajectory((model.autoencoder.encode(pixels).float(),))
    plain = classifier_free(model.denoise, text, text, 1.0)
    trajectory = invert(plain, known, steps, level, timestep, inverting)
    RECENT.keep(model, start, trajectory)
    return trajectory


def varied(trajectory: Trajectory, level: int, alpha: Tensor, share: float, seed: int) -> Tensor:
    """x_r with `share` of its noise drawn anew: between the inversion (0) and forward noising as in SDEdit (1)."""
    x0, x_r = trajectory.latents[0], trajectory.latents[level]
    eps = (x_r - alpha.sqrt() * x0) / (1 - alpha).sqrt()
    fresh = draw_noise(x0, torch.Generator().manual_seed(seed))
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * ((1 - share**2) ** 0.5 * eps + share * fresh)


def on_grid(mask: np.ndarray | None, view: View, model: Coded, settings: Paste) -> Tensor | None:
    """The mask on the latent grid of the view, bool (1, 1, g, g), None when there is none.

    Raises: RequestError when nothing of the mask is left: hence before the model starts.
    """
    if mask is None:
        return None
    return latent_mask(mask, view, model.autoencoder.factor, settings.mask_to_grid, settings.grow)


def finished(
    decoded: Image.Image,
    picture: Image.Image,
    view: View,
    mask: np.ndarray | None,
    grid: Tensor | None,
    settings: Paste,
) -> Step:
    """A whole picture from the decoder, confined to the mask when there is one (mask-free methods)."""
    if grid is None:
        return Step(decoded, decoded, None)
    return Step(decoded, composite(decoded, picture, opacity(grid, view, settings.feather), view), mask)
