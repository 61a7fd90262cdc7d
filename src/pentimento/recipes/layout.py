"""What stands where, as a second lesson for the painters while they learn: what a U-Net's features must tell.

At high noise a U-Net can know a cell's noun, colour or weather from the caption alone, so this loss teaches its
cross-attention to read long before the pictures could (the idea of representation alignment, Yu et al. 2024, with the
world's ground truth in the place of another model's features). The head is used in training and thrown away.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.portraits import FILLINGS, Composition, Layer
from ..data.scenes import WORLD_VERSION, Scene, draw_scene, render
from ..data.store import Store, stored
from ..data.vocabulary import COLOURS, MATERIALS, NOUNS, PLACES, SEASONS, STYLES, TIMES, WEATHERS

SIDE = 16  # cells
WHAT = (*PLACES, *NOUNS)
TINTS = ("", *COLOURS, *MATERIALS)
NAMELESS = 255
"""What the first plane says of a thing that is no noun: it weighs like one, and nothing is learned of its name."""
PLANES = (len(WHAT), len(TINTS), len(TIMES), len(WEATHERS), len(SEASONS), len(STYLES))  # classes of each plane


def layout(scene: Scene) -> np.ndarray:
    """Classes of every cell, uint8 (planes, SIDE, SIDE): noun or place, colour or material, then the scene's light,
    weather, season and style. A thing owns the cells of which it shows at least a quarter."""
    plan = np.zeros((len(PLANES), SIDE, SIDE), np.uint8)
    plan[0] = PLACES.index(scene.place)
    best = np.full((SIDE, SIDE), 0.25)
    for thing, mask in zip(scene.things, render(scene, 8 * SIDE).masks, strict=True):
        share = mask.reshape(SIDE, 8, SIDE, 8).mean((1, 3))
        own = share >= best
        best = np.where(own, share, best)
        plan[0][own] = WHAT.index(thing.noun)
        plan[1][own] = 0 if scene.grey else TINTS.index(thing.colour or thing.material)
    plan[2], plan[3] = TIMES.index(scene.time), WEATHERS.index(scene.weather)
    plan[4], plan[5] = SEASONS.index(scene.season), STYLES.index(scene.style)
    return plan


def scene_layouts(data: Path, count: int, split: str = "train") -> Store:
    """The layouts of the first `count` scenes of a split, uint8 (planes, SIDE, SIDE) each."""
    return stored(data, f"scene-layouts-v{WORLD_VERSION}-{split}-{SIDE}", partial(_layout, split=split), count)


def _layout(seed: int, split: str) -> np.ndarray:
    return layout(draw_scene(seed, split))


def part_layout(composition: Composition, masks: Sequence[np.ndarray]) -> np.ndarray:
    """As `layout`, for a close-up; `masks` are the visible pixels of its layers, bool (size, size).

    Parts of a person or a house are called that, and each has a colour or material of its own.
    """
    plan = np.zeros((len(PLANES), SIDE, SIDE), np.uint8)
    plan[0] = PLACES.index(composition.place)
    each = len(masks[0]) // SIDE
    shares = [mask.reshape(SIDE, each, SIDE, each).mean((1, 3)) for mask in masks]
    whats = [_what(layer, composition) for layer in composition.layers]
    tints = [TINTS.index(layer.colour or layer.material) for layer in composition.layers]
    for plane, classes, none in ((plan[0], whats, PLACES.index(composition.place)), (plan[1], tints, 0)):
        best = np.full((SIDE, SIDE), 0.25)
        for value in sorted(set(classes) - {none}):
            share = sum(s for s, c in zip(shares, classes, strict=True) if c == value)
            own = share >= best
            best = np.where(own, share, best)
            plane[own] = value
    return plan


def _what(layer: Layer, composition: Composition) -> int:
    """The class of a layer's noun, or of the person's or house's whose part it is; the place's for walls and floors."""
    if layer.owner:
        return WHAT.index(layer.owner)
    if FILLINGS.get(layer.filling):
        return PLACES.index(FILLINGS[layer.filling])
    if composition.kind == "house" and layer.name in ("wall", "roof"):
        return WHAT.index("house")
    if layer.name == "plate" or (layer.box == (0.0, 0.0, 1.0, 1.0) and not layer.filling):
        return PLACES.index(composition.place)
    nouns = [noun for noun in (layer.name, layer.name.split(" ")[-1]) if noun in NOUNS]
    return WHAT.index(nouns[0]) if nouns else NAMELESS


def importance(layouts: Tensor, things: float) -> Tensor:
    """What each cell weighs in the noise loss, (b, 1, h, w): `things` where a thing stands, else 1.

    Things cover a sixth of the cells of a scene, and places are learned in a fraction of the time.
    """
    return 1 + (things - 1) * (layouts[:, :1] >= len(PLACES)).float()


class LayoutHead(nn.Module):
    """Reads the layout from the features of a U-Net's last but one decoder block, as large as its latents."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.read = nn.Conv2d(channels, sum(PLANES), 1)

    def loss(self, features: Tensor, layouts: Tensor) -> Tensor:
        """Cross-entropy, summed over the planes; features (b, c, h, w), layouts uint8 (b, planes, h, w).

        Things cover a sixth of the cells: their nouns and tints are averaged over them alone, or the places, which are
        learned in no time, would drown them.
        """
        logits = self.read(self.norm(features)).float().split(PLANES, 1)
        losses = [
            F.cross_entropy(logit, layouts[:, i].long(), reduction="none", ignore_index=NAMELESS)
            for i, logit in enumerate(logits)
        ]
        thing = (layouts[:, 0] >= len(PLACES)).float()
        nouns, tints = ((loss * thing).sum() / thing.sum().clamp(min=1) for loss in losses[:2])
        places = (losses[0] * (1 - thing)).sum() / (1 - thing).sum().clamp(min=1)
        return nouns + tints + places + sum(loss.mean() for loss in losses[2:])


class Listening:
    """Keeps what the last but one decoder block of a U-Net gave in its last call: `with Listening(unet) as heard`."""

    def __init__(self, unet: Any):
        self.block = unet.up_blocks[-2]
        self.features: Tensor | None = None

    def __enter__(self) -> "Listening":
        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            self.features = output

        self.hook = self.block.register_forward_hook(keep)
        return self

    def __exit__(self, *problem: object) -> None:
        self.hook.remove()
