import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import pytest

from pentimento.data import composing, held_out, phrasings, vocabulary, wordlists
from pentimento.data.asking import HOMOGRAPHS, random_asked, random_words, unheard
from pentimento.data.words import THIRTY, Asked, EditWords, instruction, phrase
from pentimento.language.captions import plan_of
from pentimento.language.groups import EDIT_KINDS
from pentimento.language.lexicon import singular


def all_of(templates: Iterable[str]) -> list[str]:
    return [e for template in templates for e in composing.expansions(template)]


@cache
def taught(kind: str) -> tuple[str, ...]:
    """Every training template of a kind, those put together too."""
    return tuple(all_of((*phrasings.TRAIN[kind], *composing.combinations(kind))))


def test_every_kind_has_many_phrasings_on_both_sides() -> None:
    assert set(phrasings.TRAIN) == set(held_out.TEMPLATES) == set(phrasings.CLAUSES) >= set(EDIT_KINDS)
    for kind in EDIT_KINDS:
        assert len(set(phrasings.TRAIN[kind])) >= 60, kind
        assert len(taught(kind)) >= 2000, kind
        assert len(set(held_out.TEMPLATES[kind])) >= 12, kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("!Please make {x} {c}.", "make {x} {c}"),
        ("i'd like the color of {x} to be {c}", "I would like a colour of {x} to be {c}!"),
        ("what's {x}?", "what is the {x}"),
    ],
)
def test_trivial_variants_of_a_template_are_the_same(one: str, other: str) -> None:
    assert composing.normal(one) == composing.normal(other)


def test_templates_that_differ_are_not_the_same() -> None:
    assert composing.normal("make {x} {c}") != composing.normal("paint {x} {c}")
    assert composing.normal("{x} to {y}") != composing.normal("{y} to {x}")


def test_no_template_stands_on_both_sides() -> None:
    train = {composing.normal(t) for kind in phrasings.TRAIN for t in taught(kind)}
    tested = {composing.normal(t) for templates in held_out.TEMPLATES.values() for t in all_of(templates)}
    assert len(train) > 40_000
    assert not train & tested


def test_no_pattern_of_function_words_stands_on_both_sides_of_a_kind() -> None:
    for kind, templates in held_out.TEMPLATES.items():
        train = {composing.pattern(t): t for t in taught(kind)}
        shared = {t: train[composing.pattern(t)] for t in all_of(templates) if composing.pattern(t) in train}
        assert not shared, kind


def test_wrappers_joiners_and_choices_are_apart_too() -> None:
    train_gaps = [link.join(halves) for halves in phrasings.GAPS for link in phrasings.GAP_LINKS]
    pairs = [
        (phrasings.WRAPPERS + phrasings.NEUTRAL_WRAPPERS, held_out.WRAPPERS + held_out.NEUTRAL_WRAPPERS),
        (phrasings.JOINERS, held_out.JOINERS),
        ((*phrasings.GAPPED, *(t for t in train_gaps if composing.apart_gapped(t))), held_out.GAPPED),
        (phrasings.LINKS, (held_out.LINK,)),
    ]
    pairs += [(phrasings.SELECTORS[w], held_out.SELECTORS[w]) for w in phrasings.SELECTORS if w != "best"]
    for train, tested in pairs:
        assert not {composing.normal(t) for t in all_of(train)} & {composing.normal(t) for t in all_of(tested)}


def test_what_is_said_in_training_is_what_may_be_said() -> None:
    rng = np.random.default_rng(2)
    for kind in phrasings.TRAIN:
        allowed = set(composing.combinations(kind))
        assert all(composing.combined(kind, rng) in allowed for _ in range(20)), kind


def test_a_verb_takes_the_form_that_its_frame_asks_for() -> None:
    forms = [composing.sentence(f, "{x}", "be {c}") for f in ("i want {s} to <do>", "what if {s} <did>?")]
    assert forms == ["i want {x} to be {c}", "what if {x} were {c}?"]
    assert composing.sentence("how about {s} <doing>?", "{y}", "replace {x}") == "how about {y} replacing {x}?"
    assert composing.sentence("imagine {s} <does>", "{x}", "vanish") == "imagine {x} vanishes"


