"""The VSS block sees everything from everywhere, and a Zero-VMamba layer starts as nothing but can learn."""

import pytest
import torch
from torch import Tensor

from pentimento.diffusion.vmamba import DIRECTIONS, FAST, Shape, VSSBlock, ZeroVMamba, roll_up, unroll

SHAPES = pytest.mark.parametrize("shape", [Shape(states=4), FAST], ids=["v0", "fast"])


def picture(channels: int = 8, height: int = 5, width: int = 7, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))


@SHAPES
def test_a_zero_layer_answers_zero_and_can_still_learn(shape: Shape) -> None:
    torch.manual_seed(0)
    layer, x = ZeroVMamba(8, shape), picture()
    optimiser = torch.optim.AdamW(layer.parameters(), lr=1e-2)
    assert not layer(x).any()
    layer(x).sum().backward()
    assert layer.out.weight.grad.abs().min() > 0
    optimiser.step()
    assert layer(x).abs().min() > 0


@SHAPES
def test_every_parameter_of_a_zero_layer_gets_a_gradient_by_the_second_step(shape: Shape) -> None:
    torch.manual_seed(0)
    layer, x = ZeroVMamba(8, shape), picture()
    optimiser = torch.optim.AdamW(layer.parameters(), lr=1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        layer(x).square().sub(layer(x)).sum().backward()
        optimiser.step()
    assert [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.any()] == []


@SHAPES
def test_a_block_keeps_the_shape_of_any_picture(shape: Shape) -> None:
    block = VSSBlock(8, shape)
    for height, width, batch in [(5, 7, 2), (1, 6, 1), (3, 1, 1), (4, 4, 0)]:
        x = picture(8, height, width, batch)
        assert block(x).shape == x.shape


def test_the_sequences_are_rows_columns_and_both_reversed() -> None:
    x = torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]])
    assert unroll(x)[0, :, 0].tolist() == [
        [1, 2, 3, 4, 5, 6], [1, 4, 2, 5, 3, 6], [6, 5, 4, 3, 2, 1], [6, 3, 5, 2, 4, 1],
    ]  # fmt: skip


def test_rolling_up_puts_every_sequence_back_in_its_place() -> None:
    x = picture()
    for direction in range(DIRECTIONS):
        alone = torch.zeros(DIRECTIONS).index_fill(0, torch.tensor(direction), 1.0)[:, None, None]
        assert torch.equal(roll_up(unroll(x) * alone, 5, 7), x)


@SHAPES
@torch.no_grad()
def test_a_change_at_one_pixel_reaches_all_others(shape: Shape) -> None:
    torch.manual_seed(0)
    block, x = VSSBlock(8, shape).double(), picture().double()
    assert (block(x + spot(2, 3)) - block(x)).abs().amax(dim=1).min() > 0


@SHAPES
@pytest.mark.parametrize("direction", range(DIRECTIONS))
@torch.no_grad()
def test_each_direction_reaches_what_comes_after_a_pixel_in_its_order_and_nothing_else(
    shape: Shape, direction: int
) -> None:
    torch.manual_seed(0)
    block, x = VSSBlock(8, shape).double(), picture(height=7, width=9).double()
    mixer = block.mixer
    others = [i for i in range(DIRECTIONS) if i != direction]
    mixer.to_scan[others, mixer.rank :] = 0  # what they take in and what they tell
    row, column = 3, 4
    moved = (block(x + spot(row, column, 7, 9)) - block(x)).abs().amax(dim=(0, 1)) > 0

    near = torch.zeros(7, 9, dtype=torch.bool)
    near[row - 1 : row + 2, column - 1 : column + 2] = True  # the depthwise convolution
    order = unroll(torch.arange(63.0).view(1, 1, 7, 9))[0, direction, 0].long()
    first = near.flatten()[order].nonzero().min()
    after = torch.zeros(63, dtype=torch.bool).index_fill(0, order[first:], True).view(7, 9)
    assert torch.equal(moved, after)


def spot(row: int, column: int, height: int = 5, width: int = 7) -> Tensor:
    x = torch.zeros(1, 8, height, width, dtype=torch.float64)
    x[..., row, column] = torch.linspace(-1, 2, 8)  # a constant would be normalised away
    return x


def test_a_block_starts_with_steps_and_decays_as_mamba_does() -> None:
    mixer = VSSBlock(32, Shape()).mixer
    steps = torch.nn.functional.softplus(mixer.step_bias)
    assert 0.00099 < steps.min() and steps.max() < 0.101
    assert torch.allclose(mixer.log_decay.exp()[0, 0], torch.arange(1.0, 17))
    assert mixer.rank == 2 and mixer.in_proj.out_features == 128


def test_the_fast_block_has_one_state_no_gate_and_no_wider_inside() -> None:
    mixer = VSSBlock(32, FAST).mixer
    assert mixer.in_proj.out_features == 32 and mixer.log_decay.shape == (DIRECTIONS, 32, 1)
