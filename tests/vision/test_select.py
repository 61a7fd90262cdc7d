"""Choosing among boxes by their geometry."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pentimento.errors import NothingFound, RequestError
from pentimento.values import CHOICES, Box
from pentimento.vision.select import select

ROW = (
    Box(60, 10, 80, 40, 0.5, "bus"),
    Box(0, 20, 20, 40, 0.6, "bus"),
    Box(30, 0, 50, 15, 0.9, "bus"),
)

edges = st.floats(0, 100, allow_nan=False)
boxes = st.lists(
    st.builds(
        lambda x, y, w, h, score, phrase: Box(x, y, x + w + 1, y + h + 1, score, phrase),
        edges, edges, edges, edges, st.floats(0, 1), st.sampled_from(["cat", "dog"]),
    ),
    min_size=1, max_size=7,
)  # fmt: skip


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("all", (0, 1, 2)), ("best", (2,)), ("left", (1,)), ("right", (0,)), ("middle", (2,)), ("top", (2,)),
        ("bottom", (1,)), ("largest", (0,)), ("smallest", (2,)), ("1 from left", (1,)), ("2 from left", (2,)),
        ("3 from left", (0,)), ("2 from right", (2,)), ("1 from top", (2,)), ("3 from top", (1,)),
        (("left", "right"), (0, 1)), (("best", "middle"), (2,)),
    ],
)  # fmt: skip
def test_a_choice_means_the_right_one_of_three(which: str, expected: tuple[int, ...]) -> None:
    assert select(ROW, which) == tuple(ROW[i] for i in expected)


def test_the_best_is_the_best_score_and_not_the_first_box() -> None:
    assert select(ROW, "best")[0].score == 0.9


def test_the_middle_of_three_is_the_median_even_when_it_stands_near_the_left() -> None:
    near = (Box(0, 0, 10, 10), Box(12, 0, 22, 10), Box(90, 0, 100, 10))
    assert select(near, "middle") == (near[1],)


def test_the_middle_of_four_is_the_inner_one_that_is_nearer_to_the_middle() -> None:
    four = (Box(0, 0, 10, 10), Box(12, 0, 22, 10), Box(42, 0, 52, 10), Box(90, 0, 100, 10))
    assert select(four, "middle") == (four[2],)


def test_each_phrase_is_chosen_for_by_itself() -> None:
    animals = (Box(0, 0, 9, 9, 0.9, "cat"), Box(20, 0, 29, 9, 0.4, "dog"), Box(50, 0, 59, 9, 0.8, "dog"))
    assert select(animals, "left") == animals[:2]
    assert select(animals, "best") == (animals[0], animals[2])


def test_too_few_boxes_for_a_number_are_refused_with_the_best_score() -> None:
    with pytest.raises(NothingFound, match="bus number 4 from left") as caught:
        select(ROW, "4 from left", threshold=0.3)
    assert (caught.value.best_score, caught.value.threshold) == (0.9, 0.3)


def test_no_box_at_all_is_nothing_found() -> None:
    with pytest.raises(NothingFound):
        select((), "best")


@pytest.mark.parametrize("which", ["leftmost", "0 from left", "10 from left", ()])
def test_a_choice_that_does_not_exist_is_refused(which: str) -> None:
    with pytest.raises(RequestError):
        select(ROW, which)


@settings(max_examples=60, deadline=None)
@given(boxes, st.sampled_from(CHOICES))
def test_a_choice_gives_boxes_that_were_there_and_one_for_each_phrase(found: list[Box], which: str) -> None:
    chosen = select(found, which)
    assert chosen and all(box in found for box in chosen)
    assert {box.phrase for box in chosen} == {box.phrase for box in found}
    if which != "all":
        assert len(chosen) == len({box.phrase for box in found})


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_the_order_of_the_boxes_does_not_matter_when_scores_and_places_differ(found: list[Box]) -> None:
    if len({box.score for box in found}) == len(found):
        for which in CHOICES:
            assert set(select(found, which)) == set(select(found[::-1], which))


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_counting_from_the_left_to_the_last_is_all_of_a_phrase(found: list[Box]) -> None:
    cats = [box for box in found if box.phrase == "cat"][:9]
    if cats:
        assert set(select(cats, [f"{n + 1} from left" for n in range(len(cats))])) == set(cats)
