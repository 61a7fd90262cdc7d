"""Choosing settings on validation, and inversion and back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from measured import bench_pack
from pentimento.bench import card, tune, tune_prompts
from pentimento.bench.visual_cases import KINDS_OF, VisualCase
from pentimento.errors import PackError, RequestError
from pentimento.values import Request, Result


def test_every_method_gets_equally_many_trials() -> None:
    sizes = set()
    for grid in (*tune.GRIDS.values(), *(one.grid for one in tune_prompts.TUNED.values())):
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


def test_example_pairs_are_tuned_on_trained_kinds_of_validation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, draw = [], tune_prompts.draw_case

    def watched(number: int, seed: int, domain: str, split: str, held_out: bool) -> VisualCase:
        asked.append((domain, split, draw(number, seed, domain, split, held_out).case.group))
        return draw(number, seed, domain, split, held_out)

    def editor(method: str, pack: object, settings: dict[str, float]) -> Callable[[Request], Result]:
        def edit(request: Request) -> Result:
            image = request.image if settings["guidance"] == 2 else Image.new("RGB", request.image.size)
            return Result(image, image, None, None)

        return edit

    monkeypatch.setattr(tune_prompts, "draw_case", watched)
    monkeypatch.setattr(tune_prompts, "editor_of", editor)
    tuned = {"x": tune_prompts.Tuned("x", {}, {"guidance": (1.0, 2.0)})}
    trials = tune_prompts.tune_prompted(bench_pack(), "x", 3, 0, tuned=tuned)
    assert asked == [("in_domain", "validation", kind) for kind in KINDS_OF["in_domain"][:3]]
    lost = {trial.settings["guidance"]: trial.lost for trial in trials}
    assert lost[2.0] == 0 < lost[1.0] and trials[0].score >= trials[1].score


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
