"""An instruction learned from before/after pairs (InstructBrush Sec. 4), as a job for the one training loop.

The parts of the time are independent, so they are learned side by side: each step has one row of every part, all in one
pass of the U-Net or in several. Latents are computed once. The null branches of guidance need and keep no gradient.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..diffusion.attention import Slots, instructed, projected, quick_backward, worded
from ..diffusion.guidance import dual, dual_nulls
from ..diffusion.latents import seen_whole
from ..diffusion.objectives import draw_noise, q_sample
from ..editors.instructed import condition_of
from ..errors import RequestError
from ..learned import load_learned, save_learned
from ..roles import Clip, Diffusion, Pack
from ..training import Job, images_done, train
from ..values import Learned, Pair
from .direction import alike_in_pictures, alike_in_words
from .initial import initial_words
from .pairs import checked
from .runs import claim
from .settings import LearnSettings
from .watching import Watching, keep_scores, scores_of


@dataclass
class Batch:
    """One row of each part, or of some: the pair's number, and a timestep inside the part, int64 (rows,) each."""

    pairs: Tensor
    t: Tensor


class Brush(nn.Module):
    """What is learned: keys and values by layer, (parts, m, d_i) each, or token states (no keys).

    They are stored over a power of two near their own size, so that one learning rate moves all layers alike and the
    beginning is exact.
    """

    def __init__(self, start: Slots, parts: int, scaled: bool):
        super().__init__()
        self.scales: dict[str, list[float]] = {}
        for name, arrays in (("keys", start.keys), ("values", start.values)):
            sizes = [float(a.square().mean().sqrt()) for a in arrays]
            self.scales[name] = [2.0 ** round(float(np.log2(max(s, 1e-6)))) if scaled else 1.0 for s in sizes]
            grown = [(a / s).repeat(parts, 1, 1) for a, s in zip(arrays, self.scales[name], strict=True)]
            setattr(self, name, nn.ParameterList([nn.Parameter(a) for a in grown]))

    def slots(self) -> Slots:
        keys, values = (
            tuple(p * s for p, s in zip(getattr(self, name), self.scales[name], strict=True))
            for name in ("keys", "values")
        )
        return Slots(keys, values)


def learn(
    pack: Pack,
    pairs: Sequence[Pair],
    output: Path,
    settings: LearnSettings | None = None,
    run_dir: Path | None = None,
    watching: Watching | None = None,
    phrases: Sequence[str] = (),
) -> Learned:
    """Learn an instruction from pairs and write it to `output`, a .safetensors file.

    The run folder (`output` with the ending .learning, unless named) holds checkpoints, the loss log and what
    `watching` wrote; the same call goes on where it was broken off. `about` says whether the learning is "finished",
    and after how many steps of each part it was written ("steps done"): a stopped one is written as well.
    Raises: RequestError for no pairs, or for such as `pairs.checked` refuses; PackError for a missing role;
    TrainingError when the run folder was begun with other pairs, first words, settings or another model, or has done
    more steps than are asked for.
    """
    if not pairs:
        raise RequestError("give at least one pair of pictures, before and after")
    pairs, chosen = checked(pairs), settings or LearnSettings()
    if watching is not None and watching.held_out is not None:
        watching = replace(watching, held_out=checked([watching.held_out], "held-out pair")[0])
    words = initial_words(pack, pairs, chosen, phrases)
    run_dir = run_dir or output.with_suffix(".learning")
    model = pack.instruct
    for picture in watching.pictures if watching else ():
        seen_whole(picture, model.size)  # what cannot be edited is refused now, not when all is learned
    clip = pack.clip if chosen.clip_weight else None
    done = claim(run_dir, model, clip, pairs, watching.held_out if watching else None, words, chosen)
    keep_scores(run_dir, done)
    job = learning_job(model, pairs, chosen, words, output, run_dir, watching, clip, pack.name)
    where = next(model.unet.parameters()).device
    train(job, chosen.training(model.arithmetic), run_dir, output.parent, where)
    return load_learned(output)


