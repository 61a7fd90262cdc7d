"""Things that are drawn rather than taken from a glyph: furniture, doors, lanterns, and what a head can wear.

Every function draws on a straight-alpha RGBA canvas; coordinates are pixels of that canvas.
"""

from PIL import Image, ImageDraw

Point = tuple[float, float]
_WOOD = {"noto": (156, 102, 58), "fluent": (122, 74, 62), "twemoji": (193, 105, 79)}
_TEXTILE = {"noto": (72, 132, 190), "fluent": (178, 64, 96), "twemoji": (85, 172, 238)}
_DARK = (58, 44, 38)


def _shade(rgb: tuple[int, int, int], by: float) -> tuple[int, int, int]:
    """Darker for by < 1, towards white for by > 1."""
    r, g, b = (int(c * by) if by <= 1 else int(c + (255 - c) * (by - 1)) for c in rgb)
    return r, g, b


def object_sprite(noun: str, family: str, cell: int) -> Image.Image:
    """One of the drawn nouns in a family's palette, cell x cell pixels, antialiased."""
    k = 4
    canvas = Image.new("RGBA", (cell * k, cell * k))
    draw, s = ImageDraw.Draw(canvas), cell * k / 100
    wood, cloth = _WOOD[family], _TEXTILE[family]
    flat = family != "noto"

    def box(left: float, t: float, r: float, b: float, fill: tuple, radius: float = 2, line: float = 0) -> None:
        outline = None if flat or not line else _DARK
        draw.rounded_rectangle((left * s, t * s, r * s, b * s), radius * s, fill, outline, int(line * s))

    if noun == "bench":
        for x in (14, 80):
            box(x, 50, x + 6, 92, _shade(wood, 0.6))
        for y in (26, 38):
            box(6, y, 94, y + 9, wood, 2, 1)
        box(4, 56, 96, 66, _shade(wood, 1.2), 3, 1)
    elif noun == "table":
        for x in (12, 80):
            box(x, 42, x + 8, 94, _shade(wood, 0.75))
        box(4, 32, 96, 44, wood, 3, 1)
        box(4, 32, 96, 36, _shade(wood, 1.3), 2)
    elif noun == "curtain":
        box(2, 6, 98, 11, _shade(wood, 0.8), 2)
        for i in range(8):
            box(6 + 11 * i, 10, 18 + 11 * i, 95 - 2 * (i % 2), _shade(cloth, 0.8 + 0.35 * (i % 2)), 4)
    elif noun == "cupboard":
        box(16, 4, 84, 95, _shade(wood, 0.85), 2, 1.5)
        for x in (20, 52):
            for t, b in ((9, 46), (51, 91)):
                box(x, t, x + 28, b, _shade(wood, 1.15), 2, 1)
        for x in (44, 53):
            box(x, 26, x + 3, 32, (235, 205, 110), 1)
            box(x, 66, x + 3, 72, (235, 205, 110), 1)
    elif noun == "bookshelf":
        box(12, 4, 88, 95, wood, 2, 1.5)
        spines = ((200, 60, 60), (60, 120, 190), (240, 190, 70), (80, 160, 100), (140, 90, 170), (230, 230, 220))
        for row, t in enumerate((9, 38, 67)):
            box(16, t, 84, t + 24, _shade(wood, 0.45), 1)
            for i in range(9):
                box(17 + 7.4 * i, t + 3 + (i * 5 + row * 3) % 6, 23.4 + 7.4 * i, t + 24, spines[(i * 2 + row) % 6], 0.5)
    elif noun == "window":
        box(8, 8, 92, 92, (240, 240, 236), 3, 2)
        for left, t in ((14, 14), (53, 14), (14, 53), (53, 53)):
            box(left, t, left + 33, t + 33, (150, 205, 240), 1, 1)
            draw.polygon(
                [
                    ((left + 3) * s, (t + 22) * s),
                    ((left + 20) * s, (t + 3) * s),
                    ((left + 26) * s, (t + 3) * s),
                    ((left + 3) * s, (t + 29) * s),
                ],
                (205, 232, 250),
            )
    elif noun == "painting":
        box(4, 14, 96, 88, (214, 170, 70), 2, 2)
        box(11, 21, 89, 81, (150, 200, 235), 1)
        draw.ellipse((64 * s, 26 * s, 78 * s, 40 * s), (250, 225, 110))
        draw.polygon([(11 * s, 81 * s), (36 * s, 42 * s), (58 * s, 81 * s)], (110, 120, 140))
        draw.polygon([(36 * s, 81 * s), (64 * s, 52 * s), (89 * s, 81 * s)], (90, 150, 100))
    elif noun == "lantern":
        box(40, 4, 60, 14, _DARK, 3)
        box(26, 12, 74, 20, (90, 30, 30), 3)
        draw.ellipse((14 * s, 16 * s, 86 * s, 84 * s), (215, 50, 45))
        draw.ellipse((32 * s, 16 * s, 68 * s, 84 * s), (240, 110, 70))
        box(26, 80, 74, 87, (90, 30, 30), 3)
        box(47, 87, 53, 97, (240, 190, 70), 1)
    elif noun == "traffic light":
        box(30, 2, 70, 84, (50, 54, 60), 8, 1)
        box(45, 84, 55, 98, (90, 95, 100), 1)
        for t, rgb in ((7, (235, 60, 55)), (33, (245, 200, 60)), (59, (70, 190, 90))):
            draw.ellipse((39 * s, t * s, 61 * s, (t + 22) * s), rgb)
    elif noun == "door":
        box(24, 4, 76, 97, _shade(wood, 0.7), 2, 1.5)
        box(29, 9, 71, 97, wood, 1)
        for t, b in ((15, 45), (53, 88)):
            box(35, t, 65, b, _shade(wood, 1.25), 1, 1)
        draw.ellipse((63 * s, 49 * s, 69 * s, 55 * s), (240, 205, 100))
    elif noun == "garage":
        draw.polygon([(2 * s, 34 * s), (50 * s, 6 * s), (98 * s, 34 * s)], (150, 70, 60))
        box(8, 32, 92, 96, (225, 215, 200), 1, 1)
        for t in range(44, 96, 13):
            box(18, t, 82, t + 11, (245, 245, 245) if flat else (205, 210, 215), 1, 1)
    else:
        raise KeyError(f"nothing draws a {noun!r}")
    return canvas.resize((cell, cell), Image.Resampling.LANCZOS)


