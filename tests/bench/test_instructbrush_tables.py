"""InstructBrush's tables: an effect at a time, resumable, with bounds and ablations at one budget."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento import bench
from pentimento.bench import instructbrush_tables as tables
from pentimento.bench.metrics import direction_distance
from pentimento.data.effects import EFFECTS
from pentimento.errors import PackError, RequestError
from pentimento.learning.settings import learn_settings
from toy import ToyPack


class Seeing:
    """A clip that sees the mean colour and reads nothing."""

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
            distances=lambda one, other: torch.tensor([float(one[0].tobytes() != other[0].tobytes())])
        )


def pack() -> BenchToy:
    return BenchToy(
        phrases=("cat", "snow"),
        defaults={"instructpix2pix": {"steps": 2}, **{m: {"steps": 2} for m in ("visii", "instructbrush")}},
    )


def test_every_learning_has_the_same_budget() -> None:
    def cost(how: str, **settings: object) -> int:
        plain = learn_settings(how, settings)
        rows = plain.parts * (3 if plain.train_with_guidance else 1)
        return rows * tables.steps_within(settings, plain.parts, plain.train_with_guidance, tables.BUDGET)

    for row in (row for rows in tables.ROWS.values() for row in rows if row.how in ("visii", "instructbrush")):
        assert 0.99 * tables.BUDGET <= cost(row.how, **row.settings) <= tables.BUDGET, row.label


def test_a_table_is_measured_and_goes_on_where_it_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BUDGET", 15)
    monkeypatch.setattr(tables, "SEEDS", 1)
    report = tables.measure("instructbrush-table1", pack(), tmp_path, n=2, budget=15)
    rows = report["groups"]["TOP-Bench"]
    assert list(rows) == [row.label for row in tables.ROWS["instructbrush-table1"]]
    assert rows["InstructBrush"]["PSNR"]["n"] == 2 and rows["InstructBrush"]["seconds"]["value"] > 0
    assert rows["no edit"]["Direct."]["value"] == pytest.approx(1)
    log = tmp_path / "instructbrush-table1.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:4]) + "\n" + lines[4][:15])
    again = tables.measure("instructbrush-table1", pack(), tmp_path, n=2, budget=15)
    assert [line.split('"measured"')[0] for line in sorted(log.read_text().splitlines())] == [
        line.split('"measured"')[0] for line in sorted(lines)
    ]
    for label, figures in rows.items():
        assert again["groups"]["TOP-Bench"][label]["PSNR"] == figures["PSNR"]
    assert "| Visii | 17.14 |" in (tmp_path / "instructbrush-table1.md").read_text()


def test_the_ablations_change_one_thing_each() -> None:
    whole = learn_settings("instructbrush", {}).model_dump()
    for label, name in (("w/o Attn", "space"), ("w/o Time", "parts"), ("w/o Init", "init")):
        (row,) = (row for row in tables.ROWS["instructbrush-table2"] if row.label == label)
        changed = learn_settings(row.how, row.settings).model_dump()
        assert {key for key in whole if whole[key] != changed[key]} == {name}


def test_one_shot_learns_from_the_first_pair_and_the_published_layout_is_read(tmp_path: Path) -> None:
    effects = tables.drawn_effects(1)
    assert len(effects) == 25 and all(len(e.train) == 1 and len(e.test) == 5 for e in effects)
    for split, count in (("train", 2), ("test", 1)):
        for i in range(count):
            for side in (0, 1):
                path = tmp_path / "snow" / split / f"{i}_{side}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (40 * i, 90 * side, 0)).save(path)
    (snow,) = tables.read_effects(tmp_path, shots=1)
    assert (snow.instruction, snow.local, len(snow.train), len(snow.test)) == ("have it snow", False, 1, 1)
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
    monkeypatch.setattr(tables, "SEEDS", 1)
    told = bench.run("instructbrush-table4", pack(), tmp_path, n=1)
    assert "autoencoder round trip" in told["table"]
    assert json.loads((tmp_path / "instructbrush-table4.json").read_text())["shots"] == 1
    assert len(EFFECTS) == bench.TABLES["instructbrush-table1"]
