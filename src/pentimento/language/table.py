"""Texts and what a model makes of them, asked once and kept in a file of JSON lines."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError


@dataclass(frozen=True)
class Answerer:
    """A function from text to text that always answers alike; `by` names all that it depends on (model, prompt)."""

    by: str
    answer: Callable[[str], str]


class Line(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    text: str
    answer: str


class Table:
    """An answerer with a memory on disk: call it with a text.

    An answer is on disk, whole, before it is given, so a killed run loses none of them; half a line counts as none.
    Several processes may share the file. Lines of other answerers stay in it, and are not taken.
    """

    def __init__(self, path: Path, answerer: Answerer):
        self.path, self.answerer = path, answerer
        self._known = {line.text: line.answer for line in _lines(path) if line.by == answerer.by}

    def __call__(self, text: str) -> str:
        if text not in self._known:
            answer = self.answerer.answer(text)
            self._append(Line(by=self.answerer.by, text=text, answer=answer))
            self._known[text] = answer
        return self._known[text]

    def _append(self, line: Line) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            half = file.tell() > 0 and file.seek(-1, 2) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" * half + json.dumps(line.model_dump()).encode() + b"\n")


def _lines(path: Path) -> Iterator[Line]:
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            yield Line.model_validate_json(line)
        except ValidationError:  # empty, or cut off by a kill: it will be asked for again
            continue
