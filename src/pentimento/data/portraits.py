"""Close-ups where parts matter: portraits, house fronts, rooms, plates of food. Every part is a layer of its own.

    draw_composition(seed, split) -> Composition -> render_composition(composition, size) -> Rendering
    parts_scene(seed, split) -> PartsScene

In a full scene a mouth is one latent cell; here lips, ties, glasses and doors are large enough to be edited. The
drawings of the parts stand in `shapes`, edits of them in `part_edits`; emoji come from `art`.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from PIL import Image

from ..language import lexicon
from . import art, atmosphere, shapes
from .backdrop import RGB, backdrop
from .scenes import Rendering, generator, held_out
from .vocabulary import COLOURS, INDOORS, NOUNS, PLACE_WORDS

KINDS = ("portrait", "house", "room", "plate")
SKINS: tuple[RGB, ...] = ((255, 219, 180), (240, 195, 150), (210, 155, 110), (160, 105, 70), (110, 72, 50))
PERSONS = ("boy", "girl", "man", "woman")
WORN = ("glasses", "sunglasses", "hat", "top hat", "crown", "scarf", "tie", "bow tie", "smile")
HAIR_COLOURS = ("brown", "black", "orange", "yellow", "white")
FACES = ("glasses", "sunglasses")
HATS = ("hat", "top hat", "crown")
NECKS = ("scarf", "tie", "bow tie")
WALL_NOUNS = ("window", "painting", "clock", "curtain")
FURNITURE = ("sofa", "bench", "bed", "chair", "cupboard", "bookshelf")
FOODS = ("strawberry", "orange", "apple", "lemon", "peach", "cookie", "donut", "egg", "mushroom", "shrimp", "fries",
          "noodles", "carrot slice", "banana", "cherry")  # fmt: skip
COLOURED = frozenset(
    ("hair", "lips", "tie", "bow tie", "scarf", "jacket", "shirt", "glasses", "main door", "garage door", "roof",
     "wall", "cake", "vase", "flower", "plate", "ceiling", *FURNITURE, "clock", "curtain")
)  # fmt: skip
DULL = frozenset(("neck", "face", "eyes", "shirt", "wall", "floor", "ceiling", "table", "plate"))
"""What every close-up of its kind has; captions leave it out."""
FILLINGS = {"forest": "forest", "beach": "sand", "city": "city", "starry night sky": ""}
"""What can stand inside the outline of a layer, and the place that is drawn there."""


@dataclass(frozen=True)
class Layer:
    """One part. `name` is what a person calls one of them; layers with equal `name` and `instance` are one thing.

    `shape` is a drawing of `shapes.SHAPES`, a noun of the vocabulary or something worn; it fills `box` (left, top,
    right, bottom, fractions of the side, which may reach outside). `tone` is the natural colour of a drawing without
    `colour` or `material`. `filling` paints a place inside the outline. `owner` is the person whose part it is.
    """

    name: str
    shape: str
    box: tuple[float, float, float, float]
    colour: str = ""
    material: str = ""
    tone: RGB = (205, 205, 205)
    filling: str = ""
    owner: str = ""
    family: str = "noto"
    look: int = 0
    instance: int = 0

    @property
    def phrase(self) -> str:
        """What a person calls it, with its colour or material: "red tie"."""
        return " ".join(word for word in (self.colour or self.material, self.name) if word)


@dataclass(frozen=True)
class Composition:
    """A close-up: layers from back to front before the backdrop of a place. `kind` is one of KINDS or "still"."""

    seed: int
    kind: str
    place: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class PartsScene:
    """A close-up for a detector: for each phrase the visible pixels of everything it names, one bool mask a thing."""

    image: np.ndarray
    phrases: dict[str, tuple[np.ndarray, ...]]
    caption: str


def _filled(layer: Layer, size: int) -> Image.Image:
    """The place inside a layer's outline, RGB (size, size), drawn where the layer lies."""
    left, top, right, bottom = (round(v * size) for v in layer.box)
    side = max(right - left, bottom - top, 8)
    place = FILLINGS[layer.filling]
    if place:
        inside = Image.fromarray(backdrop(place, "summer", layer.look, side).pixels)
    else:
        inside = shapes.starry_sky(side, layer.look)
    picture = Image.new("RGB", (size, size))
    picture.paste(inside.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR), (left, top))
    return picture


