"""TOP-Bench (InstructBrush Table 3) as the bench takes it: effects with the pairs to learn from and to be tested on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.effects import EFFECTS, TEST_PAIRS, TRAIN_PAIRS, effect_pair
from ..errors import RequestError
from ..learning import read_pairs
from ..values import Pair


@dataclass(frozen=True)
class TopEffect:
    """One effect of TOP-Bench: pairs to learn from, pairs to be tested on, and the words that come nearest to it.

    `seen` says whether the miniature's instruct model was trained on such edits, by other looks."""

    name: str
    instruction: str
    local: bool
    seen: bool
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]


def drawn_effects(n: int = len(EFFECTS)) -> tuple[TopEffect, ...]:
    """The first `n` of the twenty-five effects of the drawn world."""

    def pair(name: str, index: int, split: str) -> Pair:
        drawn = effect_pair(name, index, split)
        return Pair(Image.fromarray(drawn.before), Image.fromarray(drawn.after))

    return tuple(
        TopEffect(
            effect.name, effect.instruction, effect.local, effect.seen,
            tuple(pair(effect.name, i, "train") for i in range(TRAIN_PAIRS)),
            tuple(pair(effect.name, i, "test") for i in range(TEST_PAIRS)),
        )
        for effect in EFFECTS[:n]
    )  # fmt: skip


def read_effects(folder: Path) -> tuple[TopEffect, ...]:
    """TOP-Bench in its published layout: {effect}/{train,test}/{i}_0 and {i}_1. Words and locality come from Table 3,
    by name.

    Raises: RequestError when there are no effects, or one that Table 3 does not name.
    """
    named = {effect.name: effect for effect in EFFECTS}
    places = sorted(path for path in folder.iterdir() if (path / "test").is_dir()) if folder.is_dir() else []
    strange = [place.name for place in places if place.name not in named]
    if not places or strange:
        raise RequestError(
            f"{folder}: {f'{strange[0]!r} is no effect of TOP-Bench' if strange else 'holds no effects'}; wanted "
            f"folders such as {EFFECTS[0].name}/train and {EFFECTS[0].name}/test"
        )
    return tuple(
        TopEffect(
            place.name, named[place.name].instruction, named[place.name].local, named[place.name].seen,
            read_pairs(place / "train"), read_pairs(place / "test"),
        )
        for place in places
    )  # fmt: skip


def digest(pairs: Sequence[Pair]) -> str:
    """A name for the very pixels of some pairs."""
    seen = hashlib.sha256()
    for picture in (picture for pair in pairs for picture in (pair.before, pair.after)):
        seen.update(str(picture.size).encode())
        seen.update(np.asarray(picture.convert("RGB")).tobytes())
    return seen.hexdigest()[:16]
