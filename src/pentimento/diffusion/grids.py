"""InstructGIE's grid: an example pair above, a picture and its answer below, as one picture of 2x2.

in0, out0 / in1, answer: a visual prompt is the grid with the answer grey (Sec. 4.1). Works on pixels and on latents.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Quadrants:
    """The four parts of a batch of grids, (b, c, h, w) each: the example pair, and the picture with its answer."""

    in0: Tensor
    out0: Tensor
    in1: Tensor
    answer: Tensor


def quadrants(grid: Tensor) -> Quadrants:
    """The parts of grids (b, c, 2h, 2w)."""
    height, width = grid.shape[-2:]
    assert height % 2 == 0 and width % 2 == 0, f"a grid of {height}x{width} has no quadrants"
    top, bottom = grid.split(height // 2, dim=-2)
    return Quadrants(*top.split(width // 2, dim=-1), *bottom.split(width // 2, dim=-1))


def joined(parts: Quadrants) -> Tensor:
    """The grids (b, c, 2h, 2w) of these parts."""
    top, bottom = torch.cat([parts.in0, parts.out0], dim=-1), torch.cat([parts.in1, parts.answer], dim=-1)
    return torch.cat([top, bottom], dim=-2)


def by_quadrant(change: Callable[[Tensor], Tensor], grid: Tensor) -> Tensor:
    """The grids of what `change` makes of the four parts, each by itself, so that no part shows through in another.

    An autoencoder that saw the whole grid would mix its parts, at their seams and in its normalisation.
    """
    parts = quadrants(grid)
    made = change(torch.cat([parts.in0, parts.out0, parts.in1, parts.answer]))
    return joined(Quadrants(*made.chunk(4)))


def grey_grid(encode: Callable[[Tensor], Tensor], side: int) -> Tensor:
    """The latents (1, c, 2h, 2w) of a grid of four grey pictures of side x side pixels."""
    grey = encode(torch.zeros(1, 3, side, side))
    return joined(Quadrants(grey, grey, grey, grey))


def woven(grid: Tensor) -> Tensor:
    """Grids (b, c, 2h, 2w) with the cells of their parts woven: the four of one place side by side, in0 out0 / in1
    answer, as a grid of two by two."""
    parts = grid.unflatten(-2, (2, -1)).unflatten(-1, (2, -1))  # (b, c, 2, h, 2, w)
    return parts.permute(0, 1, 3, 2, 5, 4).reshape(grid.shape)


def unwoven(grid: Tensor) -> Tensor:
    """Grids (b, c, 2h, 2w) whose cells were `woven`, as they were."""
    cells = grid.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2))  # (b, c, h, 2, w, 2)
    return cells.permute(0, 1, 3, 2, 5, 4).reshape(grid.shape)


def visual_prompt(grid: Tensor) -> Tensor:
    """Pixels (b, 3, 2h, 2w) in [-1, 1] with a grey answer: the visual prompted condition (InstructGIE Sec. 4.1)."""
    parts = quadrants(grid)
    return joined(replace(parts, answer=torch.zeros_like(parts.answer)))


def of_dropped_pair(grid: Tensor, no_pair: Tensor) -> Tensor:
    """Where grids (b, c, 2h, 2w) show a pair that is dropped, bool (b, 1, 2h, 1): the upper half if no_pair (b,)."""
    height = grid.shape[-2]
    upper = torch.arange(height, device=grid.device) < height // 2
    return no_pair.to(grid.device)[:, None, None, None] & upper[:, None]


def without_pair(grid: Tensor, no_pair: Tensor, grey: Tensor | float = 0.0) -> Tensor:
    """Grids (b, c, 2h, 2w) whose pair is grey where no_pair (b,) says so (InstructGIE Sec. 6.1; the greying is ours).

    Grey is 0 for pixels in [-1, 1]; for latents give those of a grey picture, (c, h, 1) or broadcastable. The grid that
    is noised needs it as well as the visual prompt: at small timesteps noise hides nothing.
    """
    return torch.where(of_dropped_pair(grid, no_pair), torch.as_tensor(grey).to(grid), grid)
