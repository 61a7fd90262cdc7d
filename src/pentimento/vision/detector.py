"""Phrases to boxes: a dense, centre-assigned detector (kind "dense_detector") that learns from scratch in minutes.

Grounding DINO's role (InstructEdit Sec. 3.3) in the miniature. A convolutional encoder gives one feature for every
cell of a 32x32 grid; a phrase is read letter by letter into a few vectors; their product is a heat map of object
centres (things and parts) or a map of the region itself (stuff: "sky", "background"). Boxes are regressed at every
cell without knowing the phrase. Which phrases are parts or stuff is said in the config, by their last word.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..values import Box
from .layers import Fuse, ImageEncoder, PhraseEncoder, plain_words, spell
from .store import read_config, read_weights, write_model

KIND = "dense_detector"
PADDING = 128  # grey level around a picture that is not square


@dataclass(frozen=True)
class DetectorConfig:
    """What builds a `DetectorNet`. `stuff` and `parts` are last words of phrases, singular or plural."""

    side: int = 128  # pixels
    stride: int = 4  # pixels a cell
    widths: tuple[int, ...] = (48, 96, 160, 224)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    fused: int = 80
    text: int = 128
    match: int = 48  # length of the vectors in which pictures and phrases meet
    stuff: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def grid(self) -> int:
        """Cells along a side."""
        return self.side // self.stride


class Dense(NamedTuple):
    """What the net says of k phrases on b pictures, g x g cells. Offsets: things first, parts second."""

    heat: Tensor  # (b, k, g, g) logits of being a box's centre
    region: Tensor  # (b, k, g, g) logits of being covered
    offsets: Tensor  # (b, 2, 4, g, g) left, top, right, bottom, in cells from the cell's centre, > 0


class Keys(NamedTuple):
    """Phrases as what the picture's features are multiplied with. Maps: heat and region; views: noun and look."""

    vectors: Tensor  # (..., 2 maps, 2 views, match)
    biases: Tensor  # (..., 2 maps, 2 views)


class DetectorNet(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] and spelled phrases (b, k, words, letters) to `Dense`.

    A phrase holds in a cell when both its views agree: "orange cat" is a cat, and it is orange. Nothing says which view
    is which but the training loss.
    """

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.widths, config.blocks)
        self.fuse = Fuse(config.widths, config.fused)
        self.look = nn.Conv2d(config.fused, 4 * config.match, 1)
        self.box = nn.Conv2d(config.fused, 8, 1)
        self.phrase = PhraseEncoder(config.text)
        self.key = nn.Linear(config.text, 4 * config.match)
        self.bias = nn.Linear(config.text, 4)
        nn.init.normal_(self.key.weight, std=0.05)
        nn.init.zeros_(self.box.weight)
        with torch.no_grad():
            self.box.bias.fill_(math.log(4.0))
            self.bias.bias.copy_(torch.tensor([-3.0, 0.0, -1.0, 0.0]))

    def keys(self, spelled: Tensor) -> Keys:
        """Spelled phrases (..., words, letters)."""
        words = self.phrase(spelled.flatten(0, -3))
        shape = (*spelled.shape[:-2], 2, 2)
        return Keys(self.key(words).view(*shape, self.config.match), self.bias(words).float().view(shape))

    def looks(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The features (b, 2 maps, 2 views, match, g, g) and the offsets (b, 2, 4, g, g) of every cell."""
        x = self.fuse(self.encoder(pictures))  # (b, fused, g, g)
        features = self.look(x).unflatten(1, (2, 2, self.config.match))
        return features, self.box(x).float().clamp(-3, 4).exp().unflatten(1, (2, 4))

    def forward(self, pictures: Tensor, spelled: Tensor) -> Dense:
        features, offsets = self.looks(pictures)
        keys = self.keys(spelled)
        heat, region = agree(features, keys).unbind(2)
        return Dense(heat, region, offsets)


def agree(features: Tensor, keys: Keys) -> Tensor:
    """Logits (b, k, 2 maps, g, g) of features (b, 2, 2, match, g, g) and the keys of k phrases each: a soft "and"."""
    vectors = keys.vectors.permute(0, 2, 3, 1, 4)  # (b, 2, 2, k, match)
    scores = (vectors @ features.flatten(4)).float() + keys.biases.permute(0, 2, 3, 1)[..., None]
    both = -torch.logsumexp(-scores, 2)  # (b, 2, k, g * g)
    return both.transpose(1, 2).unflatten(-1, features.shape[-2:])


class Targets(NamedTuple):
    """What a perfect net says of one set of boxes on a g x g grid."""

    heat: np.ndarray  # (n, g, g) in [0, 1], 1 in the cell that holds a box's centre
    offsets: np.ndarray  # (4, g, g) in cells, > 0
    weight: np.ndarray  # (g, g) in [0, 1], how much the offsets of a cell count


def encode(boxes: Sequence[tuple[float, float, float, float]], grid: int, stride: int) -> Targets:
    """Boxes in pixels to targets: a Gaussian for each box, a sixth of its size wide, and offsets around it.

    A cell that two boxes want belongs to the one whose Gaussian is higher there.
    """
    heat = np.zeros((len(boxes), grid, grid), np.float32)
    offsets, weight = np.ones((4, grid, grid), np.float32), np.zeros((grid, grid), np.float32)
    cells = np.arange(grid, dtype=np.float32)
    for i, (left, top, right, bottom) in enumerate(boxes):
        column, row = (min(int((a + b) / 2 / stride), grid - 1) for a, b in ((left, right), (top, bottom)))
        sx, sy = (max((b - a) / stride / 6, 0.6) for a, b in ((left, right), (top, bottom)))
        heat[i] = np.exp(-0.5 * (((cells - column) / sx) ** 2 + (((cells - row) / sy) ** 2)[:, None]))
        heat[i][heat[i] < 0.05] = 0
        mine = heat[i] > weight
        weight[mine] = heat[i][mine]
        x, y = np.broadcast_to(cells + 0.5, (grid, grid)), np.broadcast_to((cells + 0.5)[:, None], (grid, grid))
        edges = (x - left / stride, y - top / stride, right / stride - x, bottom / stride - y)
        for side, distance in enumerate(edges):
            offsets[side][mine] = np.maximum(distance[mine], 0.05)
    return Targets(heat, offsets, weight)


