"""Visual prompts on disk, as folders that `datasets` reads:

    DIR/grids/in_domain/{train,test}, DIR/grids/out_of_domain/test    {before, after / before, after}; metadata.jsonl
    DIR/pairs                                                         every pair once; metadata.jsonl
    DIR/groups.jsonl, DIR/visual_prompts.json                         the groups in words; what was asked and made

Same records, same bytes.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from .export import new_folder
from .visual_prompts import Grid, GroupRecord, Layout, Place, divide, grid_picture, grids_of

ABOUT = "visual_prompts.json"
SHARD = 1000
"""Grids in one tar file."""


def picture_name(group: int, pair: int, side: str) -> str:
    """The file of a pair's picture; `side` is "before" or "after"."""
    return f"{group:06d}-{pair}_{side}.png"


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

    {domain}-{split}-{number}.tar hold up to 1000 grids each. Shards that are there stay as they are. Raises:
        RequestError: the folder holds something else, or cannot be written.
    """
    shards = folder / "shards"
    if not any(shards.glob("*.tar")):
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
