"""Phrases to boxes in two stages that learn from scratch in minutes (kind "dense_detector").

Grounding DINO's role (InstructEdit Sec. 3.3) in the miniature. First a small dense net proposes boxes without knowing
any word (centre-assigned heat maps, one for things and one for parts) and paints the few kinds of stuff ("sky"). Then
every proposal is cut out, brought to one size and matched with the phrase, which is read letter by letter: at one size
a noun is learned from far fewer pictures than in a dense map of phrases. Which phrases are parts or stuff is said in
the config, by their last word.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..errors import PackError
from ..values import Box
from .layers import Fuse, ImageEncoder, PhraseEncoder, plain_words, spell
from .store import digest, read_config, read_weights, write_model

KIND = "dense_detector"
PADDING = 128  # grey level around a picture that is not square


@dataclass(frozen=True)
class DetectorConfig:
    """What builds a `DetectorNet`. `stuff` and `parts` hold last words of phrases, singular or plural."""

    side: int = 128  # pixels of a picture
    stride: int = 4  # pixels a cell
    scene_widths: tuple[int, ...] = (32, 64, 96, 128)
    scene_blocks: tuple[int, ...] = (1, 1, 1, 1)
    fused: int = 48
    crop: int = 48  # pixels of a proposal
    widths: tuple[int, ...] = (48, 96, 160, 224)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    text: int = 128
    match: int = 48  # length of the vectors in which crops and phrases meet
    proposals: int = 12  # at most, of each kind
    stuff: tuple[tuple[str, ...], ...] = ()  # for each channel of stuff, the words for it
    parts: tuple[str, ...] = ()

    @property
    def grid(self) -> int:
        """Cells along a side."""
        return self.side // self.stride


class Places(NamedTuple):
    """What the dense net sees in each of g x g cells of b pictures. Kinds: things first, parts second."""

    centre: Tensor  # (b, 2 kinds, g, g) logits of being a box's centre
    offsets: Tensor  # (b, 2 kinds, 4, g, g) left, top, right, bottom, in cells from the cell's centre, > 0
    stuff: Tensor  # (b, channels of stuff, g, g) logits of being covered by it


class Keys(NamedTuple):
    """Phrases as what a crop's two views are multiplied with."""

    vectors: Tensor  # (..., 2, match)
    biases: Tensor  # (..., 2)


class DetectorNet(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] to `Places`, crops to views, spelled phrases to `Keys`."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.scene = ImageEncoder(config.scene_widths, config.scene_blocks)
        self.fuse = Fuse(config.scene_widths, config.fused)
        self.place = nn.Conv2d(config.fused, 10 + len(config.stuff), 1)
        self.encoder = ImageEncoder(config.widths, config.blocks)
        self.view = nn.Linear(config.widths[-1], 2 * config.match)
        self.phrase = PhraseEncoder(config.text)
        self.key = nn.Linear(config.text, 2 * config.match)
        self.bias = nn.Linear(config.text, 2)
        nn.init.normal_(self.key.weight, std=0.05)
        nn.init.zeros_(self.place.weight)
        with torch.no_grad():
            start = [-2.0] * 2 + [math.log(4.0)] * 8 + [0.0] * len(config.stuff)
            self.place.bias.copy_(torch.tensor(start))  # type: ignore[union-attr]
            self.bias.bias.copy_(torch.tensor([-1.0, 1.0]))

    def forward(self, pictures: Tensor) -> Places:
        x = self.place(self.fuse(self.scene(pictures))).float()  # (b, 10 + stuff, g, g)
        centre, offsets, stuff = x.split([2, 8, len(self.config.stuff)], 1)
        return Places(centre, offsets.clamp(-3, 4).exp().unflatten(1, (2, 4)), stuff)

    def views(self, crops: Tensor) -> Tensor:
        """What crops (n, 3, crop, crop) show and how it looks, (n, 2, match)."""
        return self.view(self.encoder(crops)[-1].mean((2, 3))).unflatten(1, (2, self.config.match))

    def keys(self, spelled: Tensor) -> Keys:
        """Spelled phrases (..., words, letters)."""
        words, shape = self.phrase(spelled.flatten(0, -3)), (*spelled.shape[:-2], 2)
        return Keys(self.key(words).view(*shape, self.config.match), self.bias(words).float().view(shape))


