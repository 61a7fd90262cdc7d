"""A pack with the published architectures at full size and random weights, to prove names, shapes and preprocessing.

It edits nothing: it is for tests and for measuring time and memory where the real weights cannot be had. Tensors are
made and written a file at a time, so that a model larger than the memory can be written.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import PackError
from .guard import hide_broken_torchvision
from .manifest import MANIFEST, Manifest, Role, read_manifest, split_hub_id
from .pack import catalogue, quiet
from .published import BLUEPRINTS, Blueprint

FILE_BYTES = 2_000_000_000
DRAWN = 4_000_037
"""Numbers drawn for a tensor; larger ones repeat them, which is 20 times as fast for billions."""
SPARE = 500_000_000


@dataclass(frozen=True)
class Component:
    """One folder to be written: where in the pack, after which blueprint, and how many bytes of weights it takes."""

    place: str
    blueprint: Blueprint
    size: int


def plan(name: str, only: Sequence[str] = ()) -> dict[str, tuple[Component, ...]]:
    """What `write` writes, by role. Nothing is written yet.

    Raises: PackError for a pack that is not published, or a role that it does not have.
    """
    entry = catalogue().get(name)
    roles = read_manifest(entry.manifest).roles if entry else {}
    keys = {role: [key_of(c) for c in one.components.values()] for role, one in roles.items()}
    keys = {role: found for role, found in keys.items() if all(key in BLUEPRINTS for key in found)}
    if not keys:
        raise PackError(f"{name!r} is no pack of published models that can be imitated: take sd15")
    for role in only:
        if role not in keys:
            raise PackError(f"the pack {name!r} has no {role}: take {', '.join(keys)}")
    return {
        role: tuple(Component(key.partition("/")[2], BLUEPRINTS[key], weight_bytes(BLUEPRINTS[key])) for key in found)
        for role, found in keys.items()
        if role in only or not only
    }


def write(
    name: str, folder: Path, only: Sequence[str] = (), watch: Callable[[str, int, int], None] = lambda *_: None
) -> Manifest:
    """Write the pack, or the roles `only` of it, and its manifest; roles that are there from another call stay.

    Raises: PackError as `plan`; when the disk is too small, before anything is written; for a folder of another pack.
    """
    chosen = plan(name, only)
    parts = {part.place: part for parts in chosen.values() for part in parts}
    made = Manifest(
        name=f"{name}-mock", version="0", roles={}, notes="Random weights in the published layouts: it edits nothing."
    )
    if (folder / MANIFEST).is_file():
        found = read_manifest(folder / MANIFEST)
        if found.name != made.name:
            raise PackError(f"{folder} holds the pack {found.name!r}: name an empty folder")
        made = found
    wanted = sum(part.size for part in parts.values() if not (folder / part.place).is_dir()) + SPARE
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < wanted:
        raise PackError(
            f"{folder} has {free / 1e9:.1f} GB free and {wanted / 1e9:.1f} GB are wanted: "
            "name another disk, or fewer roles with --only"
        )
    for done, part in enumerate(parts.values()):
        watch(part.place, done, len(parts))
        if not (folder / part.place).is_dir():
            _write_component(part.blueprint, folder / part.place)
    roles = read_manifest(catalogue()[name].manifest).roles
    local = {role: Role(kind=roles[role].kind, components=_places(roles[role])) for role in chosen}
    made = made.model_copy(update={"roles": made.roles | local})
    (folder / MANIFEST).write_text(made.model_dump_json(indent=1) + "\n")
    return made


def weight_bytes(blueprint: Blueprint) -> int:
    """Bytes of the weights as `write` stores them, without building them."""
    return sum(tensor.numel() * 2 for _, tensor in _tensors(blueprint))


def parameters(blueprint: Blueprint) -> int:
    """How many numbers the published file holds, integer tables apart."""
    return sum(tensor.numel() for _, tensor in _tensors(blueprint) if tensor.is_floating_point())


def skeleton(blueprint: Blueprint) -> nn.Module:
    """The model without storage for its parameters; buffers have their values."""
    from accelerate import init_empty_weights

    hide_broken_torchvision()
    with quiet(), init_empty_weights(include_buffers=False):
        kind = getattr(import_module(blueprint.library), blueprint.model)
        if blueprint.library == "diffusers":
            return kind.from_config(dict(blueprint.config))
        return kind(kind.config_class.from_dict(dict(blueprint.config)))


def key_of(component: str) -> str:
    """ "repository/subfolder" of a hub component, "" for a folder in the pack."""
    hub = split_hub_id(component)
    return "" if hub is None else "/".join(part for part in (hub[0], hub[2]) if part)


def _places(role: Role) -> dict[str, str]:
    """Where each component of a published role lies in the imitation: its repository's name, then the subfolder."""
    return {name: key_of(component).partition("/")[2] for name, component in role.components.items()}


def _tensors(blueprint: Blueprint) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the published file by their published names; those tied to another one are stored once."""
    if not blueprint.model:
        return
    model = skeleton(blueprint)
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    for name, tensor in model.state_dict().items():
        stored = name not in tied or name.endswith("lm_head.weight")  # BLIP-2's output words are not its input words
        if stored and blueprint.names(name):
            yield blueprint.names(name), tensor
    for name, shape in blueprint.legacy.items():
        yield name, torch.zeros(shape, dtype=torch.int64, device="meta")


def _write_component(blueprint: Blueprint, folder: Path) -> None:
    """The folder appears whole or not at all."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if blueprint.model:
        (partial / "config.json").write_text(json.dumps(blueprint.config, indent=2) + "\n")
        _write_weights(dict(_tensors(blueprint)), partial, blueprint.weights)
    with quiet():
        blueprint.write(partial)
    partial.rename(folder)


def _write_weights(tensors: dict[str, Tensor], folder: Path, stem: str) -> None:
    """NAME.safetensors, or NAME-00001-of-0000N.safetensors and their index where that would be too large."""
    files: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        size += tensor.numel() * 2
        if files[-1] and size > FILE_BYTES:
            files.append([])
            size = tensor.numel() * 2
        files[-1].append(name)
    generator = torch.Generator().manual_seed(0)
    places: dict[str, str] = {}
    for number, names in enumerate(files, start=1):
        shard = f"{stem}-{number:05d}-of-{len(files):05d}" if len(files) > 1 else stem
        content = {name: _filled(name, tensors[name], generator) for name in names}
        save_file(content, folder / f"{shard}.safetensors", metadata={"format": "pt"})
        places |= dict.fromkeys(names, f"{shard}.safetensors")
    if len(files) > 1:
        total = sum(tensor.numel() * 2 for tensor in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _filled(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """fp16 numbers that keep activations near 1: matrices random by 1 / sqrt(inputs), scales 1, biases 0."""
    if not tensor.is_meta:
        return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    if tensor.ndim < 2:
        return (torch.zeros if name.endswith("bias") else torch.ones)(tensor.shape, dtype=torch.float16)
    count = tensor.numel()
    drawn = torch.randn(min(count, DRAWN), generator=generator) * (tensor.shape[0] / count) ** 0.5
    repeats = -(-count // len(drawn))
    return drawn.half().repeat(repeats)[:count].reshape(tensor.shape).contiguous()
