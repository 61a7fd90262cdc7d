"""Captions of scenes: what stands where, in which place, light, weather and style; whole, or of a part only."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations

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
    TIMES,
    WEARABLES,
    WEATHER_WORDS,
    WEATHERS,
)


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


def hard_negative(
    scene: Scene, rng: np.random.Generator, write: Callable[[Scene, np.random.Generator], str] = caption
) -> tuple[str, str]:
    """What is said of a scene, and the same said of the scene made wrong: nothing but the picture tells which is true.

    The two are equal where `write` leaves out what is wrong.
    """
    other, manner = made_wrong(scene, rng), int(rng.integers(1 << 32))
    text, wrong = (write(one, np.random.default_rng(manner)) for one in (scene, other))
    return text, wrong


def made_wrong(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with one thing wrong that captions say: two unlike things in each other's place or colour, a thing of
    another colour, or another light or weather."""
    names = [phrase(thing, scene.grey) for thing in scene.things]
    places = [position(scene, i) for i in range(len(scene.things))]
    coloured = [i for i, thing in enumerate(scene.things) if thing.colour and not scene.grey]
    pairs = list(combinations(range(len(scene.things)), 2))
    unlike = [(i, j) for i, j in pairs if names[i] != names[j] and places[i] != places[j]]
    both = [(i, j) for i, j in pairs if {i, j} <= set(coloured) and scene.things[i].colour != scene.things[j].colour]
    dice = rng.random()
    if unlike and dice < 0.5:
        return _exchanged(scene, unlike[int(rng.integers(len(unlike)))], "x")
    if both and dice < 0.7:
        return _exchanged(scene, both[int(rng.integers(len(both)))], "colour")
    if coloured and dice < 0.9:
        i = coloured[int(rng.integers(len(coloured)))]
        other = _another(COLOURS, scene.things[i].colour, rng)
        return replace(
            scene, things=(*scene.things[:i], replace(scene.things[i], colour=other), *scene.things[i + 1 :])
        )
    if rng.random() < 0.5:
        return replace(scene, time=_another(TIMES, scene.time, rng))
    return replace(scene, weather=_another(WEATHERS, scene.weather, rng))


def _exchanged(scene: Scene, pair: tuple[int, int], name: str) -> Scene:
    first, second = pair
    things = list(scene.things)
    things[first] = replace(things[first], **{name: getattr(scene.things[second], name)})
    things[second] = replace(things[second], **{name: getattr(scene.things[first], name)})
    return replace(scene, things=tuple(things))


def _another(words: Iterable[str], than: str, rng: np.random.Generator) -> str:
    return str(rng.choice([word for word in words if word != than]))
