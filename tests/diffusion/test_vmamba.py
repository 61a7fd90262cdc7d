"""The VSS block sees everything from everywhere, and a Zero-VMamba layer starts as nothing but can learn."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pentimento.diffusion.vmamba import DIRECTIONS, FAST, SS2D, Shape, VSSBlock, ZeroVMamba, roll_up, unroll
from pentimento.errors import RequestError

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
def test_the_four_scans_are_four_nested_loops_forward_and_backward(shape: Shape) -> None:
    torch.manual_seed(0)
    mixer = SS2D(5, shape).double()
    torch.nn.init.normal_(mixer.step_bias)  # steps up to about ten, not a tenth
    x = picture(5, 3, 4).permute(0, 2, 3, 1).double().requires_grad_()  # (b, h, w, c)
    given = [x, *mixer.parameters()]
    got, wanted = mixer(x), torch.stack([by_loops(mixer, one) for one in x])
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)
    weights = torch.arange(got.numel(), dtype=torch.float64).cos().view_as(got)
    gradients = [torch.autograd.grad((weights * y).sum(), given) for y in (got, wanted)]
    for name, a, b in zip(["x", *dict(mixer.named_parameters())], *gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10, msg=lambda said, name=name: f"{name}: {said}")


def by_loops(mixer: SS2D, x: Tensor) -> Tensor:
    """What SS2D should make of one picture x (h, w, c): VMamba v0's recurrence, a pixel after the other."""
    height, width = x.shape[:2]
    x = x @ mixer.in_proj.weight.T
    x, gate = x.chunk(2, dim=-1) if mixer.gate else (x, None)
    x = F.silu(mixer.near(x.permute(2, 0, 1)[None])[0]).permute(1, 2, 0)  # (h, w, d)
    rows = [(i, j) for i in range(height) for j in range(width)]
    columns = [(i, j) for j in range(width) for i in range(height)]
    sums = {place: torch.zeros_like(x[0, 0]) for place in rows}
    for k, order in enumerate((rows, columns, rows[::-1], columns[::-1])):
        state = torch.zeros_like(mixer.log_decay[k])  # (d, n)
        for place in order:
            u = x[place]
            step, B, C = (mixer.to_scan[k] @ u).split([mixer.rank, mixer.states, mixer.states])
            dt = (1 + (mixer.to_step[k] @ step + mixer.step_bias[k]).exp()).log()[:, None]
            state = (-dt * mixer.log_decay[k].exp()).exp() * state + dt * u[:, None] * B
            sums[place] = sums[place] + state @ C + mixer.skip[k] * u
    y = torch.stack([sums[place] for place in rows]).unflatten(0, (height, width))
    y = F.layer_norm(y, y.shape[-1:], mixer.out_norm.weight, mixer.out_norm.bias)
    return (y if gate is None else y * F.silu(gate)) @ mixer.out_proj.weight.T


@SHAPES
@torch.no_grad()
def test_on_a_cpu_a_block_is_scanned_in_chunks_unless_it_is_told_otherwise(shape: Shape) -> None:
    def answer(shape: Shape) -> Tensor:
        torch.manual_seed(0)
        answered: Tensor = VSSBlock(8, shape)(picture())
        return answered

    assert shape.backend == "auto"
    assert torch.equal(answer(shape), answer(replace(shape, backend="chunked")))
    with pytest.raises(RequestError, match="'triton' does not run on cpu"):
        answer(replace(shape, backend="triton"))


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
