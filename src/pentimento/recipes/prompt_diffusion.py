"""Prompt Diffusion's control branch beside the frozen text-to-image model, in its original configuration: the loss on
the answer's noise alone (Wang et al. 2023; a baseline of InstructGIE's Table 1). Trained on InstructGIE's pairs."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..packs.in_context import ControlConfig
from ..training import Job
from .in_context import Batch, InContextSettings, control_job, lessons, noise_loss, noised, on_grey

NAME = "prompt_diffusion"
"""The role, and the folder that the branch is exported to."""


class Settings(InContextSettings):
    """As InstructGIE's where they share them; an answer is a quarter of a grid, so four times as many images in batches
    of four times the size are as many steps and equal picture area."""

    images: int = 40_000
    batch_size: int = 16
    warmup_images: int = 3_200


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae and text_to_image. Warm-starts from pack_dir/prompt_diffusion.

    Raises: TrainingError when the pack folder lacks what a setting asks for.
    """
    config = ControlConfig(control="prompt_diffusion", size=settings.quadrant)
    given = lessons(settings, pack_dir, config.prefix, None, lambda size: size)
    grey = on_grey(given.base, settings.quadrant)

    def loss(control: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        made = noised(control, config, given.base, grey, batch, settings, generator)
        return noise_loss(made, config, given.base.alphas_cumprod, settings)

    return control_job(settings, pack_dir, NAME, config, given, loss)
