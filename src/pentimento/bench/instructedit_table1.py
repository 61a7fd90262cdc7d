"""InstructEdit's Table 1: every baseline and every bound, on the paper's thirty instructions and its editing types.

docs/protocol.md says what is measured and why. Scores are taken from the decoder's picture; what a method looks like
after its pixels outside the mask are restored stands in rows of its own.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.judging import SURE
from ..editors import EDITORS, InstructEdit
from ..editors.mdp import PATHS
from ..editors.ratios import at_ratios
from ..editors.requests import Watch, unwatched
from ..editors.trajectories import RECENT
from ..errors import PackError
from ..images import mask_picture
from ..roles import Clip
from ..values import Request, Result
from . import card
from .cases import Case, drawn, phrased, read_cases, thirty
from .language import same_plan
from .metrics import (
    blackened,
    clip_direction,
    clip_score,
    intersection_over_union,
    psnr,
    ssim,
)
from .report import Shown, page
from .table import (
    FEWEST,
    Attempt,
    BenchPack,
    Column,
    Instruments,
    Log,
    Outcome,
    attempt,
    by_whom,
    circumstances,
    clip_of,
    figures,
    hardware,
    in_rows,
    instruments_of,
    networks_of,
    set_distances,
    tripped,
    unchanged,
    write_whole,
)

PROTOCOL = 1
"""Raised whenever a change makes figures incomparable with older ones."""
THETAS = (0.35, 0.5, 0.65)
RATIOS = (0.3, 0.45, 0.6, 0.75, 0.9)
COMPOSITED = ", composited"
PHRASED = "InstructEdit, said"
"""The row of Fig. 6."""
OUTCOMES = "table1-outcomes"
"""The folder of what every row came to: a file for each row, so that processes can share the rows."""
WAYS, SAID = 4, 15
"""Ways of saying and scenes of Fig. 6."""
SAID_FROM = 1_000_000
"""Their numbers begin beyond those of the table's cases."""

COLUMNS: Mapping[str, Column] = {
    "plan right": Column("plan right"),
    "same mask": Column("IoU with the first way's mask", unit=""),
    "LPIPS": Column("LPIPS to the input", unit="", better="down"),
    "CLIP instruction": Column("CLIP score, instruction", unit=""),
    "CLIP caption": Column("CLIP score, caption after", unit=""),
    "CLIP direction": Column("CLIP directional similarity", unit=""),
    "mask IoU": Column("mask IoU", unit=""),
    "carried out": Column("edit carried out"),
    "PSNR": Column("PSNR to the truth", unit="dB"),
    "SSIM": Column("SSIM to the truth", unit=""),
    "LPIPS truth": Column("LPIPS to the truth", unit="", better="down"),
    "PSNR inside": Column("PSNR inside", unit="dB"),
    "PSNR outside": Column("PSNR outside, to the input", unit="dB"),
    "SSIM outside": Column("SSIM outside, to the input", unit=""),
    "LPIPS outside": Column("LPIPS outside, to the input", unit="", better="down"),
    "PIE PSNR outside": Column("PSNR outside, PIE-Bench's form", unit="dB"),
    "PIE SSIM outside": Column("SSIM outside, PIE-Bench's form", unit=""),
    "FID": Column("FID to the truths", unit="", better="down"),
    "KID": Column("KID to the truths, x 1000", unit="", better="down"),
    "refused": Column("refused", better="down"),
    "seconds": Column("seconds an edit", unit="s", better="down"),
}
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "MDP": {"LPIPS": 0.214, "CLIP instruction": 26.414, "CLIP direction": 0.079},
    "InstructPix2Pix": {"LPIPS": 0.290, "CLIP instruction": 25.844, "CLIP direction": 0.114},
    "DiffEdit": {"LPIPS": 0.167, "CLIP instruction": 26.847, "CLIP direction": 0.106},
    "InstructEdit": {"LPIPS": 0.121, "CLIP instruction": 27.404, "CLIP direction": 0.082},
}
"""Table 1 of the paper: 10 photographs, Stable Diffusion, real LPIPS and CLIP; DiffEdit at its best threshold."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `help` names the truth that the request brings along; without help the row is fair.

    Rows that share their work are not `timed`."""

    label: str
    edit: Callable[[Request], Result]
    help: frozenset[str] = frozenset()
    bound: bool = False
    timed: bool = True


