"""Choosing settings on validation, and inversion and back."""

import json
from pathlib import Path

import pytest

from measured import bench_pack
from pentimento.bench import card, tune
from pentimento.errors import PackError, RequestError


def test_every_method_gets_equally_many_trials() -> None:
    sizes = set()
    for grid in tune.GRIDS.values():
        size = 1
        for values in grid.values():
            size *= len(values)
        sizes.add(size)
    assert len(sizes) == 1


def test_the_sweep_keeps_every_trial_best_first_and_writes_the_winner(tmp_path: Path) -> None:
    trials = tune.tune(bench_pack(), "instructedit", {"ratio": (0.0, 0.5), "guidance": (2.0,)}, n=1, seed=0)
    assert len(trials) == 2 and trials[0].score >= trials[1].score
    path = tune.write_defaults(tmp_path, "instructedit", trials[0].settings)
    tune.write_defaults(tmp_path, "instructpix2pix", {"guidance": 3.0})
    stored = json.loads(path.read_text())
    assert stored["instructedit"] == dict(trials[0].settings) and stored["instructpix2pix"] == {"guidance": 3.0}


def test_defaults_that_are_no_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "defaults.json").write_text("{")
    with pytest.raises(PackError, match="no JSON"):
        tune.write_defaults(tmp_path, "instructedit", {"ratio": 0.5})


def test_at_ratio_nothing_the_picture_comes_back_whole() -> None:
    figures = tune.reconstruction(bench_pack(), n=1, ratios=(0.0, 0.5))
    assert figures["ratio 0"]["value"] == 99
    assert figures["ratio 0.5"]["value"] < 99 and figures["autoencoder"]["n"] == 1


def test_figures_of_reports_reach_the_pack_folder_in_words(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no reports"):
        card.collect(tmp_path)
    figure = {"value": 0.9, "low": 0.85, "high": 0.94, "n": 200}
    (tmp_path / "report.json").write_text(json.dumps({"figures": {"plan right": card.in_words(figure)}}))
    card.store({"older": "1"}, tmp_path)
    card.store(card.collect(tmp_path), tmp_path)
    assert json.loads((tmp_path / "scores.json").read_text()) == {
        "older": "1",
        "plan right": "90.0 % [85.0, 94.0], n = 200",
    }
