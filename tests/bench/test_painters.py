"""What a painted picture must show of its caption, by a judge that sees colours for things."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from pentimento.bench import painters
from pentimento.bench.painters import Wish, kept, spoilt, wish
from pentimento.data.judging import FACTORS
from pentimento.data.scenes import draw_scene

HERE, ELSEWHERE = FACTORS["place"][:2]


class Colours:
    """Believes in a cat as far as a view is red, in a dog as far as it is blue; every place is HERE."""

    words: Mapping[str, tuple[str, ...]] = FACTORS

    def probabilities(self, views: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
        believed = {factor: np.zeros((len(views), len(words))) for factor, words in FACTORS.items()}
        for row, view in enumerate(views):
            believed["noun"][row, FACTORS["noun"].index("cat")] = (view[..., 0] > 200).mean()
            believed["noun"][row, FACTORS["noun"].index("dog")] = (view[..., 2] > 200).mean()
            believed["colour"][row, FACTORS["colour"].index("green")] = (view[..., 1] > 200).mean()
        believed["place"][:, FACTORS["place"].index(HERE)] = 1.0
        return believed


@pytest.fixture
def red_left_of_blue() -> np.ndarray:
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[60:90, 10:40, 0] = 255
    picture[60:90, 80:110, 2] = 255
    return picture


def test_things_are_found_wherever_they_stand_but_in_the_order_that_was_said(red_left_of_blue: np.ndarray) -> None:
    assert kept(Colours(), Wish((("cat", ""), ("dog", "")), HERE), red_left_of_blue) > 0.8
    assert kept(Colours(), Wish((("dog", ""), ("cat", "")), HERE), red_left_of_blue) < 0.3


def test_one_thing_cannot_stand_for_two(red_left_of_blue: np.ndarray) -> None:
    assert kept(Colours(), Wish((("cat", ""), ("cat", "")), HERE), red_left_of_blue) < 0.7


def test_the_place_and_the_look_must_be_right_too(red_left_of_blue: np.ndarray) -> None:
    assert kept(Colours(), Wish((("cat", ""),), ELSEWHERE), red_left_of_blue) == 0
    assert kept(Colours(), Wish((("cat", "green"),), HERE), red_left_of_blue) == 0
    red_left_of_blue[..., 1] = red_left_of_blue[..., 0]
    assert kept(Colours(), Wish((("cat", "green"),), HERE), red_left_of_blue) > 0.8


def test_a_spoilt_wish_has_exactly_one_thing_wrong() -> None:
    rng = np.random.default_rng(0)
    for seed in range(60):
        wanted = wish(draw_scene(seed, "validation"))
        wrong = spoilt(wanted, rng)
        things = sum(a != b for a, b in zip(wanted.things, wrong.things, strict=True))
        assert things + (wanted.place != wrong.place) == 1


def test_the_limit_lets_few_spoilt_wishes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = iter(np.random.default_rng(1).permutation(np.linspace(0, 1, 100)))
    monkeypatch.setattr(painters, "kept", lambda *_: float(next(sure)))
    limit = painters.strictness(Colours(), lambda picture: picture, 100)
    assert (np.linspace(0, 1, 100) >= limit).mean() == painters.FALSE_ACCEPTS


def test_squares_lie_inside_the_picture_and_leave_no_gap() -> None:
    for side in painters.SIDES:
        centres = sorted({s.x for s in painters.squares() if s.side == side})
        assert centres[0] == side / 2 and centres[-1] == pytest.approx(1 - side / 2)
        assert max(np.diff(centres)) <= side / 3 + 1e-9
