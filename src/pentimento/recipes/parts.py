"""The parts of close-ups as the vision recipes see them, and phrases about them, true and false.

Walls and floors are stuff, painted by a dense head; everything else, ceilings too, has a box. Eyes, faces and necks
are not told: their middles lie where those of glasses, hair and collars do, and a heat map has one box a middle.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.portraits import Composition, Layer, instances
from ..data.scenes import Rendering, Scene
from ..data.vocabulary import NOUNS
from .naming import CALLED, DOUBTFUL, GROUPS, IN_CLOSE_UPS, LOOKS, NEAR_GROUPS, STUFF, called, is_part

SMALLEST, SMALLEST_WORN = 30, 10  # pixels of 128x128 below which a thing is too hidden to ask for
UNTOLD = ("wall", "floor", "neck", "face", "eyes")
NATURAL = {"carrot slice": "orange", "plate": "white"} | {name: noun.base for name, noun in NOUNS.items()}


class Part(NamedTuple):
    """A thing or part in a close-up. `whole` is a thing that is part of nothing else: a person, a house, an apple."""

    name: str
    look: str  # its colour or material, "" where that cannot be said
    mask: np.ndarray  # bool (128, 128), its visible pixels
    whole: bool = False

    @property
    def is_seen(self) -> bool:
        return bool(self.mask.sum() >= (SMALLEST_WORN if is_part(self.name) else SMALLEST))


class Question(NamedTuple):
    """A phrase with the masks that answer it, one for each instance; for stuff one mask of the whole region."""

    phrase: str
    masks: tuple[np.ndarray, ...] = ()
    kind: str = "thing"  # thing | part | stuff


def parts_of(composition: Composition, rendering: Rendering) -> tuple[Part, ...]:
    """The parts of a close-up, front to back, then the person or house that they are parts of.

    Left out is what lies round the middle of something before it: a shirt under a jacket, the table under a plate.
    """
    names = dict.fromkeys(layer.name for layer in reversed(composition.layers))
    under = {"jacket": "shirt", "plate": "table"}
    hidden = {*UNTOLD, *(low for high, low in under.items() if high in names)}
    whole = composition.kind in ("room", "plate")
    found = []
    for name in names:
        for thing in [] if name in hidden else instances(composition, name):
            mask = np.logical_or.reduce([rendering.masks[i] for i in thing])
            look = look_of(composition.layers[thing[0]])
            found.append(Part(name, look, mask, whole and name not in ("ceiling", "plate")))
    owner = "house" if composition.kind == "house" else composition.layers[0].owner
    if owner:
        found.append(Part(owner, "", np.logical_or.reduce(rendering.masks), True))
    return tuple(found)


def look_of(layer: Layer) -> str:
    """The colour or material that a person may call a part by, "" where there is none to be sure of."""
    return layer.colour or layer.material or NATURAL.get(layer.name, "")


def stuff_of(composition: Composition, rendering: Rendering) -> dict[str, np.ndarray]:
    """Which pixels show each of STUFF: the backdrop, the walls of a house or room, the floor.

    The background of a room are its walls, floor and ceiling; that of a plate is the table.
    """
    stuff = {name: rendering.parts[name] for name in STUFF if name in rendering.parts}
    behind = {"room": ("wall", "floor", "ceiling"), "plate": ("table",)}.get(composition.kind, ())
    for name in behind:
        stuff["background"] = stuff["background"] | rendering.parts[name]
    return {name: mask for name, mask in stuff.items() if mask.any()}


def true_of_parts(parts: Sequence[Part], rng: np.random.Generator) -> list[Question]:
    """Names, plurals, other words, colours and groups of the parts that can be seen."""
    seen = [part for part in parts if part.is_seen]
    found = []
    for name in dict.fromkeys(part.name for part in seen):
        words = called(name)
        asked = {words[int(len(words) > 1 and rng.random() < 0.35)]}
        if len(words) > 2 and rng.random() < 0.35:
            asked.add(str(rng.choice(words[2:])))
        for word in sorted(asked):
            same = [part for part in seen if word in called(part.name)]
            kind = "part" if is_part(word) else "thing"
            found.append(Question(word, tuple(part.mask for part in same), kind))
            for look in dict.fromkeys(part.look for part in same if part.look):
                masks = tuple(part.mask for part in same if part.look == look)
                found.append(Question(f"{look} {word}", masks, kind))
    for group in dict.fromkeys(group_of(part.name) for part in seen if part.whole):
        if group in GROUPS and rng.random() < 0.25:
            masks = tuple(part.mask for part in seen if part.whole and group_of(part.name) == group)
            found.append(Question(str(rng.choice(GROUPS[group])), masks))
    return found


def group_of(name: str) -> str:
    """The group of a thing of a name, "" when it has none."""
    return NOUNS[name].group if name in NOUNS else "food" if name in ("mashed potatoes", "carrot slice") else ""


def false_of_parts(parts: Sequence[Part], stuff: Sequence[str], rng: np.random.Generator) -> str:
    """A phrase that nothing in a close-up answers; "" when the dice gave a true or doubtful one."""
    names = {part.name for part in parts}
    doubtful = names | {other for name in names for other in DOUBTFUL.get(name, ())}
    look = str(rng.choice(LOOKS if rng.random() < 0.5 else [part.look for part in parts]))  # half of them of a part
    dice = rng.random()
    if dice < 0.48:
        name = str(rng.choice(list(IN_CLOSE_UPS if rng.random() < 0.6 else NOUNS)))
        word = str(rng.choice(called(name)))
        if name in doubtful or any(word in called(other) for other in doubtful):
            return ""
        return f"{look} {word}" if look and rng.random() < 0.2 else word
    if dice < 0.9:
        word = str(rng.choice(called(str(rng.choice(sorted(names))))))
        same = [part for part in parts if word in called(part.name)]
        plain = [group_of(part.name) for part in same if not part.look]
        natural = plain and look in ("brown", "orange")  # what many natural colours are called
        of_many_colours = {"", "person", "building"} & set(plain)
        true = look in {part.look for part in same}
        return "" if not look or true or natural or of_many_colours else f"{look} {word}"
    if dice < 0.96:
        absent = [word for name, words in STUFF.items() if name not in stuff for word in words]
        return str(rng.choice(absent)) if absent else ""
    groups = {group_of(name) for name in doubtful}
    return str(rng.choice([word for name, words in GROUPS.items() if name not in groups for word in words]))


def absent_part(scene: Scene, rng: np.random.Generator) -> str:
    """A word for a part that no thing of a scene has; "" when the dice gave a doubtful one."""
    name = str(rng.choice(list(CALLED)))
    groups = {NOUNS[thing.noun].group for thing in scene.things}
    worn = any(thing.wears for thing in scene.things)
    doubtful = groups & set(NEAR_GROUPS.get(name, ())) or worn
    return "" if doubtful else str(rng.choice(called(name)))
