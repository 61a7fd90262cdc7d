"""Settings of a pack, chosen on validation scenes: the same number of trials for every method, all of them kept.

And what an inversion loses: the picture back from its own noise, by encoding ratio.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from ..data import phrasings
from ..data.judging import SURE, belief
from ..editors import EDITORS, InstructEdit
from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..values import Plan, Request
from .judge import round_trip
from .metrics import psnr
from .statistics import mean
from .table import BenchPack, Log, Outcome, attempt, circumstances
from .tasks import Task, draw_task, draw_tasks, given

PROTOCOL = 2
"""Raised whenever a change makes scores incomparable with older ones."""
DEFAULTS = "defaults.json"
PRICE = 0.02
"""What a decibel lost outside the edit, below the autoencoder's, costs in belief."""
GUIDANCE = (2.0, 3.0, 4.5, 7.0)
CLOSEST, GROW = (1.0, 0.4), (0, 1)
GRIDS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "instructedit": {"guidance": (3.0, 6.0), "ratio": (0.75, 1.0), "closest": CLOSEST, "grow": GROW},
    "instructpix2pix": {"guidance": (2.0, 3.5, 5.0, 7.5), "image_guidance": (1.0, 1.3, 1.6, 2.0)},
    "diffedit": {"guidance": (3.0, 6.0), "ratio": (0.75, 1.0), "mask_strength": (0.5, 0.8), "grow": GROW},
    "mdp": {"guidance": GUIDANCE, "window_end": (0.2, 0.4, 0.6, 0.8)},
    "sdedit": {"guidance": GUIDANCE, "strength": (0.45, 0.6, 0.75, 0.9)},
    "inpaint": {"guidance": (1.5, 2.5, 4.0, 7.5), "closest": CLOSEST, "grow": GROW},
}
"""Sixteen trials for each method."""


@dataclass(frozen=True)
class Trial:
    """Settings with what they reached over the tasks: the judge's mean belief in the edit, the share that it says is
    carried out, dB lost outside below the autoencoder's, seconds an edit, LPIPS to the truth where that was measured,
    and the score, which chooses: by LPIPS where there is one, else by belief and what is lost."""

    settings: Mapping[str, Any]
    believed: float
    carried: float
    lost: float
    seconds: float
    lpips: float | None = None

    @property
    def score(self) -> float:
        return self.believed - PRICE * self.lost if self.lpips is None else -self.lpips

    def to_json(self) -> dict[str, Any]:
        perceived = {} if self.lpips is None else {"LPIPS to the truth": self.lpips}
        return {
            **self.settings, "belief": self.believed, "carried out": self.carried, "dB lost outside": self.lost,
            **perceived, "seconds": self.seconds, "score": self.score,
        }  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """A validation case as a sweep sees it: `edited` makes a picture, uint8 (h, w, 3), with settings; `believed` is the
    judge's belief in a picture; `outside` its PSNR where nothing should change, nan when everything may, of which the
    autoencoder alone leaves `limit`; `apart`, where that chooses, its LPIPS to the truth."""

    kind: str
    edited: Callable[[Mapping[str, Any]], np.ndarray]
    believed: Callable[[np.ndarray], float]
    outside: Callable[[np.ndarray], float]
    limit: float
    apart: Callable[[np.ndarray], float] | None = None


def tune(
    pack: BenchPack,
    method: str,
    grid: Mapping[str, Sequence[Any]],
    n: int,
    seed: int,
    output: Path,
    watch: Watch = unwatched,
) -> tuple[Trial, ...]:
    """Every combination of `grid` on `n` validation tasks, in training phrasings; the best first.

    Every method that works from a plan is given the true one, and one that works from the segmenter's mask that mask
    too: what is chosen here belongs to the painters alone.
    Raises: PackError when the pack lacks a model or the judge.
    """
    judge = pack.judge
    trip = round_trip(pack.text_to_image.autoencoder)
    others = {name: value for name, value in pack.defaults.get(method, {}).items() if name not in grid}

    def tried(number: int) -> Tried:
        task = draw_task(number, seed, "validation", held_out=False)
        return Tried(
            task.edit.words.kind,
            lambda settings: _decoded(pack, method, {**others, **settings}, task),
            partial(belief, judge, task.edit),
            partial(_outside, task),
            _outside(task, trip(task.truth.before)),
        )

    return sweep(pack, method, grid, others, n, seed, tried, output, watch)


