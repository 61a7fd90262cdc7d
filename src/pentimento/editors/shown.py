"""The image editor that InstructGIE and Prompt Diffusion share: a model that sees an example pair beside the picture,
reads an instruction, and paints the answer from noise."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from ..diffusion.grids import Quadrants, grey_grid, joined, quadrants, without_pair
from ..diffusion.guidance import classifier_free
from ..diffusion.latents import choose_view, look, put_back, seen_whole
from ..diffusion.objectives import Noise, draw_noise, q_sample
from ..diffusion.samplers import euler_ancestral_sample
from ..errors import RequestError
from ..images import from_pil
from ..language.unify import unifier_of
from ..roles import InContext, Pack
from ..values import Request, Result
from .masked import Placing, finished, on_grid
from .planned import everywhere
from .requests import Watch, mask_of, picture_of

Turning = Callable[[Noise, Quadrants], Noise]
"""(what the sampler would follow, the visual prompt's pixels, a picture in each part) -> what it follows instead."""
UNIFIED: dict[tuple[str, str], str] = {}
"""(by whom, instruction) -> the unified instruction: no language model is asked twice for one of the last KEPT."""
KEPT = 4096


class Showing(Placing, Protocol):
    """The settings of the shared editor; `InstructGIE` says what each means."""

    @property
    def pack(self) -> Pack: ...
    @property
    def steps(self) -> int: ...
    @property
    def guidance(self) -> float: ...
    @property
    def unify(self) -> bool: ...
    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]: ...


@dataclass(frozen=True)
class Asked:
    """What a request asks for: an instruction, "" for none, and the example's pictures, before and after, or none."""

    instruction: str
    example: tuple[Image.Image, ...]


def asked_of(request: Request, method: str) -> Asked:
    """The request's instruction and example: either alone, or both.

    Raises: RequestError when there is neither, several examples, or one whose pictures have different sizes.
    """
    instruction = request.instruction.strip()
    if not request.pairs:
        if not instruction:
            raise RequestError(
                f"{method} needs an instruction, an example pair, or both: say what to change, or show it"
            )
        return Asked(instruction, ())
    if len(request.pairs) > 1:
        raise RequestError(
            f"{method} looks at one example and {len(request.pairs)} were given: give one, or learn from all of them"
        )
    before, after = (from_pil(picture).image for picture in (request.pairs[0].before, request.pairs[0].after))
    if before.size != after.size:
        sizes = " and ".join(f"{picture.width}x{picture.height}" for picture in (before, after))
        raise RequestError(f"the example's pictures have different sizes, {sizes}: give one picture before and after")
    return Asked(instruction, (before, after))


def as_it_is(noise: Noise, prompt: Quadrants) -> Noise:
    """The Turning that turns nothing."""
    return noise


@torch.no_grad()
def edit_shown(
    settings: Showing, method: str, model: InContext, request: Request, asked: Asked, turning: Turning, watch: Watch
) -> Result:
    """The request's picture edited by words, by an example, or by both (InstructGIE Sec. 4.1).

    Without an example its place is grey, in the visual prompt and in the grid that is painted, as in training where it
    is dropped. The uncond branch lacks the text alone, so without words there is nothing to guide towards, and the
    guidance scale does nothing.
    Raises: RequestError for a picture or mask that cannot be used.
    """
    picture = picture_of(request)
    mask = mask_of(request, picture)
    began = perf_counter()
    words = unified_by(settings.pack, asked.instruction) if settings.unify and asked.instruction else asked.instruction
    view = choose_view(
        mask if mask is not None else everywhere(picture), model.size, settings.context, settings.closest
    )
    grid = on_grid(mask, view, model, settings)
    prompt = prompt_of(look(picture, view), asked.example, model.size)
    text, null = model.encode_text([words, ""]).split(1)  # (1, tokens, d) each
    side = model.canvas * model.size // model.autoencoder.factor
    like = torch.zeros(1, model.autoencoder.latent_channels, side, side)

    def stepped(left: int, x: Tensor) -> Tensor:
        watch("edit", settings.steps - left, settings.steps)
        return x

    generator = torch.Generator().manual_seed(request.seed)
    with model.same_texts():
        denoise = model.prompted(joined(prompt))
        noise = classifier_free(denoise, text, null, settings.guidance if words else 1.0)
        if model.canvas == 2 and not asked.example:
            noise = below_grey(noise, model, draw_noise(like, generator))
        noise = turning(noise, prompt)
        x0 = euler_ancestral_sample(noise, like, model.alphas_cumprod, settings.steps, generator, stepped)
    answer = quadrants(x0).answer if model.canvas == 2 else x0  # (1, c, g, g)
    decoded = put_back(model.autoencoder.decode(answer), view, picture)
    step = finished(decoded, picture, view, mask, grid, settings)
    record: dict[str, Any] = {
        "method": method,
        "settings": settings.model_dump(mode="json", exclude={"pack"}),
        "seed": request.seed,
        "unified": words,
        "timings": {"edit": perf_counter() - began},
    }
    return Result(step.image, step.decoded, None, step.mask, record)


def below_grey(noise: Noise, model: InContext, drawn: Tensor) -> Noise:
    """`noise`, which finds a grey example, noised by what was `drawn` (1, c, 2h, 2w), above all that it is asked about.

    So are grids in training whose example is dropped, and no loss looks at what is predicted there (InstructGIE Sec.
    6.1): a sampler that followed it would let the answer, which attends to it, see what no training shows.
    """
    grey = grey_grid(model.autoencoder.encode, model.size)

    def below(x: Tensor, t: Tensor) -> Tensor:
        dropped = torch.ones(len(x), dtype=torch.bool)
        return noise(without_pair(x, dropped, q_sample(grey, drawn, t, model.alphas_cumprod)), t)

    return below


def prompt_of(query: Tensor, example: tuple[Image.Image, ...], size: int) -> Quadrants:
    """The visual prompt of a query (1, 3, size, size): the example's whole pictures, grey where there is none.

    The answer's place is grey. Raises: RequestError for an example that is too long for its width.
    """
    grey = torch.zeros_like(query)
    before, after = [seen_whole(shown, size) for shown in example] or (grey, grey)
    return Quadrants(before, after, query, grey)


def unified_by(pack: Pack, instruction: str) -> str:
    """l' = U(l) by the pack's language role, asked once (InstructGIE Sec. 4.2: every instruction, at inference)."""
    unifier = unifier_of(pack)
    key = unifier.by, instruction
    if key not in UNIFIED:
        answer = unifier.answer(instruction)
        while len(UNIFIED) >= KEPT:
            UNIFIED.pop(next(iter(UNIFIED)), None)
        UNIFIED[key] = answer
        return answer
    return UNIFIED[key]
