import pytest

from pentimento.errors import PlanError
from pentimento.language.rules import Rules
from pentimento.roles import Planner


@pytest.mark.parametrize(
    ("text", "find", "which", "after"),
    [
        ("Change the cat on the right to a tiger", ("cat",), "right", "photo of a tiger"),
        ("Could you please make the car red?", ("car",), "best", "photo of a red car"),
        ("make all the vases wooden", ("vases",), "all", "photo of wooden vases"),
        ("Replace the oranges with apples", ("oranges",), "all", "photo of apples"),
        ("remove the second dog from the left", ("dog",), "2 from left", "photo of the background"),
        ("add a hat to the boy", ("boy",), "best", "photo of a boy with a hat"),
        ("make the bigger cat smaller", ("cat",), "largest", "photo of a small cat"),
        ("move the bus to the left", ("bus",), "best", "photo of a bus on the left"),
        ("change the background to a beach", ("background",), "best", "photo of a beach"),
        ("make it rain", (), "best", "photo in the rain"),
        ("turn it into night", (), "best", "photo at night"),
        ("make it winter", (), "best", "photo in winter"),
        ("turn the photo into a pencil sketch", (), "best", "pencil sketch"),
    ],
)
def test_simple_instructions_are_read(text: str, find: tuple[str, ...], which: str, after: str) -> None:
    (plan,) = Rules().plan(text)
    assert (plan.find, plan.which, plan.after) == (find, which, after)


def test_two_edits_give_two_plans() -> None:
    plans = Rules().plan("make the cat a tiger and the bus red")
    assert [plan.after for plan in plans] == ["photo of a tiger", "photo of a red bus"]


def test_a_pronoun_takes_the_first_thing_of_the_description() -> None:
    with pytest.raises(PlanError, match="--description"):
        Rules().plan("make it red")
    (plan,) = Rules().plan("make it red", "photo of a car on grass")
    assert plan.find == ("car",)


@pytest.mark.parametrize("text", ["", "🐱", "bonjour", "猫", "x" * 10_000, "the " * 2000, "and " * 2000, "(" * 5000])
def test_what_no_rule_reads_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        Rules().plan(text)


def test_the_rules_are_a_planner() -> None:
    assert isinstance(Rules(), Planner)
