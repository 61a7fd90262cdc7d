"""Effective receptive fields that are known: one convolution, two, a global mean; where units are asked; and the figure
of a whole pack."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from measured import bench_pack
from pentimento.bench import run
from pentimento.bench.erf import (
    MIDDLE,
    OF_ANSWER,
    Looker,
    area_share,
    coloured,
    fresh,
    reached,
    receptive_field,
    trained,
)
from pentimento.diffusion.control import RCLDM
from pentimento.diffusion.grids import quadrants
from pentimento.diffusion.prompt_control import ControlNet, PromptControl
from pentimento.diffusion.vmamba import FAST
from pentimento.errors import PackError
from pentimento.packs.in_context import ControlConfig
from toy import ToyAutoencoder, denoiser_network

INPUTS = torch.randn(6, 4, 17, 17, generator=torch.Generator().manual_seed(0))
PIXELS = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))  # a grid of four pictures of 64


def field_of(net: Any, inputs: Tensor = INPUTS, asked: float = MIDDLE) -> np.ndarray:
    return receptive_field(net, inputs, torch.Generator().manual_seed(0), asked)


def field_by(one: Looker) -> np.ndarray:
    return field_of(one.encode, one.inputs, one.asked)


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


def test_a_grid_is_asked_in_the_middle_of_its_answer() -> None:
    for side in (16, 32):
        field = field_of(nn.Conv2d(4, 8, 3, padding=1), torch.randn(1, 4, side, side), OF_ANSWER)
        assert np.argwhere(field > 0).mean(0).tolist() == [side * 3 / 4] * 2


def test_fresh_vit_and_vmamba_see_everything_and_a_convolution_does_not() -> None:
    lookers = fresh(INPUTS[:2, :, :16, :16], width=16, blocks=1)
    fields = {one.label: field_by(one) for one in lookers}
    assert [one.asked for one in lookers] == [OF_ANSWER] * 4
    assert np.array_equal(np.argwhere(fields["convolution"] > 0), np.argwhere(np.ones((7, 7))) + 12 - 3)
    assert reached(fields["ViT"]) == reached(fields["VMamba"]) == reached(fields["VMamba, woven"]) == 1


def test_woven_cells_bring_the_same_place_of_the_other_pictures_near() -> None:
    fields = {one.label: field_by(one) for one in fresh(INPUTS[:, :, :16, :16], width=16, blocks=1)}
    places = [(4, 4), (4, 12), (12, 4)]  # of both examples and the picture, where the answer is asked at (12, 12)
    shares = {label: sum(field[place] for place in places) / field.sum() for label, field in fields.items()}
    assert shares["VMamba, woven"] > 3 * shares["VMamba"]


def _model(control: Any, kind: str, weave: bool = False) -> Any:
    """A control that has learned something, beside the toy's autoencoder."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in control.parameters():
            weights += 0.1 * torch.randn(weights.shape, generator=generator)
    config = ControlConfig(control=kind, size=64, weave=weave)  # type: ignore[arg-type]
    return SimpleNamespace(control=control, config=config, autoencoder=ToyAutoencoder())


def _looker(role: str, model: Any) -> Looker:
    def load(name: str) -> Any:
        if name == role:
            return model
        raise PackError(f"the pack toy has no {name}")

    (one,), _ = trained(bench_pack(load=load), PIXELS)
    return one


def test_a_vision_encoder_is_asked_through_its_whole_forward_in_the_answer() -> None:
    for weave in (False, True):
        model = _model(RCLDM(denoiser_network(), 4, FAST, blocks=1, weave=weave), "rcldm", weave)
        one = _looker("incontext", model)
        assert one.label == ("VMamba, woven, incontext" if weave else "VMamba, incontext")
        assert one.inputs.shape == (1, 4, 16, 16) and one.asked == OF_ANSWER
        assert torch.equal(one.encode(one.inputs), model.control.vision(one.inputs))
        assert reached(field_by(one)) == 1


def test_a_plain_controlnet_is_asked_by_its_hint_encoder() -> None:
    for weave in (False, True):
        one = _looker("incontext", _model(ControlNet(denoiser_network(), 8, weave), "controlnet", weave))
        assert one.label == ("convolution, woven, incontext" if weave else "convolution, incontext")
        assert one.inputs.shape == (1, 3, 128, 128)
        seen = [
            bool((part > 0).any()) for part in vars(quadrants(torch.from_numpy(field_by(one))[None, None])).values()
        ]
        assert seen == ([True] * 4 if weave else [False, False, False, True])


def test_prompt_diffusions_query_encoder_sees_one_picture_and_is_asked_in_its_middle() -> None:
    one = _looker("prompt_diffusion", _model(PromptControl(denoiser_network(), 8), "prompt_diffusion"))
    assert torch.equal(one.inputs, quadrants(PIXELS).in1) and one.asked == MIDDLE
    field = field_by(one)
    assert abs(np.argwhere(field > 0).mean(0) - 32).max() <= 8 and reached(field) < 1


def test_the_figures_colours_rise_with_the_gradient() -> None:
    pixels = np.asarray(coloured(np.array([[0.0, 1e-5, 1e-3, 1e-1, 1.0]])), int).sum(-1)[0]
    assert pixels[0] == pixels[1] == 0 and (np.diff(pixels[1:]) > 0).all()


def test_a_pack_without_trained_encoders_says_so_and_has_its_figure(tmp_path: Path) -> None:
    def load(role: str) -> Any:
        raise PackError(f"the pack toy has no {role}")

    report = run("erf", bench_pack(load=load), tmp_path, n=1)
    assert set(report["not measured"]) == {"incontext", "clip", "prompt_diffusion"}
    rows = json.loads((tmp_path / "erf.json").read_text())["rows"]
    assert [row["encoder"] for row in rows] == ["convolution", "ViT", "VMamba", "VMamba, woven"]
    assert {row["asked at"] for row in rows} == {0.75}
    assert all(0 < row["area that holds 50%"] <= row["area that holds 90%"] <= row["area reached"] for row in rows)
    with Image.open(tmp_path / "erf.png") as shown:
        assert shown.width > 3 * 256
