"""InstructGIE's control branch beside the frozen text-to-image model: the noise loss, editing-shift matching and
selective-area matching (InstructGIE Sec. 4). Each of its four parts can be left out, as in its Table 2."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..diffusion.grids import by_quadrant
from ..diffusion.visual_losses import OverTime, TrueGrids, VisualWeights, visual_loss
from ..errors import TrainingError
from ..packs.in_context import ControlConfig
from ..settings import Fraction
from ..training import Job
from .in_context import PREFIX, Batch, InContextSettings, control_job, lessons, noise_loss, noised, on_grey
from .visual_prompts import Areas, detail_masks, opened

NAME = "incontext"
"""The role, and the folder that the branch is exported to."""
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "images": 5_000 * 1_024, "batch_size": 1_024, "parts": 128, "lr": 1e-4, "warmup_images": 0, "cooldown": 0.0,
        "quadrant": 256, "prefix": "", "weave": False, "states": 16, "ratio": 2.0, "gate": True, "min_snr": 0.0,
        "looked_at": 1.0, "areas": "panoptic", "shift": 1.0, "area": 1.0,
    },
}  # fmt: skip
"""The paper's settings (Sec. 6.1): 5000 steps of 1024 grids of 256-pixel pictures, at 1e-4, and VMamba v0's own block.
It says nothing of a warm-up, of how many grids of a batch its two losses look at, or of their weights."""


class Settings(InContextSettings):
    """The miniature's: the lightest VSS block, and the two losses in pixels on a quarter of each batch.

    The ablations of Table 2: `rcldm=false` is a plain ControlNet, `shift=0` leaves out editing-shift matching,
    `unify=0` language instruction unification, `area=0` selective-area matching. `areas` says whose masks that uses.
    The weights of the two losses, which the paper leaves open, are chosen by their gradients with respect to the noise,
    which on a grid that they look at are about as large as the noise loss's (docs/LOG.md).
    """

    prefix: str = Field(PREFIX, description="words before every text, by which the frozen model paints grids")
    unify: Fraction = Field(0.5, description="share of each batch whose instructions are unified; 0 asks nobody")
    rcldm: bool = Field(True, description="the reformed branch; false is a plain ControlNet")
    weave: bool = Field(True, description="whether the branch has the four pictures' cells of one place side by side")
    states: int = Field(1, ge=1, description="states a channel of a VSS block's scan")
    ratio: float = Field(1.0, gt=0, description="inner channels of a VSS block by outer ones")
    gate: bool = Field(False, description="whether a VSS block has a SiLU gate")
    blocks: int = Field(2, ge=1, description="VSS blocks of the vision encoder")
    shift: float = Field(0.05, ge=0, description="weight of editing-shift matching; 0 leaves it out")
    area: float = Field(7.5, ge=0, description="weight of selective-area matching; 0 leaves it out")
    areas: Areas = Field("panoptic", description="whose masks: the pack's panoptic model's, or the drawn world's own")
    over_time: OverTime = Field("alpha_bar", description="how both losses weigh timesteps")
    t_max: int = Field(500, ge=1, description="for over_time=below: the first timestep that no longer counts")
    looked_at: Fraction = Field(0.25, description="share of each batch that both losses look at, one grid at least")


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs the text_to_image, clip and panoptic of pack_dir, and its language or a language model. Warm-starts from
    pack_dir/incontext.

    Raises: TrainingError when the pack folder lacks what a setting asks for.
    """
    weights = VisualWeights(settings.shift, settings.area, settings.over_time, settings.t_max)
    looks = bool(settings.shift or settings.area)

    def looked_at(size: int) -> int:
        return math.ceil(settings.looked_at * size) if looks else 0

    config = ControlConfig(
        control="rcldm" if settings.rcldm else "controlnet", size=settings.quadrant, prefix=settings.prefix,
        weave=settings.weave, states=settings.states, ratio=settings.ratio, gate=settings.gate, blocks=settings.blocks,
    )  # fmt: skip
    if settings.prompts is not None and settings.area and settings.areas == "drawn":
        raise TrainingError("areas=drawn knows masks of drawn visual prompts alone: set areas=panoptic, or area=0")
    details = detail_masks(settings.areas, settings.data, pack_dir) if settings.area else None
    given = lessons(settings, pack_dir, settings.prefix, details, looked_at if settings.rcldm else lambda size: size)
    base, vae = given.base, given.base.autoencoder.vae
    clip: Any = opened(pack_dir, "clip", "train clip first, or take shift=0").clip if settings.shift else None
    grey = on_grey(base, settings.quadrant)

    def decode(latents: Tensor) -> Tensor:
        return vae.decode(latents / base.autoencoder.scaling_factor).sample.float()

    def embed(pixels: Tensor) -> Tensor:
        return clip.embed_pixels(pixels)

    def loss(control: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        made = noised(control, config, base, grey, batch, settings, generator)
        first = slice(looked_at(len(batch.ids)))
        pixels = batch.pixels[first].permute(0, 3, 1, 2).float() / 127.5 - 1
        value = noise_loss(made, config, base.alphas_cumprod, settings)
        if not looks:
            return value
        truth = TrueGrids(pixels, batch.details[first], made.no_pair[first])
        return value + visual_loss(
            made.x_t[first], made.eps[first], made.t[first], truth, base.alphas_cumprod, partial(by_quadrant, decode),
            embed, weights,
        )  # fmt: skip

    return control_job(settings, pack_dir, NAME, config, given, loss, (clip.model,) if clip else ())
