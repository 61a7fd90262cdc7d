"""A set that grows: broken off, spread over processes or made twice, it is the same set; nothing else is touched."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from conftest import source_environment
from pentimento.data import grouped, making
from pentimento.data.grouped import drawn
from pentimento.data.making import Made, make
from pentimento.data.visual_prompts import Layout
from pentimento.errors import PackError, RequestError

SMALL = Layout(quadrant=16)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def broken(number: int, *rest: object) -> Made:
    raise KeyboardInterrupt


KILLED = """
import os, signal, sys
from pathlib import Path
from PIL import Image
from pentimento.data.grouped import drawn
from pentimento.data.making import make
from pentimento.data.visual_prompts import Layout

whole, saved = Image.Image.save, []

def save(picture, path, format):
    whole(picture, path, format)
    saved.append(path)
    if len(saved) == 25:  # ten to a group
        os.truncate(path, 20)
        os.kill(os.getpid(), signal.SIGKILL)

Image.Image.save = save
make(Path(sys.argv[1]), drawn(4, 0, Layout(quadrant=16)))
"""


def test_a_killed_run_started_again_neither_loses_nor_doubles_a_pair(tmp_path: Path) -> None:
    folder, work = tmp_path / "killed", tmp_path / ".killed.making"
    left = subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=source_environment())
    assert left.returncode == -signal.SIGKILL and not folder.exists()
    assert len(list((work / "groups").glob("*.json"))) == 2 and len(list((work / "pairs").iterdir())) == 25
    seen: list[int] = []
    report = make(folder, drawn(4, 0, SMALL), watch=lambda doing, done, total: seen.append(done))
    assert seen == [3, 4]
    assert report == make(tmp_path / "unbroken", drawn(4, 0, SMALL))
    assert hashes(folder) == hashes(tmp_path / "unbroken") and len(hashes(folder / "pairs")) == 2 * 20 + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "unbroken"]


def test_a_group_that_was_broken_off_while_it_was_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(making.os, "replace", broken)
        make(tmp_path / "set", drawn(2, 0, SMALL))
    assert list((tmp_path / ".set.making/pairs").iterdir())
    make(tmp_path / "set", drawn(2, 0, SMALL))
    make(tmp_path / "other", drawn(2, 0, SMALL))
    assert hashes(tmp_path / "set") == hashes(tmp_path / "other")


@pytest.mark.parametrize("last", ["write_set", "rmtree"])
def test_a_run_killed_while_the_set_is_put_together_leaves_the_set_or_all_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if last == "write_set":
            real = making.os.replace
            patch.setattr(making.os, "replace", lambda a, b: broken(0) if Path(b).name == "set" else real(a, b))
        else:
            patch.setattr(making.shutil, "rmtree", lambda path, **how: broken(0) if path.suffix == ".making" else None)
        make(tmp_path / "set", drawn(2, 0, SMALL))
    report = make(tmp_path / "set", drawn(2, 0, SMALL))
    assert report == make(tmp_path / "other", drawn(2, 0, SMALL))
    assert hashes(tmp_path / "set") == hashes(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "set"]


def test_workers_make_the_same_set(tmp_path: Path) -> None:
    make(tmp_path / "one", drawn(5, 1, SMALL))
    make(tmp_path / "two", drawn(5, 1, SMALL), workers=2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_launched_processes_share_the_work_and_the_first_one_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = drawn(4, 0, SMALL)
    alone = make(tmp_path / "alone", order)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert make(tmp_path / "shared", order) is None
    assert sorted(p.name for p in (tmp_path / ".shared.making/groups").glob("*.json")) == ["000001.json", "000003.json"]
    monkeypatch.setenv("RANK", "0")
    assert make(tmp_path / "shared", order) == alone
    assert hashes(tmp_path / "alone") == hashes(tmp_path / "shared")
    monkeypatch.setenv("RANK", "1")
    assert make(tmp_path / "shared", order) is None


def overtaken(order: making.Order, folder: Path, monkeypatch: pytest.MonkeyPatch) -> making.Order:
    """The order for a process besides the first of a launch, while whose first group another command makes the set."""

    def begin(work: Path, place: int) -> making.Maker:
        def group(number: int) -> Made:
            with monkeypatch.context() as patch:
                patch.setenv("WORLD_SIZE", "1")
                patch.setenv("RANK", "0")
                assert make(folder, order)
            return order.begin(work, place)(number)

        return group

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    return replace(order, begin=begin)


def test_a_straggler_that_is_killed_while_it_saves_damages_no_finished_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = drawn(2, 0, SMALL)
    make(tmp_path / "other", order)
    real, whole = making.shutil.rmtree, Image.Image.save
    straggler = overtaken(order, tmp_path / "set", monkeypatch)

    def save(picture: Image.Image, path: Path, form: str) -> None:
        whole(picture, path, form)
        if (tmp_path / "set").exists():
            os.truncate(path, 20)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(making.shutil, "rmtree", lambda path, **how: path.suffix == ".making" or real(path, **how))
        patch.setattr(Image.Image, "save", save)
        make(tmp_path / "set", straggler)
    assert hashes(tmp_path / "set") == hashes(tmp_path / "other")


def test_a_straggler_whose_place_was_cleared_up_leaves_the_set_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = drawn(2, 0, SMALL)
    make(tmp_path / "other", order)
    assert make(tmp_path / "set", overtaken(order, tmp_path / "set", monkeypatch)) is None
    assert hashes(tmp_path / "set") == hashes(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "set"]


def test_a_group_that_another_command_has_made_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    order, asked = drawn(3, 0, SMALL), list[int]()

    def begin(work: Path, place: int) -> making.Maker:
        maker = order.begin(work, place)

        def group(number: int) -> Made:
            asked.append(number)
            making._keep(work, 1, maker(1))
            return maker(number)

        return group

    make(tmp_path / "set", replace(order, begin=begin))
    assert asked == [0, 2]


def test_a_failing_worker_says_why(tmp_path: Path) -> None:
    order = replace(drawn(2, 0, SMALL), begin=partial(grouped._begin_drawing, 0, "holiday", 16))
    with pytest.raises(RequestError, match="holiday"):
        make(tmp_path / "set", order, workers=2)


def refusing(work: Path, place: int) -> making.Maker:
    raise PackError("no painter")


def test_a_finished_set_is_left_as_it_is_and_another_order_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    report = make(folder, drawn(2, 0, SMALL))
    before = hashes(folder)
    assert make(folder, replace(drawn(2, 0, SMALL), begin=refusing)) == report and hashes(folder) == before
    with pytest.raises(RequestError, match="n 2 there, 3 here"):
        make(folder, drawn(3, 0, SMALL))
    with pytest.raises(RequestError, match="quadrant 16 there, 24 here"):
        make(folder, drawn(2, 0, Layout(quadrant=24)))
    monkeypatch.setattr(grouped.phrasings, "DIGEST", "other words")
    with pytest.raises(RequestError, match="phrasings .* there, other words here"):
        make(folder, drawn(2, 0, SMALL))


def test_of_two_commands_that_make_one_set_at_once_one_waits_for_the_other(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(work: Path, place: int) -> making.Maker:
        begun.set()
        assert go_on.wait(60)
        return drawn(2, 0, SMALL).begin(work, place)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(make, tmp_path / "set", replace(drawn(2, 0, SMALL), begin=slow))
        assert begun.wait(60)
        second = pool.submit(make, tmp_path / "set", replace(drawn(2, 0, SMALL), begin=refusing))
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        go_on.set()
        assert first.result(60) == second.result(60)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_unfinished_set_of_another_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError):
        make(tmp_path / "set", replace(drawn(2, 0, SMALL), begin=refusing))
    with pytest.raises(RequestError, match="seed 0 there, 1 here"):
        make(tmp_path / "set", drawn(2, 1, SMALL))
    assert make(tmp_path / "set", drawn(2, 0, SMALL))


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="not empty"):
        make(tmp_path, drawn(1, 0, SMALL))
    with pytest.raises(RequestError, match="another place"):
        make(tmp_path / "mine.txt" / "below", drawn(1, 0, SMALL))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("about", ["", "{}", "[]", "3", '{"asked": 3, "made": {}}', '{"asked": {"settings": 1}}'])
def test_a_folder_with_a_foreign_account_of_a_set_is_refused(tmp_path: Path, about: str) -> None:
    (tmp_path / "visual_prompts.json").write_text(about)
    with pytest.raises(RequestError, match="not empty"):
        make(tmp_path, drawn(1, 0, SMALL))
    (tmp_path / ".set.making").mkdir()
    (tmp_path / ".set.making" / "order.json").write_text(about)
    with pytest.raises(RequestError, match="no order"):
        make(tmp_path / "set", drawn(1, 0, SMALL))


def test_a_group_with_one_pair_is_dropped_and_said_so(tmp_path: Path) -> None:
    def begin(work: Path, place: int) -> making.Maker:
        whole = drawn(3, 0, SMALL).begin(work, place)
        return lambda number: replace(whole(number), pairs=whole(number).pairs[:1] if number == 1 else ())

    report = make(tmp_path / "set", replace(drawn(2, 0, SMALL), begin=begin))
    assert report is not None and (report["kept"], report["pairs"], report["grids"]) == (0, 0, {})
    assert [(one["group"], one["why"][:19]) for one in report["dropped"]] == [
        (0, "0 of 5 pairs kept, "), (1, "1 of 5 pairs kept, "),
    ]  # fmt: skip
    lines = (tmp_path / "set/groups.jsonl").read_text().splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["instruction"] == report["dropped"][1]["instruction"]
