"""How well a pack sees: masks of phrases, things that are not there, the right one of several, captions.

Ground truth scores and does nothing else: a segmenter gets the picture and the words. `Lookup` is the row beside it,
which knows the world's colours and mean pictures of its nouns but learns nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..data.captions import phrase
from ..data.edits import references
from ..data.scenes import Scene, draw_scene, render
from ..data.vocabulary import COLOURS, NOUNS, STYLES
from ..errors import NothingFound
from ..language import lexicon
from ..roles import Captioner, Segmenter
from ..values import Box, Found
from ..vision.detector import suppress
from ..vision.select import select
from .statistics import Figure, mean, share

RIGHT = 0.5  # intersection over union from which a mask counts as the thing that was meant
STUFF = ("background", "sky", "ground", "wall", "floor")
CHOICES = ("left", "middle", "right", "nth", "largest", "smallest", "top", "bottom", "look", "all")


def mask_overlaps(segmenter: Segmenter, n: int = 200, split: str = "test", seed: int = 0) -> dict[str, Figure]:
    """Mean intersection over union with the truth over n scenes, for "noun", "look" (colour or material and noun)
    and "stuff". A phrase that is not found counts as 0; a noun's truth is all its instances (`which` is "all").
    """
    rng = np.random.default_rng([41, seed])
    found: dict[str, list[float]] = {"noun": [], "look": [], "stuff": []}
    for number in range(n):
        scene = draw_scene(seed + number, split)
        rendering = render(scene)
        image = Image.fromarray(rendering.image)
        thing = scene.things[int(rng.integers(len(scene.things)))]
        words = {"noun": thing.noun, "look": phrase(thing)}
        same = {
            "noun": [m for t, m in zip(scene.things, rendering.masks, strict=True) if t.noun == thing.noun],
            "look": [m for t, m in zip(scene.things, rendering.masks, strict=True) if phrase(t) == phrase(thing)],
        }
        plain = any(t.noun == thing.noun and phrase(t) == t.noun for t in scene.things)
        for kind, said in words.items():
            truth = np.logical_or.reduce(same[kind])
            if truth.any() and not (kind == "look" and (plain or scene.style != "photo")):
                found[kind].append(overlap(_mask(segmenter, image, said, "all"), truth))
        part = STUFF[int(rng.integers(len(STUFF)))]
        if part in rendering.parts and rendering.parts[part].any():
            found["stuff"].append(overlap(_mask(segmenter, image, part, "best"), rendering.parts[part]))
    return {kind: mean(values, rng) for kind, values in found.items()}


def false_finds(segmenter: Segmenter, n: int = 200, split: str = "test", seed: int = 0) -> dict[str, Figure]:
    """How often something is found that is not there: an absent "noun", a present noun in a wrong "look"."""
    rng = np.random.default_rng([42, seed])
    count, asked = {"noun": 0, "look": 0}, {"noun": 0, "look": 0}
    for number in range(n):
        scene = draw_scene(seed + number, split)
        image = Image.fromarray(render(scene).image)
        worn = {name for thing in scene.things for name in thing.wears}
        absent = [name for name in NOUNS if name not in {thing.noun for thing in scene.things} | worn]
        asked["noun"] += 1
        count["noun"] += int(_mask(segmenter, image, str(rng.choice(absent)), "best").any())
        thing = scene.things[int(rng.integers(len(scene.things)))]
        looks = {t.colour or t.material for t in scene.things if t.noun == thing.noun}
        wrong = [c for c in COLOURS if c not in looks and c != NOUNS[thing.noun].base]
        if "" not in looks and scene.style == "photo":  # a natural look might have any colour
            asked["look"] += 1
            count["look"] += int(_mask(segmenter, image, f"{rng.choice(wrong)} {thing.noun}", "best").any())
    return {kind: share(int(count[kind]), asked[kind]) for kind in count}


def right_object(segmenter: Segmenter, n: int = 50, split: str = "test", seed: int = 0) -> dict[str, Figure]:
    """How often the right one of several confusable things is found, for each of CHOICES over up to n questions.

    Right means that the mask overlaps the truth by at least RIGHT and no other thing by more. "look" is a colour or
    material that tells one from its like; "all" is every one of them.
    """
    hits, asked = dict.fromkeys(CHOICES, 0), dict.fromkeys(CHOICES, 0)
    for number in range(40 * n):
        if min(asked.values()) >= n:
            break
        scene = draw_scene(seed + number, split)
        questions = _questions(scene)
        wanted = [question for question in questions if asked[question[0]] < n]
        if not wanted:
            continue
        rendering = render(scene)
        image = Image.fromarray(rendering.image)
        for choice in dict.fromkeys(question[0] for question in wanted):
            reference = next(r for kind, r in wanted if kind == choice)
            truth = np.logical_or.reduce([rendering.masks[i] for i in reference.targets])
            if not truth.any():
                continue
            mask = _mask(segmenter, image, reference.phrase, reference.which)
            own = overlap(mask, truth)
            others = [overlap(mask, m) for i, m in enumerate(rendering.masks) if i not in reference.targets]
            asked[choice] += 1
            hits[choice] += own >= RIGHT and own >= max(others, default=0.0)
    return {choice: share(int(hits[choice]), asked[choice]) for choice in CHOICES}


def _questions(scene: Scene) -> list:
    """References that need a choice among things of the same noun, each with its name among CHOICES."""
    found = []
    for reference in references(scene):
        noun = scene.things[reference.targets[0]].noun
        if sum(thing.noun == noun for thing in scene.things) < 2:
            continue
        which = reference.which
        if which == "best":
            if scene.style == "photo":
                found.append(("look", reference))
        else:
            found.append(("nth" if " from " in which else which, reference))
    return found


def captions(captioner: Captioner, n: int = 200, split: str = "test", seed: int = 0) -> dict[str, Figure]:
    """What a captioner tells: "style" (its answer to the question about the kind of art is the scene's), "nouns"
    (share of the scene's things that are named, mean), "looks" (the same with their colour or material) and "invented"
    (share of the named nouns that are not there).
    """
    rng = np.random.default_rng([44, seed])
    styles, nouns, looks, invented, said_all = 0, [], [], 0, 0
    for number in range(n):
        scene = draw_scene(seed + number, split)
        image = Image.fromarray(render(scene).image)
        style = captioner.ask(image, "Is this a photo, a painting or another kind of art?")
        styles += style == scene.style
        said = captioner.ask(image, f"{style if style in STYLES else 'photo'} of")
        named = named_nouns(said)
        there = [thing.noun for thing in scene.things]
        worn = {name for thing in scene.things for name in thing.wears}
        nouns.append(float(np.mean([noun in named for noun in there])))
        if scene.style == "photo":
            looks.append(float(np.mean([phrase(thing) in said for thing in scene.things])))
        invented += sum(noun not in there and noun not in worn for noun in named)
        said_all += len(named)
    return {
        "style": share(styles, n), "nouns": mean(nouns, rng), "looks": mean(looks, rng),
        "invented": share(invented, said_all),
    }  # fmt: skip


def named_nouns(text: str) -> set[str]:
    """The world's nouns that a text names, singular; "red fish" names a fish, "orange cat" no orange."""
    words = text.replace(",", " ,").split()
    singles = [lexicon.singular(word) for word in words]
    found = {noun for noun in NOUNS if " " in noun and f" {noun} " in f" {' '.join(singles)} "}
    for i, word in enumerate(singles):
        following = singles[i + 1] if i + 1 < len(singles) else ""
        if word in NOUNS and not (word in COLOURS and following in NOUNS):
            found.add(word)
    return found


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks; two empty masks agree."""
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 1.0


def _mask(segmenter: Segmenter, image: Image.Image, said: str, which: str) -> np.ndarray:
    try:
        return segmenter.find(image, [said], which).mask
    except NothingFound:
        return np.zeros((image.height, image.width), bool)


@dataclass(frozen=True)
class Lookup:
    """Fulfils `roles.Segmenter` without learning: a colour threshold and a template for every noun.

    A noun's template is the mean of its first pictures in training scenes. It slides over the picture in four sizes;
    where the normalised correlation is a maximum of at least `threshold`, there is a box. A colour word keeps the boxes
    whose pixels are mostly of that colour. A box's mask is what differs from the colour of its rim.
    """

    threshold: float = 0.55
    side: int = 128
    sizes: tuple[int, ...] = (24, 36, 52, 76)
    examples: int = 4

    def find(self, image: Image.Image, phrases: Sequence[str], which: str | Sequence[str] = "best") -> Found:
        """Raises: NothingFound."""
        small = np.asarray(image.convert("RGB").resize((self.side, self.side)))
        boxes: list[Box] = []
        for said in phrases:
            found, best = self._boxes(small, said)
            if not found:
                raise NothingFound(said, best, self.threshold)
            boxes += found
        chosen = select(boxes, which, self.threshold)
        mask = np.logical_or.reduce([_unlike_rim(small, box) for box in chosen])
        full = Image.fromarray(mask.view(np.uint8) * 255).resize(image.size, Image.Resampling.NEAREST)
        return Found(np.asarray(full) > 0, tuple(chosen))

    def _boxes(self, small: np.ndarray, said: str) -> tuple[list[Box], float]:
        *looks, noun = lexicon.singular(said).split(" ") if said not in NOUNS else (said,)
        if noun not in NOUNS:
            return [], 0.0
        picture = torch.from_numpy(small.copy()).permute(2, 0, 1).float() / 255
        boxes, scores = [], []
        for size in self.sizes:
            score = correlate(picture, templates(noun, self.examples), size)  # (h, w)
            peak = (score == F.max_pool2d(score[None, None], 7, 1, 3)[0, 0]) & (score >= self.threshold / 2)
            for row, column in torch.nonzero(peak).tolist():
                boxes.append([column, row, column + size, row + size])
                scores.append(float(score[row, column]))
        if not boxes:
            return [], 0.0
        corners, values = torch.tensor(boxes, dtype=torch.float), torch.tensor(scores)
        kept = [int(i) for i in suppress(corners, values, 0.3) if values[i] >= self.threshold]
        found = [Box(boxes[i][0], boxes[i][1], boxes[i][2], boxes[i][3], scores[i], said) for i in kept]
        for look in looks:
            found = [box for box in found if look not in COLOURS or _is_mostly(small, box, look)]
        return found, float(values.max())


@lru_cache(maxsize=256)
def templates(noun: str, count: int, side: int = 24) -> Tensor:
    """The first pictures of a noun in training scenes, cut out by their masks: (count, 4, side, side), alpha last."""
    found: list[Tensor] = []
    for seed in range(20_000):
        scene = draw_scene(seed)
        at = [i for i, t in enumerate(scene.things) if t.noun == noun and not t.colour and not t.material]
        if not at or scene.style != "photo" or scene.weather != "clear" or scene.time != "day":
            continue
        rendering = render(scene)
        mask = rendering.masks[at[0]]
        if mask.sum() < 200:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        rgba = np.dstack([rendering.image[cut], mask[cut].view(np.uint8) * 255])
        square = Image.fromarray(rgba, "RGBA").resize((side, side), Image.Resampling.BILINEAR)
        found.append(torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 255)
        if len(found) == count:
            break
    return torch.stack(found)


def correlate(picture: Tensor, cards: Tensor, size: int) -> Tensor:
    """The best normalised correlation of grey (3, h, w) with any of the cards at each place, (h - size + 1, ...)."""
    grey = picture.mean(0)[None, None]
    cards = F.interpolate(cards, size=(size, size), mode="bilinear", antialias=True)
    card, weight = cards[:, :3].mean(1, keepdim=True), cards[:, 3:] > 0.5
    weight = weight.float() / weight.float().sum((2, 3), keepdim=True)
    centred = card - (card * weight).sum((2, 3), keepdim=True)
    own = (centred.square() * weight).sum((2, 3))[..., None, None].transpose(0, 1)  # (1, n, 1, 1)
    both = F.conv2d(grey, centred * weight)
    average, squares = F.conv2d(grey, weight), F.conv2d(grey.square(), weight)
    spread = (squares - average.square()).clamp_min(1e-4)
    return (both / (spread * own).sqrt().clamp_min(1e-4))[0].amax(0)


def _is_mostly(small: np.ndarray, box: Box, colour: str) -> bool:
    """Whether of all colours this one is the nearest to most of the box's unlike-rim pixels' mean hue."""
    pixels = small[_unlike_rim(small, box)].astype(float)
    if not len(pixels):
        return False
    names = list(COLOURS)
    distances = np.linalg.norm(pixels[:, None] - np.array([COLOURS[name] for name in names])[None], axis=-1)
    return names[int(np.bincount(distances.argmin(1), minlength=len(names)).argmax())] == colour


def _unlike_rim(small: np.ndarray, box: Box, by: float = 40.0) -> np.ndarray:
    """The pixels in a box that differ from the median colour of the rim of their row half; bool (h, w)."""
    mask = np.zeros(small.shape[:2], bool)
    left, top, right, bottom = (int(round(edge)) for edge in (box.left, box.top, box.right, box.bottom))
    inside = small[top:bottom, left:right].astype(float)
    half = max(1, len(inside) // 2)
    for start, part in ((0, inside[:half]), (half, inside[half:])):
        if part.size:
            rim = np.median(np.concatenate([part[:, 0], part[:, -1]]), axis=0)
            mask[top + start : top + start + len(part), left:right] = np.linalg.norm(part - rim, axis=-1) > by
    return mask
