"""Captions of scenes, what is wrong with a hard negative, and the phrases that captions are made of."""

import numpy as np

from pentimento.data.captions import hard_negative, vocabulary


def test_a_hard_negative_says_something_else() -> None:
    rng = np.random.default_rng(0)
    text = "photo of a red cat on the left and a blue bus on the right, on grass"
    for _ in range(20):
        wrong = hard_negative(text, rng)
        assert wrong != text and sorted(wrong.replace(",", "").split()) == sorted(text.replace(",", "").split())


def test_the_vocabulary_names_what_captions_name() -> None:
    phrases = vocabulary()
    assert len(phrases) == len(set(phrases))
    assert {"cat", "red", "golden", "at night", "in the snow", "pencil sketch", "on grass", "sunglasses"} <= set(
        phrases
    )
