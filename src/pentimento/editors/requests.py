"""What every editor asks of a request before it starts, and how it tells how far it is."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from ..errors import RequestError
from ..images import from_pil
from ..values import Request

Watch = Callable[[str, int, int], None]
"""(what is being done: "plan", "mask", "invert" or "edit"; steps done; steps in all). May raise to stop the edit."""


def unwatched(doing: str, done: int, total: int) -> None:
    """The Watch that does not look."""


def picture_of(request: Request) -> Image.Image:
    """The request's picture, upright and in RGB.

    Raises: RequestError when it is below 8x8 pixels or in a mode that has no way to RGB, and for a seed that is none.
    """
    check_seed(request.seed)
    return from_pil(request.image).image


def check_seed(seed: int) -> None:
    """Refuse what starts no random generator.

    Raises: RequestError when the seed is no whole number in [0, 2**63 - 1].
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise RequestError(f"the seed is {seed!r}: wanted a whole number in [0, {2**63 - 1}]")


def mask_of(request: Request, picture: Image.Image) -> np.ndarray | None:
    """The request's mask as bool (h, w), None when it has none.

    Raises: RequestError when its size is not the upright picture's or when nothing in it is set.
    """
    if request.mask is None:
        return None
    mask = np.asarray(request.mask)
    wanted = (picture.height, picture.width)
    if mask.shape != wanted:
        raise RequestError(f"the mask has the shape {mask.shape}: wanted (height, width) = {wanted}, the picture's")
    mask = mask.astype(bool)
    if not mask.any():
        raise RequestError("the mask is empty: mark the pixels where the edit may act, or give no mask")
    return mask


def instruction_of(request: Request, method: str) -> str:
    """The request's instruction, stripped.

    Raises: RequestError when there is none.
    """
    if not request.instruction.strip():
        raise RequestError(f"{method} needs an instruction: say what to change, for example 'Change the dog to a cat'")
    return request.instruction.strip()
