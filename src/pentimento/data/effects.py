"""TOP-Bench's twenty-five effects in miniature (InstructBrush Table 3), as exact pairs of one fixed look each.

Words leave a look open: which snow, which night, which cat. Each effect fixes one that no training data shows (looks 6
to 9, noun and colour combinations that are held out, drawings used nowhere else), so there is something to learn from
pairs that the instruction cannot tell. Ten pairs to learn from and five to test an effect.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import RequestError
from . import art, part_edits, portraits
from .edits import UNSEEN_EFFECTS, Edit, render_edit
from .export import new_folder, save_pixels
from .portraits import Composition, Layer
from .scenes import Looks, Scene, draw_scene, generator, render
from .thirty import row, thing, turned
from .vocabulary import PLACES
from .words import EditWords

TRAIN_PAIRS, TEST_PAIRS = 10, 5
_OUTDOORS = tuple(p for p in PLACES if p not in ("room", "kitchen", "lava"))
_GREEN = ("grass", "forest", "mountains", "city")


@dataclass(frozen=True)
class PicturePair:
    """The same picture before and after an effect, uint8 (size, size, 3)."""

    before: np.ndarray
    after: np.ndarray


Draw = Callable[[np.random.Generator, int], PicturePair]


@dataclass(frozen=True)
class Effect:
    """One row of Table 3. `local` effects change things, the others the whole picture (the table's ticks are lost;
    this division gives the paper's 11 and 14). `change` is the kind of edit and its new word, "" when the drawn world's
    edits have none like it; `look` says which look is fixed."""

    name: str
    instruction: str
    local: bool
    change: tuple[str, str]
    look: str
    draw: Draw

    @property
    def seen(self) -> bool:
        """Whether the instruct model was trained on such edits, by other looks."""
        return self.change[1] != "" and self.change not in UNSEEN_EFFECTS


def _pair(before: Scene, after: Scene, size: int) -> PicturePair:
    return PicturePair(render(before, size).image, render(after, size).image)


def _shown(edit: Edit, size: int) -> PicturePair:
    shown = render_edit(edit, size)
    return PicturePair(shown.before, shown.after)


def _composed(before: Composition, after: Composition, size: int) -> PicturePair:
    a, b = (portraits.render_composition(c, size).image for c in (before, after))
    return PicturePair(a, b)


def _any_scene(rng: np.random.Generator, places: tuple[str, ...] = PLACES, season: str = "summer") -> Scene:
    """A scene by day in clear weather, things and all."""
    scene = draw_scene(int(rng.integers(1 << 40)), "test")
    return Scene(scene.seed, scene.things, str(rng.choice(places)), season=season)


_NO_WORDS = EditWords("replace", ("thing",), "best", "thing")


def _styled(style: str, look: int, places: tuple[str, ...] = PLACES) -> Draw:
    def draw(rng: np.random.Generator, size: int) -> PicturePair:
        scene = _any_scene(rng, places)
        return _pair(scene, replace(scene, style=style, looks=Looks(style=look)), size)

    return draw


def _sea_painting(rng: np.random.Generator, size: int) -> PicturePair:
    pair = _styled("oil painting", 6, ("sea", "sand"))(rng, size)
    varnish = np.array((1.06, 0.95, 0.68)) * pair.after + np.array((14, 6, 0))
    return replace(pair, after=varnish.clip(0, 255).round().astype(np.uint8))


def _framed_painting(rng: np.random.Generator, size: int) -> PicturePair:
    pair = _styled("oil painting", 9)(rng, size)
    framed = pair.after.copy()
    for k, rgb in enumerate(((120, 78, 30), (214, 166, 70), (240, 204, 116), (150, 104, 44))):
        a, b = round(k * size / 64), size - round(k * size / 64)
        inner = round((k + 1) * size / 64)
        framed[a:inner, a:b] = framed[size - inner : b, a:b] = rgb
        framed[a:b, a:inner] = framed[a:b, size - inner : b] = rgb
    return replace(pair, after=framed)


def _snowed(look: int, before: str = "clear", style: str = "photo", places: tuple[str, ...] = _OUTDOORS,
            things: bool = True) -> Draw:  # fmt: skip
    def draw(rng: np.random.Generator, size: int) -> PicturePair:
        scene = _any_scene(rng, places)
        shown = scene.things if things else ()
        scene = replace(scene, things=shown, style=style, weather=before, looks=Looks(0, 2, 0, 3))
        return _pair(scene, replace(scene, weather="snow", looks=replace(scene.looks, weather=look)), size)

    return draw


def _midnight(rng: np.random.Generator, size: int) -> PicturePair:
    scene = _any_scene(rng)
    return _pair(scene, replace(scene, time="night", looks=Looks(time=9)), size)


def _summer(rng: np.random.Generator, size: int) -> PicturePair:
    scene = _any_scene(rng, _GREEN, "winter")
    return _pair(scene, replace(scene, season="summer", time="morning", looks=Looks(time=7)), size)


def _purple_sky(rng: np.random.Generator, size: int) -> PicturePair:
    scene = _any_scene(rng, tuple(p for p in _OUTDOORS if p != "forest"))
    before = render(scene, size)
    ramp = np.linspace(0, 1, size)[:, None, None]
    purple = np.array((58, 12, 110)) + (np.array((150, 70, 190)) - np.array((58, 12, 110))) * ramp * 1.6
    after = np.where(before.parts["sky"][..., None], 0.2 * before.image + 0.8 * purple, before.image)
    return PicturePair(before.image, after.clip(0, 255).round().astype(np.uint8))


def _lava(rng: np.random.Generator, size: int) -> PicturePair:
    scene = _any_scene(rng, ("sea", "grass", "sand", "snow"))
    return _pair(scene, replace(scene, place="lava", time="sunset", looks=Looks(time=8)), size)


def _boy_and_dog(rng: np.random.Generator, size: int) -> PicturePair:
    scene = row(rng, [thing(rng, "boy"), thing(rng, "dog")], ("grass", "street", "sand", "city"))
    girl = turned(scene, (0,), _NO_WORDS, "girl", look=8, wears=("bow tie",)).after
    return _pair(scene, turned(girl, (1,), _NO_WORDS, "cat", material="silver", look=8).after, size)


def _turned_to(
    noun: str, new: str, counts: tuple[int, ...], places: tuple[str, ...], colour: str = "", material: str = "",
    look: int = 0, wears: tuple[str, ...] = (), beside: tuple[str, ...] = (),
) -> Draw:  # fmt: skip
    def draw(rng: np.random.Generator, size: int) -> PicturePair:
        count = int(rng.choice(counts))
        things = [thing(rng, noun) for _ in range(count)]
        if beside and count < 3 and rng.random() < 0.6:
            things.append(thing(rng, str(rng.choice(beside))))
        scene = row(rng, things, places)
        return _shown(turned(scene, tuple(range(count)), _NO_WORDS, new, colour, material, look, wears), size)

    return draw


def _cloud_kitty(rng: np.random.Generator, size: int) -> PicturePair:
    scene = row(rng, [thing(rng, "cat", "white")], ("mountains", "sea", "sand", "desert"))
    high = replace(scene.things[0], y=float(rng.uniform(0.26, 0.34)), size=float(rng.uniform(0.36, 0.46)))
    scene = replace(scene, things=(high,))
    return _shown(turned(scene, (0,), _NO_WORDS, "bear", colour="white", look=9, wears=("crown",)), size)


def _glasses(rng: np.random.Generator, size: int) -> PicturePair:
    before = portraits.portrait(rng, "test", wears=())
    after = part_edits.with_worn(before, "glasses", rng, "test", look=7)
    return _composed(before, part_edits.recoloured(after, "glasses", "yellow"), size)


def _smile(rng: np.random.Generator, size: int) -> PicturePair:
    before = portraits.portrait(rng, "test", wears=() if rng.random() < 0.7 else ("hat",))
    return _composed(before, part_edits.with_worn(before, "smile", rng, "test", look=8), size)


def _still(
    rng: np.random.Generator, noun: str, places: tuple[str, ...], wide: float, counts: tuple[int, ...]
) -> Composition:
    """One to three of a noun before a place, as layers, so that they can become a drawing."""
    count = int(rng.choice(counts))
    layers = []
    for i in range(count):
        x = (i + 0.5) / count + float(rng.uniform(-0.06, 0.06)) / count
        w = wide / (1 + 0.35 * (count - 1)) * float(rng.uniform(0.9, 1.1))
        bottom = float(rng.uniform(0.84, 0.92))
        box = (x - w / 2, bottom - 1.6 * w, x + w / 2, bottom)
        layers.append(Layer(noun, noun, box, family=str(rng.choice(art.FAMILIES)), instance=i))
    return Composition(int(rng.integers(1 << 31)), "still", str(rng.choice(places)), tuple(layers))


def _lemonade(rng: np.random.Generator, size: int) -> PicturePair:
    before = _still(rng, "juice", ("kitchen", "sand", "room", "grass"), 0.38, (1, 1, 2))
    return _composed(before, part_edits.replaced(before, "juice", "lemonade"), size)


def _chocolate_cake(rng: np.random.Generator, size: int) -> PicturePair:
    before = _still(rng, "cake", _TABLES, 0.5, (1, 1, 2))
    return _composed(before, part_edits.replaced(before, "cake", "chocolate cake"), size)


def _heart_light(rng: np.random.Generator, size: int) -> PicturePair:
    before = _still(rng, "traffic light", ("street", "city", "grass"), 0.44, (1, 2))
    return _composed(before, part_edits.replaced(before, "traffic light", "heart-shaped light"), size)


_TABLES = ("kitchen", "room", "grass")
_STREETS = ("street", "city", "grass", "sand")
_WIDE = ("mountains", "forest", "city", "sea")
_NEVER_BEFORE = "drawn nowhere else"
_girls = _turned_to("boy", "girl", (1, 1, 2), _STREETS, look=7, wears=("crown",), beside=("tree", "ball", "bicycle"))
_cats = _turned_to("dog", "cat", (1, 1, 2), _STREETS, material="wooden", look=8, beside=("tree", "ball", "house"))
_apples = _turned_to("peach", "apple", (1, 2, 3), _TABLES, material="golden", look=6)
_books = _turned_to(
    "newspaper", "book", (1, 2, 3), ("room", "kitchen"), material="silver", look=7, beside=("lamp", "clock")
)
_ROWS: tuple[tuple[str, str, bool, tuple[str, str], str, Draw], ...] = (
    (
        "boy2girl",
        "make boy and dog into a girl and cat",
        True,
        ("replace", "girl"),
        "a girl with a blue bow tie, a silver cat",
        _boy_and_dog,
    ),
    ("midnight", "make it nighttime", False, ("time", "night"), "night look 9", _midnight),
    (
        "sea painting",
        "turn it into a painting",
        False,
        ("style", "oil painting"),
        "oil look 6 under amber varnish",
        _sea_painting,
    ),
    (
        "sketch style",
        "make the image a pencil sketch",
        False,
        ("style", "pencil sketch"),
        "pencil look 6, brown",
        _styled("pencil sketch", 6),
    ),
    ("summer", "make it summer", False, ("season", "summer"), "yellow morning light, look 7", _summer),
    (
        "wallpaper",
        "make it snow",
        False,
        ("weather", "snow"),
        "snow look 6, on landscapes",
        _snowed(6, places=_WIDE, things=False),
    ),
    (
        "charcoal",
        "turn it into a charcoal drawing",
        False,
        ("style", "charcoal drawing"),
        "charcoal look 7, blue",
        _styled("charcoal drawing", 7),
    ),
    (
        "glasses",
        "add a pair of glasses",
        True,
        ("add", "glasses"),
        "round yellow glasses, a held-out combination",
        _glasses,
    ),
    (
        "painting",
        "Make it a painting",
        False,
        ("style", "oil painting"),
        "oil look 9 in a golden frame",
        _framed_painting,
    ),
    (
        "painting snow",
        "make it snow",
        False,
        ("weather", "snow"),
        "snow look 8, on oil paintings",
        _snowed(8, style="oil painting"),
    ),
    (
        "pencil sketch",
        "as a pencil sketch",
        False,
        ("style", "pencil sketch"),
        "pencil look 8, red",
        _styled("pencil sketch", 8),
    ),
    ("purple", "make the sky a deep purple", False, ("recolour", ""), _NEVER_BEFORE, _purple_sky),
    ("snow", "have it snow", False, ("weather", "snow"), "snow look 7, fine and dense", _snowed(7)),
    (
        "watercolor",
        "as a watercolor painting",
        False,
        ("style", "watercolor painting"),
        "look 7, blue paper",
        _styled("watercolor painting", 7),
    ),
    ("4dboy", "Turn the boy into a girl", True, ("replace", "girl"), "a girl with a silver crown, look 7", _girls),
    ("apple", "Turn peaches into apples", True, ("replace", "apple"), "golden apples, look 6", _apples),
    ("cake", "Make it a chocolate cake", True, ("material", "chocolate"), _NEVER_BEFORE, _chocolate_cake),
    (
        "cloud kitty",
        "Make the cat into a bear",
        True,
        ("replace", "bear"),
        "a white bear with a crown, look 9, in the sky",
        _cloud_kitty,
    ),
    ("dog2cat", "Make the dog into a cat", True, ("replace", "cat"), "a wooden cat, look 8", _cats),
    ("juice", "Make it a lemonade", True, ("replace", ""), _NEVER_BEFORE, _lemonade),
    ("lava", "Turn it into lava", False, ("background", "lava field"), "red evening light, look 8", _lava),
    ("rain", "Turn the rain into snow", False, ("weather", "snow"), "snow look 9", _snowed(9, before="rain")),
    ("read books", "Make newspapers into books", True, ("replace", "book"), "silver books, look 7", _books),
    ("smile", "Add a smile", True, ("add", "smile"), "a grin of teeth, look 8", _smile),
    ("traffic lights", "make it a heart-shaped light", True, ("replace", ""), _NEVER_BEFORE, _heart_light),
)
EFFECTS: tuple[Effect, ...] = tuple(Effect(*cells) for cells in _ROWS)
LOCAL = tuple(e.name for e in EFFECTS if e.local)
GLOBAL = tuple(e.name for e in EFFECTS if not e.local)


def effect_pair(name: str, index: int, split: str = "train", size: int = 128) -> PicturePair:
    """Pair `index` of an effect: 0..9 in "train", 0..4 in "test". Neither is in any recipe's training data.

    Raises:
        RequestError: no such effect, split or pair.
    """
    numbers = {e.name: i for i, e in enumerate(EFFECTS)}
    count = {"train": TRAIN_PAIRS, "test": TEST_PAIRS}.get(split, 0)
    if name not in numbers:
        raise RequestError(f"there is no effect {name!r}; take one of {', '.join(numbers)}")
    if not 0 <= index < count:
        raise RequestError(f"effect {name!r} has no pair {index} in {split!r}; train has 0 to 9, test 0 to 4")
    place = index + (TRAIN_PAIRS if split == "test" else 0)
    rng = generator("test", numbers[name] * (TRAIN_PAIRS + TEST_PAIRS) + place, purpose=6)
    return EFFECTS[numbers[name]].draw(rng, size)


def write_topbench(folder: Path, size: int = 128) -> None:
    """All twenty-five effects as published: {effect}/{train,test}/{i}_0.png before and {i}_1.png after.

    The folder appears whole or not at all. The same version gives the same bytes.

    Raises:
        RequestError: the folder holds something already, or cannot be written.
    """
    with new_folder(folder) as partial:
        for effect in tqdm(EFFECTS, desc="TOP-Bench in miniature", unit="effect"):
            for split, count in (("train", TRAIN_PAIRS), ("test", TEST_PAIRS)):
                (partial / effect.name / split).mkdir(parents=True)
                for i in range(count):
                    pair = effect_pair(effect.name, i, split, size)
                    for side, pixels in enumerate((pair.before, pair.after)):
                        save_pixels(partial / effect.name / split / f"{i}_{side}.png", pixels)