def cut(pictures: Tensor, boxes: Tensor, side: int, margin: float = 0.1) -> Tensor:
    """Boxes (b, m, 4), in pixels, out of pictures (b, 3, h, w): (b, m, 3, side, side).

    The square around each box, with a margin; what lies further from the box than the margin is 0 (grey), so that an
    instance is marked among its neighbours and keeps its proportions.
    """
    m, (height, width) = boxes.shape[1], pictures.shape[-2:]
    centres, sizes = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp_min(1.0)
    reach = sizes.amax(-1, keepdim=True) * (0.5 + margin)  # (b, m, 1) half the square's side
    away = ((torch.arange(side, device=boxes.device) + 0.5) / side * 2 - 1) * reach  # (b, m, side) from the centre
    x = (centres[..., :1] + away) / width * 2 - 1
    y = (centres[..., 1:] + away) / height * 2 - 1
    where = torch.stack([x[:, :, None].expand(-1, -1, side, -1), y[..., None].expand(-1, -1, -1, side)], -1)
    crops = F.grid_sample(pictures, where.flatten(1, 2), align_corners=False)  # (b, 3, m * side, side)
    crops = crops.unflatten(2, (m, side)).transpose(1, 2)  # (b, m, 3, side, side)
    near = away.abs()[:, :, None] <= (sizes * 0.5 + reach * 2 * margin)[..., None]  # (b, m, x and y, side)
    return crops * (near[:, :, 0, None, None, :] & near[:, :, 1, None, :, None])


def agree(views: Tensor, keys: Keys) -> Tensor:
    """Logits (b, m, k) of m crops' views (b, m, 2, match) against the keys of k phrases each.

    A phrase holds when both views agree, a soft "and": "orange cat" is a cat, and it is orange.
    """
    scores = (views.transpose(1, 2) @ keys.vectors.permute(0, 2, 3, 1)).float()  # (b, 2, m, k)
    return -torch.logsumexp(-(scores + keys.biases.transpose(1, 2)[:, :, None]), 1)


class Targets(NamedTuple):
    """What a perfect net says of one set of boxes on a g x g grid."""

    heat: np.ndarray  # (n, g, g) in [0, 1], 1 in the cell that holds a box's centre
    offsets: np.ndarray  # (4, g, g) in cells, > 0
    weight: np.ndarray  # (g, g) in [0, 1], how much the offsets of a cell count: 1 in all for each box


LEAST_HEAT = 0.2  # of a cell that says anything of a box's edges


def encode(boxes: Sequence[tuple[float, float, float, float]], grid: int, stride: int) -> Targets:
    """Boxes in pixels to targets: a Gaussian for each box, a sixth of its size wide, and offsets around it.

    A cell that two boxes want belongs to the one whose Gaussian is higher there. Small boxes count as much as large
    ones, though they own a few cells only: or lips would be told a scarf's size.
    """
    heat = np.zeros((len(boxes), grid, grid), np.float32)
    offsets, weight = np.ones((4, grid, grid), np.float32), np.zeros((grid, grid), np.float32)
    owner = np.full((grid, grid), -1)
    cells = np.arange(grid, dtype=np.float32)
    for i, (left, top, right, bottom) in enumerate(boxes):
        column, row = (min(int((a + b) / 2 / stride), grid - 1) for a, b in ((left, right), (top, bottom)))
        sx, sy = (max((b - a) / stride / 6, 0.6) for a, b in ((left, right), (top, bottom)))
        heat[i] = np.exp(-0.5 * (((cells - column) / sx) ** 2 + (((cells - row) / sy) ** 2)[:, None]))
        heat[i][heat[i] < 0.05] = 0
        mine = heat[i] > weight
        weight[mine], owner[mine] = heat[i][mine], i
        x, y = np.broadcast_to(cells + 0.5, (grid, grid)), np.broadcast_to((cells + 0.5)[:, None], (grid, grid))
        edges = (x - left / stride, y - top / stride, right / stride - x, bottom / stride - y)
        for side, distance in enumerate(edges):
            offsets[side][mine] = np.maximum(distance[mine], 0.05)
    weight[weight <= LEAST_HEAT] = 0
    for i in range(len(boxes)):
        weight[owner == i] /= max(float(weight[owner == i].sum()), 1.0)
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
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    clash = (overlaps(boxes, boxes) > limit).cpu().numpy()
    kept, gone = [], np.zeros(len(order), bool)
    for index in order:
        if not gone[index]:
            kept.append(index)
            gone |= clash[index]
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
        width, height = image.size
        tensor = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        places = self.net(tensor)
        kinds = [propose(places, kind, config) for kind in (0, 1)]
        keys = self.net.keys(spell(tuple(phrases))[None].to(device))
        scores = [match(self.net, tensor, boxes, likely, keys).cpu() for boxes, likely in kinds]
        inside = (math.ceil(height * scale / config.stride), math.ceil(width * scale / config.stride))
        found = []
        for i, phrase in enumerate(phrases):
            last = (plain_words(phrase) or [""])[-1]
            channel = next((c for c, words in enumerate(config.stuff) if last in words), None)
            if channel is not None:
                region = places.stuff[0, channel, : inside[0], : inside[1]].sigmoid().cpu()
                boxes, score = _around(region, config.stride)
            else:
                kind = int(last in config.parts)
                boxes, score = kinds[kind][0].cpu(), scores[kind][:, i]
            boxes = torch.minimum((boxes / scale).clamp_min(0), torch.tensor([width, height] * 2, dtype=torch.float))
            fits = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (score >= threshold)
            boxes, score = boxes[fits], score[fits]
            kept = suppress(boxes, score)
            edges = zip(boxes[kept].tolist(), score[kept].tolist(), strict=True)
            found.append([Box(x0, y0, x1, y1, one, phrase) for (x0, y0, x1, y1), one in edges])
        return found


