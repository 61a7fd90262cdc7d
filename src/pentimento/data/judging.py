"""What a judge of edits learns from and is measured on: views of things and pictures, questions, planted mistakes.

A *view* is a small square picture: a thing with a margin around it, or the whole picture. A *factor* is what can be
asked of a view; its words are the possible answers. An edit becomes *questions*: views and the answers that it
should have brought. Only truth of the drawn world is used here, and only after an edit was made.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image, ImageFilter

from . import art
from .edits import WEIGHTS, Edit, draw_weighted_edit, render_edit
from .scenes import WORLD_VERSION, Scene, Thing, draw_scene, random_thing, render
from .store import Store, stored
from .vocabulary import COLOURS, MATERIALS, NOUNS, PLACES, SEASONS, STYLES, TIMES, WEARABLES, WEATHERS

ALL_FAMILIES = (*art.FAMILIES, art.HELD_OUT_FAMILY)
NOTHING, UNCLEAR, NATURAL = "nothing", "unclear", "natural"
FACTORS: Mapping[str, tuple[str, ...]] = {
    "noun": (*NOUNS, NOTHING, UNCLEAR),
    "colour": (NATURAL, *COLOURS, *MATERIALS, UNCLEAR),
    "worn": (NOTHING, *WEARABLES, UNCLEAR),
    "place": (*PLACES, UNCLEAR),
    "time": (*TIMES, UNCLEAR),
    "weather": (*WEATHERS, UNCLEAR),
    "season": (*SEASONS, UNCLEAR),
    "style": (*STYLES, UNCLEAR),
}
SIDE = 64
MARGIN = 1.35
"""Side of a thing's view over the thing's size."""
WHOLE_KINDS = ("background", "time", "weather", "season", "style")
Mistake = Literal["right", "wrong", "partial", "missing"]


@dataclass(frozen=True)
class Region:
    """A square: centre and side as fractions of the picture's side. It may reach over the border."""

    x: float
    y: float
    side: float


WHOLE = Region(0.5, 0.5, 1.0)
QUARTERS = tuple(Region(x, y, 0.5) for y in (0.25, 0.75) for x in (0.25, 0.75))
"""What is asked of a whole picture is seen in these too: rain and snow are too fine for one small view."""
TRIPS = 0.7
"""How many of the edits to learn from have been through the autoencoder, as all that it is asked about later has."""
SURE = 0.5
"""The belief from which on a judge says yes."""


@dataclass(frozen=True)
class Question:
    """What the view of `region` should show: `answer`, one of FACTORS[factor]."""

    region: Region
    factor: str
    answer: str


@dataclass(frozen=True)
class Example:
    """A view, uint8 (SIDE, SIDE, 3), and the answers that are known about it, by factor."""

    view: np.ndarray
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Planted:
    """A picture, uint8 (size, size, 3), in which an edit was carried out rightly, wrongly, in part or not at all."""

    edit: Edit
    what: Mistake
    picture: np.ndarray


class Answers(Protocol):
    """A judge: what it believes of views, for each factor (n, words), rows summing to 1. `words` are by factor,
    `thresholds` by kind of edit: how sure it must be to say yes."""

    words: Mapping[str, tuple[str, ...]]
    thresholds: Mapping[str, float]

    def probabilities(self, views: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]: ...


def region_of(thing: Thing, scale: float = 1.0) -> Region:
    """The square around a thing; it depends on place and size alone, so it betrays no silhouette."""
    return Region(thing.x, thing.y, MARGIN * thing.size * scale)


def cut(picture: np.ndarray, region: Region, side: int = SIDE) -> np.ndarray:
    """The view of a region, uint8 (side, side, 3); what lies over the border repeats the border's pixels."""
    size = len(picture)
    length = max(4, round(region.side * size))
    left, top = round(region.x * size - length / 2), round(region.y * size - length / 2)
    rows = np.clip(np.arange(top, top + length), 0, size - 1)
    columns = np.clip(np.arange(left, left + length), 0, size - 1)
    return np.asarray(Image.fromarray(picture[rows][:, columns]).resize((side, side), Image.Resampling.BILINEAR))


def colour_word(thing: Thing) -> str:
    return thing.colour or thing.material or NATURAL


