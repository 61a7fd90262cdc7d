"""The world on disk: the same seed gives the same bytes, folders are whole, `datasets` reads them."""

import hashlib
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from pentimento.data import export
from pentimento.data.captions import phrase
from pentimento.data.export import EXAMPLES, write_edits, write_examples, write_scenes
from pentimento.data.scenes import draw_scene, render
from pentimento.data.sheets import SHEETS, contact_sheet
from pentimento.errors import RequestError


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    write_scenes(tmp_path / "a", 4, seed=7, size=64)
    write_scenes(tmp_path / "b", 4, seed=7, size=64)
    write_scenes(tmp_path / "c", 4, seed=8, size=64)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert not set(hashes(tmp_path / "a").values()) & set(hashes(tmp_path / "c").values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_metadata_says_what_the_pictures_show(tmp_path: Path) -> None:
    write_scenes(tmp_path / "world", 5, seed=3, split="test", size=64)
    lines = [json.loads(line) for line in (tmp_path / "world/test/metadata.jsonl").read_text().splitlines()]
    assert len(lines) == 5
    for line in lines:
        assert next(iter(line)) == "file_name"
        scene = draw_scene(line["scene_seed"], line["split"])
        rendering = render(scene, 64)
        with Image.open(tmp_path / "world/test" / line["file_name"]) as picture:
            assert np.array_equal(np.asarray(picture), rendering.image)
        assert line["phrases"] == [phrase(t) for t in scene.things]
        assert json.loads(line["scene"])["place"] == scene.place
        for (left, top, right, bottom), mask in zip(line["boxes"], rendering.masks, strict=True):
            assert mask[top:bottom, left:right].sum() == mask.sum()


def test_datasets_reads_scenes_and_edits(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", 3, seed=1, size=32)
    write_edits(tmp_path / "edits", 3, seed=1, size=32)
    cache = str(tmp_path / "cache")
    scenes = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "scenes"), cache_dir=cache, split="train")
    assert len(scenes) == 3 and scenes[0]["image"].size == (32, 32)
    assert isinstance(scenes[0]["caption"], str) and len(scenes[0]["boxes"]) == len(scenes[0]["phrases"])
    edits = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "edits"), cache_dir=cache, split="train")
    assert len(edits) == 3
    assert {"image", "after", "mask", "instruction", "find", "which", "kind"} <= set(edits.column_names)


def test_edits_on_disk_differ_only_inside_their_mask(tmp_path: Path) -> None:
    write_edits(tmp_path / "edits", 4, seed=2, size=32)
    for i in range(4):
        before, after, mask = (
            np.asarray(Image.open(tmp_path / f"edits/train/{i:06d}_{k}.png")) for k in ("before", "after", "mask")
        )
        assert np.array_equal((before != after).any(-1), mask == 255)


def test_folders_that_cannot_be_used_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/keep.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file", "file/below"):
        with pytest.raises(RequestError):
            write_scenes(tmp_path / name, 1, 0)
    with pytest.raises(RequestError, match="holiday"):
        write_scenes(tmp_path / "new", 1, 0, split="holiday")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "full"]
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["keep.txt"]


def test_a_broken_run_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, pixels: np.ndarray) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "save_pixels", broken)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "world", 2, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    write_scenes(tmp_path / "world", 1, 0, size=32)
    assert (tmp_path / "world/train/000000.png").exists()


def test_progress_goes_to_stderr_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scenes(tmp_path / "world", 1, 0, size=32)
    shown = capsys.readouterr()
    assert shown.out == "" and "scenes" in shown.err


def test_the_committed_examples_are_those_of_the_code(tmp_path: Path) -> None:
    write_examples(tmp_path)
    committed = Path(__file__).parents[2] / "examples"
    for name in EXAMPLES:
        with Image.open(tmp_path / f"{name}.png") as drawn, Image.open(committed / f"{name}.png") as kept:
            difference = np.abs(np.asarray(drawn).astype(int) - np.asarray(kept).astype(int))
            assert drawn.size == (128, 128) and difference.mean() < 1  # another Pillow may round otherwise


@pytest.mark.parametrize("what", SHEETS)
def test_sheets_are_drawn(what: str, tmp_path: Path) -> None:
    contact_sheet(tmp_path / "sheet.png", 3, 0, "test", what)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 400 and sheet.height > 160


def test_a_sheet_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="stamps"):
        contact_sheet(tmp_path / "sheet.png", 3, 0, "test", "stamps")
