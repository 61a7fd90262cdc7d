"""InstructPix2Pix on the pairs that the in-context models learn from, to be compared with them (InstructGIE Table 1).

As the recipe `instruct`, but no edit of a withheld kind is ever seen, there is no second lesson, and the text encoder
is the text-to-image model's, as that of the control branches is.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..data.visual_prompts import Layout
from ..diffusion.objectives import draw_dropped, noise_loss
from ..packs.diffusion import alphas_cumprod
from ..training import Job, TrainSettings, warm_start
from ..vision.store import digest
from .autoencoder import sheet
from .instruct import edited, widened
from .latents import autoencoder_of, decoded, latents_by
from .text import ids_of, text_encoder, tokenizer
from .text_to_image import Painter, unet
from .visual_prompts import pair_latents, prompts_of

NAME = "instruct_in_context"
"""The role, and the folder that the model is exported to."""


class Settings(TrainSettings):
    """As those of `instruct`, but four times as many images as InstructGIE has grids, in batches of four times the
    size: as many steps, equal picture area."""

    images: int = Field(40_000, ge=1)
    batch_size: int = Field(16, ge=4)
    lr: float = Field(4e-4, gt=0)
    warmup_images: int = Field(3_200, ge=0)
    cooldown: float = Field(0.3, ge=0, le=1)
    ema: float = Field(8_000, ge=0)
    prompts: Path | None = Field(None, description="a set by 'pentimento make visual-prompts', instead of a drawn one")
    groups: int = Field(3_500, ge=1, description="drawn groups of five pairs, withheld kinds and tests among them")
    quadrant: int = Layout.model_fields["quadrant"].default
    min_snr: float = Field(5.0, gt=0, description="gamma of the min-SNR loss weights")
    snr_floor: float = Field(1.0, ge=0, description="least weight of a clean latent's error, at the noisiest steps")
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """Latents before and after (b, c, h, w), and token ids of the instruction (b, tokens)."""

    before: Tensor
    after: Tensor
    ids: Tensor


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae and text_to_image. Warm-starts from pack_dir/instruct_in_context, else from text_to_image."""
    from diffusers import UNet2DConditionModel

    tokens = tokenizer(pack_dir)
    folder, source_folder = pack_dir / NAME, pack_dir / "text_to_image"
    source = UNet2DConditionModel.from_pretrained(source_folder / "unet", use_safetensors=True).float()
    channels = source.config.in_channels
    net = unet(tuple(source.config.block_out_channels), source.config.attention_head_dim, 2 * channels, channels)
    if not warm_start(net, folder / "unet"):
        widened(source, net)
    alphas = alphas_cumprod(pack_dir / "scheduler")
    painter = Painter(net, text_encoder(tokens, source_folder / "text_encoder").requires_grad_(False), alphas)
    prompts = prompts_of(settings.prompts, settings.data, settings.groups, settings.quadrant, settings.workers)
    vae = autoencoder_of(pack_dir)
    latents = pair_latents(prompts, vae)
    null = ids_of(tokens, [""])[0]

    def batch(step: int, size: int) -> Batch:
        rows = np.random.default_rng([106, step, settings.seed]).integers(0, len(prompts.rows), size)
        pairs = torch.from_numpy(latents[rows].astype(np.float32))
        ids = ids_of(tokens, [prompts.rows[row].instruction for row in rows])
        return Batch(pairs[:, 0], pairs[:, 1], ids)

    def loss(net: Painter, batch: Batch, generator: torch.Generator) -> Tensor:
        dropped = draw_dropped(len(batch.ids), generator)
        ids = torch.where(dropped.text[:, None].to(batch.ids.device), null.to(batch.ids.device), batch.ids)
        picture = batch.before * (~dropped.image).to(batch.before.device).float()[:, None, None, None]
        states = net.text(ids).last_hidden_state
        return noise_loss(
            lambda x, t: net(torch.cat([x, picture], 1), t, states), batch.after, alphas, generator, settings.min_snr,
            settings.snr_floor,
        )  # fmt: skip

    def export(ema: Painter, out: Path) -> None:
        ema.unet.save_pretrained(out / NAME / "unet")

    def sample(ema: Painter, path: Path) -> None:
        shown = batch(10**9, 8)
        rows = shown.before, edited(ema, shown.before, shown.ids, null, alphas), shown.after
        sheet(torch.cat([decoded(vae, z) for z in rows]), 8).save(path)

    beside = f"{latents_by(vae)} {digest(painter.text)}"
    return Job(model=painter, batch=batch, loss=loss, export=export, sample=sample, beside=beside)
