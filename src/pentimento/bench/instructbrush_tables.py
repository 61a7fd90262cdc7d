"""InstructBrush's Tables 1, 2 and 4 on TOP-Bench: instructions learned from an effect's pairs, applied to others.

docs/protocol.md says what is measured and why. An effect is the unit: its figures are on disk before the next one is
learned, a run that was broken off goes on there, and intervals are taken over effects.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from ..data.effects import EFFECTS, TEST_PAIRS, TRAIN_PAIRS, effect_pair
from ..editors import EDITORS
from ..editors.requests import Watch, unwatched
from ..errors import RequestError
from ..learning import learn, read_pairs, settings_for
from ..roles import Clip
from ..values import Learned, Pair, Request
from .judge import round_trip
from .metrics import direction_distance, psnr, ssim
from .table import (
    BenchPack,
    Column,
    Instruments,
    Log,
    Outcome,
    by_whom,
    clip_of,
    figures,
    hardware,
    in_rows,
    instruments_of,
    networks_of,
    write_whole,
)

PROTOCOL = 1
"""Raised whenever a change makes figures incomparable with older ones."""
BUDGET = 5_000
"""U-Net rows that each learning may cost: the paper's 1000 steps of each of five parts, a row a step."""
SEEDS = 4
"""Samples of each test pair."""
COLUMNS: Mapping[str, Column] = {
    "PSNR": Column("PSNR", unit="dB"),
    "SSIM": Column("SSIM", unit=""),
    "LPIPS": Column("LPIPS", unit="", better="down"),
    "Direct.": Column("Direct.", unit="", better="down"),
    "seconds": Column("seconds to learn", unit="s", better="down"),
}
PUBLISHED: Mapping[str, Mapping[str, tuple[float, float, float, float]]] = {
    "instructbrush-table1": {
        "InstructPix2Pix": (17.87, 0.6450, 0.2298, 0.3982), "Visii": (17.14, 0.5919, 0.3303, 0.3332),
        "InstructBrush": (20.68, 0.6922, 0.1918, 0.3140),
    },
    "instructbrush-table2": {
        "w/o Attn": (19.56, 0.6709, 0.2179, 0.3124), "w/o Time": (19.64, 0.6656, 0.2271, 0.2910),
        "w/o Init": (20.22, 0.6841, 0.2018, 0.3747), "InstructBrush": (20.68, 0.6922, 0.1918, 0.3140),
    },
    "instructbrush-table4": {
        "InstructPix2Pix": (17.87, 0.6450, 0.2298, 0.3982), "Visii": (17.65, 0.6049, 0.3083, 0.4153),
        "InstructBrush": (20.11, 0.6865, 0.2055, 0.3792),
    },
}  # fmt: skip
"""PSNR, SSIM, LPIPS and Direct. of the whole TOP-Bench in the paper's tables."""


@dataclass(frozen=True)
class TopEffect:
    """One effect of TOP-Bench: pairs to learn from, pairs to be tested on, and the words that come nearest to it."""

    name: str
    instruction: str
    local: bool
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]


@dataclass(frozen=True)
class Row:
    """One line: a bound ("no edit", "round trip"), words alone ("words"), or a method that learns, with settings."""

    label: str
    how: str
    settings: Mapping[str, Any] = field(default_factory=dict)


BOUNDS = (Row("no edit", "no edit"), Row("the true picture, autoencoder round trip", "round trip"))
WHOLE = Row("InstructBrush", "instructbrush")
ROWS: Mapping[str, tuple[Row, ...]] = {
    "instructbrush-table1": (*BOUNDS, Row("InstructPix2Pix", "words"), Row("Visii", "visii"), WHOLE),
    "instructbrush-table2": (
        *BOUNDS,
        Row("w/o Attn", "instructbrush", {"space": "text"}),
        Row("w/o Time", "instructbrush", {"parts": 1}),
        Row("w/o Init", "instructbrush", {"init": "caption"}),
        Row("guidance in the loss", "instructbrush", {"train_with_guidance": True}),
        Row("raw similarities", "instructbrush", {"sensitivity": "raw"}),
        WHOLE,
    ),
    "instructbrush-table4": (*BOUNDS, Row("InstructPix2Pix", "words"), Row("Visii", "visii"), WHOLE),
}


