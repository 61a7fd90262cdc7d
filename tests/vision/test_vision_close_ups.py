"""Close-ups in the vision recipes: every answer is true, what is absent finds nothing, and share 0 is as before."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from pentimento.data.part_edits import PartEdit
from pentimento.data.portraits import draw_composition, parts_scene
from pentimento.data.scenes import Scene, Thing, generator
from pentimento.data.thirty import THIRTY, WORDS
from pentimento.recipes import detector, naming, panoptic, parts, segmenter
from pentimento.training import warm_start
from pentimento.vision.detector import DetectorNet

PACK = Path(detector.__file__).parents[1] / "packs" / "miniature"


def same(masks: tuple[np.ndarray, ...], others: tuple[np.ndarray, ...]) -> bool:
    return {mask.tobytes() for mask in masks} == {mask.tobytes() for mask in others}


def test_every_answer_about_a_close_up_is_true() -> None:
    checked = set()
    for seed in range(60):
        truth = parts_scene(seed).phrases
        look, rng = detector.close_up(seed), np.random.default_rng(seed)
        for question in detector.questions(look, 12, rng):
            assert all(mask.any() for mask in question.masks)
            if question.masks and question.phrase in truth and question.kind != "stuff":
                least = parts.SMALLEST_WORN if question.kind == "part" else parts.SMALLEST
                visible = tuple(mask for mask in truth[question.phrase] if mask.sum() >= least)
                assert same(question.masks, visible), question.phrase
                checked.add(question.phrase)
    assert {"hair", "lips", "ceiling", "main door", "garage door"} <= checked


def test_what_a_close_up_does_not_show_finds_nothing() -> None:
    for seed in range(60):
        truth = parts_scene(seed).phrases
        look, rng = detector.close_up(seed), np.random.default_rng(seed)
        false = [question.phrase for question in detector.questions(look, 12, rng) if not question.masks]
        assert len(false) >= 5 and not set(false) & set(truth)


def test_both_doors_of_a_house_are_doors_and_each_has_its_own_name() -> None:
    masks = {name: np.eye(128, k=k, dtype=bool) for k, name in enumerate(("main door", "garage door"))}
    house = [parts.Part(name, "red" if name == "main door" else "blue", mask) for name, mask in masks.items()]
    asked = [q for seed in range(40) for q in parts.true_of_parts(house, np.random.default_rng(seed))]
    found = {question.phrase: question.masks for question in asked}
    assert same(found["door"], tuple(masks.values()))
    assert same(found["garage door"], (masks["garage door"],)) and same(found["front door"], (masks["main door"],))
    assert same(found["red door"], (masks["main door"],)) and same(found["blue door"], (masks["garage door"],))


def test_white_hairs_are_the_white_hair() -> None:
    hair = parts.Part("hair", "white", np.eye(128, dtype=bool))
    asked = {q.phrase for seed in range(40) for q in parts.true_of_parts([hair], np.random.default_rng(seed))}
    assert asked == {"hair", "hairs", "white hair", "white hairs"}
    denied = {parts.false_of_parts([hair], ("background",), np.random.default_rng(seed)) for seed in range(400)}
    assert "brown hair" in denied and not denied & asked


def test_the_phrases_of_the_thirty_are_what_their_parts_are_called() -> None:
    for i, (stage, asked) in enumerate(zip(THIRTY, WORDS, strict=True)):
        edit = stage.draw(generator("test", i, 5), asked.words)
        if isinstance(edit, PartEdit):
            layers = [edit.scenes[0].layers[target] for target in edit.targets]
            words = {(parts.look_of(layer), word) for layer in layers for word in naming.called(layer.name)}
            known = {said for look, word in words for said in (word, f"{look} {word}")} | set(naming.STUFF["wall"])
            assert set(edit.words.find) <= known


def test_no_picture_of_the_thirty_is_trained_on() -> None:
    trained = {draw_composition(seed).seed for seed in range(3000)}
    for variant in range(4):
        for i, stage in enumerate(THIRTY):
            edit = stage.draw(generator("test", variant * len(THIRTY) + i, 5), WORDS[i].words)
            assert not isinstance(edit, PartEdit) or edit.scenes[0].seed not in trained


def test_no_two_parts_want_the_same_cell_of_a_heat_map() -> None:
    for seed in range(30):
        seen = [(naming.is_part(p.name), detector.box_of(p.mask)) for p in detector.close_up(seed).parts if p.is_seen]
        middles = [(kind, (left + right) // 8, (top + bottom) // 8) for kind, (left, top, right, bottom) in seen]
        assert len(set(middles)) == len(middles)


def test_things_of_close_ups_do_not_overlap_and_have_nouns() -> None:
    for seed in range(20):
        shown = panoptic.things(detector.close_up(seed, kinds=panoptic.KINDS))
        assert sum((mask.astype(int) for _, mask in shown), np.zeros((128, 128), int)).max() <= 1
        assert {name for name, _ in shown} <= set(naming.NOUNS)


def test_surfaces_and_parts_cover_a_room() -> None:
    look = detector.close_up(0, kinds=("room",))
    covered = np.logical_or.reduce([look.stuff["background"], *(part.mask for part in look.parts)])
    assert covered.all() and not (look.stuff["wall"] & look.stuff["floor"]).any()
    assert not any((look.stuff["wall"] & part.mask).any() for part in look.parts)


def test_a_scene_is_asked_for_parts_that_no_thing_in_it_may_have() -> None:
    scene = Scene(0, (Thing("sofa", 0.5, 0.5, 0.4),), "room")
    look = detector.look_at(0)._replace(scene=scene, masks=(np.eye(128, dtype=bool),))
    asked = detector.questions(look, 12, np.random.default_rng(0), absent_parts=1.0)
    named = {word for name in naming.CALLED for word in naming.called(name)}
    false = [question.phrase for question in asked if not question.masks]
    assert false and set(false) <= named


def test_without_close_ups_no_batch_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = [seed for seed in range(8) if not detector.drawn_at(seed, "train", 0.5).parts]
    assert 0 < len(seeds) < 8
    mixed = dict(enumerate(detector.batch(8, 4, 0, 16, portraits=0.5).pictures))
    monkeypatch.delattr(detector, "close_up")
    monkeypatch.delattr(detector, "absent_part")
    plain = detector.batch(8, 4, 0, 16, portraits=0.0)
    assert all(torch.equal(a, b) for a, b in zip(plain, detector.batch(8, 4, 0, 16), strict=True))
    for seed in range(8):
        alike = [torch.equal(plain.pictures[i], mixed[i]) for i in (2 * seed, 2 * seed + 1)]
        assert alike == [seed in seeds] * 2
    segmenter.batch(2, 0, 4, portraits=0.0)
    panoptic.batch(2, 0, 4, portraits=0.0)


@pytest.mark.parametrize("recipe", [detector, segmenter, panoptic])
def test_close_ups_alone_train(recipe: ModuleType, tmp_path: Path) -> None:
    eyes = detector.job(detector.Settings(), tmp_path)
    eyes.export(eyes.model, tmp_path)  # the panoptic model looks through them
    job = recipe.job(recipe.Settings(portraits=1.0), tmp_path)
    first, again = job.batch(1, 4), job.batch(1, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    value = job.loss(job.model.train(), first, torch.Generator().manual_seed(0))
    value.backward()
    assert torch.isfinite(value) and all(p.grad is not None for p in job.model.parameters() if p.requires_grad)


def test_the_embedded_detector_goes_on_training() -> None:
    assert warm_start(DetectorNet(detector.config()), PACK / detector.FOLDER)
