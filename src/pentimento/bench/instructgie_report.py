"""What InstructGIE's tables show: columns, figures by domain and kind of edit, each row's differences to the whole, the
same in words, the page's lines."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from .instructgie_rows import WHOLE, Row
from .report import Shown
from .sheets import comparison
from .table import FEWEST, Column, Distance, Instruments, Outcome, by_whom, distances_of, figures, in_rows
from .visual_cases import VisualCase

COLUMNS: Mapping[str, Column] = {
    "FID": Column("FID to the truths", unit="", better="down"),
    "KID": Column("KID to the truths, x 1000", unit="", better="down"),
    "CLIP direction": Column("CLIP directional similarity", unit=""),
    "carried out": Column("edit carried out"),
    "PSNR": Column("PSNR to the truth", unit="dB"),
    "SSIM": Column("SSIM to the truth", unit=""),
    "LPIPS truth": Column("LPIPS to the truth", unit="", better="down"),
    "PSNR living": Column("PSNR in living creatures", unit="dB"),
    "same picture": Column("the same picture"),
    "apart": Column("difference of the pictures", unit="levels", better="down"),
    "PSNR apart": Column("difference in PSNR to the truth", unit="dB", better="down"),
    "refused": Column("refused", better="down"),
    "seconds": Column("seconds an edit", unit="s", better="down"),
}
PUBLISHED: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "instructgie-table1": {
        "SDEdit (E)": (21.67, 0.11), "InstructPix2Pix": (17.87, 0.17), "PromptDiffusion": (13.75, 0.21),
        "InstructGIE": (7.57, 0.27),
    },
    "instructgie-table2": {
        "w/o RCLDM": (10.15, 0.13), "w/o ESM": (9.23, 0.15), "w/o LIU": (10.37, 0.23), "w/o SAM": (11.31, 0.19),
        "InstructGIE": (7.57, 0.27),
    },
}  # fmt: skip
"""FID and CLIP directional similarity in the paper's tables."""
COMPARED: Mapping[str, Column] = {
    name: replace(column, label=f"{column.label}, points", unit="points") if column.unit == "share" else column
    for name, column in COLUMNS.items()
    if name not in ("refused", "seconds")
}
"""The columns in which rows are compared with the whole, case by case; differences of shares are in hundredths."""
TITLES = {"in_domain": "in the domain", "out_of_domain": "out of the domain"}
ALL = "all cases"
"""The group that the paper's Table 2 is over."""
TWICE = "said in two ways"
"""The groups, of the first cases, that tell what other words change (InstructGIE Fig. 7, w/o LIU)."""
BASES: Mapping[str, str] = {
    "miniature": "What is out of the domain is not wholly new: the frozen base has painted grids that show add, "
    "remove, resize and move, from captions alone, and InstructGIE, which paints on grids, can profit from that."
}
"""What a pack's base has seen of withheld kinds (docs/protocol.md). The miniature's next one will have seen no such
grid; the line goes with this one."""
SEEDS = (
    "Each branch was trained from one seed: differences include what another seed would change, and their intervals, "
    "which are over cases, do not tell how much that is."
)
SHOWN = 60
"""Cases on the page: the first ones, whatever came of them."""


def groups_of(cases: Sequence[VisualCase]) -> dict[str, list[int]]:
    """The numbers of the cases by title: all, both domains, and each kind of edit in them."""
    groups: dict[str, list[int]] = {ALL: list(range(len(cases))), **{title: [] for title in TITLES.values()}}
    for number, case in enumerate(cases):
        title = TITLES[case.domain]
        groups[title].append(number)
        groups.setdefault(f"{title}, {case.case.group}", []).append(number)
    return {title: numbers for title, numbers in groups.items() if numbers}


def tables_of(
    outcomes: Sequence[Outcome], cases: Sequence[VisualCase], rows: Sequence[Row], folder: Path, tools: Instruments
) -> dict[str, dict[str, Any]]:
    """Figures by group, row and column; of all cases and of both domains also the differences to the whole. Distances
    of sets are of whole groups with enough pictures."""
    labels = [row.label for row in rows]
    pooled: dict[str, Tensor] = {}
    if tools.features is not None and len(cases) >= FEWEST:
        pooled["truth"] = tools.features.pooled([Image.fromarray(np.asarray(case.case.truth)) for case in cases])
        for label in labels:
            if sum(o.row == label for o in outcomes) == len(cases):
                paths = [picture_path(folder, label, number) for number in range(len(cases))]
                pooled[label] = tools.features.pooled([Image.open(path).convert("RGB") for path in paths])
    groups = {}
    for title, numbers in groups_of(cases).items():
        mine = [o for o in outcomes if o.task in numbers]
        apart: dict[str, dict[str, Distance]] = {}
        if len(numbers) >= FEWEST:
            apart = {
                label: distances_of(pooled[label][numbers], pooled["truth"][numbers])
                for label in labels if label in pooled
            }  # fmt: skip
        rows_of = {
            label: {name: one.to_json() for name, one in apart.get(label, {}).items()} | row
            for label, row in figures(COLUMNS, mine, labels).items()
        }
        groups[title] = {"n": len(numbers), "rows": rows_of}
        if title in (ALL, *TITLES.values()):
            groups[title]["differences"] = differences(mine, apart, [row.label for row in rows if not row.bound])
    return groups


