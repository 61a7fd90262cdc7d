import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import toy_recipe as toy
from safetensors.torch import load_file
from torch import nn

from pentimento.errors import TrainingError
from pentimento.training import loop, train, warm_start
from pentimento.training.loop import _to_device, learning_rate

SCRIPT = Path(__file__).with_name("toy_recipe.py")


def start(folder: Path, checkpoint_minutes: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(checkpoint_minutes)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def weights(folder: Path) -> bytes:
    return (folder / "pack" / "toy" / "model.safetensors").read_bytes()


def test_a_run_that_was_killed_ends_with_the_same_bits_as_an_unbroken_one(tmp_path):
    unbroken, killed = start(tmp_path / "unbroken", 5), start(tmp_path / "killed", 0)
    assert any(line.strip() == "25" for line in killed.stdout)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "pack").exists()
    kept = [path.name for path in (tmp_path / "killed" / "run").glob("checkpoint-*")]
    assert kept
    resumed = start(tmp_path / "killed", 5)
    out, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    assert int(out.split()[0]) > 10
    assert unbroken.communicate() and unbroken.returncode == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "unbroken")


def test_an_asked_for_stop_saves_exports_and_goes_on(tmp_path):
    seen = []

    def interrupting(step: int, batch_size: int):
        seen.append(step)
        if step == 30:
            signal.raise_signal(signal.SIGTERM)
        return toy.batch(step, batch_size)

    before = signal.getsignal(signal.SIGTERM)
    pack = tmp_path / "broken" / "pack"
    report = train(toy.job(pack, batch=interrupting), toy.settings(images=480), tmp_path / "broken" / "run", pack)
    assert (report.finished, report.images) == (False, 31 * 8)
    assert signal.getsignal(signal.SIGTERM) is before
    assert weights(tmp_path / "broken")
    report = train(toy.job(pack), toy.settings(images=480), tmp_path / "broken" / "run", pack)
    assert (report.finished, report.images) == (True, 480)
    train(toy.job(tmp_path / "whole" / "pack"), toy.settings(images=480), tmp_path / "whole" / "run",
          tmp_path / "whole" / "pack")  # fmt: skip
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


def test_minutes_stop_a_run_and_add_up(tmp_path):
    tiny = toy.settings(minutes=1e-4)
    first = train(toy.job(tmp_path / "pack"), tiny, tmp_path / "run", tmp_path / "pack")
    assert not first.finished
    again = train(toy.job(tmp_path / "pack"), tiny, tmp_path / "run", tmp_path / "pack")
    assert again.images == first.images


def test_workers_change_nothing(tmp_path):
    for workers in (0, 1):
        folder = tmp_path / str(workers)
        train(toy.job(folder / "pack"), toy.settings(images=160, workers=workers), folder / "run", folder / "pack")
    assert weights(tmp_path / "0") == weights(tmp_path / "1")