@lru_cache(maxsize=512)
def _painted(layer: Layer, size: int) -> Image.Image:
    """A layer alone, straight-alpha RGBA (size, size)."""
    if layer.shape in NOUNS and not layer.owner:
        picture = art.sprite(layer.shape, layer.family, layer.colour, layer.material, (), layer.look)
        left, top, right, bottom = (v * size for v in layer.box)
        scale = min((right - left) / picture.width, (bottom - top) / picture.height)
        wanted = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.convert("RGBa").resize(wanted, Image.Resampling.BICUBIC, reducing_gap=2).convert("RGBA")
        canvas = Image.new("RGBA", (size, size))
        canvas.paste(picture, (round((left + right - picture.width) / 2), round(bottom - picture.height)))
    else:
        rgb = COLOURS[layer.colour] if layer.colour else layer.tone
        canvas = shapes.paint(layer.shape, layer.box, rgb, layer.look, size)
        if layer.material:
            canvas = art.of_material(canvas, layer.material, layer.look)
    if layer.filling:
        inside = _filled(layer, size)
        inside.putalpha(canvas.getchannel("A"))
        canvas = inside
    return canvas


def render_composition(composition: Composition, size: int = 128) -> Rendering:
    """Draw a close-up at size x size pixels.

    `masks[i]` are the visible pixels of `composition.layers[i]`; `parts` unites them by name and by owner, and holds
    what is seen of the backdrop, by the names that a full scene has for it: "background", "sky", "ground" and so on.
    """
    ground = backdrop(composition.place, "summer", composition.seed, size)
    canvas = Image.fromarray(ground.pixels)
    masks: list[np.ndarray] = []
    for layer in composition.layers:
        painted = _painted(layer, size)
        canvas.paste(painted, (0, 0), painted)
        mask = np.asarray(painted.getchannel("A")) > 127
        for other in masks:
            other &= ~mask
        masks.append(mask)
    parts: dict[str, np.ndarray] = {}
    for layer, mask in zip(composition.layers, masks, strict=True):
        for name in filter(None, (layer.name, layer.owner)):
            parts[name] = parts[name] | mask if name in parts else mask
    behind = ~np.logical_or.reduce(masks) if masks else np.ones((size, size), bool)
    above, below = ("wall", "floor") if composition.place in INDOORS else ("sky", "ground")
    for name, mask in (("background", behind), (above, behind & ground.sky), (below, behind & ~ground.sky)):
        parts[name] = parts[name] | mask if name in parts else mask
    return Rendering(np.asarray(canvas), tuple(masks), parts)


def random_colour(rng: np.random.Generator, split: str, name: str, options: tuple[str, ...] = tuple(COLOURS)) -> str:
    """One of `options` that the split allows for a part of this name; any of them when it allows none."""
    allowed = [c for c in options if not (split == "train" and held_out(name, c))]
    return str(rng.choice(allowed or list(options)))


def portrait(
    rng: np.random.Generator, split: str = "train", person: str = "", wears: tuple[str, ...] | None = None,
    hair: str = "", jacket: str | None = None,
) -> Composition:  # fmt: skip
    """Head and shoulders of one of PERSONS; what is not named is drawn at random. `jacket` "" means none."""
    who = person or str(rng.choice(PERSONS))
    skin = SKINS[int(rng.integers(len(SKINS)))]
    scale = float(rng.uniform(0.84, 0.96))
    left, top = 0.5 - scale / 2 + float(rng.uniform(-0.07, 0.07)), float(rng.uniform(0.02, 0.09))
    box = (left, top, left + scale, top + scale)
    if wears is None:
        chances = ((FACES, 0.4), (HATS, 0.25), (NECKS, 0.5))
        wears = tuple(str(rng.choice(group)) for group, chance in chances if rng.random() < chance)
    hair = hair or random_colour(rng, split, "hair", HAIR_COLOURS)
    if jacket is None:
        jacket = random_colour(rng, split, "jacket") if rng.random() < 0.45 else ""
    look = int(rng.choice(atmosphere.TRAINED_LOOKS))
    lips = ("pink", "brown") if who in ("boy", "man") else ("red", "pink", "brown", "purple", "orange")

    def part(name: str, shape: str, colour: str = "", tone: RGB = skin) -> Layer:
        return Layer(name, shape, box, colour, tone=tone, owner=who, look=look)

    layers = [part("hair", f"{who} hair behind", hair)] if who in ("girl", "woman") else []
    layers += [part("shirt", "shirt", random_colour(rng, split, "shirt")), part("neck", "neck")]
    layers.append(part("shirt", "collar", layers[-2].colour))
    if jacket:
        layers.append(part("jacket", "jacket", jacket))
    layers += [part("face", "face"), part("eyes", "eyes", tone=COLOURS[hair])]
    if "smile" in wears:
        layers.append(part("smile", "smile"))
    else:
        layers.append(part("lips", "lips", random_colour(rng, split, "lips", lips)))
    layers.append(part("hair", f"{who} hair", hair))
    layers += [random_worn(w, box, who, rng, split) for w in wears if w != "smile"]
    places = ("grass", "sand", "street", "forest", "room", "mountains", "city", "kitchen", "snow", "sea")
    return Composition(int(rng.integers(1 << 31)), "portrait", str(rng.choice(places)), tuple(layers))


