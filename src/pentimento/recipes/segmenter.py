"""The box segmenter: boxes to masks, on scenes and close-ups drawn while it trains.

Four crops of every scene: things by their visible pixels, what heads wear, and stuff. Boxes are shaken as a detector
shakes them, and a third of them come without a phrase.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from ..training import Job, TrainSettings, warm_start
from ..values import Box
from ..vision import segmenter as crops
from ..vision.layers import spell
from ..vision.segmenter import CropSegmenter, SegmenterConfig, SegmenterNet, as_input, crop, window
from .detector import Look, box_of, drawn_at, look_at, shaken, true_questions
from .parts import Question

FOLDER = "segmenter"


class Settings(TrainSettings):
    """A step of 16 scenes with 4 crops each is about half a second on one core."""

    images: int = Field(12_000, ge=1, description="scenes to train on")
    batch_size: int = Field(16, ge=1, description="scenes a step")
    lr: float = Field(2e-3, gt=0, description="peak learning rate of AdamW")
    warmup_images: int = Field(500, ge=0, description="images over which the learning rate rises from 0")
    cooldown: float = Field(0.5, ge=0, le=1, description="last fraction of the images, with a cosine fall to 0")
    ema: float = Field(800, ge=0, description="half-life of the averaged weights, in images")
    workers: int = Field(1, ge=0, description="processes that draw scenes")
    crops: int = Field(4, ge=1, description="crops of each scene")
    portraits: float = Field(0.3, ge=0, le=1, description="share of the scenes that are close-ups where parts matter")


class Batch(NamedTuple):
    """n crops of s x s pixels."""

    crops: Tensor  # (n, 4, s, s)
    spelled: Tensor  # uint8 (n, words, letters)
    masks: Tensor  # (n, s, s) how much of each pixel the answer covers, in [0, 1]


def candidates(look: Look, rng: np.random.Generator) -> list[tuple[Question, np.ndarray]]:
    """True phrases of the look, each with one of the masks that answer it; stuff is a third as likely as the rest."""
    asked = true_questions(look, rng)
    found = [(question, mask) for question in asked for mask in question.masks if question.kind != "stuff"]
    stuff = [(question, question.masks[0]) for question in asked if question.kind == "stuff"]
    return found + stuff if rng.random() < 0.6 or not found else found


def batch(
    count: int, step: int, batch_size: int, split: str = "train", portraits: float = 0.0, first: int = 0
) -> Batch:
    """The batch of a step: `count` crops of each of its scenes, from number `first` on, of which a share `portraits`
    are close-ups."""
    config = SegmenterConfig()
    pictures, phrases, masks = [], [], []
    for seed in range(first + step * batch_size, first + (step + 1) * batch_size):
        rng = np.random.default_rng([21, seed])
        look = drawn_at(seed, split, portraits)
        image = Image.fromarray(look.image)
        if rng.random() < 0.7:
            image = image.point(_lighting(rng))
        options = candidates(look, rng)
        for index in rng.choice(len(options), count, replace=len(options) < count):
            question, mask = options[int(index)]
            stuff = question.kind == "stuff"
            box = Box(*shaken(box_of(mask), 0.05 if rng.random() < 0.8 else 0.1, rng))
            part = window(box, config.margin)
            pictures.append(as_input(image, box, part, config.side))
            answer = crop(Image.fromarray(mask.view(np.uint8) * 255), part, config.side)
            masks.append(np.asarray(answer, np.float32) / 255)
            phrases.append(question.phrase if stuff or rng.random() < 0.67 else "")
    return Batch(torch.stack(pictures), spell(phrases), torch.from_numpy(np.stack(masks)))


def _lighting(rng: np.random.Generator) -> list[int]:
    """A table for the three channels: a little more or less contrast and light."""
    gain, shift = rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    return [int(np.clip(gain * value + shift, 0, 255)) for value in range(256)] * 3


def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Cross-entropy for every pixel and dice for every crop."""
    logits = model(batch.crops, batch.spelled)
    covered = logits.sigmoid()
    shared, both = (covered * batch.masks).sum((1, 2)), (covered + batch.masks).sum((1, 2))
    return F.binary_cross_entropy_with_logits(logits, batch.masks) + 0.5 * (1 - (2 * shared + 1) / (both + 1)).mean()


def export(net: nn.Module, folder: Path) -> None:
    crops.save(net, folder / FOLDER)


def sample(net: nn.Module, path: Path) -> None:
    """Sixteen validation scenes with a mask of something in them, from its true box."""
    sheet = Image.new("RGB", (8 * 128, 4 * 128))
    for i in range(16):
        rng = np.random.default_rng([23, i])
        look = look_at(i, "validation")
        options = candidates(look, rng)
        question, mask = options[int(rng.integers(len(options)))]
        image = Image.fromarray(look.image)
        found = CropSegmenter(net).masks(image, [Box(*box_of(mask), phrase=question.phrase)])[0]
        shown = look.image.copy()
        shown[found] = shown[found] // 2 + np.array([127, 0, 127], np.uint8)
        sheet.paste(image, (i % 4 * 256, i // 4 * 128))
        sheet.paste(Image.fromarray(shown), (i % 4 * 256 + 128, i // 4 * 128))
    sheet.save(path)


def job(settings: Settings, pack_dir: Path) -> Job:
    net = SegmenterNet(SegmenterConfig())
    warm_start(net, pack_dir / FOLDER)
    fresh = partial(batch, settings.crops, portraits=settings.portraits, first=1_000_000 * settings.seed)
    return Job(net, fresh, loss, export, sample)
