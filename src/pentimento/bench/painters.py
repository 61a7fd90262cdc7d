"""How well a pack paints: pictures from captions, alone and in a grid of four, and edits by instruction, by kind.

Nobody knows where a painted thing will stand, so the judge looks everywhere: at squares of several sizes over the whole
picture. How sure it must be is set on real pictures with wrong captions, so that looking often makes no claim likelier.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..data.captions import caption
from ..data.edits import Edit, draw_edit, render_edit
from ..data.judging import SURE, WHOLE, Answers, Region, belief, cut
from ..data.scenes import Scene, draw_scene, render
from ..data.vocabulary import COLOURS, NOUNS, PLACES
from ..data.words import instruction
from ..diffusion.guidance import classifier_free
from ..diffusion.samplers import euler_ancestral_sample
from ..editors import InstructPix2Pix
from ..roles import Diffusion
from ..values import Request
from .judge import Trip, round_trip
from .statistics import Figure, share
from .table import BenchPack

GUIDANCES = (2.0, 3.0, 4.5, 7.0)
"""Tried on validation captions; the one with most captions kept is used once on the test."""
STEPS, BATCH = 30, 16
KINDS = ("replace", "recolour", "add", "remove", "weather", "time", "style")
SIDES = (0.2, 0.28, 0.38, 0.52, 0.7)
"""Sides of the squares that are looked at, as fractions of the picture's; neighbours lie a third of a side apart."""
APART = 0.1
"""Least distance between the centres of two things from left to right."""
FALSE_ACCEPTS = 0.02


@dataclass(frozen=True)
class Wish:
    """What a caption asks for: (noun, colour or material or "") from left to right, and the place."""

    things: tuple[tuple[str, str], ...]
    place: str


def wish(scene: Scene) -> Wish:
    things = sorted(scene.things, key=lambda thing: thing.x)
    looks = ("" if scene.grey else thing.colour or thing.material for thing in things)
    return Wish(tuple((thing.noun, look) for thing, look in zip(things, looks, strict=True)), scene.place)


def spoilt(wanted: Wish, rng: np.random.Generator) -> Wish:
    """The same with one thing wrong: a noun that is not there, a colour that the thing has not, or another place."""
    things, dice = list(wanted.things), rng.random()
    if dice < 0.2 or not things:
        return replace(wanted, place=str(rng.choice([p for p in PLACES if p != wanted.place])))
    i = int(rng.integers(len(things)))
    noun, look = things[i]
    if dice < 0.5 and look:
        things[i] = (noun, str(rng.choice([c for c in COLOURS if c != look and c != NOUNS[noun].base])))
    else:
        there = {name for name, _ in things}
        things[i] = (str(rng.choice([name for name in NOUNS if name not in there])), look)
    return replace(wanted, things=tuple(things))


@lru_cache(maxsize=1)
def squares() -> tuple[Region, ...]:
    """The squares that are looked at, whole ones inside the picture."""
    found = []
    for side in SIDES:
        centres = np.linspace(side / 2, 1 - side / 2, 1 + int(np.ceil((1 - side) / (side / 3))))
        found += [Region(float(x), float(y), side) for y in centres for x in centres]
    return tuple(found)


def kept(judge: Answers, wanted: Wish, picture: np.ndarray) -> float:
    """How sure the judge is that `picture`, uint8 (size, size, 3), shows all of a wish, in [0, 1]."""
    return shown(judge, wanted, seen(judge, picture))


def seen(judge: Answers, picture: np.ndarray) -> Mapping[str, np.ndarray]:
    """What the judge believes of all squares of a picture and, last, of the whole: by factor (squares + 1, words)."""
    return judge.probabilities([cut(picture, region) for region in (*squares(), WHOLE)])


def shown(judge: Answers, wanted: Wish, believed: Mapping[str, np.ndarray]) -> float:
    """How sure the judge is of all of a wish, given what it believes of a picture (`seen`).

    The least sure of the place and of the things, each seen in a square of its own, from left to right as named.
    """
    place = float(believed["place"][-1][judge.words["place"].index(wanted.place)])
    x = np.array([region.x for region in squares()])
    before = np.ones(len(x))  # how sure of all things so far, the last of them left of this square
    for noun, look in wanted.things:
        sure = believed["noun"][:-1, judge.words["noun"].index(noun)]
        if look:
            sure = np.minimum(sure, believed["colour"][:-1, judge.words["colour"].index(look)])
        here = np.minimum(sure, before)
        before = np.array([here[x < at - APART].max(initial=0.0) for at in x])
        place = min(place, float(here.max()))
    return place


def strictness(judge: Answers, trip: Trip, n: int, seed: int = 0) -> float:
    """How sure the judge must be: at most FALSE_ACCEPTS of validation pictures pass for a wish that is spoilt."""
    rng = np.random.default_rng([seed, 414])
    sure = []
    for number in range(n):
        scene = draw_scene(2_000_000 + seed * 100_000 + number, "validation")
        sure.append(kept(judge, spoilt(wish(scene), rng), trip(render(scene).image)))
    return float(np.quantile(sure, 1 - FALSE_ACCEPTS, method="higher"))


