"""Scores of single models: what is missing is said, what was measured is not measured again."""

import json
from pathlib import Path
from typing import Any

import pytest

from measured import bench_pack
from pentimento.bench import pack as models
from pentimento.bench import painters
from pentimento.errors import PackError


def test_a_missing_role_is_a_clear_row_and_known_parts_are_kept(tmp_path: Path) -> None:
    asked: list[str] = []

    def part(name: str, fails: bool = False) -> models.Part:
        def measured(pack: Any, n: int, seed: int) -> dict[str, Any]:
            asked.append(name)
            if fails:
                raise PackError("the pack has no captioner")
            return {"n": n}

        return measured

    parts = {"good": part("good"), "bad": part("bad", fails=True)}
    models.measure(bench_pack(), tmp_path, 2, parts=parts)
    report = models.measure(bench_pack(), tmp_path, 2, parts=parts)
    assert report["parts"] == {"good": {"n": 2}, "bad": {"not measured": "the pack has no captioner"}}
    assert asked == ["good", "bad", "bad"]
    assert json.loads((tmp_path / "pack.json").read_text()) == report


def test_autoencoder_and_judge_are_measured_and_said_in_words(tmp_path: Path) -> None:
    parts = {name: models.PARTS[name] for name in ("autoencoder", "judge")}
    report = models.measure(bench_pack(), tmp_path, 1, parts=parts)
    assert report["figures"]["autoencoder, PSNR of the round trip on test scenes"].endswith("n = 1")
    assert "judge, false accepts" in report["figures"]


def test_painters_are_measured_on_captions_grids_and_edits_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painters, "strictness", lambda *_: 0.1)
    parts = {name: models.PARTS[name] for name in ("text to image", "instruct")}
    report = models.measure(bench_pack(), tmp_path, 1, parts=parts)
    painting, editing = report["parts"]["text to image"], report["parts"]["instruct"]
    assert painting["guidance"] in map(float, painting["tried on validation"])
    assert {"captions kept", "captions kept, in a grid", "captions kept by the true picture"} < set(painting)
    kinds = [figure["value"] for name, figure in editing.items() if isinstance(figure, dict) and "unseen" not in name]
    assert editing["edits carried out, mean over seen kinds"] == sum(kinds) / len(kinds)
    assert "text to image, captions kept" in report["figures"]
