import re

import numpy as np

from pentimento.data import phrasings, vocabulary, wordlists
from pentimento.data.asking import random_asked, random_words
from pentimento.data.words import THIRTY, Asked, EditWords, composed, instruction, phrase
from pentimento.language.captions import plan_of
from pentimento.values import KINDS

FUNCTION_WORDS = frozenset(
    "a an the this that these those it its them they he she him her i me my we us you your there here all any each "
    "every both one ones some no nothing not isn't doesn't don't wouldn't and or but nor so if than as of to into onto "
    "in on at by for from with without out over off up down away upon against around about after before behind instead "
    "rather where what why how when who which while until during like too also just only even more less most much many "
    "is are was were be been being am do does did have has had having can could should would must will shall may might "
    "ought let let's i'd nobody nothing everything something someone".split()
)


def expansions(template: str) -> list[str]:
    """The template with every choice made."""
    cut = re.search(r"\[([^\]]*\|[^\]]*)\]", template)
    if not cut:
        return [template]
    return [e for one in cut[1].split("|") for e in expansions(template[: cut.start()] + one + template[cut.end() :])]


def pattern(template: str) -> tuple[str, ...]:
    """The template's slots and function words in order."""
    words = re.findall(r"\{\w+\}|[a-z']+", template.lower())
    return tuple(word for word in words if word[0] == "{" or word in FUNCTION_WORDS)


def all_of(templates: tuple[str, ...]) -> list[str]:
    return [e for template in templates for e in expansions(template.removeprefix("!"))]


def taught(kind: str) -> list[str]:
    """Every training template of a kind, the composed ones too."""
    return all_of(phrasings.TRAIN[kind] + composed(kind))


def test_every_kind_has_many_phrasings_on_both_sides() -> None:
    assert set(phrasings.TRAIN) == set(phrasings.HELD_OUT) == set(phrasings.CLAUSES) >= set(KINDS)
    for kind in KINDS:
        assert len(set(phrasings.TRAIN[kind])) >= 12, kind
        assert len(set(phrasings.HELD_OUT[kind])) >= 6, kind


def test_held_out_templates_are_no_training_templates() -> None:
    train = {t for kind in phrasings.TRAIN for t in taught(kind)}
    held_out = {t for templates in phrasings.HELD_OUT.values() for t in all_of(templates)}
    assert not train & held_out


def test_held_out_templates_share_no_pattern_of_function_words_with_training() -> None:
    for kind, templates in phrasings.HELD_OUT.items():
        train = {pattern(t): t for t in taught(kind)}
        shared = {t: train[pattern(t)] for t in all_of(templates) if pattern(t) in train}
        assert not shared, kind


def test_held_out_wrappers_joiners_and_choices_are_apart_too() -> None:
    pairs = [
        (
            phrasings.WRAPPERS + phrasings.NEUTRAL_WRAPPERS,
            phrasings.HELD_OUT_WRAPPERS + phrasings.HELD_OUT_NEUTRAL_WRAPPERS,
        ),
        (phrasings.JOINERS, phrasings.HELD_OUT_JOINERS),
        (phrasings.GAPPED, phrasings.HELD_OUT_GAPPED),
    ]
    pairs += [(phrasings.SELECTORS[w], phrasings.HELD_OUT_SELECTORS[w]) for w in phrasings.SELECTORS if w != "best"]
    for train, held_out in pairs:
        assert not set(all_of(train)) & set(all_of(held_out))


def test_an_instruction_names_everything_it_asks_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        words = random_words(rng)
        text = instruction(words, rng, held_out=rng.random() < 0.5).lower()
        if words.kind not in ("background", "weather", "time", "season", "style"):
            assert all(thing.split(" ")[0][:3] in text for thing in words.find), (words, text)


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
