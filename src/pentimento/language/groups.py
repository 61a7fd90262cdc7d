"""Groups of edits: one instruction and five pictures that it could be said of, in words (InstructGIE Sec. 5).

The paper fine-tunes GPT-3 on 700 groups that people wrote; here any instruct model writes them from a prompt with one
example, held to a schema as the planner is. Groups that people wrote can be read from a file instead.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import RequestError, UnusableAnswer
from ..settings import friendly
from ..values import Kind
from .chat import Caption, Complete, Message, answered, opening

PAIRS = 5
EditKind = Kind | Literal["action"]
EDIT_KINDS: tuple[EditKind, ...] = (*get_args(Kind), "action")
"""The kinds of edit that a group may be of: a plan's, and that a creature does something else."""

Instruction = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\n{}]*$")
]


class CaptionPair(BaseModel):
    """What one picture shows before and after the edit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Caption
    after: Caption

    @model_validator(mode="after")
    def _changes_something(self) -> "CaptionPair":
        if self.before.lower() == self.after.lower():
            raise ValueError(f"before and after are the same: {self.before!r}")
        return self


def _different(pairs: tuple[CaptionPair, ...]) -> tuple[CaptionPair, ...]:
    if len({pair.before.lower() for pair in pairs}) < len(pairs):
        raise ValueError("two of the pairs have the same caption before")
    return pairs


Pairs = Annotated[tuple[CaptionPair, ...], AfterValidator(_different)]
"""Different pictures, in words."""


class Written(BaseModel):
    """The language model's whole answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: Instruction
    pairs: Annotated[Pairs, Field(min_length=PAIRS, max_length=PAIRS)]


class Group(BaseModel):
    """One instruction with the captions of its pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: Instruction
    kind: EditKind
    pairs: Annotated[Pairs, Field(min_length=2, max_length=PAIRS)]


def write_group(complete: Complete, kind: EditKind, about: Sequence[str], retries: int = 2) -> Group | None:
    """A group of this kind, written by a language model (InstructGIE Sec. 5, step 1); None when no answer is usable.

    `about` are words to set the scene with, without which a model that answers greedily would always write the same.
    Raises PlanError when the model cannot be reached.
    """
    asked = Message("user", json.dumps({"kind": kind, "about": list(about)}, ensure_ascii=False))
    try:
        written = answered(complete, (*opening("group", "group_examples", Written), asked), Written, retries)
    except UnusableAnswer:
        return None
    return Group(instruction=written.instruction, kind=kind, pairs=written.pairs)


def read_groups(path: Path) -> tuple[Group, ...]:
    """The groups in a file, one JSON object a line: {"instruction", "kind", "pairs": [{"before", "after"}, ...]}.

    Raises:
        RequestError: the file cannot be read, holds no group, or a line is none; it names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read ({error}); name a file with a group on each line") from None
    groups = []
    for number, line in enumerate(lines, start=1):
        try:
            groups += [Group.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            raise RequestError(f"{path}, line {number}: is no group ({friendly(error)})") from None
    if not groups:
        raise RequestError(f"{path}: holds no group; write one as JSON on each line")
    return tuple(groups)
