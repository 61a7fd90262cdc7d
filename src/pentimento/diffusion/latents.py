"""What the model sees of a picture: a square view of it, as a tensor in [-1, 1], and the way back.

Models work on squares of one size. Small pictures are scaled up, long ones padded by repeating their edges, and of a
large one the model sees the part around the mask at full detail instead of a thumbnail of everything. A model that
paints details badly can be given an even closer look, scaled up.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import RequestError
from ..images import MAX_MEGAPIXELS


@dataclass(frozen=True)
class View:
    """A square part of a picture: `side` pixels of the picture from (left, top), seen by the model at `size` pixels.

    It may reach beyond the picture; the picture's edge pixels are repeated there.
    """

    left: int
    top: int
    side: int
    size: int


def choose_view(mask: np.ndarray, size: int, context: float, closest: float = 1.0) -> View:
    """The view for an edit inside mask (h, w): the whole picture, or a square around the mask when that is smaller.

    `context` is the margin on each side, as a fraction of the mask's longer side. A view has at least `closest` of the
    model's pixels on a side unless the picture has fewer: at 1 nothing is blown up without need, below it a small mask
    is seen closely. An empty mask is whole.
    Raises: RequestError for a square that is larger than pictures may be, and than twice this one.
    """
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        rows, columns = np.arange(height), np.arange(width)
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = min(max(round(extent * (1 + 2 * context)), round(closest * size), 1), max(height, width))
    if side**2 > max(MAX_MEGAPIXELS * 1e6, 2 * width * height):
        raise RequestError(
            f"the picture, {width}x{height} pixels, is too long for its width: models look at squares, here of "
            f"{side}x{side} pixels; crop the picture, or give a mask of a smaller part"
        )
    return View(_start(columns, side, width), _start(rows, side, height), side, size)


def _start(covered: np.ndarray, side: int, length: int) -> int:
    """Where a stretch of `side` begins: around the covered indices and inside the length, or around the length."""
    if side >= length:
        return -((side - length) // 2)
    return int(min(max((covered[0] + covered[-1] + 1 - side) // 2, 0), length - side))


def seen(array: np.ndarray, view: View) -> np.ndarray:
    """The part of array (h, w, ...) in the view, (side, side, ...), edges repeated."""
    rows = np.arange(view.top, view.top + view.side).clip(0, array.shape[0] - 1)
    columns = np.arange(view.left, view.left + view.side).clip(0, array.shape[1] - 1)
    return array[rows][:, columns]


@dataclass(frozen=True)
class Overlap:
    """Where a view and its picture meet: (rows, columns) as slices of the picture, and as slices of the view."""

    picture: tuple[slice, slice]
    view: tuple[slice, slice]


def overlap(view: View, height: int, width: int) -> Overlap:
    """The part of the view that lies in a picture of height x width."""
    top, left = max(view.top, 0), max(view.left, 0)
    bottom, right = min(view.top + view.side, height), min(view.left + view.side, width)
    return Overlap(
        (slice(top, bottom), slice(left, right)),
        (slice(top - view.top, bottom - view.top), slice(left - view.left, right - view.left)),
    )


def look(picture: Image.Image, view: View) -> Tensor:
    """The view of an RGB picture as the model takes it: (1, 3, size, size) in [-1, 1]."""
    part = Image.fromarray(seen(np.asarray(picture), view))
    if view.side != view.size:
        part = part.resize((view.size, view.size), Image.Resampling.LANCZOS)
    return to_tensor(part)


def seen_whole(picture: Image.Image, size: int) -> Tensor:
    """A whole RGB picture as the model takes it, with its edges drawn out to a square: (1, 3, size, size) in [-1, 1].

    Raises: RequestError as `choose_view`.
    """
    return look(picture, choose_view(np.ones((picture.height, picture.width), dtype=bool), size, 0.0))


def put_back(decoded: Tensor, view: View, picture: Image.Image) -> Image.Image:
    """The picture with what the model made of the view, (1, 3, size, size) in [-1, 1], in the view's place."""
    part = to_picture(decoded)
    if view.side != view.size:
        part = part.resize((view.side, view.side), Image.Resampling.LANCZOS)
    whole, meet = np.array(picture), overlap(view, picture.height, picture.width)
    whole[meet.picture] = np.asarray(part)[meet.view]
    return Image.fromarray(whole)


def to_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as (1, 3, h, w) fp32 in [-1, 1]."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB")))  # (h, w, 3) uint8
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def to_picture(pixels: Tensor) -> Image.Image:
    """The first of the pictures (b, 3, h, w) in [-1, 1] as an RGB picture; values beyond are clamped."""
    levels = ((pixels[0].float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
