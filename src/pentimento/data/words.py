"""What an edit is called in words: meanings (`EditWords`) and the many ways people put them (`instruction`). No pixels.

    Asked -> phrase(asked, rng) -> Phrased: the text, and which of its letters name what

Texts are marked while they grow, by letters of the private-use area that no person types, and unmarked at the end.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from ..language import lexicon
from ..language.lexicon import article, head, plural, singular
from . import composing, held_out, phrasings
from .forms import FORMS, MEDIUM
from .nonsense import COMMON, ORDERS, aside, invented, nonsense, pick

COMPOSED = 0.55
"""The share of training phrasings that are put together by `composing`."""
EDITS = 3
"""At most so many edits stand in one instruction."""
_MARK, _END = 0xE000, chr(0xE0FF)
_UNMARK = re.compile("[\ue000-\ue0ff]")
ORDINALS = {2: ("second", "2nd"), 3: ("third", "3rd"), 4: ("fourth", "4th"), 5: ("fifth", "5th"), 6: ("sixth", "6th")}
_STUFF = {"golden": "gold", "wooden": "wood", "woollen": "wool"}
_VERBS = "morph craft reshape remodel mould edit fashion mutate rework refashion shape grow evolve switch bring".split()
SUBJECT_VERBS = set(
    "should must is was were are had has becomes became turned wore could would needs can ought belongs looks gets "
    "goes "
    "will does lacks".split()
)
SUBJECT_VERBS |= {
    form
    for clauses in phrasings.CLAUSES.values()
    for clause in clauses
    for form in composing.verb_forms(clause.split(" | ")[1].split(" ")[0])[:2]
} - {"put"}  # the others are told from "make him go"
SUBJECT_AFTER = frozenset("if can could wouldn't isn't doesn't why would should shouldn't may must".split())
_HE = {"him": "he", "her": "she", "them": "they", "it": "it"}
_POINTERS = {  # what people say besides the pronoun; only for training
    "it": ("this", "that", "this one", "that one", "that thing", "the thing", "this thing"),
    "them": ("these", "those", "all of them", "they all", "the things"),
    "him": ("this person", "that person", "the person", "that guy"),
    "her": ("this person", "that person", "the person", "that lady"),
}


@dataclass(frozen=True)
class EditWords:
    """One edit in words. `find` holds phrases as a person says them (plural when `which` is "all"), () for the whole
    picture; `new` is what comes, "" for a removal; `description` a caption of the picture, "" for none.
    """

    kind: str
    find: tuple[str, ...]
    which: str | tuple[str, ...]
    new: str
    description: str = ""


@dataclass(frozen=True)
class Asked:
    """What one instruction asks for: its edits (none for nonsense). With `pronoun` the first edit's thing is only
    called so; with `shared` the second edit's thing is the first one's outcome, called "it" or "them".
    """

    edits: tuple[EditWords, ...]
    pronoun: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Span:
    """Letters text[start:end] name what edit number `edit` finds (role "find") or what is new in it (role "new")."""

    start: int
    end: int
    role: str
    edit: int


@dataclass(frozen=True)
class Phrased:
    """An instruction with its answer. `pointed` are the letters of the description that a pronoun means."""

    asked: Asked
    text: str
    spans: tuple[Span, ...]
    description: str = ""
    pointed: tuple[Span, ...] = ()


@dataclass(frozen=True)
class _Speech:
    """How the current edit is being put: its number, its half of the templates, pronoun, and how careless it is."""

    edit: int
    held_out: bool
    pronoun: str = ""
    careless: float = 0.0
    slots: dict[str, str] = field(default_factory=dict)


def instruction(words: EditWords, rng: np.random.Generator, held_out: bool = False, pronoun: str = "") -> str:
    """The edit as a person might ask for it. Held-out phrasings share no template with the others."""
    return phrase(Asked((words,), pronoun), rng, held_out).text


def phrase(asked: Asked, rng: np.random.Generator, held_out: bool = False, careless: float = 0.0) -> Phrased:
    """The instruction for all of its edits, and where in it everything stands.

    `careless` is the chance that a word of the template comes out as some other word, for training alone: so a
    planner cannot lean on any single word.
    """
    if not asked.edits:
        return Phrased(asked, nonsense(rng), ())
    marked = _joined(asked, rng, held_out, careless)
    if careless:
        marked = _surrounded(marked, rng)
    text, spans = _unmark(_dressed(marked, rng, held_out))
    if asked.shared:
        role = "new" if asked.edits[0].kind == "replace" else "find"
        spans += tuple(Span(s.start, s.end, "find", 1) for s in spans if s.edit == 0 and s.role == role)
    description = asked.edits[0].description
    pointed = _pointed(asked, description) if asked.pronoun and description else ()
    return Phrased(asked, text, spans, description, pointed)


def _pointed(asked: Asked, description: str) -> tuple[Span, ...]:
    found = (re.search(rf"\b{re.escape(thing)}\b", description) for thing in asked.edits[0].find)
    return tuple(Span(m.start(), m.end(), "find", 0) for m in found if m)


@cache
def _parts(template: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """("text", (...,)), ("either", options) and ("slot", (name, the word before, the word after)) in order."""
    pieces = [p for p in re.split(r"(\{\w+\}|\[[^\]]*\])", template.removeprefix("!")) if p]
    parts: list[tuple[str, tuple[str, ...]]] = []
    for i, piece in enumerate(pieces):
        if piece[0] == "{":
            following = re.match(r"\s*([a-z]+)", "".join(pieces[i + 1 : i + 2]).strip("[]"))
            preceding = re.search(r"([a-z']+)\s*$", "".join(pieces[max(0, i - 1) : i]).strip("[]"))
            neighbours = (preceding[1] if preceding else "", following[1] if following else "")
            parts.append(("slot", (piece[1:-1], *neighbours)))
        elif piece[0] == "[" and "|" in piece:
            parts.append(("either", tuple(piece[1:-1].split("|"))))
        else:
            parts.append(("text", (piece,)))
    return tuple(parts)


def _joined(asked: Asked, rng: np.random.Generator, tested: bool, careless: float) -> str:
    edits = asked.edits
    same_verb = {"replace", "recolour", "material"}
    if len(edits) == 2 and not (asked.pronoun or asked.shared) and {e.kind for e in edits} <= same_verb:
        if rng.random() < 0.5:
            template = pick(rng, held_out.GAPPED) if tested else composing.gapped(rng)
            first, second = (_Speech(i, tested, careless=careless) for i in (0, 1))
            slots = {
                "x": _things(edits[0], rng, first),
                "o": _outcome(edits[0], rng, first),
                "x2": _things(edits[1], rng, second),
                "o2": _outcome(edits[1], rng, second),
            }
            return _filled(template, edits[0], rng, replace(first, slots=slots)) or ""
    clauses = []
    for i, words in enumerate(edits):
        pronoun = asked.pronoun if i == 0 else ""
        if asked.shared and i == 1:
            pronoun = "them" if edits[0].which == "all" else "it"
        clauses.append(_clause(words, rng, _Speech(i, tested, pronoun, careless), imperative=len(edits) > 1))
    text = clauses[0]
    for clause in clauses[1:]:
        joiner = pick(rng, held_out.JOINERS if tested else phrasings.JOINERS)
        text = joiner.replace("{a}", text.rstrip("?!.")).replace("{b}", clause)
    return text


def _group(words: EditWords) -> str:
    if words.kind == "add" and not words.find:
        return "add alone"
    return "add smile" if words.kind == "add" and words.new == "smile" else words.kind


def _clause(words: EditWords, rng: np.random.Generator, speech: _Speech, imperative: bool) -> str:
    """One edit with a wrapper around it; `imperative` prefers orders, as joined sentences do."""
    group = _group(words)
    put_together = not speech.held_out and rng.random() < COMPOSED * (0.6 if imperative else 1)
    for attempt in range(90):
        if put_together and attempt < 30:
            template = composing.combined(group, rng)
        else:
            template = pick(rng, (held_out.TEMPLATES if speech.held_out else phrasings.TRAIN)[group])
        if imperative and template[0] != "!" and attempt < 4 and not put_together:
            continue
        text = _filled(template, words, rng, speech)
        if text is not None:
            break
    else:
        raise AssertionError(f"no template can say {words}")
    chance = rng.random()
    if template[0] == "!" and chance < 0.35 and speech.edit == 0:
        text = _wrapped(text, held_out.WRAPPERS if speech.held_out else phrasings.WRAPPERS, rng)
        chance = rng.random() if not speech.held_out else 0.0
    if chance > (0.93 if speech.held_out else 0.8):
        text = _wrapped(text, held_out.NEUTRAL_WRAPPERS if speech.held_out else phrasings.NEUTRAL_WRAPPERS, rng)
    return text


def _wrapped(text: str, wrappers: tuple[str, ...], rng: np.random.Generator) -> str:
    wrapper = "".join(
        pick(rng, options) if role == "either" else _written(role, options)
        for role, options in _parts(pick(rng, wrappers))
    )
    return wrapper.replace("{i}", text.rstrip("?."))


def _written(role: str, options: tuple[str, ...]) -> str:
    return "{" + options[0] + "}" if role == "slot" else options[0]


def _filled(template: str, words: EditWords, rng: np.random.Generator, speech: _Speech) -> str | None:
    """The template with its slots filled, None when this edit has no such form."""
    out = []
    for role, options in _parts(template):
        if role == "slot":
            said = speech.slots.get(options[0]) or _slot(options[0], _is_subject(options), words, rng, speech)
            if said is None:
                return None
            out.append(said)
        else:
            said = pick(rng, options) if role == "either" else options[0]
            out.append(_carelessly(said, rng, speech.careless) if speech.careless else said)
    return "".join(out)


def _is_subject(slot: tuple[str, ...]) -> bool:
    return slot[1] in SUBJECT_AFTER or (slot[2] in SUBJECT_VERBS and slot[1] not in ("let", "make", "have", "see"))


def _slot(name: str, subject: bool, words: EditWords, rng: np.random.Generator, speech: _Speech) -> str | None:
    if name == "x":
        return _things(words, rng, speech, subject)
    if name == "n":
        plain = len(words.find) == 1 and not speech.pronoun and words.which in ("best", "all")
        return _marked(words.find[0], "find", speech) if plain else None
    if name == "y":
        if words.new == "smile":
            return _marked("smile", "new", speech, "a ")
        return _new(words, rng, speech)
    if name in ("c", "b", "yn"):
        return _marked(words.new, "new", speech)
    if name == "m":
        return _marked(_STUFF.get(words.new, words.new), "new", speech)
    if name in ("cx", "one"):
        if len(words.find) != 1 or speech.pronoun:
            return None
        noun = "one" if name == "one" else head(words.find[0])
        noun = plural(noun) if words.which == "all" else noun
        first = "" if lexicon.is_plural(noun) else article(words.new + " x").split(" ")[0] + " "
        return f"{_marked(words.new, 'new', speech, first)} {noun}"
    if name == "medium":
        return _marked(pick(rng, MEDIUM[words.new]), "new", speech) if words.new in MEDIUM else None
    if name == "v":
        return pick(rng, _VERBS) if rng.random() < 0.6 else invented(rng)
    options = FORMS[words.kind, words.new].get(name)
    return pick(rng, options) if options else None


def _outcome(words: EditWords, rng: np.random.Generator, speech: _Speech) -> str:
    return _new(words, rng, speech) if words.kind == "replace" else _marked(words.new, "new", speech)


def _new(words: EditWords, rng: np.random.Generator, speech: _Speech) -> str:
    """What is new, with its article; for "all" in the plural mostly."""
    new = words.new
    if words.which == "all" and words.kind == "replace":
        new = plural(new) if rng.random() < 0.85 else singular(new)
    first = article(new)[: -len(new)] if new else ""
    if lexicon.is_plural(new) and rng.random() < 0.15 and not speech.held_out:
        first = "some "
    if words.kind == "background" and rng.random() < 0.15:
        first = "the "
    return _marked(new, "new", speech, first)


def _marked(text: str, role: str, speech: _Speech, before: str = "") -> str:
    return f"{before}{chr(_MARK + 2 * speech.edit + (role == 'new'))}{text}{_END}"


def _things(words: EditWords, rng: np.random.Generator, speech: _Speech, subject: bool = False) -> str:
    """What is edited, as a noun phrase with article and choice, or the pronoun for it."""
    if speech.pronoun:
        if not speech.held_out and rng.random() < 0.15:
            return pick(rng, _POINTERS[speech.pronoun])
        return _HE.get(speech.pronoun, speech.pronoun) if subject else speech.pronoun
    if not isinstance(words.which, str):
        return _several_choices(words, rng, speech)
    first, *more = [_thing(thing, words.which, rng, speech) for thing in words.find]
    for other in more:
        first = f"{first} and {other.removeprefix('the ') if rng.random() < 0.4 else other}"
    return first


def _thing(thing: str, which: str, rng: np.random.Generator, speech: _Speech) -> str:
    nth = re.fullmatch(r"(\d) from (\w+)", which)
    table = held_out.SELECTORS if speech.held_out else phrasings.SELECTORS
    template = pick(rng, table["nth" if nth else which])
    slots = {"n": _marked(singular(thing), "find", speech), "p": _marked(plural(thing), "find", speech)}
    if nth:
        slots |= {"d": nth[2], "o": pick(rng, ORDINALS[int(nth[1])]), "k": nth[1]}
    if which == "all" and lexicon.is_plural(singular(thing)):
        slots["n"] = slots["p"]
    out = []
    for role, options in _parts(template):
        out.append(slots[options[0]] if role == "slot" else pick(rng, options))
    return "".join(out)


def _several_choices(words: EditWords, rng: np.random.Generator, speech: _Speech) -> str:
    """ "the cat on the left and the one on the right"."""
    thing, link = words.find[0], held_out.LINK if speech.held_out else pick(rng, phrasings.LINKS)
    parts = [_thing(thing, one, rng, speech) for one in words.which]
    if rng.random() < 0.6:
        mark = re.compile("[\ue000-\ue0fe][^\ue0ff]*\ue0ff")
        parts[1:] = [mark.sub(lambda m: "ones" if plural(thing) in m[0] else "one", part) for part in parts[1:]]
    return link.join(parts)


def _surrounded(text: str, rng: np.random.Generator) -> str:
    """The text with an aside before or behind it, or with an order that is meant for no one."""
    chance = rng.random()
    if chance < 0.2:
        return f"{aside(rng)}{pick(rng, (' ', ' ', ', ', ': '))}{text}"
    if chance < 0.3:
        return f"{aside(rng)} {aside(rng)} {text}"
    if chance < 0.45:
        return f"{text.rstrip('?!.')}{pick(rng, (' ', ' ', ', '))}{aside(rng)}"
    if chance < 0.5:
        order = pick(rng, ORDERS)
        return f"{text}. {order}" if chance < 0.48 else f"{order}. {text}"
    return text


def _carelessly(text: str, rng: np.random.Generator, chance: float) -> str:
    """The text with asides put in and some words misspelt or taken for others, each with this chance a word."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if word and rng.random() < chance:
            fate = rng.random()
            if fate < 0.55:
                words[i] = f"{word} {aside(rng)}"
            elif fate < 0.7 and len(word) > 3 and word.isalpha():
                cut = int(rng.random() * (len(word) - 1))
                words[i] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
            elif fate < 0.85 and word.isalpha():
                cut = int(rng.random() * len(word))
                words[i] = word[:cut] + word[cut + 1 :] if len(word) > 3 else ""
            elif word.isalpha() and fate > 0.85:
                words[i] = invented(rng) if rng.random() < 0.3 else pick(rng, COMMON)
    return " ".join(words)  # an empty word leaves two blanks behind, as quick typing does


