"""Groups of edits: one instruction and five pictures that it could be said of, in words (InstructGIE Sec. 5).

The paper fine-tunes GPT-3 on 700 groups that people wrote; here any instruct model writes them from a prompt with one
example, held to a schema as the planner is. Groups that people wrote can be read from a file instead.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import RequestError
from ..values import Kind
from .chat import Caption, Complete, Message, json_object, one_line, prompt_text

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


class Group(BaseModel):
    """One instruction with the captions of its pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: Instruction
    kind: EditKind
    pairs: tuple[CaptionPair, ...] = Field(min_length=2, max_length=PAIRS)

    @model_validator(mode="after")
    def _shows_different_pictures(self) -> "Group":
        if len({pair.before.lower() for pair in self.pairs}) < len(self.pairs):
            raise ValueError("two of the pairs have the same caption before")
        return self


def write_group(complete: Complete, kind: EditKind, about: Sequence[str], attempts: int = 3) -> Group | None:
    """A group of this kind, written by a language model (InstructGIE Sec. 5, step 1); None when no attempt is usable.

    `about` are words to set the scene with, without which a model that answers greedily would always write the same.
    """
    schema = json.dumps(Group.model_json_schema(), separators=(",", ":"))
    asked, answered = prompt_text("group_example").strip().split("\n")
    talk = [
        Message("system", prompt_text("group").replace("{schema}", schema)),
        Message("user", asked),
        Message("assistant", answered),
        Message("user", json.dumps({"kind": kind, "about": list(about)}, ensure_ascii=False)),
    ]
    for _ in range(attempts):
        reply = complete(tuple(talk), Group)
        try:
            return _checked(reply, kind)
        except ValueError as problem:
            retry = prompt_text("retry").replace("{error}", one_line(problem))
            talk += [Message("assistant", reply[:4000]), Message("user", retry)]
    return None


def _checked(reply: str, kind: EditKind) -> Group:
    group = Group.model_validate(json_object(reply))
    if len(group.pairs) != PAIRS:
        raise ValueError(f"pairs: {len(group.pairs)} were given, {PAIRS} are wanted")
    if group.kind != kind:
        raise ValueError(f"kind: {group.kind} was given, {kind} is wanted")
    return group


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
            raise RequestError(f"{path}, line {number}: is no group ({one_line(error)})") from None
    if not groups:
        raise RequestError(f"{path}: holds no group; write one as JSON on each line")
    return tuple(groups)
