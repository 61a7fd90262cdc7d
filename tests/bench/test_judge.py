"""The judge: questions, planted mistakes, verdicts; and its recipe's lessons."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento.bench.judge import score_judge, verdict
from pentimento.data.edits import Edit, draw_edit, render_edit
from pentimento.data.judging import FACTORS, Lessons, belief, cut, example, planted, questions, region_of, views_of
from pentimento.data.store import Store
from pentimento.recipes.judge import UNKNOWN, Batch, batch, calibrated, common, loss
from pentimento.values import KINDS
from pentimento.vision import judge as vision
from pentimento.vision.judge import Judge, JudgeConfig, JudgeNet

SMALL = JudgeConfig(FACTORS, widths=(8, 8, 8, 8), hidden=8)


class Oracle:
    """Answers each question as the true picture would, when it is shown the true picture's view."""

    words: Mapping[str, tuple[str, ...]] = FACTORS
    thresholds: Mapping[str, float] = {}

    def __init__(self, edit: Edit):
        after = render_edit(edit).after
        self.answers = {
            (cut(after, region)[:, ::side].tobytes(), q.factor): q.answer
            for q in questions(edit)
            for region in views_of(q)
            for side in (1, -1)
        }

    def probabilities(self, views: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        believed = {factor: np.zeros((len(views), len(words))) for factor, words in FACTORS.items()}
        for row, view in enumerate(views):
            for factor, words in FACTORS.items():
                answer = self.answers.get((view.tobytes(), factor), words[-1])
                believed[factor][row, words.index(answer)] = 1
        return believed


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_judge_accepts_the_true_picture_and_no_planted_mistake(kind: str) -> None:
    for seed in range(3):
        edit = draw_edit(seed, "test", kinds=(kind,))
        assert questions(edit)
        for case in planted(edit, np.random.default_rng(seed)):
            assert (belief(Oracle(edit), edit, case.picture) > 0.5) == (case.what == "right"), case.what


def test_every_asked_answer_is_one_of_the_factors_words() -> None:
    for seed in range(30):
        for question in questions(draw_edit(seed, "test")):
            assert question.answer in FACTORS[question.factor]


def test_a_thing_that_changes_its_noun_is_seen_in_the_same_square() -> None:
    edit = draw_edit(0, "test", kinds=("replace",))
    i = edit.targets[0]
    assert region_of(edit.before.things[i]) == region_of(edit.after.things[i])


def test_a_view_over_the_border_has_the_usual_size() -> None:
    picture = render_edit(draw_edit(0, "test")).before
    thing = draw_edit(0, "test", kinds=("replace",)).before.things[0]
    assert cut(picture, region_of(thing, 5.0)).shape == (64, 64, 3)


def test_the_verdict_is_a_claim_and_needs_the_threshold() -> None:
    edit = draw_edit(1, "test", kinds=("recolour",))
    unsure = Judge(JudgeNet(SMALL).eval())
    assert verdict(unsure, edit, Image.fromarray(render_edit(edit).after)) is False


def test_a_judge_scores_with_n_and_interval_for_every_plant() -> None:
    torch.manual_seed(0)
    score = score_judge(Judge(JudgeNet(SMALL).eval()), 4)
    assert score.accepted["right"].n == score.accepted["missing"].n == 4
    assert 0 <= score.accuracy.low <= score.accuracy.value <= score.accuracy.high <= 1
    assert score.to_json()["false accepts"]["n"] == score.false_accepts.n  # type: ignore[index]


def test_a_saved_judge_answers_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = JudgeNet(SMALL).half().float().eval()
    vision.save(net, tmp_path, thresholds={"add": 0.7})
    loaded = vision.load(tmp_path)
    views = [np.full((64, 64, 3), 99, np.uint8)]
    assert loaded.thresholds == {"add": 0.7}
    one, other = Judge(net).probabilities(views), loaded.probabilities(views)
    assert all(np.array_equal(one[factor], other[factor]) for factor in FACTORS)


def test_a_judge_that_grows_out_of_another_answers_alike_and_can_learn_more() -> None:
    torch.manual_seed(0)
    earlier, x = JudgeNet(SMALL).eval(), torch.randn(2, 3, 64, 64)
    net = JudgeNet(replace(SMALL, blocks=(2, 1, 3, 1))).eval()
    assert vision.grow(net, earlier)
    for factor, wanted in earlier(x).items():
        torch.testing.assert_close(net(x)[factor], wanted)
    sum(values.square().sum() for values in net(x).values()).backward()
    assert net.encoder.stages[0][2].norm.weight.grad.abs().sum() > 0
    other = JudgeNet(replace(SMALL, hidden=9))
    before = other.heads["noun"].bias.clone()
    assert not vision.grow(other, earlier)
    assert torch.equal(other.heads["noun"].bias, before)


def lessons() -> Lessons:
    from pentimento.data.judging import edit_of
    from pentimento.data.scenes import draw_scene, render

    scenes = np.stack([render(draw_scene(seed)).image for seed in range(4)])
    pairs = [render_edit(edit_of(seed)) for seed in range(4)]
    edits = np.stack([np.stack([pair.before, pair.after]) for pair in pairs])
    return Lessons(Store((scenes,)), Store((edits,)), edits[:2])


def test_lessons_are_a_function_of_the_step_and_teach_every_factor() -> None:
    drawn = lessons()
    one, again = batch(drawn, 0, 3, 96), batch(drawn, 0, 3, 96)
    assert torch.equal(one.views, again.views)
    assert one.views.shape == (96, 3, 64, 64) and float(one.views.abs().max()) <= 1
    assert all(bool((labels != UNKNOWN).any()) for labels in one.answers.values())


def test_an_example_says_only_words_that_its_factor_has() -> None:
    drawn, rng = lessons(), np.random.default_rng(0)
    for _ in range(40):
        for factor, answer in example(drawn, rng).answers.items():
            assert answer in FACTORS[factor]


def test_what_is_unknown_costs_nothing() -> None:
    net = JudgeNet(SMALL)
    answers = {factor: torch.full((2,), UNKNOWN) for factor in FACTORS}
    assert loss(net, Batch(torch.zeros(2, 3, 64, 64), answers), common(lessons(), 0, 8)).item() == 0


def test_how_common_answers_are_is_a_distribution_and_explains_what_the_views_do_not() -> None:
    """Where a network holds all answers to be alike, the loss of a common answer is smaller than that of a rare one."""
    shares = common(lessons(), 0, 64)
    for factor, words in FACTORS.items():
        assert len(shares[factor]) == len(words)
        assert shares[factor].exp().sum().item() == pytest.approx(1)
    net = JudgeNet(SMALL).eval()
    torch.nn.init.zeros_(net.heads["noun"].weight)
    torch.nn.init.zeros_(net.heads["noun"].bias)

    def of(noun: int) -> float:
        answers = {factor: torch.full((1,), UNKNOWN) for factor in FACTORS} | {"noun": torch.tensor([noun])}
        return loss(net, Batch(torch.zeros(1, 3, 64, 64), answers), shares).item()

    often, rarely = (int(one) for one in (shares["noun"].argmax(), shares["noun"].argmin()))
    assert of(often) == pytest.approx(-2 * shares["noun"][often].item(), rel=1e-5)
    assert of(often) < of(rarely)


def test_belief_is_sure_at_the_threshold_of_the_edits_kind_and_rises_with_what_is_believed() -> None:
    edit = draw_edit(1, "test", kinds=("recolour",))
    after = render_edit(edit).after

    def believed(share: float, limit: float) -> float:
        oracle = Oracle(edit)
        certain = oracle.probabilities

        def unsure(views: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
            return {factor: p * share + (1 - p) * 1e-3 for factor, p in certain(views).items()}

        oracle.probabilities, oracle.thresholds = unsure, {"recolour": limit}  # type: ignore[method-assign]
        return belief(oracle, edit, after)

    assert believed(0.8, 0.8) == pytest.approx(0.5)
    assert believed(0.79, 0.8) < 0.5 < believed(0.81, 0.8)
    assert believed(0.9, 0.3) > believed(0.9, 0.8) > believed(0.85, 0.8)


def test_weather_is_looked_for_in_every_quarter() -> None:
    weather = draw_edit(0, "test", kinds=("weather",))
    (question,) = questions(weather)
    assert len(views_of(question)) == 5
    (place,) = questions(draw_edit(0, "test", kinds=("background",)))
    assert len(views_of(place)) == 1


def test_thresholds_let_few_planted_mistakes_pass(tmp_path: Path) -> None:
    torch.manual_seed(1)
    judge = Judge(JudgeNet(SMALL).eval())
    thresholds = calibrated(judge, 1, tmp_path)
    assert set(thresholds) == set(KINDS)
    assert all(0.3 <= limit <= 0.98 for limit in thresholds.values())
