"""Inpainting with a mask found by words: the segmenter's mask, and an inpainting model that fills it from the caption.

The baseline "Grounded-SAM + inpainting" of InstructEdit's Table 1: the model sees the picture with a hole, and
nothing of what was in it.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field, SkipValidation
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.masks import composite, latent_mask, opacity, with_hole
from ..diffusion.objectives import draw_noise
from ..diffusion.samplers import ddim_sample
from ..diffusion.schedule import levels
from ..roles import Pack
from ..settings import GuidanceScale, Steps
from ..values import Plan, Request, Result
from .confined import Confined
from .planned import Description, Step, everywhere, one_after_the_other
from .requests import Watch, unwatched


class Inpaint(Confined):
    """Fills the mask from noise, by the caption after the edit; the seed draws the noise."""

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset({"plan", "mask"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the caption after the edit")
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood; NothingFound when nothing answers them; PackError for a missing role.
        """

        @torch.no_grad()
        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            model = self.pack.inpaint
            steps = levels(model.alphas_cumprod, self.steps)
            after, null = model.encode_text([plan.after, ""]).split(1)  # (1, tokens, d) each
            region = mask if mask is not None else everywhere(picture)
            view = choose_view(region, model.size, self.context, self.closest)
            grid = latent_mask(region, view, model.autoencoder.factor, self.mask_to_grid, self.grow)  # (1, 1, g, g)
            hidden = model.autoencoder.encode(with_hole(look(picture, view), grid)).float()  # (1, c, g, g)
            seen = torch.cat([grid.to(hidden), hidden], dim=1)  # (1, 1 + c, g, g)

            def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
                return model.denoise(torch.cat([x, seen.expand(len(x), -1, -1, -1)], dim=1), t, text)

            def stepped(level: int, x: Tensor) -> Tensor:
                watch("edit", steps.steps - level, steps.steps)
                return x

            x_T = draw_noise(hidden, torch.Generator().manual_seed(request.seed))
            guided = classifier_free(denoise, after, null, self.guidance)
            with model.same_texts():
                y0 = ddim_sample(guided, x_T, steps, steps.steps, stepped)
            decoded = put_back(model.autoencoder.decode(y0), view, picture)
            return Step(decoded, composite(decoded, picture, opacity(grid, view, self.feather), view), region)

        return one_after_the_other(self, "inpaint", request, watch, carry, finds=True)
