"""InstructEdit and its neighbours on test scenes with exact truth: docs/protocol.md says what is measured and why.

An edit is made first, from pixels and words; then it is scored against the truth. The two never mix: `attempt` gets no
task, `score` gets no editor.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.judging import SURE, belief
from ..data.scenes import render
from ..editors import InstructEdit, InstructPix2Pix
from ..editors.requests import Watch, unwatched
from ..editors.trajectories import RECENT
from ..errors import PackError
from ..images import mask_picture
from ..language.captions import plan_of
from ..language.rules import Rules
from ..values import Request, Result
from . import card
from .language import same_plan
from .metrics import best_covered, intersection_over_union, is_identical, near, psnr
from .sheets import Panel, sheet
from .table import (
    Attempt,
    BenchPack,
    Column,
    Instruments,
    Log,
    Outcome,
    attempt,
    cell,
    circumstances,
    figure,
    hardware,
    instruments_of,
    tripped,
    unchanged,
    write_whole,
)
from .tasks import Given, Task, draw_tasks, given

PROTOCOL = 5
"""Raised whenever a change makes figures incomparable with older ones."""
SHOWN = 24
"""Tasks on the contact sheet: the first ones, whatever came of them."""


COLUMNS: Mapping[str, Column] = {
    "plan right": Column("plan right"),
    "mask IoU": Column("mask IoU", unit=""),
    "right object": Column("right object"),
    "carried out": Column("edit carried out, as decoded"),
    "carried out composited": Column("edit carried out, composited"),
    "PSNR inside": Column("PSNR inside, as decoded", unit="dB"),
    "PSNR outside": Column("PSNR outside, as decoded", unit="dB"),
    "perceptual": Column("perceptual distance to the truth", unit="", better="down"),
    "identical outside": Column("pixels outside the mask identical"),
    "refused": Column("refused", better="down"),
    "seconds": Column("seconds an edit", unit="s", better="down"),
}


@dataclass(frozen=True)
class Row:
    """One line of the table. `edit` makes a Result from a Request. `help` names the truth that the request brings
    along ("plan", "mask", or "after": the true picture instead of the one before); without help the row is fair.
    `makes` names what the row makes by itself and is measured on: "plan", "mask", "picture".
    """

    label: str
    edit: Callable[[Request], Result]
    help: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset({"picture"})
    timed: bool = False


def rows_of(pack: BenchPack) -> tuple[Row, ...]:
    """The rows of the protocol, fair ones last. Building a row loads nothing."""
    editor = InstructEdit(**{**pack.defaults.get("instructedit", {}), "pack": pack})
    close = editor.model_copy(update={"closest": 0.4, "grow": 0})
    grown = editor.model_copy(update={"closest": 0.4, "grow": 1})
    pix2pix = InstructPix2Pix(**{**pack.defaults.get("instructpix2pix", {}), "pack": pack})
    rules = Rules()

    def planned(request: Request) -> Result:
        plans = rules.plan(request.instruction)
        record = {"plans": [plan.model_dump(mode="json") for plan in plans]}
        return Result(request.image, request.image, plans[-1], None, record)

    return (
        Row("no edit", unchanged),
        Row("no edit, autoencoder round trip", tripped(pack)),
        Row("the true picture, autoencoder round trip", tripped(pack), frozenset({"after"})),
        Row("regex planner alone", planned, makes=frozenset({"plan"})),
        Row("InstructEdit", editor, makes=frozenset({"plan", "mask", "picture"}), timed=True),
        Row("InstructEdit, true mask", editor, frozenset({"mask"}), frozenset({"plan", "picture"})),
        Row("InstructEdit, true plan", editor, frozenset({"plan"}), frozenset({"mask", "picture"})),
        Row("InstructEdit, true plan and mask", editor, frozenset({"plan", "mask"})),
        Row("InstructEdit, true plan and mask, a close look", close, frozenset({"plan", "mask"})),
        Row("InstructEdit, true plan and mask, a close look, grown", grown, frozenset({"plan", "mask"})),
        Row("InstructPix2Pix", pix2pix, timed=True),
    )


def request_for(task: Task, help: frozenset[str], seen: Given) -> Request:
    """What a row asks its editor: pixels and words, and of the truth exactly what `help` names."""
    if not help:
        return Request(seen.image, seen.instruction)
    return Request(
        Image.fromarray(task.truth.after) if "after" in help else seen.image,
        seen.instruction,
        plan=task.wanted if "plan" in help else None,
        mask=task.truth.target if "mask" in help else None,
    )


def score(task: Task, row: Row, made: Attempt, instruments: Instruments) -> Outcome:
    """The scores of an attempt. A refusal counts as no edit: plan, mask, object and edit are wrong, and the picture
    is the one before."""
    truth, measured = task.truth, dict[str, float]()
    before = truth.before
    result = made.result or Result(Image.fromarray(before), Image.fromarray(before), None, None)
    decoded, image = np.asarray(result.decoded.convert("RGB")), np.asarray(result.image.convert("RGB"))
    if "plan" in row.makes:
        measured["plan right"] = float(_plan_right(task, result))
    if "mask" in row.makes and task.edit.targets:
        found = result.mask if result.mask is not None else np.zeros_like(truth.target)
        measured["mask IoU"] = intersection_over_union(found, truth.target)
        if task.choosing:
            measured["right object"] = float(best_covered(found, _things(task)) in task.edit.targets)
    if "picture" in row.makes:
        inside = truth.mask | truth.target
        measured["PSNR inside"] = psnr(decoded, truth.after, inside)
        if not inside.all():
            measured["PSNR outside"] = psnr(decoded, truth.after, ~inside)
        acted = result.mask if result.mask is not None else inside
        grown = 1 + result.record.get("settings", {}).get("grow", 0)
        outside = ~near(acted, instruments.cell * grown)
        if outside.any():
            measured["identical outside"] = float(is_identical(image, before, outside))
        if instruments.judge is not None:
            measured["carried out"] = float(belief(instruments.judge, task.edit, decoded) >= SURE)
            measured["carried out composited"] = float(belief(instruments.judge, task.edit, image) >= SURE)
        if instruments.perceptual is not None:
            pair = [Image.fromarray(decoded)], [Image.fromarray(truth.after)]
            measured["perceptual"] = float(instruments.perceptual.distances(*pair)[0])
    if row.timed:
        measured["seconds"] = made.seconds
    measured["refused"] = float(made.result is None)
    return Outcome(row.label, task.number, task.edit.words.kind, made.refusal, measured)


def _plan_right(task: Task, result: Result) -> bool:
    """One plan, and the wanted one; when the planner was given a description, the wanted captions use it too."""
    if result.plan is None or len(result.record.get("plans", ())) != 1:
        return False
    words, wanted = task.edit.words, task.wanted
    if result.plan.description:
        wanted = plan_of(words.kind, words.find, words.which, words.new, result.plan.description)
    return same_plan(result.plan, wanted)


def _things(task: Task) -> list[np.ndarray]:
    """The visible pixels of every thing before the edit."""
    return list(render(task.edit.before).masks)


def measure(
    pack: BenchPack, output: Path, n: int = 200, seed: int = 0, watch: Watch = unwatched, rows: Sequence[Row] = ()
) -> dict[str, Any]:
    """The protocol on `n` test tasks. A run that was broken off goes on where it was, by the same command.

    Writes instructedit.jsonl (every outcome), instructedit.json (the report), instructedit.md and instructedit.png
    (the first tasks as they came) into `output`. Raises: what the filesystem raises.
    """
    rows = tuple(rows) or rows_of(pack)
    instruments, remarks = instruments_of(pack)
    head = {
        "protocol": PROTOCOL, "pack": pack.name, "pack hash": pack.hash, "seed": seed, **circumstances(pack),
        "defaults": {name: dict(values) for name, values in pack.defaults.items()},
        "judge thresholds": dict(instruments.judge.thresholds) if instruments.judge else None,
    }  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    kept = Log(output / "instructedit.jsonl", head)
    unable: dict[str, str] = {}
    tasks = draw_tasks(n, seed)
    for task in tasks:
        watch("edit", task.number, n)
        for row in rows:
            if row.label in unable or (row.label, task.number) in kept.outcomes:
                continue
            if row.timed:
                RECENT.forget()  # a cold edit: nothing is known of this picture
            try:
                made = attempt(row.edit, request_for(task, row.help, given(task)))
            except PackError as error:
                unable[row.label] = str(error)
                continue
            kept.add(score(task, row, made, instruments))
            if row.label == "InstructEdit" and task.number < SHOWN:
                _keep_pictures(output / "edits", task.number, made)
    outcomes = [kept.outcomes[key] for key in sorted(kept.outcomes) if key[1] < n]
    lines = [*remarks, *(f"not measured, {label}: {why}" for label, why in unable.items())]
    report = summary(outcomes, [row.label for row in rows], lines) | head | {"n": n}
    report["hardware"] = hardware()
    write_whole(output / "instructedit.md", markdown(report) + "\n")
    write_whole(output / "instructedit.json", json.dumps(report, indent=1) + "\n")
    sheet(_panels(tasks[:SHOWN], kept.outcomes, output / "edits")).save(output / "instructedit.png")
    return report


def summary(outcomes: Sequence[Outcome], labels: Sequence[str], remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Figures by row and column, and for each row how many edits were carried out by kind; JSON-able."""
    table: dict[str, dict[str, Any]] = {}
    kinds: dict[str, dict[str, Any]] = {}
    for label in labels:
        mine = [o for o in outcomes if o.row == label]
        if not mine:
            continue
        measured = [name for name in COLUMNS if any(name in o.measured for o in mine)]
        table[label] = {name: figure(COLUMNS[name], name, mine).to_json() for name in measured}
        of_kind = {kind: [o for o in mine if o.kind == kind and "carried out" in o.measured] for kind in _order(mine)}
        carried = COLUMNS["carried out"]
        kinds[label] = {
            kind: figure(carried, "carried out", group).to_json() for kind, group in of_kind.items() if group
        }
    report: dict[str, Any] = {"rows": table, "carried out by kind": kinds, "remarks": list(remarks)}
    report["figures"] = {
        f"InstructEdit, {COLUMNS[name].label}": card.in_words(value, COLUMNS[name].unit)
        for name, value in table.get("InstructEdit", {}).items()
    }
    return report


