"""Scores of single models: what is missing is said, what was measured is not measured again."""

import json
from pathlib import Path
from typing import Any

import pytest

from measured import bench_pack
from pentimento.bench import arithmetic, painters
from pentimento.bench import pack as models
from pentimento.bench.table import unchanged
from pentimento.errors import NothingFound, PackError
from pentimento.values import Request, Result


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


def test_a_pack_that_answers_otherwise_in_bf16_is_told_from_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def editor(pack: Any, **settings: Any) -> Any:
        return lambda request: pack.answers(request)

    def agreement(name: str, in_bf16: Any) -> dict[str, Any]:
        packs = {"fp32": bench_pack(answers=unchanged), "bf16": bench_pack(answers=in_bf16)}
        parts = {"arithmetic": models.PARTS["arithmetic"]}
        report = models.measure(bench_pack(computing_in=packs.__getitem__), tmp_path / name, 8, parts=parts)
        assert "InstructEdit in bf16 and in fp32, same verdict" in report["figures"]
        return report["parts"]["arithmetic"]

    def refuse(request: Request) -> Result:
        raise NothingFound("cat", 0.1, 0.4)

    def darker(request: Request) -> Result:
        dark = request.image.point(lambda value: value // 2)
        return Result(dark, dark, None, None)

    monkeypatch.setattr(arithmetic, "InstructEdit", editor)
    same, dark, refused = agreement("same", unchanged), agreement("dark", darker), agreement("refused", refuse)
    assert same["same verdict"]["value"] == 1 and refused["same verdict"]["value"] == 0
    assert dark["PSNR between the pictures"]["value"] < 20 < same["PSNR between the pictures"]["value"]
    assert "PSNR between the pictures" not in refused
