"""Contact sheets of test edits, failures included: before, mask, after, truth, and what was said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..images import tinted

SIDE, GAP, LINES = 128, 6, 44


@dataclass(frozen=True)
class Panel:
    """One edit on a sheet. `after` is None when the method refused, `mask` None when it has none; `remark` says how
    the judge found it."""

    said: str
    remark: str
    before: Image.Image
    mask: np.ndarray | None
    after: Image.Image | None
    truth: Image.Image


def sheet(panels: Sequence[Panel], columns: int = 2) -> Image.Image:
    """All panels in rows of `columns`, four pictures each, in the order they are given: nothing is picked out."""
    width, height = 4 * (SIDE + GAP) + 2 * GAP, SIDE + LINES + GAP
    rows = -(-len(panels) // columns)
    canvas = Image.new("RGB", (columns * width, max(1, rows) * height), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = column * width + GAP, row * height + GAP
        draw.text((x, y), _fitting(panel.said, font, width - 3 * GAP), "black", font)
        draw.text((x, y + 17), _fitting(panel.remark, font, width - 3 * GAP), "#666666", font)
        shown = (
            panel.before,
            tinted(panel.before, panel.mask) if panel.mask is not None else None,
            panel.after,
            panel.truth,
        )
        for place, picture in enumerate(shown):
            spot = (x + place * (SIDE + GAP), y + LINES - GAP)
            _put(canvas, picture, spot)
    return canvas


def comparison(
    rows: Sequence[str], columns: Sequence[str], pictures: Sequence[Sequence[Image.Image | None]]
) -> Image.Image:
    """A row of `pictures` for each name in `rows`, a column for each in `columns`; a frame where there is none."""
    left, top, step = 110, 20, SIDE + GAP
    canvas = Image.new("RGB", (left + len(columns) * step, top + len(rows) * step), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for column, name in enumerate(columns):
        draw.text((left + column * step, 2), _fitting(name, font, SIDE), "black", font)
    for row, (name, shown) in enumerate(zip(rows, pictures, strict=True)):
        draw.text((4, top + row * step + SIDE // 2), _fitting(name, font, left - 8), "black", font, anchor="lm")
        for column, picture in enumerate(shown):
            spot = (left + column * step, top + row * step)
            _put(canvas, picture, spot)
    return canvas


def _put(canvas: Image.Image, picture: Image.Image | None, spot: tuple[int, int]) -> None:
    """The picture at its place, a frame where there is none."""
    if picture is None:
        ImageDraw.Draw(canvas).rectangle((*spot, spot[0] + SIDE - 1, spot[1] + SIDE - 1), outline="#bbbbbb")
    else:
        canvas.paste(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), spot)


def _fitting(text: str, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont", width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + " ...") > width:
        text = text[:-1]
    return text + " ..."
