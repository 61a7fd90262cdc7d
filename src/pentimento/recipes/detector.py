"""The detector: phrases to boxes, on scenes and close-ups drawn while it trains.

Every scene is looked at twice: as it is, and zoomed into. Each look gets a dozen phrases, about half of them true:
nouns and plurals, colours and materials with nouns, groups, synonyms, what heads wear, and stuff. The false ones are
absent nouns, present nouns in a wrong colour, absent wear and stuff, and words that nobody has ever seen.
"""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor, nn

from ..data import art, drawn
from ..data.portraits import KINDS, draw_composition, render_composition
from ..data.scenes import Scene, Thing, draw_scene, random_thing, render
from ..data.vocabulary import COLOURS, MATERIALS, NOUNS, WEARABLES
from ..errors import PackError, TrainingError
from ..training import Job, TrainSettings, warm_start
from ..vision import detector as dense
from ..vision.detector import DenseDetector, DetectorConfig, DetectorNet, encode
from ..vision.layers import spell
from .naming import GROUPS, LOOKS, NAMES, PART_WORDS, STUFF, SYNONYMS, WEAR_SYNONYMS, is_part
from .parts import (
    SMALLEST,
    SMALLEST_WORN,
    Part,
    Question,
    absent_part,
    false_of_parts,
    parts_of,
    stuff_of,
    true_of_parts,
)

FOLDER = "detector"
ABSENT_PARTS = 0.15  # share of the false phrases about a scene


class Settings(TrainSettings):
    """A step of 24 pictures is about half a second on one core."""

    images: int = Field(48_000, ge=1, description="pictures to train on, two looks at each scene")
    batch_size: int = Field(24, ge=2, description="pictures a step")
    lr: float = Field(1.2e-3, gt=0, description="peak learning rate of AdamW")
    warmup_images: int = Field(1_000, ge=0, description="images over which the learning rate rises from 0")
    cooldown: float = Field(0.4, ge=0, le=1, description="last fraction of the images, with a cosine fall to 0")
    ema: float = Field(2_500, ge=0, description="half-life of the averaged weights, in images")
    workers: int = Field(1, ge=0, description="processes that draw scenes")
    phrases: int = Field(12, ge=4, description="phrases for each picture")
    boxes: int = Field(8, ge=2, description="boxes of each picture that are matched with them")
    portraits: float = Field(0.3, ge=0, le=1, description="share of the scenes that are close-ups where parts matter")


class Look(NamedTuple):
    """A scene as one picture: what is visible of its things and parts. Areas are pixels.

    A close-up is a scene without things: what can be seen in it are `parts`.
    """

    scene: Scene
    image: np.ndarray  # uint8 (128, 128, 3)
    masks: tuple[np.ndarray, ...]  # bool (128, 128), one for each thing
    stuff: dict[str, np.ndarray]
    worn: tuple[tuple[str, np.ndarray], ...]  # wearables and their visible pixels
    parts: tuple[Part, ...] = ()


class Batch(NamedTuple):
    """b pictures with k phrases and m boxes each, on a g x g grid; see `vision.detector.Targets`."""

    pictures: Tensor  # uint8 (b, 3, side, side)
    centre: Tensor  # (b, 2 kinds, g, g)
    offsets: Tensor  # (b, 2 kinds, 4, g, g)
    weight: Tensor  # (b, 2 kinds, g, g)
    stuff: Tensor  # (b, STUFF, g, g) how much of each cell is covered
    spelled: Tensor  # uint8 (b, k, words, letters)
    boxes: Tensor  # (b, m, 4) pixels; those of things, of what is worn, and of nothing
    answers: Tensor  # (b, m, k) 1 where a phrase means a box, 0 where it does not, -1 where the box is filling
    nouns: Tensor  # long (b, m) which of NAMES it is, -1 for nothing, and for a part that has no name there
    looks: Tensor  # long (b, m) which of LOOKS it has, -1 where that cannot be said
    lessons: Tensor  # uint8 (NAMES + LOOKS, words, letters) a phrase for each name, and for each look


