"""Pairs that a pack paints: the best of many that pass, the same whoever paints them, from groups of every source."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pentimento.data import likeness
from pentimento.data.likeness import Likeness, quantiles
from pentimento.data.painting import Painter, Painting, painted
from pentimento.errors import PackError, PlanError, RequestError
from pentimento.packs.miniature_pack import FIXED
from pentimento.settings import build
from scripted import Scripted
from toy import ToyPack
from toy_prompts import GROUPS, PAINTING, PaintingPack, ToyClip, open_toy, order

WITHHELD = PAINTING.withheld


def painter(tmp_path: Path, **settings: object) -> Painter:
    return Painter(open_toy(), PAINTING.model_copy(update=settings), 0, "train", GROUPS, tmp_path)


def test_the_best_of_the_seeds_is_kept_with_what_it_was_made_by(tmp_path: Path) -> None:
    many = painter(tmp_path, seeds=4)
    singles = [replace_draws(many, k)(0).pairs for k in range(4)]
    for i, best in enumerate(many(0).pairs):
        directions = [pairs[i].about["direction"] for pairs in singles]
        k = best.about["seed"]
        assert best.about["direction"] == pytest.approx(max(directions), abs=1e-4) and k == int(np.argmax(directions))
        assert 0.1 <= best.about["threshold"] <= 0.9 and 7.5 <= best.about["guidance"] <= 15
        difference = np.asarray(best.pair.before, int) - np.asarray(singles[k][i].pair.before, int)
        assert np.abs(difference).max() <= 1


def replace_draws(whole: Painter, k: int) -> Painter:
    """A painter whose only seed is number k of the whole one's."""

    class One(Painter):
        def _draw(self, number: int, index: int, _: int):
            return whole._draw(number, index, k)

    return One(whole.pack, whole.painting.model_copy(update={"seeds": 1}), 0, "train", GROUPS, whole.work)


def test_pairs_that_do_not_reach_the_thresholds_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    assert len(painter(tmp_path / "all")(0).pairs) == 2
    for name in ("image", "text", "direction"):
        (tmp_path / name).mkdir()
        assert painter(tmp_path / name, **{name: 0.9999})(0).pairs == ()


def test_how_many_are_painted_at_once_changes_only_the_last_bits(tmp_path: Path) -> None:
    one, three = (painter(tmp_path, batch=batch)(1).pairs for batch in (1, 3))
    assert [pair.about["seed"] for pair in one] == [pair.about["seed"] for pair in three]
    for single, several in zip(one, three, strict=True):
        difference = np.asarray(single.pair.after, int) - np.asarray(several.pair.after, int)
        assert np.abs(difference).max() <= 2


def test_threads_are_given_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        painter(tmp_path)(0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_pairs_must_reach_are_the_settings_or_those_quantiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness, "MEASURED", 4)
    asked = {"image": 0.1, "text": 0.2, "direction": 0.3}
    assert painter(tmp_path, **asked)._least == Likeness(**asked)
    measured = painter(tmp_path, **asked, measure="quantile")
    assert measured._least == quantiles(ToyClip(), Likeness(**asked), measured.pack.text_to_image.size, WITHHELD)
    assert (tmp_path / "least.json").is_file()


def test_a_group_that_was_written_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    pairs = [{"before": f"a cat {i}", "after": f"a dog {i}"} for i in range(5)]
    chat = Scripted(json.dumps({"instruction": "a dog", "pairs": pairs}))

    def another(pack: PaintingPack) -> Painter:
        return Painter(pack, PAINTING.model_copy(update={"seeds": 1}), 0, "train", (), tmp_path)

    first = another(PaintingPack(chat=chat))(3)
    second = another(PaintingPack(chat=None))(3)
    assert not chat.lines and first.group == second.group and len(first.pairs) == 5
    assert another(PaintingPack(chat=Scripted("no", "no", "no")))(4).group is None

    def silent(talk, kind) -> str:
        raise PlanError("does not answer")

    with pytest.raises(PlanError, match="does not answer"):
        another(PaintingPack(chat=silent))(5)


def test_composed_groups_are_those_of_the_world(tmp_path: Path) -> None:
    composed = PAINTING.model_copy(update={"groups": "composed", "seeds": 1})
    made = Painter(open_toy(), composed, 0, "validation", (), tmp_path)(0)
    assert made.group is not None and len(made.group.pairs) == 5


def test_orders_are_checked_before_work_begins() -> None:
    with pytest.raises(RequestError, match="7 groups are asked for, and 6 were given"):
        order(n=7)
    with pytest.raises(RequestError, match="guidance_from is larger"):
        build(Painting, "visual-prompts", {"guidance_from": 9, "guidance_to": 8})
    assert build(Painting, "visual-prompts", FIXED["visual_prompts"]).groups == "composed"
    other = painted(open_toy(), partial(open_toy), 6, 0, PAINTING, groups=GROUPS[::-1])
    assert other.asked != order().asked == painted(open_toy(), open_toy, 6, 0, PAINTING, groups=GROUPS).asked


class MutePack(ToyPack):
    @property
    def chat(self) -> None:
        raise PackError("no language model: take another pack")


def test_a_pack_that_cannot_write_groups_says_before_work_begins_what_it_needs() -> None:
    with pytest.raises(PackError, match="no language model.*, set groups=composed, or give groups of your own"):
        painted(MutePack(), MutePack, 1, 0, PAINTING)
    assert painted(MutePack(), MutePack, 1, 0, PAINTING, groups=GROUPS).n == 1
    assert painted(MutePack(), MutePack, 1, 0, PAINTING.model_copy(update={"groups": "composed"})).n == 1
