"""What the recipes of control branches share: the frozen model that they stand beside, grids of drawn pairs, what is
dropped of them, and the loss on the noise (InstructGIE Sec. 4.1, 6.1)."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..data.visual_prompts import Layout
from ..diffusion.attention import Written
from ..diffusion.grids import Quadrants, grey_grid, joined, quadrants, visual_prompt, without_pair
from ..diffusion.guidance import classifier_free
from ..diffusion.objectives import draw_dropped, draw_noise, draw_timesteps, min_snr_weights, q_sample
from ..diffusion.samplers import euler_ancestral_sample
from ..diffusion.visual_losses import noise_losses
from ..errors import PackError
from ..language.table import Table
from ..language.unify import unified
from ..packs.diffusion import LatentDiffusion
from ..packs.in_context import (
    ControlConfig,
    PromptedDiffusion,
    build_control,
    conditions,
    predicted,
    read_config,
    save_control,
)
from ..settings import Fraction
from ..training import Job, TrainSettings, warm_start
from ..vision.store import digest
from .autoencoder import sheet
from .visual_prompts import Prompts, opened, pair_latents, prompts_of, unifier

PREFIX = "grid of four pictures, "
"""The words by which `text_to_image` was taught to paint grids."""


class InContextSettings(TrainSettings):
    """The miniature's settings of both branches; `instructgie.PRESETS` has the paper's."""

    images: int = Field(10_000, ge=1, description="grids, or answers, to train on, all in all")
    batch_size: int = Field(4, ge=1)
    parts: int = Field(1, ge=1, description="parts that a batch is computed in, one after the other")
    lr: float = Field(3e-4, gt=0)
    warmup_images: int = Field(800, ge=0)
    cooldown: float = Field(0.3, ge=0, le=1)
    ema: float = Field(4_000, ge=0)
    prompts: Path | None = Field(None, description="a set by 'pentimento make visual-prompts', instead of a drawn one")
    groups: int = Field(3_500, ge=1, description="drawn groups of five pairs, withheld kinds and tests among them")
    quadrant: int = Layout.model_fields["quadrant"].default
    dropped: Fraction = Field(0.15, description="of text, example pair or both, a third each")
    unify: Fraction = Field(0.0, description="share of each batch whose instructions are unified; 0 asks nobody")
    min_snr: float = Field(5.0, ge=0, description="gamma of the min-SNR loss weights; 0 is none, as in the papers")
    snr_floor: float = Field(1.0, ge=0, description="least weight of a clean latent's error, at the noisiest steps")
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """`latents` (b, c, 2h, 2w) of true grids; token ids of their instructions (b, tokens); and of the first k grids the
    `pixels` uint8 (k, 2H, 2W, 3) and the `details`, bool (k, 1, 2H, 2W): where a living creature is shown."""

    latents: Tensor
    ids: Tensor
    pixels: Tensor
    details: Tensor


@dataclass(frozen=True)
class Noised:
    """A batch on its way through the model: x_t (b, c, h, w) at t (b,), its noise, the noise that was predicted, and
    `no_pair`, bool (b,): whose example pair is dropped."""

    x_t: Tensor
    t: Tensor
    noise: Tensor
    eps: Tensor
    no_pair: Tensor


def frozen_base(pack_dir: Path) -> LatentDiffusion:
    """The text-to-image model of a pack folder, sealed or not yet, its own or one of the hub's, frozen.

    Raises: TrainingError when a part of it is missing; PackError when the hub's is not on this machine.
    """
    base: Any = opened(pack_dir, "text_to_image", "train autoencoder, clip and text_to_image first").text_to_image
    if not torch.cuda.is_available():
        base.unet.set_attn_processor(Written())  # the branch's copy inherits it
    return base


def ids_of(base: LatentDiffusion, texts: list[str], prefix: str) -> Tensor:
    """Token ids (b, tokens) of texts as `PromptedDiffusion.encode_text` reads them."""
    said = [f"{prefix}{text}" if text else "" for text in texts]
    length = base.tokenizer.model_max_length
    return base.tokenizer(
        said, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids  # fmt: skip


@dataclass(frozen=True)
class Lessons:
    """Everything that a batch is made of; `shown` is the number of grids of a batch of n whose pixels are wanted."""

    base: LatentDiffusion
    prefix: str
    prompts: Prompts
    latents: np.ndarray
    details: np.ndarray | None
    unify: Callable[[str], str]
    share: float
    shown: Callable[[int], int]
    seed: int = 0

    def batch(self, step: int, size: int) -> Batch:
        """A pure function: random queries, each beside another pair of its group."""
        rng = np.random.default_rng([105, step, self.seed])
        queries = rng.integers(0, len(self.prompts.rows), size)
        examples = np.array([rng.choice(self.prompts.partners[query]) for query in queries])
        texts = [self.prompts.rows[query].instruction for query in queries]
        texts = unified(self.unify, texts, torch.Generator().manual_seed(int(rng.integers(1 << 40))), self.share)
        count = min(self.shown(size), size)
        rows = list(zip(examples, queries, strict=True))[:count]
        pixels = [grid_of(self.prompts.pair(example), self.prompts.pair(query)) for example, query in rows]
        details = [grid_of(self.masks(example), self.masks(query)) for example, query in rows]
        side = 2 * self.prompts.side
        above, below = (torch.from_numpy(self.latents[rows].astype(np.float32)) for rows in (examples, queries))
        return Batch(
            joined(Quadrants(above[:, 0], above[:, 1], below[:, 0], below[:, 1])),
            ids_of(self.base, texts, self.prefix),
            torch.from_numpy(np.stack(pixels) if pixels else np.zeros((0, side, side, 3), np.uint8)),
            torch.from_numpy(np.stack(details) if details else np.zeros((0, side, side), bool))[:, None],
        )

    def masks(self, row: int) -> np.ndarray:
        """The details of a row, bool (2, side, side)."""
        if self.details is None:
            return np.zeros((2, self.prompts.side, self.prompts.side), dtype=bool)
        return np.unpackbits(self.details[row], axis=-1).astype(bool)


def grid_of(example: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Two pairs (2, h, w, ...) as one grid (2h, 2w, ...): {before, after / before, after}."""
    return np.concatenate([np.concatenate(list(pair), axis=1) for pair in (example, query)], axis=0)


