"""The frozen values that cross rooms: what is asked, what was understood, what came out.

Pictures are PIL images or numpy arrays here, never tensors. A mask is 1 (True) where the edit may act.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict

KINDS = (
    "replace", "recolour", "material", "add", "remove", "resize", "move",
    "background", "weather", "time", "season", "style",
)  # fmt: skip
Kind = Literal[
    "replace", "recolour", "material", "add", "remove", "resize", "move",
    "background", "weather", "time", "season", "style",
]  # fmt: skip
CHOICES = ("all", "best", "left", "right", "middle", "top", "bottom", "largest", "smallest")
NTH = re.compile(r"([1-9]) from (left|right|top|bottom)")


def _is_choice(text: str) -> str:
    if text in CHOICES or NTH.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is none of {', '.join(CHOICES)} or 'N from left|right|top|bottom'")


Choice = Annotated[str, AfterValidator(_is_choice)]


class Plan(BaseModel):
    """What the language processor understood (InstructEdit Sec. 3.2): exactly these six fields.

    `find` are the phrases to segment, empty when the whole picture is edited. `which` says which of the
    found boxes are meant: one choice, or a list whose selections are united. `before` and `after` are the
    captions c_i and c_e; `description` is the picture's description d, "" when none was used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    find: tuple[str, ...]
    which: Choice | tuple[Choice, ...] = "best"
    before: str
    after: str
    kind: Kind
    description: str = ""


@dataclass(frozen=True)
class Word:
    """A word of a text, and the places [start, stop) of its tokens among the states of a text encoder."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Box:
    """A detected region: (left, top, right, bottom) in pixels, with its phrase and its score in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float
    score: float = 1.0
    phrase: str = ""

    @property
    def area(self) -> float:
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Found:
    """A segmenter's answer: the united mask, bool (h, w), and the boxes that were chosen for it."""

    mask: np.ndarray
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Segment:
    """One thing or surface of a picture: its class in the model's words, its mask, bool (h, w), its score in [0, 1]."""

    label: str
    mask: np.ndarray
    score: float


@dataclass(frozen=True)
class Pair:
    """One example of an edit: a picture before it and the same picture after it."""

    before: Image.Image
    after: Image.Image


SCALES = ("guidance", "image_guidance", "image_latents")
"""The settings of an edit that belong to a learned instruction: it was learned for them."""


@dataclass(frozen=True, eq=False)
class Learned:
    """An instruction that was learned from pairs; it stands in the place of an instruction's first tokens.

    `method` learned it: "instructbrush" or "visii". In the "attention" space `keys[i]` and `values[i]` are those of
    cross-attention layer i, fp32 (parts, m, d_i) (InstructBrush Sec. 4.1); in the "text" space there are no keys, and
    `values[0]` are token states (parts, m, d). `instruction` are the words it began with, whose other tokens stay.
    `base` is the fingerprint of the model that it was learned with; `about` is JSON-able: settings, losses, scores.
    """

    method: str
    space: Literal["attention", "text"]
    instruction: str
    keys: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]
    base: str
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scales(self) -> Mapping[str, Any]:
        """The settings of an edit that it was learned for."""
        return {name: self.about[name] for name in SCALES}

    @property
    def parts(self) -> int:
        return int(self.values[0].shape[0])

    @property
    def tokens(self) -> int:
        """m, the number of tokens that are replaced."""
        return int(self.values[0].shape[1])


@dataclass(frozen=True)
class Request:
    """One edit that is asked for. Whoever fills in `plan` or `mask` skips that room.

    `image` is any PIL image (see `images.open_picture`); `mask` is bool (h, w) of the image's size. With `learned` the
    instruction may be empty; words are said after it.
    """

    image: Image.Image
    instruction: str = ""
    plan: Plan | None = None
    mask: np.ndarray | None = None
    pairs: tuple[Pair, ...] = ()
    learned: Learned | None = None
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """What an editor gives back.

    `image` has the request's size; `decoded` is the same before the pixel composite, at the request's size
    (equal to `image` for methods without a mask). `mask` is bool (h, w), None for methods without one.
    `record` is JSON-able: method, settings, pack, seed, versions, timings.
    """

    image: Image.Image
    decoded: Image.Image
    plan: Plan | None
    mask: np.ndarray | None
    record: Mapping[str, Any] = field(default_factory=dict)
