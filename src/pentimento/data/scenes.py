"""The drawn world: a scene is a function of (split, seed) and the world's version, a rendering one of the scene.

    draw_scene(seed, split) -> Scene -> render(scene, size) -> Rendering with exact masks

Captions live in `captions`, edits in `edits`. Coordinates are fractions of the picture's side.
"""

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw

from ..errors import RequestError
from . import art, atmosphere
from .backdrop import backdrop
from .poses import POSES, STANDING, posed
from .vocabulary import (
    COLOURS,
    GREY_STYLES,
    INDOORS,
    MATERIALS,
    NOUNS,
    PEOPLE,
    PLACES,
    SEASONS,
    STYLES,
    TIMES,
    WEARABLES,
    WEATHERS,
)

WORLD_VERSION = 2
SPLITS = ("train", "validation", "test")
FLYING = (
    "butterfly",
    "bee",
    "airplane",
    "rocket",
    "balloon",
    "star",
    "heart",
    "lantern",
    "painting",
    "window",
    "clock",
)


@dataclass(frozen=True)
class Thing:
    """One object. (x, y) is its centre and `size` its height (or its width, if wider), as fractions of the side.

    Both are of the thing as it stands; in another of `poses.POSES` it is drawn on, or above, the same ground.
    """

    noun: str
    x: float
    y: float
    size: float
    colour: str = ""
    material: str = ""
    family: str = "noto"
    flip: bool = False
    wears: tuple[str, ...] = ()
    look: int = 0
    pose: str = STANDING


