"""Captions of scenes, what is wrong with a hard negative, and the phrases that captions are made of."""

import numpy as np

from pentimento.data.captions import hard_negative, made_wrong, phrase, vocabulary
from pentimento.data.scenes import draw_scene


def test_a_hard_negative_says_something_else_that_is_not_true() -> None:
    rng = np.random.default_rng(0)
    for seed in range(200):
        scene = draw_scene(seed)
        text, wrong = hard_negative(scene, rng)
        assert text != wrong
        other = made_wrong(scene, rng)
        shown = [[(phrase(t, s.grey), t.x) for t in s.things] for s in (scene, other)]
        assert sorted(shown[0]) != sorted(shown[1]) or (scene.time, scene.weather) != (other.time, other.weather)


def test_nothing_but_the_picture_tells_a_hard_negative_from_the_truth() -> None:
    """Both name things from left to right, with the articles that belong to them."""
    rng, told = np.random.default_rng(1), 0
    for seed in range(300):
        for text in hard_negative(draw_scene(seed), rng):
            left, right = text.find("on the left"), text.rfind("on the right")
            told += left >= 0 and right >= 0
            assert left < 0 or right < 0 or left < right, text
            assert not any(f" {wrong} " in text for wrong in ("a orange", "an red", "a indigo", "by day")), text
    assert told > 60


def test_the_vocabulary_names_what_captions_name() -> None:
    phrases = vocabulary()
    assert len(phrases) == len(set(phrases))
    assert {"cat", "red", "golden", "at night", "in the snow", "pencil sketch", "on grass", "sunglasses"} <= set(
        phrases
    )
