"""Effective receptive fields that are known: one convolution, two, a global mean; and the figure of a whole pack."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from measured import bench_pack
from pentimento.bench import run
from pentimento.bench.erf import area_share, coloured, fresh, reached, receptive_field
from pentimento.errors import PackError

INPUTS = torch.randn(6, 4, 17, 17, generator=torch.Generator().manual_seed(0))


def field_of(net: Any, inputs: Tensor = INPUTS) -> np.ndarray:
    return receptive_field(net, inputs, torch.Generator().manual_seed(0))


def test_a_3x3_convolution_sees_3x3_places_around_the_middle() -> None:
    field = field_of(nn.Conv2d(4, 8, 3, padding=1))
    assert np.array_equal(np.argwhere(field > 0), np.argwhere(np.ones((3, 3))) + 7)
    assert reached(field) == 9 / 17**2


def test_convolutions_add_up_and_strides_multiply() -> None:
    assert reached(field_of(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)))) == 25 / 17**2
    assert reached(field_of(nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)))) == 49 / 17**2


def test_a_mean_over_everything_sees_everything_alike() -> None:
    field = field_of(lambda x: x.mean((2, 3), keepdim=True))
    assert np.allclose(field, field[0, 0]) and field[0, 0] > 0
    assert area_share(field, 0.5) == pytest.approx(0.5, abs=2 / 17**2)
    assert area_share(field, 0.9) == pytest.approx(0.9, abs=2 / 17**2)


def test_the_field_is_the_root_mean_square_of_the_jacobian() -> None:
    torch.manual_seed(1)
    net, many = nn.Conv2d(4, 3, 3, padding=1), INPUTS[:1].expand(4000, -1, -1, -1)
    kernel = net.weight.detach().square().sum((0, 1)).sqrt().numpy()  # (3, 3), the same at every place
    assert np.allclose(field_of(net, many)[7:10, 7:10], kernel, rtol=0.05)


def test_the_area_is_the_smallest_that_holds_the_share() -> None:
    field = np.zeros((4, 5))
    field[1, 1], field[2, 2], field[0, 3] = 6, 3, 1
    assert area_share(field, 0.5) == 1 / 20
    assert area_share(field, 0.9) == 2 / 20
    assert area_share(field, 0.95) == 3 / 20


def test_fresh_vit_and_vmamba_see_everything_and_a_convolution_does_not() -> None:
    fields = {one.label: field_of(one.encode, one.inputs) for one in fresh(INPUTS[:2], width=16, blocks=1)}
    assert reached(fields["convolution"]) == 49 / 17**2
    assert reached(fields["ViT"]) == reached(fields["VMamba"]) == 1


def test_the_figures_colours_rise_with_the_gradient() -> None:
    pixels = np.asarray(coloured(np.array([[0.0, 1e-5, 1e-3, 1e-1, 1.0]])), int).sum(-1)[0]
    assert pixels[0] == pixels[1] == 0 and (np.diff(pixels[1:]) > 0).all()


def test_a_pack_without_trained_encoders_says_so_and_has_its_figure(tmp_path: Path) -> None:
    def load(role: str) -> Any:
        raise PackError(f"the pack toy has no {role}")

    report = run("erf", bench_pack(load=load), tmp_path, n=1)
    assert set(report["not measured"]) == {"incontext", "clip", "prompt_diffusion"}
    rows = json.loads((tmp_path / "erf.json").read_text())["rows"]
    assert [row["encoder"] for row in rows] == ["convolution", "ViT", "VMamba"]
    assert all(0 < row["area that holds 50%"] <= row["area that holds 90%"] <= row["area reached"] for row in rows)
    with Image.open(tmp_path / "erf.png") as shown:
        assert shown.width > 3 * 256