_HATS = (
    (200, 50, 50),
    (50, 90, 180),
    (60, 140, 80),
    (110, 60, 150),
    (235, 180, 60),
    (40, 40, 45),
    (230, 120, 170),
    (120, 80, 50),
    (60, 170, 180),
    (240, 240, 240),
)


def wear(draw: ImageDraw.ImageDraw, wearable: str, eyes: Point, width: float, look: int) -> None:
    """Draw one of `vocabulary.WEARABLES` on a head; `eyes` is the point between the eyes, `width` the head's width.

    `look` picks one of ten palettes and shapes.
    """
    x, y, u = eyes[0], eyes[1], width / 10
    rgb = _HATS[look % len(_HATS)]
    top = y - 4.4 * u
    if wearable == "hat":
        draw.pieslice((x - 4 * u, top - 3 * u, x + 4 * u, top + 3.4 * u), 180, 360, rgb)
        draw.rounded_rectangle(
            (x - (5.5 - look % 2) * u, top - 0.2 * u, x + 5.5 * u, top + 1.1 * u), u / 2, _shade(rgb, 0.7)
        )
    elif wearable == "top hat":
        draw.rectangle((x - 3 * u, top - 5 * u, x + 3 * u, top + 0.6 * u), (45, 42, 50))
        draw.rectangle((x - 3 * u, top - 1.2 * u, x + 3 * u, top), rgb)
        draw.rounded_rectangle((x - 5 * u, top, x + 5 * u, top + 1.2 * u), u / 2, (45, 42, 50))
    elif wearable == "crown":
        gold = ((250, 205, 60), (215, 220, 230))[look % 2]
        spikes = [(-4, 1), (-4.4, -3), (-2.2, -0.9), (0, -3.8), (2.2, -0.9), (4.4, -3), (4, 1)]
        draw.polygon([(x + dx * u, top + dy * u) for dx, dy in spikes], gold, _shade(gold, 0.6))
        for dx in (-2.4, 0, 2.4):
            draw.ellipse((x + (dx - 0.5) * u, top - 0.3 * u, x + (dx + 0.5) * u, top + 0.7 * u), rgb)
    elif wearable in ("glasses", "sunglasses"):
        dark = wearable == "sunglasses"
        frame = (25, 25, 30) if dark else _shade(rgb, 0.8)
        for dx in (-2.2, 2.2):
            lens = (x + (dx - 1.8) * u, y - 1.5 * u, x + (dx + 1.8) * u, y + 1.5 * u)
            if dark:
                draw.rounded_rectangle(lens, u, (25, 25, 30))
                draw.line(
                    (lens[0] + u, lens[1] + 0.8 * u, lens[0] + 2 * u, lens[1] + 0.8 * u),
                    (120, 130, 150),
                    max(1, int(u / 2)),
                )
            elif look % 2:
                draw.ellipse(lens, None, frame, max(2, int(u * 0.7)))
            else:
                draw.rounded_rectangle(lens, u / 2, None, frame, max(2, int(u * 0.7)))
        draw.line((x - 0.6 * u, y - 0.4 * u, x + 0.6 * u, y - 0.4 * u), frame, max(2, int(u * 0.7)))
    elif wearable == "scarf":
        neck = y + 4.4 * u
        draw.rounded_rectangle((x - 4.6 * u, neck - 1.1 * u, x + 4.6 * u, neck + 1.1 * u), u, rgb)
        side = 1 if look % 2 else -1
        tail = sorted((x + side * 1.2 * u, x + side * 3.4 * u))
        draw.rounded_rectangle((tail[0], neck, tail[1], neck + 4.4 * u), u / 2, _shade(rgb, 0.75))
    elif wearable == "smile":
        mouth = (x - 2.6 * u, y + 0.4 * u, x + 2.6 * u, y + 4.2 * u)
        draw.chord(mouth, 10, 170, (120, 30, 35))
        if look % 2:
            draw.chord(
                (mouth[0] + 0.5 * u, mouth[1] + 1.2 * u, mouth[2] - 0.5 * u, mouth[3] - 0.9 * u),
                10,
                170,
                (250, 250, 250),
            )
    elif wearable == "bow tie":
        neck = y + 4.6 * u
        for side in (-1, 1):
            draw.polygon([(x, neck), (x + side * 3 * u, neck - 1.6 * u), (x + side * 3 * u, neck + 1.6 * u)], rgb)
        draw.ellipse((x - 0.8 * u, neck - 0.8 * u, x + 0.8 * u, neck + 0.8 * u), _shade(rgb, 0.7))
    else:
        raise KeyError(f"nothing draws a {wearable!r}")
