"""DiffEdit (Couairon et al. 2023): the mask is where the noise predictions for the two captions differ.

A baseline of InstructEdit's Table 1. Step 1 is the mask (its Sec. 3.2), steps 2 and 3 (inversion and masked decoding)
are those that InstructEdit took over: `masked.edit_inside`.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field, SkipValidation
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import View, choose_view, look, overlap
from ..diffusion.masks import touching
from ..diffusion.objectives import draw_noise, q_sample
from ..diffusion.samplers import InversionTimestep
from ..errors import NothingFound, PlanError
from ..roles import Diffusion, Pack
from ..settings import EncodingRatio, Fraction, GuidanceScale, Steps
from ..values import Plan, Request, Result
from .confined import Confined
from .masked import edit_inside
from .planned import Description, Step, everywhere, one_after_the_other
from .requests import Watch, unwatched


class DiffEdit(Confined):
    """Edits a picture from one caption to another, inside a mask that the diffusion model itself gives.

    Its mask step takes the picture whole, whatever its size; a given mask replaces that step. Fig. 3 of InstructEdit
    compares three thetas. The seed draws the mask's noise, and as in InstructEdit every seed but 0 varies the edit.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset({"plan"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps")
    ratio: EncodingRatio = Field(0.5, description="encoding ratio r: how far the picture is turned into noise")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the caption after the edit")
    theta: float = Field(
        0.5, ge=0, lt=1, allow_inf_nan=False, description="threshold of the mask; 0.5 is 1.5 times the mean difference"
    )
    mask_strength: EncodingRatio = Field(0.5, description="noise level at which the predictions are compared")
    mask_guidance: GuidanceScale = Field(7.5, description="guidance scale of both predictions in the mask step")
    noises: int = Field(10, ge=1, le=1000, description="noises over which the difference is averaged")
    inversion_timestep: InversionTimestep = Field(
        "source", description="timestep at which the inversion asks for eps: source, or destination"
    )
    variety: Fraction = Field(
        0.6, description="share of fresh noise at the start of an edit whose seed is not 0; 0 makes all seeds alike"
    )
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood or the two captions are the same; NothingFound when they differ nowhere enough; PackError for a
        missing role.
        """

        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            model = self.pack.text_to_image
            region = mask if mask is not None else self.mask(model, picture, plan, request.seed, watch)
            return edit_inside(self, model, picture, plan, region, request.seed, watch)

        return one_after_the_other(self, "diffedit", request, watch, carry)

    @torch.no_grad()
    def mask(self, model: Diffusion, picture: Image.Image, plan: Plan, seed: int, watch: Watch) -> np.ndarray:
        """Step 1: where eps for the captions before and after differ by more than theta, bool (h, w).

        Raises: PlanError when the captions are the same; NothingFound when eps differs nowhere by so much.
        """
        if plan.before == plan.after:
            raise PlanError(
                f"the captions before and after are the same, {plan.after!r}: say what changes, or give a mask"
            )
        view = choose_view(everywhere(picture), model.size, self.context)
        x0 = model.autoencoder.encode(look(picture, view)).float()  # (1, c, g, g)
        t = torch.tensor([round(self.mask_strength * (len(model.alphas_cumprod) - 1))])
        before, after, null = model.encode_text([plan.before, plan.after, ""]).split(1)  # (1, tokens, d) each
        towards = [classifier_free(model.denoise, text, null, self.mask_guidance) for text in (before, after)]
        generator = torch.Generator().manual_seed(seed)
        apart = torch.zeros_like(x0[:, :1])
        with model.same_texts():
            for i in range(self.noises):
                watch("mask", i, self.noises)
                x_t = q_sample(x0, draw_noise(x0, generator), t, model.alphas_cumprod)
                reference, query = (noise(x_t, t) for noise in towards)
                apart = apart + (query - reference).abs().mean(1, keepdim=True) / self.noises  # (1, 1, g, g)
        scores = relative(apart, cells_inside(view, picture, apart.shape[-1]).to(apart.device))
        found = scores > self.theta
        if not found.any():
            raise NothingFound(plan.after, best_score=float(scores.max()), threshold=self.theta)
        return on_picture(found, view, picture)


def relative(apart: Tensor, inside: Tensor) -> Tensor:
    """Differences in [0, 1]: clamped at three times their mean, and divided by that (the authors' rescaling).

    Cells that are not `inside` the picture, bool like `apart`, count nowhere and get 0: there is but padding.
    """
    most = 3 * apart[inside].mean()
    return torch.where(inside, apart.clamp(max=most) / most, 0) if most > 0 else torch.zeros_like(apart)


def cells_inside(view: View, picture: Image.Image, cells: int) -> Tensor:
    """The cells of the view's latent grid that hold some of the picture, bool (1, 1, cells, cells)."""
    touches, (rows, columns) = touching(cells, view.side), overlap(view, picture.height, picture.width).view
    return (touches[:, rows].any(1)[:, None] & touches[:, columns].any(1))[None, None]


def on_picture(grid: Tensor, view: View, picture: Image.Image) -> np.ndarray:
    """Cells of the view's latent grid, bool (1, 1, g, g), as pixels of the picture, bool (h, w).

    They are the pixels that touch no other cells, so that on the grid the mask is these cells again. When there are
    none, as in pictures that are smaller than the grid, they are all that touch one.
    """
    touches, cells = touching(grid.shape[-1], view.side), grid[0, 0].cpu().float()
    mask, meet = np.zeros((picture.height, picture.width), dtype=bool), overlap(view, picture.height, picture.width)
    mask[meet.picture] = (touches.T @ (1 - cells) @ touches == 0).numpy()[meet.view]
    if not mask.any():
        mask[meet.picture] = (touches.T @ cells @ touches > 0).numpy()[meet.view]
    return mask
