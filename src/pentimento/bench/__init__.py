"""Measuring: `run` by name. Importing this package imports no model; each table lives in its own file.

instructedit  the protocol of docs/protocol.md: InstructEdit, its ablations, InstructPix2Pix
instructedit-table1  Table 1 of InstructEdit: all baselines and bounds, on the thirty and on drawn scenes
instructbrush-table1, -table2, -table4  InstructBrush on TOP-Bench: few-shot, ablations, one-shot; n are effects
instructgie-table1, -table2  InstructGIE on visual prompts, in its domain and out of it: baselines; ablations
erf           effective receptive fields of three kinds of encoder: InstructGIE's Fig. 3; n are visual prompts
pack          every model of a pack by itself
judge         how far the judge can be trusted
tune          settings chosen on validation, in defaults.json: put it into a pack's folder before sealing
card          figures of earlier reports, written into the pack folder's scores.json
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import PackError, RequestError

TABLES = {
    "instructedit": 200, "instructedit-table1": 200, "instructbrush-table1": 25, "instructbrush-table2": 25,
    "instructbrush-table4": 25, "instructgie-table1": 200, "instructgie-table2": 200, "erf": 24, "pack": 200,
    "judge": 300, "tune": 24, "card": 1,
}  # fmt: skip
"""The tables by name, with the number of scenes, or effects, each is measured on when none is asked for."""
WITH_CASES = tuple(name for name in TABLES if "-table" in name)
IN_PARTS = ("tune", *WITH_CASES)


def run(
    name: str,
    pack: Any,
    output: Path,
    n: int | None = None,
    seed: int = 0,
    watch: Any = None,
    cases: Path | None = None,
    ablations: Path | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure a table on an opened pack and write it into `output`; what comes back is for reading, JSON-able.

    `cases` is a folder of pictures and instructions for the tables that take one (`cases.read_cases`); `ablations` one
    of controls, for instructgie-table2 (`instructgie_rows.ABLATIONS`). `only` names the methods (tune) or rows
    (of the papers' tables) that are measured, so that several processes share the work; the same call without it then
    goes on from all that is there.
    Raises: RequestError for an unknown table, nothing to collect or no cases; PackError for a role without which
    nothing can be measured.
    """
    if name not in TABLES:
        raise RequestError(f"no table is called {name!r}: there are {', '.join(TABLES)}")
    if cases is not None and name not in WITH_CASES:
        raise RequestError(f"{name} draws its own scenes: leave --cases out")
    if ablations is not None and name != "instructgie-table2":
        raise RequestError(f"{name} has no ablations that are trained: leave --ablations out")
    if only and name not in IN_PARTS:
        raise RequestError(f"{name} is measured as a whole: leave --only out")
    from ..editors.requests import unwatched

    watch = watch or unwatched
    output = Path(output)
    count = TABLES[name] if n is None else n
    if name == "instructedit":
        from . import instructedit

        report = instructedit.measure(pack, output, count, seed, watch)
        files = [str(output / f"instructedit.{suffix}") for suffix in ("json", "md", "png", "jsonl")]
        return {"table": f"\n{instructedit.markdown(report)}\n", "files": files}
    if name == "instructedit-table1":
        from . import instructedit_table1 as table1

        _chosen(only, table1.labels_of(pack), "row")
        report = table1.measure(pack, output, count, seed, watch, cases, only=only)
        if only:
            return {"measured": f"\n{table1.markdown(report)}\n", "files": []}
        files = [str(output / f"table1.{suffix}") for suffix in ("json", "md", "html")]
        return {"table": f"\n{table1.markdown(report)}\n", "files": files}
    if name.startswith("instructbrush"):
        from . import instructbrush_tables as tables

        _chosen(only, tables.labels_of(name), "row")
        report = tables.measure(name, pack, output, count, seed, watch, cases, only=only)
        files = [str(output / f"{name}.{suffix}") for suffix in ("json", "md", "png")]
        return {"table": f"\n{tables.markdown(report)}\n", "files": files}
    if name.startswith("instructgie"):
        from . import instructgie_tables as visual

        _chosen(only, [row.label for row in visual.rows_of(name, pack)], "row")
        report = visual.measure(name, pack, output, count, seed, watch, cases, ablations, only=only)
        files = [str(output / f"{name}.{suffix}") for suffix in ("json", "md", "html", "png")]
        return {"table": f"\n{visual.markdown(report)}\n", "files": files}
    if name == "erf":
        from . import erf

        report = erf.measure(pack, output, count, seed, watch)
        files = [str(output / f"erf.{suffix}") for suffix in ("json", "png")]
        return {"table": f"\n{erf.markdown(report)}\n", "not measured": report["not measured"], "files": files}
    if name == "pack":
        from . import pack as models

        report = models.measure(pack, output, count, seed, watch)
        unmeasured = {part: v["not measured"] for part, v in report["parts"].items() if "not measured" in v}
        return report["figures"] | {"not measured": unmeasured, "files": [str(output / "pack.json")]}
    if name == "judge":
        return _judge(pack, output, count, seed)
    if name == "tune":
        return _tune(pack, output, count, seed, watch, only)
    from . import card

    figures = card.collect(output)
    return {"file": str(card.store(figures, Path(pack.folder))), "figures": figures}