def said_twice(
    outcomes: Sequence[Outcome], cases: Sequence[VisualCase], rows: Sequence[Row], folder: Path
) -> dict[str, dict[str, Any]]:
    """Figures of what other words changed: of the cases that were said twice, all and by domain."""
    tables = tables_of(outcomes, cases, rows, folder, Instruments(None, None))  # no sets of pictures are compared
    return {
        TWICE if title == ALL else f"{TWICE}, {title}": group
        for title, group in tables.items() if group["rows"] and "differences" in group
    }  # fmt: skip


def differences(
    outcomes: Sequence[Outcome], apart: Mapping[str, Mapping[str, Distance]], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By how much each row is above the whole, by row and column: case by case, and for distances of sets without the
    same groups of cases. JSON-able."""
    others, whole = [label for label in labels if label != WHOLE], {o.task: o for o in outcomes if o.row == WHOLE}
    paired = [_above(o, whole[o.task]) for o in outcomes if o.row in others and o.task in whole]
    sets = {label: apart[label] for label in others if label in apart and WHOLE in apart}
    return {
        label: {name: one.less(apart[WHOLE][name]).to_json() for name, one in sets.get(label, {}).items()} | row
        for label, row in figures(COMPARED, paired, others).items()
    }


def _above(outcome: Outcome, whole: Outcome) -> Outcome:
    """What an outcome has above the whole's of the same case, in COMPARED's units."""
    factors = {name: 100 if column.unit == "points" else 1 for name, column in COMPARED.items()}
    both = [name for name in factors if name in outcome.measured and name in whole.measured]
    more = {name: factors[name] * (outcome.measured[name] - whole.measured[name]) for name in both}
    return replace(outcome, measured=more)


def markdown(report: Mapping[str, Any]) -> str:
    """Published and measured side by side, for people."""
    columns, compared = (by_whom(some, report["networks"]) for some in (COLUMNS, COMPARED))
    lines = [
        f"Measured here: {report['table']}, pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']}, "
        f"seed {report['seed']}, {report['hardware']}. 95 % intervals in brackets. A pack's own networks compare with "
        "nothing published.",
        "",
        "Published (the paper's test set, 256 x 256, Stable Diffusion):",
        "",
        "| | FID \u2193 | CLIP directional similarity \u2191 |",
        "|---|---|---|",
        *(f"| {label} | {fid:.2f} | {direction:.2f} |" for label, (fid, direction) in report["published"].items()),
    ]
    for title, group in report["groups"].items():
        if group["rows"]:
            lines += ["", f"Measured, {title} (n = {group['n']}):", "", *in_rows(columns, group["rows"], group["n"])]
            if title == TITLES["out_of_domain"] and report["pack"] in BASES:
                lines += ["", BASES[report["pack"]]]
        if group.get("differences"):
            lines += ["", f"Less {WHOLE}, case by case, {title}:", ""]
            lines += in_rows(compared, group["differences"], group["n"])
    return "\n".join([*lines, *(f"\n{remark}" for remark in report["remarks"])])


def slug(label: str) -> str:
    """A row's name among files."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower())


def picture_path(folder: Path, label: str, number: int) -> Path:
    """Where a row keeps the picture of a case."""
    return folder / slug(label) / f"{number:04d}.png"


def shown(cases: Sequence[VisualCase], rows: Sequence[Row], folder: Path, outcomes: Sequence[Outcome]) -> list[Shown]:
    """A line of the page for each case: example pair, picture, truth, and every method's result (Fig. 5-7)."""
    refused = {(o.row, o.task): bool(o.refusal) for o in outcomes}
    lines = []
    for number, one in enumerate(cases[:SHOWN]):
        pictures: dict[str, Image.Image | None] = {
            "example, before": one.example.before, "example, after": one.example.after, "picture": one.case.image,
            "truth": Image.fromarray(np.asarray(one.case.truth)),
        }  # fmt: skip
        for row in rows:
            made = refused.get((row.label, number)) is False
            pictures[row.label] = Image.open(picture_path(folder, row.label, number)) if made else None
        lines.append(Shown(one.case.instruction, f"{TITLES[one.domain]}, {one.case.group}", pictures))
    return lines


def sheet(lines: Sequence[Shown]) -> Image.Image:
    """The page's first case of each kind of edit, in and out of the domain, whatever came of it."""
    firsts: dict[str, Shown] = {}
    for line in lines:
        firsts.setdefault(line.remark, line)
    chosen = [firsts[remark] for title in TITLES.values() for remark in firsts if remark.startswith(title)]
    kinds = [line.remark.split(", ")[-1] for line in chosen]
    columns = tuple(chosen[0].pictures) if chosen else ()
    return comparison(kinds, columns, [tuple(line.pictures.values()) for line in chosen])
