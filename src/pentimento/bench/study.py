"""The user study (InstructEdit Sec. 4.2 and Fig. 11): what is asked, the votes on disk, the preferences in them.

A study is a folder with `input/NAME.png`, `METHOD/NAME.png` for two methods or more, and `instructions.jsonl`; votes
go to `votes.jsonl` beside them. Nothing here serves a page or opens a picture.
"""

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import RequestError
from ..settings import friendly
from .statistics import Figure, share

INPUT, INSTRUCTIONS, VOTES = "input", "instructions.jsonl", "votes.jsonl"
LINE = '{"picture": "NAME.png", "instruction": "..."}'
Choice = Literal["left", "right", "same"]


class Instruction(BaseModel):
    """One line of instructions.jsonl."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    picture: str = Field(min_length=1)
    instruction: str = Field(min_length=1)


@dataclass(frozen=True)
class Triplet:
    """An input picture, its instruction, and the two methods whose results are compared, sorted by name."""

    picture: str
    instruction: str
    methods: tuple[str, str]

    @property
    def id(self) -> str:
        return _digest(self.picture, self.instruction, *self.methods)


@dataclass(frozen=True)
class Study:
    """A folder whose layout is whole, and all that is asked about it."""

    folder: Path
    triplets: tuple[Triplet, ...]

    @property
    def votes(self) -> Path:
        return self.folder / VOTES

    def input(self, triplet: Triplet) -> Path:
        return self.folder / INPUT / triplet.picture

    def result(self, triplet: Triplet, method: str) -> Path:
        return self.folder / method / triplet.picture


@dataclass(frozen=True)
class Question:
    """A triplet as one voter sees it: which method stands on which side. `id` tells neither."""

    id: str
    triplet: Triplet
    left: str
    right: str


class Vote(BaseModel):
    """One line of votes.jsonl, whole in itself: a report needs no other file. `left` and `right` are methods."""

    model_config = ConfigDict(frozen=True)

    voter: str
    triplet: str
    picture: str
    left: str
    right: str
    choice: Choice
    at: datetime


@dataclass(frozen=True)
class Preference:
    """How often `method` was preferred over another, of the votes that decided; `same` counts those that did not."""

    method: str
    over: str
    figure: Figure
    same: int


def read_study(folder: Path, ours: str = "") -> Study:
    """Every picture with every two methods, or with `ours` against each other one as in InstructEdit Sec. 4.2.

    Raises:
        RequestError: something of the layout is missing, or `ours` is none of the methods.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder; a study has {INPUT}/, METHOD/ and {INSTRUCTIONS} in it")
    pictures = _pictures(folder / INPUT)
    instructions = _instructions(folder / INSTRUCTIONS, pictures)
    methods = sorted(
        path.name for path in folder.iterdir() if path.is_dir() and path.name != INPUT and path.name[0] != "."
    )
    if len(methods) < 2:
        found = f"only {methods[0]}/" if methods else "no folder"
        raise RequestError(
            f"{folder}: holds {found} with results; wanted at least two, named as their methods: METHOD/{pictures[0]}"
        )
    missing = [
        f"{method}/{picture}" for method in methods for picture in pictures if not (folder / method / picture).is_file()
    ]
    if missing:
        raise RequestError(
            f"{folder}: there is no {_some(missing)}; every method needs a result for every picture of {INPUT}/, "
            "and a folder that is no method must lie elsewhere"
        )
    return Study(
        folder,
        tuple(
            Triplet(picture, instructions[picture], pair)
            for picture in pictures
            for pair in combinations(methods, 2)
            if not ours or known(ours, methods) in pair
        ),
    )


def known(method: str, methods: Sequence[str]) -> str:
    """The method itself, when it is one of these.

    Raises:
        RequestError: it is not.
    """
    if method not in methods:
        raise RequestError(f"no method of this study is called {method!r}: there are {', '.join(methods)}")
    return method


def questions(triplets: Iterable[Triplet], voter: str) -> tuple[Question, ...]:
    """The triplets in an order, and with sides, that look random and are always the same for the same voter."""
    asked = []
    for triplet in sorted(triplets, key=lambda triplet: _digest(voter, triplet.id, "order")):
        swapped = int(_digest(voter, triplet.id, "sides"), 16) % 2
        left, right = reversed(triplet.methods) if swapped else triplet.methods
        asked.append(Question(_digest(voter, triplet.id, "question"), triplet, left, right))
    return tuple(asked)


