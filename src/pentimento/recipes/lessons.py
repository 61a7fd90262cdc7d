"""What the painters learn from: edits of scenes, and among them edits of the parts of close-ups.

    draw_lesson(seed, parts) -> Lesson: its words, pictures, layouts, captions, and where to look closely

Both kinds are of the training split and without the unseen effects. `parts` is the share of part edits: which seeds
give one depends on nothing else.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ..data import captions, part_captions
from ..data.close_ups import Frame, frame_of, framed, part_frame, part_window, window_of
from ..data.edits import Edit, draw_weighted_edit, render_edit
from ..data.part_edits import PartEdit, draw_part_edit
from ..data.scenes import WORLD_VERSION
from ..data.store import Store, stored
from ..data.words import EditWords, instruction
from .layout import SIDE, layout, part_layout

WINDOW = 8  # cells


class Lesson(Protocol):
    """One edit as the painters see it."""

    @property
    def words(self) -> EditWords:
        """What is asked for."""

    def pictures(self) -> np.ndarray:
        """Before and after, uint8 (2, 128, 128, 3)."""

    def layouts(self) -> np.ndarray:
        """What stands where before and after, uint8 (2, planes, SIDE, SIDE)."""

    def frame(self) -> Frame:
        """The frame of its close-up."""

    def window(self) -> Frame:
        """A square of WINDOW x WINDOW cells of the whole pictures."""

    def captions(self, frame: Frame, rng: np.random.Generator) -> list[str]:
        """Of what a frame shows before and after."""


@dataclass(frozen=True)
class SceneLesson:
    """The edit of a scene."""

    edit: Edit
    seed: int

    @property
    def words(self) -> EditWords:
        return self.edit.words

    def pictures(self) -> np.ndarray:
        pair = render_edit(self.edit)
        return np.stack([pair.before, pair.after])

    def layouts(self) -> np.ndarray:
        return np.stack([layout(self.edit.before), layout(self.edit.after)])

    def frame(self) -> Frame:
        return frame_of(self.edit, self.seed)

    def window(self) -> Frame:
        return window_of(self.edit, self.seed, WINDOW, SIDE)

    def captions(self, frame: Frame, rng: np.random.Generator) -> list[str]:
        return [captions.training_caption(framed(s, frame), rng) for s in (self.edit.before, self.edit.after)]


@dataclass(frozen=True)
class PartLesson:
    """The edit of a part of a close-up."""

    edit: PartEdit
    seed: int

    @property
    def words(self) -> EditWords:
        return self.edit.words

    def pictures(self) -> np.ndarray:
        return np.stack([self.edit.before, self.edit.after])

    def layouts(self) -> np.ndarray:
        return np.stack([part_layout(*side) for side in zip(self.edit.scenes, self.edit.masks, strict=True)])

    def frame(self) -> Frame:
        return part_frame(self.edit.mask, self.seed)

    def window(self) -> Frame:
        return part_window(self.edit.mask, self.seed, WINDOW, SIDE)

    def captions(self, frame: Frame, rng: np.random.Generator) -> list[str]:
        sides = zip(self.edit.scenes, self.edit.masks, strict=True)
        return [part_captions.training_caption(part_captions.view_of(*side, frame), rng) for side in sides]


def described(lesson: Lesson, frame: Frame, rng: np.random.Generator) -> list[str]:
    """Captions of what a frame shows before and after."""
    return lesson.captions(frame, rng)


def asked(lesson: Lesson, frame: Frame, rng: np.random.Generator) -> list[str]:
    """The instruction, whatever the frame."""
    return [instruction(lesson.words, rng)]


def of_a_part(seed: int, parts: float) -> bool:
    """Whether the lesson of a seed is a part edit, when a share of all lessons are."""
    return int((seed + 1) * parts) > int(seed * parts)


def draw_lesson(seed: int, parts: float) -> Lesson:
    """The lesson of a seed."""
    if of_a_part(seed, parts):
        return PartLesson(draw_part_edit(seed, "train", effects="seen"), seed)
    return SceneLesson(draw_weighted_edit(seed, effects="seen"), seed)


def kind_of(parts: float) -> str:
    """What files made from lessons are called by."""
    return f"train-weighted-parts{parts:g}" if parts else "train-weighted"


def edit_store(data: Path, count: int, parts: float) -> Store:
    """The pictures of the first `count` lessons: (before, after), uint8 (2, 128, 128, 3) each."""
    name = f"edits-v{WORLD_VERSION}-{kind_of(parts)}-128"
    return stored(data, name, partial(_pictures, parts=parts), count)


def whole_layouts(data: Path, count: int, parts: float) -> Store:
    """The layouts of the first `count` lessons, uint8 (2, planes, SIDE, SIDE) each: before and after."""
    name = f"layouts-v{WORLD_VERSION}-{kind_of(parts)}-{SIDE}"
    return stored(data, name, partial(_layouts, parts=parts), count)


def part_store(data: Path, count: int) -> Store:
    """The pictures of the first `count` part edits: (before, after), uint8 (2, 128, 128, 3) each."""
    return stored(data, f"part-edits-v{WORLD_VERSION}-train-seen-128", partial(_pictures, parts=1), count)


def _pictures(seed: int, parts: float) -> np.ndarray:
    return draw_lesson(seed, parts).pictures()


def _layouts(seed: int, parts: float) -> np.ndarray:
    return draw_lesson(seed, parts).layouts()
