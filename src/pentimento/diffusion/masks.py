"""Masks between pixels and latents: onto the latent grid, the blend there, and the composite of pixels.

A mask is 1 (True) where the edit may act.
"""

from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..errors import RequestError
from .latents import View, overlap, seen

ToGrid = Literal["area", "nearest"]


def latent_mask(mask: np.ndarray, view: View, factor: int, to_grid: ToGrid = "area", grow: int = 0) -> Tensor:
    """The mask (h, w) on the latent grid of the view: bool (1, 1, size / factor, size / factor).

    "area" takes every cell that a masked pixel touches, so thin parts stay; "nearest" looks at cell centres only, as
    the authors' code does, and loses them. Then it grows by so many cells to all sides: a new thing seldom has the
    outline of the old one.
    Raises: RequestError when nothing of the mask is left on the grid.
    """
    grid = _on_grid(mask, view, factor, to_grid)
    if not grid.any():
        raise RequestError(
            f"the mask is too thin: it holds no centre of a latent cell, and mask_to_grid={to_grid} looks at nothing "
            "else; set mask_to_grid=area, or give a larger mask"
        )
    if not grow:
        return grid
    return F.max_pool2d(grid.float(), 2 * grow + 1, stride=1, padding=grow) > 0


def _on_grid(mask: np.ndarray, view: View, factor: int, to_grid: ToGrid) -> Tensor:
    cells, pixels = view.size // factor, view.side
    part = torch.from_numpy(np.ascontiguousarray(seen(mask, view), dtype=np.float32))  # (side, side)
    if to_grid == "nearest":
        centres = (2 * torch.arange(cells) + 1) * pixels // (2 * cells)
        return (part[centres][:, centres] > 0)[None, None]
    touches = touching(cells, pixels)
    return (touches @ part @ touches.T > 0)[None, None]


def touching(cells: int, pixels: int) -> Tensor:
    """1 where a pixel touches a cell of the latent grid, along one side of a view: (cells, pixels)."""
    cell, pixel = torch.arange(cells)[:, None], torch.arange(pixels)[None]
    return (((pixel + 1) * cells > cell * pixels) & (pixel * cells < (cell + 1) * pixels)).float()


def blend(mask: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """y inside the mask, x outside, both at the same noise level (InstructEdit Eq. 4).

    A choice and not a product: what is outside equals x bit for bit, even where y is not a number.
    """
    return torch.where(mask.to(y.device), y, x)


def with_hole(pixels: Tensor, grid: Tensor) -> Tensor:
    """Pixels (b, 3, size, size) in [-1, 1], grey (0) in the cells of grid, bool (b, 1, g, g): whole cells, so that
    nothing of what may be painted over is seen."""
    hole = F.interpolate(grid.float(), size=pixels.shape[-2:], mode="nearest") > 0
    return torch.where(hole, torch.zeros_like(pixels), pixels)


def opacity(grid: Tensor, view: View, feather: int) -> np.ndarray:
    """How much of the edit each pixel of the view takes, (side, side) in [0, 1], from the latent mask (1, 1, g, g).

    The support is the latent mask scaled up to pixels; at its border the opacity rises inwards over `feather` pixels
    of the model's picture, from 1 / (feather + 1). A mask's pixels themselves would cut off what grew beyond them.
    """
    support = F.interpolate(grid.float(), size=(view.size, view.size), mode="nearest")
    shrunk, total = support, support
    for _ in range(feather):
        shrunk = -F.max_pool2d(F.pad(-shrunk, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        total = total + shrunk
    smooth = F.interpolate(total / (feather + 1), size=(view.side, view.side), mode="bilinear", align_corners=False)
    return (smooth[0, 0] * at_pixels(grid, view)).numpy()


def at_pixels(grid: Tensor, view: View) -> Tensor:
    """For each pixel of the view the cell of grid (1, 1, g, g) that its centre lies in, (side, side)."""
    cells = (2 * torch.arange(view.side) + 1) * grid.shape[-1] // (2 * view.side)
    return grid[0, 0].cpu()[cells][:, cells]


def composite(decoded: Image.Image, picture: Image.Image, alpha: np.ndarray, view: View) -> Image.Image:
    """decoded over picture with the view's opacity alpha (side, side); where that is 0 the picture's very pixels."""
    whole, meet = np.array(picture), overlap(view, picture.height, picture.width)
    old, new = whole[meet.picture], np.asarray(decoded)[meet.picture]
    weight = alpha[meet.view][..., None]
    mixed = np.rint(weight * new.astype(np.float32) + (1 - weight) * old.astype(np.float32)).astype(np.uint8)
    whole[meet.picture] = np.where(weight > 0, mixed, old)
    return Image.fromarray(whole)
