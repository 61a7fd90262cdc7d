"""InstructGIE's Tables 1 and 2: an edit shown by one pair and said in words, of the trained kinds and of others.

docs/protocol.md says what is measured and why. Every row keeps its outcomes and pictures in files of its own, below
what decides them: a run that was broken off goes on, both tables share the whole, and what has changed is measured
anew.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..roles import Clip
from ..values import Request
from . import card
from .instructedit_table1 import measured
from .instructgie_report import COLUMNS, PUBLISHED, TITLES, markdown, picture_path, shown, slug, tables_of
from .instructgie_rows import WHOLE, ChangeablePack, Edit, Row, table1_rows, table2_rows
from .report import page
from .table import (
    Attempt,
    Instruments,
    Log,
    Outcome,
    attempt,
    clip_of,
    hardware,
    instruments_of,
    networks_of,
    save_picture,
    unchanged,
    write_whole,
)
from .visual_cases import VisualCase, digest, drawn, read_cases

PROTOCOL = 1
"""Raised whenever a change makes figures incomparable with older ones."""


def measure(
    table: str,
    pack: ChangeablePack,
    output: Path,
    n: int = 200,
    seed: int = 0,
    watch: Watch = unwatched,
    cases: Path | None = None,
    ablations: Path | None = None,
    rows: Sequence[Row] = (),
) -> dict[str, Any]:
    """A table on `n` drawn visual prompts, or on those of a set in the folder `cases`; `ablations` is the folder of
    Table 2's controls. The same command goes on where a run was broken off.

    Writes {table}.json, .md and .html into `output`, and what every row made into output/instructgie.
    Raises: RequestError for a folder without visual prompts.
    """
    chosen = read_cases(cases, n, seed) if cases is not None else drawn(n, seed)
    rows = tuple(rows) or (table2_rows(pack, ablations) if table.endswith("2") else table1_rows(pack))
    tools, remarks = instruments_of(pack)
    clip, notes = clip_of(pack, "CLIP directional similarity")
    head = {
        "protocol": PROTOCOL, "pack": pack.name, "pack hash": pack.hash, "seed": seed, "n": len(chosen),
        "networks": networks_of(tools, clip is not None, pack),
        "cases": f"{cases} {digest(cases)}" if cases is not None else "drawn",
    }  # fmt: skip
    folder = output / "instructgie"
    outcomes, unable = _edited(rows, chosen, folder, head, partial(score, tools=tools, clip=clip), watch)
    missing = [*remarks, *notes, *(f"not measured, {label}: {why}" for label, why in unable.items())]
    if cases is None:
        unjudged = dict.fromkeys(f"{TITLES[c.domain]}, {c.case.group}" for c in chosen if c.case.judged is None)
        missing += [f"not judged, {title}: the judge has no question about it" for title in unjudged]
    report: dict[str, Any] = head | {
        "table": table, "hardware": hardware(), "published": PUBLISHED[table], "remarks": missing,
        "rows": {row.label: dict(row.about) for row in rows},
    }  # fmt: skip
    able = [row for row in rows if any(o.row == row.label for o in outcomes)]
    report["groups"] = tables_of(outcomes, chosen, able, folder, tools)
    report["figures"] = {
        f"{table}, {WHOLE}, {title}, {COLUMNS[name].label}": card.in_words(value, COLUMNS[name].unit)
        for title in TITLES.values() if title in report["groups"]
        for name, value in report["groups"][title]["rows"].get(WHOLE, {}).items()
    }  # fmt: skip
    text = markdown(report)
    write_whole(output / f"{table}.md", text + "\n")
    write_whole(output / f"{table}.json", json.dumps(report, indent=1) + "\n")
    lines = shown(chosen, [row for row in able if not row.bound], folder, outcomes)
    write_whole(output / f"{table}.html", page(f"InstructGIE, Table {table[-1]}", text, lines))
    return report


def _edited(
    rows: Sequence[Row],
    cases: Sequence[VisualCase],
    folder: Path,
    head: Mapping[str, Any],
    scored: Callable[[VisualCase, Row, Attempt, int], Outcome],
    watch: Watch,
) -> tuple[list[Outcome], dict[str, str]]:
    """The outcomes of all rows on all cases, with those that lie in `folder` already; and why a row has none."""
    folder.mkdir(parents=True, exist_ok=True)
    editors: dict[str, Edit] = {}
    logs: dict[str, Log] = {}
    unable: dict[str, str] = {}
    for row in rows:
        try:
            editors[row.label] = row.editor()
            logs[row.label] = Log(folder / f"{slug(row.label)}.jsonl", {**head, "row": dict(row.about)})
        except PackError as error:
            unable[row.label] = str(error)
    for number, case in enumerate(cases):
        watch("edit", number, len(cases))
        for row in rows:
            if row.label in unable or (row.label, number) in logs[row.label].outcomes:
                continue
            try:
                made = attempt(editors[row.label], _request(case, row))
            except PackError as error:
                unable[row.label] = str(error)
                continue
            save_picture(picture_path(folder, row.label, number), (made.result or unchanged(case.asked())).decoded)
            logs[row.label].add(scored(case, row, made, number))
    return [log.outcomes[key] for log in logs.values() for key in sorted(log.outcomes)], unable


def _request(case: VisualCase, row: Row) -> Request:
    if not row.shown_the_truth:
        return case.asked()
    assert row.bound and case.case.truth is not None
    return Request(Image.fromarray(case.case.truth))


def score(case: VisualCase, row: Row, made: Attempt, number: int, tools: Instruments, clip: Clip | None) -> Outcome:
    """The figures of one picture, as decoded. A refusal counts as no edit."""
    result = made.result or unchanged(case.asked())
    found = measured(case.case, np.asarray(result.decoded.convert("RGB")), tools, clip)
    scores = {name: value for name, value in found.items() if name in COLUMNS}
    if not row.bound:
        scores |= {"refused": float(made.result is None), "seconds": made.seconds}
    return Outcome(row.label, number, case.case.group, made.refusal, scores)
