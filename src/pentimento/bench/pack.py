"""How good each model of a pack is by itself, on held-out scenes; a role that is missing is a line that says so."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..data.scenes import draw_scene, render
from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..language.rules import Rules
from . import arithmetic, card, clip, language, painters, panoptic, vision
from .judge import round_trip, score_judge
from .metrics import psnr
from .statistics import Figure, mean
from .table import BenchPack, hardware
from .tune import reconstruction

Part = Callable[[BenchPack, int, int], dict[str, Any]]


def _autoencoder(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    trip = round_trip(pack.text_to_image.autoencoder)
    pictures = [render(draw_scene(seed * 100_000 + number, "test")).image for number in range(n)]
    values = [psnr(trip(picture), picture) for picture in pictures]
    return {"PSNR of the round trip": mean(values, np.random.default_rng([seed, 909])).to_json()}


def _inversion(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return reconstruction(pack, max(1, n // 4), seed)


def _language(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    """Every group of instructions, the trained planner beside the regex planner."""
    return {"planners": language.rows({"planner": pack.planner, "regex planner": Rules()}, n, seed)}


def _vision(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    """Masks, false finds and right objects, the pack's segmenter beside the lookup that learns nothing; captions."""
    rows: dict[str, Any] = {}
    for name, segmenter in {"segmenter": pack.segmenter, "lookup": vision.Lookup()}.items():
        rows[name] = {
            "mask IoU": _group(vision.mask_overlaps(segmenter, n, seed=seed)),
            "false finds": _group(vision.false_finds(segmenter, n, seed=seed)),
            "right object": _group(vision.right_object(segmenter, max(1, n // 4), seed=seed)),
        }
    return rows


def _panoptic(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return _group(panoptic.panoptic_quality(pack.panoptic, n, seed=seed))


def _captions(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return _group(vision.captions(pack.captioner, n, seed=seed))


def _group(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}


def _clip(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return _group({
        "single nouns": clip.single_nouns(pack.clip, n, seed=seed),
        "caption against hard negative": clip.hard_negatives(pack.clip, n, seed=seed),
    })  # fmt: skip


def _painting(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return painters.captions_kept(pack, n, seed)


def _editing(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return painters.edits_by_kind(pack, max(1, n // 4), seed)


def _arithmetic(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    return arithmetic.agreement(cast(arithmetic.Placed, pack), max(1, n // 4), seed)


def _judge(pack: BenchPack, n: int, seed: int) -> dict[str, Any]:
    trip = round_trip(pack.text_to_image.autoencoder)
    return {
        "after a round trip": score_judge(pack.judge, n, seed, trip).to_json(),
        "untouched": score_judge(pack.judge, n, seed).to_json(),
        "held-out art, after a round trip": score_judge(pack.judge, n, seed, trip, held_out_art=True).to_json(),
    }


PARTS: Mapping[str, Part] = {
    "autoencoder": _autoencoder,
    "inversion": _inversion,
    "language": _language,
    "vision": _vision,
    "panoptic": _panoptic,
    "captions": _captions,
    "clip": _clip,
    "judge": _judge,
    "text to image": _painting,
    "instruct": _editing,
    "arithmetic": _arithmetic,
}


def measure(
    pack: BenchPack,
    output: Path,
    n: int = 200,
    seed: int = 0,
    watch: Watch = unwatched,
    parts: Mapping[str, Part] = PARTS,
) -> dict[str, Any]:
    """Scores of the pack's models by part; writes pack.json into `output` after each part.

    A part that was measured with the same pack, n and seed is not measured again.
    """
    path = output / "pack.json"
    head = {"pack": pack.name, "pack hash": pack.hash, "n": n, "seed": seed}
    report: dict[str, Any] = head | {"hardware": hardware(), "parts": {}, "figures": {}}
    output.mkdir(parents=True, exist_ok=True)
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if all(known.get(key) == value for key, value in head.items()):
            report = known
    for number, (name, part) in enumerate(parts.items()):
        watch(name, number, len(parts))
        if name in report["parts"] and "not measured" not in report["parts"][name]:
            continue
        try:
            report["parts"][name] = part(pack, n, seed)
        except PackError as error:
            report["parts"][name] = {"not measured": str(error)}
        report["figures"] = figures(report["parts"])
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
    return report


def figures(parts: Mapping[str, Any]) -> dict[str, str]:
    """What a pack's card says of these scores."""
    said: dict[str, str] = {}
    autoencoder, judge = parts.get("autoencoder", {}), parts.get("judge", {})
    if "PSNR of the round trip" in autoencoder:
        said["autoencoder, PSNR of the round trip on test scenes"] = card.in_words(
            autoencoder["PSNR of the round trip"], "dB"
        )
    for name, figure in parts.get("inversion", {}).items():
        if name.startswith("ratio"):
            said[f"inversion and back at {name}, PSNR"] = card.in_words(figure, "dB")
    for row in parts.get("language", {}).get("planners", ()):
        if row["planner"] == "planner":
            figure = {"value": row["share"], "low": row["low"], "high": row["high"], "n": row["n"]}
            said[f"plans right, {row['group']}"] = card.in_words(figure)
    for column, group in parts.get("vision", {}).get("segmenter", {}).items():
        unit = "" if column == "mask IoU" else "share"
        said |= {f"segmenter, {column}, {name}": card.in_words(figure, unit) for name, figure in group.items()}
    for name, figure in parts.get("panoptic", {}).items():
        if name != "not measured":
            said[f"panoptic quality, {name}"] = card.in_words(figure, "")
    for name, figure in parts.get("captions", {}).items():
        if name != "not measured":
            said[f"captioner, {name}"] = card.in_words(figure)
    for name, figure in parts.get("clip", {}).items():
        if name != "not measured":
            said[f"clip, {name}"] = card.in_words(figure)
    for name, figure in parts.get("arithmetic", {}).items():
        if name != "not measured":
            unit = "dB" if "PSNR" in name else "share"
            said[f"InstructEdit in bf16 and in fp32, {name}"] = card.in_words(figure, unit)
    for part in ("text to image", "instruct"):
        rows = parts.get(part, {})
        said |= {f"{part}, {name}": card.in_words(f) for name, f in rows.items() if isinstance(f, dict) and "low" in f}
    if "after a round trip" in judge:
        said["judge, accuracy on planted edits"] = card.in_words(judge["after a round trip"]["accuracy"])
        said["judge, false accepts"] = card.in_words(judge["after a round trip"]["false accepts"])
    return said