def _order(outcomes: Sequence[Outcome]) -> list[str]:
    return sorted({o.kind for o in outcomes})


def markdown(report: Mapping[str, Any]) -> str:
    """The report as tables for people: a value with its interval, and n where it is not the table's."""
    table = report["rows"]
    names = [name for name in COLUMNS if any(name in figures for figures in table.values())]
    title = f"pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']}, seed {report['seed']}"
    lines = [
        f"Measured here: {title}, {report['hardware']}. 95 % intervals in brackets. Published: none on this world.", "",
        f"| | {' | '.join(COLUMNS[name].label for name in names)} |", f"|---|{'---|' * len(names)}",
    ]  # fmt: skip
    for label, figures in table.items():
        cells = [cell(figures.get(name), COLUMNS[name].unit, report["n"]) for name in names]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    kinds = sorted({kind for figures in report["carried out by kind"].values() for kind in figures})
    if kinds:
        lines += ["", f"| edit carried out, as decoded | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
        for label, figures in report["carried out by kind"].items():
            if figures:
                lines.append(f"| {label} | {' | '.join(cell(figures.get(kind), 'share', 0) for kind in kinds)} |")
    return "\n".join([*lines, *(f"\n{remark}" for remark in report["remarks"])])


def _keep_pictures(folder: Path, number: int, made: Attempt) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{number:03d}*.png"):
        path.unlink()
    if made.result is not None:
        made.result.image.save(folder / f"{number:03d}.png")
        if made.result.mask is not None:
            mask_picture(made.result.mask).save(folder / f"{number:03d}-mask.png")


def _panels(tasks: Sequence[Task], outcomes: Mapping[tuple[str, int], Outcome], folder: Path) -> list[Panel]:
    panels = []
    for task in tasks:
        outcome = outcomes.get(("InstructEdit", task.number))
        if outcome is None:
            continue
        picture, mask = folder / f"{task.number:03d}.png", folder / f"{task.number:03d}-mask.png"
        carried = outcome.measured.get("carried out")
        remark = outcome.refusal or {1.0: "judged carried out", 0.0: "judged not carried out"}.get(carried or 0.0, "")
        panels.append(
            Panel(
                task.instruction,
                remark if carried is not None or outcome.refusal else "not judged",
                Image.fromarray(task.truth.before),
                np.asarray(Image.open(mask).convert("L")) > 127 if mask.exists() else None,
                Image.open(picture).convert("RGB") if picture.exists() else None,
                Image.fromarray(task.truth.after),
            )
        )
    return panels
