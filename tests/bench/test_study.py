"""A study's folder, the order of its questions, votes on disk and the preferences in them."""

import json
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pentimento.bench.statistics import share
from pentimento.bench.study import (
    Choice,
    Study,
    Triplet,
    Vote,
    append_vote,
    preferences,
    questions,
    read_study,
    read_votes,
    report,
    standing,
    table,
)
from pentimento.errors import RequestError

PICTURES = ("bus.png", "cat.png", "dog.png")
METHODS = ("diffedit", "instructedit", "sdedit")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole layout; the pictures are empty files, which nothing here opens."""
    for name in ("input", *METHODS):
        (tmp_path / name).mkdir()
        for picture in PICTURES:
            (tmp_path / name / picture).touch()
    tell(tmp_path, *({"picture": picture, "instruction": f"change the {picture[:3]}"} for picture in PICTURES))
    return tmp_path


def tell(folder: Path, *lines: dict[str, str]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "instructions.jsonl").write_text(text, encoding="utf-8")


def ballot(voter: str, left: str, right: str, choice: Choice, picture: str = "cat.png") -> Vote:
    triplet = Triplet(picture, "change the cat", (min(left, right), max(left, right)))
    return Vote(
        voter=voter, triplet=triplet.id, picture=picture, left=left, right=right, choice=choice,
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_every_picture_is_asked_about_with_every_two_methods(folder: Path) -> None:
    study = read_study(folder)
    assert len(study.triplets) == len(PICTURES) * 3
    assert {triplet.methods for triplet in study.triplets} == {
        ("diffedit", "instructedit"), ("diffedit", "sdedit"), ("instructedit", "sdedit")
    }  # fmt: skip
    assert study.triplets[0].instruction == "change the bus"
    assert study.result(study.triplets[0], "sdedit") == folder / "sdedit" / "bus.png"


def test_ours_is_asked_about_against_each_other_method(folder: Path) -> None:
    study = read_study(folder, "instructedit")
    assert len(study.triplets) == 6 and all("instructedit" in triplet.methods for triplet in study.triplets)
    with pytest.raises(RequestError, match="'magic': there are diffedit, instructedit, sdedit"):
        read_study(folder, "magic")


def without_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def without_input(folder: Path) -> None:
    shutil.rmtree(folder / "input")


def with_empty_input(folder: Path) -> None:
    for picture in PICTURES:
        (folder / "input" / picture).unlink()


def without_instructions(folder: Path) -> None:
    (folder / "instructions.jsonl").unlink()


def with_one_method(folder: Path) -> None:
    shutil.rmtree(folder / "sdedit")
    shutil.rmtree(folder / "diffedit")


def without_methods(folder: Path) -> None:
    for method in METHODS:
        shutil.rmtree(folder / method)


def without_a_result(folder: Path) -> None:
    (folder / "sdedit" / "cat.png").unlink()


def with_a_folder_that_is_no_method(folder: Path) -> None:
    (folder / "notes").mkdir()


def with_a_picture_untold(folder: Path) -> None:
    (folder / "input" / "fox.png").touch()


def with_an_unknown_picture(folder: Path) -> None:
    tell(folder, {"picture": "../cat.png", "instruction": "change it"})


def with_two_instructions(folder: Path) -> None:
    tell(folder, *({"picture": "cat.png", "instruction": text} for text in ("change it", "remove it")))


def with_an_empty_instruction(folder: Path) -> None:
    tell(folder, {"picture": "cat.png", "instruction": "  "})


def with_a_missing_field(folder: Path) -> None:
    tell(folder, {"picture": "cat.png"})


def with_no_json(folder: Path) -> None:
    (folder / "instructions.jsonl").write_bytes(b"cat.png change \xff\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (without_folder, "there is no such folder; a study has input/, METHOD/ and instructions.jsonl"),
        (without_input, r"input: there is no such folder; .*input/NAME\.png"),
        (with_empty_input, "input: holds no PNG file"),
        (without_instructions, r"instructions\.jsonl: there is no such file; write a line .*NAME\.png"),
        (with_one_method, r"only instructedit/ with results; wanted at least two.*METHOD/bus\.png"),
        (without_methods, "holds no folder with results; wanted at least two"),
        (without_a_result, r"there is no sdedit/cat\.png"),
        (with_a_folder_that_is_no_method, r"notes/bus\.png, notes/cat\.png, notes/dog\.png.*must lie elsewhere"),
        (with_a_picture_untold, r"has no line for fox\.png; add \{"),
        (with_an_unknown_picture, r"line 1: there is no input/\.\./cat\.png"),
        (with_two_instructions, r"line 2: cat\.png has a line already"),
        (with_an_empty_instruction, "line 1: instruction = '  '"),
        (with_a_missing_field, "line 1: instruction is missing; wanted {"),
        (with_no_json, "line 1: "),
    ],
)
def test_a_layout_that_is_not_whole_is_refused_by_what_is_missing(folder: Path, spoil: Any, named: str) -> None:
    spoil(folder)
    with pytest.raises(RequestError, match=named):
        read_study(folder)


def test_the_order_is_random_but_the_same_for_the_same_voter() -> None:
    triplets = tuple(Triplet(f"{number}.png", "change it", ("one", "other")) for number in range(200))
    asked = questions(triplets, "anna")
    assert asked == questions(reversed(triplets), "anna")
    assert {question.triplet for question in asked} == set(triplets)
    assert [question.triplet for question in asked] != list(triplets)
    assert [q.triplet for q in asked] != [q.triplet for q in questions(triplets, "bert")]


def test_the_sides_are_random_and_differ_between_voters() -> None:
    triplets = tuple(Triplet(f"{number}.png", "change it", ("one", "other")) for number in range(200))
    sides = {voter: {q.triplet: q.left for q in questions(triplets, voter)} for voter in ("anna", "bert")}
    for left in sides.values():
        assert 70 < sum(method == "one" for method in left.values()) < 130
    assert 70 < sum(sides["anna"][triplet] == sides["bert"][triplet] for triplet in triplets) < 130
    assert all({q.left, q.right} == {"one", "other"} for q in questions(triplets, "anna"))


def test_a_question_s_id_says_nothing_to_another_voter() -> None:
    triplet = Triplet("cat.png", "change it", ("one", "other"))
    ids = {questions((triplet,), voter)[0].id for voter in ("anna", "bert")}
    assert len(ids) == 2 and triplet.id not in ids


def test_votes_are_read_as_they_were_written(tmp_path: Path) -> None:
    votes = (ballot("anna", "one", "other", "left"), ballot("bert", "other", "one", "same"))
    for vote in votes:
        append_vote(tmp_path / "votes.jsonl", vote)
    assert read_votes(tmp_path / "votes.jsonl") == votes
    assert read_votes(tmp_path / "absent.jsonl") == ()
    line = json.loads((tmp_path / "votes.jsonl").read_text().splitlines()[0])
    assert line["left"] == "one" and line["choice"] == "left" and line["at"].startswith("2026-01-01")


def test_a_last_line_torn_anywhere_is_tolerated_and_mended(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    first, torn, third = (ballot(voter, "one", "ötherwise", "left") for voter in ("anna", "bert", "cleo"))
    append_vote(path, first)
    whole = path.read_bytes()
    append_vote(path, torn)
    line = path.read_bytes()[len(whole) :]
    for length in (*range(0, len(line) - 4, 11), *range(len(line) - 4, len(line) - 1)):
        path.write_bytes(whole + line[:length])
        assert read_votes(path) == (first,)
        append_vote(path, third)
        assert read_votes(path) == (first, third) and path.read_bytes().endswith(b"}\n")


def test_a_vote_that_lacks_only_its_line_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    first, second = ballot("anna", "one", "other", "left"), ballot("bert", "one", "other", "right")
    append_vote(path, first)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_votes(path) == (first,)
    append_vote(path, second)
    assert read_votes(path) == (first, second)


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    append_vote(path, ballot("anna", "one", "other", "left"))
    path.write_bytes(path.read_bytes() + b'{"voter": "bert"}\n')
    with pytest.raises(RequestError, match="line 2 is no vote .*triplet is missing"):
        read_votes(path)


def test_votes_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be written"):
        append_vote(tmp_path, ballot("anna", "one", "other", "left"))


def test_the_last_vote_of_a_voter_about_a_triplet_counts() -> None:
    early, other, late = (
        ballot("anna", "one", "other", "left"),
        ballot("bert", "one", "other", "left"),
        ballot("anna", "one", "other", "right"),
    )
    assert set(standing([early, other, late])) == {other, late}
    figures = {row.method: row.figure for row in preferences([early, other, late])}
    assert figures["one"].value == figures["other"].value == 0.5


def many_votes() -> list[Vote]:
    random.seed(3)
    votes = []
    for voter in range(12):
        for picture in PICTURES:
            for _ in range(5):
                left, right = random.sample(METHODS, 2)
                choice: Choice = random.choice(("left", "right", "same"))
                votes.append(ballot(f"voter {voter}", left, right, choice, picture))
    return votes


def keep(folder: Path, votes: list[Vote]) -> None:
    """All of them at once, without the wait for the disk that each has by itself."""
    (folder / "votes.jsonl").write_text("".join(f"{vote.model_dump_json()}\n" for vote in votes), encoding="utf-8")


def test_the_report_equals_a_naive_count(folder: Path) -> None:
    votes = many_votes()
    keep(folder, votes)
    last: dict[Any, Vote] = {}
    for vote in votes:
        last[vote.voter, vote.picture, tuple(sorted((vote.left, vote.right)))] = vote
    assert len(last) < len(votes)
    found = report(folder)
    assert found["votes"] == len(last) and found["voters"] == 12
    assert found["same"] == sum(vote.choice == "same" for vote in last.values())
    assert len(found["preferences"]) == 6
    for row in found["preferences"]:
        won = lost = same = 0
        for vote in last.values():
            if {vote.left, vote.right} != {row["method"], row["over"]}:
                continue
            if vote.choice == "same":
                same += 1
            elif (vote.left if vote.choice == "left" else vote.right) == row["method"]:
                won += 1
            else:
                lost += 1
        wilson = share(won, won + lost)
        assert (row["preferred"], row["low"], row["high"]) == (wilson.value, wilson.low, wilson.high)
        assert (row["n"], row["same"]) == (won + lost, same)
        assert 0 < row["low"] < row["preferred"] < row["high"] < 1


def test_both_directions_of_a_pair_add_up_to_one(folder: Path) -> None:
    rows = {(row.method, row.over): row for row in preferences(many_votes())}
    for (one, other), row in rows.items():
        back = rows[other, one]
        assert row.figure.value + back.figure.value == pytest.approx(1) and row.same == back.same
        assert row.figure.low == pytest.approx(1 - back.figure.high)


def test_a_pair_that_was_always_the_same_has_no_share(folder: Path) -> None:
    append_vote(folder / "votes.jsonl", ballot("anna", "one", "other", "same"))
    found = report(folder)
    assert [row["preferred"] for row in found["preferences"]] == [None, None]
    assert "NaN" not in json.dumps(found) and found["preferences"][0]["same"] == 1
    assert "1 voter, 1 vote, 1 of them 'the same'" in table(found)


def test_a_report_can_be_of_one_method(folder: Path) -> None:
    keep(folder, many_votes())
    rows = report(folder, "sdedit")["preferences"]
    assert [(row["method"], row["over"]) for row in rows] == [("sdedit", "diffedit"), ("sdedit", "instructedit")]
    with pytest.raises(RequestError, match="magic"):
        report(folder, "magic")


def test_a_report_without_votes_is_refused(folder: Path) -> None:
    with pytest.raises(RequestError, match="no votes yet"):
        report(folder)
    with pytest.raises(RequestError, match="no such folder"):
        report(folder / "nowhere")


def test_a_table_has_a_line_for_each_direction(folder: Path) -> None:
    for choice in ("left", "left", "left", "right"):
        append_vote(folder / "votes.jsonl", ballot(f"voter {random.random()}", "instructedit", "sdedit", choice))
    lines = table(report(folder)).splitlines()
    assert lines[0].split() == ["preferred", "95", "%", "interval", "decided", "the", "same"]
    assert lines[1].split() == "instructedit over sdedit 75.0% 30.1% to 95.4% 4 0".split()
    assert lines[2].startswith("sdedit over instructedit") and "25.0%" in lines[2] and len(lines) == 4


def test_a_study_holds_where_its_votes_lie(folder: Path) -> None:
    assert Study(folder, ()).votes == folder / "votes.jsonl"
