"""Visual prompts on disk (InstructGIE Sec. 5): pairs of one instruction, put together into grids, divided, written.

    DIR/grids/in_domain/{train,test}, DIR/grids/out_of_domain/test    {before, after / before, after}; metadata.jsonl
    DIR/pairs                                                         every pair once; metadata.jsonl
    DIR/groups.jsonl, DIR/visual_prompts.json                         the groups in words; what was asked and made

Nothing here knows a model, nor where pictures come from (`painting`, `making`). Same records, same bytes.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ..language.groups import EditKind, Group
from ..settings import Fraction, Settings
from .export import new_folder

LEAST = 2
"""Pairs of one instruction that a grid needs."""
ABOUT = "visual_prompts.json"
SHARD = 1000
"""Grids in one tar file."""


class Layout(Settings):
    """How pairs are put together; the paper's numbers."""

    test: Fraction = Field(0.2, description="share of the pairs of trained kinds that are kept for testing")
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


def picture_name(group: int, pair: int, side: str) -> str:
    """The file of a pair's picture; `side` is "before" or "after"."""
    return f"{group:06d}-{pair}_{side}.png"


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


def write_set(
    folder: Path, pictures: Path, records: Sequence[GroupRecord], layout: Layout, seed: int, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the whole data set into a new folder, from the pairs' pictures that lie in `pictures`; what it holds.

    `asked` is kept with it. Each grids folder and the pairs folder are read with
    `datasets.load_dataset("imagefolder", data_dir=...)`. Raises:
        RequestError: the folder holds something already, or cannot be written.
    """
    places = divide(records, layout, seed)
    groups = {record.number: record for record in records}
    grids = grids_of(places, seed)
    with new_folder(folder) as partial:
        _write_pairs(partial / "pairs", pictures, groups, places)
        for place in dict.fromkeys(grid.place for grid in grids):
            chosen = [grid for grid in grids if grid.place == place]
            _write_grids(partial / "grids" / place.domain / place.split, pictures, groups, chosen, layout.quadrant)
        said = [record.group.model_dump_json() + "\n" for record in records if record.group is not None]
        (partial / "groups.jsonl").write_text("".join(said), encoding="utf-8")
        made = _summary(records, places, grids)
        text = json.dumps({"asked": dict(asked), "made": made}, indent=1, ensure_ascii=False)
        (partial / ABOUT).write_text(text + "\n", encoding="utf-8")
    return made


def _summary(
    records: Sequence[GroupRecord], places: Mapping[tuple[int, int], Place], grids: Sequence[Grid]
) -> dict[str, Any]:
    folders = [f"{grid.place.domain}/{grid.place.split}" for grid in grids]
    return {
        "groups": len(records),
        "kept": sum(not record.dropped for record in records),
        "pairs": len(places),
        "grids": {name: folders.count(name) for name in sorted(set(folders))},
        "dropped": [
            {"group": record.number, "instruction": record.group.instruction if record.group else "",
             "why": record.dropped}
            for record in records if record.dropped
        ],
    }  # fmt: skip


def _write_pairs(
    folder: Path, pictures: Path, groups: Mapping[int, GroupRecord], places: Mapping[tuple[int, int], Place]
) -> None:
    folder.mkdir(parents=True)
    lines = []
    for (number, pair), place in sorted(places.items()):
        names = [picture_name(number, pair, side) for side in ("before", "after")]
        for name in names:
            _same_file(pictures / name, folder / name)
        line = {"file_name": names[0], "after_file_name": names[1], **_words(groups[number], pair), **asdict(place)}
        lines.append(line | next(kept.about for kept in groups[number].kept if kept.pair == pair))
    _write_lines(folder / "metadata.jsonl", lines)


def _write_grids(
    folder: Path, pictures: Path, groups: Mapping[int, GroupRecord], grids: Sequence[Grid], quadrant: int
) -> None:
    folder.mkdir(parents=True)
    lines = []
    for grid in grids:
        name = f"{grid.group:06d}-{grid.query}.png"
        shown = [(pair, side) for pair in (grid.example, grid.query) for side in ("before", "after")]
        four = [Image.open(pictures / picture_name(grid.group, *one)).convert("RGB") for one in shown]
        grid_picture(four, quadrant).save(folder / name, "PNG")
        example = _words(groups[grid.group], grid.example)
        lines.append(
            {"file_name": name, **_words(groups[grid.group], grid.query), "example": grid.example}
            | {f"example_{key}": example[key] for key in ("caption_before", "caption_after")}
            | asdict(grid.place)
        )
    _write_lines(folder / "metadata.jsonl", lines)


def _words(record: GroupRecord, pair: int) -> dict[str, Any]:
    assert record.group is not None
    said = record.group.pairs[pair]
    return {
        "instruction": record.group.instruction, "kind": record.group.kind, "group": record.number, "pair": pair,
        "caption_before": said.before, "caption_after": said.after,
    }  # fmt: skip


def _same_file(source: Path, target: Path) -> None:
    """The file under another name; copied where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def write_shards(folder: Path) -> int:
    """Pack the grids into tar files in the WebDataset layout, KEY.png and KEY.json, in DIR/shards; their number.

    {domain}-{split}-{number}.tar hold up to 1000 grids each. Shards that are there stay as they are.
    """
    shards = folder / "shards"
    if not shards.is_dir():
        with new_folder(shards) as partial:
            for metadata in sorted((folder / "grids").glob("*/*/metadata.jsonl")):
                lines = [json.loads(line) for line in metadata.read_text(encoding="utf-8").splitlines()]
                for start in range(0, len(lines), SHARD):
                    name = f"{metadata.parent.parent.name}-{metadata.parent.name}-{start // SHARD:05d}.tar"
                    _write_shard(partial / name, metadata.parent, lines[start : start + SHARD])
    return len(list(shards.glob("*.tar")))


def _write_shard(path: Path, pictures: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for line in lines:
            name = str(line["file_name"])
            about = {key: value for key, value in line.items() if key != "file_name"}
            members = {
                name: (pictures / name).read_bytes(),
                f"{Path(name).stem}.json": json.dumps(about, ensure_ascii=False).encode(),
            }
            for member, content in members.items():
                header = tarfile.TarInfo(member)  # no times, no owner: the same bytes each time
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))