def random_worn(
    name: str, box: tuple[float, float, float, float], who: str, rng: np.random.Generator, split: str
) -> Layer:
    """Something of WORN on a person whose head fills `box`, in a random look, and colour where it has one."""
    look = int(rng.choice(atmosphere.TRAINED_LOOKS))
    coloured = name in ("tie", "scarf", "glasses", "bow tie")
    return Layer(name, name, box, random_colour(rng, split, name) if coloured else "", owner=who, look=look)


def house(rng: np.random.Generator, split: str = "train") -> Composition:
    """The front of a house: roof, main door, garage door, windows."""
    dx, dy = float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.03, 0.05))
    flip = bool(rng.random() < 0.5)
    walls: tuple[RGB, ...] = ((238, 222, 190), (226, 232, 236), (214, 190, 165), (240, 214, 206), (206, 222, 204))

    def at(left: float, t: float, r: float, b: float) -> tuple[float, float, float, float]:
        x0, x1 = (1 - r, 1 - left) if flip else (left, r)
        return x0 + dx, t + dy, x1 + dx, b + dy

    wall = walls[int(rng.integers(len(walls)))]
    roof = random_colour(rng, split, "roof", ("red", "brown", "black", "blue", "green", "orange"))
    layers = [
        Layer("wall", "plaster", at(0.56, 0.5, 0.95, 0.9), tone=wall),
        Layer("wall", "plaster", at(0.07, 0.36, 0.57, 0.9), tone=wall),
        Layer("roof", "flat roof", at(0.53, 0.42, 0.98, 0.53), roof),
        Layer("roof", "gable", at(0.02, 0.08, 0.62, 0.4), roof),
        Layer("window", "round window", at(0.26, 0.21, 0.38, 0.33), instance=0),
        Layer("window", "house window", at(0.13, 0.5, 0.31, 0.69), instance=1),
        Layer("main door", "panel door", at(0.37, 0.54, 0.51, 0.9), random_colour(rng, split, "main door")),
        Layer("garage door", "garage door", at(0.61, 0.59, 0.91, 0.9), random_colour(rng, split, "garage door")),
    ]
    place = str(rng.choice(["grass", "street", "snow", "sand", "mountains"]))
    return Composition(int(rng.integers(1 << 31)), "house", place, tuple(layers))


