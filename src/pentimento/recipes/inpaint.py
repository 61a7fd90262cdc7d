"""The miniature's inpainting model: the text-to-image U-Net with the mask and the masked picture as further channels.

Its 17 input channels are the noisy latents, the mask, and the scaled latents of the picture with a hole, in the order
of Stable Diffusion's inpainting model; as there, the text encoder is the text-to-image model's. Holes are whole latent
cells: one thing of the picture, mostly with a margin (a mask says where a thing stands, not what it is), a rectangle,
or everything.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor

from ..data.close_ups import close_layout, close_up
from ..data.vocabulary import PLACES
from ..diffusion.guidance import classifier_free
from ..diffusion.masks import with_hole
from ..diffusion.objectives import noise_loss
from ..diffusion.samplers import euler_ancestral_sample
from ..diffusion.schedule import cosine_alphas_cumprod
from ..training import Job, warm_start
from .autoencoder import pictures, sheet
from .instruct import Settings as InstructSettings
from .instruct import widened
from .latents import (
    CAPTIONS,
    autoencoder_of,
    draw_rows,
    edit_frames,
    edit_latents,
    edit_layouts,
    edit_words,
)
from .layout import NAMELESS, SIDE, importance
from .lessons import described, edit_store, of_a_part
from .text import ids_of, text_encoder, tokenizer
from .text_to_image import Painter, critic_for, layout_weight, rivals, unet


class Settings(InstructSettings):
    """As the instruct model's, with more close-ups: what is painted into a hole is looked at closely."""

    close_ups: float = 0.6


@dataclass
class Batch:
    """Latents (b, c, h, w), pixels (b, 3, H, W) in [-1, 1], holes bool (b, 1, h, w), token ids, layouts and their
    weight."""

    x0: Tensor
    pixels: Tensor
    holes: Tensor
    ids: Tensor
    layouts: Tensor
    weight: Tensor


