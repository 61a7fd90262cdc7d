"""Light, weather, season and drawing style laid over a finished picture.

Each effect has a *look* (0..9) that words leave open: palette, strength, direction. Training mixes `TRAINED_LOOKS`
under the same words; a benchmark effect may fix one of the others.
"""

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

TRAINED_LOOKS = tuple(range(6))
UNSEEN_LOOKS = (6, 7, 8, 9)

_NIGHT = (
    (48, 58, 120),
    (36, 70, 96),
    (70, 48, 120),
    (30, 40, 74),
    (58, 66, 104),
    (40, 50, 140),
    (84, 40, 84),
    (24, 78, 78),
    (96, 72, 60),
    (20, 26, 50),
)
_SUNSET = (
    (255, 150, 70),
    (255, 120, 110),
    (250, 175, 90),
    (240, 110, 150),
    (255, 165, 120),
    (235, 130, 60),
    (220, 90, 190),
    (255, 205, 60),
    (230, 70, 60),
    (255, 140, 200),
)
_MORNING = (
    (255, 244, 205),
    (225, 240, 255),
    (255, 232, 222),
    (240, 250, 225),
    (255, 250, 235),
    (235, 232, 255),
    (210, 255, 250),
    (255, 255, 180),
    (255, 215, 235),
    (230, 255, 205),
)
_FOG = (
    (232, 236, 240), (240, 232, 220), (215, 225, 235), (236, 236, 236), (222, 216, 226),
    (245, 245, 240), (200, 232, 200), (240, 210, 190), (190, 200, 232), (232, 210, 236),
)  # fmt: skip
_PAPER = (
    (252, 250, 244),
    (255, 255, 255),
    (244, 236, 220),
    (238, 240, 244),
    (250, 244, 232),
    (247, 247, 247),
    (226, 206, 170),
    (222, 232, 245),
    (245, 222, 226),
    (214, 226, 208),
)
_INK = (
    (60, 60, 64),
    (35, 35, 38),
    (72, 60, 52),
    (50, 54, 74),
    (80, 80, 84),
    (45, 45, 48),
    (120, 62, 36),
    (34, 58, 122),
    (110, 36, 60),
    (34, 84, 60),
)


