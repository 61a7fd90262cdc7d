"""InstructBrush's Tables 1, 2 and 4 on TOP-Bench: instructions learned from an effect's pairs, applied to others.

docs/protocol.md says what is measured and why. An effect is the unit: intervals are taken over effects. What a row does
on an effect, and what is on disk of it, is `instructbrush_rows`' affair.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.effects import EFFECTS
from ..editors.requests import Watch, unwatched
from .instructbrush_rows import SEEDS, Row, Scored, open_bench, scored, shown
from .sheets import comparison
from .table import (
    BenchPack,
    Column,
    Outcome,
    by_whom,
    figures,
    hardware,
    in_rows,
    networks_of,
    save_picture,
    write_whole,
)
from .topbench import drawn_effects, read_effects

PROTOCOL = 1
"""Raised whenever a change makes figures incomparable with older ones."""
BUDGET = 1_000
"""U-Net rows that each learning may cost: 100 steps of each of five parts, two rows a step where guidance has two
branches."""
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


BOUNDS = (Row("no edit", "no edit"), Row("the true picture, autoencoder round trip", "round trip"))
WORDS, WHOLE = Row("InstructPix2Pix", "words"), Row("InstructBrush", "instructbrush")
ROWS: Mapping[str, tuple[Row, ...]] = {
    "instructbrush-table1": (*BOUNDS, WORDS, Row("Visii", "visii"), WHOLE),
    "instructbrush-table2": (
        *BOUNDS,
        Row("w/o Attn", "instructbrush", {"space": "text"}),
        Row("w/o Time", "instructbrush", {"parts": 1}),
        Row("w/o Init", "instructbrush", {"init": "caption"}),
        Row("no guidance in the loss", "instructbrush", {"train_with_guidance": False}),
        Row("raw similarities", "instructbrush", {"sensitivity": "raw"}),
        WHOLE,
    ),
    "instructbrush-table4": (
        *BOUNDS, WORDS, Row("Visii", "visii", shots=1), Row("InstructBrush", "instructbrush", shots=1),
    ),
}  # fmt: skip
AGAIN: Mapping[str, tuple[Row, ...]] = {
    "instructbrush-table1": tuple(Row(f"seed +{i}", "instructbrush", seed=i) for i in (1, 2)),
}
"""The whole method learned anew from other seeds, on every fifth effect."""
EVERY = 5
SHOWN = 3
"""Every third effect stands on a table's sheet, whatever came of it."""


