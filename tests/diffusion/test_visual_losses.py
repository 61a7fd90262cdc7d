"""InstructGIE's losses against the formulas, written out a sample at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pentimento.diffusion.objectives import draw_noise, q_sample
from pentimento.diffusion.schedule import cosine_alphas_cumprod
from pentimento.diffusion.visual_losses import (
    TrueGrids,
    VisualWeights,
    area_losses,
    detail_mask,
    editing_shift,
    noise_losses,
    one_step_x0,
    shift_losses,
    timestep_weights,
    visual_loss,
)
from pentimento.values import Segment

ALPHAS = cosine_alphas_cumprod()
LATENT, SIDE = 6, 12
DRAW = torch.Generator().manual_seed(0)
MIX = torch.randn(3, 2, generator=DRAW)
LOOK = torch.randn(4, 3, generator=DRAW)
KEPT = torch.zeros(3, dtype=torch.bool)


@pytest.fixture(autouse=True)
def drawn_alike() -> None:
    """Every test draws the same numbers, alone or among others."""
    DRAW.manual_seed(1)


def decode(latents: Tensor) -> Tensor:
    """Latents (b, 2, 6, 6) to pixels (b, 3, 12, 12), beyond [-1, 1]."""
    return torch.einsum("dc,bchw->bdhw", MIX.to(latents), latents).repeat_interleave(2, -1).repeat_interleave(2, -2)


def embed(pixels: Tensor) -> Tensor:
    """Pixels to 4 numbers, not normalised; each pixel matters by its own place."""
    height, width = pixels.shape[-2:]
    places = torch.linspace(0.5, 1.5, height)[:, None] * torch.linspace(1, 2, width)
    return (pixels * places).tanh().mean(dim=(2, 3)) @ LOOK.T.to(pixels)


def batch() -> tuple[Tensor, Tensor, Tensor, TrueGrids]:
    """x_t, a wrong eps, t and the truth."""
    x0 = torch.randn(3, 2, LATENT, LATENT, generator=DRAW)
    t, noise = torch.tensor([30, 400, 800]), draw_noise(x0, DRAW)
    details = torch.rand(3, 1, SIDE, SIDE, generator=DRAW) < 0.3
    x_t = q_sample(x0, noise, t, ALPHAS)
    return x_t, noise + 0.3 * draw_noise(x0, DRAW), t, TrueGrids(decode(x0), details, KEPT)


def naive_shift(grid: Tensor, no_pair: bool = False) -> Tensor:
    """T of one grid (3, 12, 12)."""
    half = SIDE // 2

    def clip(picture: Tensor) -> Tensor:
        feature = embed(picture[None])[0]
        return feature / feature.square().sum().sqrt()

    upper = clip(grid[:, :half, :half]) - clip(grid[:, :half, half:])
    lower = clip(grid[:, half:, :half]) - clip(grid[:, half:, half:])
    return lower if no_pair else (upper + lower) / 2


def naive_cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def test_the_right_noise_means_the_clean_latents() -> None:
    x0, t = torch.randn(4, 2, 6, 6, generator=DRAW), torch.tensor([0, 300, 700, 999])
    noise = draw_noise(x0, DRAW)
    assert torch.allclose(one_step_x0(q_sample(x0, noise, t, ALPHAS), noise, t, ALPHAS), x0, atol=1e-3)


def test_wrong_noise_means_latents_that_are_wrong_by_its_share() -> None:
    x_t, t = torch.zeros(1, 1, 1, 1), torch.tensor([500])
    error = one_step_x0(x_t, torch.ones(1, 1, 1, 1), t, ALPHAS)
    assert torch.allclose(error.square(), ((1 - ALPHAS[500]) / ALPHAS[500]))


def test_the_editing_shift_is_its_formula() -> None:
    grid = torch.randn(3, 3, SIDE, SIDE, generator=DRAW)
    no_pair = torch.tensor([False, True, False])
    expected = torch.stack([naive_shift(one, bool(dropped)) for one, dropped in zip(grid, no_pair, strict=True)])
    assert torch.allclose(editing_shift(grid, embed, no_pair), expected, atol=1e-6)


def test_the_shift_loss_is_its_formula_nothing_for_the_truth_and_two_at_most() -> None:
    made, true = torch.randn(2, 50, 4, generator=DRAW)
    expected = torch.stack([1 - naive_cosine(a, b) for a, b in zip(made, true, strict=True)])
    assert torch.allclose(shift_losses(made, true), expected, atol=1e-6)
    assert torch.allclose(shift_losses(3 * true, true), torch.zeros(50), atol=1e-6)
    assert torch.allclose(shift_losses(-true, true), torch.full((50,), 2.0))
    assert (expected > 0).all() and (expected < 2).all()


def test_no_shift_at_all_has_a_loss_and_a_bounded_gradient() -> None:
    made = torch.zeros(1, 4, requires_grad=True)
    shift_losses(made, torch.ones(1, 4)).sum().backward()
    assert made.grad is not None and made.grad.norm() <= 1001
    assert shift_losses(torch.zeros(1, 4), torch.zeros(1, 4)) == 1


def test_the_area_loss_is_its_formula() -> None:
    made, true = torch.randn(2, 1, 3, 4, 6, generator=DRAW)
    mask = torch.rand(1, 1, 4, 6, generator=DRAW) < 0.4
    total = sum(
        float(made[0, c, y, x] * mask[0, 0, y, x] - true[0, c, y, x] * mask[0, 0, y, x]) ** 2
        for c in range(3)
        for y in range(4)
        for x in range(6)
    )
    assert torch.allclose(area_losses(made, true, mask), torch.tensor([total / (4 * 6 * 3)]))


def test_pixels_outside_the_mask_get_no_gradient_and_may_be_no_numbers() -> None:
    mask = torch.tensor([[True, False], [False, False]])[None, None]
    made = torch.full((1, 3, 2, 2), torch.nan)
    made[..., 0, 0] = 2
    made.requires_grad_()
    area_losses(made, torch.zeros(1, 3, 2, 2), mask).sum().backward()
    assert made.grad is not None and (made.grad[..., 0, 0] > 0).all()
    assert not made.grad.flatten(2)[..., 1:].any()


def test_only_living_classes_are_details() -> None:
    left, top = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    left[:, 0], top[0] = True, True
    segments = [Segment("cat", left, 0.9), Segment("sofa", top, 0.8)]
    assert torch.equal(detail_mask(segments, {"cat", "person"}, 2, 3)[0], torch.from_numpy(left))
    assert detail_mask(segments, {"cat", "sofa"}, 2, 3).sum() == 4
    assert detail_mask([], {"cat"}, 2, 3).tolist() == [[[False] * 3] * 2]


def test_timesteps_weigh_by_what_is_left_of_the_picture_or_all_alike_below_one() -> None:
    t = torch.tensor([0, 499, 500, 999])
    assert torch.equal(timestep_weights(t, ALPHAS, VisualWeights()), ALPHAS[t])
    below = timestep_weights(t, ALPHAS, VisualWeights(over_time="below", t_max=500))
    assert below.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("over_time", ["alpha_bar", "below"])
@pytest.mark.parametrize(("shift", "area"), [(1.0, 1.0), (0.5, 0.0), (0.0, 3.0)])
def test_both_losses_together_are_their_formula(over_time: str, shift: float, area: float) -> None:
    x_t, eps, t, truth = batch()
    truth = replace(truth, no_pair=torch.tensor([False, True, True]))
    weights = VisualWeights(shift, area, over_time, t_max=600)  # type: ignore[arg-type]
    expected = 0.0
    for i in range(3):
        alpha = ALPHAS[t[i]]
        x0 = (x_t[i] - (1 - alpha).sqrt() * eps[i]) / alpha.sqrt()
        pseudo, true, dropped = decode(x0[None])[0], truth.pixels[i], bool(truth.no_pair[i])
        mask = truth.details[i].float().clone()
        if dropped:
            mask[:, : SIDE // 2] = 0
        squares = ((pseudo * mask - true * mask) ** 2).mean()
        turned = 1 - naive_cosine(naive_shift(pseudo, dropped), naive_shift(true, dropped))
        weight = float(alpha) if over_time == "alpha_bar" else float(t[i] < 600)
        expected += weight * float(shift * turned + area * squares) / 3
    assert float(visual_loss(x_t, eps, t, truth, ALPHAS, decode, embed, weights)) == pytest.approx(expected, rel=1e-4)


def test_the_right_noise_has_no_loss() -> None:
    x0 = torch.randn(3, 2, LATENT, LATENT, generator=DRAW)
    noise, t = draw_noise(x0, DRAW), torch.tensor([10, 200, 400])
    truth = TrueGrids(decode(x0), torch.ones(3, 1, SIDE, SIDE, dtype=torch.bool), KEPT)
    x_t = q_sample(x0, noise, t, ALPHAS)
    assert visual_loss(x_t, noise, t, truth, ALPHAS, decode, embed, VisualWeights()) < 1e-5


@pytest.mark.parametrize(("shift", "area"), [(1.0, 0.0), (0.0, 1.0)])
def test_each_loss_reaches_the_noise_through_decoder_and_embedding(shift: float, area: float) -> None:
    x_t, eps, t, truth = batch()
    eps.requires_grad_()
    visual_loss(x_t, eps, t, truth, ALPHAS, decode, embed, VisualWeights(shift, area)).backward()
    assert eps.grad is not None and all(eps.grad[i].any() for i in range(3))


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    x_t, eps, t, truth = batch()

    def f(eps: Tensor) -> Tensor:
        return visual_loss(x_t, eps, t, truth, ALPHAS, lambda z: decode(z.double()), embed, VisualWeights())

    given, step = eps.clone().requires_grad_(), draw_noise(eps, DRAW)
    f(given).backward()
    assert given.grad is not None
    slope = float(f(eps + 1e-3 * step) - f(eps - 1e-3 * step)) / 2e-3
    assert slope == pytest.approx(float((given.grad * step).sum()), rel=0.02)


def test_a_dropped_pairs_quadrants_get_no_gradient_from_any_loss() -> None:
    x_t, eps, t, truth = batch()
    truth = replace(truth, no_pair=torch.tensor([True, False, True]))
    eps.requires_grad_()
    visual = visual_loss(x_t, eps, t, truth, ALPHAS, decode, embed, VisualWeights())
    (visual + noise_losses(eps, torch.zeros_like(eps), truth.no_pair).mean()).backward()
    assert eps.grad is not None
    upper, lower = eps.grad.split(LATENT // 2, dim=-2)
    assert not upper[0].any() and not upper[2].any() and upper[1].all()
    assert lower.any(dim=(1, 2, 3)).all()


def test_the_noise_loss_is_a_mean_over_what_is_not_dropped() -> None:
    eps, noise = torch.randn(2, 2, 2, 4, 6, generator=DRAW)
    losses = noise_losses(eps, noise, torch.tensor([True, False]))
    assert torch.allclose(losses[0], (eps[0, :, 2:] - noise[0, :, 2:]).square().mean())
    assert torch.allclose(losses[1], (eps[1] - noise[1]).square().mean())


def test_timesteps_that_weigh_nothing_are_not_decoded() -> None:
    x_t, eps, t, truth = batch()
    decoded: list[int] = []

    def watched(latents: Tensor) -> Tensor:
        decoded.append(len(latents))
        return decode(latents)

    for t_max in (500, 0):
        visual_loss(x_t, eps, t, truth, ALPHAS, watched, embed, VisualWeights(over_time="below", t_max=t_max))
    assert decoded == [2]
    black = ALPHAS.clone()
    black[800] = 0
    assert visual_loss(x_t, eps, t, truth, black, watched, embed, VisualWeights()).isfinite() and decoded == [2, 2]
