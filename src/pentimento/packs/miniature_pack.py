"""What the embedded pack consists of, and the last step of runs/miniature.sh: seal it, write its card, install it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PackError
from .manifest import MANIFEST, Manifest, Role, read_manifest, verify
from .sealing import DEFAULTS, read_json, seal, write_card, write_json


def _painter(name: str, reads: str) -> Role:
    """A latent diffusion model with its own U-Net and the text encoder of the model `reads`; the rest is shared."""
    return Role(
        kind="latent_diffusion",
        components={
            "vae": "vae", "tokenizer": "tokenizer", "scheduler": "scheduler",
            "unet": f"{name}/unet", "text_encoder": f"{reads}/text_encoder",
        },
    )  # fmt: skip


def _prompted(name: str) -> Role:
    """The text-to-image model with a control branch beside it."""
    return Role(
        kind="prompted_diffusion", components=_painter("text_to_image", "text_to_image").components | {"control": name}
    )


ROLES: Mapping[str, Role] = {
    "text_to_image": _painter("text_to_image", "text_to_image"),
    "instruct": _painter("instruct", "instruct"),
    "inpaint": _painter("inpaint", "text_to_image"),
    "incontext": _prompted("incontext"),
    "prompt_diffusion": _prompted("prompt_diffusion"),
    "instruct_in_context": _painter("instruct_in_context", "text_to_image"),
    "planner": Role(kind="tagger", components={"model": "language"}),
    "detector": Role(kind="dense_detector", components={"model": "detector"}),
    "segmenter": Role(kind="crop_segmenter", components={"model": "segmenter"}),
    "panoptic": Role(kind="centre_panoptic", components={"model": "panoptic", "detector": "detector"}),
    "captioner": Role(kind="word_captioner", components={"model": "captioner", "detector": "detector"}),
    "clip": Role(kind="clip", components={"model": "clip"}),
    "judge": Role(kind="factor_judge", components={"model": "judge"}),
    "perceptual": Role(kind="perceptual", components={"model": "perceptual"}),
}
"""The folders that the recipes export."""
REPORTS, SCORES = "reports.json", "scores.json"
"""What the card is made of: the reports of all runs by recipe, and figures in words by what was measured."""
FIXED: Mapping[str, Mapping[str, Any]] = {
    "visual_prompts": {
        "quadrant": 128, "groups": "composed", "steps": 30, "guidance_from": 2.0, "guidance_to": 5.0,
        "measure": "quantile", "image": 0.1, "text": 0.1, "direction": 0.5,
    },
    "mdp": {"inner_steps": 3, "inner_rate": 0.1},
    "segmenter": {"threshold": 0.3, "companions": 0.1},
}  # fmt: skip
"""Defaults that follow from how small the models are; no tuning changes them. A small CLIP sees no direction in many
exact pairs; only from about their median on does that quantile ask for one. Null-text embeddings reach in three steps
at a rate of 0.1 what the authors' ten at 0.01 reach; a detector that learned in an hour misses one of several alike
more often than it takes another for one of them (docs/LOG.md)."""
UNTUNED: Mapping[str, Mapping[str, Any]] = {
    "instructgie": {"guidance": 3.0}, "promptdiffusion": {"guidance": 3.0}, "learning": {"lr": 0.01},
}  # fmt: skip
"""Until they are tuned: the guidance of text_to_image's own samples; and a rate ten times the paper's 0.001, which keys
and values need to move far enough in so few steps (docs/LOG.md)."""
LIMITS = """\
Models of a drawn world, trained from nothing on that world alone: they know its nouns, colours and
effects, and no photograph. Stored in fp16, to be computed in fp32 or bf16. Scores on this pack compare methods with
each other; they say nothing about the published checkpoints."""


def finish(folder: Path, runs: Path, version: str) -> Manifest:
    """Seal the roles that are trained in `folder`, and write its CARD.md from its reports and scores.json.

    reports.json in the folder holds the report of every run that its models went through, by recipe, the oldest first;
    those of runs/*/report.json are added. scores.json maps what was measured to its figure in words; defaults.json
    methods to their settings, which take the place of those that the folder was last sealed with.
    Raises: PackError when nothing is trained there, or a file cannot be sealed.
    """
    trained = {
        name: role for name, role in ROLES.items() if all((folder / c).is_dir() for c in role.components.values())
    }
    if not trained:
        raise PackError(f"{folder} holds no trained model: run runs/miniature.sh, or one recipe at least")
    scores = read_json(folder / SCORES)
    reports = with_runs(read_json(folder / REPORTS), runs)
    write_json(folder / REPORTS, reports)
    tuned = {**read_json(folder / MANIFEST).get("defaults", {}), **read_json(folder / DEFAULTS)}
    notes = "Trained on the drawn world by runs/miniature.sh."
    defaults = {**UNTUNED, **tuned, **{name: {**tuned.get(name, {}), **fixed} for name, fixed in FIXED.items()}}
    manifest = seal(folder, "miniature", version, trained, defaults, notes)
    write_card(folder, f"The miniature, version {version}", reports, scores, LIMITS)
    return manifest


def with_runs(reports: Mapping[str, list[dict[str, Any]]], runs: Path) -> dict[str, list[dict[str, Any]]]:
    """The reports with those of the runs below `runs`; a run that went on takes the place of its earlier report."""
    known = {recipe: list(stretches) for recipe, stretches in reports.items()}
    for path in sorted(runs.glob("*/report.json")):
        report = read_json(path)
        stretches = known.setdefault(path.parent.name, [])
        if stretches and _same_run(stretches[-1], report):
            stretches.pop()
        stretches.append(report)
    return dict(sorted(known.items()))


def _same_run(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    """Whether one report goes on where the other stopped: the settings that may not change within a run are equal."""
    fixed = ("batch_size", "lr", "warmup_images", "ema", "seed")
    same = all(earlier["settings"].get(name) == later["settings"].get(name) for name in fixed)
    return same and earlier["images"] <= later["images"] and earlier["minutes"] <= later["minutes"]


def install(source: Path, target: Path) -> None:
    """Copy a sealed pack's own files to `target`, which is replaced when all of them are there.

    Raises: PackError when a file of the pack differs from its hash.
    """
    manifest = read_manifest(source / MANIFEST)
    verify(source, manifest)
    partial, old = target.parent / f".{target.name}.partial", target.parent / f".{target.name}.old"
    shutil.rmtree(partial, ignore_errors=True)
    for path in (MANIFEST, "CARD.md", REPORTS, SCORES, *manifest.files):
        if path in manifest.files or (source / path).is_file():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, partial / path)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
