"""The test edits of the protocol (docs/protocol.md): drawn scenes, instructions in held-out phrasings, and the truth.

An editor gets `given(task)`, pixels and words, and nothing else of a task.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ..data.edits import Edit, RenderedEdit, draw_edit, render_edit
from ..data.words import instruction
from ..language.captions import plan_of
from ..values import Plan

CHOOSING = ("left", "middle", "right", "largest")
"""Right-object questions, in turn: two in five tasks need one of several confusable things."""
GLOBAL = ("background", "weather", "time", "season", "style")
STRATA: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("replace",), True), (("replace",), True), (("recolour",), True), (("recolour",), True),
    (("replace",), False), (("replace",), False), (("recolour",), False),
    (("material",), False), (("add", "remove"), False), (GLOBAL, False),
)  # fmt: skip
"""(kinds, whether it is a right-object question) of tasks 0..9, and again of every ten that follow."""
SEEDS_A_TASK = 10_000


@dataclass(frozen=True)
class Task:
    """One test edit. `instruction` is all that is said; everything else is truth, for scoring alone."""

    number: int
    edit: Edit
    instruction: str
    wanted: Plan

    @cached_property
    def truth(self) -> RenderedEdit:
        return render_edit(self.edit)

    @property
    def choosing(self) -> bool:
        """Whether one of several confusable things is meant, by its place or size."""
        return self.edit.words.which not in ("best", "all")


def draw_task(number: int, seed: int, split: str = "test", held_out: bool = True) -> Task:
    """Task `number` of a test: a function of its arguments alone."""
    kinds, choosing = STRATA[number % len(STRATA)]
    return draw_of(number, seed, kinds, choosing, split, held_out)


def draw_of(
    number: int, seed: int, kinds: tuple[str, ...], choosing: bool, split: str = "test", held_out: bool = True
) -> Task:
    """Task `number` of some kinds; `choosing` asks for one of several confusable things, by place or size in turn."""
    choice = CHOOSING[(number // len(STRATA) + number) % len(CHOOSING)]
    first = (seed * 1_000_000 + number) * SEEDS_A_TASK
    for attempt in range(SEEDS_A_TASK):
        edit = draw_edit(first + attempt, split, kinds=kinds)
        if not choosing or edit.words.which == choice:
            break
    else:
        raise AssertionError(f"no edit of {kinds} chooses by {choice}")
    rng = np.random.default_rng([seed, number, 505])
    words = edit.words
    return Task(
        number, edit, instruction(words, rng, held_out), plan_of(words.kind, words.find, words.which, words.new)
    )


def draw_tasks(n: int, seed: int = 0, split: str = "test", held_out: bool = True) -> tuple[Task, ...]:
    return tuple(draw_task(number, seed, split, held_out) for number in range(n))


@dataclass(frozen=True)
class Given:
    """What an editor sees of a task: a picture without any metadata, and words."""

    image: Image.Image
    instruction: str


def given(task: Task) -> Given:
    return Given(Image.fromarray(task.truth.before), str(task.instruction))
