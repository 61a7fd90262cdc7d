"""The words that a learned instruction begins with (InstructBrush Sec. 4.2)."""

import pytest
import torch
from PIL import Image

from pentimento.errors import RequestError
from pentimento.learning.initial import Likeness, UniquePhrases, initial_words, likeness, template, unique_phrases
from pentimento.learning.settings import LearnSettings
from pentimento.values import Pair
from toy import ToyPack

PHRASES = ("cat", "tiger", "grass")


class ByColour:
    """A clip whose pictures are their mean colour and whose phrases are colours: cat red, tiger green, grass blue."""

    def embed_images(self, images):
        means = [torch.tensor(image.resize((1, 1)).getpixel((0, 0))).float() for image in images]
        return torch.nn.functional.normalize(torch.stack(means), dim=-1)

    def embed_texts(self, texts):
        return torch.eye(3)[[PHRASES.index(text) for text in texts]]


def pair(before: tuple[int, int, int], after: tuple[int, int, int]) -> Pair:
    return Pair(Image.new("RGB", (8, 8), before), Image.new("RGB", (8, 8), after))


PAIRS = [pair((200, 10, 100), (10, 200, 100)), pair((220, 0, 90), (0, 220, 90))]


def test_the_unique_phrase_of_each_set_is_the_one_that_the_other_lacks() -> None:
    alike = likeness(ByColour(), PAIRS, PHRASES)
    assert unique_phrases(alike, 3, 0.15, "relative") == UniquePhrases("cat", "tiger")
    assert unique_phrases(alike, 3, 0.15, "raw") == UniquePhrases("cat", "tiger")


def test_a_phrase_that_is_hardly_more_like_one_set_is_none() -> None:
    alike = Likeness(PHRASES, torch.tensor([0.30, 0.2, 0.1]), torch.tensor([0.28, 0.2, 0.1]))
    assert unique_phrases(alike, 3, 0.15, "relative") == UniquePhrases("", "")
    assert unique_phrases(alike, 3, 0.05, "relative") == UniquePhrases("cat", "")
    assert unique_phrases(alike, 3, 0.05, "raw") == UniquePhrases("", "")


def test_a_phrase_that_is_not_like_the_set_is_none_however_little_the_other_is() -> None:
    alike = Likeness(PHRASES, torch.tensor([0.5, 0.3, -0.001]), torch.tensor([0.1, 0.3, -0.5]))
    assert unique_phrases(alike, 3, 0.15, "relative") == UniquePhrases("cat", "")


def test_only_phrases_of_a_sets_own_caption_count() -> None:
    alike = Likeness(PHRASES, torch.tensor([0.1, 0.3, 0.2]), torch.tensor([0.0, 0.3, 0.2]))
    assert unique_phrases(alike, 2, 0.15, "relative").before == ""
    assert unique_phrases(alike, 3, 0.15, "relative").before == "cat"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [("cat", "tiger", "turn cat into tiger"), ("", "tiger", "turn it into tiger"), ("cat", "", "remove cat"),
     ("", "", "")],
)  # fmt: skip
def test_the_template_says_what_is_known(before: str, after: str, words: str) -> None:
    assert template(UniquePhrases(before, after)) == words


def test_a_caption_and_words_of_ones_own_are_other_beginnings() -> None:
    class Seeing(ToyPack):
        clip = ByColour()

    pack = Seeing(phrases=PHRASES)
    assert initial_words(pack, PAIRS, LearnSettings()) == "turn cat into tiger"
    assert initial_words(pack, PAIRS, LearnSettings(init="caption", phrases=2)) == "tiger, grass"
    assert initial_words(pack, PAIRS, LearnSettings(init="none")) == ""
    assert initial_words(pack, PAIRS, LearnSettings(instruction="make it snow")) == "make it snow"


def test_a_pack_without_phrases_asks_for_a_list() -> None:
    with pytest.raises(RequestError, match="no phrases"):
        initial_words(ToyPack(), PAIRS, LearnSettings())


def test_blank_words_are_none() -> None:
    assert LearnSettings(instruction=" ").instruction == ""
    with pytest.raises(RequestError, match="no phrases"):
        initial_words(ToyPack(), PAIRS, LearnSettings(instruction=" \t"))
