"""Places of common words: exact where captions agree, none where a word is new, and never out of range."""

from hypothesis import given
from hypothesis import strategies as st

from pentimento.language.alignment import NEW, places
from pentimento.values import Word


def words(text: str, lengths: dict[str, int] | None = None) -> tuple[Word, ...]:
    made, start = [], 1
    for word in text.split():
        stop = start + (lengths or {}).get(word, 1)
        made.append(Word(word, start, stop))
        start = stop
    return tuple(made)


def test_a_new_word_in_the_middle_moves_what_follows_it() -> None:
    found = places(words("a cat on grass"), words("a black cat on grass"), 8)
    assert found == (0, 1, NEW, 2, 3, 4, 5, 6)


def test_a_replaced_word_is_new_and_the_end_and_padding_stay_the_ends() -> None:
    assert places(words("a cat here"), words("a tiger here"), 6) == (0, 1, NEW, 3, 4, 5)
    assert places(words("a black cat"), words("a cat"), 6) == (0, 1, 3, 4, 5, NEW)


def test_words_of_several_tokens_are_taken_over_whole() -> None:
    lengths = {"giraffe": 3}
    assert places(words("a giraffe", lengths), words("one tall giraffe", lengths), 7) == (0, NEW, NEW, 2, 3, 4, 5)


def test_one_text_is_wholly_common_with_itself() -> None:
    assert places(words("a b a"), words("a b a"), 7) == tuple(range(7))
    assert places((), (), 3) == (0, 1, 2)


texts = st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join)


@given(texts, texts)
def test_only_equal_words_are_common_and_in_their_order(before: str, after: str) -> None:
    one, other = words(before), words(after)
    found = places(one, other, 9)
    assert len(found) == 9 and all(NEW <= place < 9 for place in found)
    common = [(found[w.start], w.text) for w in other if found[w.start] != NEW]
    assert all(one[place - 1].text == text for place, text in common)
    assert [place for place, _ in common] == sorted({place for place, _ in common})