def drawn_effects(shots: int = TRAIN_PAIRS) -> tuple[TopEffect, ...]:
    """The twenty-five effects of the drawn world, each with its first `shots` training pairs."""

    def pair(name: str, index: int, split: str) -> Pair:
        drawn = effect_pair(name, index, split)
        return Pair(Image.fromarray(drawn.before), Image.fromarray(drawn.after))

    return tuple(
        TopEffect(
            effect.name, effect.instruction, effect.local,
            tuple(pair(effect.name, i, "train") for i in range(shots)),
            tuple(pair(effect.name, i, "test") for i in range(TEST_PAIRS)),
        )
        for effect in EFFECTS
    )  # fmt: skip


def read_effects(folder: Path, shots: int = TRAIN_PAIRS) -> tuple[TopEffect, ...]:
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
            place.name, named[place.name].instruction, named[place.name].local,
            read_pairs(place / "train")[:shots], read_pairs(place / "test"),
        )
        for place in places
    )  # fmt: skip


def steps_within(settings: Mapping[str, Any], parts: int, guided: bool, budget: int) -> int:
    """The steps that a budget of U-Net rows allows: a step has a row of each part, three with guidance in the loss."""
    parts, guided = settings.get("parts", parts), settings.get("train_with_guidance", guided)
    return max(1, budget // (parts * (3 if guided else 1)))


def measure(
    table: str,
    pack: BenchPack,
    output: Path,
    n: int = len(EFFECTS),
    seed: int = 0,
    watch: Watch = unwatched,
    cases: Path | None = None,
    budget: int = BUDGET,
) -> dict[str, Any]:
    """A table on the first `n` effects, drawn ones or those in the folder `cases`; `seed` is that of the learning.

    Writes {table}.json, .md and .jsonl, and the learned instructions, into `output`.
    Raises: RequestError for a folder without effects; PackError when the pack has no instruct model.
    """
    shots = 1 if table == "instructbrush-table4" else TRAIN_PAIRS
    effects = (read_effects(cases, shots) if cases is not None else drawn_effects(shots))[:n]
    tools, remarks = instruments_of(pack)
    clip, notes = clip_of(pack, "Direct.")
    head = {
        "protocol": PROTOCOL, "table": table, "pack": pack.name, "pack hash": pack.hash, "seed": seed,
        "networks": networks_of(tools, clip is not None, pack), "budget": budget,
        "cases": str(cases) if cases is not None else "drawn", "shots": shots,
        "defaults": {name: dict(values) for name, values in pack.defaults.items()},
    }  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    kept = Log(output / f"{table}.jsonl", head)
    for number, effect in enumerate(effects):
        watch("learn", number, len(effects))
        for row in ROWS[table]:
            if (row.label, number) in kept.outcomes:
                continue
            began = perf_counter()
            edit = editor_for(row, effect, pack, output / "learned" / table, seed, budget)
            seconds = perf_counter() - began
            measured = score(edit, effect, tools, clip)
            if row.how in ("instructbrush", "visii"):
                measured["seconds"] = seconds
            kept.add(Outcome(row.label, number, "local" if effect.local else "global", measured=measured))
    outcomes = [kept.outcomes[key] for key in sorted(kept.outcomes) if key[1] < len(effects)]
    groups = {"TOP-Bench": outcomes} | {
        f"TOP-{name.title()}": [o for o in outcomes if o.kind == name] for name in ("global", "local")
    }
    report = head | {
        "n": len(effects), "hardware": hardware(), "remarks": [*remarks, *notes], "published": PUBLISHED[table],
        "groups": {name: figures(COLUMNS, group, [row.label for row in ROWS[table]]) for name, group in groups.items()},
    }  # fmt: skip
    write_whole(output / f"{table}.json", json.dumps(report, indent=1) + "\n")
    write_whole(output / f"{table}.md", markdown(report) + "\n")
    return report


Edit = Callable[[Image.Image, Pair, int], np.ndarray]
"""(the picture before, its pair for the bounds alone, seed) -> the picture made of it, uint8 (h, w, 3)."""


def editor_for(row: Row, effect: TopEffect, pack: BenchPack, folder: Path, seed: int, budget: int) -> Edit:
    """What a row does with a test picture; a row that learns learns first, or takes what it learned before."""
    if row.how == "no edit":
        return lambda picture, pair, sample: np.asarray(picture)
    if row.how == "round trip":
        trip = round_trip(pack.instruct.autoencoder)
        return lambda picture, pair, sample: trip(np.asarray(pair.after))
    method = "instructpix2pix" if row.how == "words" else row.how
    defaults = pack.defaults.get("instructpix2pix", {})
    editor = EDITORS[method](**{**defaults, **pack.defaults.get(method, {}), "pack": pack})
    learned = None if row.how == "words" else _learned(row, effect, pack, folder, seed, budget)
    words = effect.instruction if row.how == "words" else ""

    def edit(picture: Image.Image, pair: Pair, sample: int) -> np.ndarray:
        return np.asarray(editor(Request(picture, words, learned=learned, seed=sample)).decoded)

    return edit


def _learned(row: Row, effect: TopEffect, pack: BenchPack, folder: Path, seed: int, budget: int) -> Learned:
    plain = settings_for(pack, row.how, {**row.settings, "seed": seed})
    steps = steps_within(row.settings, plain.parts, plain.train_with_guidance, budget)
    settings = plain.model_copy(update={"steps": steps})
    name = f"{row.label.replace('/', '').replace(' ', '-')}-{effect.name.replace(' ', '-')}-{seed}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    return learn(pack, effect.train, folder / name, settings)


def score(edit: Edit, effect: TopEffect, tools: Instruments, clip: Clip | None) -> dict[str, float]:
    """An effect's figures: means over its test pairs and the sampling seeds."""
    made: list[Image.Image] = []
    values: dict[str, list[float]] = {"PSNR": [], "SSIM": [], "LPIPS": []}
    for pair in effect.test:
        truth = np.asarray(pair.after.convert("RGB"))
        for sample in range(SEEDS):
            picture = edit(pair.before, pair, sample)
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


def markdown(report: Mapping[str, Any]) -> str:
    """Published and measured side by side, for people."""
    makers = report["networks"]
    columns = by_whom(COLUMNS, makers | ({"Direct.": makers["CLIP"]} if "CLIP" in makers else {}))
    lines = [
        f"Measured here: {report['table']}, pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']} "
        f"effects, {SEEDS} samples of {TEST_PAIRS} pairs each, learning seed {report['seed']}, {report['budget']} "
        f"U-Net rows for each learning, {report['hardware']}. 95 % intervals over effects. Columns say which "
        "network made them.",
        "",
        "Published (Stable Diffusion, 512 x 512):",
        "",
        "| | PSNR \u2191 | SSIM \u2191 | LPIPS \u2193 | Direct. \u2193 |",
        "|---|---|---|---|---|",
        *(f"| {label} | {' | '.join(map(str, values))} |" for label, values in report["published"].items()),
    ]
    for group, rows in report["groups"].items():
        size = max((value["n"] for row in rows.values() for value in row.values()), default=0)
        lines += ["", f"Measured, {group}:", "", *in_rows(columns, rows, size)]
    return "\n".join([*lines, *(f"\n{remark}" for remark in report["remarks"])])