def learning_job(
    model: Diffusion,
    pairs: Sequence[Pair],
    settings: LearnSettings,
    words: str,
    output: Path,
    run_dir: Path,
    watching: Watching | None = None,
    clip: Clip | None = None,
    pack: str = "",
) -> Job:
    """The loop's job: the noise prediction loss of the pictures after, given those before (InstructBrush Eq. 5).

    What is learned says of which `pack` the model is.
    With a clip, its direction counts, too: mse_weight * MSE - clip_weight * cosine, as Visii's code has it.
    """
    before, after = (
        torch.cat([_latents(model, getattr(pair, side)) for pair in pairs]) for side in ("before", "after")
    )
    condition = condition_of(before, model, settings.image_latents)
    text, null = model.encode_text([words, ""]).split(1)  # (1, tokens, d) each
    start = beginning(model, condition[:1], text, null, words, settings)
    total, parts = len(model.alphas_cumprod), settings.parts
    alike = None
    if clip is not None:
        in_words = settings.clip_reads == "words"
        alike = alike_in_words(clip, pairs, text, total) if in_words else alike_in_pictures(clip, pairs, model)

    def batch(number: int, size: int) -> Batch:
        step, turn = divmod(number, settings.passes)
        rows = slice(turn * size, (turn + 1) * size)
        rng = np.random.default_rng([settings.seed, 401, step])
        borders = -(np.arange(parts + 1) * -total // parts)  # a part's first timestep, as `part_of` divides them
        low, high = borders[:-1], borders[1:]
        chosen = torch.from_numpy(rng.integers(0, len(pairs), parts))
        if settings.each_timestep_once:
            ranges = zip(low.tolist(), high.tolist(), strict=True)
            t = torch.tensor([in_turn(a, b, step, settings.seed) for a, b in ranges])
        else:
            t = torch.from_numpy(rng.integers(low, high))
        return Batch(chosen[rows], t[rows])

    def loss(brush: Any, batch: Batch, generator: torch.Generator) -> Tensor:
        x0, image = after[batch.pairs.cpu()], condition[batch.pairs.cpu()]
        noise = draw_noise(x0, generator)
        t = batch.t.cpu()
        x_t = q_sample(x0, noise, t, model.alphas_cumprod)
        slots = brush.slots()
        with quick_backward(model.unet, x_t.shape[-2] * x_t.shape[-1]):
            eps = predicted(model, slots, settings, x_t, t, text, null, image)
        value = settings.mse_weight * (eps - noise).square().mean(dim=(1, 2, 3)).sum()  # the parts are independent
        if alike is not None:
            value = value - settings.clip_weight * alike(slots, x_t, eps, t, batch.pairs).sum()
        return value * settings.passes  # of which the loop takes the mean

    def learned(brush: Any, done: int) -> Learned:
        slots = brush.slots()
        keys, values = (
            tuple(a.detach().float().cpu().numpy() for a in arrays) for arrays in (slots.keys, slots.values)
        )
        about = {
            "pack": pack,
            **settings.model_dump(mode="json"),
            "pairs": len(pairs),
            "steps done": done,
            "finished": done >= settings.steps,
            "losses": _losses(run_dir, parts),
            "held out": scores_of(run_dir),
        }
        return Learned(settings.method, settings.space, words, keys, values, model.fingerprint, about)

    def sample(brush: Any, path: Path) -> None:
        if watching is not None:
            done = int(path.stem) // parts
            watching.look(learned(brush, done), done, run_dir, path)

    return Job(
        model=Brush(start, parts, settings.scaled),
        batch=batch,
        loss=loss,
        parts=settings.passes,
        export=lambda brush, folder: save_learned(learned(brush, images_done(run_dir) // parts), folder / output.name),
        sample=sample if watching is not None else None,
    )


def in_turn(low: int, high: int, step: int, seed: int) -> int:
    """The timestep of [low, high) whose turn it is at a step: each comes once, in an order that is shuffled again when
    all have been (Visii's code)."""
    again, place = divmod(step, high - low)
    return int(low + np.random.default_rng([seed, 402, low, again]).permutation(high - low)[place])


def predicted(
    model: Diffusion, slots: Slots, settings: LearnSettings, x_t: Tensor, t: Tensor, text: Tensor, null: Tensor,
    image: Tensor,
) -> Tensor:  # fmt: skip
    """eps (b, c, h, w) with the slots in the instruction's place; guided when the settings ask for it.

    The two null branches are computed apart, without gradients.
    """
    total, rows = len(model.alphas_cumprod), len(x_t)
    if settings.space == "text":
        saying = worded(model.denoise, slots.values[0], total, rows)
    else:
        saying = instructed(model.denoise, model.unet, slots, total, rows)
    with saying as denoise:
        eps_text = denoise(torch.cat([x_t, image], 1), t, text.expand(rows, -1, -1))
    if not settings.train_with_guidance:
        return eps_text
    with torch.no_grad():
        rest = dual_nulls(model.denoise, null, image, settings.guidance, settings.image_guidance)(x_t, t)
    return settings.guidance * eps_text + rest


def beginning(
    model: Diffusion, image: Tensor, text: Tensor, null: Tensor, words: str, settings: LearnSettings
) -> Slots:
    """What the frozen model itself has in the places that will be learned, one part.

    Keys and values are taken from the very projections of a guided call, as an edit makes it, so that before the first
    step an edit equals InstructPix2Pix's with the initial words, bit for bit. Without words, m places of the empty
    text's padding (None-init).
    """
    m = min(model.count_tokens(words) if words else settings.tokens, text.shape[1] - 2)
    if settings.space == "text":
        return Slots((), (text[:, 1 : 1 + m].clone(),))
    guided = dual(model.denoise, text, null, image, 7.5, 1.5)
    t = torch.tensor([len(model.alphas_cumprod) // 2])
    return projected(model.unet, lambda: guided(image, t), m)


@torch.no_grad()
def _latents(model: Diffusion, picture: Image.Image) -> Tensor:
    """The latents of a whole picture, as an edit sees it, (1, c, g, g)."""
    return model.autoencoder.encode(seen_whole(picture, model.size)).float()


def _losses(run_dir: Path, parts: int) -> list[dict[str, Any]]:
    """The curve of the run so far: steps of each part and the loss, a mean over the parts; at most a hundred points."""
    log = run_dir / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    kept = [json.loads(line) for line in lines[:: -(-len(lines) // 100) or 1]]
    return [{"step": line["images"] // parts, "loss": round(line["loss"] / parts, 6)} for line in kept]
