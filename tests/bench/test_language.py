import pytest

from pentimento.bench.language import Share, normal, rows, same_plan, score_planner, score_tasks, summary, tasks
from pentimento.errors import PlanError
from pentimento.language.captions import plan_of
from pentimento.values import Plan


class Oracle:
    """Knows the right plans of some tasks and refuses everything else."""

    def __init__(self, known: dict[str, tuple[Plan, ...]]):
        self.known = known

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        if instruction not in self.known:
            raise PlanError("not known")
        return self.known[instruction]


def test_wilsons_interval_is_the_textbook_one() -> None:
    low, high = Share(8, 10).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(0, 5).interval[0] == 0.0


def test_captions_are_compared_as_tokens() -> None:
    assert normal("Photo of an orange cat.") == normal("photo of a orange cat")
    right, wrong = plan_of("replace", ("cat",), "best", "tiger"), plan_of("replace", ("cat",), "left", "tiger")
    assert same_plan(right, right.model_copy(update={"after": "Photo of a tiger."}))
    assert not same_plan(right, wrong)


def test_a_planner_that_knows_everything_scores_all_and_one_that_refuses_scores_none() -> None:
    given = tasks(24, 1)
    assert score_tasks(Oracle({t.instruction: t.wanted for t in given}), given).all.share == 1.0
    score = score_planner(Oracle({}), n=24, seed=1)
    assert (score.all.right, score.all.n, len(score.mistakes)) == (0, 24, 24)
    assert set(score.kinds) == {t.wanted[0].kind for t in given}
    assert summary(score).startswith("0.0% [0.0%")


def test_every_group_of_tasks_has_plans() -> None:
    for group in ("scenes", "one", "two", "pronoun", "thirty"):
        given = tasks(4, 2, group=group)
        assert all(t.instruction and t.wanted for t in given), group
    assert all(t.description for t in tasks(4, 2, group="pronoun"))
    assert all(len(t.wanted) <= 2 for t in tasks(4, 2, group="two"))


def test_rows_name_planner_and_group() -> None:
    table = rows({"nobody": Oracle({})}, n=3)
    assert len(table) == 7
    assert {row["planner"] for row in table} == {"nobody"}
    assert all(row["right"] == 0 for row in table)
