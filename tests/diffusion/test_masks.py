import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pentimento.diffusion.latents import View, choose_view, look, put_back, to_picture, to_tensor
from pentimento.diffusion.masks import blend, composite, latent_mask, opacity
from pentimento.errors import RequestError
from toy import toy_mask, toy_picture

SIDES = st.integers(8, 150)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """A rectangle, possibly one pixel thin, anywhere in a picture of any size."""
    height, width = draw(SIDES), draw(SIDES)
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), dtype=bool)
    mask[top : draw(st.integers(top + 1, height)), left : draw(st.integers(left + 1, width))] = True
    return mask


CLOSEST = st.sampled_from([1.0, 0.25])


@given(masks(), CLOSEST)
@settings(max_examples=60, deadline=None)
def test_a_view_is_a_square_that_holds_the_whole_mask(mask: np.ndarray, closest: float) -> None:
    view = choose_view(mask, 64, 0.5, closest)
    rows, columns = np.nonzero(mask)
    assert view.top <= rows.min() and rows.max() < view.top + view.side
    assert view.left <= columns.min() and columns.max() < view.left + view.side
    assert view.side >= min(64 * closest, max(mask.shape))
    for start, length in ((view.top, mask.shape[0]), (view.left, mask.shape[1])):
        assert start >= 0 and start + view.side <= length or view.side >= length


@pytest.mark.parametrize("shape", [(60_000, 100), (100, 60_000)])
def test_a_picture_too_long_for_a_square_around_it_is_refused_and_a_part_of_it_is_not(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, dtype=bool)
    with pytest.raises(RequestError, match="too long for its width"):
        choose_view(mask, 64, 0.5)
    mask[200:], mask[:, 200:] = False, False
    assert choose_view(mask, 64, 0.5).side <= 400


def test_large_pictures_of_usual_shapes_are_seen_whole() -> None:
    assert choose_view(np.ones((6000, 9000), dtype=bool), 64, 0.5).side == 9000


def test_a_mask_grows_by_whole_cells_to_all_sides() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[24:32, 40:48] = True
    view = choose_view(mask, 64, 0.5)
    assert latent_mask(mask, view, 8)[0, 0].nonzero().tolist() == [[3, 5]]
    grown = latent_mask(mask, view, 8, grow=1)[0, 0]
    assert grown[2:5, 4:7].all() and grown.sum() == 9


def test_a_closer_look_shows_a_small_mask_larger() -> None:
    mask = np.zeros((128, 128), dtype=bool)
    mask[60:76, 30:46] = True
    far, close = choose_view(mask, 128, 0.5), choose_view(mask, 128, 0.5, 0.4)
    assert far.side == 128 and close.side == 51
    assert latent_mask(mask, close, 8).sum() > 2 * latent_mask(mask, far, 8).sum()


@given(masks(), CLOSEST)
@settings(max_examples=60, deadline=None)
def test_every_masked_pixel_gets_some_of_the_edit_and_the_rest_of_the_picture_none(
    mask: np.ndarray, closest: float
) -> None:
    view = choose_view(mask, 64, 0.5, closest)
    grid = latent_mask(mask, view, 8)
    picture = Image.fromarray(np.zeros((*mask.shape, 3), dtype=np.uint8))
    white = Image.fromarray(np.full((*mask.shape, 3), 255, dtype=np.uint8))
    changed = np.asarray(composite(white, picture, opacity(grid, view, 0), view)).any(axis=-1)
    assert changed[mask].all()
    reach = int(np.ceil(view.side / 8)) + 1
    rows, columns = np.nonzero(mask)
    near = np.zeros_like(mask)
    top, left = max(rows.min() - reach, 0), max(columns.min() - reach, 0)
    near[top : rows.max() + reach + 1, left : columns.max() + reach + 1] = True
    assert not changed[~near].any()


@pytest.mark.parametrize("grow", [0, 1])
def test_a_mask_one_pixel_thin_survives_on_the_latent_grid_by_area_and_is_refused_by_nearest(grow: int) -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[:, 9] = True
    view = choose_view(mask, 64, 0.5)
    assert latent_mask(mask, view, 8, "area")[0, 0].sum(dim=0).tolist() == [0, 8, 0, 0, 0, 0, 0, 0]
    with pytest.raises(RequestError, match="mask_to_grid=area"):
        latent_mask(mask, view, 8, "nearest", grow)


def test_a_mask_of_everything_covers_the_padding_too() -> None:
    mask = np.ones((10, 30), dtype=bool)
    assert latent_mask(mask, choose_view(mask, 64, 0.5), 8).all()


def test_the_blend_leaves_latents_outside_bit_identical_and_lets_no_nan_in() -> None:
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., 1:3, 1:3] = True
    x, y = torch.randn(2, 1, 3, 4, 4)
    y[~mask.expand_as(y)] = torch.nan
    blended = blend(mask, y, x)
    outside = ~mask.expand_as(x)
    assert torch.equal(blended[outside], x[outside])
    assert torch.equal(blended[~outside], y[~outside])


def test_the_composite_leaves_pixels_outside_the_cells_bit_identical() -> None:
    picture, mask = toy_picture(), toy_mask()  # the mask's borders are cell borders
    view = choose_view(mask, 64, 0.5)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    out = np.asarray(composite(noise, picture, opacity(latent_mask(mask, view, 8), view, 2), view))
    assert (out[~mask] == np.asarray(picture)[~mask]).all()
    core = np.zeros_like(mask)
    core[19:45, 19:45] = True
    assert (out[core] == np.asarray(noise)[core]).all()


def test_the_feather_rises_inwards_from_the_border_of_the_cells() -> None:
    mask = toy_mask()
    view = choose_view(mask, 64, 0.5)
    alpha = opacity(latent_mask(mask, view, 8), view, 3)
    assert np.allclose(alpha[32, 14:22], [0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_the_border_of_the_picture_is_not_feathered() -> None:
    mask = np.ones((64, 64), dtype=bool)
    view = choose_view(mask, 64, 0.5)
    assert (opacity(latent_mask(mask, view, 8), view, 5) == 1).all()


@given(SIDES, SIDES)
@settings(max_examples=30, deadline=None)
def test_what_a_view_shows_goes_back_where_it_came_from(width: int, height: int) -> None:
    picture, mask = toy_picture(width, height), toy_mask(width, height)
    view = choose_view(mask, 64, 0.5)
    seen = look(picture, view)
    assert seen.shape == (1, 3, 64, 64)
    back = put_back(seen, view, picture)
    assert back.size == picture.size
    if view.side == 64:
        assert back.tobytes() == picture.tobytes()
    else:
        assert np.abs(np.asarray(back).astype(float) - np.asarray(picture)).mean() < 12


def test_large_pictures_are_seen_around_the_mask_and_at_full_detail() -> None:
    mask = np.zeros((1000, 2000), dtype=bool)
    mask[500:520, 1500:1530] = True
    assert choose_view(mask, 64, 0.5) == View(1483, 478, 64, 64)
    mask[500:600, 1500:1530] = True
    assert choose_view(mask, 64, 0.5).side == 200


def test_pictures_survive_the_way_to_tensors_and_back() -> None:
    picture = toy_picture(20, 12)
    pixels = to_tensor(picture)
    assert pixels.shape == (1, 3, 12, 20)
    assert pixels.min() >= -1 and pixels.max() <= 1
    assert to_picture(pixels).tobytes() == picture.tobytes()
