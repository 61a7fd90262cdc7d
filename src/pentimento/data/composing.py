"""Templates taken apart and put together: what two of them share, and sentences made of a frame and a clause.

A clause is a subject with a bare predicate ("{x}", "be {c}"); a frame asks for it in some form of its verb:
"i want {s} to <do>", "what if {s} <did>?", "how about {s} <doing>?", "imagine {s} <does>". Besides, what is to be seen
in the end stands in a frame ("show me {r}"), and a remark follows a topic ("you see {x}? make it {c}").
"""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np

from . import held_out, phrasings
from .nonsense import pick

FUNCTION_WORDS = frozenset(
    "a an the this that these those it its them they he she him her i me my we us you your there here all any each "
    "every both one ones some no nothing not isn't doesn't don't wouldn't and or but nor so if than as of to into onto "
    "in on at by for from with without out over off up down away upon against around about after before behind instead "
    "rather where what why how when who which while until during like too also just only even more less most much many "
    "is are was were be been being am do does did have has had having can could should would must will shall may might "
    "ought let let's i'd nobody nothing everything something someone".split()
)
_POLITE = frozenset("a an the please kindly just simply".split())
_SAME = {"color": "colour", "recolor": "recolour", "center": "centre", "photo": "picture", "image": "picture",
         "i'd": "i would", "it'd": "it would", "it's": "it is", "don't": "do not", "isn't": "is not",
         "that's": "that is", "what's": "what is", "let's": "let us", "i'm": "i am", "i'll": "i will",
         "doesn't": "does not", "can't": "cannot", "he's": "he is", "there's": "there is"}  # fmt: skip
_VERBS = {  # third person, past, -ing, where the rules below do not make them
    "be": ("is", "were", "being"), "have": ("has", "had", "having"), "go": ("goes", "went", "going"),
    "get": ("gets", "got", "getting"), "become": ("becomes", "became", "becoming"), "come": ("comes", "came", "coming"),
    "wear": ("wears", "wore", "wearing"), "stand": ("stands", "stood", "standing"), "sit": ("sits", "sat", "sitting"),
    "grow": ("grows", "grew", "growing"), "shrink": ("shrinks", "shrank", "shrinking"),
    "take": ("takes", "took", "taking"), "give": ("gives", "gave", "giving"), "lie": ("lies", "lay", "lying"),
    "leave": ("leaves", "left", "leaving"), "swap": ("swaps", "swapped", "swapping"),
    "carry": ("carries", "carried", "carrying"), "show": ("shows", "showed", "showing"),
    "put": ("puts", "put", "putting"), "make": ("makes", "made", "making"), "lose": ("loses", "lost", "losing"),
    "break": ("breaks", "broke", "breaking"), "find": ("finds", "found", "finding"),
    "feel": ("feels", "felt", "feeling"), "vanish": ("vanishes", "vanished", "vanishing"),
    "bear": ("bears", "bore", "bearing"), "begin": ("begins", "began", "beginning"),
    "hang": ("hangs", "hung", "hanging"), "hold": ("holds", "held", "holding"), "keep": ("keeps", "kept", "keeping"),
    "occupy": ("occupies", "occupied", "occupying"), "pop": ("pops", "popped", "popping"),
    "see": ("sees", "saw", "seeing"), "shine": ("shines", "shone", "shining"), "slide": ("slides", "slid", "sliding"),
    "step": ("steps", "stepped", "stepping"), "stop": ("stops", "stopped", "stopping"),
    "try": ("tries", "tried", "trying"),
}  # fmt: skip


def expansions(template: str) -> list[str]:
    """The template with every choice made, without its mark for an order."""
    cut = re.search(r"\[([^\]]*\|[^\]]*)\]", template)
    if not cut:
        return [template.removeprefix("!")]
    return [e for one in cut[1].split("|") for e in expansions(template[: cut.start()] + one + template[cut.end() :])]


def normal(template: str) -> tuple[str, ...]:
    """The words and slots of a template without choices: no articles, polite words, marks or second spellings."""
    words = re.findall(r"\{\w+\}|[a-z0-9'-]+|->|=>|→|:", template.lower())
    return tuple(w for word in words if word not in _POLITE for w in _SAME.get(word, word).split(" "))


