"""The recipes of detector, segmenter and captioner: pure batches, true answers, losses that reach every weight."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pentimento.data.captions import caption
from pentimento.data.scenes import Thing, draw_scene
from pentimento.data.vocabulary import NOUNS
from pentimento.errors import TrainingError
from pentimento.recipes import captioner, detector, segmenter
from pentimento.training.weights import read_weights
from pentimento.vision.captioner import split_words


def reaches(job, step: int = 1, size: int = 2) -> None:
    first, again = job.batch(step, size), job.batch(step, size)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    value = job.loss(job.model.train(), first, torch.Generator().manual_seed(0))
    assert torch.isfinite(value)
    value.backward()
    idle = [name for name, p in job.model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_the_detector_trains(tmp_path: Path) -> None:
    reaches(detector.job(detector.Settings(), tmp_path), size=4)


def test_the_segmenter_trains(tmp_path: Path) -> None:
    reaches(segmenter.job(segmenter.Settings(), tmp_path))


def test_the_captioner_looks_through_the_packs_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioner, "SCENES_FOR_WORDS", 200)
    with pytest.raises(TrainingError, match="train the detector first"):
        captioner.job(captioner.Settings(), tmp_path)
    eyes = detector.job(detector.Settings(), tmp_path)
    eyes.export(eyes.model, tmp_path)
    job = captioner.job(captioner.Settings(), tmp_path)
    reaches(job)
    job.export(job.model, tmp_path)
    again = captioner.job(captioner.Settings(), tmp_path).model
    kept = job.model.half().float().state_dict()
    assert all(torch.equal(kept[name], value) for name, value in again.state_dict().items())
    assert not any(name.startswith("detector") for name in read_weights(tmp_path / captioner.FOLDER))


def test_a_batch_goes_on_where_the_one_before_ended() -> None:
    whole, second = detector.batch(4, 4, 0, 4), detector.batch(4, 4, 1, 2)
    assert torch.equal(whole.pictures[2:], second.pictures) and torch.equal(whole.answers[2:], second.answers)


def test_every_answer_is_true() -> None:
    for look, rng in detector.looks(0, 24):
        nouns = [thing.noun for thing in look.scene.things]
        for question in detector.questions(look, 12, rng):
            for mask in question.masks:
                assert mask.any()
            if question.phrase in detector.NOUNS:
                assert bool(question.masks) <= (question.phrase in nouns)
                if question.phrase in nouns:
                    visible = [
                        m for t, m in zip(look.scene.things, look.masks, strict=True) if t.noun == question.phrase
                    ]
                    assert len(question.masks) == sum(m.sum() >= detector.SMALLEST for m in visible)


def test_what_is_worn_lies_on_its_wearer() -> None:
    worn = [look for look in map(detector.look_at, range(60)) if look.worn]
    assert worn
    for look in worn:
        covered = np.logical_or.reduce(look.masks)
        for _, mask in look.worn:
            assert mask.sum() >= detector.SMALLEST_WORN and not (mask & ~covered).any()


def test_stuff_is_no_part_and_a_part_is_no_noun() -> None:
    config = detector.config()
    stuff = {word for words in config.stuff for word in words}
    assert not stuff & set(config.parts) and not set(config.parts) & set(detector.NOUNS)


def test_the_captioner_knows_every_word_of_other_scenes() -> None:
    known = set(captioner.known_words())
    for seed in range(300):
        assert set(split_words(caption(draw_scene(seed, "test"), np.random.default_rng(seed)))) <= known


def test_a_picture_with_things_of_every_group_can_be_asked_about() -> None:
    nouns = {NOUNS[noun].group: noun for noun in NOUNS if NOUNS[noun].group in detector.GROUPS}
    look = detector.look_at(0)
    things = tuple(Thing(noun, 0.5, 0.5, 0.3) for noun in nouns.values())
    crowd = look._replace(scene=replace(look.scene, things=things), masks=(look.masks[0],) * len(things))
    for seed in range(40):
        assert len(detector.questions(crowd, 12, np.random.default_rng(seed))) >= 12
