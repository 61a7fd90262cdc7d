"""Attention that one picture takes over from another: nothing at threshold 0, exactly the maps that are meant, and the
model is put back."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from pentimento.diffusion.attention import cross_attentions
from pentimento.diffusion.prompt_to_prompt import Draw, Shared, paint_pairs, self_attentions
from pentimento.diffusion.samplers import euler_ancestral
from toy import CHANNELS, TOKENS, WIDTH, ToyDiffusion, denoiser_network

PAIRS, SIDE = 2, 4
PLACES = (0, 1, -1, 2, 4, -1)


def batch(branches: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = branches * 2 * PAIRS
    x = torch.randn(rows, CHANNELS, 8, 8, generator=generator)
    return x, torch.full((rows,), 700), torch.randn(rows, TOKENS, WIDTH, generator=generator)


def shared(rows: Sequence[bool], places: Sequence[int] = PLACES, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """What a U-Net gives alone, and with attention shared in these pairs."""
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    with Shared(unet, places, PAIRS, side) as control:
        control.at(torch.tensor(rows))
        changed = unet(x, t, encoder_hidden_states=text).sample
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)
    return plain, changed


@torch.no_grad()
def test_where_no_pair_shares_nothing_changes_bit_for_bit() -> None:
    plain, changed = shared([False, False])
    assert torch.equal(plain, changed)


@torch.no_grad()
def test_only_second_pictures_of_the_pairs_that_are_meant_change() -> None:
    plain, changed = shared([False, True])
    same = [torch.equal(one, other) for one, other in zip(plain, changed, strict=True)]
    second_of_pair_1 = (3, 7)  # first pictures 0 1, second ones 2 3, and the same for the null text
    assert [i for i in range(8) if not same[i]] == list(second_of_pair_1)


@torch.no_grad()
def test_without_self_attention_the_null_branch_is_left_alone() -> None:
    plain, changed = shared([True, True], side=0)
    assert torch.equal(plain[4:], changed[4:]) and not torch.allclose(plain[2:4], changed[2:4])


@torch.no_grad()
def test_without_common_words_nothing_is_taken_over_across_the_texts() -> None:
    plain, changed = shared([True, True], places=[-1] * TOKENS, side=0)
    assert torch.allclose(plain, changed, atol=1e-5)


@torch.no_grad()
def test_the_model_is_put_back_when_something_fails_inside() -> None:
    unet, (x, t, text) = denoiser_network(), batch()
    plain = unet(x, t, encoder_hidden_states=text).sample
    with pytest.raises(KeyboardInterrupt), Shared(unet, PLACES, PAIRS, SIDE) as control:
        control.at(torch.tensor([True, True]))
        raise KeyboardInterrupt
    assert torch.equal(unet(x, t, encoder_hidden_states=text).sample, plain)


def maps(layer, hidden: Tensor, text: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) of every head, (b, heads, places, tokens)."""
    q, k = (x.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for x in (layer.to_q(hidden), layer.to_k(text)))
    return (q @ k.mT * layer.scale).softmax(-1)


def seen(layer, attention: Tensor, text: Tensor) -> Tensor:
    v = layer.to_v(text).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
    return layer.to_out[0]((attention @ v).transpose(1, 2).flatten(2))


def heard(layers: Callable, places: Sequence[int]) -> tuple:
    """The first of these layers, and what goes in and comes out of it while all pairs share."""
    unet, (x, t, text) = denoiser_network(), batch(branches=1)
    layer, kept = next(iter(layers(unet).values())), []
    with Shared(unet, places, PAIRS, side=8) as control:
        control.at(torch.tensor([True, True]))
        layer.register_forward_hook(lambda module, inputs, named, out: kept.append((inputs[0], out)), with_kwargs=True)
        unet(x, t, encoder_hidden_states=text)
    return layer, *kept[0], text


@torch.no_grad()
def test_cross_attention_is_the_mixture_of_maps_that_refinement_defines() -> None:
    layer, hidden, out, text = heard(cross_attentions, PLACES)
    first, second = maps(layer, hidden, text).chunk(2)
    mixed = torch.stack([second[..., j] if place < 0 else first[..., place] for j, place in enumerate(PLACES)], -1)
    assert torch.allclose(out[PAIRS:], seen(layer, mixed, text[PAIRS:]), atol=1e-5)
    assert torch.allclose(out[:PAIRS], seen(layer, first, text[:PAIRS]), atol=1e-5)


@torch.no_grad()
def test_self_attention_takes_over_where_the_first_picture_looks() -> None:
    layer, hidden, out, _ = heard(self_attentions, PLACES)
    first, _ = maps(layer, hidden, hidden).chunk(2)
    assert torch.allclose(out[PAIRS:], seen(layer, first, hidden[PAIRS:]), atol=1e-5)


def painted(thresholds: Sequence[float], seeds: Sequence[int], guidance: float = 2.0, steps: int = 4) -> Tensor:
    model = ToyDiffusion()
    texts = model.encode_text(["a cat sleeps", "a dog sleeps", ""])
    draws = [Draw(torch.Generator().manual_seed(s), t, guidance) for s, t in zip(seeds, thresholds, strict=True)]
    return paint_pairs(
        model.denoise, model.unet, texts[:2], texts[2:], (0, 1, -1, 3, 4, 5), torch.zeros(1, CHANNELS, 8, 8), draws,
        model.alphas_cumprod, steps, side=8,
    )  # fmt: skip


@torch.no_grad()
def test_threshold_0_is_the_plain_model_with_the_same_noise_for_both_captions_bit_for_bit() -> None:
    model = ToyDiffusion()
    texts = model.encode_text(["a cat sleeps", "a dog sleeps", ""])
    states = torch.cat([texts[:2], texts[2:].expand(2, -1, -1)])
    generator = torch.Generator().manual_seed(5)

    def noise(x: Tensor, t: Tensor) -> Tensor:
        eps_text, eps_null = model.denoise(x.repeat(2, 1, 1, 1), t.repeat(2), states).chunk(2)
        return eps_null + 2.0 * (eps_text - eps_null)

    def drawn() -> Tensor:
        return torch.randn(1, CHANNELS, 8, 8, generator=generator).repeat(2, 1, 1, 1)

    plain = euler_ancestral(noise, drawn, model.alphas_cumprod, 4)
    assert torch.equal(painted([0.0], [5]).flatten(0, 1), plain)


def test_a_higher_threshold_shares_longer_and_never_touches_the_first_picture() -> None:
    none, some, all_steps = (painted([threshold], [5]) for threshold in (0.0, 0.5, 1.0))
    assert torch.equal(none[0], some[0]) and torch.equal(none[0], all_steps[0])
    assert not torch.allclose(none[1], some[1]) and not torch.allclose(some[1], all_steps[1])


def test_a_pair_is_the_same_whatever_stands_beside_it() -> None:
    together = painted([0.3, 0.9], [5, 6])
    for i, (threshold, seed) in enumerate([(0.3, 5), (0.9, 6)]):
        assert torch.allclose(together[:, i : i + 1], painted([threshold], [seed]), atol=1e-3)