def rows_of(pack: BenchPack) -> tuple[Row, ...]:
    """Bounds, baselines and InstructEdit, all with the pack's defaults. Building a row loads nothing."""

    def made(method: str, **settings: Any) -> Any:
        return EDITORS[method](**{**pack.defaults.get(method, {}), **settings, "pack": pack})

    ours = made("instructedit")
    return (
        Row("no edit", unchanged, bound=True),
        Row("autoencoder round trip", tripped(pack), bound=True),
        Row("InstructEdit, true mask", ours, frozenset({"mask"}), bound=True),
        Row("InstructEdit, true plan", ours, frozenset({"plan"}), bound=True),
        Row("MDP", made("mdp")),
        Row("InstructPix2Pix", made("instructpix2pix")),
        *(Row(f"DiffEdit, theta {theta:g}", made("diffedit", theta=theta)) for theta in THETAS),
        Row("SDEdit", made("sdedit")),
        Row("Inpainting", made("inpaint")),
        Row("InstructEdit", ours),
    )


def labels_of(pack: BenchPack) -> tuple[str, ...]:
    """All rows by which the work can be divided."""
    return (*(row.label for row in (*rows_of(pack), *figure_rows(pack))), PHRASED)


def _chosen(rows: Sequence[Row], only: Sequence[str]) -> tuple[Row, ...]:
    return tuple(row for row in rows if not only or row.label in only)


class Sweep:
    """The i-th of the RATIOS of an editor; all are decoded as one batch when a picture is first asked for (Fig. 7)."""

    def __init__(self, editor: InstructEdit):
        self._editor, self._results = editor, tuple[Result, ...]()
        self._asked = b"", ""

    def __call__(self, i: int, request: Request) -> Result:
        asked = request.image.tobytes(), request.instruction
        if asked != self._asked:
            self._results = at_ratios(self._editor, request, RATIOS)
            self._asked = asked
        return self._results[i]


def figure_rows(pack: BenchPack) -> tuple[Row, ...]:
    """The paper's other comparisons: encoding ratios (Fig. 7), and with or without a description (Fig. 5)."""
    chosen = {**pack.defaults.get("instructedit", {}), "pack": pack}
    sweep = Sweep(InstructEdit(**chosen))
    ratios = [Row(f"InstructEdit, ratio {r:g}", partial(sweep, i), timed=False) for i, r in enumerate(RATIOS)]
    said = [
        Row(f"InstructEdit, description {when}", EDITORS["instructedit"](**{**chosen, "description": when}))
        for when in ("never", "always")
    ]
    return (*ratios, *said)


def measured(case: Case, picture: np.ndarray, tools: Instruments, clip: Clip | None) -> dict[str, float]:
    """The scores of one picture, uint8 (h, w, 3), that an editor made of a case; only what applies."""
    scores: dict[str, float] = {}
    before = np.asarray(case.image.convert("RGB"))
    outside = ~case.region if case.region is not None and not case.region.all() else None
    if outside is not None:
        scores |= {
            "PSNR outside": psnr(picture, before, outside),
            "SSIM outside": ssim(picture, before, outside),
            "PIE PSNR outside": psnr(blackened(picture, outside), blackened(before, outside)),
            "PIE SSIM outside": ssim(blackened(picture, outside), blackened(before, outside)),
        }
    if case.truth is not None:
        scores |= {"PSNR": psnr(picture, case.truth), "SSIM": ssim(picture, case.truth)}
        if case.region is not None:
            scores["PSNR inside"] = psnr(picture, case.truth, case.region)
    if case.judged is not None and tools.judge is not None:
        scores["carried out"] = float(case.judged(tools.judge, picture) >= SURE)
    if tools.perceptual is not None:
        shown = Image.fromarray(picture)
        scores["LPIPS"] = float(tools.perceptual.distances([shown], [case.image])[0])
        if outside is not None:
            apart = tools.perceptual.distance_map(shown, case.image).numpy()
            scores["LPIPS outside"] = float(apart[outside].mean())
        if case.truth is not None:
            scores["LPIPS truth"] = float(tools.perceptual.distances([shown], [Image.fromarray(case.truth)])[0])
    if clip is not None:
        seen = clip.embed_images([case.image, Image.fromarray(picture)])
        said = clip.embed_texts([case.instruction, case.before or " ", case.after or " "])
        scores["CLIP instruction"] = clip_score(seen[1], said[0])
        if case.after:
            scores["CLIP caption"] = clip_score(seen[1], said[2])
        if case.before and case.after:
            scores["CLIP direction"] = clip_direction(seen[0], seen[1], said[1], said[2])
    return scores