@torch.no_grad()
def painted(
    model: Diffusion, captions: Sequence[str], guidance: float, seed: int, grid: bool = False
) -> list[np.ndarray]:
    """One picture for each caption, uint8; with `grid`, the last of a grid of four that the caption speaks of."""
    side = model.size // model.autoencoder.factor * (2 if grid else 1)
    generator = torch.Generator().manual_seed(seed)
    null = model.encode_text([""])
    pictures: list[np.ndarray] = []
    for start in range(0, len(captions), BATCH):
        said = [f"grid of four pictures, {c}" if grid else c for c in captions[start : start + BATCH]]
        text = model.encode_text(said)
        like = text.new_zeros(len(said), model.autoencoder.latent_channels, side, side)
        guided = classifier_free(model.denoise, text, null.expand(len(said), -1, -1), guidance)
        decoded = model.autoencoder.decode(euler_ancestral_sample(guided, like, model.alphas_cumprod, STEPS, generator))
        arrays = ((decoded.float().cpu() + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        pictures += [array[-model.size :, -model.size :] for array in arrays]
    return pictures


def captions_kept(pack: BenchPack, n: int, seed: int = 0) -> dict[str, Any]:
    """How often all that a test caption asks for is there: in single pictures, in grids (a quarter of n), in the true
    picture after the autoencoder's round trip (the most that can be had), and for spoilt wishes (the false accepts).
    """
    model, judge = pack.text_to_image, pack.judge
    trip = round_trip(model.autoencoder)
    limit = strictness(judge, trip, max(50, n), seed)

    def asked(split: str, count: int) -> tuple[list[Scene], list[str]]:
        scenes = [draw_scene(2_500_000 + seed * 100_000 + number, split) for number in range(count)]
        return scenes, [caption(scene, np.random.default_rng([seed, i, 415])) for i, scene in enumerate(scenes)]

    def passed(wishes: Iterable[Wish], looked: Iterable[Mapping[str, np.ndarray]]) -> Figure:
        yes = [shown(judge, wanted, believed) >= limit for wanted, believed in zip(wishes, looked, strict=True)]
        return share(sum(yes), len(yes))

    def made(said: Sequence[str], guidance: float, grid: bool = False) -> Iterator[Mapping[str, np.ndarray]]:
        return (seen(judge, picture) for picture in painted(model, said, guidance, seed, grid))

    scenes, said = asked("validation", max(1, n // 4))
    tried = {guidance: passed(map(wish, scenes), made(said, guidance)).value for guidance in GUIDANCES}
    best = max(tried, key=lambda guidance: tried[guidance])
    scenes, said = asked("test", n)
    true = [seen(judge, trip(render(scene).image)) for scene in scenes]
    rng, few = np.random.default_rng([seed, 416]), max(1, n // 4)
    rows = {
        "captions kept": passed(map(wish, scenes), made(said, best)),
        "captions kept, in a grid": passed(map(wish, scenes[:few]), made(said[:few], best, grid=True)),
        "captions kept by the true picture": passed(map(wish, scenes), true),
        "spoilt captions kept by the true picture": passed((spoilt(wish(s), rng) for s in scenes), true),
    }
    named = {name: figure.to_json() for name, figure in rows.items()}
    return named | {"guidance": best, "tried on validation": {f"{g:g}": v for g, v in tried.items()}}


def edits_by_kind(pack: BenchPack, n: int, seed: int = 0) -> dict[str, Any]:
    """Edits that InstructPix2Pix carries out by the judge's verdict, with the pack's defaults, in the phrasings that it
    was trained on: n test edits of each kind with seen effects, and n with unseen ones; and the mean over the kinds.
    """
    editor = InstructPix2Pix(**{**pack.defaults.get("instructpix2pix", {}), "pack": pack})

    def carried(edits: Sequence[Edit]) -> Figure:
        yes = 0
        for number, edit in enumerate(edits):
            said = instruction(edit.words, np.random.default_rng([seed, number, 417]))
            result = editor(Request(Image.fromarray(render_edit(edit).before), said, seed=number))
            picture = np.asarray(result.decoded.convert("RGB"))
            yes += belief(pack.judge, edit, picture) >= SURE
        return share(yes, len(edits))

    def drawn(kinds: tuple[str, ...] | None, effects: str) -> list[Edit]:
        seeds = range(3_000_000 + seed * 100_000, 3_000_000 + seed * 100_000 + n)
        of = {"kinds": kinds} if kinds else {}
        return [draw_edit(number, "test", effects=effects, **of) for number in seeds]

    by_kind: Mapping[str, Figure] = {kind: carried(drawn((kind,), "seen")) for kind in KINDS}
    rows = {f"edits carried out, {kind}": figure.to_json() for kind, figure in by_kind.items()}
    average = sum(figure.value for figure in by_kind.values()) / len(by_kind)
    return rows | {
        "edits carried out, unseen effects": carried(drawn(None, "unseen")).to_json(),
        "edits carried out, mean over seen kinds": average,
    }
