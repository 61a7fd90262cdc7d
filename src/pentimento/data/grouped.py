"""Groups of the drawn world: one edit, asked for in the same words in five different scenes, with its truth.

What words leave open (which snow, which hat) is one and the same in a group, so that an example shows more than the
instruction says. An edit is first drawn as `edits` draws it and then carried out on other scenes.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from ..language.captions import plan_of
from ..language.groups import PAIRS, CaptionPair, EditKind, Group
from ..values import KINDS, Pair
from . import art, phrasings, words
from .captions import caption
from .edits import Edit, acting, draw_edit, moved, references, render_edit, resized
from .export import check_split
from .making import Made, MadePair, Maker, Order
from .scenes import FLYING, WORLD_VERSION, Scene, Thing, draw_scene, generator, random_thing
from .visual_prompts import Layout

ACTIONS = 25
"""Of so many groups of a drawn set the last is an action; the others are those of KINDS."""


@dataclass(frozen=True)
class DrawnGroup:
    """A group in words, and its edits with their truth, in the same order."""

    group: Group
    edits: tuple[Edit, ...]


def draw_group(seed: int, number: int, split: str = "train", kinds: tuple[str, ...] = KINDS) -> DrawnGroup:
    """Group `number` of a seed in a split, of one of `kinds`: one instruction, five scenes that it fits (InstructGIE
    Sec. 5, step 1).

    None of `edits.UNSEEN_EFFECTS` is among them. Things are meant without a place ("the cat", not "the cat on the
    left"), because one place would have to fit five scenes.
    """
    rng = generator(split, seed * 1_000_003 + number, purpose=9)
    while True:
        first = draw_edit(int(rng.integers(1 << 40)), split, kinds, effects="seen")
        if first.words.which != "best" or (first.before.grey and first.local):
            continue
        edits = _carried_out(first, rng, split)
        pairs = [_captions(edit, rng) for edit in edits]
        told = tuple(pair for pair in pairs if pair is not None)
        if len({pair.before for pair in told}) == PAIRS:
            said = words.instruction(first.words, rng)
            group = Group(instruction=said, kind=cast(EditKind, first.words.kind), pairs=told)
            return DrawnGroup(group, edits)


def drawn_group(seed: int, number: int, split: str = "train") -> DrawnGroup:
    """Group `number` of a set that is drawn."""
    return draw_group(seed, number, split, ("action",) if number % ACTIONS == ACTIONS - 1 else KINDS)


def drawn(n: int, seed: int, layout: Layout, split: str = "train") -> Order:
    """The order of a set that is drawn, with exact pairs of the world's split, at the size of a grid's quadrant.

    Raises:
        RequestError: an unknown split.
    """
    check_split(split)
    source = {
        "source": "drawn", "split": split, "world_version": WORLD_VERSION, "phrasings": phrasings.DIGEST,
        "actions": f"1 in {ACTIONS}",
    }  # fmt: skip
    return Order(n, seed, layout, source, partial(_begin_drawing, seed, split, layout.quadrant))


def _begin_drawing(seed: int, split: str, size: int, work: Path, place: int) -> Maker:
    return partial(_draw, seed, split, size)


def _draw(seed: int, split: str, size: int, number: int) -> Made:
    group = drawn_group(seed, number, split)
    pairs = []
    for i, edit in enumerate(group.edits):
        shown = render_edit(edit, size)
        pictures = Pair(Image.fromarray(shown.before), Image.fromarray(shown.after))
        pairs.append(MadePair(i, pictures, {"scene_seed": edit.before.seed}))
    return Made(group.group, tuple(pairs))


def _captions(edit: Edit, rng: np.random.Generator) -> CaptionPair | None:
    """What an edit's pictures show; None when the words do not tell them apart, as of a thing that was on the left
    already and now stands farther there."""
    said = edit.words
    if said.kind == "action":  # no plan knows it
        seed = int(rng.integers(1 << 40))
        before, after = (caption(scene, np.random.default_rng(seed)) for scene in (edit.before, edit.after))
        return CaptionPair(before=before, after=after)
    plan = plan_of(said.kind, said.find, said.which, said.new, caption(edit.before, rng))
    differ = plan.before.lower() != plan.after.lower()
    return CaptionPair(before=plan.before, after=plan.after) if differ else None


def _carried_out(first: Edit, rng: np.random.Generator, split: str, scenes: int = 400) -> tuple[Edit, ...]:
    """Up to PAIRS edits like the first one, from so many random scenes."""
    found: list[Edit] = []
    for _ in range(scenes):
        scene = draw_scene(int(rng.integers(1 << 40)), split)
        if not first.local:
            edit = _whole(first, scene)
        elif scene.grey or not scene.things:
            edit = None
        elif not first.targets:
            edit = _added(first, scene, rng)
        else:
            edit = _local(first, scene, rng, split)
        found += [edit] if edit else []
        if len(found) == PAIRS:
            break
    return tuple(found)


def _whole(first: Edit, scene: Scene) -> Edit | None:
    kind = first.words.kind
    if kind == "background":
        place = first.after.place
        if scene.place == place:
            return None
        after = replace(scene, place=place)
        after = after if after.outdoors else replace(after, weather="clear", season="summer")
        return Edit(scene, after, first.words, ())
    if (
        getattr(scene, kind) == first.words.new
        or (kind in ("weather", "season") and not scene.outdoors)
        or (kind in ("time", "season") and scene.grey)
        or (kind == "style" and scene.style != "photo")
    ):
        return None
    looks = replace(scene.looks, **{kind: getattr(first.after.looks, kind)})
    changed: dict[str, Any] = {kind: first.words.new, "looks": looks}
    return Edit(scene, replace(scene, **changed), first.words, ())


def _added(first: Edit, scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The first edit's new thing, at a free place."""
    new = first.after.things[-1]
    spots = [
        x for x in rng.uniform(new.size / 2, 1 - new.size / 2, 24)
        if all(abs(x - t.x) > (new.size + t.size) * 0.5 for t in scene.things)
    ]  # fmt: skip
    if not spots or len(scene.things) > 3 or new.noun in {t.noun for t in scene.things}:
        return None
    y = float(rng.uniform(0.2, 0.5) if new.noun in FLYING else rng.uniform(0.6, 0.75))
    new = replace(new, x=float(spots[0]), y=y, flip=bool(rng.random() < 0.5))
    return Edit(scene, replace(scene, things=(*scene.things, new)), first.words, ())


def _local(first: Edit, scene: Scene, rng: np.random.Generator, split: str) -> Edit | None:
    """The first edit's thing in the place of one of the scene's, and changed in the same way."""
    old = first.before.things[first.targets[0]]
    kept = first.after.things[first.targets[0]] if first.words.kind != "remove" else None
    i = int(rng.integers(len(scene.things)))
    thing = _placed(_another(old, first, rng, split), scene.things[i], rng)
    others = {old.noun} | ({kept.noun} if kept else set())
    things = [thing if j == i else t for j, t in enumerate(scene.things) if j == i or t.noun not in others]
    before, target = replace(scene, things=tuple(things)), things.index(thing)
    change = _change(first, thing, kept)
    if change == thing or not any(r.targets == (target,) and r.phrase == first.words.find[0] and r.which == "best"
                                  for r in references(before)):  # fmt: skip
        return None
    after = [change if j == target else t for j, t in enumerate(things)]
    return Edit(before, replace(before, things=tuple(t for t in after if t)), first.words, (target,))


def _another(old: Thing, first: Edit, rng: np.random.Generator, split: str) -> Thing:
    """Another thing that goes by the same phrase: in any colour when the phrase names none."""
    other = random_thing(rng, split, art.FAMILIES, old.noun)
    if first.words.find[0] != old.noun:
        other = replace(other, colour=old.colour, material=old.material)
    return replace(other, wears=()) if first.words.kind == "add" else other


def _placed(thing: Thing, slot: Thing, rng: np.random.Generator) -> Thing:
    return replace(thing, x=slot.x, y=slot.y, size=slot.size, flip=bool(rng.random() < 0.5))


def _change(first: Edit, thing: Thing, kept: Thing | None) -> Thing | None:
    """What becomes of a thing; the thing itself when nothing would be seen of it."""
    if kept is None:
        return None
    old, new = first.before.things[first.targets[0]], first.words.new
    match first.words.kind:
        case "replace":
            return replace(kept, x=thing.x, y=thing.y, size=thing.size, flip=thing.flip, wears=())
        case "recolour" | "material":
            if new in (thing.colour, thing.material):
                return thing
            return replace(thing, colour=kept.colour, material=kept.material, look=kept.look)
        case "add":
            return replace(thing, wears=kept.wears, look=kept.look)
        case "resize":
            size = thing.size * kept.size / old.size
            return resized(thing, size) if 0.1 < size < 0.8 else thing
        case "action":
            return acting(thing, new)
        case _:
            return moved(thing, new) or thing
