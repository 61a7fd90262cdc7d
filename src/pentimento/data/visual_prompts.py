"""Visual prompts (InstructGIE Sec. 5): pairs of one instruction, put together into grids and divided for training and
testing. Nothing here knows a model, where pictures come from (`grouped`, `painting`) or where they go (`grid_folders`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ..language.groups import EditKind, Group
from ..settings import Settings

LEAST = 2
"""Pairs of one instruction that a grid needs."""


class Layout(Settings):
    """How pairs are put together; the paper's numbers."""

    test: float = Field(
        0.2,
        ge=0,
        le=0.4,
        allow_inf_nan=False,
        description="share of the pairs of trained kinds that are kept for testing; a group of five gives at most two",
    )
    withheld: tuple[EditKind, ...] = Field(
        ("add", "remove", "resize", "move", "action"), description="kinds of edit that no training grid shows"
    )
    quadrant: int = Field(128, ge=8, le=1024, description="side of each of a grid's four pictures, in pixels")


class Kept(BaseModel):
    """A pair that was kept: its number in the group, and what is known of how it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: int
    about: dict[str, float | int | str]


class GroupRecord(BaseModel):
    """What came of one group; `dropped` says why nothing did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    group: Group | None
    kept: tuple[Kept, ...] = ()
    dropped: str = ""


@dataclass(frozen=True)
class Place:
    """Where a pair belongs: `domain` "in_domain" or "out_of_domain", `split` "train" or "test"."""

    domain: str
    split: str


@dataclass(frozen=True)
class Grid:
    """Two pairs of one group: the example above, the query below; its answer is the last quadrant."""

    group: int
    example: int
    query: int
    place: Place


def divide(records: Sequence[GroupRecord], layout: Layout, seed: int) -> Mapping[tuple[int, int], Place]:
    """Where each pair (group, pair) belongs (InstructGIE Sec. 5 and 6: 80 % for training, 20 % for testing).

    Withheld kinds are tested out of their domain, whole. Of the others a group gives two pairs to the test, if two are
    left to train on, else all, whenever the test has room: so the shares hold over the whole set, each split of a group
    has no pair or enough for a grid, and no grid mixes splits. More groups behind these would change nothing for them.
    """
    places: dict[tuple[int, int], Place] = {}
    seen = tested = 0
    for record in sorted(records, key=lambda record: record.number):
        if record.dropped or record.group is None:
            continue
        pairs = _shuffled([kept.pair for kept in record.kept], seed, record.number)
        if record.group.kind in layout.withheld:
            places |= {(record.number, pair): Place("out_of_domain", "test") for pair in pairs}
            continue
        seen += len(pairs)
        taken = LEAST if len(pairs) >= 2 * LEAST else len(pairs)
        taken = taken if tested + taken <= layout.test * seen + 1e-9 else 0
        tested += taken
        for i, pair in enumerate(pairs):
            places[record.number, pair] = Place("in_domain", "test" if i < taken else "train")
    return places


def grids_of(places: Mapping[tuple[int, int], Place], seed: int) -> tuple[Grid, ...]:
    """The grids: in each, two pairs of one group and one split; every pair is the query of one grid, in order."""
    groups: dict[tuple[int, Place], list[int]] = {}
    for (group, pair), place in places.items():
        groups.setdefault((group, place), []).append(pair)
    grids = []
    for (group, place), pairs in groups.items():
        ring = _shuffled(pairs, seed, group)
        grids += [Grid(group, ring[i - 1], query, place) for i, query in enumerate(ring)]
    return tuple(sorted(grids, key=lambda grid: (grid.group, grid.query)))


def _shuffled(pairs: Sequence[int], seed: int, group: int) -> list[int]:
    order = np.random.default_rng([51, seed, group]).permutation(len(pairs))
    return [sorted(pairs)[i] for i in order]


def grid_picture(pictures: Sequence[Image.Image], side: int) -> Image.Image:
    """Four pictures as {before, after / before, after}, RGB, 2 side x 2 side pixels."""
    canvas = Image.new("RGB", (2 * side, 2 * side))
    for i, picture in enumerate(pictures):
        small = picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.LANCZOS)
        canvas.paste(small, (i % 2 * side, i // 2 * side))
    return canvas
