"""InstructBrush's tables: resumable, shared by tables and processes, with bounds and ablations at one budget."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from pentimento import bench
from pentimento.bench import instructbrush_rows as rows
from pentimento.bench import instructbrush_tables as tables
from pentimento.bench import tune_learning
from pentimento.bench.metrics import direction_distance
from pentimento.bench.table import Outcome
from pentimento.data.effects import EFFECTS
from pentimento.errors import PackError, RequestError, TrainingError
from pentimento.learning.settings import learn_settings
from toy import ToyPack


class Seeing:
    """A clip that sees the mean colour and reads nothing."""

    fingerprint = "seeing"

    def embed_images(self, images):
        return torch.from_numpy(np.stack([np.asarray(i.convert("RGB")).mean((0, 1)) for i in images])).float()

    def embed_pixels(self, pixels):
        return pixels.mean((-2, -1))

    def embed_texts(self, texts):
        return torch.eye(3)[[len(text) % 3 for text in texts]]


class BenchToy(ToyPack):
    clip = Seeing()

    @property
    def judge(self):
        raise PackError("the toy has no judge")

    @property
    def perceptual(self):
        return SimpleNamespace(
            distances=lambda one, other: torch.tensor([float(one[0].tobytes() != other[0].tobytes())]), name="bytes"
        )

    @property
    def features(self):
        raise PackError("the toy has no features")


def pack(kind: type[BenchToy] = BenchToy) -> BenchToy:
    return kind(
        phrases=("cat", "snow"),
        defaults={"instructpix2pix": {"steps": 2}, **{m: {"steps": 2} for m in ("visii", "instructbrush")}},
    )


@pytest.mark.parametrize(("image_guidance", "guided"), [(1.5, 3), (1.0, 2)])
def test_every_learning_has_the_same_budget(image_guidance: float, guided: int) -> None:
    for row in (row for table in tables.ROWS.values() for row in table if row.how in rows.LEARNING):
        settings = learn_settings(row.how, {**row.settings, "image_guidance": image_guidance})
        each = guided if settings.train_with_guidance else 1
        cost = settings.parts * each * rows.steps_within(settings, tables.BUDGET)
        assert 0.99 * tables.BUDGET <= cost <= tables.BUDGET, row.label


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables of two effects with one sample a pair; what is learned is noted."""
    effects = tables.drawn_effects(2)
    monkeypatch.setattr(tables, "drawn_effects", lambda n: effects[:n])
    monkeypatch.setattr(rows, "SEEDS", 1)
    learned: list[str] = []
    plain = rows.learn

    def noted(pack: Any, pairs: Any, path: Path, settings: Any) -> Any:
        learned.append(path.stem)
        return plain(pack, pairs, path, settings)

    monkeypatch.setattr(rows, "learn", noted)
    return learned


def test_a_table_is_measured_and_goes_on_where_it_was_broken_off(tmp_path: Path, small: list[str]) -> None:
    report = tables.measure("instructbrush-table1", pack(), tmp_path, n=2, budget=15)
    figures = report["groups"]["TOP-Bench"]
    assert list(figures) == [row.label for row in tables.ROWS["instructbrush-table1"]]
    assert figures["InstructBrush"]["PSNR"]["n"] == 2 and figures["InstructBrush"]["seconds"]["value"] > 0
    assert figures["no edit"]["Direct."]["value"] == pytest.approx(1)
    assert report["spread"]["PSNR"]["n"] == 1 and len(set(report["spread"]["PSNR"]["means"])) == 3
    assert len(small) == len(set(small)) == 2 * 2 + 2
    for kept in list((tmp_path / "scores").glob("*.json"))[::2]:
        kept.unlink()
    again = tables.measure("instructbrush-table1", pack(), tmp_path, n=2, budget=15)
    assert again["groups"]["TOP-Bench"]["Visii"]["PSNR"] == figures["Visii"]["PSNR"]
    assert len(set(small)) == 2 * 2 + 2
    with Image.open(tmp_path / "instructbrush-table1.png") as sheet:
        assert sheet.height > 5 * 128  # before, three methods, truth
    text = (tmp_path / "instructbrush-table1.md").read_text()
    assert "| Visii | 17.14 |" in text and "LPIPS, by bytes" in text and "Direct., by the CLIP of toy" in text


