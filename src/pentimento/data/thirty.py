"""InstructEdit's thirty instructions (Fig. 4, 12, 13) as pictures of the drawn world, with ground truth.

The texts and their meanings stand in `words.THIRTY`; here each gets a picture before, the picture after and its mask.
Where the world has no such thing, the nearest one stands in, and `Stage.stand_in` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..language.captions import plan_of
from ..values import Plan
from . import art, captions, part_edits, portraits
from .edits import Edit, render_edit
from .part_edits import PartEdit
from .portraits import Composition
from .scenes import Scene, Thing, generator
from .vocabulary import COLOURS
from .words import THIRTY as WORDS
from .words import EditWords


@dataclass(frozen=True)
class Case:
    """One of the thirty in one drawing: its words, and the truth in pixels.

    `before`, `after` uint8 (size, size, 3); `mask` bool: what differs; `target` bool: what `find` and `which` mean;
    `description` a caption of the picture before; `stand_in` what the world shows instead, "" for the thing itself.
    """

    text: str
    words: EditWords
    plan: Plan
    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    target: np.ndarray
    description: str
    stand_in: str


@dataclass(frozen=True)
class Stage:
    """How one of the thirty is drawn: the scene before and after, before any pixel."""

    draw: Callable[[np.random.Generator, EditWords], Edit | PartEdit]
    stand_in: str = ""


def row(rng: np.random.Generator, things: list[Thing], places: tuple[str, ...], sizes: tuple[float, ...] = ()) -> Scene:
    """Things side by side on the ground of one of the places; sizes are drawn, unless they are given."""
    count = len(things)
    base = (0.56, 0.4, 0.29, 0.23)[count - 1]
    bottom = float(rng.uniform(0.84, 0.94))
    placed = []
    for i, thing in enumerate(things):
        size = sizes[i] if sizes else base * float(rng.uniform(0.9, 1.08))
        x = (i + 0.5) / count + float(rng.uniform(-0.1, 0.1)) / count
        x, y = float(np.clip(x, size / 2, 1 - size / 2)), bottom - size / 2 + float(rng.uniform(-0.02, 0.02))
        placed.append(replace(thing, x=x, y=y, size=size, flip=bool(rng.random() < 0.5)))
    return Scene(int(rng.integers(1 << 31)), tuple(placed), str(rng.choice(places)))


def thing(rng: np.random.Generator, noun: str, colour: str = "", material: str = "", look: int = 0) -> Thing:
    """A thing of a noun in a random family of the trained two; `row` places it."""
    return Thing(noun, 0.5, 0.5, 0.4, colour, material, str(rng.choice(art.FAMILIES)), look=look)


def turned(
    scene: Scene, targets: tuple[int, ...], words: EditWords, noun: str = "", colour: str | None = None,
    material: str = "", look: int = 0, wears: tuple[str, ...] = (),
) -> Edit:  # fmt: skip
    """The edit that turns the target things into another noun, or gives them a colour or material."""
    things = list(scene.things)
    for i in targets:
        now = things[i].colour if colour is None and not noun else colour or ""
        things[i] = replace(
            things[i], noun=noun or things[i].noun, colour=now, material=material, look=look, wears=wears
        )
    return Edit(scene, replace(scene, things=tuple(things)), words, targets)


def _layers(composition: Composition, *names: str) -> tuple[int, ...]:
    return tuple(i for i, layer in enumerate(composition.layers) if layer.name in names)


def _other(rng: np.random.Generator, *taken: str) -> str:
    return str(rng.choice([c for c in COLOURS if c not in taken]))


def _swap(composition: Composition, words: EditWords, names: tuple[str, ...], new: str, family: str = "") -> PartEdit:
    after = composition
    for name in names:
        after = part_edits.replaced(after, name, new, family=family)
    return part_edits.part_edit(composition, after, words, _layers(composition, *names))


def _paint(composition: Composition, words: EditWords, name: str, colour: str = "", material: str = "") -> PartEdit:
    after = part_edits.recoloured(composition, name, colour, material)
    return part_edits.part_edit(composition, after, words, _layers(composition, name))


def _doors(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.house(rng, "test"), words, ("garage door", "main door"), "chocolate bar")


def _red_tie(rng: np.random.Generator, words: EditWords) -> PartEdit:
    jacket = "" if rng.random() < 0.4 else _other(rng, "red", "orange", "pink")
    composition = portraits.portrait(rng, "test", str(rng.choice(["man", "boy"])), ("tie",), jacket=jacket)
    shown = part_edits.recoloured(composition, "tie", _other(rng, "red", "orange", "pink", "brown", jacket))
    return _paint(shown, words, "tie", "red")


def _cat_on_the_right(rng: np.random.Generator, words: EditWords) -> Edit:
    scene = row(rng, [thing(rng, "cat"), thing(rng, "cat")], ("grass", "sand", "room"))
    return turned(scene, (1,), words, "tiger")


def _orange_cat(rng: np.random.Generator, words: EditWords) -> Edit:
    cats = [thing(rng, "cat", "orange"), thing(rng, "cat", str(rng.choice(["black", "white", "brown"])))]
    first = int(rng.integers(2))
    scene = row(rng, [cats[first], cats[1 - first]], ("grass", "street", "room"))
    return turned(scene, (0 if first == 0 else 1,), words, "tiger")


def _green_buses(rng: np.random.Generator, words: EditWords) -> Edit:
    colours = ["green", "green", str(rng.choice(["blue", "red", "white"]))]
    rng.shuffle(colours)
    scene = row(rng, [thing(rng, "bus", c) for c in colours], ("street", "city"))
    return turned(scene, tuple(i for i, c in enumerate(colours) if c == "green"), words, colour="yellow")


def _middle_bus(rng: np.random.Generator, words: EditWords) -> Edit:
    scene = row(rng, [thing(rng, "bus") for _ in range(3)], ("street", "city", "desert"))
    return turned(scene, (1,), words, "truck")


def _carrot_slices(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.plate(rng, "test", ("carrot slice", "mashed potatoes")), words, ("carrot slice",), "fries")


def _sofa(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.room(rng, "test", standing=("sofa",), vases=0), words, ("sofa",), "bench")


def _windows(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = portraits.room(rng, "test", ("window", "window"))
    return _swap(composition, words, ("window",), "painting of pikachu")


def _laptops(rng: np.random.Generator, words: EditWords) -> Edit:
    count = int(rng.integers(2, 4))
    scene = row(rng, [thing(rng, "laptop") for _ in range(count)], ("room", "kitchen"))
    return turned(scene, tuple(range(count)), words, "newspaper")


def _bigger_cat(rng: np.random.Generator, words: EditWords) -> Edit:
    family = str(rng.choice(art.FAMILIES))
    big = int(rng.integers(2))
    cats = [replace(thing(rng, "cat"), family=family) for _ in range(2)]
    scene = row(rng, cats, ("grass", "room", "forest"), (0.46, 0.27) if big == 0 else (0.27, 0.46))
    return turned(scene, (big,), words, "lion")


def _horse(rng: np.random.Generator, words: EditWords) -> Edit:
    other = thing(rng, str(rng.choice(["tree", "house", "dog", "cow"])))
    scene = row(rng, [thing(rng, "horse"), other], ("grass", "mountains", "desert"))
    return turned(scene, (0,), words, "zebra")


def _white_hair(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _paint(portraits.portrait(rng, "test", wears=(), hair="white"), words, "hair", "brown")


def _white_scarf(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = portraits.portrait(rng, "test", wears=("scarf",), jacket=_other(rng, "white", "pink"))
    return _paint(part_edits.recoloured(composition, "scarf", "white"), words, "scarf", "pink")


def _lips(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = portraits.portrait(rng, "test", str(rng.choice(["woman", "girl"])), ())
    shown = part_edits.recoloured(composition, "lips", str(rng.choice(["red", "pink", "orange"])))
    return _paint(shown, words, "lips", "purple")


def _glasses(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.portrait(rng, "test", wears=("glasses",)), words, ("glasses",), "sunglasses")


def _cake(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = part_edits.recoloured(portraits.plate(rng, "test", ("cake",)), "cake", material="chocolate")
    after = part_edits.replaced(composition, "cake", "strawberry cake")
    return part_edits.part_edit(composition, after, words, _layers(composition, "cake"))


def _mashed_potatoes(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = portraits.plate(rng, "test", ("mashed potatoes", str(rng.choice(["carrot slice", "strawberry"]))))
    return _swap(composition, words, ("mashed potatoes",), "noodles")


def _strawberries(rng: np.random.Generator, words: EditWords) -> PartEdit:
    foods = ("strawberry",) if rng.random() < 0.5 else ("strawberry", "cookie")
    return _swap(portraits.plate(rng, "test", foods), words, ("strawberry",), "shrimp")


def _oranges(rng: np.random.Generator, words: EditWords) -> PartEdit:
    foods = ("orange",) if rng.random() < 0.5 else ("orange", "banana")
    return _swap(portraits.plate(rng, "test", foods), words, ("orange",), "apple")


def _bench(rng: np.random.Generator, words: EditWords) -> Edit:
    scene = row(rng, [thing(rng, "bench"), thing(rng, "tree")], ("grass", "city"), (0.44, 0.48))
    return turned(scene, (0,), words, "sofa")


def _vases(rng: np.random.Generator, words: EditWords) -> PartEdit:
    vases = int(rng.integers(2, 4))
    return _paint(portraits.room(rng, "test", ("window",), ("sofa",), vases), words, "vase", material="wooden")


def _clock(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.room(rng, "test", ("clock",)), words, ("clock",), "curtain")


def _flowers(rng: np.random.Generator, words: EditWords) -> Edit:
    colour = str(rng.choice(["", "yellow", "white", "blue"]))
    flowers = [thing(rng, "flower", colour) for _ in range(int(rng.integers(2, 4)))]
    scene = row(rng, [*flowers, thing(rng, "butterfly")], ("grass", "forest"))
    return turned(scene, tuple(range(len(flowers))), words, colour="red")


def _painting(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.room(rng, "test", ("painting",)), words, ("painting",), "beach")


def _cupboards(rng: np.random.Generator, words: EditWords) -> PartEdit:
    composition = portraits.room(rng, "test", standing=("cupboard", "cupboard"), vases=0)
    return _swap(composition, words, ("cupboard",), "bookshelf")


def _ceiling(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.room(rng, "test"), words, ("ceiling",), "starry night sky")


def _vase(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _paint(portraits.room(rng, "test", standing=("sofa",), vases=1), words, "vase", material="golden")


def _wall(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _swap(portraits.room(rng, "test"), words, ("wall",), "forest")


def _green_jacket(rng: np.random.Generator, words: EditWords) -> PartEdit:
    return _paint(portraits.portrait(rng, "test", jacket="green"), words, "jacket", material="silver")


THIRTY: tuple[Stage, ...] = (
    Stage(_doors, "each door becomes a bar of its own"), Stage(_red_tie), Stage(_cat_on_the_right), Stage(_orange_cat),
    Stage(_green_buses), Stage(_middle_bus), Stage(_carrot_slices, "the fries come in small red boxes"), Stage(_sofa),
    Stage(_windows, "a painting of a yellow creature with long ears, for pikachu"), Stage(_laptops), Stage(_bigger_cat),
    Stage(_horse), Stage(_white_hair), Stage(_white_scarf), Stage(_lips), Stage(_glasses), Stage(_cake),
    Stage(_mashed_potatoes, "the noodles come in a bowl"), Stage(_strawberries), Stage(_oranges), Stage(_bench),
    Stage(_vases), Stage(_clock, "an alarm clock hangs on the wall"), Stage(_flowers), Stage(_painting),
    Stage(_cupboards), Stage(_ceiling), Stage(_vase), Stage(_wall), Stage(_green_jacket),
)  # fmt: skip
"""In the order of `words.THIRTY`."""


def draw_thirty(index: int, variant: int = 0, size: int = 128) -> Case:
    """Number `index` (0..29) of the thirty in one of its drawings; no training split holds it.

    Raises IndexError for another number.
    """
    asked, stage = WORDS[index], THIRTY[index]
    edit = stage.draw(generator("test", variant * len(THIRTY) + index, purpose=5), asked.words)
    words = asked.words
    plan = plan_of(words.kind, words.find, words.which, words.new)
    if isinstance(edit, Edit):
        shown = render_edit(edit, size)
        description = captions.caption(edit.before, generator("test", variant, purpose=7))
        pixels = (shown.before, shown.after, shown.mask, shown.target)
    else:
        if size != 128:
            edit = part_edits.part_edit(*edit.scenes, edit.words, edit.targets, size)
        description = portraits.caption(edit.scenes[0])
        pixels = (edit.before, edit.after, edit.mask, edit.target)
    return Case(asked.text, words, plan, *pixels, description, stage.stand_in)