def room(
    rng: np.random.Generator, split: str = "train", hanging: tuple[str, ...] = (), standing: tuple[str, ...] = (),
    vases: int | None = None,
) -> Composition:  # fmt: skip
    """A room with walls, ceiling and floor; nouns hang on the wall and stand on the floor, vases on a table."""
    tones: tuple[RGB, ...] = ((236, 218, 190), (206, 222, 230), (222, 232, 208), (238, 212, 208), (224, 214, 236))
    floors: tuple[RGB, ...] = ((176, 122, 78), (150, 100, 66), (196, 160, 120), (120, 112, 110))
    hanging = hanging or tuple(str(n) for n in rng.choice(WALL_NOUNS, int(rng.integers(1, 3))))
    vases = int(rng.choice([0, 0, 1, 2, 3])) if vases is None else vases
    standing = standing or tuple(str(n) for n in rng.choice(FURNITURE, 1 if vases else int(rng.integers(1, 3))))
    family = str(rng.choice(art.FAMILIES))
    ceiling: RGB = (246, 244, 238) if rng.random() < 0.7 else (228, 220, 205)
    whole = (0.0, 0.0, 1.0, 1.0)
    layers = [
        Layer("floor", "floor", whole, tone=floors[int(rng.integers(len(floors)))]),
        Layer("wall", "walls", whole, tone=tones[int(rng.integers(len(tones)))], look=int(rng.integers(6))),
        Layer("ceiling", "ceiling", whole, tone=ceiling),
    ]

    def noun(name: str, box: tuple[float, float, float, float], instance: int) -> Layer:
        colour = random_colour(rng, split, name) if name in COLOURED and rng.random() < 0.4 else ""
        return Layer(name, name, box, colour if colour != NOUNS[name].base else "", family=family, instance=instance)

    for i, name in enumerate(hanging):
        x = 0.15 + 0.7 * (i + 0.5) / len(hanging) + float(rng.uniform(-0.03, 0.03))
        w = 0.14 if len(hanging) < 3 else 0.1
        layers.append(noun(name, (x - w, 0.24, x + w, 0.24 + 1.9 * w), i))
    slots = len(standing) + bool(vases)
    for i, name in enumerate(standing):
        x = 0.06 + 0.88 * (i + 0.5) / slots
        w = min(0.3, 0.42 / slots + 0.06)
        layers.append(noun(name, (x - w, 0.86 - 1.5 * w, x + w, 0.86 + float(rng.uniform(0, 0.06))), i))
    if vases:
        x = 0.06 + 0.88 * (slots - 0.5) / slots
        w = 0.21 if standing else 0.3
        layers.append(Layer("table", "table", (x - w, 0.68, x + w, 0.96), family=family, instance=9))
        flowers = bool(rng.random() < 0.6)
        tone = random_colour(rng, split, "flower", ("yellow", "white", "blue", "orange")) if rng.random() < 0.5 else ""
        look = random_colour(rng, split, "vase") if rng.random() < 0.4 else ""
        for i in range(vases):
            vx, v = x - w + 2 * w * (i + 0.5) / vases, min(0.11, 0.85 * w / vases)
            if flowers:
                stem = (vx - v * 0.75, 0.69 - 3.5 * v, vx + v * 0.75, 0.69 - 1.8 * v)
                layers.append(Layer("flower", "flower", stem, tone, family=family, instance=i))
            layers.append(Layer("vase", "vase", (vx - v, 0.69 - 2.1 * v, vx + v, 0.7), look, family=family, instance=i))
    return Composition(int(rng.integers(1 << 31)), "room", "room", tuple(layers))


def plate(rng: np.random.Generator, split: str = "train", foods: tuple[str, ...] = ()) -> Composition:
    """A plate from above with one food in several pieces, mashed potatoes, a cake, or two foods side by side."""
    cloths: tuple[RGB, ...] = ((190, 60, 60), (70, 120, 180), (90, 150, 90), (200, 160, 80), (150, 110, 170))
    if not foods:
        first = str(rng.choice((*FOODS, "mashed potatoes", "cake")))
        other = str(rng.choice([f for f in (*FOODS, "mashed potatoes") if f != first]))
        foods = (first, other) if first != "cake" and rng.random() < 0.6 else (first,)
    family = str(rng.choice(art.FAMILIES))
    wooden = bool(rng.random() < 0.5)
    tone: RGB = (178, 124, 80) if wooden else cloths[int(rng.integers(5))]
    layers = [
        Layer("table", "boards" if wooden else "cloth", (0.0, 0.0, 1.0, 1.0), tone=tone, instance=9),
        Layer("plate", "plate", (0.04, 0.1, 0.96, 0.97), tone=(250, 250, 250)),
    ]
    side = bool(rng.random() < 0.5)
    for k, food in enumerate(foods):
        left = 0.14 if len(foods) == 1 or (k == 0) == side else 0.51
        right = 0.86 if len(foods) == 1 else left + 0.35
        layers += _helping(food, left, right, family, rng, split)
    return Composition(int(rng.integers(1 << 31)), "plate", "kitchen", tuple(layers))