def append_vote(path: Path, vote: Vote) -> None:
    """Write a vote so that it is on the disk when this returns. One writer at a time.

    Raises:
        RequestError: the file cannot be written.
    """
    try:
        with path.open("a+b") as file:
            _mend(file)
            file.write(vote.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RequestError(f"{path}: cannot be written ({error.strerror}); make room or mend its permissions") from None


def read_votes(path: Path) -> tuple[Vote, ...]:
    """All votes in the order they came, none when there is no file; a last line that a kill cut short is left out.

    Raises:
        RequestError: the file cannot be read, or another line is no vote.
    """
    if not path.exists():
        return ()
    *whole, rest = _bytes(path).split(b"\n")
    votes = []
    for number, line in enumerate(whole, start=1):
        if not line.strip():
            continue
        try:
            votes.append(Vote.model_validate_json(line))
        except ValidationError as error:
            raise RequestError(f"{path}: line {number} is no vote ({friendly(error)}); mend or delete it") from None
    if _is_vote(rest):
        votes.append(Vote.model_validate_json(rest))
    return tuple(votes)


def standing(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    """The votes that count: of each voter, the last about each triplet."""
    return tuple({(vote.voter, vote.triplet): vote for vote in votes}.values())


def preferences(votes: Iterable[Vote]) -> tuple[Preference, ...]:
    """Each method against each other that it met, with Wilson's 95 % intervals (InstructEdit Sec. 4.2, Fig. 11).

    The paper does not say what it did with ties: here they stand apart, and shares are of the votes that decided.
    Every vote counts as independent of the others, those of one voter too.
    """
    wins: Counter[tuple[str, str]] = Counter()
    same: Counter[frozenset[str]] = Counter()
    met = set()
    for vote in standing(votes):
        met.add(frozenset((vote.left, vote.right)))
        if vote.choice == "same":
            same[frozenset((vote.left, vote.right))] += 1
        else:
            wins[(vote.left, vote.right) if vote.choice == "left" else (vote.right, vote.left)] += 1
    return tuple(
        Preference(
            one, other, share(wins[one, other], wins[one, other] + wins[other, one]), same[frozenset((one, other))]
        )
        for one, other in permutations(sorted(frozenset().union(*met)), 2)
        if frozenset((one, other)) in met
    )


def report(folder: Path, ours: str = "") -> dict[str, Any]:
    """What the votes in a study's folder say, JSON-able; with `ours`, only the rows of that method.

    Raises:
        RequestError: no folder, no votes, or `ours` is none of the methods that were voted on.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder")
    votes = standing(read_votes(folder / VOTES))
    if not votes:
        raise RequestError(f"{folder / VOTES}: holds no votes yet; 'pentimento study {folder}' collects them")
    rows = preferences(votes)
    if ours:
        known(ours, sorted({row.method for row in rows}))
    return {
        "voters": len({vote.voter for vote in votes}),
        "votes": len(votes),
        "same": sum(vote.choice == "same" for vote in votes),
        "preferences": [
            {
                "method": row.method,
                "over": row.over,
                "preferred": None if math.isnan(row.figure.value) else row.figure.value,
                "low": row.figure.low,
                "high": row.figure.high,
                "n": row.figure.n,
                "same": row.same,
            }
            for row in rows
            if ours in ("", row.method)
        ],
    }


def table(found: dict[str, Any]) -> str:
    """A report as lines for reading."""
    names = [f"{row['method']} over {row['over']}" for row in found["preferences"]]
    wide = max(map(len, names))
    lines = [f"{'':{wide}}  preferred     95 % interval  decided  the same"]
    for name, row in zip(names, found["preferences"], strict=True):
        value = "-" if row["preferred"] is None else f"{row['preferred']:.1%}"
        interval = f"{row['low']:.1%} to {row['high']:.1%}"
        lines.append(f"{name:{wide}}  {value:>9}  {interval:>16}  {row['n']:>7}  {row['same']:>8}")
    counts = f"{_count(found['voters'], 'voter')}, {_count(found['votes'], 'vote')}, {found['same']} of them 'the same'"
    return "\n".join([*lines, counts])


def _pictures(folder: Path) -> list[str]:
    """The names of the PNG files in it, sorted."""
    found = sorted(path.name for path in folder.glob("*") if path.suffix.lower() == ".png" and path.name[0] != ".")
    if not found:
        lacks = "holds no PNG file" if folder.is_dir() else "there is no such folder"
        raise RequestError(f"{folder}: {lacks}; put the pictures before the edit there: {INPUT}/NAME.png")
    return found


def _instructions(path: Path, pictures: Sequence[str]) -> dict[str, str]:
    """Picture -> instruction, exactly one for each of the pictures."""
    if not path.is_file():
        raise RequestError(f"{path}: there is no such file; write a line {LINE} for every picture of {INPUT}/")
    found: dict[str, str] = {}
    for number, line in enumerate(_bytes(path).removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            given = Instruction.model_validate_json(line)
        except ValidationError as error:
            raise RequestError(f"{path}: line {number}: {friendly(error)}; wanted {LINE}") from None
        if given.picture not in pictures:
            raise RequestError(f"{path}: line {number}: there is no {INPUT}/{given.picture}; add it or delete the line")
        if given.picture in found:
            raise RequestError(f"{path}: line {number}: {given.picture} has a line already; keep one of them")
        found[given.picture] = given.instruction
    missing = [picture for picture in pictures if picture not in found]
    if missing:
        raise RequestError(f"{path}: has no line for {_some(missing)}; add {LINE}")
    return found


def _mend(file: BinaryIO) -> None:
    """Drop a last line that a kill cut short, or end it when nothing but its line end is missing."""
    if not file.seek(0, os.SEEK_END):
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    content = file.read()
    start = content.rfind(b"\n") + 1
    if _is_vote(content[start:]):
        file.write(b"\n")
    else:
        file.truncate(start)


def _is_vote(line: bytes) -> bool:
    try:
        Vote.model_validate_json(line)
    except ValidationError:
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _some(names: Sequence[str]) -> str:
    """The first three of them, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
