import pytest
import torch
from torch import Tensor

from pentimento.diffusion.guidance import classifier_free, dual, dual_nulls, rows_of_dual
from toy import CHANNELS, ToyDiffusion, denoiser_network

T = torch.tensor([400])


@torch.no_grad()
def test_guidance_one_equals_the_plain_model_and_costs_one_branch() -> None:
    model, x = ToyDiffusion(), torch.randn(1, CHANNELS, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    plain = model.denoise(x, T, text)
    model.calls.clear()
    assert torch.equal(classifier_free(model.denoise, text, null, 1.0)(x, T), plain)
    assert model.calls == [1]


@torch.no_grad()
def test_guidance_zero_is_the_null_branch() -> None:
    model, x = ToyDiffusion(), torch.randn(1, CHANNELS, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    assert torch.equal(classifier_free(model.denoise, text, null, 0.0)(x, T), model.denoise(x, T, null))


@torch.no_grad()
def test_classifier_free_guidance_is_its_formula() -> None:
    model, x = ToyDiffusion(), torch.randn(2, CHANNELS, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    with_text = model.denoise(x, T.repeat(2), text.expand(2, -1, -1))
    without = model.denoise(x, T.repeat(2), null.expand(2, -1, -1))
    guided = classifier_free(model.denoise, text, null, 7.5)(x, T.repeat(2))
    assert torch.allclose(guided, without + 7.5 * (with_text - without), atol=1e-4)


@torch.no_grad()
def test_dual_guidance_is_its_formula_with_branches_in_the_order_text_image_uncond() -> None:
    model = ToyDiffusion(denoiser_network(2 * CHANNELS))
    x, image = torch.randn(2, 1, CHANNELS, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    zero = torch.zeros_like(image)
    e_text, e_image, e_uncond = model.denoise(
        torch.cat([torch.cat([x, c], dim=1) for c in (image, image, zero)]),
        T.repeat(3),
        torch.cat([text, null, null]),
    ).split(1)
    guided = dual(model.denoise, text, null, image, 7.5, 1.5)(x, T)
    assert torch.allclose(guided, e_uncond + 7.5 * (e_text - e_image) + 1.5 * (e_image - e_uncond), atol=1e-4)
    assert model.calls == [3, 3]


@torch.no_grad()
def test_dual_guidance_one_and_one_computes_only_the_conditional_branch() -> None:
    model = ToyDiffusion(denoiser_network(2 * CHANNELS))
    x, image = torch.randn(2, 1, CHANNELS, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    plain = model.denoise(torch.cat([x, image], dim=1), T, text)
    assert torch.equal(dual(model.denoise, text, null, image, 1.0, 1.0)(x, T), plain)
    assert model.calls == [1, 1]


@pytest.mark.parametrize(("text_scale", "image_scale"), [(7.5, 1.5), (7.5, 1.0), (2.0, 2.0), (1.0, 1.0)])
def test_the_null_branches_are_dual_guidance_without_its_instruction_at_no_more_cost(
    text_scale: float, image_scale: float
) -> None:
    rows = []

    def denoise(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        rows.append(len(x))
        return x[:, :4] * states.mean((1, 2)).view(-1, 1, 1, 1) + x[:, 4:]

    text, null = torch.full((1, 3, 8), 0.7), torch.full((1, 3, 8), 0.2)
    x, image, t = torch.randn(2, 4, 5, 5), torch.randn(1, 4, 5, 5), torch.tensor([3, 9])
    whole = dual(denoise, text, null, image, text_scale, image_scale)(x, t)
    told = denoise(torch.cat([x, image.expand(2, -1, -1, -1)], 1), t, text.expand(2, -1, -1))
    rows.clear()
    rest = dual_nulls(denoise, null, image.expand(2, -1, -1, -1), text_scale, image_scale)(x, t)
    assert torch.allclose(text_scale * told + rest, whole, atol=1e-5)
    assert sum(rows) == 2 * (rows_of_dual(text_scale, image_scale) - 1)
