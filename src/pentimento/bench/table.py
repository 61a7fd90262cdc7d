"""What every table is made of: columns, attempts, outcomes that are on disk before the next edit begins, and figures.

A run that was broken off goes on where it was, by the same command.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.scenes import WORLD_VERSION
from ..errors import NothingFound, PackError, PlanError
from ..roles import Clip, Pack, Panoptic
from ..values import Request, Result
from ..vision.judge import Judge
from .judge import round_trip
from .metrics import frechet_distance, kernel_distance
from .statistics import Figure, jackknife, mean, share, share_difference

FEWEST = 20
"""Distances between sets are not measured on fewer pictures."""
GROUPS = 40
"""Groups of cases of which each is left out in turn, for the intervals of these distances."""


class Likeness(Protocol):
    """How different pictures look, by the network `name`: LPIPS, or a pack's own."""

    @property
    def name(self) -> str: ...
    def distances(self, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> Tensor: ...
    def distance_map(self, image: Image.Image, other: Image.Image) -> Tensor: ...


class Features(Protocol):
    """Whole pictures as features (n, d), by the network `name`: Inception, or a pack's own."""

    @property
    def name(self) -> str: ...
    def pooled(self, images: Sequence[Image.Image]) -> Tensor: ...


class BenchPack(Pack, Protocol):
    """A pack with what only the bench and the training of in-context models use."""

    def hash_of(self, *roles: str) -> str: ...
    @property
    def panoptic(self) -> Panoptic: ...
    @property
    def judge(self) -> Judge: ...
    @property
    def perceptual(self) -> Likeness: ...
    @property
    def features(self) -> Features: ...


def circumstances(pack: BenchPack) -> dict[str, Any]:
    """What outcomes depend on beside models and settings: the drawn world, and the arithmetic of the painters."""
    try:
        arithmetic = pack.text_to_image.arithmetic
    except PackError:
        arithmetic = ""
    return {"world": WORLD_VERSION, "arithmetic": arithmetic}


@dataclass(frozen=True)
class Column:
    """A measured quantity. Shares are of tasks; means carry their unit. `better` is "up" or "down"."""

    label: str
    unit: str = "share"
    better: str = "up"


@dataclass(frozen=True)
class Attempt:
    """What came of one edit: a result, or the reason of a refusal; seconds of wall time."""

    result: Result | None
    refusal: str
    seconds: float


def attempt(edit: Callable[[Request], Result], request: Request) -> Attempt:
    """One edit, timed. What the words or the picture cannot answer is a refusal; a missing role is raised."""
    began = perf_counter()
    try:
        result = edit(request)
    except (PlanError, NothingFound) as refusal:
        return Attempt(None, f"{type(refusal).__name__}: {refusal}", perf_counter() - began)
    return Attempt(result, "", perf_counter() - began)


@dataclass(frozen=True)
class Outcome:
    """The scores of one task in one row; only what applies to the task is in `measured` (yes is 1, no is 0)."""

    row: str
    task: int
    kind: str
    refusal: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Instruments:
    """What scoring needs besides the truth. None for an instrument that the pack does not have; `cell` is the side of
    a latent cell in pixels."""

    judge: Judge | None
    perceptual: Likeness | None
    features: Features | None = None
    cell: int = 8


def instruments_of(pack: BenchPack) -> tuple[Instruments, tuple[str, ...]]:
    """The pack's instruments, and a line for each that it lacks."""
    missing = []
    judge, perceptual, features = None, None, None
    try:
        judge = pack.judge
    except PackError as error:
        missing.append(f"not measured, edit carried out: {error}")
    try:
        perceptual = pack.perceptual
    except PackError as error:
        missing.append(f"not measured, perceptual distance: {error}")
    try:
        features = pack.features
    except PackError as error:
        missing.append(f"not measured, distances between sets: {error}")
    return Instruments(judge, perceptual, features), tuple(missing)


def networks_of(tools: Instruments, clip: bool, pack: BenchPack) -> dict[str, str]:
    """Which network makes the columns whose names begin with LPIPS, FID, KID and CLIP, as far as there is one."""
    made = {"LPIPS": tools.perceptual, "FID": tools.features, "KID": tools.features}
    networks = {what: network.name for what, network in made.items() if network is not None}
    return networks | ({"CLIP": f"the CLIP of {pack.name}"} if clip else {})


def by_whom(columns: Mapping[str, Column], networks: Mapping[str, str]) -> dict[str, Column]:
    """The columns with the network that made them in their labels; `networks` maps the beginning of a column's name
    to a network's."""
    makers = {name: next((by for what, by in networks.items() if name.startswith(what)), "") for name in columns}
    return {
        name: replace(column, label=f"{column.label}, by {makers[name]}" if makers[name] else column.label)
        for name, column in columns.items()
    }


def clip_of(pack: BenchPack, what: str) -> tuple[Clip | None, tuple[str, ...]]:
    """The pack's clip, or a line that says that `what` it would have measured is not."""
    try:
        return pack.clip, ()
    except PackError as error:
        return None, (f"not measured, {what}: {error}",)


def unchanged(request: Request) -> Result:
    """The bound of every table: no edit at all."""
    return Result(request.image, request.image, None, None)


def tripped(pack: BenchPack) -> Callable[[Request], Result]:
    """No edit but the round trip through the autoencoder of the pack's painter."""

    def trip(request: Request) -> Result:
        image = Image.fromarray(round_trip(pack.text_to_image.autoencoder)(np.asarray(request.image.convert("RGB"))))
        return Result(image, image, None, None)

    return trip


def figure(column: Column, name: str, outcomes: Sequence[Outcome]) -> Figure:
    """A column over outcomes, with its interval: Wilson's for a share, a bootstrap's for a mean. In "points" a value is
    what a case adds to a share, in hundredths, less what it adds to another."""
    values = [o.measured[name] for o in outcomes if name in o.measured]
    if column.unit == "share":
        return share(round(sum(values)), len(values))
    if column.unit == "points":
        found = share_difference(sum(v > 0 for v in values), sum(v < 0 for v in values), len(values))
        return Figure(100 * found.value, 100 * found.low, 100 * found.high, found.n)
    return mean(values, np.random.default_rng([len(values), 707]))


def cell(figure: Mapping[str, Any] | None, unit: str, n: int) -> str:
    """A figure with its interval, and its n where it is not the table's."""
    if figure is None or not figure["n"]:
        return "-"
    factor, digits = (100, 1) if unit == "share" else (1, 2 if unit else 3)
    value, low, high = (f"{factor * figure[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" + (f" n={figure['n']}" if figure["n"] != n else "")


def figures(
    columns: Mapping[str, Column], outcomes: Sequence[Outcome], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Figures by row and column, of the rows and columns that were measured; JSON-able."""
    table = {}
    for label in labels:
        mine = [o for o in outcomes if o.row == label]
        names = [name for name in columns if any(name in o.measured for o in mine)]
        if mine:
            table[label] = {name: figure(columns[name], name, mine).to_json() for name in names}
    return table


def in_rows(columns: Mapping[str, Column], rows: Mapping[str, Mapping[str, Any]], n: int) -> list[str]:
    """Figures as a table for people, with an arrow for which way is better."""
    names = [name for name in columns if any(name in measured for measured in rows.values())]
    arrows = {"up": "\u2191", "down": "\u2193"}
    lines = [
        f"| | {' | '.join(f'{columns[name].label} {arrows[columns[name].better]}' for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for label, measured in rows.items():
        lines.append(f"| {label} | {' | '.join(cell(measured.get(name), columns[name].unit, n) for name in names)} |")
    return lines


@dataclass(frozen=True)
class Distance:
    """A distance between sets of `n` pictures, and what it is without each group of cases in turn, (groups,)."""

    value: float
    without: np.ndarray
    n: int

    def less(self, other: "Distance") -> "Distance":
        """By how much it is above another row's distance, group by group."""
        return Distance(self.value - other.value, self.without - other.without, self.n)

    def to_json(self) -> dict[str, Any]:
        """Its figure."""
        return jackknife(self.value, self.without, self.n).to_json()


def distances_of(results: Tensor, truths: Tensor) -> dict[str, Distance]:
    """FID and KID x 1000 between pooled features (n, d) of results and of truths, row i of both of the same case.

    The groups that are left out depend on n alone, so those of two rows are of the same cases.
    """
    n = len(results)
    groups = np.array_split(np.random.default_rng([n, 909]).permutation(n), min(GROUPS, n))
    kept = [torch.from_numpy(np.setdiff1d(np.arange(n), group)) for group in groups]

    def over_cases(distance: Callable[[Tensor, Tensor], float]) -> Distance:
        return Distance(distance(results, truths), np.array([distance(results[k], truths[k]) for k in kept]), n)

    return {
        "FID": over_cases(frechet_distance),
        "KID": over_cases(lambda x, y: 1000 * kernel_distance(x, y, paired=True)),
    }


def set_distances(results: Tensor, truths: Tensor) -> dict[str, dict[str, Any]]:
    """The figures of `distances_of`; JSON-able."""
    return {name: distance.to_json() for name, distance in distances_of(results, truths).items()}


def hardware() -> str:
    """Where it was measured: GPU name, or processor count and threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads"


def outcomes_in(path: Path, head: Mapping[str, Any]) -> dict[tuple[str, int], Outcome]:
    """The outcomes of a log by row and task, as far as they belong to `head`; reading changes nothing there."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    whole = lines[:-1]  # what follows the last line break is empty, or was cut off by a kill
    if not whole or json.loads(whole[0]) != json.loads(json.dumps(head)):
        return {}
    outcomes = (Outcome(**json.loads(line)) for line in whole[1:])
    return {(outcome.row, outcome.task): outcome for outcome in outcomes}


class Log:
    """Outcomes on disk, a line each, below a line that says what they belong to; other belongings start anew.

    Opening it rewrites the file: no other process may be writing it then.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]):
        self.path, self.outcomes = path, outcomes_in(path, head)
        lines = [json.dumps(head), *(json.dumps(asdict(outcome)) for outcome in self.outcomes.values())]
        write_whole(path, "\n".join(lines) + "\n")

    def add(self, outcome: Outcome) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        self.outcomes[outcome.row, outcome.task] = outcome


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it appears whole or not at all, whoever else writes it."""
    partial = _partial(path)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG so that it appears whole or not at all, and its folder before it."""
    path.parent.mkdir(exist_ok=True)
    partial = _partial(path)
    picture.convert("RGB").save(partial, "PNG")
    os.replace(partial, path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")
