"""The rows of InstructGIE's tables: bounds, baselines, the method, and its ablations with a control branch each.

Building a row loads nothing. A row that cannot be measured raises PackError when its editor is made, or at its first
edit when a role is missing.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mode
from typing import Any, Protocol

from ..editors import EDITORS
from ..errors import PackError, RequestError
from ..packs.miniature_pack import REPORTS, UNTUNED
from ..packs.sealing import read_json
from ..settings import build
from ..values import Request, Result
from .table import BenchPack, tripped, unchanged

Edit = Callable[[Request], Result]

TRUTH, WHOLE = "the true picture, autoencoder round trip", "InstructGIE"

STEPS = 20
"""Sampling steps of all that learned from visual prompts, in the tables and where their guidance is chosen."""
SHARED = ("text_to_image", "planner", "captioner", "clip", "judge", "perceptual", "lpips", "inception")
"""Roles that decide the outcomes of every row: by them all paint or read, and all are scored."""
TAUGHT: Mapping[str, Any] = {"taught_by": "visual_prompts"}
"""The setting by which InstructPix2Pix takes the model that learned from the in-context models' pairs."""
SDEDIT = "sdedit_in_context"
"""SDEdit's name among a pack's defaults where its settings were chosen on visual prompts."""
PAINTERS: Mapping[str, str] = {
    "instructgie": "incontext", "promptdiffusion": "prompt_diffusion", "instruct_in_context": "instruct_in_context",
}  # fmt: skip
"""The roles that paint, by the names among a pack's defaults of what was chosen for them."""


class ChangeablePack(BenchPack, Protocol):
    """A pack one of whose models may have a component of its own; `folder` may hold the reports of its training."""

    @property
    def folder(self) -> Path: ...
    def with_component(self, role: str, name: str, folder: Path) -> BenchPack: ...


@dataclass(frozen=True)
class Row:
    """One line of a table. `editor` makes what edits; `about` is all that decides its pictures besides the models and
    the cases, JSON-able. `role` is the pack's role that paints, besides those that all rows share; "" for none.

    The request of a row that is `shown_the_truth` holds the true picture instead of the one before; no method's does.
    `tuned_as` names, among a pack's defaults, the settings that were chosen for it; "" for none.
    """

    label: str
    editor: Callable[[], Edit]
    about: Mapping[str, Any] = field(default_factory=dict)
    role: str = ""
    bound: bool = False
    shown_the_truth: bool = False
    tuned_as: str = ""


@dataclass(frozen=True)
class Ablation:
    """One thing left out (InstructGIE Table 2): the folder of the control that was trained without it, the setting of
    the training that left it out, and the settings of the edit that go with it."""

    label: str
    folder: str
    left_out: str
    settings: Mapping[str, Any] = field(default_factory=dict)


SAID_TWICE = (WHOLE, "w/o LIU")
"""The rows that edit some cases once more, said in other words: what unification is for (InstructGIE Sec. 4.2, 5.2)."""

ABLATIONS = (
    Ablation("w/o RCLDM", "without-rcldm", "rcldm"),
    Ablation("w/o ESM", "without-esm", "shift"),
    Ablation("w/o LIU", "without-liu", "unify", {"unify": False}),
    Ablation("w/o SAM", "without-sam", "area"),
)
BESIDE = ("text_to_image", "clip", "panoptic", "planner")
"""Roles of the frozen models that each control is trained beside; `runs/comparisons.sh` keeps their hash with it."""
NO_MATTER = {"images", "minutes", "workers", "log_every", "checkpoint_minutes", "sample_minutes", "data"}
"""Settings of a training that make its control no other; of the images there is a line of its own."""


def bounds(pack: BenchPack) -> tuple[Row, ...]:
    trip = tripped(pack)
    return (
        Row("no edit", lambda: unchanged, bound=True),
        Row("autoencoder round trip", lambda: trip, bound=True),
        Row(TRUTH, lambda: trip, bound=True, shown_the_truth=True),
    )


def table1_rows(pack: BenchPack) -> tuple[Row, ...]:
    """Bounds, baselines and InstructGIE, by the pack's defaults (InstructGIE Table 1)."""
    return (
        *bounds(pack),
        method_row("SDEdit", "sdedit", pack, of_pack(pack, SDEDIT), SDEDIT),
        taught_row("InstructPix2Pix, same pairs", "instructpix2pix", pack, "instruct_in_context", TAUGHT),
        taught_row("Prompt Diffusion", "promptdiffusion", pack, "promptdiffusion"),
        taught_row(WHOLE, "instructgie", pack, "instructgie"),
    )


def table2_rows(pack: ChangeablePack, ablations: Path | None) -> tuple[Row, ...]:
    """Bounds, the ablations whose controls lie in `ablations`, and the whole (InstructGIE Table 2)."""
    return (
        *bounds(pack),
        *(_ablated(one, pack, ablations) for one in ABLATIONS),
        taught_row(WHOLE, "instructgie", pack, "instructgie"),
    )


def of_pack(pack: BenchPack, name: str) -> dict[str, Any]:
    return dict(pack.defaults.get(name, {}))


