"""InstructEdit (Wang et al. 2023): words to captions and a mask, then a DDIM edit inside the mask.

Language processor (Sec. 3.2), segmenter (Sec. 3.3) and image editor (Sec. 3.4); the first two are the pack's.
"""

from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field, SkipValidation
from torch import Tensor

from ..diffusion.guidance import classifier_free
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.masks import ToGrid, blend, composite, latent_mask, opacity
from ..diffusion.objectives import draw_noise
from ..diffusion.samplers import InversionTimestep, Trajectory, ddim_sample, invert
from ..diffusion.schedule import encoding_level, levels
from ..errors import PackError, PlanError
from ..roles import Captioner, Pack
from ..settings import EncodingRatio, Fraction, GuidanceScale, Settings, Steps
from ..values import Plan, Request, Result
from .requests import Watch, instruction_of, mask_of, picture_of, unwatched
from .trajectories import RECENT, Start, digest

Description = Literal["unclear", "always", "never"]


class InstructEdit(Settings):
    """Edits a picture by words, inside a mask that is found by words.

    The defaults are the paper's and its code's. Seed 0 is the paper's deterministic edit; every other seed begins with
    some fresh noise (see `variety`), so that one instruction can give several pictures. An instruction that asks for
    several edits gets them one after the other; all masks are found in the picture as it was given.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps over the whole schedule")
    ratio: EncodingRatio = Field(0.5, description="encoding ratio r: how far the picture is turned into noise")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the caption after the edit")
    inversion_timestep: InversionTimestep = Field(
        "source", description="timestep at which the inversion asks for eps: source as in Eq. 3, or destination"
    )
    variety: Fraction = Field(
        0.6, description="share of fresh noise at the start of an edit whose seed is not 0; 0 makes all seeds alike"
    )
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")
    mask_to_grid: ToGrid = Field("area", description="how the mask comes onto the latent grid")
    feather: int = Field(2, ge=0, le=64, description="soft border inside the edited region, in the model's pixels")
    context: float = Field(
        0.5, ge=0, le=8, allow_inf_nan=False, description="margin around the mask in large pictures, in mask sides"
    )

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood; NothingFound when nothing answers them; PackError for a missing role.
        """
        picture = picture_of(request)
        given = mask_of(request, picture)
        began = perf_counter()
        watch("plan", 0, 1)
        if request.plan is not None:
            plans: tuple[Plan, ...] = (request.plan,)
        else:
            plans = plans_for(self.pack, instruction_of(request, "InstructEdit"), picture, self.description)
        planned = perf_counter()
        watch("mask", 0, 1)
        masks = [given if given is not None else mask_for(self.pack, plan, picture) for plan in plans]
        masked = perf_counter()
        image = decoded = picture
        for plan, mask in zip(plans, masks, strict=True):
            decoded, image = self._edit(image, plan, mask, request.seed, watch)
        timings = {"plan": planned - began, "mask": masked - planned, "edit": perf_counter() - masked}
        record: dict[str, Any] = {
            "method": "instructedit",
            "settings": self.model_dump(mode="json", exclude={"pack"}),
            "seed": request.seed,
            "plans": [plan.model_dump(mode="json") for plan in plans],
            "timings": timings,
        }
        return Result(image, decoded, plans[-1], np.logical_or.reduce(masks), record)

    @torch.no_grad()
    def _edit(
        self, picture: Image.Image, plan: Plan, mask: np.ndarray, seed: int, watch: Watch
    ) -> tuple[Image.Image, Image.Image]:
        """The image editor (Sec. 3.4): the decoded picture, and the same with the pixels outside the mask restored."""
        model = self.pack.text_to_image
        steps, k = levels(model.alphas_cumprod, self.steps), encoding_level(self.steps, self.ratio)
        if k == 0:
            return picture, picture
        before, after, null = model.encode_text([plan.before, plan.after, ""]).split(1)  # (1, tokens, d) each

        view = choose_view(mask, model.size, self.context)
        pixels = look(picture, view)  # (1, 3, size, size)
        grid = latent_mask(mask, view, model.autoencoder.factor, self.mask_to_grid)  # (1, 1, g, g)

        def inverting(level: int, x: Tensor) -> Tensor:
            watch("invert", level, k)
            return x

        start = Start(digest(pixels), plan.before, self.steps, self.inversion_timestep)
        known = RECENT.find(model, start) or Trajectory((model.autoencoder.encode(pixels).float(),))
        plain = classifier_free(model.denoise, before, null, 1.0)
        trajectory = invert(plain, known, steps, k, self.inversion_timestep, inverting)
        RECENT.keep(model, start, trajectory)

        def keep_outside(level: int, y: Tensor) -> Tensor:
            watch("edit", k - level, k)
            return blend(grid, y, trajectory.latents[level])  # Eq. 4; the last blend is with the clean latent

        guided = classifier_free(model.denoise, after, null, self.guidance)
        x_r = varied(trajectory, k, steps.alphas[k], self.variety, seed) if seed else trajectory.latents[k]
        y0 = ddim_sample(guided, x_r, steps, k, keep_outside)
        decoded = put_back(model.autoencoder.decode(y0), view, picture)
        return decoded, composite(decoded, picture, opacity(grid, view, self.feather), view)


def varied(trajectory: Trajectory, level: int, alpha: Tensor, share: float, seed: int) -> Tensor:
    """x_r with `share` of its noise drawn anew: between the inversion (0) and forward noising as in SDEdit (1)."""
    x0, x_r = trajectory.latents[0], trajectory.latents[level]
    eps = (x_r - alpha.sqrt() * x0) / (1 - alpha).sqrt()
    fresh = draw_noise(x0, torch.Generator().manual_seed(seed))
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * ((1 - share**2) ** 0.5 * eps + share * fresh)


def plans_for(pack: Pack, instruction: str, picture: Image.Image, description: Description) -> tuple[Plan, ...]:
    """The language processor (Sec. 3.2): the instruction's plans, with a description of the picture where it is needed.

    Raises: PlanError when the words are not understood even so; when the pack has no captioner, the first PlanError.
    """
    if description == "always":
        return pack.planner.plan(instruction, describe(pack.captioner, picture))
    try:
        return pack.planner.plan(instruction)
    except PlanError as unclear:
        if description == "never":
            raise
        try:
            captioner = pack.captioner
        except PackError:
            raise unclear from None
    return pack.planner.plan(instruction, describe(captioner, picture))


def describe(captioner: Captioner, picture: Image.Image) -> str:
    """The description d of a picture, from the paper's two questions (Sec. 3.2): "{rho} of {completion}"."""
    rho = captioner.ask(picture, "Is this a photo, a painting or another kind of art?").strip(" .")
    completion = captioner.ask(picture, f"{rho} of").strip(" .")
    return f"{rho} of {completion.removeprefix(f'{rho} of').strip()}"


def mask_for(pack: Pack, plan: Plan, picture: Image.Image) -> np.ndarray:
    """The segmenter (Sec. 3.3): the mask M of what the plan wants found, bool (h, w); all of it when nothing is."""
    if not plan.find:
        return np.ones((picture.height, picture.width), dtype=bool)
    return pack.segmenter.find(picture, plan.find, plan.which).mask
