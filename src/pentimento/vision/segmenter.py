"""Boxes to masks: a small U-Net on 64x64 crops (kind "crop_segmenter").

SAM's role (InstructEdit Sec. 3.3) in the miniature. Each box is cut out with a margin, with the box itself as a
fourth channel, which marks the instance among touching ones, and with the box's phrase, which tells sky from ground
in one box. A box without a phrase works too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..values import Box
from .detector import frozen
from .layers import ConvNorm, PhraseEncoder, Residual, spell
from .store import read_config, read_weights, write_model

KIND = "crop_segmenter"


@dataclass(frozen=True)
class SegmenterConfig:
    """What builds a `SegmenterNet`."""

    side: int = 64  # pixels of a crop
    margin: float = 0.2  # of the box's width and height, on each side
    widths: tuple[int, ...] = (24, 48, 96, 128)  # at strides 1, 2, 4, 8
    text: int = 64


class SegmenterNet(nn.Module):
    """Crops (b, 4, side, side), spelled phrases (b, words, letters) to mask logits (b, side, side).

    The first three channels are the picture in [-1, 1], the fourth is 1 inside the box and 0 outside.
    """

    def __init__(self, config: SegmenterConfig):
        super().__init__()
        self.config = config
        first, *rest = config.widths
        self.stem = ConvNorm(4, first)
        self.down = nn.ModuleList()
        for inside, outside in zip(config.widths, rest, strict=False):
            self.down.append(nn.Sequential(ConvNorm(inside, outside, 2), Residual(outside)))
        self.deep = nn.Sequential(ConvNorm(rest[-1], rest[-1]), Residual(rest[-1]))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(config.widths, rest, strict=False))
        self.join = nn.ModuleList(ConvNorm(a, a) for a in config.widths[:-1])
        self.out = nn.Conv2d(first, 1, 3, 1, 1)
        self.phrase = PhraseEncoder(config.text)
        self.film = nn.Linear(config.text, 2 * (rest[-1] + rest[-2]))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, crops: Tensor, spelled: Tensor) -> Tensor:
        deepest, second = self.config.widths[-1], self.config.widths[-2]
        gain, shift, gain2, shift2 = self.film(self.phrase(spelled))[..., None, None].split(
            [deepest, deepest, second, second], 1
        )
        x, kept = self.stem(crops), []
        for down in self.down:
            kept.append(x)
            x = down(x)
        x = self.deep(x * (1 + gain) + shift)  # (b, 128, side / 8, side / 8)
        kept[-1] = kept[-1] * (1 + gain2) + shift2
        for up, join, skip in zip(reversed(self.up), reversed(self.join), reversed(kept), strict=True):
            x = join(F.interpolate(up(x), scale_factor=2, mode="nearest") + skip)
        return self.out(x)[:, 0].float()


@dataclass(frozen=True)
class Window:
    """The part of a picture that a crop shows, in pixels; it may reach beyond the picture."""

    left: float
    top: float
    right: float
    bottom: float


def window(box: Box, margin: float) -> Window:
    """The box with `margin` of its width and height on each side; at least four pixels wide and high."""
    x, y = box.centre
    half_x, half_y = (max((high - low) * (0.5 + margin), 2.0) for low, high in
                      ((box.left, box.right), (box.top, box.bottom)))  # fmt: skip
    return Window(x - half_x, y - half_y, x + half_x, y + half_y)


def crop(image: Image.Image, part: Window, side: int) -> Image.Image:
    """The window as side x side pixels, resampled with antialiasing; the edge pixels go on outside the picture."""
    edges = (part.left, part.top, image.width - part.right, image.height - part.bottom)
    outside = int(np.ceil(max(0.0, -min(edges))))
    if outside:
        array = np.asarray(image)
        pads = ((outside, outside), (outside, outside), (0, 0))[: array.ndim]
        image = Image.fromarray(np.pad(array, pads, mode="edge"))
    corners = (part.left + outside, part.top + outside, part.right + outside, part.bottom + outside)
    return image.resize((side, side), Image.Resampling.BILINEAR, box=corners)


def box_channel(box: Box, part: Window, side: int) -> np.ndarray:
    """How much of each crop pixel the box covers, float32 (side, side) in [0, 1]."""
    cells = np.arange(side, dtype=np.float32)
    covers = []
    for low, high, start, end in (
        (box.top, box.bottom, part.top, part.bottom),
        (box.left, box.right, part.left, part.right),
    ):
        low, high = ((edge - start) / (end - start) * side for edge in (low, high))
        covers.append(np.clip(np.minimum(cells + 1, high) - np.maximum(cells, low), 0, 1))
    return (covers[0][:, None] * covers[1][None]).astype(np.float32)


def paste(logits: Tensor, part: Window, width: int, height: int) -> np.ndarray:
    """Logits (side, side) of a window put back into a picture: bool (height, width), logit > 0, False outside."""
    mask = np.zeros((height, width), bool)
    left, top = max(0, int(np.floor(part.left))), max(0, int(np.floor(part.top)))
    right, bottom = min(width, int(np.ceil(part.right))), min(height, int(np.ceil(part.bottom)))
    if right <= left or bottom <= top:
        return mask
    x = (torch.arange(left, right) + 0.5 - part.left) / (part.right - part.left) * 2 - 1
    y = (torch.arange(top, bottom) + 0.5 - part.top) / (part.bottom - part.top) * 2 - 1
    where = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1)[None].float()  # (1, h, w, 2)
    fine = F.grid_sample(logits[None, None].float(), where, padding_mode="border", align_corners=False)[0, 0]
    inside = (x.abs() <= 1) & (y.abs() <= 1)[:, None]
    mask[top:bottom, left:right] = ((fine > 0) & inside).numpy()
    return mask


@dataclass(frozen=True)
class CropSegmenter:
    """Fulfils `roles.BoxSegmenter`, for pictures of any size. A box in which nothing is seen is its own mask."""

    net: SegmenterNet

    @torch.no_grad()
    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> np.ndarray:
        """One mask for each box, bool (n, h, w)."""
        if not boxes:
            return np.zeros((0, image.height, image.width), bool)
        config, device = self.net.config, next(self.net.parameters()).device
        picture = image.convert("RGB")
        windows = [window(box, config.margin) for box in boxes]
        crops = torch.stack(
            [as_input(picture, box, part, config.side) for box, part in zip(boxes, windows, strict=True)]
        )
        logits = self.net(crops.to(device), spell([box.phrase for box in boxes]).to(device)).cpu()
        masks = np.stack([paste(one, part, *image.size) for one, part in zip(logits, windows, strict=True)])
        for mask, box in zip(masks, boxes, strict=True):
            if not mask.any():
                left, top = min(int(box.left), image.width - 1), min(int(box.top), image.height - 1)
                mask[
                    max(0, top) : max(1, round(box.bottom), top + 1), max(0, left) : max(1, round(box.right), left + 1)
                ] = True
        return masks


def as_input(picture: Image.Image, box: Box, part: Window, side: int) -> Tensor:
    """One crop for the net, (4, side, side)."""
    pixels = np.asarray(crop(picture, part, side), np.float32) / 127.5 - 1
    return torch.from_numpy(np.concatenate([pixels.transpose(2, 0, 1), box_channel(box, part, side)[None]]))


def save(net: SegmenterNet, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16)."""
    write_model(net, {"kind": KIND} | asdict(net.config), folder)


def load(folder: Path) -> CropSegmenter:
    """A box segmenter from its folder. Raises: PackError."""
    config = read_config(folder, KIND)
    net = SegmenterNet(SegmenterConfig(**frozen(config)))
    read_weights(net, folder)
    return CropSegmenter(net)
