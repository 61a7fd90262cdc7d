"""SDEdit: noise from the seed on the picture's latents, and the way back by the caption after alone."""

import pytest
import torch

from pentimento.diffusion.latents import to_tensor
from pentimento.diffusion.schedule import levels
from pentimento.editors.sdedit import SDEdit
from pentimento.values import Plan, Request
from toy import Recording, pack_with, toy_picture

PLAN = Plan(find=("dog",), before="photo of a dog", after="photo of a cat", kind="replace")
SEED = 3


@torch.no_grad()
def edited(guidance: float) -> Recording:
    """A model that was asked for an edit of ten steps from level 6."""
    model = Recording()
    editor = SDEdit(pack=pack_with("text_to_image", model), steps=10, strength=0.6, guidance=guidance)
    editor(Request(toy_picture(), plan=PLAN, seed=SEED))
    return model


@torch.no_grad()
def test_the_way_back_begins_with_the_seeds_noise_on_the_pictures_latents_at_the_strengths_level() -> None:
    model = edited(guidance=1)
    x0 = model.autoencoder.encode(to_tensor(toy_picture()))
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(SEED))
    alpha = model.alphas_cumprod[501]  # level 6 of steps 100 apart, the first at 1
    assert torch.allclose(model.asked[0].x, alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise, atol=1e-6)
    assert [int(call.t) for call in model.asked] == [501, 401, 301, 201, 101, 1]


def test_guidance_one_asks_for_the_caption_after_alone() -> None:
    model = edited(guidance=1)
    (after,) = model.encode_text([PLAN.after])
    assert all(torch.equal(call.text, after[None]) for call in model.asked)


@torch.no_grad()
@pytest.mark.parametrize("guidance", [0.5, 7.5])
def test_guidance_leads_from_the_empty_text_to_the_caption_after(guidance: float) -> None:
    model = edited(guidance)
    steps, first, second = levels(model.alphas_cumprod, 10), *model.asked[:2]
    x = first.x[:1]
    after, null = (model.denoise(x, first.t[:1], model.encode_text([text])) for text in (PLAN.after, ""))
    eps, a, a_next = null + guidance * (after - null), steps.alphas[6], steps.alphas[5]
    stepped = a_next.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - a_next).sqrt() * eps
    assert torch.allclose(second.x[:1], stepped, atol=1e-5)
