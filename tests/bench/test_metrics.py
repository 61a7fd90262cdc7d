"""Metrics and intervals, against naive formulas and torchmetrics."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

from pentimento.bench.metrics import (
    best_covered,
    blackened,
    clip_direction,
    clip_score,
    frechet_distance,
    intersection_over_union,
    is_identical,
    kernel_distance,
    near,
    psnr,
    ssim,
)
from pentimento.bench.sheets import Panel, sheet
from pentimento.bench.statistics import jackknife, mean, share, share_difference
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


def test_a_mask_grows_by_a_distance_to_all_sides() -> None:
    mask = np.zeros((20, 17), bool)
    mask[9, 16] = True
    grown = near(mask, 3)
    assert grown.shape == mask.shape and grown.sum() == 7 * 4 and grown[6:13, 13:].all()


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


@pytest.mark.parametrize("n", [2, 5, 10])
def test_an_interval_of_few_values_holds_the_truth_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    figures = [mean(rng.normal(size=n).tolist(), rng, resamples=400) for _ in range(800)]
    held = np.mean([figure.low <= 0 <= figure.high for figure in figures])
    assert held > 0.915  # of 10 values the plain percentiles hold it 0.90 of the time, of 2 half of it


def test_one_value_says_nothing_of_its_spread() -> None:
    figure = mean([21.3], np.random.default_rng(0))
    assert (figure.value, figure.low, figure.high, figure.n) == (21.3, -np.inf, np.inf, 1)


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


def _pictures(count: int = 2, side: int = 24) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    smooth = [Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)) for _ in range(count)]
    return [np.asarray(p.resize((side, side), Image.Resampling.BICUBIC)) for p in smooth]


def _naive_ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pixel by pixel, with an 11 x 11 Gaussian window and reflected borders."""
    g = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    x, y = (np.pad(p.astype(float), ((5, 5), (5, 5), (0, 0)), mode="reflect") for p in (one, other))
    values = np.zeros(one.shape)
    for i in range(one.shape[0]):
        for j in range(one.shape[1]):
            for c in range(3):
                a, b = x[i : i + 11, j : j + 11, c], y[i : i + 11, j : j + 11, c]
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * a * a).sum() - ma**2, (window * b * b).sum() - mb**2
                cov = (window * a * b).sum() - ma * mb
                values[i, j, c] = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return values.mean(-1)


def test_ssim_agrees_with_the_formula_everywhere_and_in_a_region() -> None:
    one, other = _pictures()
    naive, mask = _naive_ssim(one, other), np.zeros((24, 24), bool)
    mask[3:9, 10:20] = True
    assert ssim(one, other, mask) == pytest.approx(naive[mask].mean(), abs=1e-5)
    assert ssim(one, one) == pytest.approx(1)
    inner = np.zeros((24, 24), bool)
    inner[5:-5, 5:-5] = True
    assert ssim(one, other, inner) == pytest.approx(naive[inner].mean(), abs=1e-5)
    assert np.isnan(ssim(one, other, np.zeros((24, 24), bool)))


def test_pie_bench_form_dilutes_a_region_by_the_frame() -> None:
    one, other = _pictures()
    mask = np.zeros((24, 24), bool)
    mask[:12] = True
    ours, theirs = psnr(one, other, mask), psnr(blackened(one, mask), blackened(other, mask))
    assert theirs == pytest.approx(ours + 10 * np.log10(2), abs=1e-6)


def test_clip_scores_agree_with_their_formulas() -> None:
    a, b, c, d = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    cos = float(a @ b / (a.norm() * b.norm()))
    assert clip_score(a, b) == pytest.approx(100 * max(cos, 0), rel=1e-5) and clip_score(a, -a) == 0
    way, words = b - a, d - c
    assert clip_direction(a, b, c, d) == pytest.approx(float(way @ words / (way.norm() * words.norm())), rel=1e-5)
    assert clip_direction(a, a, c, d) == 0


def test_frechet_distance_agrees_with_scipy_and_is_zero_for_equal_sets() -> None:
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, 5, generator=generator), 0.7 * torch.randn(50, 5, generator=generator) + 0.3
    sx, sy = np.cov(x.double().numpy().T), np.cov(y.double().numpy().T)
    gap = x.double().mean(0) - y.double().mean(0)
    known = float(gap @ gap) + np.trace(sx + sy - 2 * sqrtm(sx @ sy).real)
    assert frechet_distance(x, y) == pytest.approx(known, rel=1e-3)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-4)


def test_kernel_distance_agrees_with_a_double_loop() -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(9, 4, generator=generator), torch.randn(7, 4, generator=generator) + 1

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b) / 4 + 1) ** 3

    xx = np.mean([k(x[i], x[j]) for i in range(9) for j in range(9) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(7) for j in range(7) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-5)


def test_pictures_that_stay_near_their_own_truths_gain_nothing_in_kernel_distance() -> None:
    """Equal distributions are 0 apart, whether the sets are independent or the rows are pairs."""
    found = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(40, 6, generator=generator)
        near = 0.95 * x + (1 - 0.95**2) ** 0.5 * torch.randn(40, 6, generator=generator)
        far = torch.randn(40, 6, generator=generator)
        found.append([kernel_distance(near, x, paired=True), kernel_distance(far, x), kernel_distance(near, x)])
    paired, independent, blind = np.mean(found, axis=0)
    assert abs(paired) < 0.05 and abs(independent) < 0.1
    assert blind < -0.2, "without a word about pairs it is far too low"


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(3, 2, 50)
    figure = jackknife(values.mean(), [np.delete(values, i).mean() for i in range(50)], 50)
    assert figure.high - figure.value == pytest.approx(1.959964 * values.std(ddof=1) / 50**0.5)
    assert figure.value - figure.low == pytest.approx(figure.high - figure.value) and figure.n == 50


def test_a_difference_of_shares_is_never_certain() -> None:
    nothing = share_difference(0, 0, 80)
    assert nothing.value == 0 and nothing.low == -nothing.high and 0.02 < nothing.high < 0.03
    figure = share_difference(30, 10, 100)
    assert figure.value == 0.2 and (round(figure.low, 3), round(figure.high, 3)) == (
        0.079,
        0.313,
    )  # by hand: 20 / 102 -+ 1.96 sqrt(41 / 102 - (20 / 102)^2) / sqrt(102)
    assert share_difference(0, 0, 0).n == 0 and share_difference(5, 0, 5).high == 1