def questions(edit: Edit) -> tuple[Question, ...]:
    """What must hold of the picture after an edit that was carried out; all of it must. Nothing can be asked about an
    action: no factor tells what a creature does.

    A thing that gets a colour, a material or an accessory must still be the same noun. Nothing is asked about what
    the words leave open, nor about the rest of the picture (that is measured in decibels).
    """
    kind, after = edit.words.kind, edit.after
    if kind == "action":
        return ()
    if kind in ("time", "weather", "season", "style"):
        return (Question(WHOLE, kind, edit.words.new),)
    if kind == "background":
        return (Question(WHOLE, "place", after.place),)
    if kind == "remove":
        return tuple(Question(region_of(edit.before.things[i]), "noun", NOTHING) for i in edit.targets)
    asked: list[Question] = []
    for i in edit.targets or (len(after.things) - 1,):
        thing = after.things[i]
        asked.append(Question(region_of(thing), "noun", thing.noun))
        said = thing.colour or thing.material
        if (
            not after.grey
            and said
            and (kind in ("recolour", "material", "replace") or (kind == "add" and not edit.targets))
        ):
            asked.append(Question(region_of(thing), "colour", said))
        if kind == "add" and edit.targets:
            asked.append(Question(region_of(thing), "worn", thing.wears[-1]))
    return tuple(asked)


def views_of(question: Question) -> tuple[Region, ...]:
    """The views that a question is asked of; the answer is what is believed of them on average. A quarter of a picture
    need not show its place."""
    return (WHOLE, *QUARTERS) if question.region is WHOLE and question.factor != "place" else (question.region,)


def belief(judge: Answers, edit: Edit, picture: np.ndarray) -> float:
    """How sure a judge is that `picture` shows the edit, in [0, 1], SURE at its threshold for such edits.

    Each view is shown mirrored, too. Its least sure answer counts; 0 when one is wrong. nan of an edit that there is no
    question about.
    """
    asked = questions(edit)
    if not asked:
        return float("nan")
    sure = 1.0
    for question in asked:
        views = [cut(picture, region) for region in views_of(question)]
        p = judge.probabilities([*views, *(view[:, ::-1] for view in views)])[question.factor].mean(0)
        wanted = judge.words[question.factor].index(question.answer)
        sure = min(sure, float(p[wanted]) if int(p.argmax()) == wanted else 0.0)
    limit = judge.thresholds.get(edit.words.kind, SURE)
    return SURE * sure / limit if sure < limit else 1 - (1 - SURE) * (1 - sure) / (1 - limit)


def planted(edit: Edit, rng: np.random.Generator, size: int = 128) -> tuple[Planted, ...]:
    """The edit done rightly, not at all, in part (half of it, or half-transparent), and wrongly where that can be."""
    pair = render_edit(edit, size)
    made = [Planted(edit, "right", pair.after), Planted(edit, "missing", pair.before)]
    made.append(Planted(edit, "partial", half_done(edit, pair.before, pair.after, rng)))
    wrong = wrongly(edit, rng)
    if wrong is not None:
        made.append(Planted(edit, "wrong", render(wrong, size).image))
    return tuple(made)


def wrongly(edit: Edit, rng: np.random.Generator) -> Scene | None:
    """The scene after another edit of the same things: another noun, colour, material, accessory, place or weather."""
    kind, before, after = edit.words.kind, edit.before, edit.after
    values = {
        "background": ("place", PLACES), "time": ("time", TIMES), "weather": ("weather", WEATHERS),
        "season": ("season", SEASONS), "style": ("style", STYLES),
    }  # fmt: skip
    if kind in values:
        name, words = values[kind]
        others = [w for w in words if w not in (getattr(before, name), getattr(after, name))]
        changed: dict[str, Any] = {name: str(rng.choice(others))}
        return replace(after, **changed)
    if kind in ("remove", "move", "resize"):
        return None
    things = list(after.things)
    chosen = edit.targets or (len(things) - 1,)
    other = random_thing(rng, "test", ALL_FAMILIES)
    old = {t.noun for t in (*before.things, *after.things)}
    while other.noun in old:
        other = random_thing(rng, "test", ALL_FAMILIES)
    colours = [c for c in COLOURS if c not in {things[i].colour for i in chosen}]
    colour = str(rng.choice([c for c in colours if all(c != NOUNS[things[i].noun].base for i in chosen)]))
    material = str(rng.choice([m for m in MATERIALS if m != edit.words.new]))
    worn = str(rng.choice([w for w in WEARABLES if w != edit.words.new]))
    for i in chosen:
        if kind == "recolour":
            things[i] = replace(things[i], colour=colour)
        elif kind == "material":
            things[i] = replace(things[i], material=material)
        elif kind == "add" and edit.targets:
            things[i] = replace(things[i], wears=(worn,))
        else:
            things[i] = replace(things[i], noun=other.noun, family=other.family)
    return replace(after, things=tuple(things))


