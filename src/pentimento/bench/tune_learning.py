"""Learning rates, chosen on pairs that no table tests on: of an effect's ten training pairs the first eight are learned
from, the last two score. What learns other things, or by another loss, has a rate of its own; ablations that do not
share the whole's."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.effects import EFFECTS
from ..editors.requests import Watch, unwatched
from ..errors import PackError
from .instructbrush_rows import Bench, Row, Scored, open_bench, scored
from .instructbrush_tables import BUDGET, PROTOCOL
from .table import BenchPack
from .topbench import TopEffect, drawn_effects

RATES = (1e-2, 3e-2, 1e-1, 3e-1, 1.0)
SHOTS = 8
"""Pairs that are learned from."""
TAKEN = tuple(range(0, len(EFFECTS), 7))
"""The effects by number."""
TUNED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "learning": ("instructbrush", {}),
    "learning_text": ("instructbrush", {"space": "text"}),
    "learning_unguided": ("instructbrush", {"train_with_guidance": False}),
    "learning_visii": ("visii", {}),
}
"""The method and its settings by the name that `learning.settings.family` gives them."""


@dataclass(frozen=True)
class Learnt:
    """A learning rate with the means over effects of what it reached; LPIPS chooses."""

    settings: Mapping[str, Any]
    means: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {**self.settings, **self.means}


def tune_learning(pack: BenchPack, name: str, seed: int, output: Path, watch: Watch = unwatched) -> tuple[Learnt, ...]:
    """Every rate on every seventh effect, at the budget of the tables; the best first.

    Several processes divide the work, and a run that was broken off goes on.
    Raises: PackError when the pack has no instruct model, or no network for LPIPS.
    """
    method, settings = TUNED[name]
    bench = open_bench(pack, output, seed, BUDGET, PROTOCOL)
    if bench.tools.perceptual is None:
        raise PackError("no learning rate can be chosen without LPIPS: add a role perceptual or lpips to the pack")
    drawn = [effect for number, effect in enumerate(drawn_effects()) if number in TAKEN]
    effects = [replace(effect, train=effect.train[:SHOTS], test=effect.train[SHOTS:]) for effect in drawn]
    rows = [Row(name, method, {**settings, "lr": rate}, SHOTS) for rate in RATES]
    pieces = [(row, effect) for row in rows for effect in effects]
    done = []
    for number, (row, effect) in enumerate(pieces):
        watch("learn", number, len(pieces))
        done.append(scored(bench, row, effect))
    everything = [one or _waited(bench, *piece) for one, piece in zip(done, pieces, strict=True)]
    trials = []
    for number, rate in enumerate(RATES):
        found = [one.measured for one in everything[number * len(effects) :][: len(effects)]]
        means = {column: float(np.mean([one[column] for one in found])) for column in found[0]}
        trials.append(Learnt({"lr": rate}, means))
    return tuple(sorted(trials, key=lambda trial: trial.means["LPIPS"]))


def _waited(bench: Bench, row: Row, effect: TopEffect) -> Scored:
    while (found := scored(bench, row, effect)) is None:
        time.sleep(1)
    return found
