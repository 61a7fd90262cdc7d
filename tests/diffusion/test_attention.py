"""Keys and values that are put into a U-Net: exact at the start, only where they are meant, and gone afterwards."""

import pytest
import torch
from torch import Tensor

from pentimento.diffusion.attention import Inserted, Slots, cross_attentions, part_of, projected
from toy import CHANNELS, TOKENS, WIDTH, denoiser_network

M, T = 3, 1000


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, CHANNELS, 8, 8, generator=generator)
    return x, torch.tensor([900, 900, 900]), torch.randn(3, TOKENS, WIDTH, generator=generator)


def repeated(slots: Slots, parts: int) -> Slots:
    return Slots(tuple(k.repeat(parts, 1, 1) for k in slots.keys), tuple(v.repeat(parts, 1, 1) for v in slots.values))


def own(unet, x: Tensor, t: Tensor, text: Tensor) -> Slots:
    return projected(unet, lambda: unet(x, t, encoder_hidden_states=text), M)


@torch.no_grad()
def test_the_projections_of_the_forward_itself_change_nothing_bit_for_bit() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    with Inserted(unet, repeated(own(unet, x, t, text), 5), T) as inserted:
        inserted.at(t, torch.tensor([True, False, False]))
        assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)


@torch.no_grad()
def test_only_the_rows_that_are_meant_change() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    start = own(unet, x, t, text)
    other = Slots(tuple(k + 1 for k in start.keys), start.values)
    with Inserted(unet, other, T) as inserted:
        inserted.at(t, torch.tensor([False, True, False]))
        changed = unet(x, t, encoder_hidden_states=text).sample
    assert torch.equal(changed[[0, 2]], plain[[0, 2]]) and not torch.allclose(changed[1], plain[1])


@torch.no_grad()
def test_the_model_is_put_back_when_something_fails_inside() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    slots = own(unet, x, t, text)
    other = Slots(tuple(k * 0 for k in slots.keys), tuple(v * 0 for v in slots.values))
    with pytest.raises(KeyboardInterrupt), Inserted(unet, other, T):
        raise KeyboardInterrupt
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)


def test_the_part_is_chosen_by_timestep() -> None:
    t = torch.tensor([0, 199, 200, 599, 600, 999])
    assert part_of(t, 5, T).tolist() == [0, 0, 1, 2, 3, 4] and part_of(t, 1, T).tolist() == [0] * 6


def test_each_part_learns_from_its_own_rows_alone() -> None:
    unet, (x, _, text) = denoiser_network().requires_grad_(False), batch()
    t = torch.tensor([100, 500, 900])
    start = repeated(own(unet, x, t, text), 5)
    keys = tuple(k.clone().requires_grad_() for k in start.keys)
    values = tuple(v.clone().requires_grad_() for v in start.values)
    with Inserted(unet, Slots(keys, values), T) as inserted:
        inserted.at(t, torch.tensor([True, True, False]))
        unet(x, t, encoder_hidden_states=text).sample.square().sum().backward()
    for learned in (*keys, *values):
        moved = learned.grad.abs().amax(dim=(1, 2)) > 0
        assert moved.tolist() == [True, False, True, False, False]


def test_slots_of_another_model_are_refused() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    slots = own(unet, x, t, text)
    assert len(slots.keys) == len(cross_attentions(unet)) and slots.tokens == M and slots.parts == 1
    with pytest.raises(ValueError, match="layers"):
        Inserted(unet, Slots(slots.keys[1:], slots.values[1:]), T)