def _dressed(text: str, rng: np.random.Generator, held_out: bool) -> str:
    """Capitals and end marks as people set them."""
    chance = rng.random()
    if chance < 0.55:
        at = 1 if _UNMARK.match(text) else 0
        text = text[:at] + text[at : at + 1].upper() + text[at + 1 :]
    elif chance < 0.57:
        text = text.upper()
    chance = rng.random()
    if text.endswith("?") and chance < 0.3:
        text = text[:-1]
    elif text[-1:] not in "?!." and chance < 0.4:
        text += "." if chance < 0.32 else "!"
    return text


def _unmark(marked: str) -> tuple[str, tuple[Span, ...]]:
    """The plain text and its spans."""
    text, spans, open_at = "", [], None
    last = 0
    for match in _UNMARK.finditer(marked):
        text += marked[last : match.start()]
        last = match.end()
        code = ord(match[0]) - _MARK
        if match[0] == _END:
            assert open_at is not None
            start, opened = open_at
            spans.append(Span(start, len(text), "new" if opened % 2 else "find", opened // 2))
        else:
            open_at = (len(text), code)
    return text + marked[last:], tuple(spans)


@dataclass(frozen=True)
class Thirty:
    """One of the paper's thirty instructions (Fig. 4, 12, 13), with the answer that a person wrote."""

    text: str
    words: EditWords


def _thirty(text: str, kind: str, find: str, which: str, new: str) -> Thirty:
    return Thirty(text, EditWords(kind, tuple(find.split(" & ")), which, new))


THIRTY: tuple[Thirty, ...] = (
    _thirty(
        "Change the garage door and main door to a chocolate bar",
        "replace",
        "garage door & main door",
        "best",
        "chocolate bar",
    ),
    _thirty("Change the tie color to red", "recolour", "tie", "best", "red"),
    _thirty("Change the cat on the right to a tiger", "replace", "cat", "right", "tiger"),
    _thirty("Change the orange cat to a tiger", "replace", "orange cat", "best", "tiger"),
    _thirty("Change the green buses to yellow buses", "recolour", "green buses", "all", "yellow"),
    _thirty("Change the middle bus to a truck", "replace", "bus", "middle", "truck"),
    _thirty("Change the carrot slices to fries", "replace", "carrot slices", "all", "fries"),
    _thirty("Change the sofa to a bench", "replace", "sofa", "best", "bench"),
    _thirty("Change the windows to a painting of pikachu", "replace", "windows", "all", "painting of pikachu"),
    _thirty("Change all the laptops to newspapers", "replace", "laptops", "all", "newspapers"),
    _thirty("Change the bigger cat to a lion", "replace", "cat", "largest", "lion"),
    _thirty("Change the horse to a zebra", "replace", "horse", "best", "zebra"),
    _thirty("Turn the white hairs into brown", "recolour", "white hairs", "all", "brown"),
    _thirty("Color the white scarf pink", "recolour", "white scarf", "best", "pink"),
    _thirty("Color the lips purple", "recolour", "lips", "all", "purple"),
    _thirty("Turn the glasses into sunglasses", "replace", "glasses", "best", "sunglasses"),
    _thirty("What if the chocolate cake is made of strawberry", "material", "chocolate cake", "best", "strawberry"),
    _thirty("Change the mashed potatoes to noodles", "replace", "mashed potatoes", "all", "noodles"),
    _thirty("Change the strawberries to shrimp", "replace", "strawberries", "all", "shrimp"),
    _thirty("Replace the oranges with apples", "replace", "oranges", "all", "apples"),
    _thirty("The bench should look like a sofa", "replace", "bench", "best", "sofa"),
    _thirty("Make all the vases wooden", "material", "vases", "all", "wooden"),
    _thirty("Turn the clock into a curtain", "replace", "clock", "best", "curtain"),
    _thirty("Make the flowers red", "recolour", "flowers", "all", "red"),
    _thirty("Turn the painting into a beach", "replace", "painting", "best", "beach"),
    _thirty("Turn the cupboards into bookshelves", "replace", "cupboards", "all", "bookshelves"),
    _thirty("Change the ceiling to a starry night sky", "replace", "ceiling", "best", "starry night sky"),
    _thirty("Make the vase golden", "material", "vase", "best", "golden"),
    _thirty("Change the wall to a forest", "replace", "wall", "best", "forest"),
    _thirty("Replace the green jacket with a silver one", "material", "green jacket", "best", "silver"),
)
