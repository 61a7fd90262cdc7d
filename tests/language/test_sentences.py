import numpy as np
import pytest

from pentimento.data.asking import random_asked
from pentimento.errors import PlanError
from pentimento.language.captions import plan_of
from pentimento.language.rules import Rules
from pentimento.language.sentences import sentence_of
from pentimento.values import KINDS, Plan


@pytest.mark.parametrize(
    ("kind", "find", "which", "new", "sentence"),
    [
        ("replace", ("cat",), "left", "tiger", "turn the cat on the left into a tiger"),
        ("replace", ("cats",), "all", "an owl", "turn all the cats into owls"),
        ("recolour", ("green bus",), "best", "yellow", "make the green bus yellow"),
        ("material", ("vase", "lamp"), "best", "wood", "make the vase and the lamp wooden"),
        ("add", ("boy with a dog",), "best", "glasses", "add glasses to the boy with a dog"),
        ("add", (), "best", "owl", "add an owl"),
        ("remove", ("dog",), "2 from left", "", "remove the second dog from the left"),
        ("resize", ("small cat",), "largest", "huge", "make the largest small cat bigger"),
        ("resize", ("cat",), "best", "small", "make the cat smaller"),
        ("move", ("bus",), "best", "at the top", "move the bus to the top"),
        ("background", (), "best", "a beach", "change the background to a beach"),
        ("weather", (), "best", "rain", "make it rain"),
        ("weather", (), "best", "clear", "make it sunny"),
        ("time", (), "best", "night", "make it night"),
        ("season", (), "best", "autumn", "make it autumn"),
        ("style", (), "best", "oil", "turn it into an oil painting"),
        ("recolour", ("cat",), ("left", "right"), "red", "make the cat on the left and the cat on the right red"),
    ],
)
def test_each_kind_has_its_sentence(
    kind: str, find: tuple[str, ...], which: str | tuple[str, ...], new: str, sentence: str
) -> None:
    assert sentence_of(plan_of(kind, find, which, new)) == sentence


def meanings(count: int) -> list[Plan]:
    edits = [edit for seed in range(count) for edit in random_asked(np.random.default_rng(seed)).edits]
    return [plan_of(edit.kind, edit.find, edit.which, edit.new) for edit in edits]


def test_every_meaning_of_the_drawn_world_has_a_sentence_and_no_two_share_one() -> None:
    plans = dict.fromkeys(meanings(600))
    assert {plan.kind for plan in plans} == set(KINDS)
    assert len({sentence_of(plan) for plan in plans}) == len(plans) > 600


def test_a_sentence_means_its_plan_to_a_planner() -> None:
    plans = list(dict.fromkeys(meanings(200)))

    def reads(plan: Plan) -> bool:
        try:
            return Rules().plan(sentence_of(plan)) == (plan,)
        except PlanError:
            return False

    assert sum(map(reads, plans)) > 0.9 * len(plans) > 200


def test_a_plan_that_words_alone_do_not_make_has_none() -> None:
    described = plan_of("replace", ["cat"], "best", "tiger", "photo of a cat on a beach")
    with pytest.raises(PlanError, match="without a description"):
        sentence_of(described)
