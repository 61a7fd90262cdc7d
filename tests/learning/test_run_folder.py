"""The run folder of a learning: a stop is said, the same call goes on, another learning is kept out."""

import json
from pathlib import Path
from typing import Any

import pytest

from pentimento import cli, studio
from pentimento.learned import load_learned
from pentimento.learning import LearnSettings, learn
from pentimento.values import Learned, Pair
from toy import ToyPack, toy_picture

PAIRS = [Pair(toy_picture(seed=i), toy_picture(seed=10 + i)) for i in range(3)]
WORDS = "make it snow"
AT_ONCE = 1e-9
"""Minutes that are over after the first step."""


def learned(folder: Path, pack: ToyPack | None = None, pairs: Any = PAIRS, **settings: Any) -> Learned:
    chosen = LearnSettings(**{"instruction": WORDS, "steps": 4, **settings})
    return learn(pack or ToyPack(), pairs, folder / "brush.safetensors", chosen)


def test_a_learning_that_was_stopped_says_so_until_it_has_gone_on_to_its_end(tmp_path: Path) -> None:
    stopped = learned(tmp_path, minutes=AT_ONCE)
    assert (stopped.about["steps done"], stopped.about["steps"], stopped.about["finished"]) == (1, 4, False)
    assert load_learned(tmp_path / "brush.safetensors").about == stopped.about
    whole = learned(tmp_path)
    assert (whole.about["steps done"], whole.about["finished"]) == (4, True)


def test_the_command_says_that_it_was_stopped_and_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = studio.Studio(ToyPack(), "toy", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    for i, pair in enumerate(PAIRS):
        for side, picture in enumerate((pair.before, pair.after)):
            picture.save(tmp_path / f"{i}_{side}.png")

    def said(*more: str) -> str:
        with pytest.raises(SystemExit) as left:
            cli.main(["learn", f"{tmp_path}", "-o", f"{tmp_path / 'a.safetensors'}", "--steps", "4",
                      "--instruction", WORDS, *more])  # fmt: skip
        assert not left.value.code
        return capsys.readouterr().out

    stopped = said("--minutes", f"{AT_ONCE}")
    assert "stopped after 1 of 4 steps; the same command goes on when it is given more --minutes" in stopped
    assert "learned from" not in stopped
    assert json.loads(said("--minutes", f"{AT_ONCE}", "--json"))["finished"] is False
    assert "learned from 3 pairs" in said()
