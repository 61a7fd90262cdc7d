"""The miniature's own perceptual network: how different two pictures look, and features for distances between sets.

An LPIPS-like distance without learned weights (Zhang et al. 2018, Sec. 3: unit-normalised features, squared
differences, averaged over positions and layers), on features of the drawn world. Scores compare methods on this world
with each other and are no published LPIPS or FID. For measuring alone; no editor may see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .layers import ImageEncoder
from .store import read_config, read_weights, write_model

KIND = "perceptual"
DIMENSIONS = 128
"""Of the pooled features, fixed before any table was made."""


@dataclass(frozen=True)
class PerceptualConfig:
    """`words` are the classes that it learns to tell, by factor; of `several` any number may hold at once."""

    words: Mapping[str, tuple[str, ...]]
    several: tuple[str, ...] = ("nouns",)
    side: int = 128
    widths: tuple[int, ...] = (32, 64, 96, DIMENSIONS)
    blocks: tuple[int, ...] = (1, 1, 1, 1)


class PerceptualNet(nn.Module):
    """Pictures (b, 3, h, w) in [-1, 1] to logits by factor, (b, words); what counts are the maps on the way there."""

    def __init__(self, config: PerceptualConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.widths, config.blocks)
        self.heads = nn.ModuleDict(
            {factor: nn.Linear(config.widths[-1], len(words)) for factor, words in config.words.items()}
        )

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x = self.encoder(pictures)[-1].mean((-2, -1))  # (b, 128)
        return {factor: head(x) for factor, head in self.heads.items()}


@dataclass(frozen=True, eq=False)
class Perceptual:
    """A loaded network. Pictures are brought to `side` x `side`, whatever their aspect. `name` labels its figures."""

    net: PerceptualNet
    name: str = "the miniature's own network"

    @torch.no_grad()
    def distances(self, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> Tensor:
        """How different each picture looks from its partner, (n,): 0 for equal ones, at most 4."""
        total = torch.zeros(len(images))
        maps = zip(self._maps(images), self._maps(others), strict=True)
        for one, other in maps:
            unlike = (F.normalize(one, dim=1) - F.normalize(other, dim=1)).square().sum(1)  # (n, h, w)
            total += unlike.mean((-2, -1)).cpu()
        return total / len(self.net.config.widths)

    @torch.no_grad()
    def distance_map(self, image: Image.Image, other: Image.Image) -> Tensor:
        """How different two pictures of one size look at each pixel, (h, w): its mean is nearly `distances`."""
        size = (image.height, image.width)
        total = torch.zeros(size)
        for one, two in zip(self._maps([image]), self._maps([other]), strict=True):
            unlike = (F.normalize(one, dim=1) - F.normalize(two, dim=1)).square().sum(1, keepdim=True)  # (1, 1, h, w)
            total += F.interpolate(unlike, size=size, mode="bilinear", align_corners=False)[0, 0].cpu()
        return total / len(self.net.config.widths)

    @torch.no_grad()
    def pooled(self, images: Sequence[Image.Image]) -> Tensor:
        """Features of whole pictures, (n, 128), for distances between sets."""
        return self._maps(images)[-1].mean((-2, -1)).cpu()

    def _maps(self, images: Sequence[Image.Image]) -> list[Tensor]:
        device = next(self.net.parameters()).device
        return [x.float() for x in self.net.encoder(_tensor(images, self.net.config.side).to(device))]


def _tensor(images: Sequence[Image.Image], side: int) -> Tensor:
    small = [i.convert("RGB").resize((side, side), Image.Resampling.BICUBIC) for i in images]
    return torch.from_numpy(np.stack([np.asarray(i) for i in small])).permute(0, 3, 1, 2).float() / 127.5 - 1


def save(net: PerceptualNet, folder: Path) -> None:
    """Write config.json and model.safetensors into `folder`."""
    write_model(net, {"kind": KIND} | asdict(net.config), folder)


def load(folder: Path) -> Perceptual:
    """The network that was saved in `folder`.

    Raises: PackError when the folder holds none.
    """
    stored = {key: value for key, value in read_config(folder, KIND).items() if key != "kind"}
    stored["words"] = {factor: tuple(words) for factor, words in stored["words"].items()}
    stored |= {key: tuple(stored[key]) for key in ("several", "widths", "blocks")}
    net = PerceptualNet(PerceptualConfig(**stored))
    read_weights(net, folder)
    return Perceptual(net)
