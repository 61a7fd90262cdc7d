"""LPIPS on AlexNet, as published (Zhang et al. 2018): how different two photographs look.

Its weights are no part of this library. They are taken from a folder of safetensors files with the published tensor
names: torchvision's AlexNet (features.0.weight, ...) and the linear heads of lpips v0.1 (lin0.model.1.weight, ...), or
the two as one file, as the package lpips saves them. For measuring alone; no editor may see it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .store import fill, read_published

CHANNELS = (64, 192, 384, 256, 256)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation for pixels in [-1, 1], as the authors round them."""


class LpipsNet(nn.Module):
    """Pictures (b, 3, h, w) in [-1, 1] to AlexNet's five maps after their ReLU; `heads` weigh their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in CHANNELS)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x, maps = (pictures - self.shift) / self.scale, []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                maps.append(x)
        return maps


@dataclass(frozen=True, eq=False)
class Lpips:
    """A loaded network. Pictures are seen at their own size, which both of a pair must have; at least 63 pixels."""

    net: LpipsNet
    name: str = "LPIPS, AlexNet"

    @torch.no_grad()
    def distances(self, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> Tensor:
        """How different each picture looks from its partner, (n,): 0 for equal ones (Zhang et al. 2018, Eq. 1)."""
        pairs = zip(images, others, strict=True)
        return torch.stack([sum((x.mean() for x in self._unlike(*pair)), torch.zeros(())) for pair in pairs])

    @torch.no_grad()
    def distance_map(self, image: Image.Image, other: Image.Image) -> Tensor:
        """How different two pictures look at each pixel, (h, w): the authors' spatial form."""
        size = (image.height, image.width)
        maps = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in self._unlike(image, other)]
        return torch.stack(maps).sum(0)[0, 0]

    def _unlike(self, image: Image.Image, other: Image.Image) -> list[Tensor]:
        """By layer, the weighted squared difference of features of length 1, (1, 1, h, w)."""
        maps = zip(self.net.heads, self.net(_pixels(image)), self.net(_pixels(other)), strict=True)
        return [head((_unit(one) - _unit(two)).square()) for head, one, two in maps]


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _pixels(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, 3, h, w)


def load(folder: Path) -> Lpips:
    """The network whose published weights lie in `folder`.

    Raises: PackError when they are missing or do not fit.
    """
    net = LpipsNet()
    fill(net, _ours(read_published(folder)), folder)
    return Lpips(net)


def _ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by our names; AlexNet's classifier and what else lies there is left out."""
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        trunk = re.fullmatch(r"(?:features|net\.slice\d)\.(\d+\.(?:weight|bias))", name)
        head = re.fullmatch(r"lin(\d)\.model\.1\.weight", name)
        if trunk:
            named[f"features.{trunk[1]}"] = value
        if head:
            named[f"heads.{head[1]}.weight"] = value
    return named
