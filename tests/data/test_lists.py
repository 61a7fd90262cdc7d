"""The two lists of the papers: InstructEdit's thirty and TOP-Bench's twenty-five, as exact pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pentimento.data import effects, thirty, words
from pentimento.data.effects import EFFECTS, GLOBAL, LOCAL, effect_pair, write_topbench
from pentimento.data.thirty import THIRTY, draw_thirty
from pentimento.errors import RequestError


@pytest.mark.parametrize("index", range(30))
def test_each_of_the_thirty_has_a_target_and_an_exact_after_picture(index: int) -> None:
    case = draw_thirty(index, variant=1, size=64)
    assert case.text == words.THIRTY[index].text
    assert case.target.any() and case.mask.any()
    assert np.array_equal(case.before[~case.mask], case.after[~case.mask])
    assert (case.mask & case.target).sum() > 0.25 * case.target.sum()
    assert case.plan.find == tuple(case.plan.find) and case.plan.before != case.plan.after
    again = draw_thirty(index, variant=1, size=64)
    assert np.array_equal(case.after, again.after)


def test_variants_of_the_thirty_differ_and_number_thirty_one_does_not_exist() -> None:
    assert len(THIRTY) == len(words.THIRTY) == 30
    assert not np.array_equal(draw_thirty(2, 0, 64).before, draw_thirty(2, 1, 64).before)
    with pytest.raises(IndexError):
        draw_thirty(30)


def test_stand_ins_are_named() -> None:
    named = {words.THIRTY[i].text: stage.stand_in for i, stage in enumerate(thirty.THIRTY) if stage.stand_in}
    assert any("pikachu" in text for text in named)


def test_the_effects_are_those_of_table_3() -> None:
    assert len(EFFECTS) == len({e.name for e in EFFECTS}) == 25
    assert set(LOCAL) == {
        "boy2girl", "glasses", "4dboy", "apple", "cake", "cloud kitty", "dog2cat", "juice", "read books", "smile",
        "traffic lights",
    }  # fmt: skip
    assert len(GLOBAL) == 14
    assert {e.name for e in EFFECTS if not e.seen} == {
        "wallpaper", "charcoal", "painting snow", "purple", "snow", "cake", "juice", "lava", "rain", "traffic lights",
    }  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e.name)
def test_pairs_of_an_effect_are_exact_and_repeatable(effect: effects.Effect) -> None:
    first, other = effect_pair(effect.name, 0, "train", 64), effect_pair(effect.name, 0, "test", 64)
    assert first.before.shape == first.after.shape == (64, 64, 3)
    assert not np.array_equal(first.before, first.after) and not np.array_equal(first.before, other.before)
    assert np.array_equal(first.after, effect_pair(effect.name, 0, "train", 64).after)
    changed = (first.before != first.after).any(-1).mean()
    assert changed < 0.6 if effect.local else changed > 0.05


def test_pairs_that_do_not_exist_are_refused() -> None:
    for name, index, split in (("blizzard", 0, "train"), ("snow", 5, "test"), ("snow", 0, "validation")):
        with pytest.raises(RequestError):
            effect_pair(name, index, split)


def test_topbench_is_written_in_the_published_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "EFFECTS", EFFECTS[:2])
    write_topbench(tmp_path / "bench", 32)
    files = sorted(p.relative_to(tmp_path / "bench").as_posix() for p in (tmp_path / "bench").rglob("*.png"))
    assert len(files) == 2 * (10 + 5) * 2
    assert "boy2girl/train/9_0.png" in files and "midnight/test/4_1.png" in files
    with Image.open(tmp_path / "bench/midnight/test/4_1.png") as picture:
        assert np.array_equal(np.asarray(picture), effect_pair("midnight", 4, "test", 32).after)
