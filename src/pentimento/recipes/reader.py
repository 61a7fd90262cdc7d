"""A network that reads in latents which noun stands where, and goes on as the critic of painters. No pack keeps it.

The squared error of a painter's noise says little of a thing's noun where that is decided, at high noise: a blob in the
right colours costs hardly more than the thing. To a reader it does.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from ..data.vocabulary import PLACES
from ..diffusion.objectives import Further, draw_noise
from ..diffusion.visual_losses import one_step_x0
from ..errors import TrainingError
from ..training import Job, TrainSettings, warm_start
from ..vision.store import read_config, read_weights, write_model
from .latents import draw_rows, edit_latents, edit_layouts, edit_windows, windowed
from .layout import NAMELESS, WHAT, importance

KIND = "latent_reader"
NOISIEST = 900
CLEAREST = 300
"""Timesteps between which painters are read: below, things are decided; above, nobody knows where they will stand."""


class Settings(TrainSettings):
    """A step of 96 windows is about a quarter of a second on one core."""

    images: int = Field(90_000, ge=1)
    batch_size: int = Field(24, ge=4)
    lr: float = Field(2e-3, gt=0)
    warmup_images: int = 1_200
    cooldown: float = 1.0
    ema: float = Field(1_500, ge=0)
    weight_decay: float = 0.05
    width: int = Field(64, ge=8, description="channels of the first blocks; twice that in the others")
    edits: int = Field(24_000, ge=1, description="edit pairs that the latents come from")
    parts: float = Field(0.2, ge=0, le=1, description="fraction of edits that are of parts, in close-ups")
    close_ups: float = Field(0.6, ge=0, le=1, description="fraction of close-ups among the pictures")
    windows: float = Field(0.75, ge=0, le=1, description="fraction of the batches that are windows")
    blur: float = Field(0.1, ge=0, description="largest deviation of the noise that latents are read through")
    data: Path = Path("runs/data")


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut (He et al. 2016)."""

    def __init__(self, inside: int, outside: int, stride: int = 1):
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.last = nn.BatchNorm2d(outside)
        self.shortcut = (
            nn.Identity()
            if inside == outside and stride == 1
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.last(self.second(F.relu(self.norm(self.first(x))))) + self.shortcut(x))


class Reader(nn.Module):
    """Latents (b, c, h, w), h and w even, to logits of WHAT in every cell, (b, nouns and places, h, w)."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.config = {"kind": KIND, "channels": channels, "width": width, "what": list(WHAT)}
        self.near = nn.Sequential(Block(channels, width), Block(width, width))
        self.far = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width))
        self.both = Block(3 * width, 2 * width)
        self.head = nn.Conv2d(2 * width, len(WHAT), 1)

    def features(self, x: Tensor) -> Tensor:
        """What lies around every cell, near and far, (b, 2 width, h, w)."""
        near = self.near(x)
        return self.both(torch.cat([near, F.interpolate(self.far(near), scale_factor=2)], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Critic(nn.Module):
    """A reader that learns on beside a painter, with one class more: painted, not drawn (Salimans et al. 2016, Sec. 5).

    The painter is asked for clean latents in which it reads the right nouns. A reader that learns no more is content
    with a noun's texture; one that does asks for shapes. It sees the latents that one prediction means, as the
    discriminator of adversarial diffusion distillation does (Sauer et al. 2023).
    """

    def __init__(self, reader: Reader):
        super().__init__()
        self.reader = reader.requires_grad_(True)
        self.doubt = nn.Conv2d(reader.head.in_channels, 1, 1)
        nn.init.zeros_(self.doubt.weight)
        nn.init.constant_(self.doubt.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of WHAT, and last of being painted, (b, nouns and places + 1, h, w)."""
        features = self.reader.features(x)
        return torch.cat([self.reader.head(features), self.doubt(features)], 1).float()

    def painters_loss(self, meant: Tensor, layouts: Tensor) -> Tensor:
        """How badly things are read in what a painter means (a scalar): teaches the painter, not the critic."""
        training, own = self.training, {name: value.detach() for name, value in self.state_dict().items()}
        logits = functional_call(self.eval(), own, (meant,))
        self.train(training)
        return _misread(logits, layouts, _things(layouts))

    def own_loss(self, meant: Tensor, truth: Tensor, layouts: Tensor) -> Tensor:
        """How badly it reads the truth, and how far it takes what a painter means for drawn (a scalar)."""
        drawn, painted = self(torch.cat([truth, meant.detach()])).split([len(truth), len(meant)])
        all_painted = torch.full((len(meant), *meant.shape[-2:]), len(WHAT), device=meant.device)
        return _misread(drawn, layouts, importance(layouts, 3.0)) + 0.5 * F.cross_entropy(painted, all_painted)

    def further(self, x0: Tensor, layouts: Tensor, alphas: Tensor, weight: float) -> Further:
        """Both losses, for `noise_loss` of clean latents x0 (b, c, h, w): the painter's times `weight`, and its own,
        scaled down, which changes no step of Adam's, so that the gradient's norm stays the painter's."""

        def further(x_t: Tensor, eps: Tensor, t: Tensor) -> Tensor:
            rows = (t >= CLEAREST) & (t < NOISIEST)
            if not rows.any():
                return x_t.new_zeros(())
            meant = one_step_x0(x_t[rows], eps[rows], t[rows], alphas)
            return weight * self.painters_loss(meant, layouts[rows]) + 0.1 * self.own_loss(meant, x0, layouts)

        return further


