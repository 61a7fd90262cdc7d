"""The benchmark of control training: every side trains, from one loss, and unequal beginnings end the run."""

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from pentimento.diffusion.attention import Written

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


@pytest.mark.parametrize("side", ["diffusers", "convolutions", "noise", "both", "recipe"])
def test_a_step_changes_the_branch_and_not_the_unet(bench: ModuleType, side: str) -> None:
    make, _ = bench.workshop(bench.parse(["--toy", "--batch", "1", "--dtype", "fp32"]))
    one = make(side)
    before = [p.detach().clone() for p in one.branch.parameters()]
    losses = [one.step(number) for number in (0, 0, 0)]
    assert any(not (a == b).all() for a, b in zip(before, one.branch.parameters(), strict=True))
    assert losses[2] != losses[0]
    assert make("noise").step(0) == pytest.approx(losses[0], rel=bench.ROUNDING)  # of the same, untouched U-Net


def test_the_recipes_side_looks_at_its_share_picture_by_picture_and_the_others_at_whole_grids(
    bench: ModuleType,
) -> None:
    make, _ = bench.workshop(bench.parse(["--toy", "--batch", "5", "--dtype", "fp32"]))
    modules = make.args[0]
    seen: list[torch.Size] = []
    modules.vae.decoder.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    for side in ("both", "recipe", "noise"):
        make(side).step(0)
    assert bench.RECIPE.looked_at == 0.25  # two grids of five
    assert [(len(shape), *shape) for shape in seen] == [(4, 5, 4, 16, 16), (4, 2 * 4, 4, 8, 8)]


def test_the_recipes_side_is_woven_and_attends_as_the_recipe_does_and_leaves_the_others_as_they_are(
    bench: ModuleType,
) -> None:
    make, _ = bench.workshop(bench.parse(["--toy", "--batch", "1", "--dtype", "fp32"]))
    unet = make.args[0].unet
    asked = []
    unet.register_forward_hook(lambda *_: asked.append(processors(unet)))
    for side in ("noise", "recipe", "both"):
        one = make(side)
        one.step(0)
        assert one.branch.vision.weave is (side == "recipe")
        assert (processors(one.branch) == {Written}) is (side == "recipe")
    assert [kinds == {Written} for kinds in asked] == [False, True, False]


def processors(net: nn.Module) -> set[type]:
    """The kinds of attention in a network."""
    found = (getattr(module, "processor", None) for module in net.modules())
    return {type(processor) for processor in found if processor is not None}


def test_an_unequal_beginning_is_no_contest_in_fp32(bench: ModuleType) -> None:
    bench.refuse_unequal({"diffusers": 1.0, "noise": 1.1}, "bf16")
    with pytest.raises(SystemExit, match="one loss"):
        bench.refuse_unequal({"diffusers": 1.0, "noise": 1.1}, "fp32")
