"""Edits with their truth: a scene before, the scene after, what was said, and exactly which pixels changed.

draw_edit(seed, split) -> Edit -> render_edit(edit, size) -> RenderedEdit
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..language import lexicon
from ..values import KINDS
from . import art, atmosphere
from .captions import phrase
from .poses import CREATURES
from .scenes import FLYING, Scene, Thing, allowed, draw_scene, generator, is_inside, random_thing, render
from .vocabulary import BACKGROUNDS, COLOURS, MATERIALS, PLACES, SEASONS, STYLES, TIMES, WEARABLES, WEATHERS
from .words import EditWords

LOCAL_KINDS = ("replace", "recolour", "material", "add", "remove", "resize", "move", "action")
UNSEEN_EFFECTS = {  # (kind, new) that the instruct model never trains on; TOP-Bench's effects among them
    ("weather", "snow"), ("style", "charcoal drawing"), ("add", "sunglasses"), ("material", "chocolate"),
    ("background", "lava field"), ("recolour", "purple"),
}  # fmt: skip
WEIGHTS = {
    "replace": 5, "recolour": 4, "material": 2, "add": 3, "remove": 2, "resize": 1, "move": 1,
    "background": 1.5, "weather": 1.5, "time": 1.5, "season": 1, "style": 1.5, "action": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One edit of a scene. `targets` are the indices of `before.things` that are meant, () for the whole picture."""

    before: Scene
    after: Scene
    words: EditWords
    targets: tuple[int, ...]

    @property
    def local(self) -> bool:
        return self.words.kind in LOCAL_KINDS


@dataclass(frozen=True)
class RenderedEdit:
    """`before` and `after` uint8 (size, size, 3); `mask` bool: the pixels that differ; `target` bool: what the words
    find in the picture before (everything, when they mean the whole picture)."""

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Reference:
    """Words that mean some things of a scene and no others."""

    targets: tuple[int, ...]
    phrase: str
    which: str


def references(scene: Scene) -> list[Reference]:
    """Every way to speak of things in this scene that leaves no doubt; confusable things get a place or a size."""
    found: list[Reference] = []
    nouns = dict.fromkeys(t.noun for t in scene.things)
    for noun in nouns:
        group = [i for i, t in enumerate(scene.things) if t.noun == noun]
        looks = {i: phrase(scene.things[i]) for i in group}
        if len(group) == 1:
            found.append(Reference((group[0],), noun, "best"))
            if looks[group[0]] != noun:
                found.append(Reference((group[0],), looks[group[0]], "best"))
            continue
        plain = any(look == noun for look in looks.values())  # a natural look might have any colour
        for i in group:
            twins = [j for j in group if looks[j] == looks[i]]
            if len(twins) == 1 and looks[i] != noun and not plain:
                found.append(Reference((i,), looks[i], "best"))
            said = looks[i] if len(twins) == len(group) else noun
            found += [Reference((i,), said, which) for which in _choices(scene, group, i)]
        found.append(Reference(tuple(group), lexicon.plural(noun), "all"))
        for look in dict.fromkeys(looks.values()):
            same = tuple(i for i in group if looks[i] == look)
            if 1 < len(same) < len(group) and look != noun and not plain:
                found.append(Reference(same, lexicon.plural(look), "all"))
    return [r for r in found if all(_visible(scene, i) for i in r.targets)]


def _choices(scene: Scene, group: list[int], i: int) -> list[str]:
    things = scene.things
    xs = sorted(things[j].x for j in group)
    rank = xs.index(things[i].x)
    apart = all(b - a > 0.06 for a, b in zip(xs, xs[1:], strict=False))
    choices = []
    if apart:
        if rank == 0:
            choices.append("left")
        elif rank == len(group) - 1:
            choices.append("right")
        elif len(group) == 3:
            choices.append("middle")
        if len(group) > 2 and 0 < rank < len(group) - 1:
            choices += [f"{rank + 1} from left", f"{len(group) - rank} from right"]
    others = [things[j] for j in group if j != i]
    if things[i].size > 1.25 * max(t.size for t in others):
        choices.append("largest")
    if things[i].size < 0.8 * min(t.size for t in others):
        choices.append("smallest")
    if things[i].y < min(t.y for t in others) - 0.14:
        choices.append("top")
    if things[i].y > max(t.y for t in others) + 0.14:
        choices.append("bottom")
    return choices


def _visible(scene: Scene, i: int) -> bool:
    """Whether no thing in front covers much of it (by boxes)."""
    t = scene.things[i]
    for j, o in enumerate(scene.things):
        if j != i and o.y + o.size / 2 > t.y + t.size / 2:
            w = min(t.x + t.size / 2, o.x + o.size / 2) - max(t.x - t.size / 2, o.x - o.size / 2)
            h = min(t.y + t.size / 2, o.y + o.size / 2) - max(t.y - t.size / 2, o.y - o.size / 2)
            if w > 0 and h > 0 and w * h > 0.45 * t.size**2:
                return False
    return True


