"""The perceptual network of the bench: it learns to say what a whole picture shows, and its features are then kept.

Pictures come with the held-out art family, too, and as small models paint them, so that features stay apart from
blur and blotches without being blind to them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ..data.judging import degraded, edit_of, lesson_edits, whole_answers
from ..data.scenes import Scene, draw_scene
from ..data.store import Store, scene_store
from ..data.vocabulary import NOUNS, PLACES, SEASONS, STYLES, TIMES, WEATHERS
from ..training import Job, TrainSettings, warm_start
from ..vision.perceptual import PerceptualConfig, PerceptualNet, save
from .autoencoder import pictures, sheet

WORDS = {"nouns": tuple(NOUNS), "place": PLACES, "time": TIMES, "weather": WEATHERS, "season": SEASONS, "style": STYLES}


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(60_000, ge=1)
    batch_size: int = Field(64, ge=1)
    lr: float = Field(2e-3, gt=0)
    warmup_images: int = 3_000
    cooldown: float = 0.6
    ema: float = Field(3_000, ge=0)
    weight_decay: float = 0.03
    seed: int = 90_210
    scenes: int = Field(12_000, ge=1, description="scenes to learn from, of the families that all recipes see")
    edits: int = Field(4_000, ge=1, description="edits to learn from, with the held-out family")
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """Pictures (b, 3, h, w) in [-1, 1]; by factor the right word's number (b,), for nouns 0 or 1 (b, words)."""

    pixels: Tensor
    answers: dict[str, Tensor]


def batch(scenes: Store, edits: Store, step: int, batch_size: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng([404, step, seed])
    arrays, drawn = [], []
    for _ in range(batch_size):
        picture, scene = _picture(scenes, edits, rng)
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        arrays.append(degraded(np.ascontiguousarray(picture), rng, 0.6) if rng.random() < 0.5 else picture)
        drawn.append(scene)
    names = tuple(NOUNS)
    nouns = torch.zeros(batch_size, len(names))
    for row, scene in enumerate(drawn):
        nouns[row, [names.index(thing.noun) for thing in scene.things]] = 1
    answers = {"nouns": nouns}
    for factor, words in WORDS.items():
        if factor != "nouns":
            answers[factor] = torch.tensor([words.index(whole_answers(scene)[factor]) for scene in drawn])
    return Batch(pictures([np.ascontiguousarray(a) for a in arrays]), answers)


def _picture(scenes: Store, edits: Store, rng: np.random.Generator) -> tuple[np.ndarray, Scene]:
    if rng.random() < 0.5:
        seed = int(rng.integers(len(scenes)))
        return np.asarray(scenes[seed]), draw_scene(seed, "train")
    seed, after = int(rng.integers(len(edits))), int(rng.integers(2))
    edit = edit_of(seed)
    return np.asarray(edits[seed][after]), edit.after if after else edit.before


def loss(net: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Cross-entropy of what the picture is, and of each noun's presence (times 20: most are absent)."""
    logits = net(batch.pixels)
    total = 20 * F.binary_cross_entropy_with_logits(logits["nouns"].float(), batch.answers["nouns"])
    for factor, wanted in batch.answers.items():
        if factor != "nouns":
            total = total + 0.2 * F.cross_entropy(logits[factor].float(), wanted)
    return total


def job(settings: Settings, pack_dir: Path) -> Job:
    """Warm-starts from pack_dir/perceptual; exports there."""
    net = PerceptualNet(PerceptualConfig(WORDS))
    warm_start(net, pack_dir / "perceptual")
    scenes = scene_store(settings.data, settings.scenes)
    edits = lesson_edits(settings.data, settings.edits)

    def sample(ema: nn.Module, path: Path) -> None:
        sheet(batch(scenes, edits, 1 << 40, 32).pixels, 8).save(path)

    return Job(
        model=net,
        batch=lambda step, size: batch(scenes, edits, step, size, settings.seed),
        loss=loss,
        export=lambda ema, folder: save(ema, folder / "perceptual"),
        sample=sample,
    )
