"""InstructGIE's Tables 1 and 2: an edit shown by one pair and said in words, of the trained kinds and of others.

docs/protocol.md says what is measured and why. Every row keeps its outcomes and pictures in files of its own, below
what decides them: a run that was broken off goes on, both tables share the whole, and what has changed is measured
anew. Processes divide the rows: whoever holds a row's lock edits it, and a process that dies lets go of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..roles import Clip
from ..values import Request
from . import card
from .instructedit_table1 import measured
from .instructgie_report import (
    COLUMNS,
    PUBLISHED,
    SEEDS,
    TITLES,
    markdown,
    picture_path,
    said_twice,
    sheet,
    shown,
    slug,
    tables_of,
)
from .instructgie_rows import SAID_TWICE, SHARED, WHOLE, ChangeablePack, Row, table1_rows, table2_rows, unequal, untuned
from .metrics import psnr
from .report import page
from .table import (
    Attempt,
    Instruments,
    Log,
    Outcome,
    attempt,
    circumstances,
    clip_of,
    hardware,
    instruments_of,
    networks_of,
    outcomes_in,
    save_picture,
    unchanged,
    write_whole,
)
from .visual_cases import VisualCase, digest, drawn, read_cases

PROTOCOL = 2
"""Raised whenever a change makes figures incomparable with older ones."""
TWICE, AGAIN = 60, ", said again"
"""Cases that Table 2 says in two ways, and what their rows' names end on."""


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
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """A table on `n` drawn visual prompts, or on those of a set in the folder `cases`; `ablations` is the folder of
    Table 2's controls. The same command goes on where a run was broken off. `only` names the rows that are edited now;
    the table has all that lie there, and says which do not.

    Writes {table}.json, .md, .html and a sheet, .png, into `output`, and what every row made into output/instructgie.
    Raises: RequestError for a folder without visual prompts.
    """
    chosen = read_cases(cases, n, seed) if cases is not None else drawn(n, seed)
    rows = tuple(rows) or rows_of(table, pack, ablations)
    tools, remarks = instruments_of(pack)
    clip, notes = clip_of(pack, "CLIP directional similarity")
    head = {
        "protocol": PROTOCOL, "pack": pack.name, "pack hash": pack.hash, "seed": seed, "n": len(chosen),
        **circumstances(pack),
        "networks": networks_of(tools, clip is not None, pack),
        "cases": f"{cases} {digest(cases)}" if cases is not None else "drawn",
    }  # fmt: skip
    folder = output / "instructgie"
    abouts = {row.label: _about(head, row, pack) for row in rows}
    outcomes, lacking = _edited(rows, only, chosen, folder, abouts, partial(score, tools=tools, clip=clip), watch)
    able = [row for row in rows if any(o.row == row.label for o in outcomes)]
    second, from_world = table.endswith("2"), cases is None
    told = [*remarks, *notes, *lacking, *untuned(able, pack)]
    told += unequal(pack, ablations) if second else []
    told += _unjudged(chosen) if from_world else []
    groups = tables_of(outcomes, chosen, able, folder, tools)
    if second and from_world:
        repeated, twice = chosen[:TWICE], [row for row in able if row.label in SAID_TWICE]
        again, lacking = _said_again(twice, only, repeated, outcomes, folder, abouts, watch)
        told += lacking
        groups |= said_twice(again, repeated, twice, folder)
    if any(group.get("differences") for group in groups.values()):
        told.append(SEEDS)
    report: dict[str, Any] = head | {
        "table": table, "hardware": hardware(), "published": PUBLISHED[table], "remarks": told,
        "rows": {row.label: dict(row.about) for row in rows}, "groups": groups,
    }  # fmt: skip
    report["figures"] = _figures(table, groups)
    lines = shown(chosen, [row for row in able if not row.bound], folder, outcomes)
    text = markdown(report)
    write_whole(output / f"{table}.md", text + "\n")
    write_whole(output / f"{table}.json", json.dumps(report, indent=1) + "\n")
    write_whole(output / f"{table}.html", page(f"InstructGIE, Table {table[-1]}", text, lines))
    save_picture(output / f"{table}.png", sheet(lines))
    return report


def _unjudged(cases: Sequence[VisualCase]) -> list[str]:
    """A line for each kind of drawn edit that the judge cannot tell of."""
    titles = dict.fromkeys(f"{TITLES[c.domain]}, {c.case.group}" for c in cases if c.case.judged is None)
    return [f"not judged, {title}: the judge has no question about it" for title in titles]


def _figures(table: str, groups: Mapping[str, Any]) -> dict[str, str]:
    """The whole's figures by name, for a card."""
    return {
        f"{table}, {WHOLE}, {title}, {COLUMNS[name].label}": card.in_words(value, COLUMNS[name].unit)
        for title in TITLES.values() if title in groups
        for name, value in groups[title]["rows"].get(WHOLE, {}).items()
    }  # fmt: skip


def rows_of(table: str, pack: ChangeablePack, ablations: Path | None = None) -> tuple[Row, ...]:
    """The rows of a table. Loads nothing."""
    return table2_rows(pack, ablations) if table.endswith("2") else table1_rows(pack)


