"""What creatures do: drawn on their own ground, inside the picture, exactly where masks and words say; nothing else
of the world has changed."""

import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pentimento.data import art, words
from pentimento.data.captions import caption
from pentimento.data.edits import Edit, draw_edit, render_edit
from pentimento.data.forms import FORMS
from pentimento.data.grouped import ACTIONS, draw_group, drawn_group
from pentimento.data.judging import belief, questions
from pentimento.data.poses import CREATURES, POSES, STANDING
from pentimento.data.scenes import Scene, Thing, draw_scene, is_inside, render
from pentimento.data.vocabulary import NOUNS

SIZE = 128
STOOD = Thing("snowman", 0.5, 0.6, 0.4)
FAMILIES = (*art.FAMILIES, art.HELD_OUT_FAMILY)


@cache
def actions(count: int = 60) -> tuple[Edit, ...]:
    return tuple(draw_edit(seed, "test", ("action",)) for seed in range(count))


def mask_of(thing: Thing) -> np.ndarray:
    return render(Scene(0, (thing,)), SIZE).masks[0]


def sides(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is True."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_scenes_edits_and_words_of_old_seeds_are_drawn_as_they_always_were() -> None:
    scenes = b"".join(render(draw_scene(seed, "test"), 64).image.tobytes() for seed in range(12))
    edits = [draw_edit(seed, "train") for seed in range(12)]
    shown = [render_edit(edit, 64) for edit in edits]
    said = "\n".join(
        words.instruction(edit.words, np.random.default_rng(7), held) for edit in edits for held in (False, True)
    )
    assert zlib.crc32(scenes) == 953145401
    assert zlib.crc32(b"".join(one.before.tobytes() + one.after.tobytes() for one in shown)) == 2685379395
    assert zlib.crc32(said.encode()) == 953357569


def test_only_people_and_animals_take_poses_and_every_pose_can_be_asked_for() -> None:
    assert {noun for noun, known in NOUNS.items() if known.group in ("person", "animal")} == set(CREATURES)
    assert {pose for poses in CREATURES.values() for pose in poses} == set(POSES)
    assert {new for kind, new in FORMS if kind == "action"} == set(POSES)


def test_a_lying_creature_is_as_wide_as_it_was_high_on_the_same_ground() -> None:
    stood, lying = sides(mask_of(STOOD)), sides(mask_of(replace(STOOD, pose="lying down")))
    assert lying[2] - lying[0] > stood[2] - stood[0] + 4
    assert lying[2] - lying[0] == pytest.approx(stood[3] - stood[1], abs=1)
    assert lying[3] - lying[1] == pytest.approx(stood[2] - stood[0], abs=1)
    assert lying[3] == pytest.approx(stood[3], abs=1)


def test_a_jumping_creature_moves_up_and_leaves_its_shadow_behind() -> None:
    jumping = replace(STOOD, pose="jumping")
    before, after = mask_of(STOOD), mask_of(jumping)
    up = sides(before)[3] - sides(after)[3]
    assert up == pytest.approx(POSES["jumping"].lift * STOOD.size * SIZE, abs=1)
    assert np.array_equal(before[up:], after[:-up])
    stood, jumped, empty = (render(Scene(0, things), SIZE).image for things in ((STOOD,), (jumping,), ()))
    shadow = (stood != empty).any(-1)
    shadow[: sides(before)[3]] = False
    assert shadow.sum() > 10 and np.array_equal(stood[shadow], jumped[shadow])


def test_a_headstand_is_the_creature_upside_down_on_the_same_ground() -> None:
    stood, turned = mask_of(STOOD), mask_of(replace(STOOD, pose="doing a headstand"))
    (left, top, right, bottom), other = sides(stood), sides(turned)
    assert other[3] == pytest.approx(bottom, abs=1)
    assert np.array_equal(stood[top:bottom, left:right][::-1], turned[other[1] : other[3], other[0] : other[2]])


def test_a_mirrored_creature_takes_its_pose_the_other_way_round() -> None:
    for pose in POSES:
        one, other = (mask_of(replace(STOOD, noun="ghost", pose=pose, flip=flip)) for flip in (False, True))
        across = other[:, ::-1]
        assert (one ^ across).sum() < 0.08 * one.sum(), pose  # a column of rounding


@pytest.mark.parametrize("noun", CREATURES)
def test_every_pose_can_be_told_from_standing_and_stands_where_the_creature_stood(noun: str) -> None:
    for family in FAMILIES:
        stood = replace(STOOD, noun=noun, family=family)
        before = render(Scene(0, (stood,)), SIZE)
        for pose in CREATURES[noun]:
            posed = replace(stood, pose=pose)
            after = render(Scene(0, (posed,)), SIZE)
            differs = np.abs(before.image.astype(int) - after.image).max(-1) > 24
            assert differs.sum() > 0.2 * before.masks[0].sum(), (family, pose)
            assert is_inside(posed)
            if not POSES[pose].lift:
                assert sides(after.masks[0])[3] == pytest.approx(sides(before.masks[0])[3], abs=2), (family, pose)


def test_a_picture_without_room_for_a_pose_is_known() -> None:
    assert is_inside(replace(STOOD, pose="jumping"))
    assert not is_inside(replace(STOOD, y=0.25, pose="jumping"))
    assert not is_inside(replace(STOOD, x=0.17, pose="lying down"))


def test_actions_are_drawn_only_when_they_are_asked_for() -> None:
    assert {edit.words.kind for edit in actions()} == {"action"}
    assert {edit.words.new for edit in actions()} == set(POSES)
    assert all(thing.pose == STANDING for seed in range(60) for thing in draw_edit(seed).after.things)


def test_an_action_changes_one_creature_inside_the_picture_and_its_masks_are_exact() -> None:
    for edit in actions():
        (target,) = edit.targets
        stood, posed = edit.before.things[target], edit.after.things[target]
        assert posed == replace(stood, pose=edit.words.new) and is_inside(posed)
        assert edit.after == replace(edit.before, things=edit.after.things)
        assert [i for i, pair in enumerate(zip(edit.before.things, edit.after.things, strict=True))
                if pair[0] != pair[1]] == [target]  # fmt: skip
        shown = render_edit(edit, 64)
        assert np.array_equal(shown.mask, (shown.before != shown.after).any(-1)) and shown.mask.sum() > 20
        assert np.array_equal(shown.target, render(edit.before, 64).masks[target])


def test_captions_before_and_after_differ_by_what_the_creature_does_alone() -> None:
    for edit in actions():
        before, after = (caption(scene, np.random.default_rng(5)) for scene in (edit.before, edit.after))
        assert after != before == after.replace(f" {edit.words.new}", "")
    said = caption(Scene(0, (replace(STOOD, noun="cat", pose="jumping", wears=("hat",)),)), np.random.default_rng(0))
    assert said.startswith("photo of a cat jumping with a hat")


@pytest.mark.parametrize("number", range(6))
def test_a_group_is_one_action_of_five_scenes_with_ten_different_captions(number: int) -> None:
    group = draw_group(1, number, "validation", kinds=("action",))
    assert group.group.kind == "action" and len({edit.words for edit in group.edits}) == 1
    assert len({edit.before for edit in group.edits}) == 5
    new = group.edits[0].words.new
    assert [pair.before for pair in group.group.pairs] == [
        pair.after.replace(f" {new}", "") for pair in group.group.pairs
    ]
    assert len({said for pair in group.group.pairs for said in (pair.before, pair.after)}) == 10


def test_every_twenty_fifth_group_of_a_drawn_set_is_an_action_and_the_others_stay_as_they_are() -> None:
    assert drawn_group(0, ACTIONS - 1).group.kind == "action"
    for number in (0, 3, ACTIONS):
        assert drawn_group(0, number) == draw_group(0, number)


class NoJudge:
    """Fails when it is asked."""

    words: dict[str, tuple[str, ...]] = {}
    thresholds: dict[str, float] = {}

    def probabilities(self, views: object) -> dict[str, np.ndarray]:
        raise AssertionError("asked")


def test_no_judge_is_asked_about_an_action_and_none_is_believed() -> None:
    assert questions(actions()[0]) == ()
    assert np.isnan(belief(NoJudge(), actions()[0], render_edit(actions()[0]).after))
