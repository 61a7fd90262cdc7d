import torch

from pentimento.diffusion.objectives import (
    draw_dropped,
    draw_timesteps,
    eps_of_v,
    min_snr_weights,
    noise_loss,
    q_sample,
)
from pentimento.diffusion.schedule import cosine_alphas_cumprod

ALPHAS = cosine_alphas_cumprod()


def test_forward_noising_keeps_the_variance_of_unit_latents() -> None:
    x0, noise = torch.randn(2, 8, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    x_t = q_sample(x0, noise, torch.arange(8) * 120, ALPHAS)
    assert torch.allclose(x_t.var(dim=(1, 2, 3)), torch.ones(8), atol=0.1)


def test_forward_noising_is_its_formula() -> None:
    x0, noise, t = torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 2.0), torch.tensor([300])
    assert torch.allclose(q_sample(x0, noise, t, ALPHAS), ALPHAS[300].sqrt() + 2 * (1 - ALPHAS[300]).sqrt())


def test_a_model_that_knows_the_noise_has_no_loss() -> None:
    x0 = torch.zeros(6, 2, 4, 4)

    def oracle(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x / (1 - ALPHAS[t]).sqrt().view(-1, 1, 1, 1)

    assert noise_loss(oracle, x0, ALPHAS, torch.Generator().manual_seed(0)) < 1e-9


def test_the_loss_depends_on_its_generator_alone_and_weighting_lowers_it() -> None:
    x0 = torch.zeros(6, 2, 4, 4)
    losses = [
        noise_loss(lambda x, t: torch.zeros_like(x), x0, ALPHAS, torch.Generator().manual_seed(seed), gamma)
        for seed, gamma in ((0, None), (0, None), (1, None), (0, 5.0))
    ]
    assert losses[0] == losses[1] != losses[2]
    assert losses[3] < losses[0]


def test_min_snr_weights_are_one_up_to_gamma_and_gamma_over_snr_beyond() -> None:
    t = torch.tensor([999, 100])
    snr = (ALPHAS / (1 - ALPHAS))[t]
    assert snr[0] < 5 < snr[1]
    assert torch.allclose(min_snr_weights(t, ALPHAS, 5.0), torch.stack([torch.tensor(1.0), 5 / snr[1]]))


def test_timesteps_cover_their_range_evenly() -> None:
    t = draw_timesteps(2000, 200, 400, torch.Generator().manual_seed(0))
    assert t.min() == 200 and t.max() == 399
    assert (t.bincount(minlength=400)[200:] == 10).all()


def test_conditions_are_dropped_five_percent_each_way() -> None:
    dropped = draw_dropped(200_000, torch.Generator().manual_seed(0))
    both = dropped.text & dropped.image
    for mask in (both, dropped.text & ~both, dropped.image & ~both):
        assert abs(mask.float().mean() - 0.05) < 0.002


def test_a_velocity_means_the_noise_that_made_it() -> None:
    x0, eps, t = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([3, 500, 990])
    alpha = ALPHAS[t].view(3, 1, 1, 1)
    v = alpha.sqrt() * eps - (1 - alpha).sqrt() * x0
    assert torch.allclose(eps_of_v(v, q_sample(x0, eps, t, ALPHAS), t, ALPHAS), eps, atol=1e-5)


def test_a_floor_keeps_the_noisiest_steps_from_weighing_nothing() -> None:
    t = torch.tensor([999])
    snr = (ALPHAS[t] / (1 - ALPHAS[t])).double()
    assert torch.allclose(min_snr_weights(t, ALPHAS, 5.0, 0.1), (0.1 / snr).float())


def test_importance_weighs_cells_against_each_other_and_its_scale_says_nothing() -> None:
    x0, wrong = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    wrong[..., :2] = 1.0  # the prediction is off by 1 in the left half alone

    def loss(importance: torch.Tensor | None) -> torch.Tensor:
        def off(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return x / (1 - ALPHAS[t]).sqrt().view(-1, 1, 1, 1) + wrong

        return noise_loss(off, x0, ALPHAS, torch.Generator().manual_seed(0), importance=importance)

    left = torch.ones(2, 1, 4, 4)
    left[..., :2] = 3.0
    assert torch.allclose(loss(None), torch.tensor(0.5), atol=1e-4)
    assert torch.allclose(loss(left), torch.tensor(0.75), atol=1e-4)
    assert torch.allclose(loss(7 * left), loss(left))