@dataclass(frozen=True)
class Looks:
    """What words leave open: one number 0..9 for each effect (see `atmosphere`)."""

    time: int = 0
    weather: int = 0
    season: int = 0
    style: int = 0


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn; `seed` fixes clutter, stars and flakes."""

    seed: int
    things: tuple[Thing, ...]
    place: str = "grass"
    time: str = "day"
    weather: str = "clear"
    season: str = "summer"
    style: str = "photo"
    looks: Looks = Looks()

    @property
    def outdoors(self) -> bool:
        return self.place not in INDOORS

    @property
    def grey(self) -> bool:
        """Whether the style shows no colours, so that no word may speak of them."""
        return self.style in GREY_STYLES


@dataclass(frozen=True)
class Rendering:
    """`image` uint8 (size, size, 3); `masks[i]` bool (size, size), the visible pixels of `scene.things[i]`.

    `parts` holds bool masks of what is no thing: "background" (everything that no thing covers), and outdoors
    "sky" and "ground", indoors "wall" and "floor".
    """

    image: np.ndarray
    masks: tuple[np.ndarray, ...]
    parts: dict[str, np.ndarray] = field(default_factory=dict)


def generator(split: str, seed: int, purpose: int = 0) -> np.random.Generator:
    """The random stream of a seed in a split; streams of different splits never meet.

    Raises: RequestError for an unknown split.
    """
    if split not in SPLITS:
        raise RequestError(f"there is no split {split!r}: take {', '.join(SPLITS)}")
    return np.random.default_rng([WORLD_VERSION, SPLITS.index(split), purpose, seed])


def held_out(noun: str, colour: str) -> bool:
    """Whether this combination appears in no training scene (one in twelve)."""
    return zlib.crc32(f"{noun}/{colour}".encode()) % 12 == 0


def allowed(noun: str, colour: str, split: str) -> bool:
    """Whether a noun may have this colour or material in a split; people keep their natural look."""
    return noun not in PEOPLE and colour != NOUNS[noun].base and not (split == "train" and held_out(noun, colour))


def random_thing(
    rng: np.random.Generator, split: str, families: tuple[str, ...] = art.FAMILIES, noun: str = ""
) -> Thing:
    """A thing of a noun (any, if none is named) with a random look, at the middle of the picture."""
    name = noun or str(rng.choice(list(NOUNS)))
    colour = material = ""
    dice = rng.random()
    if name in PEOPLE:
        pass
    elif dice < 0.45:
        colours = [c for c in COLOURS if allowed(name, c, split)]
        colour = str(rng.choice(colours))
    elif dice < 0.53:
        materials = [m for m in MATERIALS if allowed(name, m, split)]
        material = str(rng.choice(materials)) if materials else ""
    wears: tuple[str, ...] = ()
    if name in art.WEARERS and rng.random() < 0.25:
        wears = (str(rng.choice(WEARABLES)),)
    return Thing(
        name,
        0.5,
        0.5,
        0.4,
        colour,
        material,
        str(rng.choice(families)),
        bool(rng.random() < 0.5),
        wears,
        int(rng.choice(atmosphere.TRAINED_LOOKS)),
    )


def _confusable(rng: np.random.Generator, split: str, count: int, families: tuple[str, ...]) -> list[Thing]:
    """`count` things of which at least two share a noun, and in half of the cases the colour too."""
    first = random_thing(rng, split, families)
    twins = int(rng.integers(2, count + 1))
    things = [first]
    same_colour = rng.random() < 0.5 or first.noun in PEOPLE
    colours = [c for c in COLOURS if allowed(first.noun, c, split)]
    rng.shuffle(colours)
    if not same_colour:
        things = [replace(first, colour=colours.pop(), material="")]
    for _ in range(twins - 1):
        family = first.family if rng.random() < 0.7 else str(rng.choice(families))
        twin = replace(first, flip=bool(rng.random() < 0.5), wears=(), family=family)
        things.append(twin if same_colour else replace(twin, colour=colours.pop(), material=""))
    while len(things) < count:
        other = random_thing(rng, split, families)
        if other.noun != first.noun:
            things.append(other)
    rng.shuffle(things)
    return things


def _placed(rng: np.random.Generator, things: list[Thing], overlap: bool) -> tuple[Thing, ...]:
    """Positions and sizes: one row on the ground, or two rows for three and four; `overlap` pushes two together."""
    count = len(things)
    low, high = ((0.42, 0.74), (0.27, 0.44), (0.22, 0.33), (0.19, 0.29))[count - 1]
    sizes = rng.uniform(low, high, count)
    if count > 1 and rng.random() < 0.4:  # a clearly bigger and a clearly smaller one
        sizes[int(rng.integers(count))] = high * 1.12
        sizes[int(rng.integers(count))] *= 0.78
    slots = (np.arange(count) + 0.5) / count
    xs = slots + rng.uniform(-0.12, 0.12, count) / count
    ys = rng.uniform(0.58, 0.7) + rng.uniform(-0.04, 0.04, count)
    if count >= 3 and rng.random() < 0.4 or count == 2 and rng.random() < 0.15:
        ys += np.where(np.arange(count) % 2 == int(rng.integers(2)), -0.2, 0.1)
    if overlap and count > 1:
        i = int(rng.integers(count - 1))
        gap = (sizes[i] + sizes[i + 1]) / 2 * rng.uniform(0.5, 0.72)
        middle = (xs[i] + xs[i + 1]) / 2
        xs[i], xs[i + 1] = middle - gap / 2, middle + gap / 2
    placed = []
    for thing, x, y, size in zip(things, xs, ys, sizes, strict=True):
        if thing.noun in FLYING and count < 4:
            y -= float(rng.uniform(0.05, 0.3))
        half = size / 2
        placed.append(
            replace(
                thing, x=float(np.clip(x, half, 1 - half)), y=float(np.clip(y, half, 0.97 - half)), size=float(size)
            )
        )
    return tuple(placed)


def draw_scene(seed: int, split: str = "train", families: tuple[str, ...] = art.FAMILIES) -> Scene:
    """The scene of a seed in a split ("train", "validation", "test").

    Half of the scenes with several things hold confusable instances, a third overlap.
    """
    rng = generator(split, seed)
    count = int(rng.choice([1, 2, 3, 4], p=[0.28, 0.36, 0.24, 0.12]))
    if count > 1 and rng.random() < 0.62:
        things = _confusable(rng, split, count, families)
    else:
        things = [random_thing(rng, split, families) for _ in range(count)]
    looks = Looks(*(int(v) for v in rng.choice(atmosphere.TRAINED_LOOKS, 4)))
    place = str(rng.choice(PLACES))
    scene = Scene(
        int(rng.integers(1 << 31)), _placed(rng, things, overlap=bool(rng.random() < 0.45)), place, looks=looks
    )
    dice = rng.random(4)
    if dice[0] < 0.24:
        scene = replace(scene, time=str(rng.choice(TIMES[1:])))
    if scene.outdoors and dice[1] < 0.24:
        scene = replace(scene, weather=str(rng.choice(WEATHERS[1:])))
    if scene.outdoors and dice[2] < 0.2:
        scene = replace(scene, season=str(rng.choice(SEASONS[1:])))
    if dice[3] < 0.2:
        scene = replace(scene, style=str(rng.choice(STYLES[1:])))
    if scene.grey:
        scene = replace(scene, things=tuple(replace(t, colour="", material="") for t in scene.things))
    return scene


@dataclass(frozen=True)
class _Drawing:
    """A thing's sprite with its corner in a picture, and the row of the ground below it, in pixels."""

    sprite: Image.Image
    left: int
    top: int
    ground: int


