"""Which classes of a segmentation model are people and other living creatures: those whose details are easily spoilt
(InstructGIE Sec. 4.3)."""

import json

from pydantic import BaseModel, ConfigDict

from ..errors import UnusableAnswer
from .chat import Complete, Message, answered, opening, prompt_digest
from .table import Answerer

RETRIES = 2
"""Further attempts after an unusable answer."""


class Living(BaseModel):
    """The language model's whole answer about a class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    living: bool


def is_living_by(complete: Complete, model: str) -> Answerer:
    """U(c, selected classes): a language model's "yes" to a class of living creatures, else "no" (InstructGIE Eq. 8).

    The selected classes are the paper's, living creatures and people. A name that the model gives no usable answer to
    is "no". The answer raises PlanError when the model cannot be reached.
    """
    prompt = opening("living", "living_examples", Living)

    def is_living(label: str) -> str:
        asked = Message("user", json.dumps({"class": label}, ensure_ascii=False))
        try:
            return "yes" if answered(complete, (*prompt, asked), Living, RETRIES).living else "no"
        except UnusableAnswer:
            return "no"

    return Answerer(f"{model}, prompt {prompt_digest(prompt)}", is_living)