def draw_edit(
    seed: int, split: str = "train", kinds: tuple[str, ...] = KINDS, effects: str = "all",
    families: tuple[str, ...] = art.FAMILIES,
) -> Edit:  # fmt: skip
    """The edit of a seed in a split, of one of `kinds`; "action", a creature in another pose, is drawn only if named.

    `effects` is "all", "seen" (none of UNSEEN_EFFECTS) or "unseen" (only those).
    """
    rng = generator(split, seed, purpose=1)
    shares = _shares(kinds)
    for _ in range(10_000):
        scene = draw_scene(int(rng.integers(1 << 40)), split, families)
        kind = str(rng.choice(list(kinds), p=shares))
        edit = _DRAW[kind](scene, kind, rng, split, families)
        if edit is None:
            continue
        unseen = (edit.words.kind, edit.words.new) in UNSEEN_EFFECTS
        if effects == "all" or (effects == "unseen") == unseen:
            return edit
    raise AssertionError(f"no edit of {kinds} with effects={effects} exists")


def draw_weighted_edit(
    seed: int, split: str = "train", effects: str = "all", families: tuple[str, ...] = art.FAMILIES
) -> Edit:
    """As `draw_edit`, for lessons: all kinds, as often as `WEIGHTS` says. There scene and kind are drawn anew until a
    scene allows its kind, and nine of ten allow no addition."""
    kind = str(generator(split, seed, purpose=10).choice(list(KINDS), p=_shares(KINDS)))
    return draw_edit(seed, split, (kind,), effects, families)


def _shares(kinds: Sequence[str]) -> np.ndarray:
    """How often each of `kinds` comes, as `WEIGHTS` says, (kinds,)."""
    weights = np.array([WEIGHTS[kind] for kind in kinds], dtype=float)
    return weights / weights.sum()


def _refer(scene: Scene, rng: np.random.Generator, singles: bool = False) -> Reference | None:
    options = [r for r in references(scene) if not (singles and r.which == "all")]
    if not options:
        return None
    targets = list(dict.fromkeys(r.targets for r in options))
    chosen = targets[int(rng.integers(len(targets)))]
    same = [r for r in options if r.targets == chosen]
    return same[int(rng.integers(len(same)))]


def _changed(scene: Scene, change: Mapping[int, Thing | None]) -> Scene:
    things = [change.get(i, t) for i, t in enumerate(scene.things)]
    return replace(scene, things=tuple(t for t in things if t is not None))


def _replaced(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    r = _refer(scene, rng)
    if r is None:
        return None
    old = scene.things[r.targets[0]]
    new = random_thing(rng, split, families)
    if new.noun == old.noun or new.noun in {t.noun for t in scene.things}:
        return None
    if scene.grey or rng.random() < 0.65:
        new = replace(new, colour="", material="")
    change = {
        i: replace(new, x=scene.things[i].x, y=scene.things[i].y, size=scene.things[i].size, wears=(),
                   flip=bool(rng.random() < 0.5))
        for i in r.targets
    }  # fmt: skip
    said = lexicon.plural(phrase(new)) if r.which == "all" else phrase(new)
    return Edit(scene, _changed(scene, change), EditWords("replace", (r.phrase,), r.which, said), r.targets)


def _recoloured(
    scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]
) -> Edit | None:
    r = _refer(scene, rng)
    if r is None or scene.grey:
        return None
    noun, old = scene.things[r.targets[0]].noun, {scene.things[i].colour for i in r.targets}
    values = [v for v in (COLOURS if kind == "recolour" else MATERIALS) if v not in old and allowed(noun, v, split)]
    if not values:
        return None
    new = str(rng.choice(values))
    if any(scene.things[i].material == new for i in r.targets):
        return None
    look = int(rng.choice(atmosphere.TRAINED_LOOKS))
    change = {
        i: replace(
            scene.things[i], look=look,
            colour=new if kind == "recolour" else "", material="" if kind == "recolour" else new,
        )
        for i in r.targets
    }  # fmt: skip
    return Edit(scene, _changed(scene, change), EditWords(kind, (r.phrase,), r.which, new), r.targets)


