"""Close-ups: every part is a layer with its exact mask, and part edits touch their part."""

import numpy as np
import pytest

from pentimento.data import part_edits, portraits
from pentimento.data.edits import UNSEEN_EFFECTS
from pentimento.data.part_edits import PART_KINDS, draw_part_edit
from pentimento.data.portraits import (
    KINDS,
    Composition,
    draw_composition,
    parts_scene,
    render_composition,
)
from pentimento.data.scenes import held_out


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_close_up(kind: str) -> None:
    composition = draw_composition(3, "test", (kind,))
    assert composition == draw_composition(3, "test", (kind,)) != draw_composition(3, "train", (kind,))
    portraits._painted.cache_clear()
    first = render_composition(composition, 64)
    portraits._painted.cache_clear()
    assert np.array_equal(first.image, render_composition(composition, 64).image)


@pytest.mark.parametrize("kind", KINDS)
def test_visible_masks_of_layers_never_meet(kind: str) -> None:
    rendering = render_composition(draw_composition(1, "test", (kind,)), 64)
    assert np.sum([m.astype(int) for m in rendering.masks], axis=0).max() == 1


@pytest.mark.parametrize("kind", PART_KINDS)
def test_a_part_edit_changes_something_and_nothing_outside_its_mask(kind: str) -> None:
    for seed in range(5):
        edit = draw_part_edit(seed, "test", (kind,), size=64)
        assert edit.words.kind == edit.plan.kind or kind == "replace"
        assert edit.target.any() and edit.mask.any()
        assert np.array_equal(edit.before[~edit.mask], edit.after[~edit.mask])
        assert edit.plan.before != edit.plan.after


def test_a_recoloured_part_changes_only_itself_and_its_soft_edge() -> None:
    for seed in range(6):
        edit = draw_part_edit(seed, "train", ("recolour",), size=64)
        grown = edit.target.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                grown |= np.roll(edit.target, step, axis)
        assert (edit.mask & ~grown).sum() <= 0.05 * edit.target.sum() + 4


def test_held_out_combinations_and_unseen_effects_stay_out_of_training() -> None:
    drawn = [draw_composition(seed, "train") for seed in range(150)]
    for layer in (layer for composition in drawn for layer in composition.layers):
        assert not (layer.colour and held_out(layer.name, layer.colour)), layer
    seen = [draw_part_edit(seed, "train", effects="seen", size=32) for seed in range(20)]
    assert not any((e.words.kind, e.words.new) in UNSEEN_EFFECTS for e in seen)


def test_phrases_of_a_close_up_name_what_is_there() -> None:
    for seed in range(8):
        shown = parts_scene(seed, "test", 64)
        assert shown.image.shape == (64, 64, 3) and shown.caption.startswith("photo of ")
        for phrase, masks in shown.phrases.items():
            assert masks and all(mask.any() and mask.shape == (64, 64) for mask in masks), phrase


def test_red_tie_and_tie_are_the_same_thing() -> None:
    composition = portraits.portrait(np.random.default_rng(0), "test", "man", ("tie",))
    red = part_edits.recoloured(composition, "tie", "red")
    rendering = render_composition(red, 64)
    (tie,) = portraits.instances(red, "tie")
    assert red.layers[tie[0]].phrase == "red tie"
    assert np.array_equal(rendering.parts["tie"], rendering.masks[tie[0]])
    assert rendering.image[rendering.parts["tie"]].mean(0).argmax() == 0


def test_captions_of_close_ups_name_the_person_and_what_is_worn() -> None:
    composition = portraits.portrait(np.random.default_rng(1), "test", "woman", ("glasses", "scarf"), "white", "green")
    said = portraits.caption(composition)
    assert said.startswith("photo of a woman with white hair")
    assert "green jacket" in said and "scarf" in said and "glasses" in said


def test_a_part_can_be_removed_and_a_smile_takes_the_lips_place() -> None:
    rng = np.random.default_rng(2)
    composition = portraits.portrait(rng, "test", "boy", ("glasses",))
    bare = part_edits.removed(composition, "glasses")
    assert isinstance(bare, Composition) and len(bare.layers) == len(composition.layers) - 1
    names = [layer.name for layer in part_edits.with_worn(bare, "smile", rng, "test").layers]
    assert "smile" in names and "lips" not in names
