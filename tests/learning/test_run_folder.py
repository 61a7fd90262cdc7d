"""The run folder of a learning: a stop is said, the same call goes on, another learning is kept out."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pentimento import cli, studio
from pentimento.errors import RequestError, TrainingError
from pentimento.learned import load_learned
from pentimento.learning import LearnSettings, Watching, learn, learn_settings
from pentimento.training import loop
from pentimento.values import Learned, Pair
from toy import ToyPack, toy_picture

PAIRS = [Pair(toy_picture(seed=i), toy_picture(seed=10 + i)) for i in range(3)]
WORDS = "make it snow"
AT_ONCE = 1e-9
"""Minutes that are over after the first step."""


class Seeing(ToyPack):
    """A pack whose clip sees the mean colour."""

    def __init__(self, name: str):
        super().__init__()
        mean = SimpleNamespace(fingerprint=name, embed_pixels=lambda pixels: pixels.mean((-2, -1)))
        object.__setattr__(self, "clip", mean)


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


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"pairs": PAIRS[1:]}, "pairs was"),
        ({"lr": 0.5}, "lr was 0.001 and is now 0.5"),
        ({"guidance": 3.0}, "guidance was 7.5 and is now 3.0"),
        ({"instruction": "make it fog"}, "words was 'make it snow' and is now 'make it fog'"),
        ({"steps": 1}, "has done 2 steps already and 1 are asked for"),
    ],
)
def test_a_run_does_not_go_on_as_another_learning(tmp_path: Path, other: dict[str, Any], named: str) -> None:
    first = learned(tmp_path, steps=2)
    with pytest.raises(TrainingError, match=f"{named}.*name another output, or delete that folder"):
        learned(tmp_path, **other)
    assert load_learned(tmp_path / "brush.safetensors").about == first.about
    assert learned(tmp_path, minutes=60.0).about["finished"]


def test_a_run_of_another_model_or_of_nobody_knows_what_is_kept_out(tmp_path: Path) -> None:
    learned(tmp_path, steps=2)
    other = ToyPack()
    object.__setattr__(other.instruct, "fingerprint", "other")
    with pytest.raises(TrainingError, match="model was 'toy' and is now 'other'"):
        learned(tmp_path, other)
    (tmp_path / "brush.learning" / "learning.json").unlink()
    with pytest.raises(TrainingError, match="belongs to another learning"):
        learned(tmp_path)


def test_another_clip_by_which_visii_learns_is_another_learning(tmp_path: Path) -> None:
    def visii(name: str, **settings: Any) -> Learned:
        chosen = learn_settings("visii", {"instruction": WORDS, "clip_reads": "pictures", **settings})
        return learn(Seeing(name), PAIRS, tmp_path / "brush.safetensors", chosen)

    visii("one", steps=2)
    with pytest.raises(TrainingError, match="clip was 'one' and is now 'other'"):
        visii("other", steps=4)
    assert visii("one", steps=4).about["finished"]


def test_a_last_look_that_fails_is_taken_again(tmp_path: Path) -> None:
    def breaks(learned: Learned, picture: Any) -> Any:
        raise RequestError("nobody looks")

    def scores(draw: Any) -> list[int]:
        chosen = LearnSettings(instruction=WORDS, steps=4)
        watching = Watching(draw, held_out=PAIRS[2])
        about = learn(ToyPack(), PAIRS[:2], tmp_path / "brush.safetensors", chosen, watching=watching).about
        return [score["step"] for score in about["held out"]]

    with pytest.raises(RequestError, match="nobody looks"):
        scores(breaks)
    assert scores(lambda learned, picture: picture) == [4]


def test_a_preview_that_cannot_be_drawn_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    watching = Watching(lambda learned, picture: picture, picture=toy_picture(9000, 8))
    with pytest.raises(RequestError, match="too long for its width"):
        learn(ToyPack(), PAIRS, tmp_path / "brush.safetensors", LearnSettings(instruction=WORDS), watching=watching)
    assert not list(tmp_path.iterdir())


def test_a_refused_call_leaves_the_run_to_the_one_that_began_it(tmp_path: Path) -> None:
    learned(tmp_path, parts=1, steps=3)
    with pytest.raises(TrainingError, match="parts was 1 and is now 5"):
        learned(tmp_path, parts=5, steps=5)
    assert learned(tmp_path, parts=1, steps=5).about["finished"]


def test_another_held_out_pair_is_another_learning_and_its_scores_survive_a_kill(tmp_path: Path) -> None:
    def scored(pair: Pair, **settings: Any) -> list[dict[str, Any]]:
        chosen = LearnSettings(instruction=WORDS, **{"steps": 4, **settings})
        watching = Watching(lambda learned, picture: picture, held_out=pair)
        about = learn(ToyPack(), PAIRS[:2], tmp_path / "brush.safetensors", chosen, watching=watching).about
        return list(about["held out"])

    assert [score["step"] for score in scored(PAIRS[2], minutes=AT_ONCE)] == [1]
    with open(tmp_path / "brush.learning" / "held_out.jsonl", "a") as log:
        log.write('{"step": 3, "psnr": 1.0}\n{"step": 4, "ps')
    assert [score["step"] for score in scored(PAIRS[2])] == [1, 4]
    with pytest.raises(TrainingError, match="held-out pair was"):
        scored(PAIRS[1])


@pytest.mark.parametrize("name", ["learning.json", "held_out.jsonl"])
def test_a_damaged_run_folder_is_told_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    learned(tmp_path)
    damaged = tmp_path / "brush.learning" / name
    damaged.write_text('{"step": 1, broken\n')
    with pytest.raises(TrainingError, match=f"{name} is damaged"):
        learned(tmp_path)
    assert damaged.read_text() == '{"step": 1, broken\n'


def test_the_curve_is_of_steps_and_the_mean_over_the_parts(tmp_path: Path) -> None:
    curve = learned(tmp_path, steps=20).about["losses"]
    logged = [json.loads(line) for line in (tmp_path / "brush.learning" / "log.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curve] == [10, 20]
    assert [point["loss"] for point in curve] == pytest.approx([line["loss"] / 5 for line in logged], abs=1e-6)


@pytest.mark.parametrize(("arithmetic", "precision"), [("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp32")])
def test_the_loop_computes_as_the_model_does(tmp_path: Path, arithmetic: str, precision: str) -> None:
    pack = ToyPack()
    object.__setattr__(pack.instruct, "arithmetic", arithmetic)
    learned(tmp_path, pack, steps=1)
    assert json.loads((tmp_path / "brush.learning" / "settings.json").read_text())["precision"] == precision
    other = ToyPack()
    object.__setattr__(other.instruct, "arithmetic", "other")
    with pytest.raises(TrainingError, match=f"dtype was '{arithmetic}' and is now 'other'"):
        learned(tmp_path, other)


def test_learning_stays_on_the_models_own_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    asked = []
    plain = loop.Accelerator

    def noted(**given: Any) -> Any:
        asked.append(given)
        return plain(**given)

    monkeypatch.setattr(loop, "Accelerator", noted)
    learned(tmp_path)
    assert asked == [{"cpu": True}]
