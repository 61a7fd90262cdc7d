"""Groups that a language model writes: checked, asked for again, given up; and groups that people wrote."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from pentimento.errors import RequestError
from pentimento.language.chat import Message
from pentimento.language.groups import Group, read_groups, write_group

PAIRS = [{"before": f"a cat in room {i}", "after": f"a dog in room {i}"} for i in range(5)]
GOOD = {"instruction": "make the cat a dog", "kind": "replace", "pairs": PAIRS}


class Scripted:
    """Says its lines one after the other, and remembers what it was told and held to."""

    def __init__(self, *lines: str):
        self.lines, self.heard, self.schemas = list(lines), list[tuple[Message, ...]](), list[type[BaseModel]]()

    def __call__(self, talk: Sequence[Message], answer: type[BaseModel]) -> str:
        self.heard.append(tuple(talk))
        self.schemas.append(answer)
        return self.lines.pop(0)


def test_a_model_writes_a_group_of_the_kind_and_scene_that_it_is_told() -> None:
    model = Scripted(f"Here it is: {json.dumps(GOOD)}")
    assert write_group(model, "replace", ("cat", "room")) == Group.model_validate(GOOD)
    (talk,) = model.heard
    assert json.loads(talk[-1].content) == {"kind": "replace", "about": ["cat", "room"]}
    assert "{schema}" not in talk[0].content and '"CaptionPair"' in talk[0].content
    assert model.schemas == [Group]


def test_the_example_in_the_prompt_is_itself_a_good_answer() -> None:
    model = Scripted(json.dumps(GOOD))
    write_group(model, "replace", ())
    example = model.heard[0][2]
    assert example.role == "assistant" and len(Group.model_validate_json(example.content).pairs) == 5


@pytest.mark.parametrize(
    "broken",
    [
        "I cannot", json.dumps(GOOD | {"pairs": PAIRS[:4]}), json.dumps(GOOD | {"kind": "style"}),
        json.dumps(GOOD | {"pairs": [*PAIRS[:4], PAIRS[0]]}), json.dumps(GOOD | {"instruction": ""}),
        json.dumps(GOOD | {"pairs": [*PAIRS[:4], {"before": "a cat", "after": "A cat"}]}),
    ],
)  # fmt: skip
def test_an_unusable_answer_is_asked_for_again_and_at_last_given_up(broken: str) -> None:
    model = Scripted(broken, json.dumps(GOOD))
    assert write_group(model, "replace", ()) is not None
    assert "cannot be used" in model.heard[1][-1].content
    assert write_group(Scripted(broken, broken), "replace", (), attempts=2) is None


def test_groups_are_read_from_lines_and_the_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "groups.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | {"pairs": PAIRS[:2]}) + "\n")
    assert [len(group.pairs) for group in read_groups(path)] == [5, 2]
    path.write_text(json.dumps(GOOD) + '\n{"instruction": "x"}\n')
    with pytest.raises(RequestError, match="line 2"):
        read_groups(path)
    path.write_text("\n")
    with pytest.raises(RequestError, match="no group"):
        read_groups(path)
    with pytest.raises(RequestError, match="cannot be read"):
        read_groups(tmp_path / "nothing.jsonl")