def _misread(logits: Tensor, layouts: Tensor, weighs: Tensor) -> Tensor:
    """Cross-entropy averaged over the cells that have a name, which weigh this (b, 1, h, w): a scalar."""
    wanted = layouts[:, 0].long()
    wrong = F.cross_entropy(logits, wanted, reduction="none", ignore_index=NAMELESS)
    named = weighs[:, 0] * (wanted != NAMELESS)
    return (wrong * named).sum() / named.sum().clamp(min=1)


def _things(layouts: Tensor) -> Tensor:
    """1 in the cells of things, else 0, (b, 1, h, w)."""
    return (layouts[:, :1] >= len(PLACES)).float()


@dataclass
class Batch:
    """Latents (b, c, h, w) and what stands where in them, uint8 (b, planes, h, w)."""

    x0: Tensor
    layouts: Tensor


def reader_of(pack_dir: Path, latent_channels: int) -> Reader:
    """The trained reader beside a pack's models.

    Raises: TrainingError when there is none; PackError when it cannot be read.
    """
    folder = pack_dir / "reader"
    if not folder.is_dir():
        raise TrainingError(f"{folder} is missing: run `pentimento train reader` first, or set critic=0")
    config = read_config(folder, KIND)
    net = Reader(config["channels"], config["width"])
    if net.config != config or config["channels"] != latent_channels:
        raise TrainingError(f"{folder} reads other latents or nouns: delete it and run `pentimento train reader`")
    read_weights(net, folder)
    return net


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae. Warm-starts from pack_dir/reader; exports there."""
    latents = edit_latents(settings.data, pack_dir, settings.edits, settings.parts)
    net = Reader(latents.pairs.shape[2], settings.width)
    warm_start(net, pack_dir / "reader")
    layouts = edit_layouts(settings.data, settings.edits, settings.parts)
    windows = edit_windows(settings.data, settings.edits, settings.parts)

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([105, settings.seed, step])
        if rng.random() < settings.windows:
            rows, sides = rng.integers(0, settings.edits, 4 * size), rng.integers(0, 2, 4 * size)
            seen = [windows[row] for row in rows]
            x0, places = windowed(latents.pairs[rows, sides], seen), windowed(layouts[rows, sides], seen)
        else:
            rows, sides = draw_rows(rng, size, settings.edits, settings.close_ups), rng.integers(0, 2, size)
            x0, places = latents.pairs[rows, sides], layouts[rows, sides]
        return Batch(torch.from_numpy(x0).float(), torch.from_numpy(places))

    def loss(net: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Cross-entropy on the cells of things, and 0.3 times that on all: things cover a sixth of them."""
        strength = settings.blur * torch.rand(len(batch.x0), 1, 1, 1, generator=generator).to(batch.x0)
        logits = net(batch.x0 + strength * draw_noise(batch.x0, generator)).float()
        everywhere = F.cross_entropy(logits, batch.layouts[:, 0].long(), ignore_index=NAMELESS)
        return _misread(logits, batch.layouts, _things(batch.layouts)) + 0.3 * everywhere

    def export(ema: nn.Module, out: Path) -> None:
        write_model(ema, ema.config, out / "reader")

    return Job(model=net, batch=batch, loss=loss, export=export, beside=latents.made_by)
