"""Contact sheets: many scenes, edits, close-ups or effects on one labelled picture, to be looked at."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import RequestError
from ..images import save_picture
from ..values import KINDS
from . import captions, effects, part_edits, portraits, thirty, words
from .edits import draw_edit, render_edit
from .scenes import SPLITS, draw_scene, generator, render

SHEETS = ("scenes", "edits", "actions", "portraits", "parts", "thirty", "effects")
SIDE, GAP, LINE = 160, 10, 14


@dataclass(frozen=True)
class Cell:
    """One place on a sheet: pictures side by side, uint8 (SIDE, SIDE, 3) each, and the text below them."""

    pictures: tuple[np.ndarray, ...]
    text: str


def contact_sheet(path: Path, n: int, seed: int, split: str = "train", what: str = "scenes") -> None:
    """Draw `n` labelled examples on a PNG sheet.

    `what` is "scenes", "edits" (before | after, the instruction below), "actions" (edits of what creatures do),
    "portraits" (all close-ups), "parts" (edits of their parts), "thirty" (InstructEdit's instructions) or "effects"
    (TOP-Bench); the last two begin at number `seed`.

    Raises:
        RequestError: an unknown sheet or split, or a path that cannot be written.
    """
    if what not in SHEETS or split not in SPLITS:
        raise RequestError(f"there is no sheet {what!r} of {split!r}; take {', '.join(SHEETS)} of {', '.join(SPLITS)}")
    cells = list(_CELLS[what](n, seed, split))
    pictures = len(cells[0].pictures)
    columns = max(1, min(len(cells), 8 // pictures if pictures < 4 else 3))
    wide, high = pictures * (SIDE + 2) + GAP, SIDE + 3 * LINE + GAP
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), "#fbfaf7")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for k, cell in enumerate(cells):
        x, y = GAP + k % columns * wide, GAP + k // columns * high
        for i, pixels in enumerate(cell.pictures):
            sheet.paste(Image.fromarray(pixels), (x + i * (SIDE + 2), y))
        text = cell.text.replace("\u2192", "->").encode("latin-1", "replace").decode("latin-1")  # the font's letters
        lines = textwrap.wrap(text, pictures * SIDE // 6)[:3]
        draw.multiline_text((x, y + SIDE + 3), "\n".join(lines), "#333333", font, spacing=2)
    save_picture(path, sheet)


def _scenes(n: int, seed: int, split: str) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        scene = draw_scene(i, split)
        yield Cell((render(scene, SIDE).image,), captions.caption(scene, generator(split, i, purpose=2)))


def _edits(n: int, seed: int, split: str, kinds: tuple[str, ...] = KINDS) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        edit = draw_edit(i, split, kinds)
        shown = render_edit(edit, SIDE)
        yield Cell((shown.before, shown.after), words.instruction(edit.words, generator(split, i, purpose=8)))


def _portraits(n: int, seed: int, split: str) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        composition = portraits.draw_composition(i, split)
        yield Cell((portraits.render_composition(composition, SIDE).image,), portraits.caption(composition))


def _parts(n: int, seed: int, split: str) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        edit = part_edits.draw_part_edit(i, split, size=SIDE)
        yield Cell((edit.before, edit.after), words.instruction(edit.words, generator(split, i, purpose=8)))


def _thirty(n: int, seed: int, split: str) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        variant, index = divmod(i, len(thirty.THIRTY))
        case = thirty.draw_thirty(index, variant, SIDE)
        stand_in = f" ({case.stand_in})" if case.stand_in else ""
        yield Cell((case.before, case.after), f"{index + 1}. {case.text}{stand_in}")


def _effects(n: int, seed: int, split: str) -> Iterator[Cell]:
    for i in range(seed, seed + n):
        number, index = i % len(effects.EFFECTS), i // len(effects.EFFECTS) % effects.TEST_PAIRS
        effect = effects.EFFECTS[number]
        pairs = [effects.effect_pair(effect.name, index, which, SIDE) for which in ("train", "test")]
        pictures = tuple(pixels for pair in pairs for pixels in (pair.before, pair.after))
        yield Cell(pictures, f"{number + 1}. {effect.name}: {effect.instruction} ({effect.look})")


_CELLS: Mapping[str, Callable[[int, int, str], Iterator[Cell]]] = {
    "scenes": _scenes, "edits": _edits, "actions": partial(_edits, kinds=("action",)), "portraits": _portraits,
    "parts": _parts, "thirty": _thirty, "effects": _effects,
}  # fmt: skip
