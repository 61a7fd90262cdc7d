"""The miniature's judge: which noun, colour, accessory, place, light, weather and style a view shows; for the bench.

Other seeds, other augmentations and the art family that no editor's model has seen. It learns to refuse too: half-done
edits, empty places and things of a wrong size have answers of their own. How sure it must be is set on validation.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from tqdm import tqdm

from ..data.edits import draw_edit
from ..data.judging import ALL_FAMILIES, FACTORS, Lessons, belief, example, lesson_edits, planted
from ..data.scenes import WORLD_VERSION
from ..data.store import Store, save_whole, scene_store
from ..packs.placement import place
from ..training import Job, TrainSettings
from ..values import KINDS
from ..vision.judge import Judge, JudgeConfig, JudgeNet, as_tensor, grow, load, save
from .autoencoder import pictures, round_trip, sheet

UNKNOWN = -100
"""The label of a factor that an example says nothing about."""


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(200_000, ge=1)
    batch_size: int = Field(128, ge=1)
    lr: float = Field(2e-3, gt=0)
    warmup_images: int = 6_000
    cooldown: float = 0.6
    ema: float = Field(6_000, ge=0)
    weight_decay: float = 0.03
    seed: int = 4_711
    blocks: tuple[int, int, int, int] = Field((2, 2, 2, 2), description="residual blocks by stage")
    scenes: int = Field(40_000, ge=1, description="scenes to learn from, of the families that all recipes see")
    edits: int = Field(16_000, ge=1, description="edits to learn from, with the held-out family")
    trips: int = Field(6_000, ge=0, description="so many of these edits are also seen through the pack's autoencoder")
    counted: int = Field(20_000, ge=1, description="views in which it is counted how common each answer is")
    calibration: int = Field(100, ge=1, description="validation edits of each kind on which thresholds are set")
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """Views (b, 3, 64, 64) in [-1, 1] and, by factor, the number of the right word (b,) or UNKNOWN."""

    views: Tensor
    answers: dict[str, Tensor]


def batch(lessons: Lessons, seed: int, step: int, batch_size: int) -> Batch:
    rng = np.random.default_rng([202, seed, step])
    examples = [example(lessons, rng) for _ in range(batch_size)]
    answers = {
        factor: torch.tensor([words.index(e.answers[factor]) if factor in e.answers else UNKNOWN for e in examples])
        for factor, words in FACTORS.items()
    }
    return Batch(as_tensor([e.view for e in examples]), answers)


def common(lessons: Lessons, seed: int, count: int) -> dict[str, Tensor]:
    """How common each answer is in `count` views, as logarithms of shares, by factor (words,); none is 0."""
    rng = np.random.default_rng([202, seed, 1 << 41])
    counts = {factor: torch.ones(len(words)) for factor, words in FACTORS.items()}
    for _ in range(count):
        for factor, answer in example(lessons, rng).answers.items():
            counts[factor][FACTORS[factor].index(answer)] += 1
    return {factor: (seen / seen.sum()).log() for factor, seen in counts.items()}


def loss(net: nn.Module, batch: Batch, common: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy of every answer that is known; nouns and looks count double, they are the most and the hardest.

    Logits and how `common` an answer is together explain the answers, so that the logits alone hold none to be likely
    before it is seen (Menon et al. 2021, logit adjustment): seven views of ten are clear, and edits ask for snow.
    """
    logits = net(batch.views)
    total, known = batch.views.new_zeros(()), 0
    for factor, wanted in batch.answers.items():
        weight = 2.0 if factor in ("noun", "colour") else 1.0
        seen = logits[factor].float() + common[factor].to(batch.views.device)
        total = total + weight * F.cross_entropy(seen, wanted, ignore_index=UNKNOWN, reduction="sum")
        known += int((wanted != UNKNOWN).sum())
    return total / max(known, 1)