def sweep(
    pack: BenchPack,
    name: str,
    grid: Mapping[str, Sequence[Any]],
    others: Mapping[str, Any],
    n: int,
    seed: int,
    tried: Callable[[int], Tried],
    output: Path,
    watch: Watch = unwatched,
    models: str = "",
    by: str = "",
) -> tuple[Trial, ...]:
    """Every combination of `grid` on the cases `tried(0)` to `tried(n - 1)`; the best first.

    All settings are tried on a case before the next one, so that what does not depend on them, such as an inversion, is
    worked out once; the first name of `grid` varies most slowly. tune-NAME.jsonl in `output` holds what came of each
    edit, and a run that was broken off goes on there, if the models are the same: `models` is a hash of those that have
    a share, the pack's own without one. `by` says what chooses, where that is not belief and what is lost.
    """
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    head = {
        "protocol": PROTOCOL, "phrasings": phrasings.DIGEST, "pack": pack.name, "models": models or pack.hash,
        **circumstances(pack),
        "seed": seed, "method": name, "other settings": dict(others), "judge thresholds": dict(pack.judge.thresholds),
        **({"chosen by": by} if by else {}),
    }  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    kept = Log(output / f"tune-{name}.jsonl", head)
    labels = [json.dumps(settings) for settings in combinations]
    for number in range(n):
        watch("edit", number, n)
        left = [i for i, label in enumerate(labels) if (label, number) not in kept.outcomes]
        if not left:
            continue
        case = tried(number)
        for i in left:
            began = perf_counter()
            picture = case.edited(combinations[i])
            seconds = perf_counter() - began
            believed = case.believed(picture)
            measured = {"belief": believed, "carried out": float(believed >= SURE), "seconds": seconds}
            if not np.isnan(case.limit):
                measured["dB lost outside"] = max(0.0, case.limit - case.outside(picture))
            if case.apart is not None:
                measured["LPIPS"] = case.apart(picture)
            kept.add(Outcome(labels[i], number, case.kind, measured=measured))
    trials = [
        _trial(settings, [kept.outcomes[label, number] for number in range(n)])
        for settings, label in zip(combinations, labels, strict=True)
    ]
    return tuple(sorted(trials, key=lambda trial: -trial.score))


def markdown(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """All trials of every method for people, the chosen one first; `reports` are the files tune-METHOD.json."""
    lines = []
    for method, report in reports.items():
        names = list(report["trials"][0])
        rows = [[f"{trial[name]:.4g}" for name in names] for trial in report["trials"]]
        rows[0] = [f"**{cell}**" for cell in rows[0]]
        lines += [
            f"## {method}", "",
            f"Pack {report['pack']} ({report['pack hash'][:12]}), n = {report['n']}, seed {report['seed']}, "
            f"{len(rows)} trials, the chosen one first.", "",
            f"| {' | '.join(names)} |", f"|{'---|' * len(names)}",
            *(f"| {' | '.join(row)} |" for row in rows), "",
        ]  # fmt: skip
    return "\n".join(lines)


def _trial(settings: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Trial:
    """The means over tasks; dB over those with something outside their edit."""

    def average(name: str) -> float:
        values = [o.measured[name] for o in outcomes if name in o.measured]
        return float(np.mean(values)) if values else 0.0

    perceived = average("LPIPS") if all("LPIPS" in o.measured for o in outcomes) else None
    return Trial(
        settings, average("belief"), average("carried out"), average("dB lost outside"), average("seconds"), perceived
    )


def _decoded(pack: BenchPack, method: str, settings: Mapping[str, Any], task: Task) -> np.ndarray:
    """The edit before the composite; the picture before it when the words were not understood."""
    editor = EDITORS[method]
    seen = given(task)
    plan = task.wanted if "plan" in editor.works_from else None
    mask = task.truth.target if "mask" in editor.works_from else None
    made = attempt(editor(**settings, pack=pack), Request(seen.image, seen.instruction, plan=plan, mask=mask))
    return np.asarray((made.result.decoded if made.result else seen.image).convert("RGB"))


def _outside(task: Task, picture: np.ndarray) -> float:
    return psnr(picture, task.truth.after, ~(task.truth.mask | task.truth.target))


def write_defaults(folder: Path, method: str, settings: Mapping[str, Any]) -> Path:
    """Write settings into a folder's defaults.json, beside those of other methods; sealing reads it from a pack's.

    Raises: PackError when the file that is there is no JSON.
    """
    path = folder / DEFAULTS
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise PackError(f"{path} is no JSON ({error}): mend or delete it") from None
    known[method] = {**known.get(method, {}), **settings}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def reconstruction(
    pack: BenchPack,
    n: int = 50,
    seed: int = 0,
    ratios: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Inversion and decoding with the same caption at guidance 1, by ratio: PSNR to the picture, beside the
    autoencoder's own, which no editor can pass. JSON-able.
    """
    trip = round_trip(pack.text_to_image.autoencoder)
    values: dict[str, list[float]] = {name: [] for name in ("autoencoder", *(f"ratio {ratio:g}" for ratio in ratios))}
    for task in draw_tasks(n, seed):
        watch("invert", task.number, n)
        before = task.truth.before
        values["autoencoder"].append(psnr(trip(before), before))
        caption = task.wanted.before
        plan = Plan(find=(), before=caption, after=caption, kind="replace")
        for ratio in ratios:
            chosen: dict[str, Any] = {**pack.defaults.get("instructedit", {}), "ratio": ratio, "guidance": 1.0}
            request = Request(Image.fromarray(before), plan=plan, mask=np.ones(before.shape[:2], dtype=bool))
            result = InstructEdit(**chosen, pack=pack)(request)
            values[f"ratio {ratio:g}"].append(psnr(np.asarray(result.decoded), before))
    return {name: mean(group, np.random.default_rng([n, 808])).to_json() for name, group in values.items()}
