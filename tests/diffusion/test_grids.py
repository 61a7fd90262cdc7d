import torch

from pentimento.diffusion.grids import (
    by_quadrant,
    joined,
    of_dropped_pair,
    quadrants,
    unwoven,
    visual_prompt,
    without_pair,
    woven,
)

GRID = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
NO_PAIR = torch.tensor([True, False])


def test_the_parts_of_a_grid_stand_in_reading_order() -> None:
    parts = quadrants(GRID)
    assert torch.equal(parts.in0, GRID[:, :, :4, :6]) and torch.equal(parts.out0, GRID[:, :, :4, 6:])
    assert torch.equal(parts.in1, GRID[:, :, 4:, :6]) and torch.equal(parts.answer, GRID[:, :, 4:, 6:])
    assert torch.equal(joined(parts), GRID)


def test_a_visual_prompt_shows_everything_but_the_answer() -> None:
    prompt = visual_prompt(GRID)
    assert not prompt[:, :, 4:, 6:].any()
    prompt[:, :, 4:, 6:] = GRID[:, :, 4:, 6:]
    assert torch.equal(prompt, GRID)


def test_a_dropped_pair_is_grey_and_nothing_else_is() -> None:
    seen = without_pair(GRID, NO_PAIR)
    assert not seen[0, :, :4].any()
    assert torch.equal(seen[0, :, 4:], GRID[0, :, 4:]) and torch.equal(seen[1], GRID[1])


def test_latents_of_a_dropped_pair_become_those_of_grey() -> None:
    grey = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    assert torch.equal(without_pair(GRID, NO_PAIR, grey)[0, :, :4], grey.expand(3, 4, 12))


def test_the_dropped_half_is_the_upper_one() -> None:
    assert of_dropped_pair(GRID, NO_PAIR).squeeze().tolist() == [[True] * 4 + [False] * 4, [False] * 8]


def test_what_is_made_by_quadrant_sees_one_part_at_a_time() -> None:
    mean = by_quadrant(lambda part: part.mean(dim=(2, 3), keepdim=True), GRID)
    assert mean.shape == (2, 3, 2, 2)
    assert torch.allclose(mean[:, :, 1, 0], quadrants(GRID).in1.mean(dim=(2, 3)))


def test_woven_grids_have_the_cells_of_one_place_side_by_side() -> None:
    side_by_side, parts = woven(GRID), quadrants(GRID)
    assert torch.equal(unwoven(side_by_side), GRID)
    assert torch.equal(side_by_side[:, :, 2:4, 6:8], torch.stack(
        [torch.stack([parts.in0[:, :, 1, 3], parts.out0[:, :, 1, 3]], -1),
         torch.stack([parts.in1[:, :, 1, 3], parts.answer[:, :, 1, 3]], -1)], -2))  # fmt: skip
