"""Visii's loss: noise and CLIP's direction, by the naive formula, with gradients to what is learned alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pentimento.diffusion.attention import Slots
from pentimento.diffusion.latents import seen_whole
from pentimento.errors import RequestError
from pentimento.learning import instruction, learn_settings
from pentimento.learning.direction import ENOUGH, alike_in_pictures, alike_in_words, wanted
from pentimento.learning.instruction import Batch, learning_job, predicted
from pentimento.values import Pair
from toy import TOKENS, WIDTH, ToyDiffusion, ToyPack, toy_picture

PAIRS = [Pair(toy_picture(seed=i), toy_picture(seed=10 + i)) for i in range(3)]
AT = Batch(torch.tensor([1]), torch.tensor([400]))
DIMENSIONS = 5


class Linear:
    """A clip of two random projections: of the picture scaled down to 4 x 4, and of the mean token state."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.pixels, self.states = (torch.randn(n, DIMENSIONS, generator=generator) for n in (48, WIDTH))

    def embed_pixels(self, pixels):
        return F.normalize(F.adaptive_avg_pool2d(pixels, 4).flatten(1) @ self.pixels, dim=-1)

    def embed_images(self, images):
        arrays = [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1 for image in images]
        return self.embed_pixels(torch.stack(arrays))

    def embed_states(self, states):
        return F.normalize(states.mean(1) @ self.states, dim=-1)


def job_of(model: ToyDiffusion, folder: Path, clip: Any, **settings: Any) -> Any:
    chosen = learn_settings("visii", {"instruction": "make it snow", **settings})
    return learning_job(model, PAIRS, chosen, "make it snow", folder / "x.safetensors", folder, None, clip)


def loss_of(job: Any) -> torch.Tensor:
    return job.loss(job.model, AT, torch.Generator().manual_seed(1))


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one.detach() @ other / one.detach().norm() / other.norm())


def direction_by_hand(clip: Linear) -> torch.Tensor:
    after, before = (clip.embed_images([getattr(pair, side) for pair in PAIRS]) for side in ("after", "before"))
    return after.mean(0) - before.mean(0)


def test_visiis_loss_in_words_is_four_times_the_error_less_a_tenth_of_the_cosine(tmp_path: Path) -> None:
    model, clip = ToyPack().instruct, Linear()
    error = loss_of(job_of(model, tmp_path, None, mse_weight=1.0)).item()
    states = model.encode_text(["make it snow"])[0]  # not a step was taken: what is learned is still the words
    said = cosine(states.mean(0) @ clip.states, direction_by_hand(clip))
    assert said < ENOUGH
    loss = loss_of(job_of(model, tmp_path, clip, clip_reads="words")).item()
    assert loss == pytest.approx(4 * error - 0.1 * said, abs=1e-4)


def test_visiis_loss_in_pictures_looks_at_the_one_that_the_noise_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, clip = ToyPack().instruct, Linear()
    caught: list[torch.Tensor] = []

    def listen(model: Any, slots: Any, settings: Any, x_t: torch.Tensor, *rest: Any) -> torch.Tensor:
        caught[:] = [x_t, predicted(model, slots, settings, x_t, *rest)]
        return caught[1]

    monkeypatch.setattr(instruction, "predicted", listen)
    error = loss_of(job_of(model, tmp_path, None, mse_weight=1.0)).item()
    loss = loss_of(job_of(model, tmp_path, clip, clip_reads="pictures")).item()
    x_t, eps = caught
    alpha = float(model.alphas_cumprod[AT.t])
    picture = model.autoencoder.network.decode((x_t - (1 - alpha) ** 0.5 * eps) / alpha**0.5 / 0.5).sample
    way = (clip.embed_pixels(picture) - clip.embed_images([PAIRS[1].before]))[0]
    assert loss == pytest.approx(4 * error - 0.1 * alpha * cosine(way, direction_by_hand(clip)), abs=1e-4)
    assert abs(loss - 4 * error) > 1e-3


def test_an_unchanged_picture_that_is_not_square_has_no_direction() -> None:
    """Seen once as the model sees it and once as its middle, it would seem to have changed."""
    pairs = [Pair(toy_picture(48, 24, seed=i), toy_picture(48, 24, seed=10 + i)) for i in range(2)]
    model, clip = ToyPack().instruct, Linear()
    drawn_out = [seen_whole(getattr(pairs[0], side), model.size) for side in ("before", "after")]
    network = SimpleNamespace(factor=8, decode_pixels=lambda latents: latents)
    model = ToyDiffusion(model.unet, network, alphas_cumprod=model.alphas_cumprod)
    alike = alike_in_pictures(clip, pairs[:1], model)
    t, row = torch.tensor([0]), torch.tensor([0])
    alpha = model.alphas_cumprod[0]

    def said(picture: torch.Tensor) -> float:
        return float(alike(None, alpha.sqrt() * picture, torch.zeros_like(picture), t, row))

    before, after = drawn_out
    assert abs(said(before)) < 1e-3
    assert said(after) == pytest.approx(float(alpha) * ENOUGH, abs=1e-3)  # it is the wanted one itself


@pytest.mark.parametrize("reads", ["words", "pictures"])
def test_the_directions_gradient_reaches_the_learned_states_and_no_model(tmp_path: Path, reads: str) -> None:
    model = ToyPack().instruct
    for network in (model.unet, model.autoencoder.network):
        network.requires_grad_(False)
    gradients = []
    for clip in (None, Linear()):
        job = job_of(model, tmp_path, clip, clip_reads=reads)
        loss_of(job).backward()
        (states,) = job.model.parameters()
        gradients.append(states.grad.clone())
    beside = (gradients[1] - gradients[0]).abs().sum(-1)  # what the direction adds, by token
    assert (beside > 0).all()


def test_a_direction_that_is_followed_far_enough_is_not_rewarded_further() -> None:
    clip = Linear()
    direction = wanted(clip, PAIRS)
    states = torch.linalg.lstsq(clip.states.T, direction[0]).solution.repeat(1, TOKENS, 1).requires_grad_()
    alike = alike_in_words(clip, PAIRS, states, 1000)
    followed = alike(Slots((), (states[:, 1:3],)), torch.zeros(1), torch.zeros(1), torch.tensor([5]), torch.tensor([0]))
    assert followed.item() == ENOUGH
    followed.sum().backward()
    assert not states.grad.any()


def test_a_row_of_pure_noise_says_nothing_and_stays_finite() -> None:
    model = ToyPack().instruct
    alphas = model.alphas_cumprod.clone()
    alphas[-1] = 0
    model = ToyDiffusion(model.unet, model.autoencoder, alphas_cumprod=alphas)
    x, eps = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    eps.requires_grad_()
    alike = alike_in_pictures(Linear(), PAIRS, model)(None, x, eps, torch.tensor([999, 100]), torch.tensor([0, 1]))
    assert alike[0].item() == 0 and alike[1].item() != 0
    alike.sum().backward()
    assert torch.isfinite(eps.grad).all() and not eps.grad[0].any() and eps.grad[1].any()


def test_keys_and_values_are_no_words() -> None:
    with pytest.raises(RequestError, match="clip_reads=pictures"):
        learn_settings("instructbrush", {"clip_weight": 0.1, "clip_reads": "words"})
    assert learn_settings("instructbrush", {}).clip_weight == 0