def pattern(template: str) -> tuple[str, ...]:
    """The slots and function words of a template without choices, in order."""
    words = re.findall(r"\{\w+\}|[a-z']+", template.lower())
    return tuple(word for word in words if word[0] == "{" or word in FUNCTION_WORDS)


@cache
def verb_forms(verb: str) -> tuple[str, str, str]:
    """Third person, past and -ing of a verb; "be" is "were" as in "what if"."""
    if verb in _VERBS:
        return _VERBS[verb]
    stem = verb[:-1] if verb.endswith("e") else verb
    third = verb + ("es" if verb.endswith(("sh", "ch", "s", "x")) else "s")
    return third, stem + "ed", stem + "ing"


def sentence(frame: str, subject: str, predicate: str) -> str:
    """The frame about the subject, with the predicate's verb in the form that the frame asks for."""
    verb, _, rest = predicate.partition(" ")
    third, past, ing = verb_forms(verb)
    forms = {"<do>": verb, "<does>": third, "<did>": past, "<doing>": ing}
    said = re.sub("<[a-z]+>", lambda m: f"{forms[m[0]]} {rest}".rstrip(), frame)
    return said.replace("{s}", subject)


@cache
def _held_out_forms() -> frozenset[tuple[str, ...]]:
    return frozenset(normal(e) for some in held_out.TEMPLATES.values() for t in some for e in expansions(t))


@cache
def _held_out_patterns(group: str) -> frozenset[tuple[str, ...]]:
    return frozenset(pattern(e) for t in held_out.TEMPLATES[group] for e in expansions(t))


@cache
def apart(group: str, template: str) -> bool:
    """Whether no held-out template is this one, or one of this group has its pattern."""
    made = expansions(template)
    return not any(normal(e) in _held_out_forms() or pattern(e) in _held_out_patterns(group) for e in made)


def combined(group: str, rng: np.random.Generator) -> str:
    """A random template put together for a group of edits; none that the held-out set has."""
    while True:
        chance = rng.random()
        if chance < 0.55:
            template = _with_clause(pick(rng, phrasings.FRAMES), pick(rng, phrasings.CLAUSES[group]))
        elif chance < 0.75:
            template = pick(rng, phrasings.RESULT_FRAMES).replace("{r}", pick(rng, phrasings.RESULTS[group]))
        else:
            template = pick(rng, _topics(group)).replace("{r}", pick(rng, phrasings.REMARKS[group]))
        if apart(group, template):
            return template


def combinations(group: str) -> Iterator[str]:
    """Every template that `combined` may give."""
    made = [_with_clause(frame, clause) for frame in phrasings.FRAMES for clause in phrasings.CLAUSES[group]]
    made += [f.replace("{r}", result) for f in phrasings.RESULT_FRAMES for result in phrasings.RESULTS[group]]
    made += [t.replace("{r}", remark) for t in _topics(group) for remark in phrasings.REMARKS[group]]
    return (template for template in dict.fromkeys(made) if apart(group, template))


def gapped(rng: np.random.Generator) -> str:
    """A random training template for two edits with one verb."""
    while True:
        template = pick(rng, phrasings.GAPPED)
        if rng.random() < 0.7:
            template = pick(rng, phrasings.GAP_LINKS).join(pick(rng, phrasings.GAPS))
        if apart_gapped(template):
            return template


@cache
def apart_gapped(template: str) -> bool:
    """Whether no held-out template for two edits with one verb is this one."""
    taken = {normal(e) for t in held_out.GAPPED for e in expansions(t)}
    return not any(normal(e) in taken for e in expansions(template))


def _with_clause(frame: str, clause: str) -> str:
    subject, predicate = clause.split(" | ")
    return sentence(frame, subject, predicate)


def _topics(group: str) -> tuple[str, ...]:
    whole = not any("{x}" in template for template in phrasings.TRAIN[group])
    return phrasings.WHOLE_TOPICS if whole else phrasings.TOPICS
