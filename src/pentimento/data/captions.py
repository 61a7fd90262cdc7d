"""Captions of scenes: what stands where, in which place, light, weather and style; whole, or of a part only."""

import re

import numpy as np

from ..language import lexicon
from .scenes import Scene, Thing
from .vocabulary import (
    BACKGROUNDS,
    COLOURS,
    MATERIALS,
    NOUNS,
    PLACE_WORDS,
    SEASON_WORDS,
    STYLES,
    TIME_WORDS,
    WEARABLES,
    WEATHER_WORDS,
)

_SWAPS = (("on the left", "on the right"), ("at night", "by day"), ("in the rain", "in the snow"))


def phrase(thing: Thing, grey: bool = False) -> str:
    """What a person calls it: "cat", "red cat", "golden vase"; only the noun where no colours are seen."""
    return " ".join(word for word in ("" if grey else thing.colour or thing.material, thing.noun) if word)


def position(scene: Scene, index: int) -> str:
    """Where a thing stands among the others: "on the left", "in the middle", "on the right", "at the top"."""
    thing = scene.things[index]
    others = [t for i, t in enumerate(scene.things) if i != index]
    if others and all(thing.y < t.y - 0.16 for t in others):
        return "at the top"
    if not others:
        return "on the left" if thing.x < 0.42 else "on the right" if thing.x > 0.58 else "in the middle"
    order = sorted(range(len(scene.things)), key=lambda i: scene.things[i].x)
    rank = order.index(index)
    return "on the left" if rank == 0 else "on the right" if rank == len(order) - 1 else "in the middle"


def _item(scene: Scene, index: int, rng: np.random.Generator, places: bool) -> str:
    thing = scene.things[index]
    words = phrase(thing, scene.grey)
    twins = [t.size for i, t in enumerate(scene.things) if t.noun == thing.noun and i != index]
    if twins and rng.random() < 0.6:
        if thing.size > 1.25 * max(twins):
            words = f"big {words}"
        elif thing.size < 0.8 * min(twins):
            words = f"small {words}"
    worn = "".join(f" with {lexicon.article(w)}" for w in thing.wears)
    does = f" {thing.pose}" if thing.pose else ""
    return f"{lexicon.article(words)}{does}{worn}{' ' + position(scene, index) if places else ''}"


def _tail(scene: Scene, rng: np.random.Generator, keep: float) -> list[str]:
    place = PLACE_WORDS[scene.place] if rng.random() < 0.6 else lexicon.place(BACKGROUNDS[scene.place])
    tail = [place] if rng.random() < keep else []
    if scene.season != "summer":
        tail.append(SEASON_WORDS[scene.season])
    if scene.time != "day":
        tail.append(TIME_WORDS[scene.time])
    if scene.weather != "clear":
        tail.append(WEATHER_WORDS[scene.weather])
    return tail


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """All that stands in the scene: "photo of a red cat on the left and a bus on the right, on grass, at night"."""
    order = sorted(range(len(scene.things)), key=lambda i: scene.things[i].x)
    places = len(order) > 1 or bool(rng.random() < 0.15)
    items = [_item(scene, i, rng, places) for i in order] or ["the background"]
    *most, last = items
    things = f"{', '.join(most)} and {last}" if most else last
    return ", ".join([f"{scene.style} of {things}", *_tail(scene, rng, 0.9)])


def short_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A part of the scene, as an editor's short captions say it: "photo of a red cat", "photo of cats"."""
    tail = _tail(scene, rng, 0.3)
    if not scene.things or (tail and rng.random() < 0.2):
        return f"{scene.style} of the background" if not scene.things else f"{scene.style} {tail[-1]}"
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    twins = [t for t in scene.things if t.noun == thing.noun]
    if len(twins) > 1 and rng.random() < 0.5:
        same = not scene.grey and all(phrase(t) == phrase(thing) for t in twins)
        return ", ".join([f"{scene.style} of {lexicon.plural(phrase(thing) if same else thing.noun)}", *tail])
    return ", ".join([f"{scene.style} of {_item(scene, index, rng, bool(rng.random() < 0.2))}", *tail])


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """What a text-conditioned model learns from: two thirds whole captions, one third short ones."""
    return caption(scene, rng) if rng.random() < 0.67 else short_caption(scene, rng)


def vocabulary() -> tuple[str, ...]:
    """Every phrase that tells one scene from another: things, looks, accessories, places, lights, weathers, styles."""
    words = (NOUNS, COLOURS, MATERIALS, WEARABLES, PLACE_WORDS.values(), BACKGROUNDS.values(), SEASON_WORDS.values(),
             TIME_WORDS.values(), WEATHER_WORDS.values(), STYLES)  # fmt: skip
    return tuple(dict.fromkeys(phrase for group in words for phrase in group))


def hard_negative(text: str, rng: np.random.Generator) -> str:
    """The caption made wrong by one swap: left and right, two colours, or a colour for another."""
    for a, b in _SWAPS[: 1 if rng.random() < 0.8 else 3]:
        if a in text and rng.random() < 0.6:
            return text.replace(a, "\0").replace(b, a).replace("\0", b)
    named = [c for c in COLOURS if re.search(rf"\b{c}\b", text)]
    if len(named) > 1:
        return text.replace(named[0], "\0").replace(named[1], named[0]).replace("\0", named[1])
    if named:
        other = str(rng.choice([c for c in COLOURS if c != named[0]]))
        return text.replace(named[0], other)
    return text.replace(_SWAPS[0][0], "\0").replace(_SWAPS[0][1], _SWAPS[0][0]).replace("\0", _SWAPS[0][1])
