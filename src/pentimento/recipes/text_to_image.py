"""The miniature's text-to-image model: a U-Net on 16x16x8 latents and its text encoder, trained together.

A tenth of the batches are 2x2 grids of pictures (32x32 latents), which in-context models paint on later; no grid shows
a kind of edit that is withheld from those (`data.visual_prompts.Layout`). Half of the
pictures are close-ups, because editors look closely at what they change. Most of the other batches are windows, 8x8
latents around one thing: four of them cost what a picture costs, so most things are seen in these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..data.visual_prompts import Layout
from ..diffusion.attention import Written
from ..diffusion.guidance import classifier_free
from ..diffusion.objectives import Further, eps_of_v, noise_loss
from ..diffusion.samplers import euler_ancestral_sample
from ..diffusion.schedule import betas_from_alphas, cosine_alphas_cumprod
from ..training import Job, TrainSettings, warm_start
from .autoencoder import sheet
from .latents import (
    CAPTIONS,
    autoencoder_of,
    draw_rows,
    edit_kinds,
    edit_latents,
    edit_layouts,
    edit_windows,
    edit_words,
    windowed,
)
from .layout import LayoutHead, Listening, importance
from .lessons import described
from .reader import Critic, reader_of
from .text import WIDTH, ids_of, text_encoder, tokenizer

PROMPTS = (
    "photo of a cat on the left and a dog on the right, on grass", "photo of a red car, on a street, at night",
    "photo of a tiger, in a forest", "photo of two pandas", "photo of a boy with a hat, on a beach",
    "photo of a golden vase, in a room", "photo of a blue bus, in a city, in the rain", "pencil sketch of a house",
    "photo of a green apple, in a kitchen", "photo of an elephant, in a desert, at sunset", "oil painting of a rose",
    "photo of a pink rabbit on the left and a pizza on the right", "photo of a wooden guitar", "photo of a lion",
    "photo of a sailboat, at sea", "photo of the background",
)  # fmt: skip


class PainterSettings(TrainSettings):
    """What all painters can set. Measured: see docs/LOG.md."""

    batch_size: int = Field(24, ge=4)
    edits: int = Field(24_000, ge=1, description="edit pairs that the pictures come from")
    parts: float = Field(0.2, ge=0, le=1, description="fraction of edits that are of parts, in close-ups")
    close_ups: float = Field(0.5, ge=0, le=1, description="fraction of close-ups among the pictures")
    null_text: float = Field(0.1, ge=0, le=1, description="fraction of captions that are left empty")
    min_snr: float = Field(5.0, gt=0, description="gamma of the min-SNR loss weights")
    snr_floor: float = Field(1.0, ge=0, description="least weight of a clean latent's error, at the noisiest steps")
    things: float = Field(3.0, gt=0, description="weight of a thing's cells in the noise loss, beside 1 elsewhere")
    layout: float = Field(0.05, ge=0, description="weight of the layout loss, at first")
    layout_images: int = Field(50_000, ge=0, description="images after which its weight falls to a fifth")
    critic: float = Field(
        0.03, ge=0, description="weight of what a critic misreads, which begins as the reader; 0 needs no reader"
    )
    critic_lr: float = Field(1e-3, gt=0, description="the critic's own learning rate, which neither rises nor falls")
    shift: float = Field(-0.5, description="shift of the cosine schedule, in half nats of log SNR")
    data: Path = Path("runs/data")


class Settings(PainterSettings):
    """A step of 24 pictures, or of 96 windows, is about 0.6 seconds on one core."""

    images: int = Field(90_000, ge=1)
    lr: float = Field(5e-4, gt=0)
    warmup_images: int = 10_000
    cooldown: float = 0.3
    ema: float = Field(12_000, ge=0)
    channels: tuple[int, ...] = (96, 160, 160)
    heads: int = Field(4, ge=1, description="attention heads")
    grids: float = Field(0.1, ge=0, le=1, description="fraction of batches that are 2x2 grids")
    windows: float = Field(0.7, ge=0, le=1, description="fraction of the other batches that are windows")
    reading: bool = Field(True, description="whether the text encoder is trained too")


@dataclass
class Batch:
    """Latents (b, c, h, w), token ids (b, tokens), what stands where, uint8 (b, planes, h, w), and what that weighs."""

    x0: Tensor
    ids: Tensor
    layouts: Tensor
    weight: Tensor


class Painter(nn.Module):
    """A U-Net, the text encoder that it reads, the head of its second lesson, and its critic, if it has one: the loop
    trains all as one."""

    def __init__(self, unet: Any, text: nn.Module, alphas: Tensor, critic: Critic | None = None):
        super().__init__()
        self.unet, self.text, self.alphas, self.critic = unet, text, alphas, critic
        self.head = LayoutHead(unet.config.block_out_channels[1])

    def forward(self, x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        """eps (b, c, h, w), of the first c channels of x; the U-Net itself predicts v."""
        v = self.unet(x, t, encoder_hidden_states=states).sample.float()
        return eps_of_v(v, x[:, : v.shape[1]], t, self.alphas)

    def lessons(self, noise_loss: Callable[[], Tensor], layouts: Tensor, weight: Tensor) -> Tensor:
        """The noise loss, and weight times the layout loss of the features behind it."""
        if not weight:
            return noise_loss()
        with Listening(self.unet) as heard:
            loss = noise_loss()
        return loss + weight * self.head.loss(heard.features, layouts)

    def criticised(self, x0: Tensor, layouts: Tensor, weight: float) -> Further | None:
        """What its critic has to say of it, for `noise_loss` of clean latents x0 with these layouts."""
        return self.critic.further(x0, layouts, self.alphas, weight) if self.critic is not None else None


def unet(channels: tuple[int, ...], heads: int, in_channels: int, latent_channels: int) -> nn.Module:
    """`attention_head_dim` is the number of heads in this class."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    n = len(channels)
    net = UNet2DConditionModel(
        sample_size=16, in_channels=in_channels, out_channels=latent_channels, block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * (n - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (n - 1),
        layers_per_block=1, cross_attention_dim=WIDTH, attention_head_dim=heads,
    )  # fmt: skip
    if not torch.cuda.is_available():
        net.set_attn_processor(Written())
    return net


def critic_for(settings: PainterSettings, pack_dir: Path, latent_channels: int) -> Critic | None:
    """Who reads what a painter means, if anybody does. Raises: as `reader_of` does."""
    return Critic(reader_of(pack_dir, latent_channels)) if settings.critic else None


def rivals(settings: PainterSettings) -> dict[str, float]:
    """What learns against a painter in its job, and how fast."""
    return {"critic": settings.critic_lr} if settings.critic else {}


def layout_weight(settings: PainterSettings, step: int) -> Tensor:
    """Reading comes first, painting then: the weight of the layout loss at a step."""
    return torch.tensor(settings.layout * (1.0 if step * settings.batch_size < settings.layout_images else 0.2))


def grid(above: np.ndarray, below: np.ndarray) -> Tensor:
    """Two arrays of pairs (b, 2, c, h, w) as one canvas each (b, c, 2h, 2w): {before, after / before, after}."""
    rows = [torch.cat([pairs[:, 0], pairs[:, 1]], -1) for pairs in (torch.from_numpy(above), torch.from_numpy(below))]
    return torch.cat(rows, -2)


def save_schedule(alphas_cumprod: Tensor, folder: Path) -> None:
    from diffusers import DDIMScheduler

    betas = [round(float(b), 8) for b in betas_from_alphas(alphas_cumprod)]
    DDIMScheduler(
        trained_betas=betas, clip_sample=False, set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction"
    ).save_pretrained(folder)  # fmt: skip


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae. Warm-starts from pack_dir/text_to_image, its text encoder else from clip's text tower."""
    tokens = tokenizer(pack_dir)
    folder = pack_dir / "text_to_image"
    latent_channels = autoencoder_of(pack_dir).config.latent_channels
    alphas = cosine_alphas_cumprod(shift=settings.shift)
    painter = Painter(
        unet(settings.channels, settings.heads, latent_channels, latent_channels),
        text_encoder(tokens, folder / "text_encoder", pack_dir / "clip"),
        alphas,
        critic_for(settings, pack_dir, latent_channels),
    )
    warm_start(painter.unet, folder / "unet")
    latents = edit_latents(settings.data, pack_dir, settings.edits, settings.parts)
    words = edit_words(settings.data, "captions", tokens, settings.edits, settings.parts, described)
    painter.text.requires_grad_(settings.reading)
    layouts = edit_layouts(settings.data, settings.edits, settings.parts)
    windows = edit_windows(settings.data, settings.edits, settings.parts)
    trained = ~np.isin(edit_kinds(settings.data, settings.edits, settings.parts), Layout().withheld)
    in_grids = np.flatnonzero(np.tile(trained, 2))  # whole pictures, then close-ups
    null = ids_of(tokens, [""])[0]
    grid_mark = ids_of(tokens, ["grid of four pictures, "])[0]
    mark = grid_mark[1 : int((grid_mark == tokens.eos_token_id).nonzero()[0])]

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([102, settings.seed, step])
        grids = rng.random() < settings.grids
        if not grids and rng.random() < settings.windows:
            return pieces(step, 4 * size, rng)
        count = size // 4 if grids else size
        rows = pairs(rng, count) if grids else draw_rows(rng, count, settings.edits, settings.close_ups)
        sides = rng.integers(0, 2, count)
        variants = rng.integers(0, CAPTIONS, count)
        ids = torch.from_numpy(words[rows, variants, sides].astype(np.int64))
        x0 = torch.from_numpy(latents.pairs[rows, sides].astype(np.float32))
        places = torch.from_numpy(layouts[rows, sides])
        if grids:  # {before, after / before, after}: the caption is that of the last quadrant
            others = pairs(rng, count)
            x0 = grid(latents.pairs[others], latents.pairs[rows]).float()
            places = grid(layouts[others], layouts[rows])
            ids = torch.from_numpy(words[rows, variants, np.ones(count, int)].astype(np.int64))
            ids = torch.cat([ids[:, :1], mark.expand(count, -1), ids[:, 1 : ids.shape[1] - len(mark)]], 1)
            ids[:, -1] = tokens.eos_token_id
        return Batch(x0, undescribed(ids, rng), places, layout_weight(settings, step))

    def pairs(rng: np.random.Generator, count: int) -> np.ndarray:
        """Rows for grids."""
        return in_grids[draw_rows(rng, count, len(in_grids) // 2, settings.close_ups)]

    def pieces(step: int, count: int, rng: np.random.Generator) -> Batch:
        """As many windows of whole pictures."""
        rows, sides = rng.integers(0, settings.edits, count), rng.integers(0, 2, count)
        seen = [windows[row] for row in rows]
        x0 = torch.from_numpy(windowed(latents.pairs[rows, sides], seen)).float()
        places = torch.from_numpy(windowed(layouts[rows, sides], seen))
        ids = words[rows + 2 * settings.edits, rng.integers(0, CAPTIONS, count), sides].astype(np.int64)
        return Batch(x0, undescribed(torch.from_numpy(ids), rng), places, layout_weight(settings, step))

    def undescribed(ids: Tensor, rng: np.random.Generator) -> Tensor:
        """The ids (b, tokens), some of them replaced by those of no text."""
        return torch.where(torch.from_numpy(rng.random(len(ids)) < settings.null_text)[:, None], null, ids)

    def loss(net: Painter, batch: Batch, generator: torch.Generator) -> Tensor:
        states = net.text(batch.ids).last_hidden_state

        def noise() -> Tensor:
            return noise_loss(
                lambda x, t: net(x, t, states), batch.x0, alphas, generator, settings.min_snr, settings.snr_floor,
                importance(batch.layouts, settings.things),
                net.criticised(batch.x0, batch.layouts, settings.critic),
            )  # fmt: skip

        return net.lessons(noise, batch.layouts, batch.weight)

    def export(ema: Painter, out: Path) -> None:
        ema.unet.save_pretrained(out / "text_to_image" / "unet")
        ema.text.save_pretrained(out / "text_to_image" / "text_encoder")
        save_schedule(alphas, out / "scheduler")

    def sample(ema: Painter, path: Path) -> None:
        device = next(ema.parameters()).device
        states = ema.text(ids_of(tokens, list(PROMPTS)).to(device)).last_hidden_state
        nothing = ema.text(null[None].to(device)).last_hidden_state.expand(len(PROMPTS), -1, -1)
        like = torch.zeros(len(PROMPTS), latent_channels, 16, 16, device=device)
        guided = classifier_free(ema, states, nothing, 3.0)
        painted = euler_ancestral_sample(guided, like, alphas, 30, torch.Generator().manual_seed(1))
        sheet(latents.decode(painted), 8).save(path)  # DDIM's steps begin below T, where much is decided already

    return Job(
        model=painter, batch=batch, loss=loss, export=export, sample=sample, beside=latents.made_by,
        rivals=rivals(settings),
    )  # fmt: skip