def lessons(
    settings: InContextSettings, pack_dir: Path, prefix: str, details: Callable[[Prompts], np.ndarray] | None,
    shown: Callable[[int], int],
) -> Lessons:  # fmt: skip
    """The data and the frozen model, made or loaded; `details` gives the prompts' detail masks where they are wanted.

    Raises: TrainingError when the pack folder lacks what a setting asks for.
    """
    base = frozen_base(pack_dir)
    prompts = prompts_of(settings.prompts, settings.data, settings.groups, settings.quadrant, settings.workers)
    latents = pair_latents(prompts, base.autoencoder.vae)
    masks = details(prompts) if details else None
    if not settings.unify:
        return Lessons(base, prefix, prompts, latents, masks, str, 0.0, shown, settings.seed)
    table: Table = unifier(settings.data, pack_dir)
    said = {text: table(text) for text in dict.fromkeys(row.instruction for row in prompts.rows)}
    return Lessons(base, prefix, prompts, latents, masks, said.__getitem__, settings.unify, shown, settings.seed)


def on_grey(base: LatentDiffusion, side: int) -> Tensor:
    """The latents of a grid of four grey pictures, (c, 2h, 2w)."""
    return grey_grid(base.autoencoder.encode, side)[0]


def noised(
    control: nn.Module, config: ControlConfig, base: LatentDiffusion, grey: Tensor, batch: Batch,
    settings: InContextSettings, generator: torch.Generator,
) -> Noised:  # fmt: skip
    """A batch with a share of its conditions dropped, noised, and its noise predicted (InstructGIE Sec. 6.1).

    A pair that is dropped is grey in the visual prompt and in the grid that is noised.
    """
    device, third = batch.latents.device, settings.dropped / 3
    dropped = draw_dropped(len(batch.ids), generator, third, third, third)
    no_pair = dropped.image.to(device)
    null = ids_of(base, [""], "").to(device)
    with torch.no_grad():
        ids = torch.where(dropped.text[:, None].to(device), null, batch.ids)
        states = base.text_encoder(ids).last_hidden_state
    grey = grey.to(device)
    grids = without_pair(batch.latents, no_pair, grey)
    pixels = batch.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1  # (k, 3, 2H, 2W)
    prompts = without_pair(visual_prompt(pixels), no_pair[: len(pixels)])

    def latents() -> Tensor:
        answer = quadrants(grey[None].expand_as(grids)).answer
        return joined(replace(quadrants(grids), answer=answer))

    x0 = grids if config.canvas == 2 else quadrants(grids).answer
    t = draw_timesteps(len(x0), 0, len(base.alphas_cumprod), generator).to(device)
    noise = draw_noise(x0, generator)
    x_t = q_sample(x0, noise, t, base.alphas_cumprod)
    added = control(x_t, t, states, *conditions(config, prompts, latents))
    eps = predicted(base, x_t, t, states, added)
    return Noised(x_t, t, noise, eps, no_pair)


