"""What InstructGIE's tables show: columns, figures by domain and kind of edit, the same in words, the page's lines."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from .instructgie_rows import Row
from .report import Shown
from .table import FEWEST, Column, Instruments, Outcome, by_whom, figures, in_rows, set_distances
from .visual_cases import VisualCase

COLUMNS: Mapping[str, Column] = {
    "FID": Column("FID to the truths", unit="", better="down"),
    "KID": Column("KID to the truths, x 1000", unit="", better="down"),
    "CLIP direction": Column("CLIP directional similarity", unit=""),
    "carried out": Column("edit carried out"),
    "PSNR": Column("PSNR to the truth", unit="dB"),
    "SSIM": Column("SSIM to the truth", unit=""),
    "LPIPS truth": Column("LPIPS to the truth", unit="", better="down"),
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
TITLES = {"in_domain": "in the domain", "out_of_domain": "out of the domain"}
SHOWN = 60
"""Cases on the page: the first ones, whatever came of them."""


def groups_of(cases: Sequence[VisualCase]) -> dict[str, list[int]]:
    """The numbers of the cases by title: both domains, and each kind of edit in them."""
    groups: dict[str, list[int]] = {title: [] for title in TITLES.values()}
    for number, case in enumerate(cases):
        title = TITLES[case.domain]
        groups[title].append(number)
        groups.setdefault(f"{title}, {case.case.group}", []).append(number)
    return {title: numbers for title, numbers in groups.items() if numbers}


def tables_of(
    outcomes: Sequence[Outcome], cases: Sequence[VisualCase], rows: Sequence[Row], folder: Path, tools: Instruments
) -> dict[str, dict[str, Any]]:
    """Figures by group, row and column. Distances of sets are of whole groups with enough pictures."""
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
        rows_of = figures(COLUMNS, [o for o in outcomes if o.task in numbers], labels)
        for label in rows_of if len(numbers) >= FEWEST else ():
            if label in pooled:
                rows_of[label] = set_distances(pooled[label][numbers], pooled["truth"][numbers]) | rows_of[label]
        groups[title] = {"n": len(numbers), "rows": rows_of}
    return groups


def markdown(report: Mapping[str, Any]) -> str:
    """Published and measured side by side, for people."""
    columns = by_whom(COLUMNS, report["networks"])
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
