"""Inpaint: what the inpainting network sees, and where it paints."""

import numpy as np
import torch

from pentimento.diffusion.latents import to_tensor
from pentimento.editors.inpaint import Inpaint
from pentimento.values import Plan, Request
from toy import CHANNELS, Recording, denoiser_network, pack_with, toy_picture

PLAN = Plan(find=("dog",), before="photo of a dog", after="photo of a cat", kind="replace")
ROWS, COLUMNS = slice(8, 24), slice(40, 64)
"""Two cells by three, off the diagonal."""


def mask() -> np.ndarray:
    marked = np.zeros((64, 64), dtype=bool)
    marked[ROWS, COLUMNS] = True
    return marked


def edited(guidance: float = 7.5) -> Recording:
    model = Recording(denoiser_network(in_channels=2 * CHANNELS + 1))
    editor = Inpaint(pack=pack_with("inpaint", model), steps=5, guidance=guidance)
    editor(Request(toy_picture(), plan=PLAN, mask=mask(), seed=3))
    return model


@torch.no_grad()
def test_the_network_sees_noise_then_the_mask_then_the_picture_with_grey_in_the_hole() -> None:
    model = edited()
    x, marked, hidden = model.asked[0].x[:1].split([CHANNELS, 1, CHANNELS], dim=1)
    assert torch.equal(x, torch.randn(x.shape, generator=torch.Generator().manual_seed(3)))
    wanted = torch.zeros(1, 1, 8, 8)
    wanted[..., 1:3, 5:8] = 1  # 1 is where it may paint
    assert torch.equal(marked, wanted)
    pixels = to_tensor(toy_picture())
    pixels[..., ROWS, COLUMNS] = 0
    assert torch.allclose(hidden, model.autoencoder.encode(pixels), atol=1e-6)


def test_every_row_of_every_step_sees_the_same_mask_and_hole() -> None:
    calls = edited().asked
    assert [call.t.tolist() for call in calls] == [[t, t] for t in (801, 601, 401, 201, 1)]
    assert all(torch.equal(row, calls[0].x[0, CHANNELS:]) for call in calls for row in call.x[:, CHANNELS:])


@torch.no_grad()
def test_guidance_leads_from_the_empty_text_to_the_caption_after() -> None:
    plain, guided = edited(guidance=1), edited(guidance=2)
    after, null = plain.encode_text([PLAN.after, ""])
    assert all(torch.equal(call.text, after[None]) for call in plain.asked)
    seen = guided.asked[0].x[:1]
    towards, away = (guided.denoise(seen, guided.asked[0].t[:1], text[None]) for text in (after, null))
    a, a_next = guided.alphas_cumprod[801], guided.alphas_cumprod[601]
    eps, x = 2 * towards - away, seen[:, :CHANNELS]
    stepped = a_next.sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt() + (1 - a_next).sqrt() * eps
    assert torch.allclose(guided.asked[1].x[:1, :CHANNELS], stepped, atol=1e-5)


def test_the_hole_is_painted_and_nothing_else() -> None:
    picture = toy_picture()
    result = Inpaint(pack=pack_with("inpaint", Recording(denoiser_network(2 * CHANNELS + 1))), steps=2, feather=0)(
        Request(picture, plan=PLAN, mask=mask())
    )
    changed = (np.asarray(result.image) != np.asarray(picture)).any(axis=-1)
    assert changed[mask()].mean() > 0.9 and not changed[~mask()].any()