def test_a_table_may_have_some_of_its_rows_alone(tmp_path: Path, small: list[str]) -> None:
    told = bench.run("instructbrush-table1", pack(), tmp_path, n=1, only=("no edit", "InstructPix2Pix"))
    report = json.loads((tmp_path / "instructbrush-table1.json").read_text())
    assert list(report["groups"]["TOP-Bench"]) == ["no edit", "InstructPix2Pix"] and not small
    effect, toy = tables.drawn_effects(1)[0], pack()
    bench_of = rows.open_bench(toy, tmp_path, 0, 15, tables.PROTOCOL)
    assert rows.shown(bench_of, tables.WHOLE, effect) is None and rows.shown(bench_of, tables.WORDS, effect) is not None
    assert "not asked for: the true picture, autoencoder round trip, Visii, InstructBrush" in told["table"]
    with pytest.raises(RequestError, match="there is no row 'visii'"):
        bench.run("instructbrush-table1", pack(), tmp_path, n=1, only=("visii",))


def test_a_learning_rate_is_chosen_on_pairs_that_no_table_tests_on(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    effects = tables.drawn_effects(2)
    monkeypatch.setattr(tune_learning, "drawn_effects", lambda: effects)
    monkeypatch.setattr(tune_learning, "TAKEN", (1,))
    monkeypatch.setattr(tune_learning, "BUDGET", 15)
    seen = []
    plain = tune_learning.scored

    def noted(bench: Any, row: Any, effect: Any) -> Any:
        seen.append((row.settings["lr"], row.shots, effect))
        return plain(bench, row, effect)

    monkeypatch.setattr(tune_learning, "scored", noted)
    told = bench.run("tune", pack(), tmp_path, only=("learning",))
    assert [rate for rate, _, _ in seen] == list(tune_learning.RATES)
    for _, shots, effect in seen:
        assert shots == 8 and [*effect.train, *effect.test] == list(effects[1].train)
    report = json.loads((tmp_path / "tune-learning.json").read_text())
    best = min(report["trials"], key=lambda trial: trial["LPIPS"])
    assert report["trials"][0] == best == told["learning"] and report["n"] == 1
    assert json.loads((tmp_path / "defaults.json").read_text()) == {"learning": {"lr": best["lr"]}}
    assert len(small) == len(tune_learning.RATES)


def test_what_is_measured_stays_when_other_models_change(tmp_path: Path, small: list[str]) -> None:
    class Changed(BenchToy):
        def hash_of(self, *roles: str) -> str:
            return "1" * 64 if "instruct" in roles else super().hash_of(*roles)

    first, other = pack(), replace(pack(), hash="2" * 64)
    object.__setattr__(other, "hash_of", first.hash_of)
    tables.measure("instructbrush-table4", first, tmp_path, n=1, budget=15)
    known = len(small)
    tables.measure("instructbrush-table4", other, tmp_path, n=1, budget=15)
    assert len(small) == known
    tables.measure("instructbrush-table4", pack(Changed), tmp_path, n=1, budget=15)
    assert len(small) == 2 * known


def test_what_visii_learned_is_learned_anew_with_another_clip(tmp_path: Path, small: list[str]) -> None:
    class Other(BenchToy):
        def hash_of(self, *roles: str) -> str:
            return "1" * 64 if "clip" in roles else super().hash_of(*roles)

    def learned_by(kind: type[BenchToy], method: str) -> int:
        tables.measure("instructbrush-table1", pack(kind), tmp_path, n=1, budget=15, only=(method,))
        return len(list((tmp_path / "learned").glob("*.safetensors")))

    assert [learned_by(kind, "Visii") for kind in (BenchToy, Other)] == [1, 2]


def test_tables_share_what_they_have_in_common_and_other_settings_share_nothing(
    tmp_path: Path, small: list[str]
) -> None:
    first = tables.measure("instructbrush-table1", pack(), tmp_path, n=1, budget=15)
    known = set(small)
    second = tables.measure("instructbrush-table2", pack(), tmp_path, n=1, budget=15)
    assert first["groups"]["TOP-Bench"]["InstructBrush"] == second["groups"]["TOP-Bench"]["InstructBrush"]
    (begun,) = second["words"].values()
    apart = begun.get("raw similarities", "") != begun.get("InstructBrush", "")
    assert len(set(small) - known) == len(small) - len(known) == 4 + apart
    known = set(small)
    one_shot = tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=15)
    assert len(set(small) - known) == 2
    for label in ("no edit", "InstructPix2Pix"):
        assert one_shot["groups"]["TOP-Bench"][label] == first["groups"]["TOP-Bench"][label]
    known = set(small)
    tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=30)
    assert len(set(small) - known) == 2


