"""DiffEdit's mask: the cells where the noise predictions for the two captions differ, and how much is enough."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from pentimento.diffusion.latents import View, choose_view, to_tensor
from pentimento.diffusion.masks import latent_mask
from pentimento.editors.diffedit import DiffEdit, cells_inside, on_picture, relative
from pentimento.editors.planned import everywhere
from pentimento.errors import NothingFound, PlanError
from pentimento.values import Plan, Request
from toy import Recording, pack_with, toy_picture

PLAN = Plan(find=("dog",), before="photo of a dog", after="photo of a cat", kind="replace")


@dataclass(frozen=True, eq=False)
class Told(Recording):
    """A model that predicts what it is told to, (c, g, g) for each text; the sign of it turns with every noise."""

    eps: dict[str, Tensor] = field(default_factory=dict)

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        super().denoise(x, t, text)
        texts = [next(name for name in self.eps if torch.equal(self.encode_text([name])[0], row)) for row in text]
        sign = -1 if len({call.x[0].sum().item() for call in self.asked}) % 2 else 1
        return sign * torch.stack([self.eps[name] for name in texts])


def told(**cells: Tensor) -> Told:
    nothing = torch.zeros(4, 8, 8)
    by_name = {"before": PLAN.before, "after": PLAN.after, "null": ""}
    return Told(eps={text: cells.get(name, nothing) for name, text in by_name.items()})


def different(*places: tuple[int, int], by: tuple[float, ...] = (1, -1, 2, -2)) -> Tensor:
    """Predictions that are `by` in the four channels at (row, column), and 0 elsewhere."""
    eps = torch.zeros(4, 8, 8)
    for row, column in places:
        eps[:, row, column] = torch.tensor(by)
    return eps


def found(model: Told, width: int = 64, height: int = 64, **chosen: object) -> np.ndarray:
    editor = DiffEdit(pack=pack_with("text_to_image", model), **{"noises": 2, "ratio": 0, **chosen})
    mask = editor(Request(toy_picture(width, height), plan=PLAN, seed=3)).mask
    assert mask is not None
    return mask


def pixels_of(*places: tuple[int, int]) -> np.ndarray:
    """Those cells of 8x8 pixels, bool (64, 64)."""
    mask = np.zeros((64, 64), dtype=bool)
    for row, column in places:
        mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = True
    return mask


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("which", ["before", "after"])
def test_the_mask_is_the_cells_where_the_captions_differ_and_no_other(which: str, guidance: float) -> None:
    places = (1, 5), (2, 5), (2, 6)
    model = told(**{which: different(*places), "null": different((6, 0), (0, 3))})
    assert (found(model, mask_guidance=guidance) == pixels_of(*places)).all()


def test_cells_where_both_captions_say_the_same_are_not_found() -> None:
    model = told(before=different((1, 5), (4, 4)), after=different((4, 4)))
    assert (found(model) == pixels_of((1, 5))).all()


def test_differences_count_by_their_size_and_not_by_their_square() -> None:
    strong, uneven = ([(row, column) for row in rows for column in range(8)] for rows in ((0, 1), (6, 7)))
    eps = different(*strong, by=(1, 1, 1, 1)) + different(*uneven, by=(2, 0, 0, 0))  # 1 and 0.5; squared 1 and 1
    assert (found(told(after=eps)) == pixels_of(*strong)).all()  # theta 0.5 of 3 * 24 / 64 is 0.5625


@torch.no_grad()
def test_both_captions_are_asked_about_the_same_noises_of_the_seed_at_the_masks_strength() -> None:
    model = told(after=different((1, 5)))
    found(model, noises=3, mask_strength=0.25)
    x0, generator = model.autoencoder.encode(to_tensor(toy_picture())), torch.Generator().manual_seed(3)
    alpha, noises = model.alphas_cumprod[250], [torch.randn(x0.shape, generator=generator) for _ in range(3)]
    assert len(model.asked) == 6
    for i, call in enumerate(model.asked):
        assert call.t.tolist() == [250, 250]
        assert torch.allclose(call.x[:1], alpha.sqrt() * x0 + (1 - alpha).sqrt() * noises[i // 2], atol=1e-6)
    assert all(torch.equal(one.x, other.x) for one, other in list(pairwise(model.asked))[::2])


def test_captions_that_differ_nowhere_are_nothing_found() -> None:
    with pytest.raises(NothingFound):
        found(told(after=different((4, 4)), before=different((4, 4))))


@pytest.mark.parametrize(
    ("apart", "wanted"),
    [
        ((0, 0, 0, 4), (0, 0, 0, 1)),
        ((1, 1, 1, 1), (1 / 3,) * 4),
        ((0, 1, 1, 2), (0, 1 / 3, 1 / 3, 2 / 3)),
        ((0,) * 4,) * 2,
    ],
)
def test_differences_are_relative_to_three_times_their_mean_and_no_more_than_that(
    apart: tuple[float, ...], wanted: tuple[float, ...]
) -> None:
    scores = relative(torch.tensor(apart, dtype=torch.float32), torch.ones(4, dtype=torch.bool))
    assert torch.allclose(scores, torch.tensor(wanted, dtype=torch.float32))


def test_differences_in_the_padding_count_nowhere() -> None:
    padding = different((0, 3), (7, 6), by=(100, 100, 100, 100))
    mask = found(told(after=different((3, 5)) + padding), width=64, height=32)  # the picture is rows 2 to 5 of the grid
    assert (mask == pixels_of((1, 5))[:32]).all()


@pytest.mark.parametrize("in_picture", [0.0, 1.0])
def test_captions_that_differ_much_in_the_padding_alone_are_nothing_found(in_picture: float) -> None:
    eps = torch.full((4, 8, 8), in_picture) + different((0, 3), (6, 6), by=(9, 9, 9, 9))
    with pytest.raises(NothingFound):
        found(told(after=eps), width=64, height=32)


def test_captions_that_are_the_same_are_refused_as_such_unless_a_mask_is_given() -> None:
    plan = PLAN.model_copy(update={"after": PLAN.before})
    editor = DiffEdit(pack=pack_with("text_to_image", Recording()), steps=2)
    with pytest.raises(PlanError, match="captions before and after are the same"):
        editor(Request(toy_picture(), plan=plan))
    assert editor(Request(toy_picture(), plan=plan, mask=pixels_of((2, 2)))).image.size == (64, 64)


def test_a_threshold_that_no_difference_can_exceed_is_refused() -> None:
    assert DiffEdit(pack=None, theta=0.99).theta == 0.99
    for theta in (1, -0.1, float("nan")):
        with pytest.raises(ValidationError):
            DiffEdit(pack=None, theta=theta)


def test_a_found_cell_does_not_swell_where_the_side_is_no_multiple_of_the_grid() -> None:
    mask = found(told(after=different((1, 5))), width=100, height=100)  # cells of 12.5 pixels
    wanted = np.zeros((100, 100), dtype=bool)
    wanted[13:25, 63:75] = True
    assert (mask == wanted).all()


@given(st.integers(16, 150), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_found_cells_are_the_same_cells_again_on_the_grid(side: int, seed: int) -> None:
    grid = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.3
    grid[..., seed % 8, seed % 7] = True
    view = View(0, 0, side, 64)
    assert torch.equal(latent_mask(on_picture(grid, view, Image.new("RGB", (side, side))), view, 8), grid)


@given(st.integers(8, 20), st.integers(8, 20), st.integers(0, 31), st.integers(0, 31))
@settings(max_examples=60, deadline=None)
def test_a_picture_smaller_than_the_grid_keeps_a_mask(width: int, height: int, row: int, column: int) -> None:
    picture = Image.new("RGB", (width, height))
    view = choose_view(everywhere(picture), 256, 0.5)
    grid = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    grid[..., row, column] = True
    assert on_picture(grid, view, picture).any() == (grid & cells_inside(view, picture, 32)).any()