def decode(heat: Tensor, offsets: Tensor, stride: int, threshold: float) -> tuple[Tensor, Tensor]:
    """The local maxima of heat (g, g) in [0, 1] at or above `threshold`: boxes (n, 4) in pixels, scores (n,)."""
    peak = heat == F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero(peak & (heat >= threshold), as_tuple=True)
    left, top, right, bottom = offsets[:, rows, columns]
    x, y = columns + 0.5, rows + 0.5
    return torch.stack([x - left, y - top, x + right, y + bottom], 1) * stride, heat[rows, columns]


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of boxes (n, 4) with boxes (m, 4): (n, m)."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(-1) for boxes in (one, other)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp_min(1e-6)


def suppress(boxes: Tensor, scores: Tensor, limit: float = 0.5) -> Tensor:
    """Greedy non-maximum suppression: indices of the boxes (n, 4) to keep, best score first."""
    order = torch.argsort(scores, descending=True, stable=True)
    overlap, kept = overlaps(boxes, boxes), []
    for index in order.tolist():
        if all(overlap[index, other] <= limit for other in kept):
            kept.append(index)
    return torch.tensor(kept, dtype=torch.long)


def fit(image: Image.Image, side: int) -> tuple[np.ndarray, float]:
    """The picture as uint8 (side, side, 3), its longer side `side`, grey on the right or below; and the scale."""
    width, height = image.size
    scale = side / max(width, height)
    small = image.convert("RGB").resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    out = np.full((side, side, 3), PADDING, np.uint8)
    out[: small.height, : small.width] = np.asarray(small)
    return out, scale


@dataclass(frozen=True)
class DenseDetector:
    """Fulfils `roles.Detector`, for pictures of any size: the net sees them with the longer side at 128 pixels."""

    net: DetectorNet

    def detect(self, image: Image.Image, phrases: Sequence[str], threshold: float) -> tuple[Box, ...]:
        """All boxes at or above `threshold`, best first; a stuff phrase has at most one, around its region."""
        boxes = [box for group in self._boxes(image, phrases, threshold) for box in group]
        return tuple(sorted(boxes, key=lambda box: -box.score))

    def best_score(self, image: Image.Image, phrase: str) -> float:
        boxes = self._boxes(image, [phrase], 0.0)[0]
        return max((box.score for box in boxes), default=0.0)

    @torch.no_grad()
    def _boxes(self, image: Image.Image, phrases: Sequence[str], threshold: float) -> list[list[Box]]:
        if not phrases:
            return []
        config, device = self.net.config, next(self.net.parameters()).device
        picture, scale = fit(image, config.side)
        tensor = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        dense = self.net(tensor, spell(tuple(phrases))[None].to(device))
        heat, region = dense.heat[0].sigmoid().cpu(), dense.region[0].sigmoid().cpu()
        offsets = dense.offsets[0].cpu()
        width, height = image.size
        inside = (math.ceil(height * scale / config.stride), math.ceil(width * scale / config.stride))
        found = []
        for i, phrase in enumerate(phrases):
            last = (plain_words(phrase) or [""])[-1]
            if last in config.stuff:
                boxes, scores = _around(region[i, : inside[0], : inside[1]], config.stride, threshold)
            else:
                boxes, scores = decode(heat[i], offsets[int(last in config.parts)], config.stride, threshold)
            boxes = boxes / scale
            boxes = torch.minimum(boxes.clamp_min(0), torch.tensor([width, height, width, height], dtype=torch.float))
            solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
            boxes, scores = boxes[solid], scores[solid]
            kept = suppress(boxes, scores)
            found.append(
                [
                    Box(*edges, score, phrase)
                    for edges, score in zip(boxes[kept].tolist(), scores[kept].tolist(), strict=True)
                ]
            )
        return found


def _around(region: Tensor, stride: int, threshold: float) -> tuple[Tensor, Tensor]:
    """One box (1, 4) around the cells that are more likely covered than not, or none, and its score.

    The score is the mean likelihood of the likelier half of the cells that a region of this kind covers, at least
    four cells: one lit cell is no sky.
    """
    likely = region.flatten().sort(descending=True).values
    count = max(4, int((likely > 0.5).sum()) // 2)
    score = likely[:count].mean()
    if score < threshold:
        return torch.zeros(0, 4), torch.zeros(0)
    rows, columns = torch.nonzero(region >= min(0.5, float(likely[0])), as_tuple=True)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(edges)[None].float() * stride, score[None]


def save(net: DetectorNet, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16)."""
    write_model(net, {"kind": KIND} | asdict(net.config), folder)


def load(folder: Path) -> DenseDetector:
    """A detector from its folder. Raises: PackError."""
    config = read_config(folder, KIND)
    fields = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.items() if name != "kind"
    }
    net = DetectorNet(DetectorConfig(**fields))
    read_weights(net, folder)
    return DenseDetector(net)