def noise_loss(made: Noised, config: ControlConfig, alphas: Tensor, settings: InContextSettings) -> Tensor:
    """The loss on the noise; a dropped pair has no share in it."""
    whole = made.no_pair if config.canvas == 2 else torch.zeros_like(made.no_pair)
    losses = noise_losses(made.eps, made.noise, whole)
    if settings.min_snr:
        losses = losses * min_snr_weights(made.t, alphas, settings.min_snr, settings.snr_floor).to(losses.device)
    return losses.mean()


def begin(control: nn.Module, config: ControlConfig, folder: Path) -> None:
    """Give a new branch the weights of the one in the folder, if that has the same config.json; if not, a note says so.

    That weights fit is not enough: no shape tells of a branch's weave, its prefix or the size of its pictures.
    """
    if not folder.is_dir():
        return
    try:
        alike = read_config(folder) == config
    except PackError:
        alike = False
    if not (alike and warm_start(control, folder)):
        print(f"note: {folder} holds another branch than is asked for: this one begins from nothing", file=sys.stderr)


def control_job(
    settings: InContextSettings, pack_dir: Path, name: str, config: ControlConfig, given: Lessons,
    loss: Callable[[nn.Module, Batch, torch.Generator], Tensor], frozen: tuple[nn.Module, ...] = (),
) -> Job:  # fmt: skip
    """The job of a branch that is exported to the folder `name`, warm-started from there as `begin` says."""
    base = given.base
    torch.manual_seed(settings.seed)  # whatever was drawn before: ablations begin with the same weights
    control: Any = build_control(config, base)
    begin(control, config, pack_dir / name)

    def sample(ema: nn.Module, path: Path) -> None:
        """Rows of example before and after, picture, answer and truth, for 8 training grids."""
        shown = replace(given, shown=lambda size: size, details=None).batch(10**9, 8)
        model = PromptedDiffusion(base, ema, config)
        pixels = shown.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        parts = quadrants(pixels)
        states = base.text_encoder(shown.ids.to(base.placement.device)).last_hidden_state.float().cpu()
        nothing = model.encode_text([""]).expand(8, -1, -1)
        like = shown.latents if config.canvas == 2 else quadrants(shown.latents).answer
        guided = classifier_free(model.prompted(visual_prompt(pixels)), states, nothing, 3.0)
        painted = euler_ancestral_sample(guided, like, base.alphas_cumprod, 30, torch.Generator().manual_seed(1))
        answer = base.autoencoder.decode(quadrants(painted).answer if config.canvas == 2 else painted)
        sheet(torch.cat([parts.in0, parts.out0, parts.in1, answer, parts.answer]), 8).save(path)

    beside = base.unet, base.text_encoder, base.autoencoder.vae, *frozen
    return Job(
        model=control, batch=given.batch, loss=loss, sample=sample, parts=settings.parts,
        export=lambda ema, out: save_control(ema, config, out / name),
        frozen=beside, beside=" ".join(digest(one) for one in beside),
    )  # fmt: skip
