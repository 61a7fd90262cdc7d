"""From a plan back to words: one canonical sentence for each kind of edit, the same for all wordings of one meaning.

A plan holds captions and not what is new, so that is read off them, and taken only if `captions.plan_of` composes the
very same plan from it.
"""

from collections.abc import Iterator

from ..errors import PlanError
from ..values import NTH, Plan
from . import lexicon
from .captions import plan_of, tidy
from .lexicon import article

_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_SIDES = {"left": "on the left", "right": "on the right", "middle": "in the middle", "top": "at the top",
          "bottom": "at the bottom"}  # fmt: skip
_SENTENCES = {  # {x} is what is found, {y} what is new with its article, {new} without
    "replace": "turn {x} into {y}", "recolour": "make {x} {new}", "material": "make {x} {new}", "add": "add {y} to {x}",
    "remove": "remove {x}", "resize": "make {x} {new}", "move": "move {x} {new}",
    "background": "change the background to {y}", "weather": "make it {new}", "time": "make it {new}",
    "season": "make it {new}", "style": "turn it into {y}",
}  # fmt: skip
_ADD_ALONE = "add {y}"
_SAID = {  # outcomes that a sentence calls otherwise than a plan
    "resize": {"big": "bigger", "small": "smaller"},
    "move": {"on the left": "to the left", "on the right": "to the right", "in the middle": "to the middle",
             "at the top": "to the top", "at the bottom": "to the bottom"},
    "weather": {"fog": "foggy", "clear": "sunny"},
}  # fmt: skip


def sentence_of(plan: Plan) -> str:
    """The sentence that asks for the plan: "turn the cat on the left into a tiger".

    Raises: PlanError for a plan that `plan_of` does not make from words alone, such as one with a description.
    """
    new = next((new for new in _candidates(plan) if _again(plan, new) == plan), None)
    if new is None:
        raise PlanError(f"no sentence asks for {plan.before!r} to become {plan.after!r}: plan without a description")
    sentence = _SENTENCES[plan.kind] if plan.find or plan.kind != "add" else _ADD_ALONE
    said = _SAID.get(plan.kind, {}).get(new, new)
    return sentence.format(x=_things(plan), y=article(new), new=said)


def _again(plan: Plan, new: str) -> Plan | None:
    try:
        return plan_of(plan.kind, plan.find, plan.which, new)
    except PlanError:
        return None


def _candidates(plan: Plan) -> Iterator[str]:
    """What may be new in the plan."""
    yield from lexicon.VALUES.get(plan.kind, ())
    if plan.kind in ("remove", "style"):
        yield plan.after if plan.kind == "style" else ""
    yield tidy(plan.after.removeprefix(f"{plan.before} with "))
    words = tidy(plan.after.removeprefix("photo of ")).split()
    yield from (" ".join(words[:end]) for end in range(1, len(words) + 1))


def _things(plan: Plan) -> str:
    """What is meant, with its article and choice: "the second cat from the left", "all the cats"."""
    choices = (plan.which,) if isinstance(plan.which, str) else plan.which
    return " and ".join(_thing(phrase, choice) for phrase in plan.find for choice in choices)


def _thing(phrase: str, choice: str) -> str:
    if nth := NTH.fullmatch(choice):
        return f"the {_ORDINALS[int(nth[1])]} {phrase} from the {nth[2]}"
    if choice in _SIDES:
        return f"the {phrase} {_SIDES[choice]}"
    before = {"all": "all the", "best": "the"}.get(choice, f"the {choice}")
    return f"{before} {phrase}"
