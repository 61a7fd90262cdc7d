"""From what an instruction means to the canonical plan: phrases to find, and the captions before and after.

One function, `plan_of`, serves the drawn world (which knows what it edits), the trained planner and the rules, so
equal meanings get equal captions (InstructEdit Sec. 3.2: segmentation prompt q, input caption c_i, edited c_e).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from ..errors import PlanError
from ..values import NTH, Kind, Plan
from . import lexicon
from .lexicon import article, head, is_plural, plural, singular

NEEDS_FIND = frozenset({"replace", "recolour", "material", "remove", "resize", "move"})
NEEDS_NEW = frozenset(
    {"replace", "recolour", "material", "add", "resize", "move", "background", "weather", "time", "season", "style"}
)
WHOLE_PICTURE = frozenset({"weather", "time", "season", "style"})
_AMBIGUOUS_COLOURS = frozenset({"orange", "olive", "lavender", "violet", "rainbow", "ginger", "navy", "tan", "lilac"})
_PURE_MATERIALS = frozenset({"golden", "wooden", "woollen", "icy", "velvety", "knitted"})
_LOOSE = re.compile(
    r"^(?:all of the|each of the|all the|all|every single|every|each|both|any|some|the|an|a|this|that|these|those|my|"
    r"your|his|her|its|their|our|of)\s+(?=\S)"
)
_POSITION = re.compile(
    r" (?:on the (?:far )?(?:left|right|top|bottom)|to the (?:left|right)|in the (?:middle|center|centre)|"
    r"at the (?:top|bottom|left|right))(?: side)?\b"
)
_ITEM = re.compile(
    r"^(?:(?P<det>a|an|the|some|one|two|three|four|five|several|many)\s+)?(?P<thing>.+?)"
    r"(?P<rest>\s(?:on|in|at|with|wearing|next|to|near|under|behind|above|below|beside)\b.*)?$"
)

_LOOKS = lexicon.COLOURS | lexicon.MATERIALS
_BEFORE_A_BACKDROP = re.compile(rf"(?<=\S) (?:on|in|at)(?: an?| the)? (?:{'|'.join(sorted(lexicon.BACKDROPS))})$")


@dataclass(frozen=True)
class Meaning:
    """What one edit asks for, in canonical words; see `meaning_of`."""

    kind: str
    find: tuple[str, ...]
    which: str | tuple[str, ...]
    new: str


@dataclass(frozen=True)
class _Item:
    """One thing of a description: "a red cat" + " on the left"."""

    det: str
    thing: str
    rest: str


def plan_of(
    kind: str, find: Sequence[str], which: str | Sequence[str] = "best", new: str = "", description: str = ""
) -> Plan:
    """The canonical plan of one edit, with both captions (InstructEdit Sec. 3.2).

    `find` and `new` may still carry articles, British or American spelling and either number. With a
    `description` that names the thing, the captions are the description itself and its changed copy.

    Raises:
        PlanError: what the kind needs is missing (nothing to find, nothing new).
    """
    meaning = meaning_of(kind, find, which, new)
    description = " ".join(description.split()).rstrip(".")
    captions = _described(meaning, description) if description else None
    before, after = captions or _short(meaning)
    return Plan(
        find=meaning.find,
        which=meaning.which,
        before=before,
        after=after,
        kind=cast(Kind, meaning.kind),
        description=description,
    )


def meaning_of(kind: str, find: Sequence[str], which: str | Sequence[str], new: str) -> Meaning:
    """The same edit in canonical words: one spelling, no articles, plural phrases exactly when all are meant.

    "green buses" -> "yellow buses" is a recolouring to "yellow"; "1 from left" is "left".
    Raises PlanError when the kind lacks what it needs.
    """
    choice = _choice(which)
    phrases = tuple(dict.fromkeys(p for p in (tidy(phrase) for phrase in find) if p))
    new = tidy(new)
    if kind == "background":
        phrases, choice = ("background",), "best"
    elif kind in WHOLE_PICTURE:
        phrases = ()
    if not phrases:
        choice = "best"
    if choice == "best" and phrases and all(_several(p) for p in phrases):
        choice = "all"  # "the cats" are all of them
    if kind in NEEDS_FIND and not phrases:
        raise PlanError(f"cannot tell what to {kind}: name the thing as it is called in the picture")
    if kind in NEEDS_NEW and not new:
        raise PlanError(f"cannot tell what is wanted instead ({kind}): say it, for example 'make the cat a tiger'")
    if kind == "replace":
        kind, new = _recoloured(phrases, new)
    if kind in ("recolour", "material") and _several(new) and new not in lexicon.MATERIAL_NOUNS:
        kind = "replace"
    if kind in ("recolour", "material"):
        new = _look_of(phrases, new) or new
        new = lexicon.MATERIAL_NOUNS.get(new, new)
        kind = "material" if new in lexicon.MATERIALS else "recolour" if new in lexicon.COLOURS else kind
    if kind == "style":
        new = lexicon.STYLE_NAMES.get(new, new)
    if kind == "resize":
        new = "big" if new in lexicon.BIG else "small"
    if choice == "all":
        phrases = tuple(plural(p) for p in phrases)
        new = plural(new) if kind == "replace" else new
    else:
        phrases = tuple(singular(p) for p in phrases)
    return Meaning(kind, tuple(dict.fromkeys(phrases)), choice, "" if kind == "remove" else new)


def tidy(phrase: str) -> str:
    """A phrase in lower case without articles, quantifiers, quotes and end marks, in one spelling."""
    phrase = " ".join(phrase.lower().strip(" \t\n.,;:!?\"'`").split())
    while shorter := _LOOSE.sub("", phrase, count=1):
        if shorter == phrase:
            break
        phrase = shorter
    return " ".join(lexicon.SPELLINGS.get(word, word) for word in phrase.split(" "))


def _several(phrase: str) -> bool:
    return is_plural(phrase) and head(phrase) not in lexicon.PLURAL_ONLY


def _choice(which: str | Sequence[str]) -> str | tuple[str, ...]:
    if isinstance(which, str):
        nth = NTH.fullmatch(which)
        return nth[2] if nth and nth[1] == "1" else which
    several = tuple(dict.fromkeys(str(_choice(one)) for one in which))
    return several[0] if len(several) == 1 else several or "best"


def _recoloured(phrases: tuple[str, ...], new: str) -> tuple[str, str]:
    """A replacement by the same thing in another colour or material is a recolouring; else the replacement itself."""
    same = _look_of(phrases, new)
    looks = same or new
    sure = bool(same) or looks not in _AMBIGUOUS_COLOURS
    if looks in lexicon.COLOURS and sure:
        return "recolour", looks
    if looks in (lexicon.MATERIALS if same else _PURE_MATERIALS):
        return "material", looks
    return "replace", new


def _look_of(phrases: tuple[str, ...], new: str) -> str:
    """What is said of the same thing: "black" of "black cat" for a cat, or of "black one"; "" of anything else."""
    look, _, noun = new.rpartition(" ")
    return look if noun in ("one", "ones") or singular(noun) == singular(head(phrases[0])) else ""


def _bare(phrase: str, adjectives: frozenset[str]) -> str:
    """The phrase without leading adjectives of these ("black and white"); a single word stays."""
    first, _, rest = phrase.partition(" ")
    if not rest or first not in adjectives:
        return phrase
    after_and = rest.removeprefix("and ")
    return _bare(after_and if after_and.partition(" ")[0] in adjectives else rest, adjectives)


def _change(meaning: Meaning) -> Callable[[str], str]:
    """How the phrase of the found thing changes, articles not yet included."""
    new = meaning.new
    if meaning.kind == "replace":
        return lambda thing: _like(thing, new)
    if meaning.kind in ("recolour", "material"):
        return lambda thing: f"{new} {_bare(thing, _LOOKS)}"
    if meaning.kind == "resize":
        return lambda thing: f"{new} {_bare(thing, lexicon.SIZES)}"
    return lambda thing: thing


def _suffix(meaning: Meaning) -> str:
    """What the caption after says behind the thing."""
    return {"add": f" with {article(meaning.new)}", "move": f" {meaning.new}"}.get(meaning.kind, "")


def _like(thing: str, new: str) -> str:
    """`new` in the number of `thing`."""
    return plural(new) if _several(thing) else new


def _short(meaning: Meaning) -> tuple[str, str]:
    """The captions without a description: "photo of a cat", "photo of a tiger"."""
    new = meaning.new
    if meaning.kind == "style":
        return "photo", new
    if meaning.kind in lexicon.PHRASES:
        return "photo", f"photo {lexicon.PHRASES[meaning.kind].get(new, f'in {new}')}"
    if meaning.kind == "background":
        return "photo of the background", f"photo of {article(new)}"
    if not meaning.find:
        return "photo", f"photo of {article(new)}"
    before = "photo of " + " and ".join(article(thing) for thing in meaning.find)
    if meaning.kind == "remove":
        return before, "photo of the background"
    if meaning.kind == "replace":
        return before, f"photo of {article(new)}"
    change = _change(meaning)
    things = " and ".join(article(change(thing)) for thing in meaning.find)
    return before, f"photo of {things}{_suffix(meaning)}"


def _described(meaning: Meaning, description: str) -> tuple[str, str] | None:
    """The description and its changed copy, None when the description does not name the thing."""
    if meaning.kind == "style":
        _, _, rest = description.partition(" of ")
        return description, f"{meaning.new} of {rest or description}"
    lead, of, rest = description.partition(" of ")
    if not of:
        lead, rest = "photo", description
    segments = rest.split(", ")
    cut = next((i for i, s in enumerate(segments) if i and re.match(r"(on|in|at|by|during|under)\b", s)), len(segments))
    items, tail = [item for segment in segments[:cut] for item in _items(segment)], segments[cut:]
    if meaning.kind in lexicon.PHRASES:
        phrases = lexicon.PHRASES[meaning.kind]
        kept = [s for s in tail if s not in phrases.values()]
        items[-1] = re.sub(rf"(?<=\S) (?:{'|'.join(phrases.values())})$", "", items[-1])
        return description, _joined(lead, items, [*kept, phrases.get(meaning.new, f"in {meaning.new}")])
    if meaning.kind == "background":
        other = {phrase for phrases in lexicon.PHRASES.values() for phrase in phrases.values()}
        kept = [s for s in tail if s in other]
        items[-1] = _BEFORE_A_BACKDROP.sub("", items[-1])
        return description, _joined(lead, items, [lexicon.place(meaning.new), *kept])
    if not meaning.find:
        return description, _joined(lead, [*items, article(meaning.new)], tail)
    parsed = [_parsed(item) for item in items]
    chosen = {i for phrase in meaning.find for i in _chosen(parsed, phrase, meaning.which)}
    if not chosen:
        return _replaced(meaning, description)
    if meaning.kind == "remove":
        left = [item for i, item in enumerate(items) if i not in chosen]
        return description, _joined(lead, left or ["the background"], tail)
    return description, _joined(
        lead, [_changed(meaning, parsed[i]) if i in chosen else item for i, item in enumerate(items)], tail
    )


def _items(segment: str) -> list[str]:
    """The things that "and" stands between, but "a black and white dog" is one."""
    items = list[str]()
    for said in re.split(r" and (?=\S)", segment):
        if items and not _parsed(said).det and all(word in _LOOKS for word in tidy(items[-1]).split()):
            items[-1] += f" and {said}"
        else:
            items.append(said)
    return items


def _joined(lead: str, items: list[str], tail: list[str]) -> str:
    *most, last = items
    things = f"{', '.join(most)} and {last}" if most else last
    return ", ".join([f"{lead} of {things}", *tail])


def _parsed(item: str) -> _Item:
    match = _ITEM.match(item)
    assert match is not None  # `thing` takes any text
    return _Item(match["det"] or "", match["thing"], match["rest"] or "")


def _chosen(items: list[_Item], phrase: str, which: str | tuple[str, ...]) -> list[int]:
    """The indices of the items that the phrase means; exact phrases go before equal nouns."""
    one = singular(phrase)
    exact = [i for i, item in enumerate(items) if singular(item.thing) == one]
    ends = [i for i, item in enumerate(items) if singular(item.thing).endswith(" " + one)]
    nouns = [i for i, item in enumerate(items) if singular(head(item.thing)) == singular(head(phrase))]
    plain = [i for i, item in enumerate(items) if not re.search(r"\b(a|an|the)\b", item.thing)]
    fitting = [i for i in sorted({*exact, *ends}) or nouns if i in plain]
    if not fitting or which == "all":
        return fitting
    if not isinstance(which, str):
        return sorted({i for choice in which for i in _chosen(items, phrase, choice)})
    nth = NTH.fullmatch(which)
    if nth and nth[2] in ("left", "right", "top", "bottom"):
        order = fitting if nth[2] in ("left", "top") else fitting[::-1]
        return order[int(nth[1]) - 1 : int(nth[1])] or fitting[:1]
    word = {"largest": "big", "smallest": "small"}.get(which, which)
    said = [i for i in fitting if re.search(rf"\b{word}\b", f"{items[i].thing} {items[i].rest}")]
    return (said or fitting)[:1]


def _changed(meaning: Meaning, item: _Item) -> str:
    several = _several(item.thing)
    thing = _change(meaning)(item.thing)
    if meaning.kind == "replace" and not several and meaning.which == "all":
        thing = singular(thing)
    rest = _POSITION.sub("", item.rest) if meaning.kind == "move" else item.rest
    named = article(thing) if item.det in ("", "a", "an") else f"{item.det} {thing}"
    place = None if meaning.kind == "move" else _POSITION.search(rest)
    if place:  # "a cat with a hat on the left"
        return f"{named}{rest[: place.start()]}{_suffix(meaning)}{rest[place.start() :]}"
    return f"{named}{rest}{_suffix(meaning)}"


def _replaced(meaning: Meaning, description: str) -> tuple[str, str] | None:
    """The change inside free text ("a man riding a horse"), None when the words are not there."""
    if meaning.kind == "remove":
        return None
    after = description
    for phrase in meaning.find:
        for words in (phrase, singular(phrase)):
            if re.search(rf"\b{re.escape(words)}\b", after):
                thing = article(_change(meaning)(words)) + _suffix(meaning)
                thing = thing.replace("\\", "")  # no escape for `sub`
                after = re.sub(rf"\b(?:(?:a|an)\s+)?{re.escape(words)}\b", thing, after, count=1)
                break
    return (description, after) if after != description else None
