"""The image editor that InstructPix2Pix, InstructBrush and Visii share: a model that reads an instruction and sees the
picture, Euler ancestral sampling with guidance by both, and the pixels outside a given mask restored."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ..diffusion.attention import Slots, cross_attentions, instructed, moved_back, worded
from ..diffusion.guidance import Denoise, dual
from ..diffusion.latents import choose_view, look, put_back
from ..diffusion.objectives import draw_noise
from ..diffusion.samplers import euler_ancestral
from ..errors import RequestError
from ..roles import Diffusion
from ..values import Learned, Request, Result
from .masked import Placing, finished, on_grid
from .requests import Watch, check_seed, mask_of, picture_of

ImageLatents = Literal["scaled", "unscaled"]
Saying = Callable[[Denoise, Diffusion, int], AbstractContextManager[Denoise]]
"""(denoise, its model, how many rows of a call carry the instruction; they come first) -> denoise with it."""


class Reading(Placing, Protocol):
    """The settings of the shared editor; `InstructPix2Pix` says what each means."""

    @property
    def steps(self) -> int: ...
    @property
    def guidance(self) -> float: ...
    @property
    def image_guidance(self) -> float: ...
    @property
    def image_latents(self) -> ImageLatents: ...
    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]: ...


@contextmanager
def in_words(denoise: Denoise, model: Diffusion, rows: int) -> Iterator[Denoise]:
    """The Saying of an instruction that is words alone."""
    yield denoise


def learned_saying(learned: Learned) -> Saying:
    """The Saying of an instruction that was learned: its slots stand in the text branch alone."""
    values = tuple(torch.from_numpy(array) for array in learned.values)

    def saying(denoise: Denoise, model: Diffusion, rows: int) -> AbstractContextManager[Denoise]:
        total = len(model.alphas_cumprod)
        if learned.space == "text":
            return worded(denoise, values[0], total, rows)
        slots = Slots(tuple(torch.from_numpy(array) for array in learned.keys), values)
        return instructed(denoise, model.unet, slots, total, rows)

    return saying


@torch.no_grad()
def edits_read(
    settings: Reading,
    method: str,
    model: Diffusion,
    request: Request,
    seeds: Sequence[int],
    instruction: str,
    guidance: float,
    saying: Saying,
    watch: Watch,
    free: int = 0,
) -> tuple[Result, ...]:
    """The request's picture edited by an instruction (InstructPix2Pix Sec. 3.2), a result for each seed.

    So many places in front of the instruction's words stay `free` for what `saying` puts there. All seeds are drawn as
    one batch: as each alone, within rounding. The request's own seed is not looked at.
    Raises: RequestError for a picture, mask or seed that cannot be used.
    """
    picture = picture_of(request)
    mask = mask_of(request, picture)
    for seed in seeds:
        check_seed(seed)
    began = perf_counter()
    region = mask if mask is not None else np.ones((picture.height, picture.width), dtype=bool)
    view = choose_view(region, model.size, settings.context, settings.closest)
    grid = on_grid(mask, view, model, settings)
    text, null = model.encode_text([instruction, ""]).split(1)  # (1, tokens, d) each
    text = moved_back(text, free)
    image = model.autoencoder.encode(look(picture, view)).float()  # (1, c, g, g)
    condition = condition_of(image, model, settings.image_latents)

    def stepped(left: int, x: Tensor) -> Tensor:
        watch("edit", settings.steps - left, settings.steps)
        return x

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw() -> Tensor:
        return torch.cat([draw_noise(image, generator) for generator in generators])

    rows = len(seeds) if guidance else 0  # guidance 0 has no text branch
    with model.same_texts(), saying(model.denoise, model, rows) as denoise:
        guided = dual(denoise, text, null, condition, guidance, settings.image_guidance)
        x0 = euler_ancestral(guided, draw, model.alphas_cumprod, settings.steps, stepped)
    timings = {"edit": perf_counter() - began}
    results = []
    for seed, latents in zip(seeds, x0.split(1), strict=True):
        decoded = put_back(model.autoencoder.decode(latents), view, picture)
        step = finished(decoded, picture, view, mask, grid, settings)
        record: dict[str, Any] = {
            "method": method,
            "settings": settings.model_dump(mode="json", exclude={"pack"}),
            "seed": seed,
            "timings": timings,
        }
        results.append(Result(step.image, step.decoded, None, step.mask, record))
    return tuple(results)


def condition_of(image: Tensor, model: Diffusion, scale: ImageLatents) -> Tensor:
    """The picture's latents at the scale at which the model was taught to see them."""
    return image / model.autoencoder.scaling_factor if scale == "unscaled" else image


def learned_of(request: Request, model: Diffusion) -> Learned:
    """The request's learned instruction.

    Raises: RequestError when there is none, or when it belongs to another model, or does not fit into it.
    """
    learned = request.learned
    if learned is None:
        raise RequestError("this method needs a learned instruction: make one from pairs with 'pentimento learn'")
    if learned.base != model.fingerprint:
        raise RequestError(
            f"this instruction was learned with another model ({learned.about.get('pack') or 'a pack without a name'}, "
            f"fingerprint {learned.base[:12]}, here {model.fingerprint[:12]}): open that pack, or learn it again with "
            "this one"
        )
    if problem := _misfit(learned, model):
        raise RequestError(f"this instruction does not fit the model that it names ({problem}): learn it again")
    return learned


def _misfit(learned: Learned, model: Diffusion) -> str:
    """In what an instruction differs from the layers and the text that it is for; "" when in nothing."""
    length, width = model.encode_text([""]).shape[1:]
    layers = cross_attentions(model.unet).values()
    keys, values = ([array.shape[-1] for array in arrays] for arrays in (learned.keys, learned.values))
    if learned.space == "text":
        wanted: tuple[list[int], list[int]] = [], [width]
    else:
        wanted = [layer.to_k.out_features for layer in layers], [layer.to_v.out_features for layer in layers]
    if (len(keys), len(values)) != (len(wanted[0]), len(wanted[1])):
        return f"{len(values)} layers, wanted {len(wanted[1])}"
    if (keys, values) != wanted:
        return f"numbers of the widths {keys + values}, wanted {wanted[0] + wanted[1]}"
    if learned.tokens > length - 2:
        return f"{learned.tokens} tokens, where a text has room for {length - 2}"
    return ""


def said_after(learned: Learned, request: Request) -> str:
    """The words that the tokens come from: those the learning began with, and the request's own after them."""
    return f"{learned.instruction} {request.instruction}".strip()


def places_free(learned: Learned, request: Request, model: Diffusion) -> int:
    """The places that the request's words leave to what was learned: it has those of the words that it began with, and
    its own where it began with none (None-init).

    Raises: RequestError when the words do not fit into a text behind them.
    """
    if not request.instruction.strip():
        return 0
    free = 0 if learned.instruction else learned.tokens
    taken, room = free + model.count_tokens(said_after(learned, request)), model.encode_text([""]).shape[1] - 2
    if taken > room:
        raise RequestError(
            f"the words are {taken - room} tokens too long behind this learned instruction: shorten them"
        )
    return free
