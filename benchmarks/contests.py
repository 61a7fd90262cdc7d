"""The same edit by both sides: what `against_diffusers.py` has them do in turns."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pentimento.diffusion.latents import View, to_picture, to_tensor
from pentimento.diffusion.masks import latent_mask
from pentimento.editors import InstructEdit, InstructPix2Pix
from pentimento.editors.planned import everywhere
from pentimento.editors.trajectories import RECENT
from pentimento.values import Plan, Request

Edit = Callable[[], Image.Image]
PICTURE = Path(__file__).parent.parent / "examples" / "cat-and-dog.png"
INSTRUCTION = "Change the cat to a tiger"
PLAN = Plan(find=("cat",), before="photo of a cat and a dog", after="photo of a tiger and a dog", kind="replace")


@dataclass(frozen=True)
class Numbers:
    """The settings of the edits at equal rows. `instruct_steps` is of InstructPix2Pix."""

    steps: int = 50
    ratio: float = 0.5
    guidance: float = 7.5
    instruct_steps: int = 28
    image_guidance: float = 1.5


@dataclass(frozen=True)
class Contest:
    """One edit by either side; each call is a whole edit, and diffusers' pipeline is built in its first.

    `again` is a second edit of the same picture by ours. `twins` are the two sides where their algorithms are one and
    the same: their pictures must be equal. `background_error` says how far a picture is from the autoencoder's own
    outside the mask, on average, in levels of 255."""

    pentimento: Edit
    diffusers: Edit
    unet: Any
    equal_rows: bool = False
    again: Edit | None = None
    twins: tuple[Edit, Edit] | None = None
    background_error: Callable[[Image.Image], float] | None = None


def instructedit_at_equal_rows(pack: Any, toy: bool, numbers: Numbers) -> Contest:
    """Mask and captions given; inversion at guidance 1 asked at each step's destination, as diffusers asks.

    Outside a mask diffusers is one level behind (its last blend is with x_1), so the pictures are compared with the
    whole picture as the mask, where nothing is blended.
    """
    model = pack.text_to_image
    picture, mask = scene(model.size), middle(model.size)
    editor = InstructEdit(
        pack=pack, steps=numbers.steps, ratio=numbers.ratio, guidance=numbers.guidance, inversion_timestep="destination"
    )

    @cache
    def side() -> Any:
        from pipelines import diffedit

        return diffedit(model, toy, exact=True)

    def ours(mask: np.ndarray, plan: Plan = PLAN) -> Image.Image:
        return editor(Request(picture, plan=plan, mask=mask)).decoded

    def anew(mask: np.ndarray) -> Image.Image:
        RECENT.forget()
        return ours(mask)

    def theirs(mask: np.ndarray) -> Image.Image:
        their = side()
        grid = latent_mask(mask, View(0, 0, model.size, model.size), model.autoencoder.factor)
        level = {"num_inference_steps": numbers.steps, "inpaint_strength": numbers.ratio}
        with their.computing():
            found = their.pipeline.invert(image=picture, guidance_scale=1.0, **their.words(PLAN.before), **level)
            return their.pipeline(
                mask_image=grid[0].float(), image_latents=found.latents, guidance_scale=numbers.guidance,
                **their.words(PLAN.after), **level,
            ).images[0]  # fmt: skip

    @torch.no_grad()
    def background_error(edited: Image.Image) -> float:
        x0 = model.autoencoder.encode(to_tensor(picture)).float()
        difference = np.abs(np.asarray(edited, float) - np.asarray(to_picture(model.autoencoder.decode(x0)), float))
        return float(difference[~mask].mean())

    whole, another = everywhere(picture), PLAN.model_copy(update={"after": "photo of a horse and a dog"})
    return Contest(
        lambda: anew(mask), lambda: theirs(mask), model.unet, equal_rows=True,
        again=lambda: ours(mask, another), twins=(lambda: anew(whole), lambda: theirs(whole)),
        background_error=background_error,
    )  # fmt: skip


def instructedit_at_defaults(pack: Any, toy: bool) -> Contest:
    """From the instruction, with the pack's defaults; diffusers from both captions, with its own."""
    model = pack.text_to_image
    picture = scene(model.size)
    editor = InstructEdit(**pack.defaults.get("instructedit", {}), pack=pack)

    @cache
    def side() -> Any:
        from pipelines import diffedit

        return diffedit(model, toy, exact=False)

    def ours() -> Image.Image:
        RECENT.forget()
        return editor(Request(picture, INSTRUCTION)).image

    def theirs() -> Image.Image:
        their, generator = side(), torch.Generator().manual_seed(0)
        with their.computing():
            mask = their.pipeline.generate_mask(
                image=picture, generator=generator,
                **their.words(PLAN.before, "source_"), **their.words(PLAN.after, "target_"),
            )  # fmt: skip
            found = their.pipeline.invert(image=picture, generator=generator, **their.words(PLAN.before))
            return their.pipeline(
                mask_image=mask, image_latents=found.latents, generator=generator, **their.words(PLAN.after)
            ).images[0]

    return Contest(ours, theirs, model.unet)


def instructpix2pix_at_equal_rows(pack: Any, toy: bool, numbers: Numbers) -> Contest:
    """The same steps and scales, from the same seed. The pictures are equal where the stride of the timesteps is whole:
    ours are integers, as in training."""
    ours = InstructPix2Pix(
        pack=pack, steps=numbers.instruct_steps, guidance=numbers.guidance, image_guidance=numbers.image_guidance,
        image_latents=seen_by(pack),
    )  # fmt: skip
    theirs = {
        "num_inference_steps": ours.steps, "guidance_scale": ours.guidance, "image_guidance_scale": ours.image_guidance
    }  # fmt: skip
    contest = instructpix2pix_contest(pack, toy, ours, theirs)
    return replace(contest, equal_rows=True, twins=(contest.pentimento, contest.diffusers))


def instructpix2pix_at_defaults(pack: Any, toy: bool) -> Contest:
    """The pack's defaults against diffusers' own, which are five times the steps."""
    ours = InstructPix2Pix(**pack.defaults.get("instructpix2pix", {}), pack=pack)
    return instructpix2pix_contest(pack, toy, ours, {})


def instructpix2pix_contest(pack: Any, toy: bool, ours: InstructPix2Pix, theirs: dict[str, Any]) -> Contest:
    """The editor against the pipeline with the arguments `theirs`; both see the picture's latents at one scale."""
    model = pack.instruct
    picture = scene(model.size)

    @cache
    def side() -> Any:
        from pipelines import instructpix2pix

        return instructpix2pix(model, toy, scaled=ours.image_latents == "scaled")

    def painted() -> Image.Image:
        their, generator = side(), torch.Generator().manual_seed(0)
        with their.computing():
            return their.pipeline(image=picture, generator=generator, **their.words(INSTRUCTION), **theirs).images[0]

    return Contest(lambda: ours(Request(picture, INSTRUCTION)).decoded, painted, model.unet)


def seen_by(pack: Any) -> Any:
    """The scale at which the pack's instruct model sees the picture's latents."""
    return InstructPix2Pix(**pack.defaults.get("instructpix2pix", {}), pack=pack).image_latents


def scene(size: int) -> Image.Image:
    """The picture that is edited, at the model's size."""
    return Image.open(PICTURE).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)


def middle(size: int) -> np.ndarray:
    """A mask of the middle half, bool (size, size)."""
    mask = np.zeros((size, size), dtype=bool)
    mask[size // 4 : -(size // 4), size // 4 : -(size // 4)] = True
    return mask
