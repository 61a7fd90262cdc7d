"""Keys and values that are put into a U-Net: exact at the start, only where they are meant, and gone afterwards."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from pentimento.diffusion.attention import Inserted, Kept, Slots, Written, cross_attentions, part_of, projected, written
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


def raised(slots: Slots) -> Slots:
    """Slots whose keys are others."""
    return Slots(tuple(k + 1 for k in slots.keys), slots.values)


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
    with Inserted(unet, raised(own(unet, x, t, text)), T) as inserted:
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


@torch.no_grad()
def test_what_another_thread_asks_of_the_model_is_left_alone() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    other = raised(own(unet, x, t, text))

    def asked() -> torch.Tensor:
        with torch.no_grad():
            return unet(x, t, encoder_hidden_states=text).sample

    with Inserted(unet, other, T) as inserted, ThreadPoolExecutor(1) as threads:
        inserted.at(t, torch.tensor([True, True, True]))
        assert torch.equal(threads.submit(asked).result(), plain)
        assert not torch.allclose(asked(), plain)


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


@contextmanager
def counted(unet):
    """How often the cross-attention layers project a text."""
    projections = [p for layer in cross_attentions(unet).values() for p in (layer.to_k, layer.to_v)]
    weights, calls, plain = {id(p.weight) for p in projections}, [], torch.nn.functional.linear

    def linear(x, weight, bias=None):
        calls.extend([x] if id(weight) in weights else [])
        return plain(x, weight, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", linear)
        yield calls


@torch.no_grad()
def test_a_text_that_stays_is_projected_once_and_every_step_is_the_same_bit_for_bit() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    steps = [(x + i, t - i) for i in range(3)]
    plain = [unet(x, t, encoder_hidden_states=text).sample for x, t in steps]
    with counted(unet) as calls, Kept(unet):
        kept = [unet(x, t, encoder_hidden_states=text.clone()).sample for x, t in steps]
    assert all(torch.equal(a, b) for a, b in zip(kept, plain, strict=True))
    assert len(calls) == 2 * len(cross_attentions(unet)) > 0


@torch.no_grad()
def test_other_texts_and_texts_changed_in_place_are_projected_anew_and_few_are_kept() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    own = text.clone()
    texts = [text, text + 1, text[:2], text[:2] + 1]
    plain = [unet(x[: len(one)], t[: len(one)], encoder_hidden_states=one).sample for one in texts]
    with counted(unet) as calls, Kept(unet, texts=2):
        for _ in range(2):
            for one, wanted in zip(texts, plain, strict=True):
                assert torch.equal(unet(x[: len(one)], t[: len(one)], encoder_hidden_states=one).sample, wanted)
        unet(x, t, encoder_hidden_states=own)
        own += 1
        assert torch.equal(unet(x, t, encoder_hidden_states=own).sample, plain[1])
    assert len(calls) == 2 * len(cross_attentions(unet)) * (2 * len(texts) + 2)


def test_where_gradients_are_on_a_kept_text_is_computed_as_ever() -> None:
    unet, (x, t, text) = denoiser_network(), batch()

    def gradients() -> tuple[Tensor, ...]:
        asked = text.clone().requires_grad_()
        loss = unet(x, t, encoder_hidden_states=asked).sample.square().sum()
        return torch.autograd.grad(loss, [asked, *(layer.to_k.weight for layer in cross_attentions(unet).values())])

    plain = gradients()
    with Kept(unet):
        with torch.no_grad():
            unet(x, t, encoder_hidden_states=text)
        assert all(torch.equal(a, b) for a, b in zip(gradients(), plain, strict=True))


@torch.no_grad()
def test_the_model_is_put_back_whatever_happens_and_in_whatever_order_contexts_end() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    with pytest.raises(KeyboardInterrupt), Kept(unet):
        unet(x, t, encoder_hidden_states=text)
        raise KeyboardInterrupt
    first, second = Kept(unet), Kept(unet)
    plain = unet(x, t, encoder_hidden_states=text).sample
    first.__enter__(), second.__enter__()
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)
    first.__exit__()
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)
    second.__exit__()
    assert not any("forward" in vars(module) or module._forward_pre_hooks for module in unet.modules())


@torch.no_grad()
def test_learned_slots_are_put_into_kept_keys_and_values_too() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    start = own(unet, x, t, text)
    other = Slots(tuple(k + 1 for k in start.keys), start.values)
    rows = torch.tensor([True, False, False])
    with Inserted(unet, other, T) as inserted:
        inserted.at(t, rows)
        wanted = unet(x, t, encoder_hidden_states=text).sample
        with Kept(unet):
            for _ in range(2):
                assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, wanted)
    with Kept(unet):
        plain = unet(x, t, encoder_hidden_states=text).sample
        assert not torch.equal(plain, wanted)


def test_attention_that_is_written_out_has_the_gradients_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4))
    given = [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]
    q, k, v = given
    assert torch.allclose(written(q, k, v), torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=1.0))
    assert torch.autograd.gradcheck(written, given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # fused, and written out
def test_a_unet_that_writes_its_attention_out_predicts_and_learns_the_same(dtype: torch.dtype) -> None:
    unet, (x, t, text) = denoiser_network().to(dtype), batch()
    x, text = x.to(dtype), text.to(dtype)
    found = []
    for _ in range(2):
        unet.zero_grad()
        predicted = unet(x, t, encoder_hidden_states=text).sample
        predicted.square().mean().backward()
        found.append((predicted.detach(), [p.grad.clone() for p in unet.parameters() if p.grad is not None]))
        unet.set_attn_processor(Written())
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found[0][1], found[1][1], strict=True))
