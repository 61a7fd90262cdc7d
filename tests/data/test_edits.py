"""Edits are exact: what the words mean is what changes, and nothing else does."""

from functools import cache

import numpy as np
import pytest

from pentimento.data import captions
from pentimento.data.edits import (
    LOCAL_KINDS,
    UNSEEN_EFFECTS,
    WEIGHTS,
    Edit,
    draw_edit,
    draw_weighted_edit,
    render_edit,
)
from pentimento.data.export import box_of
from pentimento.data.scenes import Rendering, atmosphere, held_out, render
from pentimento.data.vocabulary import COLOURS, MATERIALS
from pentimento.language import lexicon
from pentimento.language.captions import plan_of
from pentimento.values import KINDS, Box
from pentimento.vision.select import select


@cache
def edits(split: str, count: int, kinds: tuple[str, ...] = KINDS) -> tuple[Edit, ...]:
    return tuple(draw_edit(seed, split, kinds) for seed in range(count))


def found(edit: Edit, rendering: Rendering) -> list[int]:
    """The things that a perfect detector and `select` choose for the words, from the boxes of what is visible."""
    phrase = edit.words.find[0]
    one = lexicon.singular(phrase) if edit.words.which == "all" else phrase
    named = [i for i, t in enumerate(edit.before.things) if one in (t.noun, captions.phrase(t))]
    boxes = {Box(*map(float, box_of(rendering.masks[i])), phrase=phrase): i for i in named}
    if edit.words.which == "best":
        assert len(named) == 1, f"{phrase!r} names {len(named)} things"
    return sorted(boxes[box] for box in select(tuple(boxes), edit.words.which))


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_words_lead_to_the_target_and_to_nothing_else(split: str) -> None:
    pointing = [edit for edit in edits(split, 300, LOCAL_KINDS) if edit.targets]
    wrong = []
    for edit in pointing:
        rendering = render(edit.before)
        assert all(rendering.masks[i].sum() >= 30 for i in edit.targets)
        if found(edit, rendering) != sorted(edit.targets):
            wrong.append(edit.words)
    assert len(wrong) <= 0.005 * len(pointing), wrong


def test_every_kind_is_drawn_and_the_same_seed_gives_the_same_edit() -> None:
    assert {edit.words.kind for edit in edits("train", 400)} == set(KINDS)
    for seed in range(8):
        assert draw_edit(seed, "test") == draw_edit(seed, "test")
        first, second = render_edit(draw_edit(seed, "test")), render_edit(draw_edit(seed, "test"))
        assert np.array_equal(first.after, second.after) and np.array_equal(first.target, second.target)


def test_pixels_outside_the_mask_are_identical_and_some_inside_differ() -> None:
    for edit in edits("validation", 60):
        shown = render_edit(edit)
        assert np.array_equal(shown.before[~shown.mask], shown.after[~shown.mask])
        assert shown.target.any()
        assert shown.mask.any(), edit.words


def test_a_recolouring_stays_on_its_target() -> None:
    for edit in edits("test", 30, ("recolour",)):
        if edit.before.style != "photo":
            continue  # a drawing style blurs beyond the edge
        shown = render_edit(edit)
        assert (shown.mask & ~shown.target).sum() < 0.6 * shown.target.sum() + 60  # soft edges


def test_held_out_combinations_come_after_no_training_edit() -> None:
    for edit in edits("train", 500, LOCAL_KINDS):
        for thing in edit.after.things:
            assert not (thing.colour and held_out(thing.noun, thing.colour))
            assert not (thing.material and held_out(thing.noun, thing.material))
            assert thing.look in atmosphere.TRAINED_LOOKS


def test_unseen_effects_can_be_kept_out_or_asked_for() -> None:
    seen = [draw_edit(i, effects="seen").words for i in range(150)]
    unseen = [draw_edit(i, effects="unseen").words for i in range(20)]
    assert not any((w.kind, w.new) in UNSEEN_EFFECTS for w in seen)
    assert all((w.kind, w.new) in UNSEEN_EFFECTS for w in unseen)


def test_words_become_plans_with_two_different_captions() -> None:
    for edit in edits("train", 400):
        plan = plan_of(edit.words.kind, edit.words.find, edit.words.which, edit.words.new)
        assert plan.before != plan.after
        assert plan.kind == edit.words.kind or edit.words.kind == "replace"


def test_what_a_recolouring_is_called_exists() -> None:
    assert all(e.words.new in COLOURS for e in edits("test", 30, ("recolour",)))
    assert all(e.words.new in MATERIALS for e in edits("test", 20, ("material",)))


def test_lessons_have_kinds_as_often_as_their_weights_say() -> None:
    kinds = [draw_weighted_edit(seed, effects="seen").words.kind for seed in range(400)]
    assert draw_weighted_edit(7) == draw_weighted_edit(7)
    total = sum(WEIGHTS[kind] for kind in KINDS)
    for kind in KINDS:
        wanted = WEIGHTS[kind] / total
        assert abs(kinds.count(kind) / 400 - wanted) < 4 * (wanted * (1 - wanted) / 400) ** 0.5, kind
