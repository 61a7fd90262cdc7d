"""MDP: its null-text inversion retraces the picture's path, and optimises no more than it has to."""

import numpy as np
import pytest
import torch

from pentimento.diffusion.samplers import Trajectory, ddim_step
from pentimento.diffusion.schedule import Levels, levels
from pentimento.editors.mdp import MDP, Path, null_text
from pentimento.editors.requests import unwatched
from pentimento.values import Plan, Request
from toy import Recording, ToyDiffusion, ToyPack, pack_with, toy_picture

GUIDANCE = 7.5
PLAN = Plan(find=("dog",), before="a dog", after="a cat", kind="replace")


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


@torch.no_grad()
def test_each_level_keeps_the_embedding_that_its_noise_was_predicted_with() -> None:
    model = ToyDiffusion()
    steps = levels(model.alphas_cumprod, 4)
    text, null = model.encode_text(["a dog", ""]).split(1)
    path = null_text(model, inversion(model, steps, text), text, null, steps, GUIDANCE, 3, 0.05, unwatched)
    x = path.top
    for level in range(4, 0, -1):
        t = steps.times[level].expand(1)
        towards, away = model.denoise(x, t, text), model.denoise(x, t, path.nulls[level - 1])
        assert torch.equal(path.eps[level - 1], away + GUIDANCE * (towards - away))
        x = ddim_step(x, path.eps[level - 1], steps.alphas[level], steps.alphas[level - 1])


@pytest.mark.parametrize("count", [3, 50, 120])
def test_the_learning_rate_falls_to_half_whatever_the_number_of_steps(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    adam = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr: rates.append(lr) or adam(parameters, lr=lr))
    model, nothing = ToyDiffusion(), torch.zeros(1, 4, 8, 8)
    text, null = model.encode_text(["a dog", ""]).split(1)
    with torch.no_grad():
        steps, kept = levels(model.alphas_cumprod, count), Trajectory((nothing,) * (count + 1))
        null_text(model, kept, text, null, steps, GUIDANCE, 0, 0.01, unwatched)
    assert rates == pytest.approx([0.01 * (1 - step / (2 * count)) for step in range(count)])
    if count == 50:
        assert rates == [0.01 * (1 - step / 100) for step in range(50)]  # as in the authors' code


def test_embeddings_alone_are_trained() -> None:
    model, _ = optimised(2)
    assert all(parameter.grad is None for parameter in model.unet.parameters())


@pytest.mark.parametrize("windows", [(0.2, 0.8), (0.0, 1.0)])
def test_another_window_costs_only_the_edit(windows: tuple[float, float]) -> None:
    pack, picture = ToyPack(), toy_picture(seed=11)
    request = Request(picture, plan=PLAN)
    one, other = (MDP(pack=pack, steps=5, inner_steps=1, window_end=end) for end in windows)
    one(request)
    pack.text_to_image.calls.clear()
    result = other(request)
    outside = round(5 * (1 - windows[1]))
    assert sum(pack.text_to_image.calls) == 2 * outside
    assert np.asarray(result.decoded).shape == np.asarray(picture).shape


def numbered(count: int) -> Path:
    """A path of which every level has its own empty-text state and its own noise."""

    def drawn(seed: int, *shape: int) -> torch.Tensor:
        return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))

    nulls = tuple(drawn(level, 6, 16) for level in range(1, count + 1))
    return Path(drawn(0, 4, 8, 8), nulls, tuple(drawn(100 + level, 4, 8, 8) for level in range(1, count + 1)))


def along(path: Path, monkeypatch: pytest.MonkeyPatch, **settings: float) -> Recording:
    """A model that was asked for an edit along the path."""
    model = Recording()
    monkeypatch.setattr(MDP, "path", lambda self, *args: path)
    MDP(pack=pack_with("text_to_image", model), steps=5, **settings)(Request(toy_picture(), plan=PLAN))
    return model


def test_every_level_is_guided_by_the_caption_after_from_its_own_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered(5)
    model = along(path, monkeypatch, window_end=0.4)
    assert [call.t.tolist() for call in model.asked] == [[t, t] for t in (401, 201, 1)]
    for level, call in zip((3, 2, 1), model.asked, strict=True):
        assert torch.equal(call.text, torch.cat([model.encode_text([PLAN.after]), path.nulls[level - 1]]))


def test_the_whole_window_follows_the_noise_of_the_pictures_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered(5)
    model = along(path, monkeypatch, window_end=1)
    assert not model.asked
    assert torch.equal(model.autoencoder.heard[0], retraced(path, levels(model.alphas_cumprod, 5)))


@torch.no_grad()
def test_the_window_begins_at_the_noisiest_level_and_leaves_it_to_the_caption_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = numbered(5)
    model = along(path, monkeypatch, window_end=0.4)
    steps, x = levels(model.alphas_cumprod, 5), path.top
    for level in (5, 4):
        x = ddim_step(x, path.eps[level - 1], steps.alphas[level], steps.alphas[level - 1])
    assert torch.equal(model.asked[0].x[:1], x)
