import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler

from pentimento.diffusion.schedule import (
    betas_from_alphas,
    cosine_alphas_cumprod,
    encoding_level,
    levels,
    scaled_linear_alphas_cumprod,
)
from pentimento.errors import RequestError

SD = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


@pytest.mark.parametrize("steps", [1, 7, 50, 999])
def test_levels_stand_where_diffusers_ddim_and_its_inverse_stand(steps: int) -> None:
    forward, inverse = DDIMScheduler(**SD), DDIMInverseScheduler(**SD)
    forward.set_timesteps(steps)
    inverse.set_timesteps(steps)
    ours = levels(scaled_linear_alphas_cumprod(), steps)
    assert ours.times[1:].flip(0).tolist() == forward.timesteps.tolist()
    assert ours.times[1:].tolist() == inverse.timesteps.tolist()
    assert torch.allclose(ours.alphas[1:], forward.alphas_cumprod[ours.times[1:]], atol=1e-6)
    assert torch.allclose(ours.alphas[0], forward.final_alpha_cumprod, atol=1e-6)
    assert ours.steps == steps


def test_the_noisiest_level_stands_where_its_text_says() -> None:
    tops = {steps: int(levels(scaled_linear_alphas_cumprod(), steps).times[-1]) for steps in (50, 20, 2, 1, 501)}
    assert tops == {50: 981, 20: 951, 2: 501, 1: 1, 501: 501}


def test_as_many_steps_as_timesteps_stay_inside_the_schedule() -> None:
    assert levels(scaled_linear_alphas_cumprod(), 1000).times.max() == 999


@pytest.mark.parametrize("steps", [0, 1001])
def test_step_counts_that_the_model_has_not_are_refused(steps: int) -> None:
    with pytest.raises(RequestError, match="1 to 1000"):
        levels(scaled_linear_alphas_cumprod(), steps)


def test_the_encoding_level_rounds_halves_up() -> None:
    assert [encoding_level(50, r) for r in (0, 0.5, 0.8, 1)] == [0, 25, 40, 50]
    assert [encoding_level(n, 0.5) for n in (1, 3, 5)] == [1, 2, 3]


def test_the_cosine_schedule_falls_strictly_between_its_two_ends() -> None:
    alphas = cosine_alphas_cumprod()
    assert (alphas.diff() < 0).all()
    assert torch.allclose(alphas[[0, -1]].double().logit(), torch.tensor([10.0, -8.0]).double(), atol=2e-3)


def test_a_positive_shift_leaves_more_signal() -> None:
    assert (cosine_alphas_cumprod(shift=1.4)[1:-1] > cosine_alphas_cumprod(shift=0.0)[1:-1]).all()


@pytest.mark.parametrize("alphas", [cosine_alphas_cumprod(), scaled_linear_alphas_cumprod()])
def test_betas_give_their_alphas_back(alphas: torch.Tensor) -> None:
    betas = betas_from_alphas(alphas)
    assert torch.allclose(torch.cumprod(1 - betas, dim=0), alphas, atol=1e-5)
    assert (betas > 0).all() and (betas <= 0.999).all()