def score(case: Case, row: Row, made: Attempt, tools: Instruments, clip: Clip | None, number: int) -> list[Outcome]:
    """The outcome as decoded, and for a method with a mask the one of the finished picture. A refusal is no edit."""
    result = made.result or Result(case.image, case.image, None, None)
    scores = measured(case, np.asarray(result.decoded.convert("RGB")), tools, clip)
    if case.target is not None and not case.target.all() and not row.bound:
        found = result.mask if result.mask is not None else np.ones_like(case.target)
        if made.result is None:
            found = np.zeros_like(case.target)
        scores["mask IoU"] = intersection_over_union(found, case.target)
    scores["refused"] = float(made.result is None)
    if row.timed:
        scores["seconds"] = made.seconds
    outcomes = [Outcome(row.label, number, case.group, made.refusal, scores)]
    if result.mask is not None and not row.bound:
        finished = measured(case, np.asarray(result.image.convert("RGB")), tools, clip)
        outcomes.append(Outcome(row.label + COMPOSITED, number, case.group, made.refusal, finished))
    return outcomes


def composited_too(found: Mapping[tuple[str, int], Outcome]) -> dict[tuple[str, int], Outcome]:
    """The outcomes with those of refused edits after the composite, which are no edits as well; or a row of composited
    pictures would leave out what its method refused."""
    masked = {label for label, _ in found if label.endswith(COMPOSITED)}
    refused = {}
    for (label, number), outcome in found.items():
        if outcome.refusal and label + COMPOSITED in masked:
            scores = {name: v for name, v in outcome.measured.items() if name not in ("mask IoU", "refused", "seconds")}
            refused[label + COMPOSITED, number] = replace(outcome, row=label + COMPOSITED, measured=scores)
    return {**found, **refused}


