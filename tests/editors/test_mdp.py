"""MDP: its null-text inversion retraces the picture's path, and optimises no more than it has to."""

import numpy as np
import pytest
import torch

from pentimento.diffusion.samplers import Trajectory, ddim_step
from pentimento.diffusion.schedule import Levels, levels
from pentimento.editors.mdp import MDP, Path, null_text
from pentimento.editors.requests import unwatched
from pentimento.values import Plan, Request
from toy import ToyDiffusion, ToyPack, toy_picture

GUIDANCE = 7.5


@torch.no_grad()
def inversion(model: ToyDiffusion, steps: Levels, text: torch.Tensor) -> Trajectory:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    latents = [x]
    for i in range(steps.steps):
        eps = model.denoise(x, steps.times[i].expand(1), text)
        x = ddim_step(x, eps, steps.alphas[i], steps.alphas[i + 1])
        latents.append(x)
    return Trajectory(tuple(latents))


def retraced(path: Path, steps: Levels) -> torch.Tensor:
    x = path.top
    for level in range(steps.steps, 0, -1):
        x = ddim_step(x, path.eps[level - 1], steps.alphas[level], steps.alphas[level - 1])
    return x


@torch.no_grad()
def optimised(inner_steps: int, rate: float = 0.01) -> tuple[ToyDiffusion, float]:
    """The model, and how far the guided path ends from the picture's latents."""
    model = ToyDiffusion()
    steps = levels(model.alphas_cumprod, 4)
    text, null = model.encode_text(["a dog", ""]).split(1)
    trajectory = inversion(model, steps, text)
    model.calls.clear()
    path = null_text(model, trajectory, text, null, steps, GUIDANCE, inner_steps, rate, unwatched)
    return model, float((retraced(path, steps) - trajectory.latents[0]).square().mean())


def test_optimised_embeddings_lead_the_guided_path_nearer_to_the_picture() -> None:
    unguided, few, many = (optimised(count, 0.05)[1] for count in (0, 3, 30))
    assert many < few < unguided


def test_fewer_steps_at_a_higher_rate_come_as_near_as_more_at_a_lower_one() -> None:
    assert optimised(3, 0.1)[1] < optimised(3, 0.01)[1]


def test_a_step_costs_one_conditional_prediction_and_one_more_than_its_optimisation() -> None:
    assert optimised(0)[0].calls == [1] * 2 * 4
    assert sum(optimised(3)[0].calls) <= (2 + 3) * 4


def test_embeddings_alone_are_trained() -> None:
    model, _ = optimised(2)
    assert all(parameter.grad is None for parameter in model.unet.parameters())


@pytest.mark.parametrize("windows", [(0.2, 0.8), (0.0, 1.0)])
def test_another_window_costs_only_the_edit(windows: tuple[float, float]) -> None:
    pack, picture = ToyPack(), toy_picture(seed=11)
    request = Request(picture, plan=Plan(find=("dog",), before="a dog", after="a cat", kind="replace"))
    one, other = (MDP(pack=pack, steps=5, inner_steps=1, window_end=end) for end in windows)
    one(request)
    pack.text_to_image.calls.clear()
    result = other(request)
    outside = round(5 * (1 - windows[1]))
    assert sum(pack.text_to_image.calls) == 2 * outside
    assert np.asarray(result.decoded).shape == np.asarray(picture).shape
