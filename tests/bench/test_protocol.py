"""The protocol: what editors may see, what is measured, and that a run can be broken off."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from measured import Poisoned, bench_pack
from pentimento import bench
from pentimento.bench import instructedit
from pentimento.bench.instructedit import Row, markdown, request_for, score
from pentimento.bench.metrics import near
from pentimento.bench.table import Attempt, Instruments, Outcome, attempt
from pentimento.bench.tasks import CHOOSING, STRATA, draw_task, draw_tasks, given
from pentimento.errors import NothingFound, PackError, RequestError
from pentimento.values import Request, Result

ALONE = Instruments(None, None)
ROW = Row("InstructEdit", lambda request: unchanged(request), makes=frozenset({"plan", "mask", "picture"}))


def unchanged(request: Request) -> Result:
    return Result(request.image, request.image, request.plan, request.mask)


def made(image: np.ndarray, **more: Any) -> Attempt:
    picture = Image.fromarray(image)
    return Attempt(replace(Result(picture, picture, None, None), **more), "", 0.1)


def test_an_editor_sees_pixels_and_words_and_any_look_at_a_scene_raises() -> None:
    task = draw_task(0, 0)
    poisoned = Poisoned(task.edit)
    task = replace(task, edit=poisoned)
    seen = given(task)
    asked: list[Request] = []

    def editor(request: Request) -> Result:
        asked.append(request)
        with poisoned.locked():
            with pytest.raises(AssertionError, match="looked at after"):
                _ = poisoned.after
            return unchanged(request)

    result = attempt(editor, request_for(task, frozenset(), seen))
    request = asked[0]
    assert type(request.image) is Image.Image and not request.image.info
    assert type(request.instruction) is str
    assert (request.plan, request.mask, request.pairs) == (None, None, ())
    assert score(task, ROW, result, ALONE).measured["identical outside"] == 1


def test_truth_reaches_a_request_only_where_the_row_says_so() -> None:
    task = draw_task(1, 0)
    for help in (frozenset[str](), frozenset({"plan"}), frozenset({"mask"}), frozenset({"plan", "mask"})):
        request = request_for(task, help, given(task))
        assert (request.plan is not None) == ("plan" in help)
        assert (request.mask is not None) == ("mask" in help)


def test_tasks_are_the_same_each_time_and_two_in_five_are_questions_of_which() -> None:
    tasks = draw_tasks(20, 3)
    assert [t.instruction for t in tasks] == [t.instruction for t in draw_tasks(20, 3)]
    assert sum(t.choosing for t in tasks if STRATA[t.number % 10][1]) == 8
    assert {t.edit.words.which for t in tasks if STRATA[t.number % 10][1]} == set(CHOOSING)
    assert all(t.edit.words.kind in STRATA[t.number % 10][0] for t in tasks)


def test_the_right_plan_and_mask_count_as_right() -> None:
    task = draw_task(2, 0)
    record = {"plans": [task.wanted.model_dump()]}
    best = made(task.truth.after, plan=task.wanted, mask=task.truth.target, record=record)
    measured = score(task, ROW, best, ALONE).measured
    assert measured["plan right"] == measured["right object"] == measured["mask IoU"] == 1
    assert measured["PSNR inside"] == measured["PSNR outside"] == 99


def test_the_mask_of_another_thing_is_the_wrong_object() -> None:
    task = next(t for t in draw_tasks(4, 0) if t.choosing)
    things = instructedit._things(task)
    other = next(i for i in range(len(things)) if i not in task.edit.targets)
    assert score(task, ROW, made(task.truth.before, mask=things[other]), ALONE).measured["right object"] == 0


def test_two_plans_where_one_was_asked_for_are_wrong() -> None:
    task = draw_task(2, 0)
    twice = {"plans": [task.wanted.model_dump()] * 2}
    assert score(task, ROW, made(task.truth.before, plan=task.wanted, record=twice), ALONE).measured["plan right"] == 0


def test_a_refusal_counts_as_an_edit_that_did_nothing() -> None:
    def refuse(request: Request) -> Result:
        raise NothingFound("unicorn", 0.1, 0.3)

    task = draw_task(0, 0)
    outcome = score(task, ROW, attempt(refuse, Request(given(task).image, "x")), ALONE)
    assert outcome.refusal.startswith("NothingFound")
    assert outcome.measured["refused"] == 1 and outcome.measured["plan right"] == outcome.measured["mask IoU"] == 0


def test_a_changed_pixel_outside_the_mask_is_seen() -> None:
    task = draw_task(0, 0)
    picture = task.truth.after.copy()
    assert score(task, ROW, made(picture, mask=task.truth.mask), ALONE).measured["identical outside"] == 1
    y, x = np.argwhere(~near(task.truth.mask, 8))[0]
    picture[y, x, 0] ^= 1
    assert score(task, ROW, made(picture, mask=task.truth.mask), ALONE).measured["identical outside"] == 0


def test_the_whole_protocol_runs_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    pack = bench_pack()
    table = bench.run("instructedit", pack, tmp_path, n=2)
    lines = (tmp_path / "instructedit.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 2 * len(instructedit.rows_of(pack))
    assert "InstructPix2Pix" in table["table"]
    report = json.loads((tmp_path / "instructedit.json").read_text())
    assert report["rows"]["no edit"]["identical outside"]["value"] == 1
    with Image.open(tmp_path / "instructedit.png") as sheet:
        assert sheet.width > 200

    broken = "\n".join([*lines[:3], lines[3][:20]])  # killed in the middle of a line
    (tmp_path / "instructedit.jsonl").write_text(broken)
    asked: list[str] = []

    def counted(row: Row) -> Row:
        return replace(row, edit=lambda request: (asked.append(row.label), unchanged(request))[1])

    instructedit.measure(pack, tmp_path, 2, rows=[counted(row) for row in instructedit.rows_of(pack)])
    assert len(asked) == len(lines) - 3
    assert len((tmp_path / "instructedit.jsonl").read_text().splitlines()) == len(lines)


def test_a_missing_role_is_a_line_below_the_table_and_the_rest_is_measured(tmp_path: Path) -> None:
    def without(request: Request) -> Result:
        raise PackError("the pack 'toy' has no instruct")

    rows = [Row("no edit", unchanged), Row("InstructPix2Pix", without)]
    report = instructedit.measure(bench_pack(), tmp_path, 1, rows=rows)
    assert list(report["rows"]) == ["no edit"]
    assert "not measured, InstructPix2Pix: the pack 'toy' has no instruct" in markdown(report)


def test_figures_say_their_number_and_interval() -> None:
    outcomes = [
        Outcome("a", i, "replace", "", {"carried out": float(i % 2), "PSNR inside": 20.0 + i}) for i in range(8)
    ]
    report = instructedit.summary(outcomes, ["a"])
    assert report["rows"]["a"]["carried out"]["n"] == 8 and report["rows"]["a"]["carried out"]["value"] == 0.5
    low, high = (report["rows"]["a"]["PSNR inside"][key] for key in ("low", "high"))
    assert 20 < low < 23.5 < high < 27


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(RequestError, match="there are instructedit"):
        bench.run("nonsense", bench_pack(), Path("nowhere"))
