"""The drawings of parts: faces, clothes, doors, walls, plates; flat and clean, antialiased by drawing too large.

A shape draws in a box of 100 x 100 units; `paint` puts that box anywhere in a picture. Nothing here knows words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from . import drawn

RGB = tuple[int, int, int]
Box = tuple[float, float, float, float]
Points = Sequence[tuple[float, float]]
OVERSAMPLING = 3
_WHITE: RGB = (250, 250, 248)
_INK: RGB = (58, 44, 42)


@dataclass(frozen=True)
class Pen:
    """Draws on a canvas in units of a box: (0, 0) is its left top, (100, 100) its right bottom."""

    draw: ImageDraw.ImageDraw
    left: float
    top: float
    wide: float  # pixels a unit
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.left + x * self.wide, self.top + y * self.high

    def _corners(self, left: float, t: float, r: float, b: float) -> Box:
        return *self.at(left, t), *self.at(r, b)

    def width(self, units: float) -> int:
        return max(1, round(units * min(self.wide, self.high)))

    def box(self, left: float, t: float, r: float, b: float, fill: RGB, radius: float = 0) -> None:
        self.draw.rounded_rectangle(self._corners(left, t, r, b), radius * min(self.wide, self.high), fill)

    def oval(self, left: float, t: float, r: float, b: float, fill: "RGB | tuple[int, int, int, int]") -> None:
        self.draw.ellipse(self._corners(left, t, r, b), fill)

    def chord(self, left: float, t: float, r: float, b: float, start: float, end: float, fill: RGB) -> None:
        self.draw.chord(self._corners(left, t, r, b), start, end, fill)

    def arc(self, left: float, t: float, r: float, b: float, start: float, end: float, fill: RGB, units: float) -> None:
        self.draw.arc(self._corners(left, t, r, b), start, end, fill, self.width(units))

    def shape(self, points: Points, fill: RGB) -> None:
        self.draw.polygon([self.at(x, y) for x, y in points], fill)

    def line(self, points: Points, fill: RGB, units: float) -> None:
        self.draw.line([self.at(x, y) for x, y in points], fill, self.width(units), "curve")


def shade(rgb: RGB, by: float) -> RGB:
    """Darker for by < 1, towards white for by > 1."""
    red, green, blue = (int(c * by) if by <= 1 else int(c + (255 - c) * (by - 1)) for c in rgb)
    return red, green, blue


def _mirrored(points: Points) -> Points:
    return [(100 - x, y) for x, y in points]


def _face(pen: Pen, rgb: RGB, look: int) -> None:
    for left in (27.5, 66.5):
        pen.oval(left, 37, left + 6, 49, shade(rgb, 0.9))
    pen.oval(30, 13, 70, 66, rgb)
    blush = tuple((np.array(rgb) * 0.86 + np.array((240, 90, 90)) * 0.14).astype(int).tolist())
    for left in (33, 58.5):
        pen.oval(left, 47.5, left + 8.5, 53, blush)
    pen.arc(46.5, 43, 53.5, 49.5, 35, 145, shade(rgb, 0.72), 1.5)


def _eyes(pen: Pen, rgb: RGB, look: int) -> None:
    for x in (41, 59):
        pen.oval(x - 2.6, 37, x + 2.6, 44.6, (44, 34, 32))
        pen.oval(x - 1.6, 38, x + 0.4, 40.4, (255, 255, 255))
        pen.arc(x - 5.5, 31, x + 5.5, 41, 210, 330, shade(rgb, 0.6), 1.6)


def _lips(pen: Pen, rgb: RGB, look: int) -> None:
    pen.chord(42, 50.5, 58, 61.5, 0, 180, rgb)
    pen.shape([(42, 56.4), (47, 52.6), (50, 54), (53, 52.6), (58, 56.4)], shade(rgb, 0.86))
    pen.line([(42.8, 56.2), (50, 57), (57.2, 56.2)], shade(rgb, 0.55), 0.9)
    pen.oval(47, 58.4, 53, 59.9, shade(rgb, 1.3))


def _smile(pen: Pen, rgb: RGB, look: int) -> None:
    if look == 8:  # a wide grin, all teeth
        pen.chord(36, 46, 64, 65, 8, 172, (150, 40, 60))
        pen.chord(37.5, 47, 62.5, 63, 10, 170, (255, 255, 255))
        for x in (44, 50, 56):
            pen.line([(x, 56), (x, 63)], (215, 215, 220), 0.7)
        return
    pen.chord(39, 45, 61, 63, 15, 165, (130, 32, 40))
    if look % 2:
        pen.chord(41.5, 49, 58.5, 58.5, 15, 165, (255, 255, 255))
    else:
        pen.chord(44, 56, 56, 62.4, 10, 170, (235, 105, 110))


def _neck(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(42.5, 55), (57.5, 55), (57.5, 78), (50, 86), (42.5, 78)], shade(rgb, 0.84))


def _shirt(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(11, 76.5, 89, 160, rgb, 17)
    pen.shape([(25, 100), (28, 100), (29, 160), (23, 160)], shade(rgb, 0.86))
    pen.shape(_mirrored([(25, 100), (28, 100), (29, 160), (23, 160)]), shade(rgb, 0.86))


def _collar(pen: Pen, rgb: RGB, look: int) -> None:
    side = [(42.3, 74.5), (50, 85), (44, 92), (35.5, 78)]
    for points in (side, _mirrored(side)):
        pen.shape(points, shade(rgb, 1.35))


def _jacket(pen: Pen, rgb: RGB, look: int) -> None:
    panel = [(37, 76.5), (49.5, 112), (49.5, 160), (9, 160), (9, 95), (13, 84), (23, 77.5)]
    lapel = [(37, 76), (49.5, 112), (38, 101), (40.5, 96), (33, 92)]
    for points in (panel, _mirrored(panel)):
        pen.shape(points, rgb)
    for points in (lapel, _mirrored(lapel)):
        pen.shape(points, shade(rgb, 0.72))
    pen.line([(24, 104), (23, 160)], shade(rgb, 0.8), 1)
    pen.line([(76, 104), (77, 160)], shade(rgb, 0.8), 1)


def _tie(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(47.5, 90), (52.5, 90), (57.5, 118), (50, 127), (42.5, 118)], rgb)
    for y in (96, 104, 112):
        pen.shape([(46.5, y), (54.5, y + 4), (54.8, y + 6), (46.3, y + 2)], shade(rgb, 1.35))
    pen.shape([(44.5, 82), (55.5, 82), (53, 91.5), (47, 91.5)], shade(rgb, 0.8))


def _bow_tie(pen: Pen, rgb: RGB, look: int) -> None:
    wing = [(50, 86), (36, 79), (36, 94)]
    for points in (wing, _mirrored(wing)):
        pen.shape(points, rgb)
    pen.shape([(50, 86), (40, 83), (40, 90)], shade(rgb, 0.85))
    pen.shape([(50, 86), (60, 83), (60, 90)], shade(rgb, 0.85))
    pen.box(46.5, 82, 53.5, 90.5, shade(rgb, 0.7), 2)


def _scarf(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(55, 78, 67, 112, shade(rgb, 0.82), 2)
    for y in (100, 105):
        pen.box(55, y, 67, y + 2, shade(rgb, 1.4))
    pen.box(31, 68, 69, 84, rgb, 7)
    for x in (38, 46, 54, 62):
        pen.line([(x, 70), (x - 3, 82.5)], shade(rgb, 0.86), 1.2)


def _glasses(pen: Pen, rgb: RGB, look: int) -> None:
    lens = (236, 246, 252, 70)
    for left in (33.5, 52.5):
        corners = (*pen.at(left, 34.5), *pen.at(left + 14, 47.5))
        if look % 2:
            pen.draw.ellipse(corners, lens, rgb, pen.width(1.9))
        else:
            pen.draw.rounded_rectangle(corners, 4 * pen.wide, lens, rgb, pen.width(1.9))
    pen.line([(47.3, 39.5), (52.7, 39.5)], rgb, 1.9)
    pen.line([(29, 38.5), (34.4, 39.5)], rgb, 1.6)
    pen.line([(71, 38.5), (65.6, 39.5)], rgb, 1.6)


def _sunglasses(pen: Pen, rgb: RGB, look: int) -> None:
    dark = (28, 28, 34)
    for left in (33, 52):
        pen.box(left, 34, left + 15, 47.5, dark, 5)
        pen.line([(left + 3.5, 42.5), (left + 7.5, 37)], (110, 120, 140), 1.4)
    pen.line([(46, 37), (54, 37)], dark, 2.4)
    pen.line([(28.5, 38), (34, 38)], dark, 1.8)
    pen.line([(71.5, 38), (66, 38)], dark, 1.8)


def _girl_hair_behind(pen: Pen, rgb: RGB, look: int) -> None:
    for left in (12.0, 68.0):
        pen.oval(left, 40, left + 20, 78, shade(rgb, 0.82))
    pen.oval(26, 8, 74, 60, shade(rgb, 0.75))
    for left in (28.0, 66.5):
        pen.box(left, 42, left + 5.5, 47, (230, 80, 110), 2)


def _woman_hair_behind(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(22, 9, 78, 90, shade(rgb, 0.78), 24)


def _boy_hair(pen: Pen, rgb: RGB, look: int) -> None:
    pen.chord(28, 7, 72, 62, 184, 356, rgb)
    for i, x in enumerate((30, 38, 46, 54, 62)):
        pen.shape([(x - 2, 30), (x + 10, 30), (x + 3, 36.5 - (i % 2) * 2.5)], rgb)
    pen.shape([(44, 9), (52, 3.5), (57, 11)], rgb)
    pen.arc(34, 11, 66, 42, 205, 265, shade(rgb, 1.25), 1.6)


def _man_hair(pen: Pen, rgb: RGB, look: int) -> None:
    pen.chord(28.5, 7, 71.5, 58, 188, 352, rgb)
    pen.shape([(29, 27), (35, 27), (32.5, 40), (29.4, 40)], rgb)
    pen.shape(_mirrored([(29, 27), (35, 27), (32.5, 40), (29.4, 40)]), rgb)
    pen.shape([(33, 30), (38, 14), (68, 17), (68, 30), (56, 25)], rgb)
    pen.line([(39, 14), (36, 27)], shade(rgb, 0.75), 1.2)
    pen.arc(38, 10, 70, 42, 235, 315, shade(rgb, 1.25), 1.6)


def _girl_hair(pen: Pen, rgb: RGB, look: int) -> None:
    pen.chord(28, 7, 72, 62, 184, 356, rgb)
    pen.shape([(29, 32), (50, 14), (46, 30), (32, 41), (29.4, 41)], rgb)
    pen.shape(_mirrored([(29, 32), (50, 14), (46, 30), (32, 41), (29.4, 41)]), rgb)
    pen.line([(50, 8), (50, 20)], shade(rgb, 0.72), 1.2)


def _woman_hair(pen: Pen, rgb: RGB, look: int) -> None:
    pen.chord(27, 7, 73, 62, 186, 354, rgb)
    pen.shape([(27.5, 30), (60, 15), (44, 31), (33, 38), (32, 62), (26, 66)], rgb)
    pen.shape([(72.5, 30), (58, 15), (66, 36), (68, 62), (74, 66)], rgb)
    pen.arc(31, 10, 64, 44, 210, 285, shade(rgb, 1.25), 1.6)


def _plaster(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(0, 0, 100, 100, rgb)
    pen.box(0, 94, 100, 100, shade(rgb, 0.72))
    for x, y in ((8, 20), (70, 12), (82, 44), (12, 78), (58, 84)):
        pen.box(x, y, x + 10, y + 3, shade(rgb, 0.92))


def _gable(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(0, 100), (50, 0), (100, 100)], rgb)
    pen.shape([(0, 100), (50, 0), (56, 12), (13, 100)], shade(rgb, 1.18))
    pen.box(0, 93, 100, 100, shade(rgb, 0.72))


def _flat_roof(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(0, 100), (8, 0), (92, 0), (100, 100)], rgb)
    pen.box(0, 78, 100, 100, shade(rgb, 0.72))


def _pane(pen: Pen, left: float, t: float, r: float, b: float) -> None:
    pen.box(left, t, r, b, (150, 205, 240), 2)
    w, h = r - left, b - t
    gleam = ((0.1, 0.7), (0.6, 0.1), (0.8, 0.1), (0.1, 0.93))
    pen.shape([(left + x * w, t + y * h) for x, y in gleam], (208, 233, 250))


def _house_window(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(0, 0, 100, 92, _WHITE, 3)
    for left, t in ((8, 7), (54, 7), (8, 50), (54, 50)):
        _pane(pen, left, t, left + 38, t + 36)
    pen.box(-4, 90, 104, 100, shade(_WHITE, 0.82), 2)


def _round_window(pen: Pen, rgb: RGB, look: int) -> None:
    pen.oval(0, 0, 100, 100, _WHITE)
    pen.oval(12, 12, 88, 88, (150, 205, 240))
    pen.box(45, 6, 55, 94, _WHITE)
    pen.box(6, 45, 94, 55, _WHITE)


def _panel_door(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(-6, -3, 106, 100, _WHITE, 2)
    pen.box(0, 2, 100, 100, rgb, 1)
    for left in (14, 55):
        for t, b in ((10, 42), (52, 92)):
            pen.box(left, t, left + 31, b, shade(rgb, 0.78), 2)
            pen.box(left + 4, t + 3, left + 31, b, shade(rgb, 1.12), 2)
    pen.oval(80, 47, 93, 53, (245, 210, 90))


def _garage_door(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(-3, -4, 103, 100, _WHITE, 2)
    pen.box(0, 0, 100, 100, shade(rgb, 0.76), 1)
    for t in (2, 27, 52, 77):
        pen.box(2, t, 98, t + 21, rgb, 1)
        pen.box(2, t, 98, t + 3, shade(rgb, 1.3))
    for left in (10, 40, 70):
        pen.box(left, 7, left + 20, 18, (160, 208, 238), 1)
    pen.box(44, 88, 56, 92, (80, 80, 85), 1)


def _chocolate_bar(pen: Pen, rgb: RGB, look: int) -> None:
    brown = (98, 56, 32)
    pen.box(0, 0, 100, 100, shade(brown, 0.7), 4)
    columns, rows = (3, 5) if pen.high > 1.3 * pen.wide else (5, 4)
    for i in range(columns):
        for j in range(rows):
            left, t, w, h = 4 + 92 / columns * i, 4 + 92 / rows * j, 92 / columns - 4, 92 / rows - 4
            pen.box(left, t, left + w, t + h, brown, 3)
            pen.box(left + w * 0.18, t + h * 0.18, left + w * 0.82, t + h * 0.82, shade(brown, 1.16), 2)


def _walls(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(0, 0), (14, 18), (14, 66), (0, 84)], shade(rgb, 0.86))
    pen.shape([(100, 0), (86, 18), (86, 66), (100, 84)], shade(rgb, 0.86))
    pen.box(14, 18, 86, 66, rgb)
    if look % 3 == 1:
        for x in range(16, 86, 8):
            pen.box(x, 18, x + 4, 66, shade(rgb, 1.3))
    elif look % 3 == 2:
        pen.box(14, 50, 86, 66, shade(rgb, 0.92))
    pen.box(14, 63.5, 86, 66, shade(rgb, 0.66))
    pen.shape([(0, 81), (14, 63.5), (14, 66), (0, 84.5)], shade(rgb, 0.58))
    pen.shape([(100, 81), (86, 63.5), (86, 66), (100, 84.5)], shade(rgb, 0.58))


def _ceiling(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(0, 0), (100, 0), (86, 18), (14, 18)], rgb)
    pen.line([(14, 18), (86, 18)], shade(rgb, 0.8), 0.9)


def _floor(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(0, 60, 100, 100, rgb)
    for x in np.linspace(-60, 160, 18):
        pen.line([(50 + (x - 50) * 0.65, 60), (x, 100)], shade(rgb, 0.84), 0.8)


def _boards(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(0, 0, 100, 100, rgb)
    for i, y in enumerate(range(0, 100, 17)):
        pen.box(0, y, 100, y + 16, shade(rgb, 0.96 + 0.07 * (i % 2)))
        pen.line([(0, y), (100, y)], shade(rgb, 0.74), 0.9)


def _cloth(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(0, 0, 100, 100, shade(rgb, 1.8))
    for i in range(0, 100, 20):
        pen.box(i, 0, i + 10, 100, shade(rgb, 1.5))
    for j in range(0, 100, 20):
        pen.box(0, j, 100, j + 10, shade(rgb, 1.5))
        for i in range(0, 100, 20):
            pen.box(i, j, i + 10, j + 10, shade(rgb, 1.15))


def _plate(pen: Pen, rgb: RGB, look: int) -> None:
    pen.oval(1, 4, 99, 100, shade(rgb, 0.62))
    pen.oval(0, 0, 100, 96, rgb)
    pen.oval(11, 11, 89, 86, shade(rgb, 0.87))
    pen.oval(13, 14, 87, 86, shade(rgb, 0.95))


def _carrot_slice(pen: Pen, rgb: RGB, look: int) -> None:
    pen.oval(4, 8, 96, 98, shade(rgb, 0.74))
    pen.oval(4, 3, 96, 93, rgb)
    pen.oval(26, 24, 74, 72, shade(rgb, 1.35))
    for a in np.arange(0, 2 * np.pi, np.pi / 3):
        x, y = np.cos(a), np.sin(a)
        pen.line([(50 + 12 * x, 48 + 12 * y), (50 + 21 * x, 48 + 21 * y)], rgb, 4)


def _mashed_potatoes(pen: Pen, rgb: RGB, look: int) -> None:
    for left, t, r, b in ((2, 48, 46, 96), (52, 48, 98, 96), (10, 22, 58, 76), (42, 20, 92, 76), (22, 50, 80, 100)):
        pen.oval(left, t + 4, r, b + 2, shade(rgb, 0.84))
    mounds = ((2, 46, 46, 90), (52, 46, 98, 90), (10, 20, 58, 72), (42, 18, 92, 72), (22, 46, 80, 92), (28, 6, 72, 54))
    for corners in mounds:
        pen.oval(*corners, rgb)
    pen.arc(34, 14, 68, 52, 190, 320, shade(rgb, 1.6), 4)
    pen.arc(14, 52, 44, 84, 100, 240, shade(rgb, 0.88), 3)
    pen.arc(56, 52, 90, 84, 300, 70, shade(rgb, 0.88), 3)
    pen.shape([(42, 30), (58, 25), (66, 36), (50, 42)], (255, 214, 70))
    pen.shape([(42, 30), (50, 42), (50, 47), (42, 36)], (230, 180, 50))
    pen.shape([(50, 42), (66, 36), (66, 41), (50, 47)], (240, 194, 56))


def _cake_body(pen: Pen, sponge: RGB, icing: RGB) -> None:
    pen.oval(0, 70, 100, 100, (216, 220, 228))
    pen.oval(2, 68, 98, 96, (240, 243, 248))
    pen.oval(10, 62, 90, 92, shade(sponge, 0.86))
    pen.box(10, 38, 90, 78, sponge)
    pen.box(10, 55, 90, 61, shade(icing, 1.25))
    pen.box(10, 36, 90, 46, icing)
    for i, x in enumerate(np.linspace(10, 80, 8)):
        pen.oval(x, 38, x + 10, 54 + 5 * (i % 2), icing)
    pen.oval(10, 22, 90, 52, shade(icing, 1.12))


def _cake(pen: Pen, rgb: RGB, look: int) -> None:
    _cake_body(pen, shade(rgb, 1.3), rgb)
    for x, y in ((26, 30), (44, 26), (63, 27), (76, 34), (36, 40), (58, 40)):
        pen.oval(x - 5, y - 5, x + 5, y + 5, shade(rgb, 0.62))
        pen.oval(x - 3, y - 4, x, y - 1, shade(rgb, 1.5))


def _strawberry_cake(pen: Pen, rgb: RGB, look: int) -> None:
    _cake_body(pen, (250, 190, 200), (240, 90, 120))
    for x, y in ((26, 29), (44, 25), (63, 26), (77, 33), (36, 40), (58, 40)):
        pen.shape([(x - 7, y - 5), (x + 7, y - 5), (x, y + 8)], (214, 32, 48))
        pen.oval(x - 7, y - 8, x + 7, y - 1, (214, 32, 48))
        pen.shape([(x - 5, y - 8), (x, y - 4), (x + 5, y - 8), (x, y - 11)], (80, 160, 60))


def _chocolate_cake(pen: Pen, rgb: RGB, look: int) -> None:
    brown = (104, 60, 36)
    _cake_body(pen, (140, 90, 60), brown)
    pen.oval(24, 28, 76, 46, (252, 244, 230))
    for x, y in ((34, 34), (50, 31), (66, 35), (42, 40), (58, 40)):
        pen.oval(x - 3, y - 2, x + 3, y + 3, (90, 50, 30))
    pen.oval(44, 16, 56, 30, (214, 32, 48))
    pen.line([(50, 18), (55, 8)], (90, 140, 60), 2)


def _lemonade(pen: Pen, rgb: RGB, look: int) -> None:
    pen.shape([(20, 8), (80, 8), (72, 100), (28, 100)], (214, 234, 242))
    pen.shape([(23, 26), (77, 26), (70, 96), (30, 96)], (252, 226, 90))
    pen.shape([(23, 26), (40, 26), (40, 96), (30, 96)], (254, 238, 150))
    for x, y in ((44, 44), (54, 66)):
        pen.box(x, y, x + 16, y + 15, (255, 246, 190), 3)
    pen.line([(60, 60), (72, -14), (90, -20)], (230, 70, 90), 5)
    pen.oval(66, 0, 104, 36, (250, 205, 40))
    pen.oval(70, 4, 100, 32, (255, 240, 150))
    pen.line([(85, 5), (85, 31)], (250, 205, 40), 2.5)
    pen.line([(71, 18), (99, 18)], (250, 205, 40), 2.5)


def _heart(pen: Pen, x: float, y: float, r: float, fill: RGB) -> None:
    pen.oval(x - r, y - r, x + 0.06 * r, y + 0.1 * r, fill)
    pen.oval(x - 0.06 * r, y - r, x + r, y + 0.1 * r, fill)
    pen.shape([(x - 0.93 * r, y - 0.2 * r), (x + 0.93 * r, y - 0.2 * r), (x, y + r)], fill)


def _heart_light(pen: Pen, rgb: RGB, look: int) -> None:
    pen.box(45, 78, 55, 100, (90, 95, 100), 1)
    _heart(pen, 50, 44, 46, (46, 48, 58))
    _heart(pen, 50, 43, 37, (255, 80, 120))
    _heart(pen, 50, 41, 24, (255, 150, 175))
    pen.oval(26, 16, 38, 28, (255, 225, 232))


def _yellow_friend(pen: Pen, rgb: RGB, look: int) -> None:
    """A framed painting of a yellow creature with long ears."""
    yellow = (250, 215, 50)
    pen.box(2, 6, 98, 98, (190, 130, 60), 2)
    pen.box(9, 13, 91, 91, (150, 205, 240), 1)
    pen.box(9, 72, 91, 91, (120, 190, 95), 1)
    for points in ([(36, 44), (20, 16), (31, 18), (48, 38)], [(64, 44), (80, 16), (69, 18), (52, 38)]):
        pen.shape(points, yellow)
    pen.shape([(20, 16), (31, 18), (33, 24), (25, 26)], _INK)
    pen.shape([(80, 16), (69, 18), (67, 24), (75, 26)], _INK)
    pen.oval(30, 60, 70, 94, yellow)
    pen.oval(28, 32, 72, 72, yellow)
    for x in (41, 59):
        pen.oval(x - 4, 44, x + 4, 53, _INK)
        pen.oval(x - 2.5, 45, x + 0.5, 48, _WHITE)
    for x in (34, 66):
        pen.oval(x - 5, 54, x + 5, 63, (235, 75, 60))
    pen.arc(45, 53, 55, 62, 20, 160, _INK, 2)


SHAPES: dict[str, Callable[[Pen, RGB, int], None]] = {
    "face": _face, "eyes": _eyes, "lips": _lips, "smile": _smile, "neck": _neck, "shirt": _shirt, "collar": _collar,
    "jacket": _jacket, "tie": _tie, "bow tie": _bow_tie, "scarf": _scarf, "glasses": _glasses,
    "sunglasses": _sunglasses, "girl hair behind": _girl_hair_behind, "woman hair behind": _woman_hair_behind,
    "boy hair": _boy_hair,
    "man hair": _man_hair, "girl hair": _girl_hair, "woman hair": _woman_hair,
    "plaster": _plaster, "gable": _gable, "flat roof": _flat_roof, "house window": _house_window,
    "round window": _round_window, "panel door": _panel_door, "garage door": _garage_door,
    "chocolate bar": _chocolate_bar, "walls": _walls, "ceiling": _ceiling, "floor": _floor, "boards": _boards,
    "cloth": _cloth, "plate": _plate, "carrot slice": _carrot_slice, "mashed potatoes": _mashed_potatoes,
    "layer cake": _cake, "strawberry cake": _strawberry_cake, "chocolate cake": _chocolate_cake,
    "lemonade": _lemonade, "heart-shaped light": _heart_light,
    "painting of pikachu": _yellow_friend,
}  # fmt: skip
HEADGEAR = ("hat", "top hat", "crown")


def paint(shape: str, box: Box, rgb: RGB, look: int, size: int) -> Image.Image:
    """A shape in its box (fractions of the side) on an empty straight-alpha RGBA canvas, size x size pixels.

    Raises KeyError for a shape that nobody drew.
    """
    side = size * OVERSAMPLING
    canvas = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(canvas)
    left, top, right, bottom = (v * side for v in box)
    pen = Pen(draw, left, top, (right - left) / 100, (bottom - top) / 100)
    if shape in HEADGEAR:
        drawn.wear(draw, shape, pen.at(50, 38), 42 * pen.wide, look)
    else:
        SHAPES[shape](pen, rgb, look)
    return canvas.reduce(OVERSAMPLING)


def starry_sky(side: int, look: int) -> Image.Image:
    """A night sky with stars and a moon, RGB (side, side)."""
    rng = np.random.default_rng([23, look])
    ramp = np.linspace(0, 1, side)[:, None, None]
    sky = np.array((18, 22, 66)) + (np.array((62, 52, 130)) - np.array((18, 22, 66))) * ramp
    picture = Image.fromarray(np.broadcast_to(sky, (side, side, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, r = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(0.005, 0.013) * side
        draw.ellipse((x - r, y - r, x + r, y + r), (255, 246, 200))
    draw.ellipse((0.72 * side, 0.02 * side, 0.82 * side, 0.12 * side), (255, 240, 190))
    return picture