def test_what_another_process_is_at_is_left_to_it(tmp_path: Path, small: list[str]) -> None:
    report = tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=15)
    for kept in (tmp_path / "scores").glob("*.json"):
        if '"visii"' in kept.read_text():
            kept.unlink()
            with FileLock(kept.with_suffix(".lock")):
                meanwhile = tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=15)
    assert "Visii" not in meanwhile["groups"]["TOP-Bench"]
    assert "1 of 5 figures are still being measured by another process" in meanwhile["remarks"]
    after = tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=15)
    assert after["groups"]["TOP-Bench"]["Visii"]["PSNR"] == report["groups"]["TOP-Bench"]["Visii"]["PSNR"]


def test_figures_of_another_arithmetic_are_measured_anew(tmp_path: Path, small: list[str]) -> None:
    for arithmetic in ("fp32", "bf16"):
        other = pack()
        object.__setattr__(other.instruct, "arithmetic", arithmetic)
        tables.measure("instructbrush-table4", other, tmp_path, n=1, budget=15)
    assert len(set(small)) == 4 and len(list((tmp_path / "scores").glob("*.json"))) == 2 * 5


def stopped_at_once(learn: Any) -> Any:
    """`learn`, with minutes that are over after the first step."""
    return lambda pack, pairs, path, settings: learn(
        pack, pairs, path, settings.model_copy(update={"minutes": 1e-9, "steps": 3})
    )


def test_a_learning_that_was_stopped_is_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "learn", stopped_at_once(rows.learn))
    with pytest.raises(TrainingError, match="stopped after 1 of 3 steps.*the same command goes on"):
        tables.measure("instructbrush-table4", pack(), tmp_path, n=1, budget=15)
    kept = [json.loads(path.read_text())["about"]["how"] for path in (tmp_path / "scores").glob("*.json")]
    assert set(kept) == {"no edit", "round trip", "words"}