def half_done(edit: Edit, before: np.ndarray, after: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of an edit: one side of each thing it changes (of the picture, when it changes all), or a 50 % blend."""
    kind = edit.words.kind
    everywhere = kind in WHOLE_KINDS
    faint = kind in ("remove", "move", "resize") or (kind == "add") or (kind != "style" and rng.random() < 0.5)
    if faint and not (everywhere and kind != "background"):
        share = rng.uniform(0.42, 0.58)
        return (before * (1 - share) + after * share).round().astype(np.uint8)
    half, size = before.copy(), len(before)
    spots = [WHOLE] if everywhere else [region_of(edit.after.things[i]) for i in edit.targets]
    for spot in spots:
        left, right = round((spot.x - spot.side / 2) * size), round((spot.x + spot.side / 2) * size)
        top, bottom = round((spot.y - spot.side / 2) * size), round((spot.y + spot.side / 2) * size)
        if rng.random() < 0.5:
            left, right = (left, (left + right) // 2) if rng.random() < 0.5 else ((left + right) // 2, right)
        else:
            top, bottom = (top, (top + bottom) // 2) if rng.random() < 0.5 else ((top + bottom) // 2, bottom)
        area = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        half[area] = after[area]
    return half


# What it learns from


@dataclass(frozen=True)
class Lessons:
    """Pictures to make examples of. `scenes` of the train split as they are stored for all recipes; `edits` with the
    held-out art family, (2, size, size, 3) each; `trips` the first few of these after an autoencoder's round trip.
    """

    scenes: Store
    edits: Store
    trips: np.ndarray


def lesson_edits(folder: Path, count: int, split: str = "train", size: int = 128) -> Store:
    """The first `count` edits for the judge, before and after: all three art families; draws what is missing."""
    return stored(
        folder, f"judging-weighted-v{WORLD_VERSION}-{split}-{size}", partial(_drawn, split=split, size=size), count
    )


def _drawn(seed: int, split: str, size: int) -> np.ndarray:
    pair = render_edit(edit_of(seed, split), size)
    return np.stack([pair.before, pair.after])


@lru_cache(maxsize=20_000)
def edit_of(seed: int, split: str = "train") -> Edit:
    """The edit number `seed` of `lesson_edits`."""
    return draw_weighted_edit(seed + 5_000_000, split, families=ALL_FAMILIES)


@lru_cache(maxsize=40_000)
def _scene_of(seed: int) -> Scene:
    return draw_scene(seed, "train")


def example(lessons: Lessons, rng: np.random.Generator) -> Example:
    """One view with its answers: things, whole pictures, empty places, half-done edits and views of a wrong scale."""
    if rng.random() < 0.42:
        seed = int(rng.integers(len(lessons.scenes)))
        return _of_scene(_scene_of(seed), lessons.scenes[seed], rng)
    shown = lessons.trips if len(lessons.trips) and rng.random() < TRIPS else lessons.edits
    seed = int(rng.integers(len(shown)))
    while rng.random() > 1 / WEIGHTS[edit_of(seed).words.kind]:  # all kinds alike
        seed = int(rng.integers(len(shown)))
    edit, pair = edit_of(seed), shown[seed]
    dice = rng.random()
    if dice < 0.22 and edit.words.kind not in ("move", "resize"):
        return _of_half(edit, pair, rng)
    if dice < 0.4 and edit.words.kind == "remove":
        i = edit.targets[int(rng.integers(len(edit.targets)))]
        return _seen(pair[1], _shaken(region_of(edit.before.things[i]), rng), {"noun": NOTHING}, rng)
    after = rng.random() < 0.6
    scene = edit.after if after else edit.before
    if edit.words.kind in WHOLE_KINDS and rng.random() < 0.7:
        return _of_whole(scene, pair[int(after)], rng)
    changed = edit.targets if edit.words.kind != "remove" else ()
    return _of_scene(scene, pair[int(after)], rng, changed)


def _of_scene(scene: Scene, picture: np.ndarray, rng: np.random.Generator, favoured: tuple[int, ...] = ()) -> Example:
    dice = rng.random()
    things = [i for i in range(len(scene.things)) if is_clear(scene, i)]
    if dice < 0.17 or not things:
        return _of_whole(scene, picture, rng)
    if dice < 0.22:
        x, y, side = rng.uniform((0.1, 0.1, 0.25), (0.9, 0.9, 0.7)).tolist()
        spot = Region(x, y, side)
        if all(max(abs(t.x - spot.x), abs(t.y - spot.y)) > (t.size + 0.8 * spot.side) / 2 for t in scene.things):
            return _seen(picture, spot, {"noun": NOTHING}, rng)
    liked = [i for i in favoured if i in things]
    i = int(rng.choice(liked if liked and rng.random() < 0.5 else things))
    thing = scene.things[i]
    if dice < 0.27:  # a thing half or twice as large as it should be answers nothing
        scale = float(rng.uniform(1.5, 2.1)) if rng.random() < 0.5 else float(1 / rng.uniform(1.5, 2.1))
        return _seen(picture, _shaken(region_of(thing, scale), rng), {"noun": UNCLEAR}, rng)
    return _seen(picture, _shaken(region_of(thing), rng), thing_answers(scene, thing), rng)


def _of_whole(scene: Scene, picture: np.ndarray, rng: np.random.Generator) -> Example:
    """The whole picture, or a quarter of it at full size, which need not show the place."""
    answers = whole_answers(scene)
    if rng.random() < 0.5:
        return _seen(picture, WHOLE, answers, rng)
    del answers["place"]
    return _seen(picture, QUARTERS[int(rng.integers(4))], answers, rng)


def _of_half(edit: Edit, pair: np.ndarray, rng: np.random.Generator) -> Example:
    half, kind = half_done(edit, pair[0], pair[1], rng), edit.words.kind
    if kind in WHOLE_KINDS:
        return _seen(half, WHOLE, {"place" if kind == "background" else kind: UNCLEAR}, rng)
    if kind == "remove":
        thing, spoilt = edit.before.things[edit.targets[0]], "noun"
    elif edit.targets:
        thing = edit.after.things[edit.targets[int(rng.integers(len(edit.targets)))]]
        spoilt = {"recolour": "colour", "material": "colour", "add": "worn"}.get(kind, "noun")
    else:
        thing, spoilt = edit.after.things[-1], "noun"
    answers = {"noun": thing.noun} if spoilt != "noun" else {}
    return _seen(half, _shaken(region_of(thing), rng), answers | {spoilt: UNCLEAR}, rng)


def thing_answers(scene: Scene, thing: Thing) -> dict[str, str]:
    answers = {"noun": thing.noun, "worn": thing.wears[-1] if thing.wears else NOTHING}
    return answers if scene.grey else answers | {"colour": colour_word(thing)}


def whole_answers(scene: Scene) -> dict[str, str]:
    return {
        "place": scene.place,
        "time": scene.time,
        "weather": scene.weather,
        "season": scene.season,
        "style": scene.style,
    }


def is_clear(scene: Scene, index: int) -> bool:
    """Whether nothing in front covers more than a third of the thing's square."""
    t = scene.things[index]
    for j, o in enumerate(scene.things):
        if j != index and o.y + o.size / 2 > t.y + t.size / 2:
            w = min(t.x + t.size / 2, o.x + o.size / 2) - max(t.x - t.size / 2, o.x - o.size / 2)
            h = min(t.y + t.size / 2, o.y + o.size / 2) - max(t.y - t.size / 2, o.y - o.size / 2)
            if w > 0 and h > 0 and w * h > 0.34 * t.size**2:
                return False
    return True


def _shaken(region: Region, rng: np.random.Generator) -> Region:
    dx, dy = rng.normal(0, 0.035, 2) * region.side
    return Region(region.x + float(dx), region.y + float(dy), region.side * float(np.exp(rng.normal(0, 0.08))))


def _seen(picture: np.ndarray, region: Region, answers: Mapping[str, str], rng: np.random.Generator) -> Example:
    view = cut(picture, region)
    if rng.random() < 0.5:
        view = view[:, ::-1]
    return Example(np.ascontiguousarray(degraded(view, rng, 0.5 if region in (WHOLE, *QUARTERS) else 1.0)), answers)


def degraded(view: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """A view as small models paint it: blurred, blotchy, a little off in light; a third stay as they are."""
    dice = rng.random()
    if dice < 0.3:
        return view
    side = len(view)
    image = Image.fromarray(np.ascontiguousarray(view))
    if dice < 0.5:
        small = max(8, round(side * rng.uniform(1 - 0.5 * strength, 0.9)))
        image = image.resize((small, small), Image.Resampling.BOX).resize((side, side), Image.Resampling.BICUBIC)
    elif dice < 0.72:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 0.4 + 0.9 * strength))))
    elif dice < 0.84:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(22, 75)))
        image = Image.open(file)
    pixels = np.asarray(image, dtype=np.float32)
    cells = int(rng.integers(5, 17))
    blotches = rng.normal(0, 40, (cells, cells, 3)) * rng.uniform(0, 0.24 * strength) + 128
    field = Image.fromarray(blotches.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    pixels = pixels + np.asarray(field, dtype=np.float32) - 128
    pixels = (pixels - 128) * float(rng.uniform(0.88, 1.1)) + 128 + float(rng.uniform(-9, 9))
    return pixels.clip(0, 255).astype(np.uint8)
