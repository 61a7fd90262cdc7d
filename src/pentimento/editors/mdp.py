"""MDP-eps_t (Wang et al. 2023, "MDP: A Generalized Framework for Text-Guided Image Editing by Manipulating the
Diffusion Path"): the noise predictions of the picture's own path are mixed into those of the edit.

A baseline of InstructEdit's Table 1. The picture's path is a null-text inversion (Mokady et al. 2023): a DDIM
inversion with the caption before, and an empty-text embedding for every step, optimised until the guided path leads
back to the picture. Mask-free; a mask that is given confines the result to it.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field, SkipValidation, model_validator
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.samplers import InversionTimestep, Trajectory, ddim_step
from ..diffusion.schedule import Levels, levels
from ..roles import Diffusion, Pack
from ..settings import Fraction, GuidanceScale, Steps
from ..values import Plan, Request, Result
from .confined import Confined
from .masked import finished, inverted, on_grid
from .planned import Description, Step, everywhere, one_after_the_other
from .requests import Watch, unwatched
from .trajectories import Recent, Start, digest


@dataclass(frozen=True)
class Path:
    """A picture's guided path from the noisiest level, by level 1..n at index level - 1: the empty-text states
    (1, tokens, d) and the noise that was predicted with them (1, c, g, g); `top` is x_T."""

    top: Tensor
    nulls: tuple[Tensor, ...]
    eps: tuple[Tensor, ...]


@dataclass(frozen=True)
class Optimised:
    """What a path depends on, besides the model."""

    start: Start
    guidance: float
    inner_steps: int
    inner_rate: float


PATHS: Recent[Optimised, Path] = Recent()
"""The paths that all edits of this process share: trying another window costs only the edit."""


class MDP(Confined):
    """Edits the whole picture from one caption to another. Deterministic: all seeds give the same picture.

    In the window of steps, counted from the noisiest, the picture's own noise predictions are followed; outside it
    those for the caption after.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset({"plan"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps")
    guidance: GuidanceScale = Field(7.5, description="guidance scale, of the picture's path and of the edit")
    window_start: Fraction = Field(0.0, description="where the window begins, as a share of the steps from noise")
    window_end: Fraction = Field(0.5, description="where the window ends; more keeps more of the picture")
    inner_steps: int = Field(10, ge=0, le=1000, description="most Adam steps for each step's empty-text embedding")
    inner_rate: float = Field(0.01, gt=0, le=1, description="their learning rate at the first step; it falls to half")
    inversion_timestep: InversionTimestep = Field(
        "source", description="timestep at which the inversion asks for eps: source, or destination"
    )
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")

    @model_validator(mode="after")
    def _window_is_one(self) -> "MDP":
        if self.window_end < self.window_start:
            raise ValueError(f"window_end {self.window_end} lies before window_start {self.window_start}: swap them")
        return self

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood; PackError for a missing role.
        """

        @torch.no_grad()
        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            model = self.pack.text_to_image
            steps = levels(model.alphas_cumprod, self.steps)
            after = model.encode_text([plan.after])
            view = choose_view(
                mask if mask is not None else everywhere(picture), model.size, self.context, self.closest
            )
            grid = on_grid(mask, view, model, self)
            path = self.path(model, look(picture, view), plan.before, steps, watch)
            y = path.top
            for done, level in enumerate(range(steps.steps, 0, -1)):
                eps = path.eps[level - 1]
                if not self.window_start <= done / steps.steps < self.window_end:
                    guided = classifier_free(model.denoise, after, path.nulls[level - 1], self.guidance)
                    eps = guided(y, steps.times[level].expand(1))
                y = ddim_step(y, eps, steps.alphas[level], steps.alphas[level - 1])
                watch("edit", done + 1, steps.steps)
            decoded = put_back(model.autoencoder.decode(y), view, picture)
            return finished(decoded, picture, view, mask, grid, self)

        return one_after_the_other(self, "mdp", request, watch, carry)

    def path(self, model: Diffusion, pixels: Tensor, caption: str, steps: Levels, watch: Watch) -> Path:
        """The null-text inversion of pixels (1, 3, size, size), or the one that is kept."""
        key = Optimised(
            Start(digest(pixels), caption, self.steps, self.inversion_timestep),
            self.guidance,
            self.inner_steps,
            self.inner_rate,
        )
        known = PATHS.find(model, key)
        if known is None:
            before, null = model.encode_text([caption, ""]).split(1)  # (1, tokens, d) each
            with model.same_texts():
                timestep = self.inversion_timestep
                trajectory = inverted(model, pixels, caption, before, steps, steps.steps, timestep, watch)
                known = null_text(
                    model, trajectory, before, null, steps, self.guidance, self.inner_steps, self.inner_rate, watch
                )
            PATHS.keep(model, key, known)
        return known


def null_text(
    model: Diffusion,
    trajectory: Trajectory,
    text: Tensor,
    null: Tensor,
    steps: Levels,
    guidance: float,
    inner_steps: int,
    inner_rate: float,
    watch: Watch,
) -> Path:
    """Empty-text embeddings with which the guided path retraces `trajectory` (null-text inversion, its Algorithm 1).

    Each step begins with the embedding of the step before it. The first learning rate (0.01), its fall and the growing
    bound on the squared error at which the optimisation stops early are those of the authors' code. There the rate
    falls by 1 % each step, of 50; here, of any number, it comes down to half as well. The bound is for latents scaled
    to a deviation of about 1; the rate is in units of text states, which differ by encoder.
    """
    n = steps.steps
    x = trajectory.latents[n]
    nulls, path = [null] * n, [x] * n
    for done, level in enumerate(range(n, 0, -1)):
        watch("invert", done, n)
        t, a, a_next = steps.times[level].expand(1), steps.alphas[level], steps.alphas[level - 1]
        conditional = model.denoise(x, t, text)
        null = null.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([null], lr=inner_rate * (1 - done / (2 * n)))
        for _ in range(inner_steps):
            with torch.enable_grad():
                eps = _mixed(conditional, model.denoise(x, t, null), guidance)
                loss = (ddim_step(x, eps, a, a_next) - trajectory.latents[level - 1]).square().mean()
                (null.grad,) = torch.autograd.grad(loss, [null])
            optimizer.step()
            if float(loss) < 1e-5 + done * 2e-5:
                break
        null = null.detach()
        eps = _mixed(conditional, model.denoise(x, t, null), guidance)
        nulls[level - 1], path[level - 1] = null, eps
        x = ddim_step(x, eps, a, a_next)
    return Path(trajectory.latents[n], tuple(nulls), tuple(path))


def _mixed(conditional: Tensor, empty: Tensor, guidance: float) -> Tensor:
    return empty + guidance * (conditional - empty)
