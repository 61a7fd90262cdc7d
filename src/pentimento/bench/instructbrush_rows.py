"""One row on one effect of InstructBrush's tables: what it costs to learn, and its scores.

Scores lie on disk under a name made of all that they depend on. So tables share what they have in common, a run that
was broken off goes on, and several processes with the same command divide the work: whoever holds a piece's lock does
it, and a process that dies lets go of it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from ..data.effects import TRAIN_PAIRS
from ..diffusion.guidance import rows_of_dual
from ..editors import InstructBrush, InstructPix2Pix
from ..errors import TrainingError
from ..learned import load_learned
from ..learning import LearnSettings, learn, settings_for
from ..learning.initial import initial_words
from ..roles import Clip
from ..values import Learned, Pair, Request
from .judge import round_trip
from .metrics import direction_distance, psnr, ssim
from .table import BenchPack, Instruments, clip_of, instruments_of, networks_of, save_picture, write_whole
from .topbench import TopEffect, digest

SEEDS = 4
"""Samples of each test pair."""
LEARNING = ("instructbrush", "visii")
MODELS = ("instruct", "clip", "perceptual", "lpips")
"""The roles of a pack that decide a score."""


@dataclass(frozen=True)
class Row:
    """One line: a bound ("no edit", "round trip"), words alone ("words"), or a method that learns: its settings, from
    how many pairs, and by how much its seed is beyond the table's."""

    label: str
    how: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    shots: int = TRAIN_PAIRS
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """A row's figures on an effect, and the words that it began with or said."""

    measured: Mapping[str, float]
    words: str


@dataclass(frozen=True)
class Bench:
    """What all rows share: the pack and its instruments, the folder, the first learning seed and the budget."""

    pack: BenchPack
    output: Path
    seed: int
    budget: int
    protocol: int
    tools: Instruments
    clip: Clip | None
    remarks: tuple[str, ...]