def measure(
    table: str,
    pack: BenchPack,
    output: Path,
    n: int = len(EFFECTS),
    seed: int = 0,
    watch: Watch = unwatched,
    cases: Path | None = None,
    budget: int = BUDGET,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """A table on the first `n` effects, drawn ones or those in the folder `cases`; `seed` is that of the learning.
    `only` names the rows that it is to have; without any it has all of them.

    Writes {table}.json, .md and a sheet, .png, into `output`; scores and learned instructions below it are shared by
    all tables, and by all processes that run there: the last one that has nothing left to do writes the whole table.
    Raises: RequestError for a folder without effects; PackError when the pack has no instruct model.
    """
    effects = read_effects(cases)[:n] if cases is not None else drawn_effects(n)
    bench = open_bench(pack, output, seed, budget, PROTOCOL)
    rows, again = (
        tuple(row for row in group if not only or row.label in only) for group in (ROWS[table], AGAIN.get(table, ()))
    )
    pieces = [
        (row, number) for number in range(len(effects)) for row in (*rows, *(again if number % EVERY == 0 else ()))
    ]
    found: dict[tuple[str, int], Scored] = {}
    for row, number in (*pieces, *pieces):  # again for what another process was at
        if (row.label, number) in found:
            continue
        watch("learn", number, len(effects))
        done = scored(bench, row, effects[number])
        if done is not None:
            found[row.label, number] = done
    remarks = list(bench.remarks)
    left_out = [label for label in labels_of(table) if only and label not in only]
    if left_out:
        remarks.append(f"not asked for: {', '.join(left_out)}")
    if len(found) < len(pieces):
        remarks.append(
            f"{len(pieces) - len(found)} of {len(pieces)} figures are still being measured by another process"
        )
    outcomes = [
        Outcome(label, number, "local" if effects[number].local else "global", measured=done.measured)
        for (label, number), done in found.items()
    ]
    groups = {"TOP-Bench": outcomes} | {
        f"TOP-{name.title()}": [o for o in outcomes if o.kind == name] for name in ("global", "local")
    }
    if cases is None:
        for name, seen in (("effects seen in training, by other looks", True), ("unseen effects", False)):
            groups[name] = [o for o in outcomes if effects[o.task].seen is seen]
    report = {
        "protocol": PROTOCOL, "table": table, "pack": pack.name, "pack hash": pack.hash, "seed": seed,
        "networks": networks_of(bench.tools, bench.clip is not None, pack), "budget": budget,
        "cases": str(cases) if cases is not None else "drawn", "n": len(effects),
        "pairs": "-".join(map(str, sorted({len(effect.test) for effect in effects}))),
        "defaults": {name: dict(values) for name, values in pack.defaults.items()},
        "hardware": hardware(), "remarks": remarks, "published": PUBLISHED[table],
        "groups": {name: figures(COLUMNS, group, [row.label for row in rows]) for name, group in groups.items()},
        "differences": figures(COLUMNS, differences(outcomes), [row.label for row in rows if row not in BOUNDS]),
        "spread": spread(table, outcomes),
        "words": {
            effect.name: {label: done.words for (label, at), done in found.items() if at == number and done.words}
            for number, effect in enumerate(effects)
        },
    }  # fmt: skip
    write_whole(output / f"{table}.json", json.dumps(report, indent=1) + "\n")
    write_whole(output / f"{table}.md", markdown(report) + "\n")
    chosen = effects[::SHOWN]
    sheet = comparison(
        ["before", *(row.label for row in rows if row not in BOUNDS), "truth"],
        [effect.name for effect in chosen],
        [
            [effect.test[0].before for effect in chosen],
            *([shown(bench, row, effect) for effect in chosen] for row in rows if row not in BOUNDS),
            [effect.test[0].after for effect in chosen],
        ],
    )
    save_picture(output / f"{table}.png", sheet)
    return report


def labels_of(table: str) -> tuple[str, ...]:
    """The names of a table's rows."""
    return tuple(row.label for row in (*ROWS[table], *AGAIN.get(table, ())))


def differences(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """By how much each row is above the whole method on each effect; effects differ more than methods do."""
    whole = {o.task: o.measured for o in outcomes if o.row == WHOLE.label}
    return [
        replace(
            o,
            measured={name: value - whole[o.task][name] for name, value in o.measured.items() if name in whole[o.task]},
        )
        for o in outcomes
        if o.row != WHOLE.label and o.task in whole
    ]


def spread(table: str, outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """How much the learning's seed matters, by column: each seed's mean over the effects that were learned from all of
    them, and the standard deviation over the seeds within an effect, root mean square over effects."""
    labels = [WHOLE.label, *(row.label for row in AGAIN.get(table, ()))]
    of = {(o.row, o.task): o.measured for o in outcomes}
    tasks = sorted({o.task for o in outcomes if all((label, o.task) in of for label in labels)})
    if len(labels) == 1 or not tasks:
        return {}
    told = {}
    for name in COLUMNS:
        values = np.array([[of[label, task].get(name, np.nan) for task in tasks] for label in labels])  # (seeds, n)
        if not np.isnan(values).any():
            within = float(np.sqrt(values.var(0, ddof=1).mean()))
            told[name] = {"means": values.mean(1).tolist(), "within": within, "n": len(tasks)}
    return told


def markdown(report: Mapping[str, Any]) -> str:
    """Published and measured side by side, for people."""
    makers = report["networks"]
    columns = by_whom(COLUMNS, makers | ({"Direct.": makers["CLIP"]} if "CLIP" in makers else {}))
    lines = [
        f"Measured here: {report['table']}, pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']} "
        f"effects, {SEEDS} samples of {report['pairs']} pairs each, learning seed {report['seed']}, {report['budget']} "
        f"U-Net rows for each learning, {report['hardware']}. 95 % intervals over effects.",
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
    if report["differences"]:
        size = max(value["n"] for row in report["differences"].values() for value in row.values())
        lines += ["", "Difference to InstructBrush, effect by effect:", ""]
        lines += in_rows(columns, report["differences"], size)
    if report["spread"]:
        lines += ["", "InstructBrush learned from three seeds:", ""]
        lines += ["| | n | means of the seeds | standard deviation |", "|---|---|---|---|"]
        for name, value in report["spread"].items():
            means = ", ".join(f"{mean:.3f}" for mean in value["means"])
            lines.append(f"| {columns[name].label} | {value['n']} | {means} | {value['within']:.3f} |")
    return "\n".join([*lines, *(f"\n{remark}" for remark in report["remarks"])])
