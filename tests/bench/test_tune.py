"""Choosing settings on validation, and inversion and back."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from measured import bench_pack
from pentimento import bench
from pentimento.bench import card, tune, tune_learning, tune_prompts
from pentimento.bench.instructgie_rows import STEPS
from pentimento.bench.tasks import draw_task
from pentimento.bench.visual_cases import KINDS_OF, VisualCase
from pentimento.editors import masked, mdp
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


@pytest.mark.parametrize("method", tune.GRIDS)
def test_no_setting_of_a_grid_is_without_effect(method: str) -> None:
    task, small = draw_task(0, 0, "validation", held_out=False), np.zeros((128, 128), dtype=bool)
    small[50:60, 50:60] = True  # so that a close look differs from the whole picture
    vars(task)["truth"] = replace(task.truth, target=small)
    first = {"steps": 5, **{name: values[0] for name, values in tune.GRIDS[method].items()}}
    first |= {"theta": 1 / 3} if method == "diffedit" else {}  # random weights differ little anywhere
    edited = tune._decoded(bench_pack(), method, first, task)
    for name, values in tune.GRIDS[method].items():
        assert (tune._decoded(bench_pack(), method, {**first, name: values[-1]}, task) != edited).any(), name


def test_the_sweep_keeps_every_trial_best_first_and_writes_the_winner(tmp_path: Path) -> None:
    grid = {"ratio": (0.0, 0.5), "guidance": (2.0,)}
    trials = tune.tune(bench_pack(), "instructedit", grid, n=1, seed=0, output=tmp_path)
    assert len(trials) == 2 and trials[0].score >= trials[1].score
    path = tune.write_defaults(tmp_path, "instructedit", trials[0].settings)
    tune.write_defaults(tmp_path, "instructpix2pix", {"guidance": 3.0})
    stored = json.loads(path.read_text())
    assert stored["instructedit"] == dict(trials[0].settings) and stored["instructpix2pix"] == {"guidance": 3.0}


def test_example_pairs_are_tuned_on_trained_kinds_of_validation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, draw, steps = [], tune_prompts.draw_case, set()

    def watched(number: int, seed: int, domain: str, split: str, held_out: bool) -> VisualCase:
        asked.append((domain, split, draw(number, seed, domain, split, held_out).case.group))
        return draw(number, seed, domain, split, held_out)

    def editor(method: str, pack: object, settings: dict[str, float]) -> Callable[[Request], Result]:
        def edit(request: Request) -> Result:
            steps.add(settings["steps"])
            image = request.image if settings["guidance"] == 2 else Image.new("RGB", request.image.size)
            return Result(image, image, None, None)

        return edit

    monkeypatch.setattr(tune_prompts, "draw_case", watched)
    monkeypatch.setattr(tune_prompts, "editor_of", editor)
    tuned = {"x": tune_prompts.Tuned("x", {"guidance": (1.0, 2.0)}, {"steps": STEPS})}

    def levels(shown: list[Image.Image], truth: list[Image.Image]) -> list[float]:
        pairs = zip(shown, truth, strict=True)
        return [float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean()) for one, other in pairs]

    pack = bench_pack(defaults={"x": {"steps": 7}}, perceptual=SimpleNamespace(distances=levels))
    trials = tune_prompts.tune_prompted(pack, "x", 3, 0, tmp_path, tuned=tuned)
    assert steps == {STEPS}  # as in the tables
    assert asked == [("in_domain", "validation", kind) for kind in KINDS_OF["in_domain"][:3]]
    lost = {trial.settings["guidance"]: trial.lost for trial in trials}
    assert lost[2.0] == 0 < lost[1.0]
    first, second = (trial.to_json()["LPIPS to the truth"] for trial in trials)
    assert 0 < first < second and trials[0].settings["guidance"] == 2, "LPIPS chooses, and black is further away"


def test_what_the_judge_half_believes_counts_and_so_does_what_is_lost_outside() -> None:
    doubted, sure = (tune.Trial({}, believed, 0.0, 1.0, 0.0) for believed in (0.2, 0.4))
    spoilt = tune.Trial({}, 0.4, 0.0, 5.0, 0.0)
    assert sure.score > doubted.score and sure.score > spoilt.score
    assert {"belief", "carried out", "dB lost outside", "score"} <= set(sure.to_json())


def test_where_lpips_was_measured_it_alone_chooses() -> None:
    near, believed = tune.Trial({}, 0.0, 0.0, 9.0, 0.0, lpips=0.1), tune.Trial({}, 1.0, 1.0, 0.0, 0.0, lpips=0.2)
    assert near.score > believed.score and "LPIPS to the truth" not in tune.Trial({}, 0.0, 0.0, 0.0, 0.0).to_json()


def test_a_sweep_that_was_broken_off_tries_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[int, object]] = []
    plain = tune._decoded

    def decoded(pack, method, settings, task):
        tried.append((task.number, settings["ratio"]))
        if len(tried) == 2:
            raise KeyboardInterrupt
        return plain(pack, method, settings, task)

    monkeypatch.setattr(tune, "_decoded", decoded)
    grid = {"ratio": (0.0, 0.5)}
    with pytest.raises(KeyboardInterrupt):
        tune.tune(bench_pack(), "instructedit", grid, n=2, seed=0, output=tmp_path)
    trials = tune.tune(bench_pack(), "instructedit", grid, n=2, seed=0, output=tmp_path)
    assert tried == [(0, 0.0), (0, 0.5), (0, 0.5), (1, 0.0), (1, 0.5)]  # the tasks outermost
    whole = tune.tune(bench_pack(), "instructedit", grid, n=2, seed=0, output=tmp_path / "new")
    assert [(t.settings, t.believed, t.lost) for t in trials] == [(t.settings, t.believed, t.lost) for t in whole]


@pytest.mark.parametrize("method", ["mdp", "instructedit"])
def test_a_picture_is_inverted_once_for_settings_that_do_not_change_its_inversion(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"guidance": (2.0, 7.0), "window_end": (0.0, 0.5, 1.0)} if method == "mdp" else {"guidance": (2.0, 3.0, 7.0)}
    inverted, optimised = [], []
    plain, plainly = masked.invert, mdp.null_text
    monkeypatch.setattr(masked, "invert", lambda *args: inverted.append(_missing(args)) or plain(*args))
    monkeypatch.setattr(mdp, "null_text", lambda *args: optimised.append(1) or plainly(*args))
    settings = {"steps": 2, "inner_steps": 1} if method == "mdp" else {"steps": 2}
    pack = bench_pack(defaults={method: settings})
    tune.tune(pack, method, grid, n=1, seed=0, output=tmp_path)
    assert sum(count > 0 for count in inverted) == 1
    assert len(optimised) == (2 if method == "mdp" else 0)  # a path for each guidance, whatever the window


def _missing(arguments: tuple) -> int:
    """Levels that a call of `invert` still has to go."""
    _, known, _, level, *_ = arguments
    return level + 1 - len(known.latents)


def test_what_learned_from_visual_prompts_keeps_the_steps_that_its_guidance_was_chosen_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tune.Trial({"guidance": 3.0}, 1.0, 1.0, 0.0, 1.0)
    monkeypatch.setattr(tune_prompts, "tune_prompted", lambda *_: (trial,))
    bench.run("tune", bench_pack(), tmp_path, n=1, only=("promptdiffusion",))
    chosen = json.loads((tmp_path / "defaults.json").read_text())
    assert chosen == {"promptdiffusion": {"guidance": 3.0, "steps": STEPS}}


def test_methods_can_be_tuned_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for others in (tune_prompts, tune_learning):
        monkeypatch.setattr(others, "TUNED", {})
    monkeypatch.setattr(tune, "GRIDS", {"instructedit": {"ratio": (0.0, 0.5)}, "instructpix2pix": {"guidance": (2.0,)}})
    pack = bench_pack(folder=tmp_path)
    told = bench.run("tune", pack, tmp_path / "out", n=1, only=("instructpix2pix",))
    assert list(told) == ["instructpix2pix"] and not (tmp_path / "out" / "tune-instructedit.json").exists()
    assert list(json.loads((tmp_path / "out" / "defaults.json").read_text())) == ["instructpix2pix"]
    told = bench.run("tune", pack, tmp_path / "out", n=1)
    report = json.loads((tmp_path / "out" / "tune-instructedit.json").read_text())
    assert len(report["trials"]) == 2 and report["trials"][0] == told["instructedit"]
    text = (tmp_path / "out" / "tuning.md").read_text()
    assert text.index("## instructedit") < text.index("## instructpix2pix")
    assert text.count("\n| **") == 2 and f"| **{report['trials'][0]['ratio']:.4g}** |" in text
    with pytest.raises(RequestError, match="no method 'mpd'"):
        bench.run("tune", pack, tmp_path, only=("mpd",))


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
