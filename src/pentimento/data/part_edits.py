"""Edits of the parts of a close-up: every kind changes its part and nothing else.

    draw_part_edit(seed, split) -> PartEdit

`recoloured`, `replaced`, `removed` and `with_worn` change a composition; `part_edit` draws both sides of a change.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..language import lexicon
from ..language.captions import plan_of
from ..values import Plan
from . import art, atmosphere
from .backdrop import RGB
from .edits import UNSEEN_EFFECTS
from .portraits import (
    COLOURED,
    FACES,
    FILLINGS,
    FOODS,
    FURNITURE,
    HATS,
    NECKS,
    WALL_NOUNS,
    WORN,
    Composition,
    Layer,
    draw_composition,
    instances,
    random_colour,
    random_worn,
    render_composition,
)
from .scenes import generator, held_out
from .vocabulary import COLOURS, MATERIALS, NOUNS
from .words import EditWords

PART_KINDS = ("recolour", "material", "replace", "add", "remove")
_MADE_OF = frozenset(("main door", "garage door", "roof", "jacket", "tie", "vase", "cake", "clock", *FURNITURE))
_REMOVABLE = frozenset((*WORN, "painting", "clock", "vase", *FOODS)) - {"smile"}
_SWAPS: dict[str, tuple[str, ...]] = {
    **{
        a: tuple(b for b in group if b != a)
        for group in (FACES, HATS, NECKS, WALL_NOUNS, FURNITURE, FOODS)
        for a in group
    },
    "main door": ("chocolate bar", "bookshelf", "curtain"),
    "garage door": ("chocolate bar", "curtain"),
    "mashed potatoes": ("noodles", "bread", "pizza", "cookie"),
    "wall": ("forest", "beach", "city", "starry night sky"),
    "ceiling": ("starry night sky", "forest"),
    "vase": ("bucket", "candle", "bell"),
}  # fmt: skip


@dataclass(frozen=True)
class PartEdit:
    """An edit of a part with its truth.

    `before`, `after` uint8 (size, size, 3); `mask` bool: the pixels that differ; `target` bool: what the words find
    in the picture before; `plan` holds both captions; `masks` bool: what is visible of each layer of both `scenes`.
    """

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    target: np.ndarray
    words: EditWords
    plan: Plan
    scenes: tuple[Composition, Composition]
    targets: tuple[int, ...]
    masks: tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


def spoken(name: str, several: bool) -> tuple[str, str]:
    """How a part is asked for: (phrase, which). Things that are plural by form ("lips") are always meant all."""
    form = lexicon.is_plural(name) and lexicon.head(name) not in lexicon.PLURAL_ONLY
    return (lexicon.plural(name) if several else name), ("all" if several or form else "best")


def recoloured(composition: Composition, name: str, colour: str = "", material: str = "", look: int = 0) -> Composition:
    """The close-up with every layer of a name in another colour or of another material."""
    return replace(composition, layers=tuple(
        replace(layer, colour=colour, material=material, filling="", look=look if material else layer.look)
        if layer.name == name else layer for layer in composition.layers
    ))  # fmt: skip


def replaced(
    composition: Composition, name: str, new: str, only: tuple[int, ...] | None = None, family: str = "", look: int = 0
) -> Composition:
    """The close-up with the things of a name (`only` these layers) turned into something new."""
    layers: list[Layer] = []
    for i, layer in enumerate(composition.layers):
        if layer.name != name or (only is not None and i not in only):
            layers.append(layer)
        elif new in FILLINGS:
            layers.append(replace(layer, name=new, filling=new, colour="", material="", look=look))
        else:
            tone: RGB = (246, 140, 40) if new == "carrot slice" else layer.tone
            layers.append(replace(layer, name=new, shape=new, colour="", material="", tone=tone, look=look,
                                  family=family or layer.family))  # fmt: skip
    return replace(composition, layers=tuple(layers))


def removed(composition: Composition, name: str, only: tuple[int, ...] | None = None) -> Composition:
    """The close-up without the things of a name (`only` these layers)."""
    kept = [x for i, x in enumerate(composition.layers) if x.name != name or (only is not None and i not in only)]
    return replace(composition, layers=tuple(kept))


def part_edit(
    before: Composition, after: Composition, words: EditWords, target: tuple[int, ...], size: int = 128
) -> PartEdit:
    """Both pictures of a part edit at size x size pixels; `target` are the indices of the layers that are meant."""
    a, b = render_composition(before, size), render_composition(after, size)
    found = np.logical_or.reduce([a.masks[i] for i in target])
    plan = plan_of(words.kind, words.find, words.which, words.new, words.description)
    mask = (a.image != b.image).any(-1)
    return PartEdit(a.image, b.image, mask, found, words, plan, (before, after), target, (a.masks, b.masks))


def draw_part_edit(
    seed: int, split: str = "train", kinds: tuple[str, ...] = PART_KINDS, effects: str = "all", size: int = 128
) -> PartEdit:
    """The part edit of a seed in a split; `effects` as in `edits.draw_edit` ("all", "seen" or "unseen")."""
    rng = generator(split, seed, purpose=4)
    for _ in range(10_000):
        composition = draw_composition(int(rng.integers(1 << 40)), split)
        edit = _DRAW_EDIT[str(rng.choice(list(kinds)))](composition, rng, split, size)
        if edit is None or edit.target.sum() < 24 * (size / 128) ** 2 or not edit.mask.any():
            continue
        unseen = (edit.words.kind, edit.words.new) in UNSEEN_EFFECTS
        if effects == "all" or (effects == "unseen") == unseen:
            return edit
    raise AssertionError(f"no part edit of {kinds} with effects={effects} exists")


def _names(composition: Composition, wanted: frozenset[str]) -> list[str]:
    return sorted({layer.name for layer in composition.layers} & wanted)


def _pick(composition: Composition, name: str, rng: np.random.Generator) -> tuple[tuple[int, ...], str, str]:
    """Which layers of a name are meant, and how that is said: (indices, phrase, which)."""
    things = instances(composition, name)
    if len(things) == 2 and rng.random() < 0.5:
        boxes = [composition.layers[thing[0]].box for thing in things]
        xs = [(box[0] + box[2]) / 2 for box in boxes]
        if abs(xs[0] - xs[1]) > 0.12:
            i = int(rng.integers(2))
            return things[i], name, "left" if xs[i] < xs[1 - i] else "right"
    chosen = tuple(i for thing in things for i in thing)
    looks = {composition.layers[i].phrase for i in chosen}
    said = looks.pop() if len(looks) == 1 and rng.random() < 0.5 else name
    return chosen, *spoken(said, len(things) > 1)


def _draw_look(composition: Composition, rng: np.random.Generator, split: str, size: int, kind: str) -> PartEdit | None:
    names = _names(composition, COLOURED if kind == "recolour" else _MADE_OF)
    if not names:
        return None
    name = str(rng.choice(names))
    chosen = tuple(i for thing in instances(composition, name) for i in thing)
    layers = [composition.layers[i] for i in chosen]
    now = {layer.colour for layer in layers} | {layer.material for layer in layers}
    base = NOUNS[name].base if name in NOUNS else ""
    values = [v for v in (COLOURS if kind == "recolour" else MATERIALS)
              if v not in now and v != base and not (split == "train" and held_out(name, v))]  # fmt: skip
    if not values:
        return None
    new = str(rng.choice(values))
    looks = {layer.phrase for layer in layers}
    said = looks.pop() if len(looks) == 1 and rng.random() < 0.4 else name
    phrase, which = spoken(said, len(instances(composition, name)) > 1)
    look = int(rng.choice(atmosphere.TRAINED_LOOKS))
    after = recoloured(composition, name, **{"colour" if kind == "recolour" else "material": new}, look=look)
    return part_edit(composition, after, EditWords(kind, (phrase,), which, new), chosen, size)


def _draw_recolour(composition: Composition, rng: np.random.Generator, split: str, size: int) -> PartEdit | None:
    return _draw_look(composition, rng, split, size, "recolour")


def _draw_material(composition: Composition, rng: np.random.Generator, split: str, size: int) -> PartEdit | None:
    return _draw_look(composition, rng, split, size, "material")


def _draw_replace(composition: Composition, rng: np.random.Generator, split: str, size: int) -> PartEdit | None:
    names = _names(composition, frozenset(_SWAPS))
    if not names:
        return None
    name = str(rng.choice(names))
    if composition.kind == "house" and name == "wall":
        return None
    new = str(rng.choice(_SWAPS[name]))
    if new in {layer.name for layer in composition.layers}:
        return None
    chosen, phrase, which = _pick(composition, name, rng)
    family, look = str(rng.choice(art.FAMILIES)), int(rng.choice(atmosphere.TRAINED_LOOKS))
    after = replaced(composition, name, new, chosen, family, look)
    if new in ("tie", "scarf", "glasses", "bow tie"):
        colour = random_colour(rng, split, new)
        after = recoloured(after, new, colour)
        new = f"{colour} {new}"
    several = which == "all" and len(instances(composition, name)) > 1
    words = EditWords("replace", (phrase,), which, lexicon.plural(new) if several else new)
    return part_edit(composition, after, words, chosen, size)


def _draw_add(composition: Composition, rng: np.random.Generator, split: str, size: int) -> PartEdit | None:
    if composition.kind != "portrait":
        return None
    has = {layer.name for layer in composition.layers}
    free = [w for group in (FACES, HATS, NECKS, ("smile",)) if not has & set(group) for w in group]
    if not free:
        return None
    new = str(rng.choice(free))
    after = with_worn(composition, new, rng, split)
    who = composition.layers[0].owner
    target = tuple(i for i, layer in enumerate(composition.layers) if layer.owner == who)
    return part_edit(composition, after, EditWords("add", (who,), "best", new), target, size)


def with_worn(
    composition: Composition, name: str, rng: np.random.Generator, split: str, look: int | None = None
) -> Composition:
    """A portrait with one of WORN added; a smile takes the place of the lips."""
    layers = composition.layers
    if name == "smile":
        smiling = [
            replace(x, name="smile", shape="smile", colour="", look=x.look if look is None else look)
            if x.name == "lips"
            else x
            for x in layers
        ]
        return replace(composition, layers=tuple(smiling))
    worn = random_worn(name, layers[0].box, layers[0].owner, rng, split)
    return replace(composition, layers=(*layers, worn if look is None else replace(worn, look=look)))


def _draw_remove(composition: Composition, rng: np.random.Generator, split: str, size: int) -> PartEdit | None:
    names = _names(composition, _REMOVABLE)
    if not names:
        return None
    name = str(rng.choice(names))
    chosen, phrase, which = _pick(composition, name, rng)
    after = removed(composition, name, chosen)
    return part_edit(composition, after, EditWords("remove", (phrase,), which, ""), chosen, size)


_DRAW_EDIT = {
    "recolour": _draw_recolour, "material": _draw_material, "replace": _draw_replace, "add": _draw_add,
    "remove": _draw_remove,
}  # fmt: skip