def propose(places: Places, kind: int, config: DetectorConfig) -> tuple[Tensor, Tensor]:
    """The best boxes of one picture, (n, 4) in pixels of the net's picture, and how likely each is a box's centre."""
    boxes, likely = decode(places.centre[0, kind].sigmoid(), places.offsets[0, kind], config.stride, 0.05)
    best = torch.argsort(likely, descending=True, stable=True)[: 8 * config.proposals]
    boxes, likely = boxes[best], likely[best]
    kept = suppress(boxes, likely, 0.7)[: config.proposals]
    return boxes[kept], likely[kept]


def match(net: DetectorNet, picture: Tensor, boxes: Tensor, likely: Tensor, keys: Keys) -> Tensor:
    """Scores in [0, 1] of n proposals in one picture (1, 3, side, side) for k phrases, (n, k)."""
    if not len(boxes):
        return likely.new_zeros(0, keys.biases.shape[1])
    views = net.views(cut(picture, boxes[None], net.config.crop)[0])
    return agree(views[None], keys)[0].sigmoid() * likely[:, None].sqrt()


def _around(region: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """The box (1, 4) around the cells that are more likely covered than not, or around the likeliest, and its score.

    The score is the mean likelihood of the likelier half of the cells that are covered, at least four cells: one lit
    cell is no sky.
    """
    likely = region.flatten().sort(descending=True).values
    score = likely[: max(4, int((likely > 0.5).sum()) // 2)].mean()
    rows, columns = torch.nonzero(region >= min(0.5, float(likely[0])), as_tuple=True)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(edges)[None].float() * stride, score[None]


def save(net: DetectorNet, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16)."""
    write_model(net, {"kind": KIND} | asdict(net.config), folder)


def load(folder: Path) -> DenseDetector:
    """A detector from its folder. Raises: PackError."""
    config = read_config(folder, KIND)
    net = DetectorNet(DetectorConfig(**frozen(config)))
    read_weights(net, folder)
    return DenseDetector(net)


def frozen(config: dict[str, Any]) -> dict[str, Any]:
    """What JSON made of a config's fields, as they were: without the kind, lists as tuples all the way down."""

    def tuples(value: Any) -> Any:
        return tuple(tuples(item) for item in value) if isinstance(value, list) else value

    return {name: tuples(value) for name, value in config.items() if name != "kind"}


def save_through(net: Any, kind: str, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16) of a net that looks through its `detector`, without that one,
    which has a folder of its own."""
    write_model(net, {"kind": kind, "detector": digest(net.detector)} | asdict(net.config), folder, without="detector")


def config_through(folder: Path, kind: str, eyes: DetectorNet) -> dict[str, Any]:
    """The fields of the config that `save_through` wrote.

    Raises: PackError, also when its net learned to look through another detector than `eyes`.
    """
    config = read_config(folder, kind)
    if config.pop("detector", None) != digest(eyes):
        raise PackError(f"the model in {folder} looks through another detector than the pack's: train it again")
    return frozen(config)
