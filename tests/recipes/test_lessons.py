"""What the painters learn from: part edits among the edits of scenes, whose pictures, words and layouts agree."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pentimento.data import captions, part_captions, part_edits, store
from pentimento.data.close_ups import WHOLE, cut, frame_of, framed, window_of
from pentimento.data.edits import UNSEEN_EFFECTS, draw_weighted_edit, render_edit
from pentimento.data.portraits import named
from pentimento.data.thirty import THIRTY, draw_thirty
from pentimento.data.vocabulary import PLACES
from pentimento.recipes import autoencoder, inpaint, lessons
from pentimento.recipes.latents import CAPTIONS, edit_frames, edit_layouts, edit_windows, edit_words
from pentimento.recipes.layout import NAMELESS, PLANES, SIDE, TINTS, LayoutHead, importance, layout
from pentimento.recipes.lessons import WINDOW, PartLesson, draw_lesson, of_a_part
from pentimento.recipes.text import ids_of, tokenizer

PARTS = [draw_lesson(seed, 1.0) for seed in range(24)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK", 4)


def cells(mask: np.ndarray) -> np.ndarray:
    return mask.reshape(SIDE, len(mask) // SIDE, SIDE, -1).mean((1, 3))


def test_a_share_of_the_lessons_are_part_edits_and_which_ones_does_not_depend_on_their_number() -> None:
    assert [seed for seed in range(20) if of_a_part(seed, 0.2)] == [4, 9, 14, 19]
    assert not any(of_a_part(seed, 0.0) for seed in range(50)) and all(of_a_part(seed, 1.0) for seed in range(50))
    for share in (0.07, 0.3, 0.5):
        assert abs(sum(of_a_part(seed, share) for seed in range(1000)) - 1000 * share) <= 1


def test_without_part_edits_everything_is_made_of_scenes_alone(tmp_path: Path) -> None:
    tokens, count = tokenizer(tmp_path), 4
    words = edit_words(tmp_path, "captions", tokens, count, 0, lessons.described)
    pictures, layouts = lessons.edit_store(tmp_path, count, 0), edit_layouts(tmp_path, count, 0)
    for seed in range(count):
        edit, rng = draw_weighted_edit(seed, effects="seen"), np.random.default_rng([31, seed])
        frame, window = frame_of(edit, seed), window_of(edit, seed, WINDOW, SIDE)
        assert edit_frames(tmp_path, count, 0)[seed] == frame and edit_windows(tmp_path, count, 0)[seed] == window
        scenes = [(edit.before, edit.after)]
        scenes += [(framed(edit.before, seen), framed(edit.after, seen)) for seen in (frame, window)]
        for kind, sides in enumerate(scenes):
            said = [captions.training_caption(side, rng) for _ in range(CAPTIONS) for side in sides]
            assert (words[kind * count + seed].reshape(2 * CAPTIONS, -1) == ids_of(tokens, said).numpy()).all()
        shown = render_edit(edit)
        assert (pictures[seed] == np.stack([shown.before, shown.after])).all()
        assert (layouts[seed] == np.stack([layout(edit.before), layout(edit.after)])).all()
    assert not [path.name for path in tmp_path.iterdir() if "part" in path.name]


def test_files_of_another_share_have_other_names(tmp_path: Path) -> None:
    for share in (0.0, 0.5):
        edit_frames(tmp_path, 4, share)
        lessons.edit_store(tmp_path, 4, share)
    assert len(list(tmp_path.iterdir())) == 4
    plain, mixed = (lessons.edit_store(tmp_path, 4, share) for share in (0.0, 0.5))
    assert (plain[0] == mixed[0]).all() and (plain[1] != mixed[1]).any()
    assert (mixed[1] == draw_lesson(1, 1.0).pictures()).all()


def test_the_caption_of_a_whole_part_edit_names_what_changes() -> None:
    told = 0
    for lesson in PARTS:
        if lesson.words.kind in ("recolour", "material"):
            before, after = (
                part_captions.caption(part_captions.view_of(*side, WHOLE))
                for side in zip(lesson.edit.scenes, lesson.edit.masks, strict=True)
            )
            called = named(lesson.edit.scenes[1], lesson.edit.scenes[0].layers[lesson.edit.targets[0]].name)
            assert lesson.words.new in called and called in after and called not in before
            told += 1
    assert told > 5


def test_a_close_up_of_a_part_is_called_by_its_parts_alone() -> None:
    lesson = next(x for x in PARTS if x.edit.scenes[0].kind == "portrait" and x.frame().side < 0.6)
    rng = np.random.default_rng(0)
    whole = part_captions.view_of(lesson.edit.scenes[0], lesson.edit.masks[0], WHOLE)
    owner = lesson.edit.scenes[0].layers[0].owner
    assert part_captions.caption(whole).startswith(f"photo of a {owner} with")
    near = [
        part_captions.view_of(lesson.edit.scenes[0], lesson.edit.masks[0], f) for f in (lesson.frame(), lesson.window())
    ]
    assert all(set(view.shown.layers) < set(whole.shown.layers) for view in near)
    for view in near:
        for text in {part_captions.training_caption(view, rng) for _ in range(20)}:
            assert owner not in text or view.owner == owner


def test_what_nobody_can_see_is_in_no_caption() -> None:
    for lesson in PARTS:
        for side in zip(lesson.edit.scenes, lesson.edit.masks, strict=True):
            nothing = [np.zeros_like(mask) for mask in side[1]]
            assert not part_captions.view_of(side[0], nothing, WHOLE).shown.layers


def test_a_part_lies_where_its_layout_says() -> None:
    named = coloured = 0
    for lesson in PARTS:
        for plan, composition, masks in zip(lesson.layouts(), lesson.edit.scenes, lesson.edit.masks, strict=True):
            assert plan.shape == (len(PLANES), SIDE, SIDE)
            assert ((plan[0] < PLANES[0]) | (plan[0] == NAMELESS)).all() and (plan[1] < PLANES[1]).all()
            for tint in set(plan[1].ravel().tolist()) - {0}:
                own = [
                    m for x, m in zip(composition.layers, masks, strict=True) if TINTS[tint] in (x.colour, x.material)
                ]
                assert (cells(np.logical_or.reduce(own))[plan[1] == tint] >= 0.25).all()
                coloured += 1
            things = plan[0] >= len(PLACES)
            assert (cells(np.logical_or.reduce(list(masks)))[things] >= 0.25).all()
            named += things.any()
    assert named > 40 and coloured > 40


def test_a_person_is_a_thing_walls_are_not_and_what_has_no_noun_is_nameless() -> None:
    person, _ = next(x for x in PARTS if x.edit.scenes[0].kind == "portrait").layouts()
    assert len(set(person[0][person[0] >= len(PLACES)].tolist())) == 1 and (person[0] >= len(PLACES)).mean() > 0.3
    potatoes = next(x for x in PARTS if "mashed potatoes" in {layer.name for layer in x.edit.scenes[0].layers})
    plan = potatoes.layouts()[:1]
    assert 0.01 < (plan[:, 0] == NAMELESS).mean() < 0.4
    weight = importance(torch.from_numpy(plan), 3.0)
    assert (weight[0, 0].numpy()[plan[0, 0] == NAMELESS] == 3).all() and (weight == 1).any()


def test_nothing_is_learned_of_the_name_of_a_nameless_thing() -> None:
    head = LayoutHead(8)
    features = torch.randn(1, 8, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    plan = torch.zeros(1, len(PLANES), SIDE, SIDE, dtype=torch.uint8)
    plan[:, 0, 4:8] = NAMELESS
    loss = head.loss(features, plan)
    loss.backward()
    assert torch.isfinite(loss)
    nouns = head.read.bias.grad[len(PLACES) : PLANES[0]]
    assert torch.isfinite(nouns).all()
    plan[:, 0, 4:8] = len(PLACES)
    assert head.loss(features, plan) > loss


def test_windows_and_close_ups_of_part_edits_contain_the_part() -> None:
    whole = 0
    for lesson in PARTS:
        changed = lesson.edit.mask
        frame, window = lesson.frame(), lesson.window()
        assert cut(changed, frame).sum() == changed.sum()
        assert window.side == WINDOW / SIDE and (window.left * SIDE).is_integer() and (window.top * SIDE).is_integer()
        rows, columns = np.nonzero(changed)
        fits = max(np.ptp(rows), np.ptp(columns)) < (WINDOW - 1) * len(changed) / SIDE
        whole += fits
        assert cut(changed, window).sum() == changed.sum() if fits else cut(changed, window).any()
    assert whole > 8


def test_a_hole_in_a_part_edit_is_cut_after_the_part() -> None:
    for lesson in PARTS[:8]:
        plan = inpaint.changed_cells(lesson.pictures())
        assert ((plan == NAMELESS) == (cells(lesson.edit.mask) > 0)).all()
        holes = [inpaint.hole(plan, np.random.default_rng(seed)) for seed in range(60)]
        assert sum(hole[plan == NAMELESS].all() for hole in holes) > 30


def test_only_training_compositions_are_drawn_and_no_unseen_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    splits, draw = [], part_edits.draw_composition
    monkeypatch.setattr(part_edits, "draw_composition", lambda seed, split: splits.append(split) or draw(seed, split))
    drawn = [draw_lesson(seed, 1.0) for seed in range(6)]
    assert set(splits) == {"train"} and [x.edit.scenes for x in drawn] == [x.edit.scenes for x in PARTS[:6]]
    assert all(isinstance(x, PartLesson) and (x.words.kind, x.words.new) not in UNSEEN_EFFECTS for x in PARTS)
    asked = [draw_thirty(index) for index in range(len(THIRTY))]
    for lesson in PARTS:
        for picture in lesson.pictures():
            assert not any((picture == side).all() for case in asked for side in (case.before, case.after))


def test_crops_of_part_edits_come_besides_those_of_scenes(tmp_path: Path) -> None:
    settings = autoencoder.Settings(batch_size=4, channels=(8, 8, 8, 8), scenes=4, parts=0.5, data=tmp_path)
    batch = autoencoder.job(settings, tmp_path).batch
    pairs = lessons.part_store(tmp_path, 4)
    crops = ((torch.cat([batch(step, 4) for step in range(8)]) + 1) * 127.5).round().byte()
    whole = torch.from_numpy(np.concatenate([pairs[i] for i in range(4)])).permute(0, 3, 1, 2)
    corners = whole.unfold(2, 64, 1).unfold(3, 64, 1)[:, :, :, :, 0, :8]  # where each possible crop begins
    found = [
        any((corners == crop[None, :, None, None, 0, :8]).all(1).all(-1).any() for crop in (one, one.flip(-1)))
        for one in crops
    ]
    assert 8 < sum(found) < 26
    plain = autoencoder.job(settings.model_copy(update={"parts": 0.0}), tmp_path).batch(0, 4)
    scenes = store.scene_store(tmp_path, 4)
    assert torch.equal(plain, autoencoder.crops(scenes, store.Store(()), 0, 4, 64))