def test_a_step_in_parts_sees_the_same_images_and_learns_the_same(tmp_path):
    """The toy batch draws its pictures from step * size + i, and its noise is the generator's, in the same order."""
    made = {}
    for parts in (1, 4):
        asked = []

        def batch(step, size, asked=asked):
            asked.append((step, size))
            return toy.batch(step, size)

        model = nn.Conv2d(3, 3, 3, padding=1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.1)
        job = toy.job(tmp_path, model=model, batch=batch, parts=parts, export=lambda ema, folder: None)
        report = train(job, toy.settings(images=32, precision="fp32"), tmp_path / f"run{parts}", tmp_path / "pack")
        assert asked == [(i, 8 // parts) for i in range(4 * parts)] and report.images == 32
        made[parts] = [report.loss, *(p.detach().clone() for p in model.parameters())]
    for whole, cut in zip(made[1], made[4], strict=True):
        assert torch.allclose(torch.as_tensor(whole), torch.as_tensor(cut), atol=1e-5)
    with pytest.raises(TrainingError, match="cannot be cut into 3 parts"):
        train(toy.job(tmp_path, parts=3), toy.settings(), tmp_path / "run3", tmp_path / "pack")


@pytest.mark.parametrize(("able", "arithmetic"), [(True, "bf16"), (False, "fp32")])
def test_a_loss_is_computed_in_bf16_where_the_hardware_does(tmp_path, monkeypatch, able, arithmetic):
    monkeypatch.setattr(loop, "computes_bf16", lambda device: able)
    seen = []

    def noting(model, batch, generator):
        seen.append(model(batch["x"]).dtype)
        return toy.loss(model, batch, generator)

    report = train(toy.job(tmp_path, loss=noting), toy.settings(images=8), tmp_path / "run", tmp_path / "pack")
    assert seen == [torch.bfloat16 if able else torch.float32]
    assert report.hardware.endswith(f", {arithmetic}")


def test_a_torn_checkpoint_is_passed_over_and_two_are_kept(tmp_path):
    run = tmp_path / "run"
    small = toy.settings(images=80, checkpoint_minutes=0)
    train(toy.job(tmp_path / "pack"), small, run, tmp_path / "pack")
    assert len(list(run.glob("checkpoint-*"))) == 2
    torn = run / ".checkpoint-0000000088.partial"
    torn.mkdir()
    (torn / "state.safetensors").write_bytes(b"half")
    report = train(toy.job(tmp_path / "pack"), toy.settings(images=88), run, tmp_path / "pack")
    assert report.finished and report.images == 88
    assert not torn.exists()


def test_a_damaged_checkpoint_is_named(tmp_path):
    train(toy.job(tmp_path / "pack"), toy.settings(images=80), tmp_path / "run", tmp_path / "pack")
    (tmp_path / "run" / "checkpoint-0000000080" / "state.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="checkpoint-0000000080 is damaged"):
        train(toy.job(tmp_path / "pack"), toy.settings(images=160), tmp_path / "run", tmp_path / "pack")


def test_changed_settings_are_refused_by_name_but_the_length_may_change(tmp_path):
    train(toy.job(tmp_path / "pack"), toy.settings(images=80), tmp_path / "run", tmp_path / "pack")
    with pytest.raises(TrainingError, match="lr was 0.01 and is now 0.02"):
        train(toy.job(tmp_path / "pack"), toy.settings(images=80, lr=0.02), tmp_path / "run", tmp_path / "pack")
    longer = toy.settings(images=160, log_every=1, checkpoint_minutes=1, minutes=5)
    assert train(toy.job(tmp_path / "pack"), longer, tmp_path / "run", tmp_path / "pack").images == 160


def test_a_run_goes_on_beside_no_other_models_but_its_own(tmp_path):
    def run(beside, pack):
        return train(
            toy.job(tmp_path / pack, beside=beside), toy.settings(images=8 * 4), tmp_path / "run", tmp_path / pack
        )

    run("one", "pack")
    assert run("one", "again").finished
    with pytest.raises(TrainingError, match="beside other models.*another run folder"):
        run("two", "other")
    assert not (tmp_path / "other" / "toy").exists(), "what was learned beside one is never exported beside another"


def test_a_checkpoint_that_says_nothing_of_others_goes_on(tmp_path):
    train(toy.job(tmp_path / "pack"), toy.settings(images=8 * 4), tmp_path / "run", tmp_path / "pack")
    for path in (tmp_path / "run").glob("checkpoint-*/state.json"):
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "beside"}))
    again = train(
        toy.job(tmp_path / "pack", beside="one"), toy.settings(images=8 * 8), tmp_path / "run", tmp_path / "pack"
    )
    assert again.images == 8 * 8


def test_another_model_is_refused(tmp_path):
    train(toy.job(tmp_path / "pack"), toy.settings(images=80), tmp_path / "run", tmp_path / "pack")
    with pytest.raises(TrainingError, match="holds another model"):
        train(toy.job(tmp_path / "pack", model=nn.Sequential(nn.Conv2d(3, 3, 1))), toy.settings(images=80),
              tmp_path / "run", tmp_path / "pack")  # fmt: skip


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_checkpoint(tmp_path):
    calls = []

    def broken(model, batch, generator):
        calls.append(0)
        return toy.loss(model, batch, generator) * (math.nan if len(calls) > 5 else 1)

    small = toy.settings(images=800, checkpoint_minutes=0)
    with pytest.raises(TrainingError, match="no finite number"):
        train(toy.job(tmp_path / "pack", loss=broken), small, tmp_path / "run", tmp_path / "pack")
    newest = sorted((tmp_path / "run").glob("checkpoint-*"))[-1]
    assert all(t.isfinite().all() for t in load_file(newest / "state.safetensors").values())
    assert not (tmp_path / "pack").exists()