def hole(plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells to paint, bool (SIDE, SIDE), for a picture whose layout's first plane is `plan`."""
    dice = rng.random()
    nouns = np.unique(plan[plan >= len(PLACES)])
    if dice < 0.7 and len(nouns):
        cells = plan == rng.choice(nouns)
        return binary_dilation(cells, iterations=int(rng.integers(0, 3))) if rng.random() < 0.8 else cells
    if dice < 0.95:
        height, width = rng.integers(3, SIDE - 2, 2)
        top, left = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
        cells = np.zeros((SIDE, SIDE), dtype=bool)
        cells[top : top + height, left : left + width] = True
        return cells
    return np.ones((SIDE, SIDE), dtype=bool)


def changed_cells(pair: np.ndarray) -> np.ndarray:
    """NAMELESS in the cells where two pictures, uint8 (2, size, size, 3), differ, else 0: uint8 (SIDE, SIDE)."""
    each = pair.shape[1] // SIDE
    changed = (pair[0] != pair[1]).any(-1).reshape(SIDE, each, SIDE, each).any((1, 3))
    return np.where(changed, NAMELESS, 0).astype(np.uint8)


def job(settings: Settings, pack_dir: Path) -> Job:
    """Needs pack_dir/vae and text_to_image. Warm-starts from pack_dir/inpaint, else from text_to_image."""
    from diffusers import UNet2DConditionModel

    tokens = tokenizer(pack_dir)
    folder, source_folder = pack_dir / "inpaint", pack_dir / "text_to_image"
    source = UNet2DConditionModel.from_pretrained(source_folder / "unet", use_safetensors=True).float()
    channels = source.config.in_channels
    net = unet(tuple(source.config.block_out_channels), source.config.attention_head_dim, 2 * channels + 1, channels)
    if not warm_start(net, folder / "unet"):
        widened(source, net)
    alphas = cosine_alphas_cumprod(shift=settings.shift)
    painter = Painter(
        net,
        text_encoder(tokens, source_folder / "text_encoder").requires_grad_(False),
        alphas,
        critic_for(settings, pack_dir, channels),
    )
    vae = autoencoder_of(pack_dir)
    latents = edit_latents(settings.data, pack_dir, settings.edits, settings.parts)
    words = edit_words(settings.data, "captions", tokens, settings.edits, settings.parts, described)
    layouts = edit_layouts(settings.data, settings.edits, settings.parts)
    store = edit_store(settings.data, settings.edits, settings.parts)
    frames = edit_frames(settings.data, settings.edits, settings.parts)
    null = ids_of(tokens, [""])[0]

    def pixels(row: int, side: int) -> np.ndarray:
        picture = store[row % settings.edits][side]
        return picture if row < settings.edits else close_up(picture, frames[row - settings.edits])

    def things(row: int, side: int) -> np.ndarray:
        """Classes by cell for `hole`: in a part edit the only thing is the part that changes."""
        if not of_a_part(row % settings.edits, settings.parts):
            return layouts[row, side, 0]
        changed = changed_cells(store[row % settings.edits])
        return changed if row < settings.edits else close_layout(changed[None], frames[row - settings.edits])[0]

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([104, settings.seed, step])
        rows, sides = draw_rows(rng, size, settings.edits, settings.close_ups), rng.integers(0, 2, size)
        variants = rng.integers(0, CAPTIONS, size)
        places = layouts[rows, sides]
        ids = torch.from_numpy(words[rows, variants, sides].astype(np.int64))
        dropped = torch.from_numpy(rng.random(size) < settings.null_text)
        return Batch(
            torch.from_numpy(latents.pairs[rows, sides].astype(np.float32)),
            pictures([pixels(int(row), side) for row, side in zip(rows, sides, strict=True)]),
            torch.from_numpy(
                np.stack([hole(things(int(row), side), rng) for row, side in zip(rows, sides, strict=True)])
            )[:, None],
            torch.where(dropped[:, None], null, ids),
            torch.from_numpy(places),
            layout_weight(settings, step),
        )

    @torch.no_grad()
    def seen(batch: Batch) -> Tensor:
        """What the model sees besides the noise: mask and masked latents, (b, 1 + c, h, w)."""
        hidden = vae.encode(with_hole(batch.pixels, batch.holes)).latent_dist.mean.float() * vae.config.scaling_factor
        return torch.cat([batch.holes.to(hidden), hidden], 1)

    def loss(net: Painter, batch: Batch, generator: torch.Generator) -> Tensor:
        states = net.text(batch.ids).last_hidden_state
        condition = seen(batch)

        def eps(x: Tensor, t: Tensor) -> Tensor:
            return net(torch.cat([x, condition], 1), t, states)

        def noise() -> Tensor:
            return noise_loss(
                eps, batch.x0, alphas, generator, settings.min_snr, settings.snr_floor,
                importance(batch.layouts, settings.things),
                net.criticised(batch.x0, batch.layouts, settings.critic),
            )  # fmt: skip

        return net.lessons(noise, batch.layouts, batch.weight)

    def export(ema: Painter, out: Path) -> None:
        ema.unet.save_pretrained(out / "inpaint" / "unet")

    def sample(ema: Painter, path: Path) -> None:
        """Rows of pictures with their holes, filled by the pictures' own captions, and as they were."""
        device = next(ema.parameters()).device
        shown = batch(10**9, 8)
        condition = seen(Batch(**{name: part.to(device) for name, part in vars(shown).items()}))
        states = ema.text(shown.ids.to(device)).last_hidden_state
        nothing = ema.text(null[None].to(device)).last_hidden_state.expand(8, -1, -1)

        def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            return ema(torch.cat([x, condition.repeat(len(x) // len(condition), 1, 1, 1)], 1), t, text)

        guided = classifier_free(denoise, states, nothing, 3.0)
        filled = euler_ancestral_sample(guided, shown.x0.to(device), alphas, 30, torch.Generator().manual_seed(1))
        rows = [with_hole(shown.pixels, shown.holes), latents.decode(filled), shown.pixels]
        sheet(torch.cat(rows), 8).save(path)

    return Job(
        model=painter, batch=batch, loss=loss, export=export, sample=sample, frozen=(vae,), beside=latents.made_by,
        rivals=rivals(settings),
    )  # fmt: skip
