"""Empty places: ground, sky or wall, with low-frequency clutter and no pixel noise (an autoencoder pays for noise)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]

_SKY = {
    "grass": (150, 205, 245), "sand": (135, 205, 245), "snow": (190, 215, 235), "street": (175, 200, 220),
    "sea": (140, 200, 245), "desert": (245, 210, 150), "forest": (175, 215, 225), "mountains": (160, 200, 240),
    "lava": (90, 60, 75), "city": (185, 205, 230), "room": (232, 218, 196), "kitchen": (226, 236, 232),
}  # fmt: skip
_GROUND = {
    "grass": (110, 185, 80), "sand": (238, 214, 150), "snow": (240, 245, 250), "street": (110, 112, 120),
    "sea": (40, 110, 190), "desert": (225, 165, 90), "forest": (92, 140, 70), "mountains": (130, 160, 105),
    "lava": (225, 80, 25), "city": (150, 150, 155), "room": (170, 120, 80), "kitchen": (190, 180, 170),
}  # fmt: skip
SEASON_GROUND: dict[str, RGB] = {"autumn": (196, 150, 70), "winter": (232, 238, 245), "spring": (140, 205, 95)}
_GREEN_PLACES = ("grass", "forest", "mountains", "city")


@dataclass(frozen=True)
class Backdrop:
    """A drawn place: pixels uint8 (size, size, 3) and which of them are sky (or wall), bool (size, size)."""

    pixels: np.ndarray
    sky: np.ndarray


def _vary(rgb: RGB, rng: np.random.Generator, by: float = 14) -> RGB:
    red, green, blue = (int(np.clip(c + d, 0, 255)) for c, d in zip(rgb, rng.normal(0, by / 2, 3), strict=True))
    return red, green, blue


def _mix(a: RGB, b: RGB, share: float) -> RGB:
    red, green, blue = (int(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _gradient(size: int, top: RGB, bottom: RGB) -> np.ndarray:
    ramp = np.linspace(0, 1, size)[:, None, None]
    return np.broadcast_to(np.array(top) + (np.array(bottom) - np.array(top)) * ramp, (size, size, 3))


def backdrop(place: str, season: str, seed: int, size: int) -> Backdrop:
    """Draw one of `vocabulary.PLACES` in a season; the same arguments give the same pixels."""
    rng = np.random.default_rng([7, seed])
    k = 2
    s = size * k
    horizon = float(rng.uniform(0.42, 0.62))
    sky, ground = _vary(_SKY[place], rng), _vary(_GROUND[place], rng)
    if place in _GREEN_PLACES and season in SEASON_GROUND:
        ground = _mix(ground, SEASON_GROUND[season], 0.8)
    elif season == "winter" and place in ("street", "sand", "desert"):
        ground = _mix(ground, SEASON_GROUND["winter"], 0.75)
    h = int(horizon * s)
    canvas = _gradient(s, sky, _mix(sky, (255, 255, 255), 0.35)).copy()
    canvas[h:] = _gradient(s, _mix(ground, (255, 255, 255), 0.12), _mix(ground, (0, 0, 0), 0.12))[: s - h]
    image = Image.fromarray(canvas.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    scenery = Image.new("L", (s, s))  # what stands before the sky
    solid = ImageDraw.Draw(scenery)

    def hills(colour: RGB, height: float, peaks: bool, snow_cap: bool = False) -> None:
        count = int(rng.integers(2, 5))
        for i in range(count):
            x = (i + rng.uniform(0.1, 0.9)) / count * s
            w, top = rng.uniform(0.25, 0.45) * s, h - rng.uniform(0.5, 1) * height * s
            tone = _vary(colour, rng)
            if peaks:
                shape = [(x - w, h), (x, top), (x + w, h)]
                draw.polygon(shape, tone)
                solid.polygon(shape, 255)
                if snow_cap:
                    c = 0.3
                    draw.polygon(
                        [(x - w * c, top + (h - top) * c), (x, top), (x + w * c, top + (h - top) * c)], (245, 248, 252)
                    )
            else:
                draw.pieslice((x - w, top, x + w, 2 * h - top), 180, 360, tone)
                solid.pieslice((x - w, top, x + w, 2 * h - top), 180, 360, 255)

    def blocks(colours: list[RGB], height: tuple[float, float], lit: RGB) -> None:
        x = -rng.uniform(0, 0.1) * s
        while x < s:
            w, top = rng.uniform(0.1, 0.2) * s, h - rng.uniform(*height) * s
            draw.rectangle((x, top, x + w, h), _vary(colours[int(rng.integers(len(colours)))], rng))
            solid.rectangle((x, top, x + w, h), 255)
            step = 0.045 * s
            for wy in np.arange(top + step * 0.6, h - step, step * 1.3):
                for wx in np.arange(x + step * 0.5, x + w - step * 0.6, step):
                    draw.rectangle((wx, wy, wx + step * 0.5, wy + step * 0.7), lit)
            x += w + rng.uniform(0, 0.03) * s

    def trees(colour: RGB, height: tuple[float, float], pointed: bool) -> None:
        for x in np.sort(rng.uniform(0, s, int(rng.integers(5, 9)))):
            tall, tone = rng.uniform(*height) * s, _vary(colour, rng, 24)
            draw.rectangle((x - 0.012 * s, h - tall * 0.3, x + 0.012 * s, h + 2), (100, 70, 50))
            if pointed:
                shape = [(x - tall * 0.3, h - tall * 0.15), (x, h - tall), (x + tall * 0.3, h - tall * 0.15)]
                draw.polygon(shape, tone)
                solid.polygon(shape, 255)
            else:
                oval = (x - tall * 0.35, h - tall, x + tall * 0.35, h - tall * 0.2)
                draw.ellipse(oval, tone)
                solid.ellipse(oval, 255)

    if place not in ("room", "kitchen"):
        for _ in range(int(rng.integers(0, 4))):
            x, y, w = rng.uniform(0, s), rng.uniform(0.03, 0.75) * h, rng.uniform(0.08, 0.16) * s
            cloud = _mix(sky, (255, 255, 255) if place != "lava" else (50, 40, 50), 0.65)
            for dx, dy, r in ((-0.6, 0.1, 0.5), (0, -0.1, 0.65), (0.6, 0.12, 0.45)):
                draw.ellipse(
                    (x + (dx - r) * w, y + (dy - r * 0.7) * w, x + (dx + r) * w, y + (dy + r * 0.7) * w), cloud
                )
    leaf = {"autumn": (205, 120, 40), "winter": (190, 205, 205), "spring": (235, 170, 195)}.get(season, (70, 130, 70))
    if place in ("grass", "snow"):
        hills(_mix(ground, sky, 0.35), 0.16, peaks=False)
        if place == "grass" and rng.random() < 0.5:
            trees(leaf, (0.1, 0.18), pointed=False)
    elif place == "mountains":
        hills((130, 135, 155), 0.36, peaks=True, snow_cap=True)
    elif place == "lava":
        hills((70, 45, 50), 0.3, peaks=True)
    elif place == "desert":
        hills(_mix(ground, (255, 240, 200), 0.3), 0.14, peaks=False)
    elif place == "forest":
        trees(_mix(leaf, (60, 110, 80), 0.35), (0.25, 0.42), pointed=season != "autumn" and bool(rng.random() < 0.6))
    elif place == "city":
        blocks([(120, 130, 150), (165, 140, 130), (150, 155, 165)], (0.12, 0.36), (240, 225, 170))
    elif place == "street":
        blocks([(190, 130, 105), (205, 180, 140), (150, 160, 170)], (0.14, 0.26), (215, 230, 240))
    elif place in ("room", "kitchen"):
        _indoors(draw, place, sky, s, h, rng)
    _floor(draw, place, ground, s, h, rng)
    small = image.resize((size, size), Image.Resampling.BOX)
    above = np.arange(size)[:, None] < horizon * size
    covered = np.asarray(scenery.resize((size, size), Image.Resampling.BOX)) > 127
    return Backdrop(np.asarray(small), above & ~covered)


def _indoors(draw: ImageDraw.ImageDraw, place: str, wall: RGB, s: int, h: int, rng: np.random.Generator) -> None:
    if place == "room":
        for x in np.arange(rng.uniform(0, 0.08) * s, s, 0.14 * s):
            draw.rectangle((x, 0, x + 0.06 * s, h), _mix(wall, (255, 255, 255), 0.25))
        draw.rectangle((0, h - 0.025 * s, s, h), _mix(wall, (90, 60, 40), 0.55))
        if rng.random() < 0.7:
            x, y = rng.uniform(0.08, 0.7) * s, rng.uniform(0.06, 0.16) * s
            draw.rectangle((x, y, x + 0.2 * s, y + 0.22 * s), (245, 245, 240))
            draw.rectangle((x + 0.02 * s, y + 0.02 * s, x + 0.18 * s, y + 0.2 * s), (165, 210, 240))
            draw.rectangle((x + 0.092 * s, y, x + 0.108 * s, y + 0.22 * s), (245, 245, 240))
    else:
        for y in np.arange(0.3 * h, h, 0.07 * s):
            draw.line((0, y, s, y), _mix(wall, (120, 140, 140), 0.25), 2)
        for x in np.arange(rng.uniform(0, 0.07) * s, s, 0.07 * s):
            draw.line((x, 0.3 * h, x, h), _mix(wall, (120, 140, 140), 0.25), 2)
        cabinet = _vary((190, 150, 110), rng, 40)
        for i in range(4):
            draw.rectangle(
                (i * 0.25 * s + 2, 0, (i + 1) * 0.25 * s - 3, 0.3 * h), cabinet, _mix(cabinet, (0, 0, 0), 0.3)
            )


def _floor(draw: ImageDraw.ImageDraw, place: str, ground: RGB, s: int, h: int, rng: np.random.Generator) -> None:
    depth = s - h
    if place == "street":
        for x in np.arange(-0.05, 1.1, 0.25):
            draw.rectangle((x * s, h + 0.6 * depth, (x + 0.12) * s, h + 0.66 * depth), (225, 225, 215))
    elif place == "room":
        for x in np.linspace(-1, 2, 13):
            draw.line(
                (0.5 * s + (x - 0.5) * 0.55 * s, h, 0.5 * s + (x - 0.5) * 1.3 * s, s), _mix(ground, (0, 0, 0), 0.16), 2
            )
    elif place == "kitchen":
        for t in (0.12, 0.3, 0.58):
            draw.line((0, h + t * depth, s, h + t * depth), _mix(ground, (0, 0, 0), 0.14), 2)
        for x in np.linspace(-1, 2, 13):
            draw.line(
                (0.5 * s + (x - 0.5) * 0.55 * s, h, 0.5 * s + (x - 0.5) * 1.5 * s, s), _mix(ground, (0, 0, 0), 0.14), 2
            )
    else:
        glow = {"sea": (255, 255, 255), "lava": (255, 200, 60)}.get(place)
        for _ in range(int(rng.integers(3, 8))):
            x, y, w = rng.uniform(0, s), h + rng.uniform(0.05, 0.95) * depth, rng.uniform(0.06, 0.16) * s
            tone = (
                _mix(ground, glow, 0.5)
                if glow
                else _mix(ground, (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255), 0.09)
            )
            draw.ellipse((x - w, y - w * 0.12, x + w, y + w * 0.12), tone)