def dressed(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with more heads that wear something: the world dresses too few to learn from."""
    things = tuple(
        replace(thing, wears=(str(rng.choice(WEARABLES)),))
        if thing.noun in art.WEARERS and not thing.wears and rng.random() < 0.4
        else thing
        for thing in scene.things
    )
    return replace(scene, things=things)


def crowded(scene: Scene, rng: np.random.Generator, split: str) -> Scene:
    """The scene's place, mostly in plain daylight, with nine things in three rows: more to learn from."""
    things: list[Thing] = []
    for i in range(9):
        thing = random_thing(rng, split)
        if i and rng.random() < 0.3:  # again the noun of another one, which is then confusable
            thing = replace(random_thing(rng, split, noun=things[int(rng.integers(i))].noun), wears=thing.wears[:0])
        x, y = ((cell + 0.5 + rng.uniform(-0.2, 0.2)) / 3 for cell in (i % 3, i // 3))
        things.append(replace(thing, x=float(x), y=float(y), size=float(rng.uniform(0.2, 0.36))))
    if rng.random() < 0.7:
        scene = Scene(scene.seed, (), scene.place, looks=scene.looks)
    return replace(scene, things=tuple(things))


def look_at(seed: int, split: str = "train", size: int = 128, crowds: bool = False) -> Look:
    """The scene of a seed with more worn things than the world gives it; with `crowds`, odd seeds are `crowded`."""
    rng = np.random.default_rng([11, seed])
    scene = draw_scene(seed, split)
    if crowds and seed % 2:
        scene = crowded(scene, rng, split)
    scene = dressed(scene, rng)
    rendering = render(scene, size)
    worn = []
    for thing, mask in zip(scene.things, rendering.masks, strict=True):
        for name in thing.wears:
            pixels = _worn_pixels(thing, name, size) & mask
            if pixels.sum() >= SMALLEST_WORN:
                worn.append((name, pixels))
    return Look(scene, rendering.image, rendering.masks, dict(rendering.parts), tuple(worn))


def close_up(seed: int, split: str = "train", size: int = 128, kinds: tuple[str, ...] = KINDS) -> Look:
    """The close-up of a seed, of one of `portraits.KINDS`."""
    composition = draw_composition(seed, split, kinds)
    rendering = render_composition(composition, size)
    scene, stuff = Scene(seed, (), composition.place), stuff_of(composition, rendering)
    return Look(scene, rendering.image, (), stuff, (), parts_of(composition, rendering))


def drawn_at(seed: int, split: str, portraits: float, kinds: tuple[str, ...] = KINDS) -> Look:
    """The close-up of a seed, for a share `portraits` of all seeds, or its scene; crowds are for training alone."""
    if np.random.default_rng([15, seed]).random() < portraits:
        return close_up(seed, split, kinds=kinds)
    return look_at(seed, split, crowds=split == "train")


def _worn_pixels(thing: Thing, name: str, size: int) -> np.ndarray:
    """The pixels that one worn thing covers, bool (size, size), as if nothing stood before it; see `scenes.render`."""
    alpha = _worn_sprite(thing.noun, thing.family, thing.wears, thing.look, name)
    if thing.flip:
        alpha = alpha.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = thing.size * size / art.CELL
    alpha = alpha.resize((max(2, round(alpha.width * scale)), max(2, round(alpha.height * scale))))
    canvas = Image.new("L", (size, size))
    canvas.paste(alpha, (round(thing.x * size - alpha.width / 2), round(thing.y * size - alpha.height / 2)))
    return np.asarray(canvas) > 127


@lru_cache(maxsize=4096)
def _worn_sprite(noun: str, family: str, wears: tuple[str, ...], look: int, name: str) -> Image.Image:
    """The alpha of one of the worn things alone, on the sprite of the whole; see `art.sprite`."""
    cell, (x, y, width) = art.CELL, art.WEARERS[noun]
    where = (x * cell, cell // 2 + y * cell), width * cell
    whole, alone = (Image.new("RGBA", (cell, cell + cell // 2)) for _ in range(2))
    whole.paste(art.glyph(noun, family), (0, cell // 2))
    for other in wears:
        drawn.wear(ImageDraw.Draw(whole), other, *where, look)
    drawn.wear(ImageDraw.Draw(alone), name, *where, look)
    covered = whole.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox()
    return alone.getchannel("A").crop(covered)


def zoomed(look: Look, rng: np.random.Generator) -> Look:
    """A random part of the picture, 50 to 100 % of its side, sometimes not square, at the net's size."""
    side = len(look.image)
    width = side * rng.uniform(0.5, 1.0)
    height = width if rng.random() < 0.6 else min(side, width * rng.uniform(0.6, 1.6))
    left, top = rng.uniform(0, side - width), rng.uniform(0, side - height)
    corners = (left, top, left + width, top + height)
    scale = side / max(width, height)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))

    def cut(mask: np.ndarray) -> np.ndarray:
        out = np.zeros((side, side), bool)
        part = Image.fromarray(mask.view(np.uint8) * 255).resize(small, Image.Resampling.BILINEAR, box=corners)
        out[: small[1], : small[0]] = np.asarray(part) > 127
        return out

    image = np.full((side, side, 3), dense.PADDING, np.uint8)
    part = Image.fromarray(look.image).resize(small, Image.Resampling.BILINEAR, box=corners)
    image[: small[1], : small[0]] = np.asarray(part)

    def kept(mask: np.ndarray) -> np.ndarray:  # what is mostly cut off is not asked for
        part = cut(mask)
        return part if part.sum() > 0.3 * scale**2 * mask.sum() else np.zeros_like(mask)

    stuff = {name: cut(mask) for name, mask in look.stuff.items()}
    worn = tuple((name, cut(mask)) for name, mask in look.worn)
    parts = tuple(part._replace(mask=kept(part.mask)) for part in look.parts)
    return Look(look.scene, image, tuple(map(kept, look.masks)), stuff, worn, parts)


def flipped(look: Look) -> Look:
    """The picture and its masks mirrored left to right; nothing that is asked here depends on the side."""
    turn = np.ascontiguousarray
    return Look(
        look.scene, turn(look.image[:, ::-1]), tuple(turn(mask[:, ::-1]) for mask in look.masks),
        {name: turn(mask[:, ::-1]) for name, mask in look.stuff.items()},
        tuple((name, turn(mask[:, ::-1])) for name, mask in look.worn),
        tuple(part._replace(mask=turn(part.mask[:, ::-1])) for part in look.parts),
    )  # fmt: skip


def questions(look: Look, count: int, rng: np.random.Generator, absent_parts: float = 0.0) -> list[Question]:
    """`count` different phrases about a look, true and false ones.

    `absent_parts` is the share of the false ones about a scene that name a part of close-ups, such as a ceiling.
    """
    true = true_questions(look, rng)
    rng.shuffle(true)
    true = true[: count // 2 + 1]
    asked = {question.phrase: question for question in true}
    while len(asked) < count:
        phrase, kind = _false(look, rng, absent_parts)
        if phrase and phrase not in asked:
            asked[phrase] = Question(phrase, (), kind)
    return list(asked.values())


def _seen(look: Look) -> list[tuple[Thing, np.ndarray]]:
    pairs = zip(look.scene.things, look.masks, strict=True)
    return [(thing, mask) for thing, mask in pairs if mask.sum() >= SMALLEST]


def colours_of(thing: Thing) -> tuple[str, ...]:
    """The colours and materials that a person may call a thing by."""
    return (thing.colour or thing.material or NOUNS[thing.noun].base,)


def true_questions(look: Look, rng: np.random.Generator) -> list[Question]:
    seen, found = _seen(look), []
    for noun in dict.fromkeys(thing.noun for thing, _ in seen):
        masks = tuple(mask for thing, mask in seen if thing.noun == noun)
        names = [noun, NOUNS[noun].plural]
        found.append(Question(str(names[int(rng.random() < 0.35)]), masks))
        if noun in SYNONYMS and rng.random() < 0.35:
            found.append(Question(str(rng.choice(SYNONYMS[noun])), masks))
        if not look.scene.grey:
            for colour in dict.fromkeys(c for thing, _ in seen if thing.noun == noun for c in colours_of(thing) if c):
                same = tuple(mask for thing, mask in seen if thing.noun == noun and colour in colours_of(thing))
                found.append(Question(f"{colour} {names[int(rng.random() < 0.35)]}", same))
    for group in dict.fromkeys(NOUNS[thing.noun].group for thing, _ in seen):
        if group in GROUPS and rng.random() < 0.25:
            masks = tuple(mask for thing, mask in seen if NOUNS[thing.noun].group == group)
            found.append(Question(str(rng.choice(GROUPS[group])), masks))
    for name in dict.fromkeys(name for name, _ in look.worn):
        masks = tuple(mask for other, mask in look.worn if other == name and mask.sum() >= SMALLEST_WORN)
        words = (name, *WEAR_SYNONYMS.get(name, ()))
        if masks and name not in NOUNS:  # a crown is a thing
            found.append(Question(str(rng.choice(words)), masks, "part"))
    for name, words in STUFF.items():
        if name in look.stuff and look.stuff[name].sum() >= SMALLEST and rng.random() < 0.5:
            found.append(Question(str(rng.choice(words)), (look.stuff[name],), "stuff"))
    return found + true_of_parts(look.parts, rng)


def _false(look: Look, rng: np.random.Generator, absent_parts: float) -> tuple[str, str]:
    """A phrase that nothing in the look answers, and its kind; "" when the dice gave a true or doubtful one."""
    if look.parts:
        phrase = false_of_parts(look.parts, tuple(look.stuff), rng) if rng.random() < 0.96 else pseudo_word(rng)
        return phrase, "thing"
    if absent_parts and rng.random() < absent_parts:
        return absent_part(look.scene, rng), "thing"
    present = {thing.noun for thing in look.scene.things}
    dice = rng.random()
    if dice < 0.4:
        noun = str(rng.choice(list(NOUNS)))
        word = noun if rng.random() < 0.65 else NOUNS[noun].plural
        if rng.random() < 0.15 and noun in SYNONYMS:
            word = str(rng.choice(SYNONYMS[noun]))
        if rng.random() < 0.2:
            word = f"{rng.choice([*COLOURS, *MATERIALS])} {word}"
        doubtful = noun in present or noun in {name for thing in look.scene.things for name in thing.wears}
        return ("" if doubtful else word), "thing"
    if dice < 0.8:
        noun = str(rng.choice(sorted(present)))
        colour = str(rng.choice([*COLOURS, *MATERIALS]))
        if rng.random() < 0.5:  # the colour of another thing in the picture
            colour = str(rng.choice([c for thing in look.scene.things for c in colours_of(thing)]))
        mine = {c for thing in look.scene.things if thing.noun == noun for c in colours_of(thing)}
        doubtful = "" in mine and colour in ("brown", "orange")  # what many natural colours are called
        if not colour or colour in mine or doubtful or look.scene.grey:
            return "", "thing"
        return f"{colour} {noun if rng.random() < 0.65 else NOUNS[noun].plural}", "thing"
    if dice < 0.88:
        name = str(rng.choice(WEARABLES))
        worn = {name for thing in look.scene.things for name in thing.wears}
        near = {"hat": "top hat", "top hat": "hat", "glasses": "sunglasses", "sunglasses": "glasses"}
        if name in worn or near.get(name) in worn or name in present:
            return "", "part"
        return (name if name == "smile" else str(rng.choice((name, *WEAR_SYNONYMS.get(name, ()))))), "part"
    if dice < 0.93:
        absent = [word for name, words in STUFF.items() if name not in look.stuff for word in words]
        return str(rng.choice(absent)), "stuff"
    if dice < 0.96:
        groups = {NOUNS[noun].group for noun in present}
        absent = [word for name, words in GROUPS.items() if name not in groups for word in words]
        return (str(rng.choice(absent)) if absent else ""), "thing"
    return pseudo_word(rng), "thing"


def pseudo_word(rng: np.random.Generator) -> str:
    """A word that means nothing, so that an unknown noun finds nothing."""
    syllables = [str(rng.choice(list("bcdfghjklmnprstvwz"))) + str(rng.choice(list("aeiou"))) for _ in range(3)]
    return "".join(syllables[: int(rng.integers(2, 4))]) + str(rng.choice(["", "n", "r", "s", "t", "ck"]))


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a mask that is not empty, in pixels; right and bottom are outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def looks(
    first: int, count: int, split: str = "train", portraits: float = 0.0, kinds: tuple[str, ...] = KINDS
) -> list[tuple[Look, np.random.Generator]]:
    """Pictures number first .. first + count - 1: scene i // 2, whole when i is even, zoomed into when odd.

    A share `portraits` of the scenes are close-ups of one of `kinds`.
    """
    found: list[tuple[Look, np.random.Generator]] = []
    seed, whole = -1, None
    for index in range(first, first + count):
        if index // 2 != seed:
            seed = index // 2
            whole = drawn_at(seed, split, portraits, kinds)
        rng = np.random.default_rng([12, index])
        look = zoomed(whole, rng) if index % 2 else whole
        found.append((flipped(look) if rng.random() < 0.5 else look, rng))
    return found


def batch(
    phrases: int, boxes: int, step: int, batch_size: int, split: str = "train", first: int = 0, portraits: float = 0.0
) -> Batch:
    """The batch of a step; pictures are counted through from the first step's, number `first`."""
    config = DetectorConfig()
    rows: list[tuple] = []
    for look, rng in looks(first + step * batch_size, batch_size, split, portraits):
        asked = questions(look, phrases, rng, ABSENT_PARTS * (portraits > 0))
        things = [(thing.noun, colours_of(thing)[0], mask) for thing, mask in _seen(look)]
        worn = [(name, "", mask) for name, mask in look.worn if mask.sum() >= SMALLEST_WORN]
        for part in look.parts:
            if part.is_seen:
                (worn if is_part(part.name) else things).append((part.name, part.look, part.mask))
        targets = [encode([box_of(mask) for *_, mask in group], config.grid, config.stride) for group in (things, worn)]
        share = [_share(look.stuff[name], config) if name in look.stuff else _share(None, config) for name in STUFF]
        rows.append((
            torch.from_numpy(np.ascontiguousarray(look.image.transpose(2, 0, 1))),
            torch.from_numpy(np.stack([t.heat.max(0, initial=0) for t in targets])),
            torch.from_numpy(np.stack([t.offsets for t in targets])),
            torch.from_numpy(np.stack([t.weight for t in targets])),
            torch.from_numpy(np.stack(share)),
            spell([question.phrase for question in asked]),
            *_crops(look, things + worn, asked, boxes, rng),
        ))  # fmt: skip
    columns = [torch.stack(column) for column in zip(*rows, strict=True)]
    return Batch._make([*columns, spell(lesson_phrases(step))])


def _share(mask: np.ndarray | None, config: DetectorConfig) -> np.ndarray:
    """How much of each cell a mask covers, (g, g) in [0, 1]."""
    grid, stride = config.grid, config.stride
    if mask is None:
        return np.zeros((grid, grid), np.float32)
    return mask.reshape(grid, stride, grid, stride).mean((1, 3), dtype=np.float32)


def _crops(
    look: Look, seen: list[tuple[str, str, np.ndarray]], asked: list[Question], count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`count` boxes of one picture, their answers to the phrases, their nouns and their looks."""
    side = len(look.image)
    boxes, answers = np.tile(np.float32([0, 0, side, side]), (count, 1)), np.full((count, len(asked)), -1, np.float32)
    nouns, told = np.full(count, -1), np.full(count, -1)
    order = rng.permutation(len(seen))[: count - 1]
    for row, index in enumerate(order):
        name, colour, mask = seen[index]
        boxes[row] = shaken(box_of(mask), 0.05 if rng.random() < 0.8 else 0.1, rng)
        answers[row] = [question.kind != "stuff" and any(m is mask for m in question.masks) for question in asked]
        if name in NAMES:
            nouns[row] = NAMES.index(name)
        if colour and not look.scene.grey:
            told[row] = LOOKS.index(colour)
    size = rng.uniform(16, 70, 2)  # one box anywhere; when no thing fills a quarter of it, nothing answers to it
    left, top = rng.uniform(0, side - size)
    there = np.s_[int(top) : int(top + size[1]), int(left) : int(left + size[0])]
    if all(mask[there].mean() < 0.25 and mask[there].sum() < 0.25 * mask.sum() for *_, mask in seen):
        boxes[len(order)] = left, top, left + size[0], top + size[1]
        answers[len(order)] = 0
    return torch.from_numpy(boxes), torch.from_numpy(answers), torch.from_numpy(nouns), torch.from_numpy(told)


def shaken(box: tuple[float, float, float, float], by: float, rng: np.random.Generator) -> tuple[float, ...]:
    """The box with each edge moved by about `by` of its width or height, as a detector moves it."""
    left, top, right, bottom = box
    moves = np.clip(rng.normal(0, by, 4), -2.5 * by, 2.5 * by) * ([right - left, bottom - top] * 2)
    return tuple(float(edge + move) for edge, move in zip(box, moves, strict=True))


def lesson_phrases(step: int) -> list[str]:
    """A phrase for each name, some plural, some with a look or another word; then one for each look, with some noun."""
    rng = np.random.default_rng([14, step])
    phrases = []
    for name in NAMES:
        look = f"{rng.choice(LOOKS)} " if rng.random() < 0.4 else ""
        others = SYNONYMS.get(name, ()) + WEAR_SYNONYMS.get(name, ())
        if others and rng.random() < 0.2:
            phrases.append(look + str(rng.choice(others)))
        else:
            phrases.append(look + (NOUNS[name].plural if name in NOUNS and rng.random() < 0.35 else name))
    return phrases + [f"{look} {rng.choice(list(NOUNS))}" for look in LOOKS]


@lru_cache
def anchors() -> Tensor:
    """A fixed random vector for each name and each look, (NAMES + LOOKS, match).

    Left to themselves, phrases and pictures that know nothing yet pull each other's vectors to zero. So both learn to
    meet at these.
    """
    generator = torch.Generator().manual_seed(0)
    return 0.5 * torch.randn(len(NAMES) + len(LOOKS), DetectorConfig().match, generator=generator)


def lesson_loss(views: Tensor, keys: dense.Keys, nouns: Tensor, told: Tensor) -> Tensor:
    """Crops say their name among all names and their look among all looks; phrases come to their anchors."""
    n, fixed = len(NAMES), anchors().to(views.device)
    of_nouns = _told((views[:, 0] @ fixed[:n].T).float(), nouns)
    of_looks = _told((views[:, 1] @ fixed[n:].T).float(), told)
    of_words = F.mse_loss(keys.vectors[:n, 0].float(), fixed[:n]) + F.mse_loss(keys.vectors[n:, 1].float(), fixed[n:])
    return of_nouns + of_looks + 4 * of_words


def _told(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the targets that are not -1; 0 when all are."""
    return F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum") / (targets >= 0).sum().clamp_min(1)


def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Quality focal loss on the centres, GIoU on the boxes, cross-entropy on stuff and on the answers, and the lesson.

    Generalized Focal Loss (Li et al. 2020), Eq. 5, with beta = 2; Generalized IoU (Rezatofighi et al. 2019).
    """
    light = 1 + 0.15 * (torch.rand(2, len(batch.pictures), 1, 1, 1, generator=generator) * 2 - 1).to(batch.boxes.device)
    pictures = (batch.pictures.float() / 127.5 - 1) * light[0] + light[1] - 1
    places = model(pictures)
    focus = (places.centre.sigmoid() - batch.centre).detach().square()
    heat = F.binary_cross_entropy_with_logits(places.centre, batch.centre, reduction="none")
    centre_loss = (focus * heat).sum() / (batch.centre == 1).sum().clamp_min(1)
    box_loss = ((1 - giou(places.offsets, batch.offsets)) * batch.weight).sum() / batch.weight.sum().clamp_min(1)
    stuff_loss = F.binary_cross_entropy_with_logits(places.stuff, batch.stuff)

    kept = batch.answers[..., 0] >= 0  # (b, m)
    seen = model.views(dense.cut(pictures, batch.boxes, model.config.crop)[kept])  # (n, 2, match)
    b, k = batch.spelled.shape[:2]
    words = model.keys(torch.cat([batch.spelled.flatten(0, 1), batch.lessons]))
    asked = dense.Keys(*(part[: b * k].unflatten(0, (b, k)) for part in words))
    views = seen.new_zeros(*kept.shape, *seen.shape[1:]).masked_scatter(kept[..., None, None], seen)
    logits = dense.agree(views, asked)[kept]  # (n, k)
    answer_loss = F.binary_cross_entropy_with_logits(logits, batch.answers[kept])
    taught = lesson_loss(seen, dense.Keys(*(part[b * k :] for part in words)), batch.nouns[kept], batch.looks[kept])
    return 0.3 * centre_loss + box_loss + 2 * stuff_loss + 4 * answer_loss + taught


def giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalized IoU of boxes given as offsets from a common point: (..., 4, g, g) twice to (..., g, g) in [-1, 1]."""
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    shared, hull = ((side[..., 0, :, :] + side[..., 2, :, :]) * (side[..., 1, :, :] + side[..., 3, :, :])
                    for side in (low, high))  # fmt: skip
    areas = sum((b[..., 0, :, :] + b[..., 2, :, :]) * (b[..., 1, :, :] + b[..., 3, :, :]) for b in (one, other))
    union = areas - shared
    return shared / union - (hull - union) / hull


def config() -> DetectorConfig:
    """What is stuff and what is a part is decided by the last word of a phrase."""
    return DetectorConfig(stuff=tuple(STUFF.values()), parts=tuple(sorted(PART_WORDS)))


def eyes_of(pack_dir: Path) -> DetectorNet:
    """The net of a pack folder's detector, for a model that looks through it.

    Raises: TrainingError when there is none yet.
    """
    try:
        return dense.load(pack_dir / FOLDER).net
    except PackError as error:
        raise TrainingError(f"this model looks through the detector ({error}): train the detector first") from error


def export(net: nn.Module, folder: Path) -> None:
    dense.save(net, folder / FOLDER)


def sample(net: nn.Module, path: Path) -> None:
    """Sixteen validation scenes with the boxes of their nouns, coloured phrases and one absent noun."""
    sheet = Image.new("RGB", (4 * 256, 4 * 256))
    for i in range(16):
        look = look_at(i, "validation")
        rng = np.random.default_rng([13, i])
        image = Image.fromarray(look.image)
        asked = questions(look, 6, rng)
        boxes = DenseDetector(net).detect(image, [question.phrase for question in asked], 0.3)
        large = image.resize((256, 256), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(large)
        true = {question.phrase for question in asked if question.masks}
        for box in boxes:
            colour = (20, 160, 60) if box.phrase in true else (220, 30, 30)
            draw.rectangle((2 * box.left, 2 * box.top, 2 * box.right, 2 * box.bottom), outline=colour, width=2)
            draw.text((2 * box.left + 3, 2 * box.top + 2), f"{box.phrase} {box.score:.2f}", colour)
        sheet.paste(large, (i % 4 * 256, i // 4 * 256))
    sheet.save(path)


def job(settings: Settings, pack_dir: Path) -> Job:
    net = DetectorNet(config())
    warm_start(net, pack_dir / FOLDER)
    fresh = partial(
        batch, settings.phrases, settings.boxes, first=1_000_000 * settings.seed, portraits=settings.portraits
    )
    return Job(net, fresh, loss, export, sample)
