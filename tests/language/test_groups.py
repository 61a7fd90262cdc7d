"""Groups that a language model writes: checked, asked for again, given up; and groups that people wrote."""

import json
from pathlib import Path

import pytest

from pentimento.errors import RequestError
from pentimento.language.groups import Group, Written, read_groups, write_group
from scripted import Scripted

PAIRS = [{"before": f"a cat in room {i}", "after": f"a dog in room {i}"} for i in range(5)]
WRITTEN = {"instruction": "make the cat a dog", "pairs": PAIRS}
GOOD = {**WRITTEN, "kind": "replace"}


def test_a_model_writes_a_group_of_the_kind_and_scene_that_it_is_told() -> None:
    model = Scripted(f"Here it is: {json.dumps(WRITTEN)}")
    assert write_group(model, "replace", ("cat", "room")) == Group.model_validate(GOOD)
    (talk,) = model.heard
    assert json.loads(talk[-1].content) == {"kind": "replace", "about": ["cat", "room"]}
    assert "{schema}" not in talk[0].content and '"CaptionPair"' in talk[0].content
    assert model.kinds == [Written]


def test_the_example_in_the_prompt_is_itself_a_good_answer() -> None:
    model = Scripted(json.dumps(WRITTEN))
    write_group(model, "replace", ())
    example = model.heard[0][2]
    assert example.role == "assistant" and len(Written.model_validate_json(example.content).pairs) == 5


@pytest.mark.parametrize(
    "broken",
    [
        "I cannot", json.dumps(WRITTEN | {"pairs": PAIRS[:4]}), json.dumps(WRITTEN | {"kind": "style"}),
        json.dumps(WRITTEN | {"pairs": [*PAIRS[:4], PAIRS[0]]}), json.dumps(WRITTEN | {"instruction": ""}),
        json.dumps(WRITTEN | {"pairs": [*PAIRS[:4], {"before": "a cat", "after": "A cat"}]}),
    ],
)  # fmt: skip
def test_an_unusable_answer_is_asked_for_again_and_at_last_given_up(broken: str) -> None:
    model = Scripted(broken, json.dumps(WRITTEN))
    assert write_group(model, "replace", ()) is not None
    assert "cannot be used" in model.heard[1][-1].content
    assert write_group(Scripted(broken, broken), "replace", (), retries=1) is None


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
