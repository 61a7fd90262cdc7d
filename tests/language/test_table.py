import json
from pathlib import Path

import pytest

from pentimento.language.table import Answerer, Table


def counting(by: str = "one") -> tuple[Answerer, list[str]]:
    """Texts in capitals, and what it was asked for."""
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return text.upper()

    return Answerer(by, answer), asked


def test_a_text_is_asked_for_once_now_and_in_later_runs(tmp_path: Path) -> None:
    answerer, asked = counting()
    for _ in range(2):
        table = Table(tmp_path / "new" / "table.jsonl", answerer)
        assert [table(text) for text in ("a", "b", "a", "línea\nzwei\u2028")] == ["A", "B", "A", "LÍNEA\nZWEI\u2028"]
    assert asked == ["a", "b", "línea\nzwei\u2028"]


def test_a_killed_run_loses_no_answer_that_it_gave(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"

    def answer(text: str) -> str:
        if text == "c":
            raise KeyboardInterrupt
        return text.upper()

    table = Table(path, Answerer("one", answer))
    with pytest.raises(KeyboardInterrupt):
        [table(text) for text in "abc"]
    answerer, asked = counting()
    again = Table(path, answerer)
    assert [again(text) for text in "abc"] == list("ABC") and asked == ["c"]


@pytest.mark.parametrize("kept", range(1, 40, 6))
def test_half_a_line_costs_its_own_answer_and_no_other(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "table.jsonl"
    answerer, asked = counting()
    table = Table(path, answerer)
    table("a"), table("ß")
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + second[:kept])
    again = Table(path, answerer)
    assert [again("a"), again("ß"), again("c")] == ["A", "SS", "C"]
    assert asked == ["a", "ß", "ß", "c"]
    last = Table(path, answerer)
    assert [last("a"), last("ß"), last("c")] == ["A", "SS", "C"] and len(asked) == 4


def test_answers_of_another_model_or_prompt_stay_and_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    for by in ("one", "two", "one"):
        answerer, asked = counting(by)
        Table(path, answerer)("a")
    assert asked == []
    assert [json.loads(line)["by"] for line in path.read_text().splitlines()] == ["one", "two"]


def test_two_runs_may_share_a_file(tmp_path: Path) -> None:
    answerer, asked = counting()
    one, two = (Table(tmp_path / "table.jsonl", answerer) for _ in range(2))
    one("a"), two("b"), one("c")
    third = Table(tmp_path / "table.jsonl", answerer)
    assert [third(text) for text in "abc"] == list("ABC") and asked == list("abc")
