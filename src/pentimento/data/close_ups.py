"""Close-ups: a square of an edit's pictures, as large as a whole one. So editors see what they look at closely.

A frame lies around what the edit changes, or around one thing; the same frame shows the picture before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from .edits import Edit
from .scenes import Scene, Thing

NEAREST, WIDEST = 0.36, 1.0
"""Sides of frames, as shares of the picture's."""


@dataclass(frozen=True)
class Frame:
    """A square inside a picture: its corner and its side, as fractions of the picture's side."""

    left: float
    top: float
    side: float

    def holds(self, x: float, y: float) -> bool:
        """Whether it shows this place of the picture."""
        return self.left <= x <= self.left + self.side and self.top <= y <= self.top + self.side


WHOLE = Frame(0.0, 0.0, 1.0)


def frame_of(edit: Edit, seed: int) -> Frame:
    """The frame of an edit, around its changed things, or around any thing."""
    rng = np.random.default_rng([33, seed])
    return frame_around(_changed(edit) or [edit.before.things[int(rng.integers(len(edit.before.things)))]], rng)


def _changed(edit: Edit) -> list[Thing]:
    kept = set(edit.before.things) & set(edit.after.things)
    return [t for t in (*edit.before.things, *edit.after.things) if t not in kept]


def window_of(edit: Edit, seed: int, cells: int, across: int) -> Frame:
    """A square of `cells` of the picture's `across` cells, not scaled: around one thing, which the edit changes if it
    changes any, and not quite in its middle."""
    rng = np.random.default_rng([34, seed])
    things = _changed(edit) or edit.before.things
    thing = things[int(rng.integers(len(things)))]
    corner = np.array([thing.x, thing.y]) * across - cells / 2 + rng.uniform(-1.5, 1.5, 2)
    left, top = (np.clip(corner.round(), 0, across - cells) / across).tolist()
    return Frame(left, top, cells / across)


def part_frame(changed: np.ndarray, seed: int) -> Frame:
    """The frame of a part edit, around the pixels that it changes, bool (size, size)."""
    places = np.argwhere(changed)[:, ::-1]
    return _frame(places.min(0) / len(changed), (places.max(0) + 1) / len(changed), np.random.default_rng([33, seed]))


def part_window(changed: np.ndarray, seed: int, cells: int, across: int) -> Frame:
    """As `window_of`, for a part edit: one of the squares that show most of the pixels that it changes."""
    each = len(changed) // across
    counts = changed.reshape(across, each, across, each).sum((1, 3))
    shown = np.lib.stride_tricks.sliding_window_view(counts, (cells, cells)).sum((2, 3))
    corners = np.argwhere(shown == shown.max())
    top, left = (corners[np.random.default_rng([34, seed]).integers(len(corners))] / across).tolist()
    return Frame(left, top, cells / across)


def frame_around(things: Sequence[Thing], rng: np.random.Generator) -> Frame:
    """A frame with a margin of 0.2 to 0.8 of the things' extent around them, not quite in the middle."""
    low = np.array([min(t.x - t.size / 2 for t in things), min(t.y - t.size / 2 for t in things)])
    high = np.array([max(t.x + t.size / 2 for t in things), max(t.y + t.size / 2 for t in things)])
    return _frame(low, high, rng)


def _frame(low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> Frame:
    extent = float((high - low).max())
    side = float(np.clip(extent * rng.uniform(1.4, 2.6), NEAREST, WIDEST))
    corner = (low + high - side) / 2 + rng.uniform(-0.12, 0.12, 2) * side
    left, top = np.clip(corner, 0, 1 - side).tolist()
    return Frame(left, top, side)


def framed(scene: Scene, frame: Frame) -> Scene:
    """The scene as the frame shows it: the things that lie in it at least by half, where they stand in the frame."""

    def inside(thing: Thing) -> float:
        share = 1.0
        for centre, edge in ((thing.x, frame.left), (thing.y, frame.top)):
            seen = min(centre + thing.size / 2, edge + frame.side) - max(centre - thing.size / 2, edge)
            share *= max(0.0, seen) / thing.size
        return share

    return replace(
        scene,
        things=tuple(
            replace(
                thing,
                x=(thing.x - frame.left) / frame.side,
                y=(thing.y - frame.top) / frame.side,
                size=thing.size / frame.side,
            )
            for thing in scene.things
            if inside(thing) >= 0.5
        ),
    )


def cut(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """What the frame shows of pixels (size, size, ...), as large as it is there."""
    size = len(pixels)
    side = max(1, round(frame.side * size))
    left, top = (min(round(edge * size), size - side) for edge in (frame.left, frame.top))
    return pixels[top : top + side, left : left + side]


def close_up(picture: np.ndarray, frame: Frame) -> np.ndarray:
    """What the frame shows of a picture, uint8 (size, size, 3), scaled up to the picture's own size."""
    size = len(picture)
    return np.asarray(Image.fromarray(cut(picture, frame)).resize((size, size), Image.Resampling.LANCZOS))


def close_layout(layout: np.ndarray, frame: Frame) -> np.ndarray:
    """What the frame shows of classes by cell (planes, n, n): for each cell the class at its centre."""
    n = layout.shape[-1]
    centres = (np.arange(n) + 0.5) / n * frame.side
    rows, columns = (((edge + centres) * n).astype(int).clip(0, n - 1) for edge in (frame.top, frame.left))
    return layout[:, rows][:, :, columns]
