"""Language instruction unification (InstructGIE Sec. 4.2): instructions that mean the same get the same words.

By a language model with a fixed prompt, as in the paper, or by a planner whose plan is said in one canonical sentence,
where a pack has no such model. Either may stand behind a `Table`, so that nothing is asked for twice.
"""

import json
from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, StringConstraints

from ..errors import PackError, PlanError, UnusableAnswer
from ..roles import Pack, Planner
from .chat import Complete, Message, answered, opening, prompt_digest
from .sentences import sentence_of
from .table import Answerer

RETRIES = 2
"""Further attempts after an unusable answer."""
MEANS_PLAN = "sentences 1"
"""Names the canonical sentences; another number when they are worded otherwise."""


class Unified(BaseModel):
    """The language model's whole answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\n{}<>]*$")
    ]


def by_language_model(complete: Complete, model: str) -> Answerer:
    """l' = U(l) by a language model of that name, with the prompt `prompts/unify.txt` (InstructGIE Eq. 6).

    The model's seed and temperature are its own settings. An instruction that it gives no usable answer to stays as it
    is. The answer raises PlanError when the model cannot be reached.
    """
    prompt = opening("unify", "unify_examples", Unified)

    def unify(instruction: str) -> str:
        if not instruction.strip():
            return instruction
        asked = Message("user", json.dumps({"instruction": instruction}, ensure_ascii=False))
        try:
            return answered(complete, (*prompt, asked), Unified, RETRIES).instruction
        except UnusableAnswer:
            return instruction

    return Answerer(f"{model}, prompt {prompt_digest(prompt)}", unify)


def by_planner(planner: Planner, model: str) -> Answerer:
    """l' = U(l) by a planner of that name: the canonical sentence of each of the plans, joined by "and".

    In the place of the paper's language model (InstructGIE Eq. 6), where a pack has none. An instruction that the
    planner does not understand, or that needs a description ("make it red"), stays as it is.
    """

    def unify(instruction: str) -> str:
        try:
            return " and ".join(sentence_of(plan) for plan in planner.plan(instruction))
        except PlanError:
            return instruction

    return Answerer(f"{model}, {MEANS_PLAN}", unify)


def unifier_of(pack: Pack) -> Answerer:
    """l' = U(l) by the pack's language model, else by its planner (InstructGIE Eq. 6); without either l stays."""
    model = f"{pack.name} {pack.hash}"
    try:
        return by_language_model(pack.chat, model)
    except PackError:
        pass
    try:
        return by_planner(pack.planner, model)
    except PackError:
        return Answerer(f"{model}, which unifies nothing", lambda instruction: instruction)


def unified(
    unify: Callable[[str], str], instructions: Sequence[str], generator: torch.Generator, share: float = 0.5
) -> list[str]:
    """A training batch with a random share of its instructions unified (InstructGIE Sec. 4.2: 50 % of each batch).

    Unified ones take the place of the others; whether the paper adds them instead is open. A share that is no whole
    number of instructions is rounded up or down at random, so that it holds on the average.
    """
    order = torch.randperm(len(instructions), generator=generator)
    count = int(share * len(instructions) + float(torch.rand((), generator=generator)))
    chosen = set(order[:count].tolist())
    return [unify(text) if i in chosen else text for i, text in enumerate(instructions)]
