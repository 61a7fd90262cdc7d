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


class Features(NamedTuple):
    """What the net sees in each of g x g cells of b pictures. Kinds: things first, parts second."""

    views: Tensor  # (b, 2, match, g, g): what it is, how it looks
    centre: Tensor  # (b, 2 kinds, g, g) logits of being a box's centre
    offsets: Tensor  # (b, 2 kinds, 4, g, g) left, top, right, bottom, in cells from the cell's centre, > 0


class Keys(NamedTuple):
    """Phrases as what the two views are multiplied with."""

    vectors: Tensor  # (..., 2, match)
    biases: Tensor  # (..., 2)


class Dense(NamedTuple):
    """What k phrases mean on b pictures."""

    heat: Tensor  # (b, k, g, g) logits of being the centre of a box that the phrase means
    region: Tensor  # (b, k, g, g) logits of being covered by what the phrase means


class DetectorNet(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] to `Features`, spelled phrases to `Keys`; `agree` brings them together."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.widths, config.blocks)
        self.fuse = Fuse(config.widths, config.fused)
        self.look = nn.Conv2d(config.fused, 2 * config.match, 1)
        self.place = nn.Conv2d(config.fused, 10, 1)
        self.phrase = PhraseEncoder(config.text)
        self.key = nn.Linear(config.text, 2 * config.match)
        self.bias = nn.Linear(config.text, 2)
        nn.init.normal_(self.key.weight, std=0.05)
        nn.init.zeros_(self.place.weight)
        with torch.no_grad():
            self.place.bias.copy_(torch.tensor([-2.0] * 2 + [math.log(4.0)] * 8))
            self.bias.bias.copy_(torch.tensor([-1.0, 1.0]))

    def forward(self, pictures: Tensor) -> Features:
        x = self.fuse(self.encoder(pictures))  # (b, fused, g, g)
        centre, offsets = self.place(x).float().split([2, 8], 1)
        views = self.look(x).unflatten(1, (2, self.config.match))
        return Features(views, centre, offsets.clamp(-3, 4).exp().unflatten(1, (2, 4)))

    def keys(self, spelled: Tensor) -> Keys:
        """Spelled phrases (..., words, letters)."""
        words, shape = self.phrase(spelled.flatten(0, -3)), (*spelled.shape[:-2], 2)
        return Keys(self.key(words).view(*shape, self.config.match), self.bias(words).float().view(shape))


def agree(features: Features, keys: Keys, parts: Tensor) -> Dense:
    """Where k phrases each (keys (b, k, ...), `parts` bool (b, k)) hold on b pictures.

    A phrase holds where both views agree, a soft "and": "orange cat" is a cat, and it is orange.
    """
    views = features.views.flatten(3)  # (b, 2, match, g * g)
    scores = (keys.vectors.transpose(1, 2) @ views).float() + keys.biases.transpose(1, 2)[..., None]
    scores = scores.unflatten(-1, features.views.shape[-2:])  # (b, 2, k, g, g)
    centre = torch.where(parts[..., None, None], features.centre[:, 1:], features.centre[:, :1])  # (b, k, g, g)
    region = -torch.logsumexp(-scores, 1)
    return Dense(-torch.logaddexp(-region, -centre), region)


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
        last = [(plain_words(phrase) or [""])[-1] for phrase in phrases]
        parts = torch.tensor([[word in config.parts for word in last]], device=device)
        features = self.net(tensor)
        dense = agree(features, self.net.keys(spell(tuple(phrases))[None].to(device)), parts)
        heat, region = dense.heat[0].sigmoid().cpu(), dense.region[0].sigmoid().cpu()
        offsets = features.offsets[0].cpu()
        width, height = image.size
        inside = (math.ceil(height * scale / config.stride), math.ceil(width * scale / config.stride))
        found = []
        for i, phrase in enumerate(phrases):
            if last[i] in config.stuff:
                boxes, scores = _around(region[i, : inside[0], : inside[1]], config.stride, threshold)
            else:
                boxes, scores = decode(heat[i], offsets[int(last[i] in config.parts)], config.stride, threshold)
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
