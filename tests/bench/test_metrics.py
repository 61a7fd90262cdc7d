"""Metrics and intervals, against naive formulas and torchmetrics."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from pentimento.bench.metrics import best_covered, intersection_over_union, is_identical, psnr, touched
from pentimento.bench.sheets import Panel, sheet
from pentimento.bench.statistics import mean, share
from pentimento.vision import perceptual
from pentimento.vision.perceptual import DIMENSIONS, Perceptual, PerceptualConfig, PerceptualNet


def test_psnr_agrees_with_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(2))
    known = peak_signal_noise_ratio(torch.tensor(one).float(), torch.tensor(other).float(), data_range=255.0)
    assert psnr(one, other) == pytest.approx(float(known), rel=1e-5)


def test_psnr_looks_only_inside_its_mask() -> None:
    one = np.zeros((8, 8, 3), np.uint8)
    other, mask = one.copy(), np.zeros((8, 8), bool)
    other[0, 0], mask[4:, :] = 255, True
    assert psnr(one, other, mask) == 99 and psnr(one, other, ~mask) < 99
    assert np.isnan(psnr(one, other, np.zeros((8, 8), bool)))


def test_masks_agree_fully_partly_or_not() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert intersection_over_union(one, other) == 1
    one[:2], other[1:3] = True, True
    assert intersection_over_union(one, other) == pytest.approx(1 / 3)
    assert best_covered(one, [~one, other]) == 1 and best_covered(one, [~one]) == -1


def test_a_mask_grows_to_whole_cells() -> None:
    mask = np.zeros((20, 17), bool)
    mask[9, 16] = True
    grown = touched(mask, 8)
    assert grown.shape == mask.shape and grown.sum() == 8 and grown[8:16, 16].all()


def test_one_bit_makes_pixels_differ() -> None:
    one = np.zeros((4, 4, 3), np.uint8)
    other = one.copy()
    other[0, 0, 2] = 1
    everywhere = np.ones((4, 4), bool)
    assert is_identical(one, one, everywhere) and not is_identical(one, other, everywhere)


def test_wilson_gives_the_textbook_interval() -> None:
    figure = share(8, 10)
    assert (round(figure.low, 4), round(figure.high, 4)) == (0.4902, 0.9433)
    assert share(0, 0).n == 0 and share(5, 5).high == 1


def test_a_bootstrap_interval_holds_the_mean_and_repeats() -> None:
    values = list(range(20))
    one, again = (mean(values, np.random.default_rng(1)) for _ in range(2))
    assert one == again and one.low < one.value < one.high
    assert mean([], np.random.default_rng(1)).n == 0


def test_equal_pictures_have_no_perceptual_distance_and_others_have(tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(0)
    net = PerceptualNet(PerceptualConfig({"nouns": ("cat",), "place": ("sea", "city")}, side=64)).half().float().eval()
    folder = tmp_path_factory.mktemp("perceptual")
    perceptual.save(net, folder)
    loaded = perceptual.load(folder)
    rng = np.random.default_rng(0)
    one, other = (Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(2))
    distances = loaded.distances([one, one], [one, other])
    assert distances[0] == 0 and 0 < float(distances[1]) <= 4
    assert torch.equal(distances, Perceptual(net).distances([one, one], [one, other]))
    assert loaded.pooled([one, other]).shape == (2, DIMENSIONS)


def test_a_sheet_shows_every_panel_in_order() -> None:
    picture = Image.new("RGB", (32, 32), "red")
    panel = Panel("change the cat to a dog " * 9, "judged", picture, np.ones((32, 32), bool), None, picture)
    one, three = sheet([panel]), sheet([panel] * 3)
    assert three.height == 2 * one.height and three.width == one.width
