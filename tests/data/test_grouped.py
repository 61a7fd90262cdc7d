"""Groups of the drawn world: one instruction, five different scenes, exact edits that it fits."""

import numpy as np
import pytest

from pentimento.data.edits import UNSEEN_EFFECTS, references, render_edit
from pentimento.data.grouped import DrawnGroup, draw_group
from pentimento.values import KINDS

GROUPS = [draw_group(3, number) for number in range(60)]


def test_a_group_is_a_function_of_seed_number_and_split() -> None:
    assert draw_group(3, 7) == GROUPS[7]
    assert draw_group(4, 7) != GROUPS[7] != draw_group(3, 7, "test")


def test_a_group_is_of_one_of_the_kinds_that_are_asked_for() -> None:
    assert [draw_group(0, number, "test", kinds=("move",)).group.kind for number in range(4)] == ["move"] * 4


def test_captions_that_tell_no_difference_make_no_group() -> None:
    group = draw_group(0, 4, "test", kinds=("move",))
    assert len(group.edits) == 5 and all(pair.before != pair.after for pair in group.group.pairs)


def test_every_kind_of_edit_comes_and_no_withheld_effect() -> None:
    said = [edit.words for group in GROUPS for edit in group.edits]
    assert {words.kind for words in said} == set(KINDS)
    assert not {(words.kind, words.new) for words in said} & UNSEEN_EFFECTS


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.group.kind)
def test_the_five_edits_are_one_edit_of_five_scenes(group: DrawnGroup) -> None:
    assert len(group.edits) == 5 == len({edit.before for edit in group.edits})
    assert len({edit.words for edit in group.edits}) == 1
    for edit in group.edits:
        for target in edit.targets:
            meant = [r for r in references(edit.before) if (r.phrase, r.which) == (edit.words.find[0], "best")]
            assert [r.targets for r in meant] == [(target,)]


@pytest.mark.parametrize("group", GROUPS[::4], ids=lambda group: group.group.kind)
def test_every_edit_can_be_seen(group: DrawnGroup) -> None:
    for edit in group.edits:
        shown = render_edit(edit, 48)
        assert (np.abs(shown.before.astype(int) - shown.after).max(-1) > 8).sum() >= 4


def test_what_words_leave_open_is_the_same_in_a_group() -> None:
    hats = [group for group in GROUPS if group.group.kind == "add" and group.edits[0].targets]
    assert hats
    for group in hats:
        worn = {(edit.after.things[edit.targets[0]].wears, edit.after.things[edit.targets[0]].look)
                for edit in group.edits}  # fmt: skip
        assert len(worn) == 1


def test_the_captions_differ_only_where_the_edit_does() -> None:
    for group in GROUPS:
        for pair in group.group.pairs:
            assert pair.before != pair.after
            if group.group.kind in ("recolour", "material", "replace"):
                assert len(pair.before.split(", ")) == len(pair.after.split(", "))
