"""SDEdit (Meng et al. 2022): add noise to the picture, and take it away again with the caption after the edit.

The baseline of InstructGIE's Table 1. Mask-free; a mask that is given confines the result to it.
"""

from typing import Annotated, ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field, SkipValidation
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.objectives import draw_noise, q_sample
from ..diffusion.samplers import ddim_sample
from ..diffusion.schedule import encoding_level, levels
from ..roles import Pack
from ..settings import EncodingRatio, GuidanceScale, Steps
from ..values import Plan, Request, Result
from .confined import Confined
from .masked import finished, on_grid
from .planned import Description, Step, everywhere, one_after_the_other
from .requests import Watch, unwatched


class SDEdit(Confined):
    """Edits the whole picture towards a caption; the seed draws the noise. DDIM takes the place of the paper's SDE
    solver, as in every Stable Diffusion version of the method."""

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset({"plan"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps")
    strength: EncodingRatio = Field(0.6, description="noise level t0 that the picture is brought to; more changes more")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the caption after the edit")
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood; PackError for a missing role.
        """

        @torch.no_grad()
        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            model = self.pack.text_to_image
            steps, k = levels(model.alphas_cumprod, self.steps), encoding_level(self.steps, self.strength)
            if k == 0:
                return Step(picture, picture, mask)
            after, null = model.encode_text([plan.after, ""]).split(1)  # (1, tokens, d) each
            view = choose_view(
                mask if mask is not None else everywhere(picture), model.size, self.context, self.closest
            )
            grid = on_grid(mask, view, model, self)
            x0 = model.autoencoder.encode(look(picture, view)).float()
            noise = draw_noise(x0, torch.Generator().manual_seed(request.seed))
            x_k = q_sample(x0, noise, steps.times[k : k + 1], model.alphas_cumprod)

            def stepped(level: int, x: Tensor) -> Tensor:
                watch("edit", k - level, k)
                return x

            with model.same_texts():
                y0 = ddim_sample(classifier_free(model.denoise, after, null, self.guidance), x_k, steps, k, stepped)
            decoded = put_back(model.autoencoder.decode(y0), view, picture)
            return finished(decoded, picture, view, mask, grid, self)

        return one_after_the_other(self, "sdedit", request, watch, carry)