def _edited(
    rows: Sequence[Row],
    only: Sequence[str],
    cases: Sequence[VisualCase],
    folder: Path,
    abouts: Mapping[str, Mapping[str, Any]],
    scored: Callable[[VisualCase, Row, Attempt, int], Outcome],
    watch: Watch,
) -> tuple[list[Outcome], list[str]]:
    """The outcomes that lie in `folder` when those of `only` (of all rows, without any) are edited as far as no other
    process is at them; and a line for each row that lacks some."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = [row for row in rows if not only or row.label in only]
    unable: dict[str, str] = {}
    done = set[str]()
    for row in (*asked, *asked):  # again for what another process was at
        if row.label in done or row.label in unable:
            continue

        def seen(number: int, before: int = len(done) * len(cases)) -> None:
            watch("edit", before + number, len(asked) * len(cases))

        try:
            _edit(row, cases, folder, abouts[row.label], scored, seen)
            done.add(row.label)
        except PackError as error:
            unable[row.label] = str(error)
        except Timeout:
            continue
    found, lines = list[Outcome](), [f"not measured, {label}: {why}" for label, why in unable.items()]
    for row in rows:
        kept = outcomes_in(_log(folder, row), abouts[row.label]) if row.label not in unable else {}
        found += [kept[key] for key in sorted(kept)]
        if len(kept) < len(cases) and row.label not in unable:
            why = "another process is at it" if row in asked else "not asked for"
            lines.append(f"missing, {row.label}: {len(cases) - len(kept)} of {len(cases)} cases, {why}")
    return found, lines


def _said_again(
    rows: Sequence[Row],
    only: Sequence[str],
    cases: Sequence[VisualCase],
    outcomes: Sequence[Outcome],
    folder: Path,
    abouts: Mapping[str, Mapping[str, Any]],
    watch: Watch,
) -> tuple[list[Outcome], list[str]]:
    """What the cases' other words changed in those rows whose `outcomes` of them are all there, under the rows' own
    names; and a line for each of these that lacks some."""

    def apart(case: VisualCase, row: Row, made: Attempt, number: int) -> Outcome:
        with Image.open(picture_path(folder, row.label.removesuffix(AGAIN), number)) as kept:
            first = np.asarray(kept.convert("RGB"), float)
        again, truth = np.asarray((made.result or unchanged(case.asked())).decoded.convert("RGB")), case.case.truth
        error = float(np.sqrt(np.square(first - again).mean()))
        found = {"same picture": float(error == 0), "apart": error}
        if truth is not None:
            found["PSNR apart"] = abs(psnr(first, truth) - psnr(again, truth))
        return Outcome(row.label, number, case.case.group, made.refusal, found)

    done = {(o.row, o.task) for o in outcomes}
    able = [row for row in rows if all((row.label, number) in done for number in range(len(cases)))]
    repeated = [replace(row, label=row.label + AGAIN) for row in able]
    heads = {row.label + AGAIN: {**abouts[row.label], "said": "again"} for row in able}
    chosen = [label + AGAIN for label in only]
    found, lacking = _edited(repeated, chosen, [case.said_again() for case in cases], folder, heads, apart, watch)
    return [replace(outcome, row=outcome.row.removesuffix(AGAIN)) for outcome in found], lacking


def _edit(
    row: Row,
    cases: Sequence[VisualCase],
    folder: Path,
    head: Mapping[str, Any],
    scored: Callable[[VisualCase, Row, Attempt, int], Outcome],
    seen: Callable[[int], None],
) -> None:
    """Edit the cases of which the row's log has no outcome yet.

    Raises: PackError when the row cannot be measured; Timeout when another process is at it.
    """
    edit = row.editor()
    with FileLock(_log(folder, row).with_suffix(".lock"), blocking=False):
        log = Log(_log(folder, row), head)
        for number, case in enumerate(cases):
            seen(number)
            if (row.label, number) in log.outcomes:
                continue
            made = attempt(edit, _request(case, row))
            save_picture(picture_path(folder, row.label, number), (made.result or unchanged(case.asked())).decoded)
            log.add(scored(case, row, made, number))


def _log(folder: Path, row: Row) -> Path:
    return folder / f"{slug(row.label)}.jsonl"


def _about(head: Mapping[str, Any], row: Row, pack: ChangeablePack) -> dict[str, Any]:
    """All that decides a row's outcomes: of the pack only the models that have a share in them, so that scores outlive
    the others."""
    decides = {name: value for name, value in head.items() if name != "pack hash"}
    return {**decides, "models": pack.hash_of(*SHARED, row.role), "row": dict(row.about)}


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
    if case.living is not None and case.case.truth is not None:
        scores["PSNR living"] = psnr(np.asarray(result.decoded.convert("RGB")), case.case.truth, case.living)
    if not row.bound:
        scores |= {"refused": float(made.result is None), "seconds": made.seconds}
    return Outcome(row.label, number, case.case.group, made.refusal, scores)
