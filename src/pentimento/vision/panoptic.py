"""A picture to things and surfaces that do not overlap, in one pass and a look at each thing (kind "centre_panoptic").

Mask2Former's role (InstructGIE Eq. 7) in the miniature. Its matching of queries takes days to learn from nothing. Here
every pixel says which surface it shows, or that it shows a thing, and then where the middle of that thing is
(Panoptic-DeepLab, Cheng et al. 2020). So things come apart where they touch, and no pixel belongs to two. What a thing
is called is told from a crop of it, with the other things greyed out, through the eyes of a trained detector.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..values import Segment
from .detector import DetectorNet, config_through, cut, fit, save_through
from .layers import ConvNorm, Fuse, ImageEncoder
from .store import read_weights

KIND = "centre_panoptic"
STRIDE = 2  # pixels a cell
STEM = 24  # channels of `ImageEncoder`'s first map


@dataclass(frozen=True)
class PanopticConfig:
    """What builds a `PanopticNet`. The widths are the detector's, whose encoder of scenes it can begin with."""

    nouns: tuple[str, ...]
    surfaces: tuple[str, ...]
    side: int = 128  # pixels of a picture
    scene_widths: tuple[int, ...] = (32, 64, 96, 128)
    scene_blocks: tuple[int, ...] = (1, 1, 1, 1)
    fused: int = 40
    threshold: float = 0.2  # how likely a middle must be, in [0, 1]
    apart: int = 3  # cells on each side of a middle in which there is no other
    smallest: int = 30  # pixels of a segment of the net's picture; what is smaller is not told
    things: int = 16  # at most


class Regions(NamedTuple):
    """What the net sees in each of g x g cells of b pictures, g = side / STRIDE."""

    classes: Tensor  # (b, 1 + surfaces, g, g) logits: a thing, or which surface
    middle: Tensor  # (b, g, g) logits of being the middle of a thing
    offsets: Tensor  # (b, 2, g, g) cells from here down and right to the middle of the thing seen here


class PanopticNet(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] to `Regions`, crops of things to nouns.

    Crops are seen through a trained detector's encoder, which is not trained any further: its norms keep their
    statistics.
    """

    def __init__(self, config: PanopticConfig, detector: DetectorNet):
        super().__init__()
        self.config = config
        self.detector = detector.eval().requires_grad_(False)
        self.scene = ImageEncoder(config.scene_widths, config.scene_blocks)
        self.fuse = Fuse((STEM, *config.scene_widths), config.fused)
        self.last = ConvNorm(config.fused, config.fused)
        self.out = nn.Conv2d(config.fused, 4 + len(config.surfaces), 1)
        width = detector.config.widths[-1]
        self.noun = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, len(config.nouns)))
        with torch.no_grad():  # no middles and no offsets at first; surfaces from the first step on
            self.out.weight[:3] = 0
            self.out.bias.copy_(torch.tensor([-4.0] + [0.0] * (3 + len(config.surfaces))))  # type: ignore[union-attr]

    def train(self, mode: bool = True) -> "PanopticNet":
        super().train(mode)
        self.detector.eval()
        return self

    def forward(self, pictures: Tensor) -> Regions:
        x = self.scene.stem(pictures)
        maps = [x]
        for stage in self.scene.stages:
            x = stage(x)
            maps.append(x)
        out = self.out(self.last(self.fuse(maps))).float()  # (b, 4 + surfaces, g, g)
        return Regions(out[:, 3:], out[:, 0], out[:, 1:3] * 8)

    def names(self, crops: Tensor) -> Tensor:
        """Logits (n, nouns) of crops (n, 3, crop, crop), of the detector's size."""
        return self.noun(self.detector.encoder(crops)[-1].mean((2, 3))).float()


