import pytest

from pentimento.data import vocabulary
from pentimento.data.wordlists import open_nouns
from pentimento.language import lexicon
from pentimento.language.lexicon import article, head, is_plural, place, plural, singular


def test_every_noun_of_the_world_has_its_plural_and_comes_back() -> None:
    for noun in vocabulary.NOUNS.values():
        assert plural(noun.name) == noun.plural
        assert singular(noun.plural) == noun.name


@pytest.mark.parametrize("half", [False, True])
def test_every_open_noun_comes_back_from_its_plural(half: bool) -> None:
    wrong = [noun for noun in open_nouns(half) if singular(plural(noun)) != noun or is_plural(noun)]
    assert wrong == []


def test_plural_and_singular_leave_alone_what_is_so_already() -> None:
    assert plural("laptops") == "laptops"
    assert plural("snow") == "snow"
    assert singular("bus") == "bus"
    assert singular("glasses") == plural("glasses") == "glasses"
    assert plural("painting of a beach") == "paintings of a beach"


def test_the_head_of_a_phrase_is_its_noun() -> None:
    assert head("orange cat") == "cat"
    assert head("cat with a hat") == "cat"


def test_articles_follow_the_sound_and_the_number() -> None:
    assert article("orange cat") == "an orange cat"
    assert article("unicorn") == "a unicorn"
    assert article("hourglass") == "an hourglass"
    assert article("red buses") == "red buses"
    assert article("grass") == "grass"


def test_places_take_their_preposition() -> None:
    assert place("beach") == "on a beach"
    assert place("sea") == "at sea"
    assert place("kitchen") == "in a kitchen"


def test_the_lexicon_knows_every_closed_word_of_the_world() -> None:
    assert set(vocabulary.COLOURS) <= lexicon.COLOURS
    assert set(vocabulary.MATERIALS) <= lexicon.MATERIALS
    assert lexicon.VALUES["weather"] == vocabulary.WEATHERS
    assert lexicon.VALUES["time"] == vocabulary.TIMES
    assert lexicon.VALUES["season"] == vocabulary.SEASONS
    assert lexicon.PHRASES == {
        "weather": vocabulary.WEATHER_WORDS,
        "time": vocabulary.TIME_WORDS,
        "season": vocabulary.SEASON_WORDS,
    }
