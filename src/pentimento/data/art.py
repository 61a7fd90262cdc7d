"""Sprites: a noun in one of three artwork families or drawn, tinted, of a material, wearing things.

A sprite is a straight-alpha RGBA picture, CELL pixels on its longer side. Nothing here knows scenes.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from . import drawn
from .vocabulary import COLOURS, NOUNS

CELL, COLUMNS = 96, 10
FAMILIES = ("noto", "fluent")
HELD_OUT_FAMILY = "twemoji"  # for the judge and for out-of-style tests; no recipe of an editor sees it
WEARERS = {  # nouns seen from the front: (x, y) of the middle of the eyes and the width of the head, as fractions
    "boy": (0.5, 0.56, 0.74), "girl": (0.5, 0.54, 0.66), "man": (0.5, 0.54, 0.74), "woman": (0.5, 0.52, 0.66),
    "clown": (0.5, 0.42, 0.78), "robot": (0.5, 0.48, 0.66), "ghost": (0.5, 0.36, 0.6), "lion": (0.5, 0.47, 0.5),
    "bear": (0.5, 0.45, 0.74), "panda": (0.5, 0.5, 0.74), "fox": (0.5, 0.55, 0.66), "frog": (0.5, 0.3, 0.8),
}  # fmt: skip
_ART = Path(__file__).parent / "art"


@lru_cache
def _atlas(family: str) -> tuple[Image.Image, dict[str, int]]:
    return Image.open(_ART / f"{family}.png").convert("RGBA"), json.loads((_ART / "index.json").read_text())


def glyph(noun: str, family: str) -> Image.Image:
    """The bare artwork of a noun in a family, CELL x CELL pixels."""
    if not NOUNS[noun].emoji:
        return drawn.object_sprite(noun, family, CELL)
    atlas, index = _atlas(family)
    row, column = divmod(index[noun], COLUMNS)
    return atlas.crop((column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL))


def _ramp(value: np.ndarray, stops: list[tuple[float, tuple[int, int, int]]]) -> np.ndarray:
    """A lightness in [0, 1], (h, w), through a colour ramp: (h, w, 3) in [0, 255]."""
    xs = [s[0] for s in stops]
    return np.stack([np.interp(value, xs, [s[1][c] for s in stops]) for c in range(3)], axis=-1)


def _lightness(rgba: np.ndarray) -> np.ndarray:
    """Luma stretched to [0, 1] over the sprite's own range, (h, w)."""
    luma = rgba[..., :3] @ np.array([0.299, 0.587, 0.114])
    low, high = np.percentile(luma[rgba[..., 3] > 128], [2, 98])
    return np.clip((luma - low) / max(high - low, 40.0), 0, 1)


def tint(sprite: Image.Image, colour: str) -> Image.Image:
    """The sprite in one of `COLOURS`, its drawing kept as light and dark."""
    rgba = np.asarray(sprite, dtype=np.float64)
    rgb = np.array(COLOURS[colour], dtype=np.float64)
    dark, light = tuple(rgb * 0.42), tuple(rgb + (255 - rgb) * 0.42)
    if colour == "white":
        dark = (150.0, 150.0, 158.0)
    out = _ramp(_lightness(rgba), [(0, dark), (0.55, tuple(rgb)), (1, light)])
    return Image.fromarray(np.dstack([out, rgba[..., 3]]).round().astype(np.uint8), "RGBA")


def of_material(sprite: Image.Image, material: str, look: int) -> Image.Image:
    """The sprite made of one of `MATERIALS`; `look` varies the grain."""
    rgba = np.asarray(sprite, dtype=np.float64)
    v = _lightness(rgba)
    y, x = np.mgrid[: v.shape[0], : v.shape[1]] / CELL
    alpha = rgba[..., 3]
    if material == "golden":
        v = np.clip(0.75 * v + 0.25 * (0.5 + 0.5 * np.sin((x + y) * (9 + look))), 0, 1)
        out = _ramp(v, [(0, (110, 70, 10)), (0.5, (225, 170, 40)), (0.85, (255, 225, 110)), (1, (255, 250, 215))])
    elif material == "silver":
        v = np.clip(0.75 * v + 0.25 * (0.5 + 0.5 * np.sin((x - y) * (9 + look))), 0, 1)
        out = _ramp(v, [(0, (65, 70, 80)), (0.5, (160, 168, 180)), (0.85, (222, 228, 236)), (1, (255, 255, 255))])
    elif material == "wooden":
        grain = 0.5 + 0.5 * np.sin(y * (46 + 4 * look) + 3 * np.sin(x * (5 + look)))
        out = _ramp(
            np.clip(0.6 * v + 0.4 * grain, 0, 1), [(0, (92, 54, 24)), (0.6, (176, 117, 62)), (1, (222, 176, 118))]
        )
    elif material == "chocolate":
        squares = np.maximum((x * (5 + look % 3)) % 1 < 0.14, (y * (5 + look % 3)) % 1 < 0.14)
        out = _ramp(
            np.clip(v * 0.8 + 0.2 - 0.35 * squares, 0, 1), [(0, (44, 22, 12)), (0.6, (98, 56, 32)), (1, (160, 105, 70))]
        )
    elif material == "glass":
        out = _ramp(v, [(0, (120, 170, 190)), (0.6, (185, 225, 238)), (1, (250, 255, 255))])
        alpha = alpha * (0.62 + 0.3 * (v > 0.85))
    else:
        raise ValueError(f"unknown material {material!r}")
    return Image.fromarray(np.dstack([out, alpha]).round().astype(np.uint8), "RGBA")


@lru_cache(maxsize=4096)
def sprite(
    noun: str, family: str, colour: str = "", material: str = "", wears: tuple[str, ...] = (), look: int = 0
) -> Image.Image:
    """The finished sprite, cropped to what it covers.

    Raises KeyError for a noun, colour or wearer that the vocabulary does not know.
    """
    picture = glyph(noun, family)
    if colour:
        picture = tint(picture, colour)
    if material:
        picture = of_material(picture, material, look)
    if wears:
        canvas = Image.new("RGBA", (CELL, CELL + CELL // 2))
        canvas.paste(picture, (0, CELL // 2))
        for wearable in wears:
            x, y, width = WEARERS[noun]
            drawn.wear(ImageDraw.Draw(canvas), wearable, (x * CELL, CELL // 2 + y * CELL), width * CELL, look)
        picture = canvas
    return picture.crop(picture.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
