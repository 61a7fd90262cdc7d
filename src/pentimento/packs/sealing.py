"""Finish a folder of trained components into a pack: half precision, shards, hashes, and a card for people."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import PackError
from .manifest import MANIFEST, Manifest, Role, sha256_of, split_hub_id

SHARD_BYTES = 14_000_000
DEFAULTS = "defaults.json"
FP16_LARGEST = 65504.0


def seal(
    folder: Path,
    name: str,
    version: str,
    roles: Mapping[str, Role],
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
    notes: str = "",
) -> Manifest:
    """Store the components of `folder` in fp16 and in shards below 15 MB, and write the manifest with their hashes.

    `defaults` maps editors to settings; without it they come from the folder's defaults.json, else stay as they
    were when it was last sealed.
    Each file is replaced whole; sealing twice changes nothing.
    Raises: PackError for a component that is missing or without files, a number that fp16 cannot hold, or a folder
    of ours (one model.safetensors, never sharded) that is too large.
    """
    everything = {component for role in roles.values() for component in role.components.values()}
    components = sorted(component for component in everything if split_hub_id(component) is None)
    files: dict[str, str] = {}
    for component in components:
        place = folder / component
        if not place.is_dir():
            raise PackError(f"{place} is missing: train it before the pack is sealed")
        halve(place)
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                files[path.relative_to(folder).as_posix()] = sha256_of(path)
    if defaults is None:
        defaults = read_json(folder / DEFAULTS) or read_json(folder / MANIFEST).get("defaults", {})
    try:
        manifest = Manifest(name=name, version=version, notes=notes, roles=dict(roles), defaults=defaults, files=files)
    except ValidationError as error:
        first = error.errors()[0]
        raise PackError(f"the pack cannot be sealed: {first['loc'][0]}: {first['msg']}") from error
    _replace(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds, {} when there is none. Raises: PackError when it is no JSON."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise PackError(f"{path} is no JSON ({error}): mend or delete it") from error


def halve(folder: Path) -> None:
    """Store the weights in a component's folder in fp16 and in shards below 15 MB; twice changes nothing.

    Raises: PackError as `seal` does.
    """
    for weights in sorted(folder.glob("*.safetensors")):
        _store(weights)


def _store(path: Path) -> None:
    """Make one safetensors file half precision, and cut it into shards when it is too large."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise PackError(f"{path} is no whole safetensors file ({error}): train it again") from error
    halves = {name: _half(tensor, f"{path}: {name}") for name, tensor in tensors.items()}
    small = sum(_bytes(tensor) for tensor in halves.values()) <= SHARD_BYTES
    if small and all(halves[name].dtype == tensor.dtype for name, tensor in tensors.items()):
        return
    if small or "-of-" in path.stem:  # a shard stays a shard: half as large as it was
        _save(halves, path, metadata)
        return
    if json.loads((path.parent / "config.json").read_text()).get("kind"):
        raise PackError(f"{path} is larger than {SHARD_BYTES} bytes in fp16 and cannot be sharded: train a smaller one")
    _save_shards(halves, path, metadata)


def _half(tensor: Tensor, what: str) -> Tensor:
    if not tensor.is_floating_point() or tensor.dtype == torch.float16:
        return tensor
    if tensor.numel() and not bool((tensor.abs() <= FP16_LARGEST).all()):  # also true of nan
        raise PackError(f"{what} holds numbers that fp16 cannot: train it again, with a lower lr")
    return tensor.half().contiguous()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _save_shards(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """NAME-00001-of-00003.safetensors and so on, and NAME.safetensors.index.json, as both libraries read them."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if shards[-1] and sum(map(_bytes, shards[-1].values())) + _bytes(tensor) > SHARD_BYTES:
            shards.append({})
        shards[-1][name] = tensor
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"{path.stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        _save(shard, path.with_name(name), metadata)
        weight_map |= dict.fromkeys(shard, name)
    total = sum(map(_bytes, tensors.values()))
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    _replace(path.with_name(path.name + ".index.json"), json.dumps(index, indent=1) + "\n")
    path.unlink()


def _save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    save_file(tensors, partial, metadata={"format": "pt"} | metadata)
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON; the file is the old one or the whole new one."""
    _replace(path, json.dumps(value, indent=1) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def write_card(
    folder: Path,
    title: str,
    reports: Mapping[str, Sequence[Mapping[str, Any]]],
    scores: Mapping[str, str],
    text: str = "",
) -> Path:
    """Write CARD.md: how each model was trained, from the runs' own reports, and the held-out scores as given.

    `reports` maps recipes to the reports of the runs that their model went through, the oldest first; `scores` maps
    what was measured to its figure in words, with n; `text` is what else people should know (limits, licences).
    """
    lines = [f"# {title}", "", *([text.strip(), ""] if text else []), "## How it was trained", ""]
    lines += _table(
        ("recipe", "images seen, run by run", "minutes", "hardware", "last training loss", "all images seen"),
        [
            (
                recipe, " + ".join(f"{run['images']:,}" for run in runs), f"{sum(run['minutes'] for run in runs):.1f}",
                f"{runs[-1]['processes']} x {runs[-1]['hardware']}", f"{runs[-1]['loss']:.4g}",
                "yes" if runs[-1]["finished"] else "no, stopped by time",
            )
            for recipe, runs in reports.items()
        ],
    )  # fmt: skip
    lines += ["", "## Held-out scores", ""]
    lines += _table(("what", "score"), list(scores.items())) if scores else ["None were measured."]
    lines += ["", "## Settings", ""]
    lines += [
        f"- **{recipe}**: " + ", ".join(f"{key} {value}" for key, value in runs[-1]["settings"].items())
        for recipe, runs in reports.items()
    ]
    path = folder / "CARD.md"
    _replace(path, "\n".join(lines) + "\n")
    return path


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---' for _ in head)} |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
