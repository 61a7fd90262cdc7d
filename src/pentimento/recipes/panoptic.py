"""The panoptic model: pictures to things and surfaces, on scenes drawn while it trains, seen as the detector sees them.

Close-ups are among them: a person or a house is one thing there, whatever its parts. Plates are not, since their
tables have no name among the surfaces. It looks at crops through the pack's detector, which already tells nouns apart,
and begins with that one's encoder of scenes.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from ..data.segments import SMALLEST, SURFACES, surface_name
from ..data.vocabulary import NOUNS
from ..training import Job, TrainSettings, warm_start
from ..vision import panoptic
from ..vision.panoptic import STRIDE, CentrePanoptic, PanopticConfig, PanopticNet, alone
from .detector import Look, box_of, eyes_of, look_at, looks, shaken

FOLDER = "panoptic"
UNKNOWN = 255  # the class of a pixel that shows nothing
SPREAD = 1.5  # cells, the deviation of a middle's Gaussian
KINDS = ("portrait", "house", "room")  # of close-ups


class Settings(TrainSettings):
    """A step of 16 pictures is about a third of a second on one core."""

    images: int = Field(24_000, ge=1, description="pictures to train on, two looks at each scene")
    batch_size: int = Field(16, ge=2, description="pictures a step")
    lr: float = Field(1.2e-3, gt=0, description="peak learning rate of AdamW")
    warmup_images: int = Field(500, ge=0, description="images over which the learning rate rises from 0")
    cooldown: float = Field(0.5, ge=0, le=1, description="last fraction of the images, with a cosine fall to 0")
    ema: float = Field(1_000, ge=0, description="half-life of the averaged weights, in images")
    workers: int = Field(1, ge=0, description="processes that draw scenes")
    crops: int = Field(5, ge=1, description="things of each picture that are named")
    portraits: float = Field(0.3, ge=0, le=1, description="share of the scenes that are close-ups where parts matter")


class Batch(NamedTuple):
    """b pictures of s x s pixels on a g x g grid, and m of the things of each."""

    pictures: Tensor  # uint8 (b, 3, s, s)
    classes: Tensor  # uint8 (b, s, s) 0 for things, 1.. for surfaces, UNKNOWN for padding
    owners: Tensor  # int8 (b, s, s) the number of the thing that a pixel shows, -1 for none
    middle: Tensor  # (b, g, g) in [0, 1], 1 in the cell of a thing's middle
    offsets: Tensor  # (b, 2, g, g) cells down and right to the middle
    inside: Tensor  # bool (b, g, g) where the offsets count
    which: Tensor  # int8 (b, m) things to be named; -1 is filling
    boxes: Tensor  # (b, m, 4) pixels
    nouns: Tensor  # long (b, m) which of NOUNS; -1 is filling


class Truth(NamedTuple):
    """What a perfect net says of one look; as in `Batch`."""

    classes: np.ndarray
    owners: np.ndarray
    middle: np.ndarray
    offsets: np.ndarray
    inside: np.ndarray


def things(look: Look) -> list[tuple[str, np.ndarray]]:
    """The noun and the visible pixels of every thing that is no part of another; none overlap."""
    drawn = zip((thing.noun for thing in look.scene.things), look.masks, strict=True)
    return [*drawn, *((part.name, part.mask) for part in look.parts if part.whole)]


def true_regions(look: Look) -> Truth:
    """A thing's middle is the mean of its visible pixels; things of fewer than SMALLEST have none."""
    side = len(look.image)
    classes, owners = np.full((side, side), UNKNOWN, np.uint8), np.full((side, side), -1, np.int8)
    for part, mask in look.stuff.items():
        if part != "background":
            classes[mask] = 1 + SURFACES.index(surface_name(part, look.scene.place))
    grid = side // STRIDE
    cells = np.mgrid[:grid, :grid].astype(np.float32)  # (2, g, g) row and column
    middle, offsets = np.zeros((grid, grid), np.float32), np.zeros((2, grid, grid), np.float32)
    inside = np.zeros((grid, grid), bool)
    for number, (_, mask) in enumerate(things(look)):
        classes[mask], owners[mask] = 0, number
        if mask.sum() < SMALLEST:
            continue
        place = np.stack([axis.mean() for axis in np.nonzero(mask)]).astype(np.float32) / STRIDE - 0.25
        away = np.round(place)[:, None, None] - cells
        middle = np.maximum(middle, np.exp(-0.5 * (away**2).sum(0) / SPREAD**2))
        mine = mask[::STRIDE, ::STRIDE]
        offsets[:, mine] = (place[:, None, None] - cells)[:, mine]
        inside |= mine
    return Truth(classes, owners, middle, offsets, inside)


