"""From an instruction to plans and masks, and the plans carried out one after the other: what all editors share that
work from captions instead of the instruction itself.

Language processor (InstructEdit Sec. 3.2) and segmenter (Sec. 3.3) are the pack's. All methods get the same plans, so
that a table compares what they do with them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from ..errors import PackError, PlanError
from ..roles import Captioner, Pack
from ..values import Plan, Request, Result
from .requests import Watch, instruction_of, mask_of, picture_of

Description = Literal["unclear", "always", "never"]


@dataclass(frozen=True)
class Step:
    """What one plan made of a picture: `decoded` straight from the decoder, `image` with the pixels outside the mask
    restored, `mask` bool (h, w) the region it acted in, None for the whole picture."""

    decoded: Image.Image
    image: Image.Image
    mask: np.ndarray | None


Carry = Callable[[Image.Image, Plan, np.ndarray | None], Step]


class Planned(Protocol):
    """An editor that works from plans."""

    @property
    def pack(self) -> Pack: ...
    @property
    def description(self) -> Description: ...
    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]: ...


@dataclass(frozen=True)
class Work:
    """What a request comes to: its upright picture, the plans, and for each the mask bool (h, w) or None where none is
    known; `timings` says what took how many seconds."""

    picture: Image.Image
    plans: tuple[Plan, ...]
    masks: tuple[np.ndarray | None, ...]
    timings: Mapping[str, float]


def one_after_the_other(
    editor: Planned, method: str, request: Request, watch: Watch, carry: Carry, finds: bool = False
) -> Result:
    """The request's plans, or those of its instruction, each carried out on what the one before left.

    A given mask holds for every plan. Without one, an editor that `finds` gets the segmenter's, all found in the
    picture as it was given. Raises: as `InstructEdit` does.
    """
    return carried_out(editor, method, request, worked_out(editor, method, request, watch, finds), carry)


def worked_out(editor: Planned, method: str, request: Request, watch: Watch, finds: bool) -> Work:
    """Plans and masks, before anything is painted."""
    picture = picture_of(request)
    given = mask_of(request, picture)
    began = perf_counter()
    watch("plan", 0, 1)
    if request.plan is not None:
        plans: tuple[Plan, ...] = (request.plan,)
    else:
        plans = plans_for(editor.pack, instruction_of(request, method), picture, editor.description)
    planned = perf_counter()
    masks: list[np.ndarray | None] = [given] * len(plans)
    if finds and given is None:
        watch("mask", 0, 1)
        masks = [mask_for(editor.pack, plan, picture) for plan in plans]
    return Work(picture, plans, tuple(masks), {"plan": planned - began, "mask": perf_counter() - planned})


def carried_out(editor: Planned, method: str, request: Request, work: Work, carry: Carry) -> Result:
    """Every plan carried out on what the one before left."""
    began = perf_counter()
    image = decoded = work.picture
    acted = []
    for plan, mask in zip(work.plans, work.masks, strict=True):
        step = carry(image, plan, mask)
        image, decoded = step.image, step.decoded
        acted.append(step.mask)
    record: dict[str, Any] = {
        "method": method,
        "settings": editor.model_dump(mode="json", exclude={"pack"}),
        "seed": request.seed,
        "plans": [plan.model_dump(mode="json") for plan in work.plans],
        "timings": {**work.timings, "edit": perf_counter() - began},
    }
    regions = [mask for mask in acted if mask is not None]
    return Result(image, decoded, work.plans[-1], np.logical_or.reduce(regions) if regions else None, record)


def plans_for(pack: Pack, instruction: str, picture: Image.Image, description: Description) -> tuple[Plan, ...]:
    """The language processor (Sec. 3.2): the instruction's plans, with a description of the picture where it is needed.

    Raises: PlanError when the words are not understood even so; when the pack has no captioner, the first PlanError.
    """
    if description == "always":
        return pack.planner.plan(instruction, describe(pack.captioner, picture))
    try:
        return pack.planner.plan(instruction)
    except PlanError as unclear:
        if description == "never":
            raise
        try:
            captioner = pack.captioner
        except PackError:
            raise unclear from None
    return pack.planner.plan(instruction, describe(captioner, picture))


def describe(captioner: Captioner, picture: Image.Image) -> str:
    """The description d of a picture, from the paper's two questions (Sec. 3.2): "{rho} of {completion}"."""
    rho = captioner.ask(picture, "Is this a photo, a painting or another kind of art?").strip(" .")
    completion = captioner.ask(picture, f"{rho} of").strip(" .")
    return f"{rho} of {completion.removeprefix(f'{rho} of').strip()}"


def mask_for(pack: Pack, plan: Plan, picture: Image.Image) -> np.ndarray:
    """The segmenter (Sec. 3.3): the mask M of what the plan wants found, bool (h, w); all of it when nothing is."""
    if not plan.find:
        return everywhere(picture)
    return pack.segmenter.find(picture, plan.find, plan.which).mask


def everywhere(picture: Image.Image) -> np.ndarray:
    """The mask of the whole picture, bool (h, w)."""
    return np.ones((picture.height, picture.width), dtype=bool)