def _helping(food: str, left: float, right: float, family: str, rng: np.random.Generator, split: str) -> list[Layer]:
    """The layers of one food between two sides of a plate."""
    middle, half = (left + right) / 2, (right - left) / 2
    if food == "cake":
        colours = ("pink", "yellow", "white", "green", "blue")
        colour = random_colour(rng, split, "cake", colours) if rng.random() < 0.5 else ""
        material = "" if colour else "chocolate"
        box = (middle - 0.33, 0.18, middle + 0.33, 0.84)
        return [Layer("cake", "layer cake", box, colour, material, look=int(rng.integers(6)))]
    if food == "mashed potatoes":
        return [Layer(food, food, (middle - half, 0.34, middle + half, 0.74), tone=(246, 226, 160))]
    spots = ((0.0, 0.3), (-0.5, 0.47), (0.5, 0.47), (0.0, 0.6)) if half < 0.3 else (
        (-0.42, 0.3), (0.4, 0.3), (-0.62, 0.54), (0.0, 0.47), (0.62, 0.54), (-0.3, 0.72), (0.34, 0.72)
    )  # fmt: skip
    count = int(rng.integers(2, len(spots) + 1))
    r = 0.09 if half < 0.3 else 0.115
    layers = []
    for i, (dx, y) in enumerate(sorted(spots[:count], key=lambda spot: spot[1])):
        x, y = middle + dx * half + float(rng.uniform(-0.012, 0.012)), y + 0.03 + float(rng.uniform(-0.012, 0.012))
        layers.append(Layer(food, food, (x - r, y - r, x + r, y + r), tone=(246, 140, 40), family=family, instance=i))
    return layers


_DRAW = {"portrait": portrait, "house": house, "room": room, "plate": plate}


def draw_composition(seed: int, split: str = "train", kinds: tuple[str, ...] = KINDS) -> Composition:
    """The close-up of a seed in a split: half of them portraits."""
    rng = generator(split, seed, purpose=3)
    weights = np.array([3.0 if k == "portrait" else 1.0 for k in kinds])
    return _DRAW[str(rng.choice(list(kinds), p=weights / weights.sum()))](rng, split)


def instances(composition: Composition, name: str) -> list[tuple[int, ...]]:
    """The things of a name (or an owner's person), each as the indices of its layers."""
    found: dict[int, list[int]] = {}
    for i, layer in enumerate(composition.layers):
        if layer.name == name or layer.owner == name:
            found.setdefault(layer.instance if layer.name == name else -1, []).append(i)
    return [tuple(indices) for indices in found.values()]


def named(composition: Composition, name: str) -> str:
    """What a person calls the things of a name: "a red tie", "windows"."""
    looks = {layer.phrase for layer in composition.layers if layer.name == name}
    said = looks.pop() if len(looks) == 1 else name
    return lexicon.article(said if len(instances(composition, name)) == 1 else lexicon.plural(said))


def caption(composition: Composition) -> str:
    """What the close-up shows: "photo of a man with brown hair and a red tie, on grass"."""
    layers = composition.layers
    seen = dict.fromkeys(layer.name for layer in layers)
    one = partial(named, composition)
    if composition.kind == "portrait":
        worn = [one(n) for n in sorted(seen, key=lambda n: n != "hair") if n not in DULL]
        return (
            f"photo of {lexicon.article(layers[0].owner)} with {' and '.join(worn)}, {PLACE_WORDS[composition.place]}"
        )
    if composition.kind == "house":
        fronts = [one(n) for n in seen if n not in DULL]
        return f"photo of a house with {' and '.join(fronts)}, {PLACE_WORDS[composition.place]}"
    tail = {"room": "in a room", "plate": "on a plate"}.get(composition.kind, PLACE_WORDS[composition.place])
    return f"photo of {' and '.join(one(n) for n in seen if n not in DULL) or 'the background'}, {tail}"


def parts_scene(seed: int, split: str = "train", size: int = 128) -> PartsScene:
    """A close-up with every phrase that names something visible in it: "tie", "red tie", "windows", "woman".

    Things of which fewer than 16 pixels (at 128) can be seen are left out; a phrase whose things are all hidden is too.
    """
    composition = draw_composition(seed, split)
    rendering = render_composition(composition, size)
    phrases: dict[str, list[np.ndarray]] = {}
    for name in dict.fromkeys(layer.name for layer in composition.layers if layer.name != "neck"):
        for thing in instances(composition, name):
            mask = np.logical_or.reduce([rendering.masks[i] for i in thing])
            if mask.sum() < 16 * (size / 128) ** 2:
                continue
            said = [composition.layers[thing[0]].phrase, name]
            for phrase in dict.fromkeys((*said, *(lexicon.plural(p) for p in said))):
                phrases.setdefault(phrase, []).append(mask)
    owner = next((layer.owner for layer in composition.layers if layer.owner), "")
    if owner:
        phrases[owner] = [rendering.parts[owner]]
    return PartsScene(rendering.image, {k: tuple(v) for k, v in phrases.items()}, caption(composition))