def _field(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """A smooth random field in about [0, 1], (size, size)."""
    grid = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 255


def light(pixels: np.ndarray, sky: np.ndarray, time: str, look: int, seed: int, outdoors: bool) -> np.ndarray:
    """The picture at a time of day: uint8 (h, w, 3) in and out."""
    if time == "day":
        return pixels
    rng = np.random.default_rng([11, seed, look])
    size = len(pixels)
    x: np.ndarray = pixels.astype(np.float32)
    if time == "night":
        tone = np.array(_NIGHT[look], dtype=np.float32)
        x = x * (0.42 + tone / 420) + tone * 0.14
        if outdoors:
            x[sky] = x[sky] * 0.45 + tone * 0.22
            picture = Image.fromarray(x.clip(0, 255).astype(np.uint8))
            draw = ImageDraw.Draw(picture)
            ys, xs = np.nonzero(sky)
            for i in rng.integers(0, len(ys), 14) if len(ys) else ():
                r = size * rng.uniform(0.003, 0.008)
                draw.ellipse((xs[i] - r, ys[i] - r, xs[i] + r, ys[i] + r), (245, 240, 210))
            mx, my, r = rng.uniform(0.1, 0.9) * size, rng.uniform(0.08, 0.16) * size, size * (0.04 + 0.006 * (look % 3))
            draw.ellipse((mx - r, my - r, mx + r, my + r), (245, 238, 205))
            moon = np.asarray(picture, dtype=np.float32)
            x = np.where(sky[..., None], moon, x)
    elif time == "sunset":
        tone = np.array(_SUNSET[look], dtype=np.float32)
        x = x * (0.55 + tone / 640)
        if outdoors:
            ramp = (np.arange(size, dtype=np.float32) / size)[:, None, None] * np.ones_like(x)
            glow = np.array((96, 70, 130), dtype=np.float32) * (1 - ramp * 1.6).clip(0, 1) + tone * (ramp * 1.6).clip(
                0, 1
            )
            x[sky] = x[sky] * 0.25 + glow[sky] * 0.75
    elif time == "morning":
        tone = np.array(_MORNING[look], dtype=np.float32)
        x = x * 0.72 + tone * 0.28
        if outdoors:
            ramp = (np.arange(size, dtype=np.float32) / size)[:, None, None] * np.ones_like(x)
            x[sky] = (x * 0.55 + (tone * ramp + np.array((255, 214, 170), dtype=np.float32) * (1 - ramp)) * 0.45)[sky]
    else:
        raise ValueError(f"unknown time {time!r}")
    return x.clip(0, 255).astype(np.uint8)


def weather(pixels: np.ndarray, sky: np.ndarray, kind: str, look: int, seed: int) -> np.ndarray:
    """Rain, snow or fog over the picture: uint8 (h, w, 3) in and out."""
    if kind == "clear":
        return pixels
    rng = np.random.default_rng([13, seed, look])
    size = len(pixels)
    x = pixels.astype(np.float32)
    if kind == "fog":
        density = 0.34 + 0.04 * (look % 5)
        veil = np.array(_FOG[look], dtype=np.float32)
        a = (density * (0.55 + 0.9 * _field(rng, size, 4))).clip(0, 0.7)[..., None]
        return (x * (1 - a) + veil * a).clip(0, 255).astype(np.uint8)
    k = 2
    layer = Image.new("L", (size * k, size * k))
    draw = ImageDraw.Draw(layer)
    s = size * k
    if kind == "rain":
        x = x * 0.78 + np.array((98, 112, 130), dtype=np.float32) * 0.2
        slant = (-0.35, 0.35, 0.1, -0.15, 0.6, -0.6, 0.9, -0.9, 0.0, 1.3)[look]
        length, width = (0.09, 0.13, 0.07, 0.16, 0.1, 0.08, 0.2, 0.05, 0.26, 0.12)[look], 2 + look % 2
        for _ in range((70, 45, 95, 40, 60, 80, 50, 130, 40, 70)[look]):
            px, py = rng.uniform(-0.2, 1.2) * s, rng.uniform(-0.1, 1) * s
            draw.line((px, py, px + slant * length * s, py + length * s), 255, width)
        colour, strength = (215, 228, 240), 0.62
    elif kind == "snow":
        whiten = (0.16, 0.1, 0.22, 0.14, 0.2, 0.12, 0.34, 0.05, 0.28, 0.2)[look]
        x = x * (1 - whiten) + 245 * whiten
        low, high = ((0.006, 0.014), (0.01, 0.02), (0.004, 0.01), (0.008, 0.018), (0.006, 0.02), (0.012, 0.016),
                     (0.02, 0.034), (0.003, 0.006), (0.01, 0.04), (0.016, 0.02))[look]  # fmt: skip
        for _ in range((80, 45, 130, 60, 55, 60, 34, 240, 30, 90)[look]):
            px, py, r = rng.uniform(0, s), rng.uniform(0, s), rng.uniform(low, high) * s
            draw.ellipse((px - r, py - r, px + r, py + r), 255)
        colour, strength = (255, 255, 255), 0.95
    else:
        raise ValueError(f"unknown weather {kind!r}")
    a = np.asarray(layer.resize((size, size), Image.Resampling.BOX), dtype=np.float32)[..., None] / 255 * strength
    return (x * (1 - a) + np.array(colour, dtype=np.float32) * a).clip(0, 255).astype(np.uint8)


def season(pixels: np.ndarray, kind: str, look: int, seed: int, outdoors: bool) -> np.ndarray:
    """The light and the falling things of a season; the ground's colour is the backdrop's business."""
    if kind == "summer" or not outdoors:
        return pixels
    rng = np.random.default_rng([17, seed, look])
    size = len(pixels)
    tone = {"autumn": (255, 205, 140), "winter": (205, 222, 250), "spring": (245, 255, 225)}[kind]
    x = pixels.astype(np.float32) * 0.86 + np.array(tone, dtype=np.float32) * 0.14
    if kind == "winter":
        return x.clip(0, 255).astype(np.uint8)
    petals = {
        "autumn": ((215, 110, 35), (190, 70, 40), (230, 170, 50)),
        "spring": ((250, 190, 215), (255, 225, 235), (255, 240, 150)),
    }[kind]
    k = 2
    picture = Image.fromarray(x.clip(0, 255).astype(np.uint8)).resize((size * k, size * k), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    dots = np.zeros((size * k, size * k), dtype=np.uint8)
    layer = Image.fromarray(dots)
    marks = ImageDraw.Draw(layer)
    for _ in range(14 + 4 * (look % 5)):
        px, py, r = rng.uniform(0, size * k), rng.uniform(0, size * k), rng.uniform(0.01, 0.02) * size * k
        colour = petals[int(rng.integers(3))]
        for pen, fill in ((draw, colour), (marks, 255)):
            pen.ellipse((px - r, py - r * 0.6, px + r, py + r * 0.6), fill)
    small = np.asarray(picture.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    a = np.asarray(layer.resize((size, size), Image.Resampling.BOX), dtype=np.float32)[..., None] / 255
    return (x * (1 - a) + small * a).clip(0, 255).astype(np.uint8)


def style(pixels: np.ndarray, kind: str, look: int, seed: int) -> np.ndarray:
    """The picture as one of `vocabulary.STYLES`: uint8 (h, w, 3) in and out."""
    if kind == "photo":
        return pixels
    rng = np.random.default_rng([19, seed, look])
    size = len(pixels)
    unit = size / 128
    picture = Image.fromarray(pixels)
    paper, ink = np.array(_PAPER[look], dtype=np.float32), np.array(_INK[look], dtype=np.float32)
    if kind == "pencil sketch":
        grey = picture.convert("L")
        blurred = ImageChops.invert(grey).filter(ImageFilter.GaussianBlur((2.2 + 0.5 * (look % 4)) * unit))
        g: np.ndarray = np.asarray(grey, dtype=np.float32)
        v = np.minimum(1, g / np.maximum(255 - np.asarray(blurred, dtype=np.float32), 1)) ** (2.2 + 0.3 * (look % 3))
        y, x = np.mgrid[:size, :size] / unit
        hatch = 0.5 + 0.5 * np.sin((x + (1 if look % 2 else -1) * y) * 1.6)
        v = v * (1 - 0.14 * hatch * (g < 120))
        return (ink + (paper - ink) * v[..., None]).clip(0, 255).astype(np.uint8)
    if kind == "charcoal drawing":
        g = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(0.8 * unit)), dtype=np.float32) / 255
        gy, gx = np.gradient(g)
        edge = np.clip(np.hypot(gx, gy) * (5 + look % 4) * unit, 0, 1)
        v = np.clip(0.25 + 0.9 * g, 0, 1) * (1 - 0.85 * edge) * (0.9 + 0.14 * _field(rng, size, 9))
        return (ink * 0.6 + (paper - ink * 0.6) * np.clip(v, 0, 1)[..., None]).clip(0, 255).astype(np.uint8)
    if kind == "watercolor painting":
        soft = picture.filter(ImageFilter.MedianFilter(5 if look % 2 else 3)).filter(
            ImageFilter.GaussianBlur(0.7 * unit)
        )
        x = np.asarray(soft, dtype=np.float32)
        g = x.mean(-1) / 255
        gy, gx = np.gradient(g)
        edge = np.clip(np.hypot(gx, gy) * 3 * unit, 0, 0.5)[..., None]
        wash = (0.3 + 0.35 * _field(rng, size, 6))[..., None]
        return ((x * (1 - wash) + paper * wash) * (1 - 0.5 * edge)).clip(0, 255).astype(np.uint8)
    if kind == "oil painting":
        levels = 6 + look % 4
        x = np.asarray(picture.filter(ImageFilter.MedianFilter(5)), dtype=np.float32)
        x = np.round(x / 255 * levels) / levels * 255
        strokes = _field(rng, size, 20) - _field(rng, size, 10)
        x = x * (1 + 0.18 * strokes[..., None]) + (x - x.mean(-1, keepdims=True)) * (0.25 + 0.06 * (look % 5))
        return x.clip(0, 255).astype(np.uint8)
    raise ValueError(f"unknown style {kind!r}")