def test_an_instruction_names_everything_it_asks_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        words = random_words(rng)
        text = instruction(words, rng, held_out=rng.random() < 0.5).lower()
        if words.kind not in ("background", "weather", "time", "season", "style"):
            assert all(thing.split(" ")[0][:2] in text for thing in words.find), (words, text)


@pytest.mark.parametrize("held", [False, True])
def test_an_action_is_said_whole_of_any_choice_and_in_many_ways(held: bool) -> None:
    rng = np.random.default_rng(6)
    asked = [EditWords("action", ("red cat",), which, "rearing up") for which in ("best", "left", "2 from right")]
    said = {instruction(words, rng, held).lower() for words in asked for _ in range(40)}
    assert len(said) > 60
    assert all("cat" in text and re.search("rear|hind", text) for text in said)
    assert not any(re.search("[\ue000-\ue0ff{}\\[\\]]", text) for text in said)


def test_spans_cover_the_words_they_name() -> None:
    rng = np.random.default_rng(1)
    made = phrase(Asked((EditWords("replace", ("orange cat",), "right", "tiger"),)), rng)
    assert {(s.role, made.text[s.start : s.end].lower()) for s in made.spans} >= {("new", "tiger")}
    assert any(
        made.text[s.start : s.end].lower() in ("orange cat", "orange cats") for s in made.spans if s.role == "find"
    )


def test_the_same_seed_asks_the_same() -> None:
    one, again = (phrase(random_asked(np.random.default_rng(9)), np.random.default_rng(4)).text for _ in range(2))
    assert one == again


def test_no_template_leaves_a_mark_or_a_slot_behind() -> None:
    for seed in range(600):
        rng = np.random.default_rng(seed)
        made = phrase(random_asked(rng, seed % 3 == 0), rng, held_out=seed % 2 == 0, careless=0.0)
        if made.asked.edits:
            assert not re.search("[\ue000-\ue0ff{}\\[\\]]", made.text), made.text


def test_the_papers_thirty_are_thirty_and_never_taught() -> None:
    assert len(THIRTY) == len({t.text for t in THIRTY}) == 30
    said = {t.text.lower() for t in THIRTY}
    templates = {t for kind in phrasings.TRAIN for t in taught(kind)}
    assert not said & templates
    for one in THIRTY:
        words = one.words
        plan = plan_of(words.kind, words.find, words.which, words.new)
        assert (plan.kind, plan.find, plan.which) == (words.kind, words.find, words.which), one.text


def test_no_test_noun_is_a_training_noun() -> None:
    train, test = (set(wordlists.open_nouns(half)) for half in (False, True))
    assert len(train | test) > 1400
    assert not train & test
    single = {word for noun in train for word in noun.split(" ")}
    assert not single & {word for noun in test for word in noun.split(" ")}
    assert not (train | test) & set(vocabulary.NOUNS)


def test_lessons_say_words_of_which_only_the_sentence_tells_what_they_are() -> None:
    rng, styles, seen = np.random.default_rng(0), {*vocabulary.STYLES, *wordlists.STYLES}, set()
    ends = set(wordlists.halves(HOMOGRAPHS, test=False))
    assert not ends & {part for noun in wordlists.open_nouns(True) for part in noun.split(" ")}
    for _ in range(600):
        asked = random_asked(rng)
        changed = unheard(asked, rng)
        if changed == asked:
            continue
        (edit,), (before,) = changed.edits, asked.edits
        assert edit.kind == before.kind and edit.which == before.which
        if edit.kind == "style":
            assert edit.new not in styles
            seen.add("style")
        elif edit.find != before.find:
            assert singular(edit.find[0]).split(" ")[-1] in ends
            assert edit.find[0].startswith(singular(before.find[0]))
            seen.add("thing")
        else:
            assert edit.kind == "add"
            seen.add("worn")
    assert seen == {"style", "thing", "worn"}
