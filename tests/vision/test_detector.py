"""The detector's geometry with made-up answers, and its role with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento.errors import PackError
from pentimento.roles import Detector
from pentimento.vision import detector
from pentimento.vision.detector import DenseDetector, DetectorConfig, DetectorNet, cut, decode, encode, suppress
from pentimento.vision.layers import PhraseEncoder, spell

TINY = DetectorConfig(
    scene_widths=(8, 8, 8, 8), fused=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), text=16, match=8, proposals=4,
    stuff=(("sky",), ("ground", "grass")), parts=("hat",),
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> DenseDetector:
    torch.manual_seed(0)
    return DenseDetector(DetectorNet(TINY).eval().requires_grad_(False))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_a_perfect_heat_map_gives_the_boxes_back() -> None:
    boxes = [(10.0, 20.0, 42.0, 64.0), (60.5, 8.0, 90.0, 30.25), (96.0, 96.0, 128.0, 127.0)]
    targets = encode(boxes, 32, 4)
    found, scores = decode(torch.from_numpy(targets.heat.max(0)), torch.from_numpy(targets.offsets), 4, 0.5)
    assert torch.allclose(scores, torch.ones(3))
    order = found[:, 0].argsort()
    assert torch.allclose(found[order], torch.tensor(boxes), atol=1e-3)


def test_touching_boxes_stay_two_peaks() -> None:
    targets = encode([(0.0, 0.0, 24.0, 24.0), (24.0, 0.0, 48.0, 24.0)], 32, 4)
    found, _ = decode(torch.from_numpy(targets.heat.max(0)), torch.from_numpy(targets.offsets), 4, 0.5)
    assert len(found) == 2


def test_no_boxes_are_an_empty_target() -> None:
    targets = encode([], 32, 4)
    assert targets.heat.shape == (0, 32, 32) and not targets.weight.any()


def test_a_small_box_counts_as_much_as_a_large_one_around_it() -> None:
    large, small = (8.0, 8.0, 120.0, 120.0), (30.0, 70.0, 48.0, 80.0)
    alone = [encode([box], 32, 4).weight for box in (large, small)]
    assert [round(float(weight.sum()), 4) for weight in alone] == [1.0, 1.0]
    both = encode([large, small], 32, 4)
    of_small = (both.offsets[0] < 6) & (alone[1] > 0)  # its left edge is near
    assert both.weight[18, 9] > 0 and abs(both.weight[of_small].sum() - 1) < 0.3


def test_suppression_keeps_the_better_of_two_alike_and_all_that_are_apart() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    assert suppress(boxes, torch.tensor([0.5, 0.9, 0.1])).tolist() == [1, 2]
    assert suppress(boxes[:0], torch.zeros(0)).tolist() == []


def test_suppression_agrees_with_the_naive_rule() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(40, 2, generator=generator) * 50
    boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(40, 2, generator=generator)], 1)
    scores = torch.rand(40, generator=generator)
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        clash = False
        for j in kept:
            w = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            h = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            shared = max(w, 0) * max(h, 0)
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])]
            clash |= bool(shared / (areas[0] + areas[1] - shared) > 0.5)
        if not clash:
            kept.append(i)
    assert suppress(boxes, scores).tolist() == kept


def test_a_cut_shows_its_box_and_greys_what_is_far_from_it() -> None:
    picture = torch.zeros(1, 3, 128, 128)
    picture[:, :, 40:60, 20:100] = 1.0
    crop = cut(picture, torch.tensor([[[20.0, 40.0, 100.0, 60.0]]]), 48)[0, 0]
    assert crop.shape == (3, 48, 48)
    assert torch.allclose(crop[:, 24, 8:40], torch.ones(3, 32))
    assert not crop[:, :12].any() and not crop[:, 36:].any()


def test_articles_case_and_punctuation_do_not_matter() -> None:
    assert torch.equal(spell(["The orange Cat."]), spell(["orange cat"]))
    assert not torch.equal(spell(["cats"]), spell(["cat"]))


def test_long_phrases_keep_the_noun_and_odd_ones_do_no_harm() -> None:
    long = spell(["a very very very very very very big red cat"])
    assert bytes(long[0, -1, :3].tolist()) == b"cat"
    encoder = PhraseEncoder(16).eval()
    out = encoder(spell(["", "!?", "x" * 50, "наука", "one two three four five six seven eight"]))
    assert torch.isfinite(out).all()


def test_the_other_phrases_of_a_batch_do_not_change_a_phrase() -> None:
    encoder = PhraseEncoder(16).eval()
    together = encoder(spell(["cat", "green buses"]))
    assert torch.allclose(together[:1], encoder(spell(["cat"])), atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (128, 128), (61, 97), (300, 40), (1, 90)])
def test_pictures_of_any_size_give_boxes_inside_them(tiny: DenseDetector, size: tuple[int, int]) -> None:
    boxes = tiny.detect(noise(*size), ["cat", "sky", "red hat"], 0.0)
    assert boxes
    for box in boxes:
        assert 0 <= box.left < box.right <= size[0] and 0 <= box.top < box.bottom <= size[1]
        assert 0 <= box.score <= 1
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)


def test_the_threshold_holds_and_the_best_score_ignores_it(tiny: DenseDetector) -> None:
    picture = noise(128, 128)
    everything = tiny.detect(picture, ["cat"], 0.0)
    best = tiny.best_score(picture, "cat")
    assert best == max((box.score for box in everything), default=0.0)
    assert tiny.detect(picture, ["cat"], 1.0) == ()
    assert tiny.detect(picture, [], 0.0) == ()


def test_stuff_has_at_most_one_box(tiny: DenseDetector) -> None:
    assert len(tiny.detect(noise(128, 128), ["green grass"], 0.0)) == 1


def test_grey_and_transparent_pictures_are_looked_at(tiny: DenseDetector) -> None:
    for mode in ("L", "RGBA", "P"):
        tiny.detect(noise(50, 40).convert(mode), ["cat"], 0.0)


def test_a_saved_detector_loads_and_sees_the_same(tiny: DenseDetector, tmp_path: Path) -> None:
    detector.save(tiny.net.half().float(), tmp_path / "detector")
    again = detector.load(tmp_path / "detector")
    assert isinstance(again, Detector)
    assert again.net.config == TINY
    assert again.detect(noise(64, 64), ["cat", "sky"], 0.0) == tiny.detect(noise(64, 64), ["cat", "sky"], 0.0)


def test_a_broken_folder_is_a_pack_error(tiny: DenseDetector, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="config.json"):
        detector.load(tmp_path)
    detector.save(tiny.net, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(PackError, match="model.safetensors"):
        detector.load(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "sam"}')
    with pytest.raises(PackError, match="dense_detector"):
        detector.load(tmp_path)