def measure(
    pack: BenchPack,
    output: Path,
    n: int = 200,
    seed: int = 0,
    watch: Watch = unwatched,
    cases: Path | None = None,
    rows: Sequence[Row] = (),
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Table 1 on the thirty and `n` drawn scenes, or on the pictures in the folder `cases`; and Fig. 5 and 7 on as many
    as the thirty. A run that was broken off goes on where it was, by the same command.

    Writes table1.json, table1.md, table1.html, every row's outcomes and the pictures into `output`. With `only` some
    rows are measured, by label, and nothing but their outcomes and pictures is written: processes that measure other
    rows may work in the same folder at once, and the same call without it then makes the report of all.
    Raises: RequestError for a folder that holds no cases.
    """
    chosen = read_cases(cases) if cases is not None else (*thirty(seed), *drawn(n, seed))
    table = _chosen(tuple(rows) or rows_of(pack), only)
    extra = _chosen(() if rows else figure_rows(pack), only)
    tools, remarks = instruments_of(pack)
    clip, notes = clip_of(pack, "CLIP scores")
    head = {
        "protocol": PROTOCOL, "pack": pack.name, "pack hash": pack.hash, "seed": seed, **circumstances(pack),
        "networks": networks_of(tools, clip is not None, pack),
        "cases": str(cases) if cases is not None else "drawn",
        "defaults": {name: dict(values) for name, values in pack.defaults.items()},
    }  # fmt: skip
    (output / OUTCOMES).mkdir(parents=True, exist_ok=True)

    def log(label: str) -> Log:
        return Log(output / OUTCOMES / f"{_named(label)}.jsonl", head)

    kept = {row.label: log(row.label) for row in (*table, *extra)}
    unable: dict[str, str] = {}
    for number, case in enumerate(chosen):
        watch("edit", number, len(chosen))
        for row in (*table, *(extra if number < 30 else ())):
            if row.label in unable or (row.label, number) in kept[row.label].outcomes:
                continue
            if (row.help - {"plan"} and case.target is None) or ("plan" in row.help and case.plan is None):
                continue
            RECENT.forget()
            PATHS.forget()
            try:
                made = attempt(row.edit, case.asked(row.help))
            except PackError as error:
                unable[row.label] = str(error)
                continue
            _keep(output / "pictures", row.label, number, made)
            for outcome in reversed(score(case, row, made, tools, clip, number)):
                kept[row.label].add(outcome)  # the plain row last: where it stands, the other stands too
    found = composited_too({key: outcome for one in kept.values() for key, outcome in one.outcomes.items()})
    outcomes = [found[key] for key in sorted(found) if key[1] < len(chosen)]
    said = not rows and cases is None and "InstructEdit" not in unable and (not only or PHRASED in only)
    ways = _phrasings(pack, seed, tools, clip, log(PHRASED)) if said else {}
    labels = [label for row in table for label in (row.label, row.label + COMPOSITED)]
    report: dict[str, Any] = {
        **head, "n": len(chosen), "hardware": hardware(), "published": PUBLISHED,
        "rows": figures(COLUMNS, outcomes, labels),
        "figure rows": figures(COLUMNS, outcomes, [row.label for row in extra]) | ways,
        "groups": {
            group: figures(COLUMNS, [o for o in outcomes if o.kind == group], labels)
            for group in sorted({case.group for case in chosen})
        },
        "stand-ins": {case.instruction: case.remark for case in chosen if case.remark},
        "remarks": [*remarks, *notes, *(f"not measured, {label}: {why}" for label, why in unable.items())],
    }  # fmt: skip
    _add_set_distances(report, output / "pictures", chosen, tools, labels)
    report["best theta"] = _best_theta(report["rows"])
    report["figures"] = {
        f"Table 1, InstructEdit, {COLUMNS[name].label}": card.in_words(value, COLUMNS[name].unit)
        for name, value in report["rows"].get("InstructEdit", {}).items()
    }
    if only:
        return report
    write_whole(output / "table1.md", markdown(report) + "\n")
    write_whole(output / "table1.json", json.dumps(report, indent=1) + "\n")
    write_whole(output / "table1.html", page("InstructEdit, Table 1", markdown(report), _shown(chosen, table, output)))
    return report


def _phrasings(
    pack: BenchPack, seed: int, tools: Instruments, clip: Clip | None, kept: Log
) -> dict[str, dict[str, Any]]:
    """InstructEdit on the same edits said in several ways (Fig. 6): figures by way."""
    row = Row(PHRASED, rows_of(pack)[-1].edit)
    cases = phrased(SAID, WAYS, seed)
    for scene in range(SAID):
        numbers = range(scene * WAYS, (scene + 1) * WAYS)
        if all((row.label, SAID_FROM + number) in kept.outcomes for number in numbers):
            continue
        masks: list[np.ndarray] = []
        for number in numbers:
            case = cases[number]
            made = attempt(row.edit, case.asked())
            nothing = np.zeros((case.image.height, case.image.width), dtype=bool)
            plan, mask = None, nothing
            if made.result is not None:
                plan, mask = made.result.plan, made.result.mask if made.result.mask is not None else nothing
            masks.append(mask)
            agrees = {"plan right": float(plan is not None and case.plan is not None and same_plan(plan, case.plan))}
            if len(masks) > 1:
                agrees["same mask"] = intersection_over_union(mask, masks[0])
            outcome = score(case, row, made, tools, clip, SAID_FROM + number)[0]
            kept.add(replace(outcome, measured={**outcome.measured, **agrees}))
    outcomes = [o for (label, _), o in kept.outcomes.items() if label == row.label]
    ways = [f"said {way + 1}" for way in range(WAYS)]
    tables = {way: figures(COLUMNS, [o for o in outcomes if o.kind == way], [row.label]) for way in ways}
    return {f"InstructEdit, {way} (Fig. 6)": table[row.label] for way, table in tables.items()}


def _add_set_distances(
    report: dict[str, Any], folder: Path, cases: Sequence[Case], tools: Instruments, labels: Sequence[str]
) -> None:
    """FID and KID of each row's decoded pictures to the true ones, by the pack's features. A refused edit is the
    picture itself."""
    known = [i for i, case in enumerate(cases) if case.truth is not None]
    if tools.features is None or len(known) < FEWEST:
        return
    truths = tools.features.pooled([Image.fromarray(np.asarray(cases[i].truth)) for i in known])
    for label in labels:
        if label not in report["rows"] or not (folder / _named(label)).is_dir():
            continue
        paths = {i: _path(folder, label, i) for i in known}
        shown = [Image.open(path).convert("RGB") if path.exists() else cases[i].image for i, path in paths.items()]
        results = tools.features.pooled(shown)
        report["rows"][label] |= set_distances(results, truths)


def _best_theta(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """DiffEdit's threshold with the best masks, or the least change where no mask is known."""
    tried = [label for label in rows if label.startswith("DiffEdit") and COMPOSITED not in label]
    with_masks = [label for label in tried if "mask IoU" in rows[label]]
    if with_masks:
        return max(with_masks, key=lambda label: rows[label]["mask IoU"]["value"])
    return min(tried, key=lambda label: rows[label].get("LPIPS", {"value": 0})["value"], default="")


def markdown(report: Mapping[str, Any]) -> str:
    """Published and measured side by side, for people."""
    columns = by_whom(COLUMNS, report["networks"])
    lines = [
        f"Measured here: pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']}, seed {report['seed']}, "
        f"{report['hardware']}. 95 % intervals in brackets. Columns say which network made them. Scores of the "
        f"decoder's picture; rows \u201ccomposited\u201d have the "
        f"input's pixels outside the mask. Best theta: {report['best theta'] or 'none'}.",
        "",
        "Published (10 photographs, Stable Diffusion; LPIPS down, CLIP score up, CLIP directional similarity up):",
        "",
        "| | LPIPS | CLIP score | CLIP directional similarity |",
        "|---|---|---|---|",
    ]
    for label, values in report["published"].items():
        cells = (f"{values[name]:.3f}" for name in ("LPIPS", "CLIP instruction", "CLIP direction"))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    sections = {
        "Measured": report["rows"],
        "Encoding ratio (Fig. 7), description (Fig. 5), phrasing (Fig. 6)": report["figure rows"],
    }
    for title, rows in (sections | {f"Measured, {g}": rows for g, rows in report["groups"].items()}).items():
        if rows:
            lines += ["", f"{title}:", "", *in_rows(columns, rows, report["n"])]
    stand_ins = [f"{said} ({what})" for said, what in report["stand-ins"].items()]
    if stand_ins:
        lines += ["", "Stand-ins in the thirty: " + "; ".join(stand_ins) + "."]
    return "\n".join([*lines, *(f"\n{remark}" for remark in report["remarks"])])


def _path(folder: Path, label: str, number: int) -> Path:
    return folder / _named(label) / f"{number:04d}.png"


def _named(label: str) -> str:
    return label.replace(", ", "-").replace(" ", "-")


def _keep(folder: Path, label: str, number: int, made: Attempt) -> None:
    """The decoded picture, the finished one and the mask of an attempt, for the page and for distances of sets."""
    if made.result is None:
        return
    pictures = {label: made.result.decoded}
    if made.result.mask is not None:
        pictures |= {label + COMPOSITED: made.result.image, label + ", mask": mask_picture(made.result.mask)}
    for name, picture in pictures.items():
        path = _path(folder, name, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.convert("RGB").save(path)


def _shown(cases: Sequence[Case], rows: Sequence[Row], output: Path, most: int = 60) -> list[Shown]:
    """A line of the page for each case: the input, the truth, and mask and result of every method."""
    lines = []
    for number, case in enumerate(cases[:most]):
        pictures: dict[str, Image.Image | None] = {"input": case.image}
        if case.truth is not None:
            pictures["truth"] = Image.fromarray(case.truth)
        for row in rows:
            if row.bound:
                continue
            finished = _path(output / "pictures", row.label + COMPOSITED, number)
            plain = _path(output / "pictures", row.label, number)
            mask = _path(output / "pictures", row.label + ", mask", number)
            if mask.exists():
                pictures[f"{row.label}, mask"] = Image.open(mask).convert("RGB")
            path = finished if finished.exists() else plain
            pictures[row.label] = Image.open(path).convert("RGB") if path.exists() else None
        lines.append(Shown(case.instruction, case.remark, pictures))
    return lines