def test_an_export_that_fails_leaves_the_old_weights(tmp_path):
    train(toy.job(tmp_path / "pack"), toy.settings(images=80), tmp_path / "run", tmp_path / "pack")
    (tmp_path / "pack" / "other").mkdir()
    (tmp_path / "pack" / "other" / "config.json").write_text("{}")
    old = weights(tmp_path)

    def failing(model, folder):
        toy.export(model, folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        train(toy.job(tmp_path / "pack", export=failing), toy.settings(images=160), tmp_path / "run", tmp_path / "pack")
    assert weights(tmp_path) == old
    train(toy.job(tmp_path / "pack"), toy.settings(images=160), tmp_path / "run", tmp_path / "pack")
    assert weights(tmp_path) != old
    assert sorted(p.name for p in (tmp_path / "pack").iterdir()) == ["other", "toy"]


def test_a_run_writes_its_settings_log_report_and_samples(tmp_path):
    def sample(model, path):
        path.write_bytes(b"sheet")

    report = train(toy.job(tmp_path / "pack", sample=sample), toy.settings(images=160, sample_minutes=0),
                   tmp_path / "run", tmp_path / "pack")  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [80, 160]
    assert set(lines[0]) == {"images", "loss", "lr", "seconds"}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["images"] == 160
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == report.to_json()
    assert (tmp_path / "run" / "samples" / "0000000160.png").exists()


def test_a_run_whose_log_was_deleted_goes_on_with_a_new_one(tmp_path):
    for images in (80, 160):
        train(toy.job(tmp_path / "pack"), toy.settings(images=images), tmp_path / "run", tmp_path / "pack")
        (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
        assert json.loads(line)["images"] == images
        (tmp_path / "run" / "log.jsonl").unlink()


def test_the_learning_rate_rises_stays_and_falls():
    settings = toy.settings(images=1000, batch_size=10, warmup_images=100, cooldown=0.2, lr=1.0)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[10:80]) == {1.0}
    assert rates[80] == 1.0 and rates[90] == pytest.approx(0.5) and 0 < rates[99] < 0.01
    assert all(a >= b for a, b in zip(rates[80:], rates[81:], strict=False))


def test_a_rival_learns_at_a_rate_of_its_own(tmp_path):
    first, given = toy.net(), toy.job(tmp_path / "pack", rivals={"0": 1e-2})
    train(given, toy.settings(images=80, warmup_images=10**9), tmp_path / "run", tmp_path / "pack")
    moved = [
        float((a - b).detach().abs().max()) for a, b in zip(first.parameters(), given.model.parameters(), strict=True)
    ]
    assert moved[0] > 1e-3 and max(moved[2:]) < 1e-6  # the rest would rise for a long time


def test_the_average_follows_the_model(tmp_path):
    first = toy.net()
    given = toy.job(tmp_path / "pack")
    train(given, toy.settings(images=800, ema=0), tmp_path / "a", tmp_path / "pack")
    exported = load_file(tmp_path / "pack" / "toy" / "model.safetensors")
    assert all(torch.equal(exported[name], tensor) for name, tensor in given.model.state_dict().items())
    train(toy.job(tmp_path / "none"), toy.settings(images=800, ema=1e9), tmp_path / "b", tmp_path / "slow")
    slow = load_file(tmp_path / "slow" / "toy" / "model.safetensors")["0.weight"]
    assert not torch.equal(slow, exported["0.weight"]) and not torch.equal(slow, first[0].weight)


def test_what_is_frozen_is_averaged_to_the_same_bits(tmp_path):
    given = toy.job(tmp_path / "pack")
    given.model[0].requires_grad_(False).bias.fill_(-0.0)
    train(given, toy.settings(images=80), tmp_path / "run", tmp_path / "pack")
    exported = load_file(tmp_path / "pack" / "toy" / "model.safetensors")
    assert exported["0.bias"].signbit().all() and torch.equal(exported["0.weight"], given.model[0].weight)


def test_a_warm_start_takes_weights_that_fit_and_leaves_the_model_alone_otherwise(tmp_path):
    model, other = toy.net(), nn.Sequential(nn.Conv2d(3, 4, 1))
    with torch.no_grad():
        model[0].weight.add_(1)
    toy.export(model.half(), tmp_path)
    fresh = toy.net()
    assert warm_start(fresh, tmp_path / "toy")
    assert torch.equal(fresh[0].weight, model[0].weight.float())
    before = other[0].weight.clone()
    assert not warm_start(other, tmp_path / "toy")
    assert not warm_start(fresh, tmp_path / "nothing")
    assert torch.equal(other[0].weight, before)


def test_a_warm_start_from_no_safetensors_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"words")
    with pytest.raises(TrainingError, match="no whole safetensors"):
        warm_start(toy.net(), tmp_path)


def test_a_batch_may_be_a_dataclass():
    @dataclass(frozen=True)
    class Batch:
        x: torch.Tensor
        names: list[str]

    moved = _to_device(Batch(torch.zeros(2), ["a"]), torch.device("meta"))
    assert moved.x.device.type == "meta" and moved.names == ["a"]
