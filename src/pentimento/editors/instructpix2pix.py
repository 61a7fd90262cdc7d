"""InstructPix2Pix (Brooks et al. 2023): a diffusion model that reads the instruction and sees the picture.

Mask-free; a mask that is given confines the result to it. Its instruct model takes noise and picture side by side.
"""

from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, SkipValidation
from torch import Tensor

from ..diffusion.guidance import dual
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.masks import ToGrid, composite, latent_mask, opacity
from ..diffusion.samplers import euler_ancestral_sample
from ..roles import Pack
from ..settings import Closeness, GuidanceScale, Margin, Pixels, Settings, Steps
from ..values import Request, Result
from .requests import Watch, instruction_of, mask_of, picture_of, unwatched


class InstructPix2Pix(Settings):
    """Edits the whole picture by words alone (InstructPix2Pix Sec. 3.2; the baseline of InstructEdit's Table 1).

    `image_latents` says at which scale the model was taught to see the picture: "unscaled" are the autoencoder's own
    latents, as in the published checkpoint; "scaled" are those that the noise is added to, as in the miniature.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(20, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the instruction")
    image_guidance: GuidanceScale = Field(1.5, description="guidance scale towards the picture")
    image_latents: Literal["scaled", "unscaled"] = Field("scaled", description="scale of the picture's latents")
    mask_to_grid: ToGrid = Field("area", description="how a given mask comes onto the latent grid")
    feather: Pixels = Field(2, description="soft border inside a given mask, in the model's pixels")
    context: Margin = Field(0.5, description="margin around a mask in large pictures, in mask sides")
    closest: Closeness = Field(
        1.0, description="least side of the view around a mask, as a share of the model's; below 1 it is scaled up"
    )

    @torch.no_grad()
    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request; its plan is not looked at.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PackError for a missing role.
        """
        picture = picture_of(request)
        mask = mask_of(request, picture)
        instruction = instruction_of(request, "InstructPix2Pix")
        began = perf_counter()
        model = self.pack.instruct
        region = mask if mask is not None else np.ones((picture.height, picture.width), dtype=bool)
        view = choose_view(region, model.size, self.context, self.closest)
        text, null = model.encode_text([instruction, ""]).split(1)  # (1, tokens, d) each
        image = model.autoencoder.encode(look(picture, view)).float()  # (1, c, g, g)
        condition = image / model.autoencoder.scaling_factor if self.image_latents == "unscaled" else image

        def stepped(left: int, x: Tensor) -> Tensor:
            watch("edit", self.steps - left, self.steps)
            return x

        guided = dual(model.denoise, text, null, condition, self.guidance, self.image_guidance)
        generator = torch.Generator().manual_seed(request.seed)
        with model.same_texts():
            x0 = euler_ancestral_sample(guided, image, model.alphas_cumprod, self.steps, generator, stepped)
        decoded = put_back(model.autoencoder.decode(x0), view, picture)
        result = decoded
        if mask is not None:
            grid = latent_mask(mask, view, model.autoencoder.factor, self.mask_to_grid)  # (1, 1, g, g)
            result = composite(decoded, picture, opacity(grid, view, self.feather), view)
        record: dict[str, Any] = {
            "method": "instructpix2pix",
            "settings": self.model_dump(mode="json", exclude={"pack"}),
            "seed": request.seed,
            "timings": {"edit": perf_counter() - began},
        }
        return Result(result, decoded, None, mask, record)