def open_bench(pack: BenchPack, output: Path, seed: int, budget: int, protocol: int) -> Bench:
    """A bench with the instruments that the pack has, and a remark on each that it lacks."""
    tools, remarks = instruments_of(pack)
    for folder in ("scores", "learned"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    clip, notes = clip_of(pack, "Direct.")
    return Bench(pack, output, seed, budget, protocol, tools, clip, (*remarks, *notes))


def steps_within(settings: LearnSettings, budget: int) -> int:
    """The steps that a budget of U-Net rows allows: a step has a row of each part, with guidance in the loss as many as
    guidance computes."""
    guided = rows_of_dual(settings.guidance, settings.image_guidance)
    return max(1, budget // (settings.parts * (guided if settings.train_with_guidance else 1)))


def how_learned(bench: Bench, row: Row, effect: TopEffect) -> LearnSettings:
    """A learning row's settings with the words that it begins with written out, so that rows that differ only in how
    they come to the same words are one learning."""
    plain = settings_for(bench.pack, row.how, {**row.settings, "seed": bench.seed + row.seed})
    words = initial_words(bench.pack, effect.train[: row.shots], plain)
    plainest = {name: LearnSettings.model_fields[name].default for name in ("phrases", "eta", "sensitivity")}
    chosen = {"instruction": words, "init": "none", "steps": steps_within(plain, bench.budget), **plainest}
    return plain.model_copy(update=chosen)


def scored(bench: Bench, row: Row, effect: TopEffect) -> Scored | None:
    """The row's scores on the effect, measured unless they are on disk; None when another process is at them."""
    settings = how_learned(bench, row, effect) if row.how in LEARNING else None
    about = _about(bench, row, effect, settings)
    path = bench.output / "scores" / f"{_name(effect, about)}.json"
    try:
        with FileLock(path.with_suffix(".lock"), blocking=False):
            if not path.exists():
                found = _measured(bench, row, effect, settings)
                write_whole(path, json.dumps({"about": about, "measured": found}, indent=1) + "\n")
    except Timeout:
        return None
    words = effect.instruction if row.how == "words" else settings.instruction if settings else ""
    return Scored(json.loads(path.read_text(encoding="utf-8"))["measured"], words)


def shown(bench: Bench, row: Row, effect: TopEffect) -> Image.Image | None:
    """The row's first sample of the effect's first test pair; None when what it takes has not been learned here yet."""
    settings = how_learned(bench, row, effect) if row.how in LEARNING else None
    path = bench.output / "shown" / f"{_name(effect, _about(bench, row, effect, settings))}.png"
    if not path.exists():
        learned = None
        if settings is not None:
            file = _learned_path(bench, effect, settings, row.shots)
            if not file.exists():
                return None
            learned = load_learned(file)
            if not learned.about["finished"]:  # another process is at it
                return None
        picture = edit_of(bench, row, effect, learned)(effect.test[0], (0,))[0]
        save_picture(path, Image.fromarray(picture))
    with Image.open(path) as kept:
        return kept.convert("RGB")


def _about(bench: Bench, row: Row, effect: TopEffect, settings: LearnSettings | None) -> dict[str, Any]:
    """All that the scores depend on, JSON-able; of a row that learns, also what was learned (`learning`)."""
    about: dict[str, Any] = {
        "protocol": bench.protocol, "models": bench.pack.hash_of(*MODELS), "test": digest(effect.test),
        "train": digest(effect.train), "samples": SEEDS, "how": row.how, "dtype": bench.pack.instruct.arithmetic,
        "networks": networks_of(bench.tools, bench.clip is not None, bench.pack),
    }  # fmt: skip
    if row.how == "words" or settings is not None:
        about["editor"] = _editor_settings(bench, row)
    if row.how == "words":
        about["words"] = effect.instruction
    if settings is not None:
        about["learning"] = {**_learning(bench, settings), "pairs": digest(effect.train[: row.shots])}
    return about


def _learning(bench: Bench, settings: LearnSettings) -> dict[str, Any]:
    """What a learning depends on beside its model and pairs: its settings, and the clip whose direction counts."""
    clip = {"clip": bench.pack.hash_of("clip")} if settings.clip_weight else {}
    return {**settings.model_dump(mode="json"), **clip}


def _name(effect: TopEffect, about: Mapping[str, Any]) -> str:
    number = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    return f"{effect.name.replace(' ', '-')}-{number}"


def _editor_settings(bench: Bench, row: Row) -> dict[str, Any]:
    """The pack's defaults for a row's editor: InstructPix2Pix's, and the method's own over them."""
    defaults = bench.pack.defaults
    return {**defaults.get("instructpix2pix", {}), **(defaults.get(row.how, {}) if row.how in LEARNING else {})}


def _measured(bench: Bench, row: Row, effect: TopEffect, settings: LearnSettings | None) -> dict[str, float]:
    if settings is None:
        return score(edit_of(bench, row, effect, None), effect, bench.tools, bench.clip)
    learned, seconds = learned_of(bench, effect, settings, row.shots)
    return score(edit_of(bench, row, effect, learned), effect, bench.tools, bench.clip) | {"seconds": seconds}


def learned_of(bench: Bench, effect: TopEffect, settings: LearnSettings, shots: int) -> tuple[Learned, float]:
    """What was learned with these settings, and the seconds that it took, all stretches together.

    Raises: TrainingError when the learning was stopped.
    """
    path = _learned_path(bench, effect, settings, shots)
    began = perf_counter()
    learned = whole(learn(bench.pack, effect.train[:shots], path, settings))
    spent = perf_counter() - began
    report = json.loads((path.with_suffix(".learning") / "report.json").read_text())
    return learned, max(spent, 60 * float(report["minutes"]))


def _learned_path(bench: Bench, effect: TopEffect, settings: LearnSettings, shots: int) -> Path:
    about = {
        "model": bench.pack.hash_of("instruct"), "dtype": bench.pack.instruct.arithmetic,
        "pairs": digest(effect.train[:shots]), **_learning(bench, settings),
    }  # fmt: skip
    return bench.output / "learned" / f"{_name(effect, about)}.safetensors"


def whole(learned: Learned) -> Learned:
    """What was learned to the end, which alone is scored.

    Raises: TrainingError when it was not.
    """
    if not learned.about["finished"]:
        raise TrainingError(
            f"the learning was stopped after {learned.about['steps done']} of {learned.about['steps']} steps, and half "
            "of one is not scored: the same command goes on"
        )
    return learned


Edit = Callable[[Pair, Sequence[int]], list[np.ndarray]]
"""(a test pair, of which only bounds look at the picture after; seeds) -> a picture for each seed, uint8 (h, w, 3)."""


def edit_of(bench: Bench, row: Row, effect: TopEffect, learned: Learned | None) -> Edit:
    """What a row does with a test picture."""
    if row.how == "no edit":
        return lambda pair, seeds: [np.asarray(pair.before.convert("RGB"))] * len(seeds)
    if row.how == "round trip":
        trip = round_trip(bench.pack.instruct.autoencoder)
        return lambda pair, seeds: [trip(np.asarray(pair.after.convert("RGB")))] * len(seeds)
    kind = InstructPix2Pix if learned is None else InstructBrush
    editor = kind(**{**_editor_settings(bench, row), "pack": bench.pack})
    words = effect.instruction if learned is None else ""

    def edit(pair: Pair, seeds: Sequence[int]) -> list[np.ndarray]:
        results = editor.of_seeds(Request(pair.before, words, learned=learned), seeds)
        return [np.asarray(result.decoded) for result in results]

    return edit


def score(edit: Edit, effect: TopEffect, tools: Instruments, clip: Clip | None) -> dict[str, float]:
    """An effect's figures: means over its test pairs and the sampling seeds. Direct. is measured against all the
    effect's training pairs, however many were learned from."""
    made: list[Image.Image] = []
    values: dict[str, list[float]] = {"PSNR": [], "SSIM": [], "LPIPS": []}
    for pair in effect.test:
        truth = np.asarray(pair.after.convert("RGB"))
        for picture in edit(pair, range(SEEDS)):
            made.append(Image.fromarray(picture))
            values["PSNR"].append(psnr(picture, truth))
            values["SSIM"].append(ssim(picture, truth))
            if tools.perceptual is not None:
                values["LPIPS"].append(float(tools.perceptual.distances([made[-1]], [pair.after])[0]))
    measured = {name: float(np.mean(group)) for name, group in values.items() if group}
    if clip is not None:
        before = clip.embed_images([pair.before for pair in effect.test]).repeat_interleave(SEEDS, 0)
        shown = [clip.embed_images([getattr(p, side) for p in effect.train]) for side in ("before", "after")]
        measured["Direct."] = direction_distance(before, clip.embed_images(made), *shown)
    return measured