def _judge(pack: Any, output: Path, n: int, seed: int) -> dict[str, Any]:
    from .judge import round_trip, score_judge

    score = score_judge(pack.judge, n, seed, round_trip(pack.text_to_image.autoencoder)).to_json()
    return _written(output / "judge.json", {"pack": pack.name, "pack hash": pack.hash, "n": n, "seed": seed, **score})


def _tune(pack: Any, output: Path, n: int, seed: int, watch: Any, only: Sequence[str]) -> dict[str, Any]:
    from . import tune, tune_learning, tune_prompts
    from .table import write_whole

    methods = (*tune.GRIDS, *tune_prompts.TUNED, *tune_learning.TUNED)
    _chosen(only, methods, "method")
    told: dict[str, Any] = {}
    trials: Sequence[Any]
    if not only or set(only) - set(tune_learning.TUNED):
        _ = pack.judge  # without it only learning rates can be chosen
    for method in methods:
        if only and method not in only:
            continue
        taken = n
        try:
            if method in tune_learning.TUNED:
                taken = len(tune_learning.TAKEN)
                trials = tune_learning.tune_learning(pack, method, seed, output, watch)
            elif method in tune.GRIDS:
                trials = tune.tune(pack, method, tune.GRIDS[method], n, seed, output, watch)
            else:
                trials = tune_prompts.tune_prompted(pack, method, n, seed, output, watch)
        except PackError as lacking:
            told[method] = {"not tuned": str(lacking)}
            continue
        head = {"protocol": tune.PROTOCOL, "pack": pack.name, "pack hash": pack.hash, "n": taken, "seed": seed}
        _written(output / f"tune-{method}.json", {**head, "trials": [trial.to_json() for trial in trials]})
        kept = tune_prompts.TUNED[method].kept if method in tune_prompts.TUNED else {}
        tune.write_defaults(output, method, {**trials[0].settings, **kept})
        told[method] = trials[0].to_json()
    reports = {path.stem.removeprefix("tune-"): json.loads(path.read_text()) for path in output.glob("tune-*.json")}
    write_whole(output / "tuning.md", tune.markdown(dict(sorted(reports.items()))))
    return told


def _chosen(only: Sequence[str], there: Sequence[str], what: str) -> None:
    """Raises: RequestError for a name that is not there."""
    for name in only:
        if name not in there:
            raise RequestError(f"there is no {what} {name!r}: take {', '.join(map(repr, there))}")


def _written(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    from .table import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(report, indent=1) + "\n")
    return report
