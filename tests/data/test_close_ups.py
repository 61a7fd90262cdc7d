import numpy as np
import pytest

from pentimento.data.close_ups import Frame, close_layout, close_up, frame_of, framed
from pentimento.data.edits import draw_edit, render_edit
from pentimento.data.scenes import Scene, Thing


def test_a_frame_lies_inside_the_picture_and_holds_the_changed_things() -> None:
    for seed in range(60):
        edit = draw_edit(seed)
        frame = frame_of(edit, seed)
        assert 0 <= frame.left <= frame.left + frame.side <= 1 + 1e-9
        assert 0 <= frame.top <= frame.top + frame.side <= 1 + 1e-9
        if len(edit.targets) == 1 and edit.words.kind in ("replace", "recolour"):
            assert framed(edit.before, frame).things, "the thing that changes is in the frame"


def test_what_a_frame_shows_of_a_scene_lies_where_it_lies_in_the_close_up() -> None:
    edit = draw_edit(3, kinds=("recolour",))
    frame = frame_of(edit, 3)
    pair = render_edit(edit)
    changed = (close_up(pair.before, frame) != close_up(pair.after, frame)).any(-1)
    rows, columns = np.nonzero(changed)
    near = framed(edit.before, frame)
    thing = min(near.things, key=lambda t: abs(t.x * 128 - columns.mean()) + abs(t.y * 128 - rows.mean()))
    assert abs(columns.mean() / 128 - thing.x) < 0.15
    assert abs(rows.mean() / 128 - thing.y) < 0.15


def test_things_outside_the_frame_are_gone_and_others_grow() -> None:
    scene = Scene(1, (Thing("cat", 0.25, 0.5, 0.3), Thing("dog", 0.8, 0.5, 0.3)))
    seen = framed(scene, Frame(0.0, 0.25, 0.5))
    assert [t.noun for t in seen.things] == ["cat"]
    assert seen.things[0].size == pytest.approx(0.6)
    assert (seen.things[0].x, seen.things[0].y) == pytest.approx((0.5, 0.5))


def test_the_whole_picture_is_its_own_close_up() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    layout = np.arange(2 * 16 * 16).reshape(2, 16, 16) % 251
    assert (close_up(picture, Frame(0, 0, 1)) == picture).all()
    assert (close_layout(layout, Frame(0, 0, 1)) == layout).all()
    assert (close_layout(layout, Frame(0.5, 0.25, 0.5))[0, 0] == np.repeat(layout[0, 4, 8:], 2)).all()
