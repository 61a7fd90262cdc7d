"""The miniature's InstructPix2Pix: the text-to-image U-Net with the picture's latents as further input channels.

Conditions are dropped 5 % text, 5 % picture, 5 % both (InstructPix2Pix Sec. 3.2.1). The picture's latents are scaled.
A share of the batches are windows, 8x8 latents around what changes, four for the price of a picture.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..diffusion.guidance import dual
from ..diffusion.objectives import draw_dropped, noise_loss
from ..diffusion.samplers import euler_ancestral_sample
from ..diffusion.schedule import cosine_alphas_cumprod
from ..training import Job, warm_start
from .autoencoder import sheet
from .latents import CAPTIONS, draw_rows, edit_latents, edit_layouts, edit_windows, edit_words, windowed
from .layout import importance
from .lessons import asked
from .text import ids_of, text_encoder, tokenizer
from .text_to_image import Painter, PainterSettings, critic_for, layout_weight, rivals, unet


class Settings(PainterSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(80_000, ge=1)
    lr: float = Field(4e-4, gt=0)
    warmup_images: int = 4_000
    ema: float = Field(8_000, ge=0)
    layout_images: int = 0
    close_ups: float = 0.25
    windows: float = Field(0.5, ge=0, le=1, description="fraction of the batches that are windows around what changes")


@dataclass
class Batch:
    """Latents before and after (b, c, h, w), token ids of the instruction (b, tokens), the layouts before and after,
    uint8 (b, 2, planes, h, w), and what those after weigh."""

    before: Tensor
    after: Tensor
    ids: Tensor
    layouts: Tensor
    weight: Tensor


def widened(source: nn.Module, wide: nn.Module) -> None:
    """Copy all of `source` into `wide`; its further input channels begin at zero (InstructPix2Pix Sec. 3.2)."""
    state = source.state_dict()
    kernel = torch.zeros_like(wide.state_dict()["conv_in.weight"])
    kernel[:, : source.conv_in.in_channels] = state["conv_in.weight"]
    wide.load_state_dict(state | {"conv_in.weight": kernel})


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae and text_to_image. Warm-starts from pack_dir/instruct, else from text_to_image."""
    from diffusers import UNet2DConditionModel

    tokens = tokenizer(pack_dir)
    folder, source_folder = pack_dir / "instruct", pack_dir / "text_to_image"
    source = UNet2DConditionModel.from_pretrained(source_folder / "unet", use_safetensors=True).float()
    channels = source.config.in_channels
    net = unet(tuple(source.config.block_out_channels), source.config.attention_head_dim, 2 * channels, channels)
    if not warm_start(net, folder / "unet"):
        widened(source, net)
    alphas = cosine_alphas_cumprod(shift=settings.shift)
    painter = Painter(
        net,
        text_encoder(tokens, folder / "text_encoder", source_folder / "text_encoder"),
        alphas,
        critic_for(settings, pack_dir, channels),
    )
    latents = edit_latents(settings.data, pack_dir, settings.edits, settings.parts)
    words = edit_words(settings.data, "instructions", tokens, settings.edits, settings.parts, asked, windows=False)
    layouts = edit_layouts(settings.data, settings.edits, settings.parts)
    frames = edit_windows(settings.data, settings.edits, settings.parts)
    null = ids_of(tokens, [""])[0]

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([103, settings.seed, step])
        if rng.random() >= settings.windows:
            return pictures(step, size, rng)
        rows = rng.integers(0, settings.edits, 4 * size)
        seen = [frames[row] for row in rows]
        return told(step, rows, windowed(latents.pairs[rows], seen), windowed(layouts[rows], seen), rng)

    def pictures(step: int, size: int, rng: np.random.Generator) -> Batch:
        """Whole pictures and close-ups."""
        rows = draw_rows(rng, size, settings.edits, settings.close_ups)
        return told(step, rows, latents.pairs[rows], layouts[rows], rng)

    def told(step: int, rows: np.ndarray, pairs: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> Batch:
        """These pairs (b, 2, c, h, w) and layouts with an instruction each, in one of its phrasings."""
        ids = words[rows, rng.integers(0, CAPTIONS, len(rows)), 0].astype(np.int64)
        x = torch.from_numpy(pairs).float()
        return Batch(x[:, 0], x[:, 1], torch.from_numpy(ids), torch.from_numpy(places), layout_weight(settings, step))

    def loss(net: Painter, batch: Batch, generator: torch.Generator) -> Tensor:
        dropped = draw_dropped(len(batch.ids), generator)
        ids = torch.where(dropped.text[:, None].to(batch.ids.device), null.to(batch.ids.device), batch.ids)
        picture = batch.before * (~dropped.image).to(batch.before.device).float()[:, None, None, None]
        states = net.text(ids).last_hidden_state

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return net(torch.cat([x, picture], 1), t, states)

        before, after = batch.layouts.unbind(1)
        weighs = torch.maximum(importance(before, settings.things), importance(after, settings.things))

        def noise() -> Tensor:
            return noise_loss(
                eps, batch.after, alphas, generator, settings.min_snr, settings.snr_floor, weighs,
                net.criticised(batch.after, after, settings.critic),
            )  # fmt: skip

        return net.lessons(noise, after, batch.weight)

    def export(ema: Painter, out: Path) -> None:
        ema.unet.save_pretrained(out / "instruct" / "unet")
        ema.text.save_pretrained(out / "instruct" / "text_encoder")

    def sample(ema: Painter, path: Path) -> None:
        shown = pictures(0, 8, np.random.default_rng(settings.seed))
        rows = shown.before, edited(ema, shown.before, shown.ids, null, alphas), shown.after
        sheet(torch.cat([latents.decode(z) for z in rows]), 8).save(path)

    return Job(
        model=painter, batch=batch, loss=loss, export=export, sample=sample, beside=latents.made_by,
        rivals=rivals(settings),
    )  # fmt: skip


def edited(painter: Painter, before: Tensor, ids: Tensor, null: Tensor, alphas: Tensor) -> Tensor:
    """What a model makes of latents (b, c, h, w) by instructions (b, tokens); `null` (tokens,) is the empty one."""
    device = next(painter.parameters()).device
    states = painter.text(ids.to(device)).last_hidden_state
    nothing = painter.text(null[None].to(device)).last_hidden_state.expand(len(ids), -1, -1)
    guided = dual(painter, states, nothing, before.to(device), 4.0, 1.5)
    return euler_ancestral_sample(guided, before.to(device), alphas, 30, torch.Generator().manual_seed(1))
