"""Boxes to masks: the geometry of crops, the role with random weights, and the whole way from phrases to a mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento.errors import NothingFound, RequestError
from pentimento.roles import BoxSegmenter, Segmenter
from pentimento.values import Box
from pentimento.vision import segmenter
from pentimento.vision.segment import GroundedSegmenter
from pentimento.vision.segmenter import (
    CropSegmenter,
    SegmenterConfig,
    SegmenterNet,
    Window,
    box_channel,
    crop,
    paste,
    window,
)

TINY = SegmenterConfig(side=16, widths=(8, 8, 8, 8), text=16)


@pytest.fixture(scope="module")
def tiny() -> CropSegmenter:
    torch.manual_seed(0)
    return CropSegmenter(SegmenterNet(TINY).eval().requires_grad_(False))


def test_a_window_has_the_margin_and_at_least_four_pixels() -> None:
    assert window(Box(10, 20, 30, 60), 0.2) == Window(6, 12, 34, 68)
    assert window(Box(5, 5, 5, 5), 0.2) == Window(3, 3, 7, 7)


def test_a_mask_that_is_cut_out_and_pasted_back_stays_where_it_was() -> None:
    rows, columns = np.mgrid[:96, :120]
    mask = ((columns - 70) / 26) ** 2 + ((rows - 40) / 18) ** 2 < 1
    part = window(Box(44, 22, 96, 58), 0.2)
    small = np.asarray(crop(Image.fromarray(mask.view(np.uint8) * 255), part, 64), np.float32)
    back = paste(torch.from_numpy(small / 255 - 0.5), part, 120, 96)
    assert (back & mask).sum() / (back | mask).sum() > 0.97


def test_a_crop_beyond_the_edge_goes_on_with_the_edge() -> None:
    image = Image.new("RGB", (20, 20), (10, 200, 30))
    assert np.asarray(crop(image, Window(-15, -15, 30, 30), 16)).std((0, 1)).max() == 0


def test_nothing_is_pasted_outside_the_window() -> None:
    mask = paste(torch.ones(8, 8), Window(10, 12, 20, 18), 40, 30)
    assert mask[12:18, 10:20].all() and mask.sum() == 60
    assert not paste(torch.ones(8, 8), Window(-30, -30, -10, -10), 40, 30).any()


def test_the_box_channel_is_the_box() -> None:
    channel = box_channel(Box(10, 10, 20, 30), Window(5, 0, 25, 40), 40)
    assert channel.shape == (40, 40)
    assert channel[10:30, 10:30].all() and channel.sum() == 400


@pytest.mark.parametrize("size", [(8, 8), (61, 97), (128, 128), (3, 40)])
def test_pictures_and_boxes_of_any_size_give_masks_of_the_pictures_size(tiny: CropSegmenter, size) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    boxes = [Box(0, 0, size[0], size[1], phrase="sky"), Box(1, 1, 2.5, 6), Box(size[0] - 1, size[1] - 1, *size)]
    masks = tiny.masks(image, boxes)
    assert masks.shape == (3, size[1], size[0]) and masks.dtype == bool
    assert masks.any((1, 2)).all()
    assert tiny.masks(image, []).shape == (0, size[1], size[0])


def test_a_saved_segmenter_loads_and_paints_the_same(tiny: CropSegmenter, tmp_path: Path) -> None:
    segmenter.save(tiny.net.half().float(), tmp_path)
    again = segmenter.load(tmp_path)
    assert isinstance(again, BoxSegmenter)
    image, box = Image.effect_noise((50, 40), 90), Box(10, 5, 30, 30, phrase="cat")
    assert np.array_equal(again.masks(image, [box]), tiny.masks(image, [box]))


@dataclass(frozen=True)
class Fixed:
    """A detector that finds what it was told, and a segmenter that fills boxes."""

    boxes: tuple[Box, ...]

    def detect(self, image: Image.Image, phrases: Sequence[str], threshold: float) -> tuple[Box, ...]:
        return tuple(box for box in self.boxes if box.phrase in phrases and box.score >= threshold)

    def best_score(self, image: Image.Image, phrase: str) -> float:
        return max((box.score for box in self.boxes if box.phrase == phrase), default=0.0)

    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> np.ndarray:
        out = np.zeros((len(boxes), image.height, image.width), bool)
        for mask, box in zip(out, boxes, strict=True):
            mask[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = True
        return out


CATS = Fixed((Box(0, 0, 4, 4, 0.6, "cat"), Box(10, 10, 14, 18, 0.9, "cat"), Box(2, 12, 6, 16, 0.2, "dog")))
FINDER = GroundedSegmenter(CATS, CATS, 0.3)
PICTURE = Image.new("RGB", (20, 20))


def test_the_mask_is_the_union_of_the_chosen_boxes() -> None:
    assert isinstance(FINDER, Segmenter)
    assert FINDER.find(PICTURE, ["cat"], "best").mask.sum() == 32
    assert FINDER.find(PICTURE, ["cat"], "left").mask.sum() == 16
    found = FINDER.find(PICTURE, ["cat"], "all")
    assert found.mask.sum() == 48 and len(found.boxes) == 2
    assert FINDER.find(PICTURE, ["cat"], ("left", "right")).mask.sum() == 48


def test_what_is_not_found_is_named_with_its_best_score() -> None:
    with pytest.raises(NothingFound, match="'dog'") as caught:
        FINDER.find(PICTURE, ["cat", "dog"])
    assert (caught.value.phrase, caught.value.best_score, caught.value.threshold) == ("dog", 0.2, 0.3)
    with pytest.raises(NothingFound, match="number 3 from left"):
        FINDER.find(PICTURE, ["cat"], "3 from left")


def test_companions_of_what_is_surely_there_count_at_a_lower_score() -> None:
    three = Fixed((*CATS.boxes, Box(15, 0, 20, 5, 0.15, "cat"), Box(0, 15, 2, 17, 0.05, "cat")))
    finder = GroundedSegmenter(three, three, 0.3, companions=0.1)
    assert [box.score for box in finder.find(PICTURE, ["cat"], "right").boxes] == [0.15]
    assert [box.score for box in finder.find(PICTURE, ["cat"], "best").boxes] == [0.9]
    assert len(finder.find(PICTURE, ["cat"], "all").boxes) == 3
    with pytest.raises(NothingFound, match="'dog'"):  # nothing of its kind is sure
        finder.find(PICTURE, ["dog"])
    with pytest.raises(NothingFound, match="number 4 from left") as caught:
        finder.find(PICTURE, ["cat"], "4 from left")
    assert caught.value.threshold == 0.1  # what a fourth would have needed
    strict = GroundedSegmenter(three, three, 0.3, companions=0.5)
    assert len(strict.find(PICTURE, ["cat"], "all").boxes) == 2  # never stricter than the threshold


def test_no_phrase_is_refused() -> None:
    with pytest.raises(RequestError):
        FINDER.find(PICTURE, [" "])
