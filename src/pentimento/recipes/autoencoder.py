"""The miniature's autoencoder: AutoencoderKL, f = 8, 8 latent channels, on crops around the objects.

Crops of half the picture's side learn far sooner than whole pictures: most of a scene is empty ground. Some pictures
are those of part edits, which are full: their crops lie anywhere. Latents that are moved have to decode to the crop,
moved alike, which keeps them smooth, and smooth latents are easier to paint (EQ-VAE, Kouzelis et al. 2025).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from ..data.scenes import draw_scene
from ..data.store import Store, scene_store
from ..errors import TrainingError
from ..settings import Fraction
from ..training import Job, TrainSettings, warm_start
from .lessons import part_store


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(85_000, ge=1)
    batch_size: int = Field(24, ge=1)
    lr: float = Field(1.5e-3, gt=0)
    cooldown: float = 0.3
    ema: float = Field(6_000, ge=0)
    weight_decay: float = 0.0
    channels: tuple[int, ...] = (24, 48, 96, 96)
    latent_channels: int = 8
    crop: int = Field(64, ge=32, description="side of a training crop, pixels")
    gradient: float = Field(1.0, ge=0, description="weight of the L1 loss on finite differences")
    squares: float = Field(0.0, ge=0, description="weight of the squared error, which is what PSNR counts")
    decoder_alone: bool = Field(False, description="leave the latents, and so all painters in them, as they are")
    kl: float = Field(1e-6, ge=0, description="weight of the KL term")
    equivariance: Fraction = Field(0.5, description="share of batches whose latents are moved before they are decoded")
    scenes: int = Field(12_000, ge=1, description="scenes that the crops come from")
    parts: float = Field(0.2, ge=0, lt=1, description="fraction of the pictures that are close-ups of parts")
    data: Path = Path("runs/data")


def model(settings: Settings) -> nn.Module:
    from diffusers import AutoencoderKL

    n = len(settings.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * n, up_block_types=("UpDecoderBlock2D",) * n,
        block_out_channels=settings.channels, layers_per_block=1, latent_channels=settings.latent_channels,
        norm_num_groups=8, sample_size=128, mid_block_add_attention=False,
    )  # fmt: skip


def encoding(autoencoder: Any) -> nn.ModuleList:
    """The parts of an AutoencoderKL that make its latents."""
    return nn.ModuleList(part for part in (autoencoder.encoder, autoencoder.quant_conv) if part is not None)


def crops(
    store: Store, pairs: Store, step: int, batch_size: int, crop: int, split: str = "train", seed: int = 0
) -> Tensor:
    """A batch of crops of scenes, two thirds of them around an object, and of part edits: (b, 3, crop, crop) in
    [-1, 1]."""
    rng = np.random.default_rng([101, step, seed])
    out = []
    for number in rng.integers(0, len(store) + len(pairs), batch_size):
        of_scene = number < len(store)
        picture = store[int(number)] if of_scene else pairs[int(number) - len(store)][int(rng.integers(2))]
        side = len(picture)
        centre = rng.random(2)
        if rng.random() < 0.67 and of_scene:
            things = draw_scene(int(number), split).things
            thing = things[int(rng.integers(len(things)))]
            centre = np.array([thing.x, thing.y]) + rng.normal(0, 0.3 * thing.size, 2)
        left, top = (np.clip(centre * side - crop / 2, 0, side - crop)).astype(int)
        out.append(picture[top : top + crop, left : left + crop][:, :: 1 if rng.random() < 0.5 else -1])
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float() / 127.5 - 1


def moved(latents: Tensor, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents (b, c, h, w) and pixels (b, 3, H, W), both scaled to a half, three quarters or not at all, turned by
    quarters and mirrored or not, alike (EQ-VAE Sec. 3)."""
    scale = (0.5, 0.75, 1.0)[int(torch.randint(3, (), generator=generator))]
    turns, mirrored = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
    cells = max(1, round(scale * latents.shape[-1]))
    out = []
    for x, side in ((latents, cells), (pixels, cells * pixels.shape[-1] // latents.shape[-1])):
        scaled = x if scale == 1 else F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        turned = torch.rot90(scaled, turns, (-2, -1))
        out.append(turned.flip(-1) if mirrored else turned)
    return out[0], out[1]


def reconstruction_loss(settings: Settings, autoencoder: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
    """L1 on pixels and on finite differences, squares, a share of the time of moved latents, and a small KL."""
    posterior = autoencoder.encode(x).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator).to(x.device)
    z = posterior.mean + posterior.std * noise
    if float(torch.rand((), generator=generator)) < settings.equivariance:
        z, x = moved(z, x, generator)
    y = autoencoder.decode(z).sample.float()
    loss = F.l1_loss(y, x) + settings.squares * F.mse_loss(y, x)
    for dim in (-1, -2):
        loss = loss + settings.gradient * F.l1_loss(y.diff(dim=dim), x.diff(dim=dim))
    return loss + settings.kl * posterior.kl().mean()


def job(settings: Settings, pack_dir: Path) -> Job:
    """Warm-starts from pack_dir/vae; exports there, with 1 / std of the latents as scaling_factor."""
    autoencoder = model(settings)
    started = warm_start(autoencoder, pack_dir / "vae")
    if settings.decoder_alone:
        if not started:
            raise TrainingError(
                f"{pack_dir / 'vae'} holds no such autoencoder, so its decoder cannot go on: train one first"
            )
        scale = autoencoder.load_config(pack_dir / "vae")["scaling_factor"]
        autoencoder.register_to_config(scaling_factor=scale)
        encoding(autoencoder).requires_grad_(False)
    store = scene_store(settings.data, settings.scenes)
    pairs = part_store(settings.data, round(len(store) * settings.parts / (1 - settings.parts)))
    held = scene_store(settings.data, 1, "validation")

    def export(ema: nn.Module, folder: Path) -> None:
        if not settings.decoder_alone:
            ema.register_to_config(scaling_factor=float(1 / latent_std(ema, store)))
        ema.save_pretrained(folder / "vae")

    def sample(ema: nn.Module, path: Path) -> None:
        x = pictures([held[i] for i in range(16)])
        y = round_trip(ema, x)
        rows = torch.stack([x, y], dim=1).flatten(0, 1)
        sheet(rows, 8).save(path)

    return Job(
        model=autoencoder,
        batch=lambda step, size: crops(store, pairs, step, size, settings.crop, seed=settings.seed),
        loss=lambda net, x, generator: reconstruction_loss(settings, net, x, generator),
        export=export,
        sample=sample,
    )


def pictures(arrays: list[np.ndarray]) -> Tensor:
    """uint8 (h, w, 3) arrays as one batch (b, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def round_trip(autoencoder: nn.Module, x: Tensor) -> Tensor:
    """x (b, 3, h, w) through the mean latents and back, clamped to [-1, 1]."""
    x = x.to(next(autoencoder.parameters()).device)
    return autoencoder.decode(autoencoder.encode(x).latent_dist.mean).sample.clamp(-1, 1).cpu()


@torch.no_grad()
def latent_std(autoencoder: nn.Module, store: Store, count: int = 256) -> Tensor:
    """The standard deviation of the mean latents over the first `count` pictures."""
    device = next(autoencoder.parameters()).device
    means = [
        autoencoder.encode(pictures([store[i] for i in range(k, k + 32)]).to(device)).latent_dist.mean
        for k in range(0, count, 32)
    ]
    return torch.cat(means).std().cpu()


def sheet(x: Tensor, columns: int) -> Image.Image:
    """Pictures (b, 3, h, w) in [-1, 1] side by side, `columns` in a row."""
    b, _, h, w = x.shape
    rows = -(-b // columns)
    array = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    canvas = np.full((rows * h, columns * w, 3), 255, np.uint8)
    for i, picture in enumerate(array):
        r, c = divmod(i, columns)
        canvas[r * h : (r + 1) * h, c * w : (c + 1) * w] = picture
    return Image.fromarray(canvas)
