"""The miniature's language processor: the tagger, trained on generated instructions in many phrasings.

Everything is made up as it is needed; an "image" of this recipe is one instruction. Held-out phrasings and the test
half of the open nouns never come here.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from ..data.asking import random_asked, random_words, unheard
from ..data.nonsense import pick
from ..data.poses import POSES
from ..data.wordlists import open_nouns
from ..data.words import Asked, EditWords, Phrased, Span, phrase
from ..language import lexicon, tagger
from ..language.captions import NEEDS_FIND
from ..language.tagger import Answer, Batch, TaggerNet, TaggerSettings, Word, words_of
from ..training import Job, TrainSettings

CARELESS = 0.12
"""How often a training template's words come out otherwise, in half of the instructions (`data.words.phrase`)."""
ACTIONS = 0.04
"""How often an instruction asks for what a creature is to do. No plan knows that, so it is to be read as no edit."""
FRAME_EXAMPLES = 6_000
"""Instructions that are counted for `frame_words`."""
WINDOW = 16
"""Batches that are made together."""


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(350_000, ge=1, description="instructions to train on, all in all")
    batch_size: int = Field(64, ge=1)
    lr: float = Field(1.5e-3, gt=0)
    warmup_images: int = 8_000
    cooldown: float = 0.5
    ema: float = Field(6_000, ge=0)
    weight_decay: float = 0.02
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    width: int = Field(128, ge=8, description="width of the transformer")
    layers: int = Field(4, ge=1, description="layers of the transformer")
    neighbours: int = Field(1, ge=0, description="words to each side that a layer reads together")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of a layer's numbers left out in training")


def answers_to(phrased: Phrased) -> tuple[Answer, ...]:
    """The gold answers of an instruction, as the tagger should give them."""
    read, described = words_of(phrased.text), words_of(phrased.description)
    answers = []
    for e, words in enumerate(phrased.asked.edits):
        pointed = phrased.asked.pronoun != "" and e == 0 and bool(words.find)
        closed = words.kind in lexicon.VALUES
        answers.append(
            Answer(
                kind=words.kind,
                find=_ranges(phrased.spans, read, "find", e),
                pointed=_ranges(phrased.pointed, described, "find", e),
                new=() if closed else _ranges(phrased.spans, read, "new", e),
                which=(words.which,) if isinstance(words.which, str) else tuple(words.which),
                value=words.new if closed else "",
                pronoun=pointed and (words.kind in NEEDS_FIND or words.kind == "add"),
            )
        )
    return tuple(answers)


def _ranges(spans: tuple[Span, ...], words: tuple[Word, ...], role: str, edit: int) -> tuple[range, ...]:
    found = []
    for span in spans:
        if span.role == role and span.edit == edit:
            inside = [i for i, w in enumerate(words) if w.start < span.end and span.start < w.end]
            if inside and inside[-1] < tagger.MAX_WORDS:
                found.append(range(inside[0], inside[-1] + 1))
    return tuple(found)


def example(number: int, seed: int = 11) -> Phrased:
    """Training instruction number `number`; two of seven have a description."""
    rng = np.random.default_rng([seed, number])
    careless = CARELESS if rng.random() < 0.5 else 0.0
    if rng.random() < ACTIONS:
        thing = random_words(rng, rng.random() < 0.5, kinds=("remove",))
        asked = Asked((EditWords("action", thing.find[:1], thing.which, pick(rng, tuple(POSES))),))
        return Phrased(Asked(()), phrase(asked, rng, careless=careless).text, ())
    asked = unheard(random_asked(rng, with_description=number % 7 in (2, 5)), rng)
    return phrase(asked, rng, careless=careless)


@lru_cache(maxsize=2)
def _window(first: int, window: int, size: int) -> tuple[tuple[Phrased, ...], ...]:
    """`WINDOW` batches of like lengths, so that padding costs little, in random order."""
    begin = first + window * WINDOW * size
    made = [example(number) for number in range(begin, begin + WINDOW * size)]
    made.sort(key=lambda p: len(p.text) + len(p.description))
    order = np.random.default_rng([3, window]).permutation(WINDOW)
    return tuple(tuple(made[i * size : (i + 1) * size]) for i in order)


@lru_cache(maxsize=1)
def frame_words() -> tuple[str, ...]:
    """The words that frame instructions: frequent ones of training texts that are no open nouns, in a fixed order."""
    counts = Counter[str]()
    for number in range(FRAME_EXAMPLES):
        made = example(number, seed=5)
        counts.update(word.text for word in words_of(f"{made.text} {made.description}"))
    nouns = {part for noun in (*open_nouns(False), *open_nouns(True)) for part in noun.split(" ")}
    return tuple(sorted(word for word, n in counts.items() if n >= 6 and lexicon.singular(word) not in nouns))


def batch(numbers: Mapping[str, int], step: int, size: int, first: int = 0) -> Batch:
    """The same step and size give the same instructions, from number `first` on; `numbers` are the net's
    (`TaggerNet.numbers`)."""
    made = _window(first, step // WINDOW, size)[step % WINDOW]
    texts = [(words_of(p.text)[: tagger.MAX_WORDS], words_of(p.description)[: tagger.MAX_WORDS]) for p in made]
    return tagger.batch_of(numbers, texts, [answers_to(p) for p in made])


def loss(net: nn.Module, answered: Batch, generator: torch.Generator) -> torch.Tensor:
    """The sum of all answers' cross entropies; nothing in it is random."""
    return tagger.loss_of(net(answered), answered)


def new_net(settings: Settings, folder: Path) -> TaggerNet:
    """A net of the settings' shape that goes on from the one in `folder`, if there is any."""
    earlier = tagger.load(folder) if (folder / "config.json").is_file() else None
    shape = TaggerSettings(
        width=settings.width,
        layers=settings.layers,
        feedforward=3 * settings.width,
        neighbours=settings.neighbours,
        frame=tuple(sorted({*frame_words(), *(earlier.settings.frame if earlier else ())})),
    )
    net = TaggerNet(shape)
    if earlier:
        tagger.grow(net, earlier)
    for layer in net.encoder.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = settings.dropout
    return net


def job(settings: Settings, pack_dir: Path) -> Job:
    """Goes on from pack_dir/language; exports there."""
    net = new_net(settings, pack_dir / "language")

    def export(averaged: nn.Module, folder: Path) -> None:
        plain = TaggerNet(net.settings)
        plain.load_state_dict(averaged.state_dict())
        tagger.save(plain, folder / "language")

    return Job(model=net, batch=partial(batch, net.numbers, first=1_000_000 * settings.seed), loss=loss, export=export)
