"""diffusers' pipelines over the very modules of a pack, in the pack's precision.

What a comparison needs and a pipeline cannot be told: `no_draws` takes the autoencoder's mean where the DiffEdit
pipeline draws, `AskedLevel` reads a velocity at the level that the network was asked at, `ScaledPictures` shows the
network a picture's latents as it was taught to see them.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from diffusers import (
    DDIMInverseScheduler,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    StableDiffusionDiffEditPipeline,
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils import logging
from torch import Tensor

from pentimento.diffusion.schedule import betas_from_alphas


@dataclass(frozen=True)
class Modules:
    """What a pack's diffusion model is made of; the tests' toy has no text encoder."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    prediction: str
    autocast: Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Side:
    """A pipeline, to be called inside `computing()`."""

    pipeline: Any
    model: Any
    computing: Callable[[], AbstractContextManager[Any]]

    def words(self, caption: str, kind: str = "") -> dict[str, Any]:
        """A caption with the empty one beside it, as arguments; `kind` is "source_", "target_" or nothing. Without a
        text encoder in it, the pipeline gets the model's own states."""
        if self.pipeline.text_encoder is not None:
            return {f"{kind}prompt": caption, f"{kind}negative_prompt": ""}
        text, null = self.model.encode_text([caption, ""]).split(1)
        return {f"{kind}prompt_embeds": text, f"{kind}negative_prompt_embeds": null}


class AskedLevel(DDIMInverseScheduler):
    """diffusers' DDIM inversion for a network that predicts velocities, read at the level that it was asked at.

    diffusers asks at the timestep that a step goes to, but reads the answer as a velocity of the level that the step
    comes from. For a network that predicts noise there is no such difference.
    """

    def step(self, velocity: Tensor, timestep: int, sample: Tensor, **more: Any) -> Any:
        asked = self.alphas_cumprod[timestep]
        return super().step(asked.sqrt() * velocity + (1 - asked).sqrt() * sample, timestep, sample, **more)


class ScaledPictures(StableDiffusionInstructPix2PixPipeline):
    """The pipeline for a network that was taught to see the picture's latents as large as those it denoises."""

    def prepare_image_latents(self, *args: Any, **more: Any) -> Tensor:
        return super().prepare_image_latents(*args, **more) * self.vae.config.scaling_factor


def diffedit(model: Any, toy: bool, exact: bool) -> Side:
    """The retired DiffEdit pipeline; if `exact`, without draws and with `AskedLevel` where it makes a difference."""
    modules = modules_of(model, toy)
    common = schedule(model, modules) | {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    inverse = DDIMInverseScheduler(**common)
    if exact and modules.prediction == "v_prediction":
        inverse = AskedLevel(**(common | {"prediction_type": "epsilon"}))
    pipeline = StableDiffusionDiffEditPipeline(
        **parts(modules), scheduler=DDIMScheduler(**common), inverse_scheduler=inverse
    )

    @contextmanager
    def computing() -> Iterator[None]:
        with modules.autocast(), no_draws() if exact else nullcontext():
            yield

    return side(pipeline, model, computing)


def instructpix2pix(model: Any, toy: bool, scaled: bool) -> Side:
    """The InstructPix2Pix pipeline with the published checkpoint's scheduler, Euler ancestral."""
    modules = modules_of(model, toy)
    kind = ScaledPictures if scaled else StableDiffusionInstructPix2PixPipeline
    pipeline = kind(**parts(modules), scheduler=EulerAncestralDiscreteScheduler(**schedule(model, modules)))
    return side(pipeline, model, modules.autocast)


def no_draws() -> AbstractContextManager[Any]:
    """Autoencoders give their mean where a pipeline asks for a draw."""
    return patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


def modules_of(model: Any, toy: bool) -> Modules:
    if toy:
        return Modules(model.unet, model.autoencoder.network, None, None, "epsilon", nullcontext)
    return Modules(
        model.unet, model.autoencoder.vae, model.text_encoder, model.tokenizer, model.prediction,
        model.placement.autocast,
    )  # fmt: skip


def schedule(model: Any, modules: Modules) -> dict[str, Any]:
    """The model's noise schedule, as a scheduler's arguments."""
    betas = betas_from_alphas(model.alphas_cumprod).cpu().numpy()
    return {"trained_betas": betas, "prediction_type": modules.prediction}


def parts(modules: Modules) -> dict[str, Any]:
    """The modules, as a pipeline's arguments."""
    return {
        "vae": modules.vae, "unet": modules.unet, "text_encoder": modules.text_encoder,
        "tokenizer": modules.tokenizer, "safety_checker": None, "feature_extractor": None,
        "requires_safety_checker": False,
    }  # fmt: skip


def side(pipeline: Any, model: Any, computing: Callable[[], AbstractContextManager[Any]]) -> Side:
    """Quietly: no progress bars, no advice."""
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers")
    pipeline.set_progress_bar_config(disable=True)
    return Side(pipeline, model, computing)
