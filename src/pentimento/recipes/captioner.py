"""The captioner: pictures to the world's own captions, on scenes drawn while it trains.

It looks through the pack's detector, which already tells nouns and colours apart, and learns to tell.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor, nn

from ..data.captions import caption
from ..data.scenes import draw_scene, render
from ..training import Job, TrainSettings, warm_start
from ..vision import captioner as words
from ..vision.captioner import CaptionerConfig, CaptionerNet, WordCaptioner, caption_loss, to_ids, vocabulary
from .detector import eyes_of

FOLDER = "captioner"
SCENES_FOR_WORDS = 1_500  # every word of the captions is among those of so many scenes; a test holds it


class Settings(TrainSettings):
    """A step of 24 pictures is about half a second on one core."""

    images: int = Field(24_000, ge=1, description="pictures to train on")
    batch_size: int = Field(24, ge=1, description="pictures a step")
    lr: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    warmup_images: int = Field(1_000, ge=0, description="images over which the learning rate rises from 0")
    cooldown: float = Field(0.5, ge=0, le=1, description="last fraction of the images, with a cosine fall to 0")
    ema: float = Field(1_500, ge=0, description="half-life of the averaged weights, in images")
    workers: int = Field(1, ge=0, description="processes that draw scenes")
    captions: int = Field(2, ge=1, description="captions of each picture")


class Batch(NamedTuple):
    """b pictures with c captions each."""

    pictures: Tensor  # uint8 (b, 3, side, side)
    ids: Tensor  # long (b, c, length)


def known_words() -> tuple[str, ...]:
    """The words of many captions, which are those of the world."""
    return vocabulary(
        caption(draw_scene(seed, split), np.random.default_rng([32, seed]))
        for split in ("train", "validation")
        for seed in range(SCENES_FOR_WORDS)
    )


def batch(
    config: CaptionerConfig, side: int, captions: int, step: int, batch_size: int, split: str = "train", first: int = 0
) -> Batch:
    """The batch of a step; scenes are counted through from the first step's, number `first`."""
    pictures, ids = [], []
    for seed in range(first + step * batch_size, first + (step + 1) * batch_size):
        scene, rng = draw_scene(seed, split), np.random.default_rng([31, seed])
        pictures.append(render(scene, side).image.transpose(2, 0, 1))
        ids.append(to_ids([caption(scene, rng) for _ in range(captions)], config.words, config.length))
    return Batch(torch.from_numpy(np.stack(pictures)), torch.stack(ids))


def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Cross-entropy of the next word; each picture is seen once, whatever the number of its captions."""
    light = 1 + 0.1 * (torch.rand(2, len(batch.pictures), 1, 1, 1, generator=generator) * 2 - 1).to(batch.ids.device)
    seen = model.see((batch.pictures.float() / 127.5 - 1) * light[0] + light[1] - 1)
    count = batch.ids.shape[1]
    ids = batch.ids.flatten(0, 1)
    ids = ids[:, : int((ids != words.PAD).sum(1).max())]
    return caption_loss(model.say(seen.repeat_interleave(count, 0), ids), ids)


def export(net: nn.Module, folder: Path) -> None:
    words.save(net, folder / FOLDER)


def sample(net: nn.Module, path: Path) -> None:
    """Eight validation scenes with what is said about them."""
    sheet = Image.new("RGB", (1000, 8 * 132), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for i in range(8):
        scene = draw_scene(i, "validation")
        image = Image.fromarray(render(scene).image)
        sheet.paste(image, (2, 132 * i))
        draw.text((140, 132 * i + 30), WordCaptioner(net).ask(image, ""), (0, 0, 0))
        draw.text((140, 132 * i + 70), caption(scene, np.random.default_rng(i)), (20, 120, 50))
    sheet.save(path)


def job(settings: Settings, pack_dir: Path) -> Job:
    """Raises: TrainingError when the pack has no detector yet."""
    eyes = eyes_of(pack_dir)
    config = CaptionerConfig(words=known_words())
    net = CaptionerNet(config, eyes)
    warm_start(net, pack_dir / FOLDER)
    fresh = partial(batch, config, eyes.config.side, settings.captions, first=1_000_000 * settings.seed)
    return Job(net, fresh, loss, export, sample)