def trips_of(data: Path, vae: Path, edits: Store, count: int) -> np.ndarray:
    """The first `count` edits after the autoencoder's round trip, uint8 (count, 2, h, w, 3); kept on disk by its hash.

    Empty when the pack has no autoencoder yet.
    """
    weights = sorted(vae.glob("*.safetensors"))
    if not weights or not count:
        return np.empty((0, 2, 128, 128, 3), np.uint8)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:12]
    path = data / f"judging-weighted-trips-v{WORLD_VERSION}-{count}-{digest}.npy"
    if not path.exists():
        from diffusers import AutoencoderKL

        autoencoder = AutoencoderKL.from_pretrained(vae).eval()
        placement, done = place(), []
        autoencoder.to(placement.device)
        with placement.autocast():
            for first in tqdm(range(0, count, 8), desc="judge: round trips", unit="batch"):
                pairs = np.concatenate([edits[i] for i in range(first, min(first + 8, count))])
                done.append(round_trip(autoencoder, pictures(list(pairs))).float())
        array = ((torch.cat(done) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        save_whole(path, array.reshape(count, 2, *array.shape[1:]))
    return np.load(path, mmap_mode="r")


def calibrated(judge: Judge, count: int, vae: Path, false_accepts: float = 0.02) -> dict[str, float]:
    """By kind of edit, the lowest threshold at which at most so large a share of planted mistakes passes.

    On `count` validation edits of each kind, seen through the autoencoder in the folder `vae`, as all that it judges
    is; as they are when there is none. `judge` has no thresholds yet.
    """
    shown = _through(vae) if any(vae.glob("*.safetensors")) else lambda picture: picture
    thresholds = {}
    for kind in KINDS:
        wrong = []
        for seed in range(count):
            edit = draw_edit(seed, "validation", kinds=(kind,), families=ALL_FAMILIES)
            made = planted(edit, np.random.default_rng([303, seed]))
            wrong += [belief(judge, edit, shown(p.picture)) for p in made if p.what != "right"]
        thresholds[kind] = float(np.clip(np.quantile(wrong, 1 - false_accepts) + 0.01, 0.3, 0.98))
    return thresholds


def _through(vae: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The round trip of one picture, uint8 (h, w, 3)."""
    from diffusers import AutoencoderKL

    autoencoder = AutoencoderKL.from_pretrained(vae).float().eval()

    def trip(picture: np.ndarray) -> np.ndarray:
        decoded = round_trip(autoencoder, pictures([picture])).float()[0]
        return ((decoded + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()

    return trip


def job(settings: Settings, pack_dir: Path) -> Job:
    """Goes on from pack_dir/judge, which may have fewer blocks; exports there."""
    net = JudgeNet(JudgeConfig(FACTORS, blocks=settings.blocks))
    if (pack_dir / "judge" / "config.json").is_file():
        grow(net, load(pack_dir / "judge").net)
    edits = lesson_edits(settings.data, settings.edits)
    trips = trips_of(settings.data, pack_dir / "vae", edits, min(settings.trips, settings.edits))
    lessons = Lessons(scene_store(settings.data, settings.scenes), edits, trips)
    expected = common(lessons, settings.seed, settings.counted)

    def export(ema: nn.Module, folder: Path) -> None:
        save(ema, folder / "judge", calibrated(Judge(ema), settings.calibration, pack_dir / "vae"))

    def sample(ema: nn.Module, path: Path) -> None:
        seen = batch(lessons, settings.seed, 1 << 40, 64)
        shown = sheet(seen.views, 16)
        shown.save(path)
        path.with_suffix(".txt").write_text("\n".join(f"{k}: {v:.3f}" for k, v in accuracy(ema, seen).items()) + "\n")

    return Job(
        model=net,
        batch=lambda step, size: batch(lessons, settings.seed, step, size),
        loss=lambda net, batch, _: loss(net, batch, expected),
        export=export,
        sample=sample,
    )


@torch.no_grad()
def accuracy(net: nn.Module, seen: Batch) -> Mapping[str, float]:
    """The share of right answers by factor, for the factors that are known at all."""
    device = next(net.parameters()).device
    logits = net(seen.views.to(device))
    shares = {}
    for factor, wanted in seen.answers.items():
        known = wanted != UNKNOWN
        if known.any():
            shares[factor] = float((logits[factor].argmax(-1).cpu()[known] == wanted[known]).float().mean())
    return shares