def alone(pictures: Tensor, owners: Tensor, which: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Crops (n, 3, side, side) of one thing each, with all other things 0 (grey).

    Of pictures (n, 3, h, w), owners (n, h, w) of their pixels (the number of a thing, -1 for none), the things
    `which` (n,), and their boxes (n, 4) in pixels.
    """
    shown = (owners == which[:, None, None]) | (owners < 0)
    return cut(pictures * shown[:, None], boxes[:, None], side)[:, 0]


def middles(likely: Tensor, config: PanopticConfig) -> Tensor:
    """The places (n, 2), row and column, of the most likely middles in a map (g, g), best first."""
    reach = config.apart
    peak = likely == F.max_pool2d(likely[None, None], 2 * reach + 1, 1, reach)[0, 0]
    places = torch.nonzero(peak & (likely >= config.threshold))
    order = torch.argsort(likely[places[:, 0], places[:, 1]], descending=True, stable=True)
    return places[order[: config.things]]


def grouped(offsets: Tensor, places: Tensor) -> Tensor:
    """Which of the middles (n, 2) each pixel means, (2 g, 2 g): the nearest to where its offset points.

    Offsets (2, g, g) are in cells, from each cell's place; n is at least 1.
    """
    fine = F.interpolate(offsets[None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[0]
    axes = [(torch.arange(size, device=fine.device) + 0.5) / STRIDE - 0.5 for size in fine.shape[1:]]
    meant = fine + torch.stack(torch.meshgrid(*axes, indexing="ij"))  # (2, 2 g, 2 g)
    distances = (meant[None] - places[:, :, None, None].float()).square().sum(1)  # (n, 2 g, 2 g)
    return distances.argmin(0)


class Parts(NamedTuple):
    """The segments of one picture, things first, then `surfaces` (numbers among the config's)."""

    sure: Tensor  # (segments, h, w) how sure they are of each pixel, in [0, 1]
    surfaces: tuple[int, ...]


def parts(regions: Regions, config: PanopticConfig, height: int, width: int) -> Parts:
    """The segments of a single picture's regions, of which the upper left height x width pixels show something.

    A segment that is the likeliest in fewer pixels than `smallest` leaves them to the others.
    """
    logits = F.interpolate(regions.classes, scale_factor=STRIDE, mode="bilinear", align_corners=False)
    likely = logits[0].softmax(0)[:, :height, :width]  # (1 + surfaces, h, w)
    places = middles(regions.middle[0].sigmoid(), config)
    things = likely[:0]
    if len(places):
        owner = grouped(regions.offsets[0], places)[:height, :width]
        things = F.one_hot(owner, len(places)).permute(2, 0, 1) * likely[:1]
    sure = torch.cat([things, likely[1:]])
    kept = torch.bincount(sure.argmax(0).flatten(), minlength=len(sure)) >= config.smallest
    return Parts(sure[kept], tuple(torch.nonzero(kept[len(things) :]).flatten().tolist()))


def owners_at(sure: Tensor, height: int, width: int) -> np.ndarray:
    """The number of the segment that is surest of each pixel, int (height, width), from maps (segments, h, w)."""
    best, owner = torch.full((height, width), -1.0), torch.zeros(height, width, dtype=torch.uint8)
    for number, one in enumerate(sure):
        fine = F.interpolate(one[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]
        owner[fine > best] = number
        best = torch.maximum(best, fine)
    return owner.numpy()


@dataclass(frozen=True)
class CentrePanoptic:
    """Fulfils `roles.Panoptic`, for pictures of any size: the net sees them with the longer side at 128 pixels.

    Things bear nouns of the world; surfaces are "sky", "wall", "floor", or the place whose ground they are ("grass").
    """

    net: PanopticNet

    @torch.no_grad()
    def segments(self, image: Image.Image) -> tuple[Segment, ...]:
        """Things and surfaces, most certain first: by how sure the net is of a segment's pixels, and of its noun."""
        config, device = self.net.config, next(self.net.parameters()).device
        picture, scale = fit(image, config.side)
        height, width = (max(1, round(size * scale)) for size in (image.height, image.width))
        tensor = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        found = parts(self.net(tensor), config, height, width)
        labels = self._things(tensor[..., :height, :width], found) + [(config.surfaces[i], 1.0) for i in found.surfaces]
        coarse, owners = found.sure.argmax(0), owners_at(found.sure.cpu(), image.height, image.width)
        segments = []
        for number, (label, likely) in enumerate(labels):
            if (mask := owners == number).any():
                score = likely * float(found.sure[number][coarse == number].mean())
                segments.append(Segment(label, mask, score))
        return tuple(sorted(segments, key=lambda segment: -segment.score))

    def _things(self, picture: Tensor, found: Parts) -> list[tuple[str, float]]:
        """The nouns of the things in a picture (1, 3, h, w), each with how likely it is."""
        count = len(found.sure) - len(found.surfaces)
        if not count:
            return []
        owners = found.sure.argmax(0)
        owners = torch.where(owners < count, owners, -1)
        which = torch.arange(count, device=owners.device)
        boxes = torch.stack([box_around(owners == number) for number in which])
        crops = alone(
            picture.expand(count, -1, -1, -1),
            owners.expand(count, -1, -1),
            which,
            boxes,
            self.net.detector.config.crop,
        )
        likely, nouns = self.net.names(crops).softmax(-1).max(-1)
        return [(self.net.config.nouns[noun], p) for noun, p in zip(nouns.tolist(), likely.tolist(), strict=True)]


def box_around(mask: Tensor) -> Tensor:
    """(left, top, right, bottom) of a mask (h, w) that is not empty, in pixels; right and bottom are outside."""
    rows, columns = torch.nonzero(mask.any(1)).flatten(), torch.nonzero(mask.any(0)).flatten()
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


def save(net: PanopticNet, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16) without the detector, which has a folder of its own."""
    save_through(net, KIND, folder)


def load(folder: Path, eyes: DetectorNet) -> CentrePanoptic:
    """A panoptic model from its folder, and the detector's net that it looks through.

    Raises: PackError, also when it learned to look through another detector.
    """
    net = PanopticNet(PanopticConfig(**config_through(folder, KIND, eyes)), eyes)
    read_weights(net, folder, has="detector")
    return CentrePanoptic(net)
