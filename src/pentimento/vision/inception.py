"""Inception-v3 as FID uses it (Heusel et al. 2017): 2048 features of a photograph, for distances between sets.

The network of the original FID is TensorFlow's of 2015-12-05, which differs from torchvision's in its pools; this is
its structure. Its weights are no part of this library: they are taken from a folder of safetensors files with the names
that ports of it share with torchvision (Conv2d_1a_3x3.conv.weight, ...). For measuring alone; no editor may see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .store import fill, read_published

SIDE = 299
DIMENSIONS = 2048
Pool = Literal["average", "largest", "halve"]


@dataclass(frozen=True)
class Layer:
    """A convolution with its norm and ReLU; without a stride it keeps the map's size."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Chain = tuple[tuple[Layer, ...], ...]
"""Layers behind each other; those of one link stand side by side and their maps are joined."""


class Convolution(nn.Module):
    """conv, bn, ReLU."""

    def __init__(self, inputs: int, layer: Layer, padding: tuple[int, int]):
        super().__init__()
        self.conv = nn.Conv2d(inputs, layer.channels, layer.kernel, layer.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(layer.channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Chains side by side, and a pool: with a convolution behind it, or "halve", which halves the map's sides."""

    def __init__(self, inputs: int, chains: Sequence[Chain], pool: Pool, pooled: int = 0):
        super().__init__()
        self.chains, self.pool, self.channels = tuple(chains), pool, pooled or inputs
        for chain in chains:
            channels = inputs
            for link in chain:
                for layer in link:
                    kept = (layer.kernel[0] // 2, layer.kernel[1] // 2) if layer.stride == 1 else (0, 0)
                    self.add_module(layer.name, Convolution(channels, layer, kept))
                channels = sum(layer.channels for layer in link)
            self.channels += channels
        if pooled:
            self.branch_pool = Convolution(inputs, Layer("branch_pool", pooled), (0, 0))

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for chain in self.chains:
            y = x
            for link in chain:
                y = torch.cat([self.get_submodule(layer.name)(y) for layer in link], dim=1)
            maps.append(y)
        return torch.cat([*maps, self._pooled(x)], dim=1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "halve":
            return F.max_pool2d(x, 3, stride=2)
        if self.pool == "largest":
            return self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))
        return self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))


def _chain(name: str, *layers: Layer) -> Chain:
    """One layer behind the other; `name` goes before theirs."""
    return tuple((Layer(name + layer.name, layer.channels, layer.kernel, layer.stride),) for layer in layers)


def _block_35(inputs: int, pooled: int) -> Mixed:
    chains = (
        _chain("branch1x1", Layer("", 64)),
        _chain("branch5x5", Layer("_1", 48), Layer("_2", 64, (5, 5))),
        _chain("branch3x3dbl", Layer("_1", 64), Layer("_2", 96, (3, 3)), Layer("_3", 96, (3, 3))),
    )
    return Mixed(inputs, chains, "average", pooled)


def _block_17(narrow: int) -> Mixed:
    wide, high = (1, 7), (7, 1)
    chains = (
        _chain("branch1x1", Layer("", 192)),
        _chain("branch7x7", Layer("_1", narrow), Layer("_2", narrow, wide), Layer("_3", 192, high)),
        _chain(
            "branch7x7dbl", Layer("_1", narrow), Layer("_2", narrow, high), Layer("_3", narrow, wide),
            Layer("_4", narrow, high), Layer("_5", 192, wide),
        ),
    )  # fmt: skip
    return Mixed(768, chains, "average", 192)


def _block_8(inputs: int, pool: Pool) -> Mixed:
    def forked(name: str) -> tuple[Layer, ...]:
        return Layer(f"{name}a", 384, (1, 3)), Layer(f"{name}b", 384, (3, 1))

    chains = (
        _chain("branch1x1", Layer("", 320)),
        (*_chain("branch3x3", Layer("_1", 384)), forked("branch3x3_2")),
        (*_chain("branch3x3dbl", Layer("_1", 448), Layer("_2", 384, (3, 3))), forked("branch3x3dbl_3")),
    )
    return Mixed(inputs, chains, pool, 192)


def _to_17() -> Mixed:
    chains = (
        _chain("branch3x3", Layer("", 384, (3, 3), 2)),
        _chain("branch3x3dbl", Layer("_1", 64), Layer("_2", 96, (3, 3)), Layer("_3", 96, (3, 3), 2)),
    )
    return Mixed(288, chains, "halve")


def _to_8() -> Mixed:
    chains = (
        _chain("branch3x3", Layer("_1", 192), Layer("_2", 320, (3, 3), 2)),
        _chain(
            "branch7x7x3", Layer("_1", 192), Layer("_2", 192, (1, 7)), Layer("_3", 192, (7, 1)),
            Layer("_4", 192, (3, 3), 2),
        ),
    )  # fmt: skip
    return Mixed(768, chains, "halve")


class InceptionNet(nn.Module):
    """Pictures (b, 3, 299, 299) in [-1, 1] to the mean of the last map, (b, 2048): "pool3"."""

    def __init__(self) -> None:
        super().__init__()
        none, one = (0, 0), (1, 1)
        self.Conv2d_1a_3x3 = Convolution(3, Layer("", 32, (3, 3), 2), none)
        self.Conv2d_2a_3x3 = Convolution(32, Layer("", 32, (3, 3)), none)
        self.Conv2d_2b_3x3 = Convolution(32, Layer("", 64, (3, 3)), one)
        self.Conv2d_3b_1x1 = Convolution(64, Layer("", 80), none)
        self.Conv2d_4a_3x3 = Convolution(80, Layer("", 192, (3, 3)), none)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_35(192, 32), _block_35(256, 64), _block_35(288, 64)
        self.Mixed_6a = _to_17()
        self.Mixed_6b, self.Mixed_6c = _block_17(128), _block_17(160)
        self.Mixed_6d, self.Mixed_6e = _block_17(160), _block_17(192)
        self.Mixed_7a = _to_8()
        self.Mixed_7b, self.Mixed_7c = _block_8(1280, "average"), _block_8(2048, "largest")

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)  # (b, 192, 35, 35)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((-2, -1))


@dataclass(frozen=True, eq=False)
class Inception:
    """A loaded network. Pictures are brought to 299 x 299 bilinearly, without smoothing, as PyTorch's ports of FID
    do; other resizing gives other distances."""

    net: InceptionNet
    name: str = "Inception-v3"

    @torch.no_grad()
    def pooled(self, images: Sequence[Image.Image]) -> Tensor:
        """Features of whole pictures, (n, 2048)."""
        return torch.cat([self.net(_tensor(image)) for image in images])


def _tensor(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def load(folder: Path) -> Inception:
    """The network whose published weights lie in `folder`; its classifier is not needed.

    Raises: PackError when they are missing or do not fit.
    """
    net = InceptionNet()
    left_out = ("fc.", "AuxLogits.")
    state = {name: value for name, value in read_published(folder).items() if not name.startswith(left_out)}
    counts = {name: value for name, value in net.state_dict().items() if name.endswith("num_batches_tracked")}
    fill(net, {**counts, **state}, folder)  # old files count no batches, and nothing reads the count
    return Inception(net)
