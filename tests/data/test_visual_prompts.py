"""Splits that hold, grids that never mix them, and a layout that `datasets` reads."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from pentimento.data.grid_folders import picture_name, write_shards
from pentimento.data.grouped import drawn
from pentimento.data.making import make
from pentimento.data.visual_prompts import (
    GroupRecord,
    Kept,
    Layout,
    divide,
    grid_picture,
    grids_of,
)
from pentimento.errors import RequestError
from pentimento.language.groups import CaptionPair, Group

LAYOUT = Layout()


def record(number: int, kept: Sequence[int], kind: str = "style", dropped: str = "") -> GroupRecord:
    pairs = tuple(CaptionPair(before=f"photo {i}", after=f"drawing {i}") for i in range(5))
    group = Group(instruction=f"say {number}", kind=kind, pairs=pairs)
    return GroupRecord(number=number, group=group, kept=tuple(Kept(pair=i, about={}) for i in kept), dropped=dropped)


sizes = st.lists(st.tuples(st.integers(2, 5), st.sampled_from(["style", "time", "add", "move"])), max_size=40)


@given(sizes)
def test_a_fifth_is_tested_no_grid_mixes_splits_and_every_pair_is_asked_once(groups: list[tuple[int, str]]) -> None:
    records = [record(i, range(count), kind) for i, (count, kind) in enumerate(groups)]
    places = divide(records, LAYOUT, seed=1)
    assert len(places) == sum(count for count, _ in groups)
    inside = [place for place in places.values() if place.domain == "in_domain"]
    tested = sum(place.split == "test" for place in inside)
    assert 0.2 * len(inside) - 5 <= tested <= 0.2 * len(inside) + 1e-6
    for (number, _), place in places.items():
        assert (place.domain == "out_of_domain") == (records[number].group.kind in LAYOUT.withheld)
    grids = grids_of(places, seed=1)
    assert sorted((grid.group, grid.query) for grid in grids) == sorted(places)
    for grid in grids:
        assert grid.example != grid.query
        assert places[grid.group, grid.example] == places[grid.group, grid.query] == grid.place


def test_full_groups_are_tested_on_other_pairs_of_instructions_that_are_trained() -> None:
    places = divide([record(i, range(5)) for i in range(10)], LAYOUT, seed=0)
    for number in range(10):
        splits = [places[number, pair].split for pair in range(5)]
        assert splits.count("test") in (0, 2)
    assert sum(place.split == "test" for place in places.values()) == 10


def test_the_largest_share_that_may_be_asked_for_is_what_full_groups_give() -> None:
    places = divide([record(i, range(5)) for i in range(10)], Layout(test=0.4), seed=0)
    assert sum(place.split == "test" for place in places.values()) == 20
    with pytest.raises(ValidationError, match=r"less than or equal to 0\.4"):
        Layout(test=0.41)


def test_more_groups_change_nothing_for_the_first_ones() -> None:
    records = [record(i, range(2 + i % 4)) for i in range(20)]
    some, all_of_them = divide(records[:12], LAYOUT, seed=2), divide(records, LAYOUT, seed=2)
    assert some.items() <= all_of_them.items()


def test_dropped_groups_stand_nowhere() -> None:
    assert divide([record(0, [3], dropped="1 of 5 pairs kept")], LAYOUT, seed=0) == {}


def test_a_grid_is_before_after_above_before_after() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]
    grid = np.asarray(grid_picture([Image.new("RGB", (20, 20), colour) for colour in colours], 8))
    corners = [grid[4, 4], grid[4, 12], grid[12, 4], grid[12, 12]]
    assert grid.shape == (16, 16, 3) and [tuple(corner) for corner in corners] == colours


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "prompts"
    make(folder, drawn(12, 5, Layout(quadrant=32)))
    return folder


def test_datasets_reads_grids_and_pairs(made: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    inside = datasets.load_dataset("imagefolder", data_dir=str(made / "grids/in_domain"), cache_dir=cache)
    outside = datasets.load_dataset("imagefolder", data_dir=str(made / "grids/out_of_domain"), cache_dir=cache)
    pairs = datasets.load_dataset("imagefolder", data_dir=str(made / "pairs"), cache_dir=cache, split="train")
    about = json.loads((made / "visual_prompts.json").read_text())["made"]
    assert about["grids"] == {
        "in_domain/train": len(inside["train"]), "in_domain/test": len(inside["test"]),
        "out_of_domain/test": len(outside["test"]),
    }  # fmt: skip
    assert set(outside["test"]["kind"]) <= set(LAYOUT.withheld) and not set(inside["train"]["kind"]) & set(
        LAYOUT.withheld
    )
    assert len(pairs) == about["pairs"] == 60 and pairs[0]["image"].size == pairs[0]["after"].size == (32, 32)
    assert inside["train"][0]["image"].size == (64, 64) and isinstance(inside["train"][0]["instruction"], str)


def test_the_quadrants_of_a_grid_are_its_pairs(made: Path) -> None:
    for metadata in (made / "grids").glob("*/*/metadata.jsonl"):
        for line in map(json.loads, metadata.read_text().splitlines()):
            grid = np.asarray(Image.open(metadata.parent / line["file_name"]))
            for row, pair in enumerate((line["example"], line["pair"])):
                for column, side in enumerate(("before", "after")):
                    picture = np.asarray(Image.open(made / "pairs" / picture_name(line["group"], pair, side)))
                    assert np.array_equal(grid[32 * row :, 32 * column :][:32, :32], picture)


def test_an_empty_folder_of_shards_is_filled_and_one_with_something_else_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "grids", tmp_path / "grids")
    (tmp_path / "shards").mkdir()
    assert write_shards(tmp_path) == 3
    for path in (tmp_path / "shards").iterdir():
        path.rename(path.with_suffix(".old"))
    with pytest.raises(RequestError, match="not empty"):
        write_shards(tmp_path)


def test_shards_hold_every_grid_once(made: Path, tmp_path: Path) -> None:
    count = write_shards(made)
    shards = sorted(str(path) for path in (made / "shards").glob("*.tar"))
    assert count == len(shards) == 3 == write_shards(made)
    read = datasets.load_dataset("webdataset", data_files=shards, cache_dir=str(tmp_path), split="train")
    names = {path.stem for path in (made / "grids").glob("*/*/*.png")}
    assert set(read["__key__"]) == names and len(read) == len(names) == 60
    assert read[0]["png"].size == (64, 64) and read[0]["json"]["instruction"]
