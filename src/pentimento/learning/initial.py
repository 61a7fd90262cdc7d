"""The words that a learned instruction begins with: phrases that tell the pictures after from those before
(InstructBrush Sec. 4.2), or a caption of those after, as Visii begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..errors import RequestError
from ..roles import Clip, Pack
from ..values import Pair
from .settings import LearnSettings, Sensitivity


@dataclass(frozen=True)
class UniquePhrases:
    """What is seen before alone and what after alone; "" where nothing is."""

    before: str
    after: str


@dataclass(frozen=True)
class Likeness:
    """How alike n phrases and the two sets of pictures are, by the mean feature of each set: (n,) each, cosines."""

    phrases: tuple[str, ...]
    before: Tensor
    after: Tensor


def initial_words(pack: Pack, pairs: Sequence[Pair], settings: LearnSettings, phrases: Sequence[str] = ()) -> str:
    """The instruction that the learning begins with; "" for none. `phrases` take the place of the pack's own.

    Raises: RequestError when the pack has no phrases to choose from; PackError when it has no clip.
    """
    if settings.instruction or settings.init == "none":
        return settings.instruction
    known = phrases or pack.phrases
    if not known:
        raise RequestError(
            f"the pack {pack.name!r} has no phrases to choose from: name a list (one phrase a line), or begin with "
            "words of your own, or with init=none"
        )
    alike = likeness(pack.clip, pairs, known)
    if settings.init == "caption":
        return ", ".join(alike.phrases[i] for i in alike.after.argsort(descending=True)[: settings.phrases].tolist())
    return template(unique_phrases(alike, settings.phrases, settings.eta, settings.sensitivity))


def likeness(clip: Clip, pairs: Sequence[Pair], phrases: Sequence[str]) -> Likeness:
    """Every phrase against both sets."""
    words = clip.embed_texts(list(phrases))  # (n, d)

    def alike(pictures: list[Image.Image]) -> Tensor:
        return words @ F.normalize(clip.embed_images(pictures).mean(0), dim=0)

    return Likeness(tuple(phrases), alike([p.before for p in pairs]), alike([p.after for p in pairs]))


def unique_phrases(alike: Likeness, count: int, eta: float, sensitivity: Sensitivity) -> UniquePhrases:
    """The most sensitive phrase of each set's caption, if it is sensitive enough (InstructBrush Eq. 6, 7).

    A caption is the `count` phrases that are most like the set. The paper subtracts similarities; CLIP's hardly ever
    differ by its eta of 0.15, so `relative` takes the difference as a share of the own similarity. A phrase that is not
    like the set at all tells nothing.
    """

    def most(own: Tensor, other: Tensor) -> str:
        caption = own.argsort(descending=True)[:count]
        gain = own[caption] - other[caption]
        if sensitivity == "relative":
            gain = gain / own[caption].clamp(min=1e-6)
        gain = gain.masked_fill(own[caption] <= 0, float("-inf"))
        best = int(gain.argmax())
        return alike.phrases[int(caption[best])] if float(gain[best]) > eta else ""

    return UniquePhrases(most(alike.before, alike.after), most(alike.after, alike.before))


def template(unique: UniquePhrases) -> str:
    """The image transformation template (InstructBrush Sec. 4.2); "" when neither set has a phrase of its own."""
    if unique.before and unique.after:
        return f"turn {unique.before} into {unique.after}"
    if unique.after:
        return f"turn it into {unique.after}"
    return f"remove {unique.before}" if unique.before else ""
