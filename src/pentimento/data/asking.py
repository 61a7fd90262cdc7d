"""What people might ask for: random meanings in the words of the drawn world or of the open word list.

random_asked(rng) -> Asked, which `words.phrase` puts into a sentence
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..language import lexicon
from ..language.lexicon import article, head, plural, singular
from ..values import KINDS
from . import wordlists
from .nonsense import invented, pick, random_noun
from .vocabulary import BACKGROUNDS, COLOURS, MATERIALS, PLACE_WORDS, STYLES, WEARABLES
from .words import Asked, EditWords

_MORE_COLOURS = ("grey", "gray", "turquoise", "beige", "violet", "teal", "maroon", "navy", "cyan", "magenta")
TAUGHT_KINDS = (  # the kinds with the most ways to be put come most often
    *("replace",) * 6, *("recolour",) * 4, *("material",) * 3, *("add",) * 4, *("remove",) * 4, *("resize",) * 3,
    *("move",) * 3, *("background",) * 2, "weather", "time", "season", "style",
)  # fmt: skip
OPEN = 0.6
"""The share of edits whose things are open nouns; the rest are those of the drawn world."""
UNHEARD = 0.25
"""How often `unheard` changes an edit that it can change."""
HOMOGRAPHS = tuple(
    "brush call catch change clip cover cut drill drive drop fan file guard hang hook hold iron lift light mark match "
    "mix move paint pick pin place play point post press print pull rest ride ring roll run saw seat set shade show "
    "slide stamp step stop swing switch trap trim turn view walk wash watch wrap".split()
)
"""What can end a compound, "garden swing", and reads like a verb elsewhere."""
PARTS = ("sky", "ground", "wall", "floor", "ceiling", "roof", "tie", "shirt", "face", "jacket", "wheel", "road", "lawn")
"""Things that are parts of others or of the place; people edit them like any thing."""
_BACKGROUNDS = tuple(BACKGROUNDS.values())
_MORE_MATERIALS = ("marble", "stone", "bronze", "paper", "leather", "plastic", "metal", "crystal", "ice", "brick",
                   "woollen", "steel", "velvet", "lego", "bamboo", "porcelain")  # fmt: skip
_MORE_WEARABLES = (
    "cap beanie helmet wig beard moustache tie necklace mask veil coat jacket cloak backpack badge bell collar flower "
    "umbrella medal earring wing horn tail balloon sombrero tiara ribbon shirt"
).split()
_ADJECTIVES = (
    "fat thin striped spotted shiny dirty fluffy round square long short broken empty full young sleeping sitting "
    "standing wet dry bright dark light old new"
).split()


def random_words(
    rng: np.random.Generator,
    open_nouns: bool = False,
    test: bool = False,
    kinds: Sequence[str] = KINDS,
) -> EditWords:
    """A random edit. With `open_nouns` the things are any nouns, of the training or the `test` half of the list."""
    kind = pick(rng, tuple(kinds))
    if kind == "background":
        places = wordlists.halves(tuple(wordlists.PLACES), test) if open_nouns else tuple(BACKGROUNDS.values())
        return EditWords(kind, ("background",), "best", pick(rng, places))
    if kind in ("weather", "time", "season"):
        return EditWords(kind, (), "best", pick(rng, lexicon.VALUES[kind]))
    if kind == "style":
        styles = wordlists.halves(tuple(wordlists.STYLES), test) if open_nouns and rng.random() < 0.5 else STYLES[1:]
        return EditWords(kind, (), "best", pick(rng, styles))
    which = _random_choice(rng, kind)
    find: tuple[str, ...] = (_random_phrase(rng, open_nouns, test),)
    if kind == "add" and rng.random() < 0.35:
        return EditWords(kind, (), "best", _random_phrase(rng, open_nouns, test))
    if which in ("best", "all") and kind != "move" and rng.random() < 0.12:
        other = _random_phrase(rng, open_nouns, test)
        find = find if singular(head(other)) == singular(head(find[0])) else (*find, other)
    new = _random_new(rng, kind, find, open_nouns, test)
    if which == "all":
        find = tuple(plural(thing) for thing in find)
    if kind == "replace" and which == "all":
        new = plural(new)
    return EditWords(kind, find, which, new)


def _random_choice(rng: np.random.Generator, kind: str) -> str | tuple[str, ...]:
    places = ("left", "right", "middle", "top", "bottom", "largest", "smallest", "left", "right", "largest")
    chance = rng.random()
    if chance < 0.45:
        return "best"
    if chance < 0.6:
        return "all"
    if chance < 0.85:
        return pick(rng, places)
    nth = f"{2 + int(rng.random() * 4)} from {pick(rng, ('left', 'right', 'left', 'right', 'top', 'bottom'))}"
    if chance < 0.95 or kind == "move":
        return nth
    second = pick(rng, places)
    first = pick(rng, tuple(p for p in places if p != second))
    return first, second


def _random_phrase(rng: np.random.Generator, open_nouns: bool, test: bool) -> str:
    noun = random_noun(rng, open_nouns, test)
    if open_nouns and not test and rng.random() < 0.2:
        noun = invented(rng)
    if open_nouns and not test and rng.random() < 0.15:
        noun = f"{invented(rng) if rng.random() < 0.3 else random_noun(rng, True)} {noun}"
    chance = rng.random()
    if chance < 0.2:
        return f"{pick(rng, tuple(COLOURS) + _MORE_COLOURS[:1])} {noun}"
    if chance < 0.27:
        return f"{pick(rng, MATERIALS)} {noun}"
    if chance < 0.34 and open_nouns:
        return f"{pick(rng, _ADJECTIVES)} {noun}"
    if chance < 0.37 and open_nouns:
        first = pick(rng, ("painting", "picture", "statue", "drawing", "photo", noun, noun, noun))
        return f"{first} of {article(random_noun(rng, True, test))}"
    if chance < 0.41:
        return pick(rng, PARTS)
    return noun


def _random_new(rng: np.random.Generator, kind: str, find: tuple[str, ...], open_nouns: bool, test: bool) -> str:
    if kind == "replace":
        taken = {singular(head(thing)) for thing in find}
        while True:
            new = _random_phrase(rng, open_nouns, test)
            if rng.random() < 0.06:
                new = pick(rng, wordlists.halves(tuple(wordlists.PLACES), test) if open_nouns else _BACKGROUNDS)
            if singular(head(new)) not in taken:
                return new
    if kind == "recolour":
        return pick(rng, tuple(COLOURS) + (_MORE_COLOURS if open_nouns else ()))
    if kind == "material":
        return pick(rng, MATERIALS + (_MORE_MATERIALS if open_nouns else ()))
    if kind == "add":
        worn = wordlists.halves(tuple(_MORE_WEARABLES), test) if open_nouns else WEARABLES
        new = pick(rng, worn)
        return f"{pick(rng, tuple(COLOURS))} {new}" if new != "smile" and rng.random() < 0.2 else new
    return pick(rng, lexicon.VALUES[kind]) if kind in lexicon.VALUES else ""


def random_description(words: EditWords, rng: np.random.Generator, test: bool = False) -> tuple[EditWords, str]:
    """A caption in which the edit's thing is the one that a pronoun means: the edit with it, and the pronoun.

    "it" means the first thing that is no person, "her" the first woman or girl, "him" the first other person,
    "them" the first plural.
    """
    person = rng.random() < 0.4
    several = not person and rng.random() < 0.15
    thing = pick(rng, wordlists.PEOPLE) if person else _random_phrase(rng, rng.random() < 0.5, test)
    pronoun = "her" if person and thing in wordlists.FEMALE else "him" if person else "it"
    if several:
        thing, pronoun = plural(thing), "them"
    others = []
    for _ in range(int(rng.random() * 3)):
        is_person = rng.random() < 0.3
        other = pick(rng, wordlists.PEOPLE) if is_person else _random_phrase(rng, False, test)
        if singular(head(other)) != singular(head(thing)):
            others.append((other, is_person))
    before = [o for o, is_person in others[:1] if several or _pronoun(o, is_person) != pronoun]
    after = [o for o, _ in others if o not in before]
    items = []
    for item in [*before, thing, *after]:
        named = article(item) if item != thing or not several else f"{pick(rng, ('two', 'three', 'some'))} {item}"
        where = pick(rng, (" on the left", " on the right", " in the middle", "", "", " with a hat", " in a field"))
        items.append(named + where)
    *most, last = items
    things = f"{', '.join(most)} and {last}" if most else last
    tail = [
        pick(rng, tuple(PLACE_WORDS.values())),
        pick(rng, ("", "", "at night", "at sunset")),
        pick(rng, ("", "", "in the rain", "in the snow", "in autumn")),
    ]
    lead = pick(rng, ("photo", "photo", "picture", *STYLES[1:]))
    description = ", ".join([f"{lead} of {things}", *(t for t in tail if t and rng.random() < 0.7)])
    which = "all" if several else "best"
    new = plural(words.new) if several and words.kind == "replace" else singular(words.new) if words.new else ""
    return EditWords(words.kind, (thing,), which, new, description), pronoun


def _pronoun(thing: str, is_person: bool) -> str:
    return "her" if is_person and thing in wordlists.FEMALE else "him" if is_person else "it"


def random_asked(rng: np.random.Generator, with_description: bool = False, test: bool = False) -> Asked:
    """What training instructions ask for: mostly one edit, some two or three, some nonsense; all sorts of nouns."""
    chance = rng.random()
    if with_description:
        kinds = tuple(k for k in KINDS if k in ("replace", "recolour", "material", "add", "remove", "resize", "move"))
        words = random_words(rng, rng.random() < 0.4, test, kinds if chance < 0.8 else KINDS)
        described, pronoun = random_description(words, rng, test)
        if words.find and words.kind != "background" and chance < 0.72:
            return Asked((described,), pronoun)
        return Asked((replace(words, description=described.description),))
    if chance < 0.05:
        return Asked(())
    first = random_words(rng, rng.random() < OPEN, test, TAUGHT_KINDS)
    if chance < 0.10 and first.find and first.kind != "background":
        pronoun = pick(rng, ("it", "it", "him", "her", "them"))
        return Asked((replace(first, which="all" if pronoun == "them" else "best"),), pronoun)
    if chance < 0.55:
        return Asked((first,))
    if chance < 0.62 and len(first.find) == 1 and first.kind in ("replace", "recolour", "material", "resize"):
        second = random_words(rng, False, test, ("recolour", "material", "add", "resize", "replace"))
        thing = first.new if first.kind == "replace" else first.find[0]
        if second.find and isinstance(first.which, str):
            new = second.new if second.kind != "replace" else _like(second.new, first.which)
            return Asked((first, EditWords(second.kind, (thing,), first.which, new)), shared=True)
    kinds = ("replace", "recolour", "material") if rng.random() < 0.4 else TAUGHT_KINDS
    if kinds is not TAUGHT_KINDS:
        first = random_words(rng, rng.random() < OPEN, test, kinds)
    second = random_words(rng, rng.random() < OPEN, test, kinds)
    if chance > 0.97:
        return Asked((first, second, random_words(rng, rng.random() < OPEN, test)))
    return Asked((first, second))


def unheard(asked: Asked, rng: np.random.Generator) -> Asked:
    """Now and then the same with a word for which only the sentence tells what it is: a style or a worn thing that no
    list has, a thing whose name ends like a verb. For lessons; edits that point at another, or are several, stay."""
    if len(asked.edits) != 1 or asked.pronoun or rng.random() >= UNHEARD:
        return asked
    (edit,) = asked.edits
    if edit.kind == "style":
        return Asked((replace(edit, new=invented(rng)),))
    if edit.kind == "add" and edit.find and rng.random() < 0.5:
        return Asked((replace(edit, new=random_noun(rng, open_nouns=True)),))
    if not edit.find or edit.kind == "background":
        return asked
    thing = f"{singular(edit.find[0])} {pick(rng, wordlists.halves(HOMOGRAPHS, test=False))}"
    return Asked((replace(edit, find=(plural(thing) if edit.which == "all" else thing, *edit.find[1:])),))


def _like(new: str, which: str) -> str:
    return plural(new) if which == "all" else singular(new)
