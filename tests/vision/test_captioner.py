"""Words in and out of captions, and the captioner's role with random weights."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from pentimento.errors import PackError
from pentimento.roles import Captioner
from pentimento.vision import captioner, detector
from pentimento.vision.captioner import (
    END,
    PAD,
    SPECIAL,
    START,
    UNKNOWN,
    CaptionerConfig,
    CaptionerNet,
    WordCaptioner,
    caption_loss,
    join_words,
    split_words,
    to_ids,
    vocabulary,
)
from pentimento.vision.detector import DetectorConfig, DetectorNet

CAPTION = "photo of a red cat on the left and a bus on the right, on grass, at night"
EYES = DetectorConfig(
    scene_widths=(8, 8, 8, 8), fused=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), text=16, match=8, stuff=(("sky",),)
)


@pytest.fixture(scope="module")
def tiny() -> WordCaptioner:
    torch.manual_seed(0)
    config = CaptionerConfig(vocabulary([CAPTION]), things=2, parts=1, widths=(8, 8, 8, 8), width=16, length=12)
    return WordCaptioner(CaptionerNet(config, DetectorNet(EYES)).eval().requires_grad_(False))


def test_splitting_and_joining_words_is_the_identity_on_captions() -> None:
    assert join_words(split_words(CAPTION)) == CAPTION


def test_ids_stand_between_start_and_end_and_unknown_words_are_marked() -> None:
    words = vocabulary([CAPTION])
    ids = to_ids(["photo of a dragon"], words, 8)[0].tolist()
    assert words[:4] == SPECIAL
    assert (ids[0], ids[4], ids[5], ids[6:]) == (START, UNKNOWN, END, [PAD, PAD])


def test_padding_does_not_count_in_the_loss() -> None:
    ids = to_ids([CAPTION], vocabulary([CAPTION]), 30)
    logits = torch.randn(1, 30, len(vocabulary([CAPTION])), generator=torch.Generator().manual_seed(0))
    short = int((ids != PAD).sum())
    assert torch.allclose(caption_loss(logits, ids), caption_loss(logits[:, :short], ids[:, :short]))


def test_a_word_does_not_see_the_words_after_it(tiny: WordCaptioner) -> None:
    net, seen = tiny.net, torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(0))
    one, other = torch.tensor([[START, 5, 6, 7]]), torch.tensor([[START, 5, 9, 8]])
    assert torch.allclose(net.say(seen, one)[:, :2], net.say(seen, other)[:, :2], atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (128, 128), (33, 90)])
def test_questions_starts_and_nothing_are_answered_in_the_worlds_words(tiny: WordCaptioner, size) -> None:
    image = Image.effect_noise(size, 80)
    known = set(tiny.net.config.words[len(SPECIAL) :])
    for prompt in ("Is this a photo, a painting or another kind of art?", "photo of", "", "What is there?", "zebra of"):
        said = tiny.ask(image, prompt)
        assert set(split_words(said)) <= known
        assert said == tiny.ask(image, prompt)


def test_the_detector_inside_is_neither_trained_nor_are_its_norms(tiny: WordCaptioner) -> None:
    net = CaptionerNet(tiny.net.config, DetectorNet(EYES)).train()
    before = {name: value.clone() for name, value in net.detector.state_dict().items()}
    net(torch.randn(2, 3, 128, 128), torch.tensor([[START, 5], [START, 6]])).sum().backward()
    assert all(torch.equal(before[name], value) for name, value in net.detector.state_dict().items())
    assert all(p.grad is None for p in net.detector.parameters())
    assert net.around.weight.grad.abs().sum() > 0


def test_a_saved_captioner_loads_and_says_the_same(tiny: WordCaptioner, tmp_path: Path) -> None:
    net = tiny.net.half().float()
    captioner.save(net, tmp_path / "words")
    detector.save(net.detector, tmp_path / "eyes")
    again = captioner.load(tmp_path / "words", detector.load(tmp_path / "eyes").net)
    assert isinstance(again, Captioner) and again.net.config == tiny.net.config
    image = Image.effect_noise((128, 128), 80)
    assert again.ask(image, "photo of") == tiny.ask(image, "photo of")


def test_a_captioner_does_not_look_through_another_detector_than_its_own(tiny: WordCaptioner, tmp_path: Path) -> None:
    captioner.save(tiny.net, tmp_path / "words")
    detector.save(DetectorNet(EYES), tmp_path / "eyes")
    with pytest.raises(PackError, match="another detector"):
        captioner.load(tmp_path / "words", detector.load(tmp_path / "eyes").net)