def batch(
    crops: int, step: int, batch_size: int, split: str = "train", first: int = 0, portraits: float = 0.0
) -> Batch:
    """The batch of a step; pictures are counted through from the first step's, number `first`."""
    rows: list[tuple[Tensor, ...]] = []
    for look, rng in looks(first + step * batch_size, batch_size, split, portraits, KINDS):
        which, nouns = np.full(crops, -1, np.int8), np.full(crops, -1)
        boxes = np.tile(np.float32([0, 0, len(look.image), len(look.image)]), (crops, 1))
        shown = things(look)
        seen = [number for number, (_, mask) in enumerate(shown) if mask.sum() >= SMALLEST]
        for row, number in enumerate(rng.permutation(seen)[:crops]):
            noun, mask = shown[number]
            boxes[row] = shaken(box_of(mask), 0.04, rng)
            which[row], nouns[row] = number, list(NOUNS).index(noun)
        picture = np.ascontiguousarray(look.image.transpose(2, 0, 1))
        rows.append(tuple(map(torch.from_numpy, (picture, *true_regions(look), which, boxes, nouns))))
    return Batch(*(torch.stack(column) for column in zip(*rows, strict=True)))


def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Cross-entropy on the pixels and on the nouns, quality focal loss on the middles, L1 on the offsets.

    Generalized Focal Loss (Li et al. 2020), Eq. 5, with beta = 2.
    """
    light = 1 + 0.15 * (torch.rand(2, len(batch.pictures), 1, 1, 1, generator=generator) * 2 - 1).to(batch.boxes.device)
    pictures = (batch.pictures.float() / 127.5 - 1) * light[0] + light[1] - 1
    seen = model(pictures)
    logits = F.interpolate(seen.classes, scale_factor=STRIDE, mode="bilinear", align_corners=False)
    class_loss = F.cross_entropy(logits, batch.classes.long(), ignore_index=UNKNOWN)
    focus = (seen.middle.sigmoid() - batch.middle).detach().square()
    heat = F.binary_cross_entropy_with_logits(seen.middle, batch.middle, reduction="none")
    middle_loss = (focus * heat).sum() / (batch.middle == 1).sum().clamp_min(1)
    away = (seen.offsets - batch.offsets).abs().sum(1)
    offset_loss = (away * batch.inside).sum() / batch.inside.sum().clamp_min(1)

    picked, numbers = torch.nonzero(batch.which >= 0, as_tuple=True)
    crops = alone(
        pictures[picked], batch.owners[picked], batch.which[picked, numbers], batch.boxes[picked, numbers],
        model.detector.config.crop,
    )  # fmt: skip
    noun_loss = F.cross_entropy(model.names(crops), batch.nouns[picked, numbers], reduction="sum") / max(len(picked), 1)
    return 4 * class_loss + 0.3 * middle_loss + 0.1 * offset_loss + noun_loss


def config() -> PanopticConfig:
    return PanopticConfig(nouns=tuple(NOUNS), surfaces=SURFACES)


def export(net: nn.Module, folder: Path) -> None:
    panoptic.save(net, folder / FOLDER)


def sample(net: nn.Module, path: Path) -> None:
    """Sixteen validation scenes, each beside its segments in colours of their own."""
    colours = np.random.default_rng(5).integers(40, 256, (64, 3), dtype=np.uint8)
    sheet = Image.new("RGB", (8 * 128, 4 * 128))
    for i in range(16):
        look = look_at(i, "validation")
        image = Image.fromarray(look.image)
        shown = look.image // 2
        for number, segment in enumerate(CentrePanoptic(net).segments(image)):
            shown[segment.mask] += colours[number] // 2
        sheet.paste(image, (i % 4 * 256, i // 4 * 128))
        sheet.paste(Image.fromarray(shown), (i % 4 * 256 + 128, i // 4 * 128))
    sheet.save(path)


def job(settings: Settings, pack_dir: Path) -> Job:
    """Raises: TrainingError when the pack has no detector yet."""
    net = PanopticNet(config(), eyes_of(pack_dir))
    if not warm_start(net, pack_dir / FOLDER):
        begin_with_detector(net)
    fresh = partial(batch, settings.crops, first=1_000_000 * settings.seed, portraits=settings.portraits)
    return Job(net, fresh, loss, export, sample)


def begin_with_detector(net: PanopticNet) -> bool:
    """Copy its detector's encoder of scenes into `net`; False where that is of other widths."""
    eyes = net.detector
    if any(getattr(eyes.config, name) != getattr(net.config, name) for name in ("scene_widths", "scene_blocks")):
        return False
    net.scene.load_state_dict(eyes.scene.state_dict())
    return True
