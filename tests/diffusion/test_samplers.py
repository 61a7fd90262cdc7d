import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, EulerAncestralDiscreteScheduler
from test_schedule import SD

from pentimento.diffusion.guidance import classifier_free
from pentimento.diffusion.objectives import Noise
from pentimento.diffusion.samplers import (
    Trajectory,
    ddim_sample,
    ddim_sample_joined,
    ddim_step,
    euler_ancestral_sample,
    euler_times,
    invert,
)
from pentimento.diffusion.schedule import levels, scaled_linear_alphas_cumprod
from pentimento.errors import RequestError
from toy import ToyDiffusion

ALPHAS = scaled_linear_alphas_cumprod()


def toy_noise() -> Noise:
    model = ToyDiffusion()
    text, null = model.encode_text(["photo of a dog", ""]).split(1)
    return torch.no_grad()(classifier_free(model.denoise, text, null, 1.0))


def latents(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_a_step_there_and_back_with_the_same_noise_returns_the_start() -> None:
    x, eps = latents(), latents(1)
    a, b = torch.tensor(0.9), torch.tensor(0.3)
    assert torch.allclose(ddim_step(ddim_step(x, eps, a, b), eps, b, a), x, atol=1e-5)


@pytest.mark.parametrize("convention", ["source", "destination"])
def test_inversion_then_sampling_with_the_same_caption_returns_the_start(convention: str) -> None:
    noise, x, steps = toy_noise(), latents(), levels(ALPHAS, 200)
    trajectory = invert(noise, Trajectory((x,)), steps, 100, convention)
    back = ddim_sample(noise, trajectory.latents[-1], steps, 100)
    moved = (trajectory.latents[-1] - x).abs().mean()
    assert moved > 0.1
    assert (back - x).abs().mean() < 0.02 * moved


def test_destination_inversion_is_undone_by_the_noise_it_used() -> None:
    """When eps depends on t alone, "destination" asks the same eps in both directions, so the way back is exact."""
    fixed = latents(3)

    def noise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return fixed * (1 + t.view(-1, 1, 1, 1) / 1000)

    steps = levels(ALPHAS, 20)
    trajectory = invert(noise, Trajectory((latents(),)), steps, 20, "destination")
    assert torch.allclose(ddim_sample(noise, trajectory.latents[-1], steps, 20), latents(), atol=1e-4)


def test_an_inversion_goes_on_where_it_ended() -> None:
    noise, steps, start = toy_noise(), levels(ALPHAS, 10), Trajectory((latents(),))
    whole = invert(noise, start, steps, 8)
    parts = invert(noise, invert(noise, start, steps, 3), steps, 8)
    assert len(whole.latents) == 9
    assert all(torch.equal(a, b) for a, b in zip(whole.latents, parts.latents, strict=True))
    assert invert(noise, whole, steps, 5).latents == whole.latents


def test_starts_at_several_levels_arrive_where_each_arrives_alone() -> None:
    noise, steps = toy_noise(), levels(ALPHAS, 9)
    starts = {2: latents(2), 9: torch.cat([latents(3), latents(4)]), 5: latents(5)}
    seen: list[int] = []
    arrived = ddim_sample_joined(noise, starts, steps, lambda level, x: seen.append(len(x)) or x)
    assert seen == [2] * 4 + [3] * 3 + [4] * 2
    for level, x in starts.items():
        assert torch.allclose(arrived[level], ddim_sample(noise, x, steps, level), atol=1e-5)
    alone = ddim_sample_joined(noise, {9: starts[9]}, steps)[9]
    assert torch.equal(alone, ddim_sample(noise, starts[9], steps, 9))


def test_ddim_equals_diffusers_step_for_step() -> None:
    noise, x, scheduler = toy_noise(), latents(), DDIMScheduler(**SD)
    scheduler.set_timesteps(9)
    theirs, seen = x, []
    for t in scheduler.timesteps:
        theirs = scheduler.step(noise(theirs, t.view(1)), t, theirs).prev_sample
        seen.append(theirs)
    ours = []
    ddim_sample(noise, x, levels(ALPHAS, 9), 9, lambda level, y: ours.append(y) or y)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, seen, strict=True))


def test_destination_inversion_equals_diffusers_inverse_scheduler_step_for_step() -> None:
    noise, x, scheduler = toy_noise(), latents(), DDIMInverseScheduler(**SD)
    scheduler.set_timesteps(9)
    theirs, seen = x, [x]
    for t in scheduler.timesteps:
        theirs = scheduler.step(noise(theirs, t.view(1)), t, theirs).prev_sample
        seen.append(theirs)
    ours = invert(noise, Trajectory((x,)), levels(ALPHAS, 9), 9, "destination")
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours.latents, seen, strict=True))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers under numpy 2
@pytest.mark.parametrize("steps", [2, 4, 10, 28])  # where the stride of timesteps is whole
def test_euler_ancestral_equals_diffusers_given_the_same_noise(steps: int) -> None:
    noise, like = toy_noise(), latents()
    scheduler = EulerAncestralDiscreteScheduler(**{k: SD[k] for k in ("beta_start", "beta_end", "beta_schedule")})
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(5)
    theirs = torch.randn(like.shape, generator=generator) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        eps = noise(scheduler.scale_model_input(theirs, t), t.view(1))
        theirs = scheduler.step(eps, t, theirs, generator=generator).prev_sample
    ours = euler_ancestral_sample(noise, like, ALPHAS, steps, torch.Generator().manual_seed(5))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_euler_ancestral_draws_from_its_generator_alone() -> None:
    noise, like = toy_noise(), latents()
    one, same, other = (
        euler_ancestral_sample(noise, like, ALPHAS, 3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_euler_times_go_from_the_noisiest_timestep_to_the_first() -> None:
    assert euler_times(1000, 1).tolist() == [999]
    assert euler_times(1000, 4).tolist() == [999, 666, 333, 0]
    with pytest.raises(RequestError):
        euler_times(1000, 0)