def method_row(
    label: str, method: str, pack: BenchPack, settings: Mapping[str, Any] | None = None, tuned_as: str = ""
) -> Row:
    """A method by the pack's defaults, with `settings` over them."""
    chosen, name = {**of_pack(pack, method), **(settings or {})}, tuned_as or method
    about = {"method": method, "settings": chosen}
    return Row(label, lambda: editor_of(method, pack, chosen), about, PAINTERS.get(name, ""), tuned_as=name)


def taught_row(
    label: str, method: str, pack: BenchPack, tuned_as: str, settings: Mapping[str, Any] | None = None
) -> Row:
    """What learned from visual prompts, by what was chosen for it as `tuned_as`, at the tables' steps."""
    return method_row(label, method, pack, {**of_pack(pack, tuned_as), **(settings or {}), "steps": STEPS}, tuned_as)


def editor_of(method: str, pack: BenchPack, settings: Mapping[str, Any]) -> Edit:
    """The editor of that name. Raises: PackError when there is none here, or it does not take the settings."""
    if method not in EDITORS:
        raise PackError(f"this version has no method {method!r}: update the library")
    editors: Mapping[str, Any] = EDITORS
    try:
        editor: Edit = build(editors[method], method, {**settings, "pack": pack})
    except RequestError as error:
        raise PackError(str(error)) from None
    return editor


def _ablated(ablation: Ablation, pack: ChangeablePack, ablations: Path | None) -> Row:
    folder = control_folder(ablations / ablation.folder) if ablations is not None else None
    chosen = {**of_pack(pack, "instructgie"), **ablation.settings, "steps": STEPS}

    def editor() -> Edit:
        if folder is None:
            raise PackError(f"its control is a folder {ablation.folder} in the one that --ablations names")
        if not (folder / "config.json").is_file():
            raise PackError(f"{folder} holds no control branch: train it, or copy it there")
        return editor_of("instructgie", pack.with_component("incontext", "control", folder), chosen)

    about = {"method": "instructgie", "settings": chosen, "control": hash_of(folder) if folder is not None else ""}
    return Row(ablation.label, editor, about)


def control_folder(folder: Path) -> Path:
    """The control in an ablation's folder: the folder itself, or that of the role in a pack that was trained there."""
    return folder / "incontext" if (folder / "incontext").is_dir() else folder


def untuned(rows: Sequence[Row], pack: BenchPack) -> list[str]:
    """A line for each row for which the pack's defaults hold nothing beyond what every pack begins with."""
    return [
        f"not tuned, {row.label}: among the pack's defaults {row.tuned_as} has nothing beyond what a pack begins with"
        for row in rows
        if row.tuned_as and of_pack(pack, row.tuned_as) in ({}, UNTUNED.get(row.tuned_as))
    ]


def unequal(pack: ChangeablePack, ablations: Path | None) -> list[str]:
    """A line for each control of Table 2 that has not seen as many images as the whole (or as most, where the whole has
    no report), was not trained to the end, beside the pack's models, or by the whole's settings but the one that is
    ablated; as far as reports and hashes lie there (`runs/comparisons.sh`)."""
    runs = {WHOLE: read_json(pack.folder / REPORTS).get("instructgie", [])}
    for one in ABLATIONS if ablations is not None else ():
        report = read_json(ablations / one.folder / "report.json")
        runs[one.label] = [report] if report else []
    seen = {label: sum(run["images"] for run in stretches) for label, stretches in runs.items() if stretches}
    wanted = seen.get(WHOLE) or mode(seen.values()) if seen else 0
    lines = [
        f"unequal budget, {label}: {images} images, not {wanted}" for label, images in seen.items() if images != wanted
    ]
    broken = [label for label in seen if not runs[label][-1]["finished"]]
    lines += [f"not trained to the end, {label}: its report says so" for label in broken]
    for one in ABLATIONS if ablations is not None else ():
        beside = ablations / one.folder / "beside"
        if beside.is_file() and beside.read_text().strip() != pack.hash_of(*BESIDE):
            lines.append(f"trained beside other models, {one.label}: not beside this pack's {', '.join(BESIDE)}")
        changed = _changed(runs[one.label], runs[WHOLE], NO_MATTER | {one.left_out})
        lines += [f"trained by other settings, {one.label}: {changed}"] if changed else []
    return lines


def _changed(stretches: Sequence[Mapping[str, Any]], whole: Sequence[Mapping[str, Any]], free: set[str]) -> str:
    """The settings of the last stretches that differ, in words; those that one of the reports lacks are not known."""
    own, other = (runs[-1].get("settings", {}) if runs else {} for runs in (stretches, whole))
    names = [name for name in own if name in other and name not in free and own[name] != other[name]]
    return ", ".join(f"{name} {own[name]}, not {other[name]}" for name in names)


def hash_of(folder: Path) -> str:
    """The sha256 of a control's config and weights; "" when there is none."""
    files = sorted(path for path in folder.glob("*") if path.name == "config.json" or path.suffix == ".safetensors")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else ""
