"""Captions of close-ups as a painter reads them: whole or short, of all that is shown or of what a frame shows of it.

A person is named where the face is seen, a house where its wall is; else only their parts are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..language import lexicon
from .close_ups import Frame, cut
from .portraits import DULL, Composition, named
from .vocabulary import PLACE_WORDS

_LEAST = 16 / 128**2  # of the picture's pixels; as for a detector


@dataclass(frozen=True)
class View:
    """What is told of a close-up: the layers of what is seen in a frame, the person or house whose parts they are, and
    the words of the place; "" for what is not seen."""

    shown: Composition
    owner: str
    place: str


def view_of(composition: Composition, masks: Sequence[np.ndarray], frame: Frame) -> View:
    """What a frame shows: the things that lie in it at least by half, or fill a quarter of it.

    `masks` are the visible pixels of the layers, bool (size, size).
    """
    things: dict[tuple[str, int], list[int]] = {}
    for i, layer in enumerate(composition.layers):
        things.setdefault((layer.name, layer.instance), []).append(i)
    seen: set[int] = set()
    for thing in things.values():
        mask = np.logical_or.reduce([masks[i] for i in thing])
        inside = cut(mask, frame)
        much = inside.sum() >= 0.5 * mask.sum() or inside.mean() >= 0.25
        seen |= set(thing) if much and inside.sum() >= _LEAST * mask.size else set()
    layers = tuple(layer for i, layer in enumerate(composition.layers) if i in seen)
    names = {layer.name for layer in layers}
    owner = composition.layers[0].owner if "face" in names else ""
    if composition.kind == "house" and "wall" in names:
        owner = "house"
    ground = ~cut(np.logical_or.reduce(list(masks)), frame)
    there = PLACE_WORDS[composition.place] if ground.mean() >= 0.05 else ""
    told_apart = any(layer.name == "plate" and layer.phrase != "plate" for layer in layers)
    place = {"room": "in a room", "plate": "" if told_apart else "on a plate"}.get(composition.kind, there)
    return View(replace(composition, layers=layers), owner, place)


def told(view: View) -> list[str]:
    """The names of the things that a caption speaks of: hair first, and nothing dull unless it has a colour."""
    names = dict.fromkeys(x.name for x in view.shown.layers if x.name not in DULL or x.colour or x.material)
    return sorted(names, key=lambda name: name != "hair")


def caption(view: View) -> str:
    """All that is seen: "photo of a man with brown hair and a red tie, on grass"."""
    things = " and ".join(named(view.shown, name) for name in told(view))
    what = " with ".join(part for part in (view.owner and lexicon.article(view.owner), things) if part)
    return ", ".join(part for part in (f"photo of {what or 'the background'}", view.place) if part)


def short_caption(view: View, rng: np.random.Generator) -> str:
    """One thing, as an editor's short captions say it: "photo of lips", "photo of a woman with a red scarf"."""
    options = [*told(view), *([view.owner] if view.owner else [])]
    if not options:
        return caption(view)
    name = str(rng.choice(options))
    what = lexicon.article(name) if name == view.owner else named(view.shown, name)
    if view.owner and name != view.owner and rng.random() < 0.4:
        what = f"{lexicon.article(view.owner)} with {what}"
    return ", ".join([f"photo of {what}", *([view.place] if view.place and rng.random() < 0.3 else [])])


def training_caption(view: View, rng: np.random.Generator) -> str:
    """What a text-conditioned model learns from: two thirds whole captions, one third short ones."""
    return caption(view) if rng.random() < 0.67 else short_caption(view, rng)
