"""The benchmark of control training: every side trains, from one loss, and unequal beginnings end the run."""

from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import control_training

    return control_training


def test_every_side_trains_from_one_loss(bench: ModuleType) -> None:
    options = bench.parse(["--toy", "--turns", "1", "--fresh", "0", "--batch", "2", "--dtype", "fp32"])
    found = bench.measure(options)
    assert set(found["first_loss"]) == set(bench.SIDES)
    assert found["cpu"]["seconds_over_diffusers"]["diffusers"]["median"] == 1
    assert all(found["clock"]["samples_a_second"][side]["median"] > 0 for side in bench.SIDES)
    said = bench.in_words(found)
    assert all(f"| {name} |" in said for name in (*bench.SIDES, *bench.PRICES))


@pytest.mark.parametrize("side", ["diffusers", "convolutions", "noise", "both"])
def test_a_step_changes_the_branch_and_not_the_unet(bench: ModuleType, side: str) -> None:
    make, _ = bench.workshop(bench.parse(["--toy", "--batch", "1", "--dtype", "fp32"]))
    one = make(side)
    before = [p.detach().clone() for p in one.branch.parameters()]
    losses = [one.step(number) for number in (0, 0, 0)]
    assert any(not (a == b).all() for a, b in zip(before, one.branch.parameters(), strict=True))
    assert losses[2] != losses[0]
    assert make("noise").step(0) == pytest.approx(losses[0], rel=bench.ROUNDING)  # of the same, untouched U-Net


def test_an_unequal_beginning_is_no_contest_in_fp32(bench: ModuleType) -> None:
    bench.refuse_unequal({"diffusers": 1.0, "noise": 1.1}, "bf16")
    with pytest.raises(SystemExit, match="one loss"):
        bench.refuse_unequal({"diffusers": 1.0, "noise": 1.1}, "fp32")