def _drawing(thing: Thing, size: int) -> _Drawing:
    picture = art.sprite(thing.noun, thing.family, thing.colour, thing.material, thing.wears, thing.look)
    scale = thing.size * size / art.CELL
    if thing.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    target = (max(2, round(picture.width * scale)), max(2, round(picture.height * scale)))
    sprite = picture.convert("RGBa").resize(target, Image.Resampling.BICUBIC, reducing_gap=2).convert("RGBA")
    ground, lift = round(thing.y * size - sprite.height / 2) + sprite.height, 0
    if thing.pose != STANDING:
        sprite, lift = posed(sprite, thing.pose, thing.flip), round(POSES[thing.pose].lift * thing.size * size)
    return _Drawing(sprite, round(thing.x * size - sprite.width / 2), ground - sprite.height - lift, ground)


def is_inside(thing: Thing, size: int = 128) -> bool:
    """Whether no border of a picture cuts the thing."""
    drawing = _drawing(thing, size)
    right, bottom = drawing.left + drawing.sprite.width, drawing.top + drawing.sprite.height
    return min(drawing.left, drawing.top) >= 0 and max(right, bottom) <= size


def render(scene: Scene, size: int = 128) -> Rendering:
    """Draw a scene at size x size pixels; the same scene and size give the same bytes."""
    ground = backdrop(scene.place, scene.season, scene.seed, size)
    canvas = Image.fromarray(ground.pixels)
    covered = np.zeros((size, size), dtype=bool)
    masks: dict[int, np.ndarray] = {}
    order = sorted(range(len(scene.things)), key=lambda i: scene.things[i].y + scene.things[i].size / 2)
    for i in order:
        thing = scene.things[i]
        drawing = _drawing(thing, size)
        sprite, left, top = drawing.sprite, drawing.left, drawing.top
        if thing.noun not in FLYING:
            shadow = Image.new("L", (size, size))
            w, base = sprite.width * 0.42, drawing.ground
            middle = left + sprite.width / 2
            ImageDraw.Draw(shadow).ellipse((middle - w, base - 0.12 * w, middle + w, base + 0.14 * w), 70)
            canvas.paste((30, 30, 40), (0, 0), shadow)
        canvas.paste(sprite, (left, top), sprite)
        alpha = Image.new("L", (size, size))
        alpha.paste(sprite.getchannel("A"), (left, top))
        mask = np.asarray(alpha) > 127
        for other in masks.values():
            other &= ~mask
        masks[i] = mask.copy()
        covered |= mask
    sky = ground.sky & ~covered
    pixels = atmosphere.light(np.asarray(canvas), sky, scene.time, scene.looks.time, scene.seed, scene.outdoors)
    pixels = atmosphere.season(pixels, scene.season, scene.looks.season, scene.seed, scene.outdoors)
    pixels = atmosphere.weather(pixels, sky, scene.weather, scene.looks.weather, scene.seed)
    pixels = atmosphere.style(pixels, scene.style, scene.looks.style, scene.seed)
    names = ("sky", "ground") if scene.outdoors else ("wall", "floor")
    below = ~ground.sky & ~covered
    parts = {"background": ~covered, names[0]: sky, names[1]: below}
    return Rendering(pixels, tuple(masks[i] for i in range(len(scene.things))), parts)