def test_a_curve_has_no_point_where_the_learning_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import learning_curve

    opened, (effect,) = rows.open_bench(pack(), tmp_path, 0, 15, 1), tables.drawn_effects(1)
    monkeypatch.setattr(learning_curve, "learn", stopped_at_once(rows.learn))
    with pytest.raises(TrainingError, match="stopped after 1 of 3 steps"):
        learning_curve.curve_of(opened, effect, (3,), tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_the_spread_is_the_standard_deviation_over_seeds_within_an_effect() -> None:
    labels = ["InstructBrush", "seed +1", "seed +2"]
    values = np.array([[20.0, 30.0], [21.0, 33.0], [22.0, 36.0]])
    outcomes = [
        Outcome(label, task, "local", measured={"PSNR": values[i, task]}) for i, label in enumerate(labels)
        for task in (0, 1)
    ] + [Outcome("InstructBrush", 2, "local", measured={"PSNR": 99.0})]  # fmt: skip
    told = tables.spread("instructbrush-table1", outcomes)["PSNR"]
    assert told["means"] == [25.0, 27.0, 29.0] and told["n"] == 2
    assert told["within"] == pytest.approx(((1 + 9) / 2) ** 0.5)
    assert tables.spread("instructbrush-table2", outcomes) == {}


def test_the_ablations_change_one_thing_each() -> None:
    whole = learn_settings("instructbrush", {}).model_dump()
    for label, name in (("w/o Attn", "space"), ("w/o Time", "parts"), ("w/o Init", "init")):
        (row,) = (row for row in tables.ROWS["instructbrush-table2"] if row.label == label)
        changed = learn_settings(row.how, row.settings).model_dump()
        assert {key for key in whole if whole[key] != changed[key]} == {name}


def test_one_shot_learns_from_one_pair_and_the_published_layout_is_read(tmp_path: Path) -> None:
    (effect,) = tables.drawn_effects(1)
    assert (len(effect.train), len(effect.test)) == (10, 5)
    (one_shot,) = (row for row in tables.ROWS["instructbrush-table4"] if row.label == "InstructBrush")
    assert one_shot.shots == 1
    for split, count in (("train", 2), ("test", 1)):
        for i in range(count):
            for side in (0, 1):
                path = tmp_path / "snow" / split / f"{i}_{side}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (40 * i, 90 * side, 0)).save(path)
    (snow,) = tables.read_effects(tmp_path)
    assert (snow.instruction, snow.local, len(snow.train), len(snow.test)) == ("have it snow", False, 2, 1)
    (tmp_path / "unheard of" / "test").mkdir(parents=True)
    with pytest.raises(RequestError, match="'unheard of' is no effect"):
        tables.read_effects(tmp_path)
    with pytest.raises(RequestError, match="holds no effects"):
        tables.read_effects(tmp_path / "nowhere")


def test_direction_distance_is_the_naive_formula() -> None:
    rng = np.random.default_rng(0)
    a, b, c, d = (rng.normal(size=(n, 5)) for n in (8, 8, 3, 3))
    made, wanted = (b - a).mean(0), (d - c).mean(0)
    naive = 1 - made @ wanted / np.linalg.norm(made) / np.linalg.norm(wanted)
    assert direction_distance(*(torch.from_numpy(x) for x in (a, b, c, d))) == pytest.approx(naive)
    same = torch.from_numpy(a)
    for rounding in (0.0, 1e-6):
        assert direction_distance(same, same + rounding, *(torch.from_numpy(x) for x in (c, d))) == 1


def test_bench_knows_the_tables_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", {"instructbrush-table4": tables.BOUNDS})
    monkeypatch.setattr(rows, "SEEDS", 1)
    told = bench.run("instructbrush-table4", pack(), tmp_path, n=1)
    assert "autoencoder round trip" in told["table"]
    assert json.loads((tmp_path / "instructbrush-table4.json").read_text())["n"] == 1
    assert len(EFFECTS) == bench.TABLES["instructbrush-table1"]


def test_differences_are_taken_effect_by_effect() -> None:
    def outcome(row: str, task: int, **measured: float) -> Outcome:
        return Outcome(row, task, "local", measured=measured)

    whole = [outcome("InstructBrush", task, PSNR=psnr) for task, psnr in enumerate((20.0, 30.0))]
    other = [outcome("Visii", task, PSNR=psnr, LPIPS=0.5) for task, psnr in enumerate((19.0, 27.0, 9.0))]
    made = whole + other
    assert [(o.row, o.task, o.measured) for o in tables.differences(made)] == [
        ("Visii", 0, {"PSNR": -1.0}), ("Visii", 1, {"PSNR": -3.0}),
    ]  # fmt: skip