def _added(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    if rng.random() < 0.6:
        r = _refer(scene, rng)
        if r is None or any(scene.things[i].noun not in art.WEARERS or scene.things[i].wears for i in r.targets):
            return None
        worn = str(rng.choice(WEARABLES))
        look = int(rng.choice(atmosphere.TRAINED_LOOKS))
        change = {i: replace(scene.things[i], wears=(worn,), look=look) for i in r.targets}
        return Edit(scene, _changed(scene, change), EditWords("add", (r.phrase,), r.which, worn), r.targets)
    if len(scene.things) > 3:
        return None
    size = float(rng.uniform(0.2, 0.32))
    spots = [x for x in rng.uniform(size / 2, 1 - size / 2, 24)
             if all(abs(x - t.x) > (size + t.size) * 0.5 for t in scene.things)]  # fmt: skip
    if not spots:
        return None
    new = replace(random_thing(rng, split, families), x=float(spots[0]), size=size, wears=())
    new = replace(new, y=float(rng.uniform(0.2, 0.5) if new.noun in FLYING else rng.uniform(0.6, 0.75)))
    if new.noun in {t.noun for t in scene.things}:
        return None
    if scene.grey:
        new = replace(new, colour="", material="")
    return Edit(scene, replace(scene, things=(*scene.things, new)), EditWords("add", (), "best", phrase(new)), ())


def _removed(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    r = _refer(scene, rng)
    if r is None:
        return None
    return Edit(
        scene, _changed(scene, dict.fromkeys(r.targets)), EditWords("remove", (r.phrase,), r.which, ""), r.targets
    )


def _resized(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    r = _refer(scene, rng, singles=True)
    if r is None:
        return None
    thing = scene.things[r.targets[0]]
    new = "small" if thing.size > 0.34 or rng.random() < 0.4 else "big"
    size = thing.size * float(rng.uniform(0.5, 0.65) if new == "small" else rng.uniform(1.5, 1.8))
    change = {r.targets[0]: resized(thing, size)}
    return Edit(scene, _changed(scene, change), EditWords("resize", (r.phrase,), r.which, new), r.targets)


def resized(thing: Thing, size: float) -> Thing:
    """The thing at another size, on the same ground and inside the picture."""
    y = min(thing.y + (thing.size - size) / 2, 0.97 - size / 2)
    return replace(thing, size=size, y=y, x=float(np.clip(thing.x, size / 2, 1 - size / 2)))


_PLACES_TO = {
    "on the left": (0.0, None), "on the right": (1.0, None), "in the middle": (0.5, None),
    "at the top": (None, 0.0), "at the bottom": (None, 1.0),
}  # fmt: skip


def _moved(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    r = _refer(scene, rng, singles=True)
    if r is None:
        return None
    thing = scene.things[r.targets[0]]
    where = str(rng.choice(list(_PLACES_TO)))
    there = moved(thing, where)
    if there is None:
        return None
    change = {r.targets[0]: there}
    return Edit(scene, _changed(scene, change), EditWords("move", (r.phrase,), r.which, where), r.targets)


def moved(thing: Thing, where: str) -> Thing | None:
    """The thing "on the left", "at the top" and so on; None when it is there already."""
    x, y = _PLACES_TO[where]
    half = thing.size / 2
    x = thing.x if x is None else float(np.clip(x, half + 0.02, 0.98 - half))
    y = thing.y if y is None else float(np.clip(y, half + 0.02, 0.97 - half))
    return None if abs(x - thing.x) + abs(y - thing.y) < 0.18 else replace(thing, x=x, y=y)


def _acted(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    r = _refer(scene, rng, singles=True)
    if r is None or scene.things[r.targets[0]].noun not in CREATURES:
        return None
    thing = scene.things[r.targets[0]]
    new = str(rng.choice(CREATURES[thing.noun]))
    there = acting(thing, new)
    if there == thing:
        return None
    return Edit(
        scene, _changed(scene, {r.targets[0]: there}), EditWords("action", (r.phrase,), r.which, new), r.targets
    )


def acting(thing: Thing, pose: str) -> Thing:
    """The creature in a pose; the thing itself when the picture has no room for it."""
    there = replace(thing, pose=pose)
    return there if is_inside(there) else thing


def _global(scene: Scene, kind: str, rng: np.random.Generator, split: str, families: tuple[str, ...]) -> Edit | None:
    if kind in ("weather", "season") and not scene.outdoors:
        return None
    now, values = {
        "background": (scene.place, PLACES), "weather": (scene.weather, WEATHERS), "time": (scene.time, TIMES),
        "season": (scene.season, SEASONS), "style": (scene.style, STYLES),
    }[kind]  # fmt: skip
    if (kind == "style" and now != "photo") or (kind in ("time", "season") and scene.grey):
        return None
    new = str(rng.choice([v for v in values if v != now]))
    look = int(rng.choice(atmosphere.TRAINED_LOOKS))
    if kind == "background":
        after = replace(scene, place=new)
        if not after.outdoors:
            after = replace(after, weather="clear", season="summer")
        return Edit(scene, after, EditWords(kind, ("background",), "best", BACKGROUNDS[new]), ())
    changed: dict[str, Any] = {kind: new, "looks": replace(scene.looks, **{kind: look})}
    after = replace(scene, **changed)
    return Edit(scene, after, EditWords(kind, (), "best", new), ())


_DRAW = {
    "replace": _replaced, "recolour": _recoloured, "material": _recoloured, "add": _added, "remove": _removed,
    "resize": _resized, "move": _moved, "background": _global, "weather": _global, "time": _global,
    "season": _global, "style": _global, "action": _acted,
}  # fmt: skip


def render_edit(edit: Edit, size: int = 128) -> RenderedEdit:
    """Both pictures of an edit at size x size pixels, and the exact masks."""
    before, after = render(edit.before, size), render(edit.after, size)
    target = np.ones((size, size), dtype=bool)
    if edit.targets:
        target = np.logical_or.reduce([before.masks[i] for i in edit.targets])
    elif edit.words.kind == "background":
        target = before.parts["background"]
    return RenderedEdit(before.image, after.image, (before.image != after.image).any(-1), target)
