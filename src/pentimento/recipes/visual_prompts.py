"""What the in-context recipes learn from, made once and kept on disk: drawn visual prompts (InstructGIE Sec. 5), exact
pairs of the trained kinds of edit, with their latents, and where living creatures stand in them.

Kinds of edit that `data.visual_prompts.Layout` withholds, and the pairs that are kept for testing, are never read here.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from ..data import phrasings
from ..data.grid_folders import ABOUT, picture_name
from ..data.grouped import drawn, drawn_group
from ..data.making import make
from ..data.scenes import WORLD_VERSION
from ..data.segments import living
from ..data.store import save_whole
from ..data.visual_prompts import Layout
from ..data.vocabulary import LIVING
from ..diffusion.visual_losses import detail_mask
from ..errors import TrainingError
from ..language.living import is_living_by
from ..language.table import Table
from ..language.tagger import Tagger, load
from ..language.unify import by_planner, unifier_of
from ..packs.manifest import MANIFEST, Manifest, locate, read_manifest, split_hub_id
from ..packs.miniature_pack import ROLES
from ..packs.pack import CHAT_KINDS, OpenPack
from ..packs.placement import place
from ..roles import Panoptic
from ..training.weights import read_weights
from .latents import encoded, latents_by

Areas = Literal["panoptic", "drawn"]
"""Whose masks say where details matter: the pack's panoptic model's, as in the paper, or the drawn world's own."""
SEED = 0


@dataclass(frozen=True)
class Row:
    """A pair to learn from: its group, its number in it, and its instruction."""

    group: int
    pair: int
    instruction: str


@dataclass(frozen=True)
class Prompts:
    """The training pairs of a folder of visual prompts; `side` is that of a picture, in pixels."""

    folder: Path
    rows: tuple[Row, ...]
    side: int

    @cached_property
    def partners(self) -> tuple[np.ndarray, ...]:
        """For each row the other rows of its group: the examples that it may stand beside."""
        groups: dict[int, list[int]] = {}
        for i, row in enumerate(self.rows):
            groups.setdefault(row.group, []).append(i)
        return tuple(np.array([j for j in groups[row.group] if j != i]) for i, row in enumerate(self.rows))

    def pair(self, row: int) -> np.ndarray:
        """The pictures of a row, uint8 (2, side, side, 3): before and after."""
        where = self.rows[row]
        names = [picture_name(where.group, where.pair, end) for end in ("before", "after")]
        return np.stack([np.asarray(Image.open(self.folder / "pairs" / name).convert("RGB")) for name in names])


def drawn_prompts(data: Path, groups: int, side: int, workers: int) -> Prompts:
    """The in-domain training pairs of so many drawn groups, which are drawn into `data` unless they lie there.

    Raises: TrainingError when so few groups leave nothing to train on.
    """
    folder = data / f"visual-prompts-v{WORLD_VERSION}-{phrasings.DIGEST}-{groups}-{side}"
    with tqdm(total=groups, desc="drawing visual prompts", unit="group", delay=5) as bar:

        def watch(doing: str, done: int, total: int) -> None:
            bar.update(done - bar.n)

        make(folder, drawn(groups, SEED, Layout(quadrant=side)), max(workers, 1), watch)
    while not (folder / ABOUT).is_file():  # the first of several launched processes is still writing it
        time.sleep(1)
    return read_prompts(folder)


def read_prompts(folder: Path) -> Prompts:
    """The in-domain training pairs of a set of visual prompts that is whole (`data.grid_folders`).

    Raises: TrainingError when the folder holds none, or no pair to train on.
    """
    try:
        side = int(json.loads((folder / ABOUT).read_text("utf-8"))["asked"]["settings"]["quadrant"])
        lines = [json.loads(line) for line in (folder / "pairs" / "metadata.jsonl").read_text("utf-8").splitlines()]
        rows = [
            Row(line["group"], line["pair"], line["instruction"])
            for line in lines
            if (line["domain"], line["split"]) == ("in_domain", "train")
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{folder} holds no finished visual prompts ({error!r}): make some with 'pentimento make visual-prompts'"
        ) from None
    if not rows:
        raise TrainingError(f"{folder} leaves no pair to train on: make more groups")
    return Prompts(folder, tuple(rows), side)


def prompts_of(made: Path | None, data: Path, groups: int, side: int, workers: int) -> Prompts:
    """The pairs to train on: those of the set that was `made`, or else drawn ones.

    Raises: TrainingError when they are none, or of another size than is asked for.
    """
    if made is None:
        return drawn_prompts(data, groups, side, workers)
    prompts = read_prompts(made)
    if prompts.side != side:
        raise TrainingError(f"{made} holds pictures of {prompts.side} pixels: set quadrant={prompts.side}")
    return prompts


def pair_latents(prompts: Prompts, vae: Any) -> np.ndarray:
    """Scaled mean latents of all rows, fp16 (rows, 2, c, h, w), made beside the prompts unless they lie there."""
    path = prompts.folder / f"latents-{latents_by(vae)}.npy"
    return _kept(path, lambda: encoded(vae, prompts.pair, len(prompts.rows), "pairs"))


def detail_masks(areas: Areas, data: Path, pack_dir: Path) -> Callable[[Prompts], np.ndarray]:
    """What tells where living creatures stand in all rows, before and after: bits, uint8 (rows, 2, side, side / 8).

    One picture at a time, never the grid (InstructGIE Eq. 7-9). Made beside the prompts unless they lie there. The
    panoptic model is opened at once, so that a pack without one is refused before anything is drawn.
    Raises: TrainingError when the pack has no panoptic model and is to be asked; PackError when it cannot be opened.
    """
    if areas == "drawn":
        return lambda prompts: _kept(
            prompts.folder / "details-drawn.npy", lambda: _of_rows(prompts, _drawn_details(prompts))
        )
    panoptic, name = panoptic_of(pack_dir)
    is_living, told_by = living_of(data, pack_dir)

    def segmented(prompts: Prompts, row: int) -> list[np.ndarray]:
        shown = [panoptic.segments(Image.fromarray(picture)) for picture in prompts.pair(row)]
        living = {segment.label for segments in shown for segment in segments if is_living(segment.label)}
        return [detail_mask(segments, living, prompts.side, prompts.side)[0].numpy() for segments in shown]

    return lambda prompts: _kept(
        prompts.folder / f"details-panoptic-{name}{told_by}.npy", lambda: _of_rows(prompts, partial(segmented, prompts))
    )


def living_of(data: Path, pack_dir: Path) -> tuple[Callable[[str], bool], str]:
    """Which classes are living creatures, by the pack folder's language model where it has one (InstructGIE Eq. 8),
    each class asked once, or else by the drawn world; and a name for a language model that is asked."""
    pack = pack_that_talks(pack_dir)
    if pack is None:
        return LIVING.__contains__, ""
    table = Table(data / "living.jsonl", is_living_by(pack.chat, f"{pack.name} {pack.hash}"))
    return lambda label: table(label) == "yes", f"-{hashlib.sha256(table.answerer.by.encode()).hexdigest()[:12]}"


def pack_that_talks(pack_dir: Path) -> OpenPack | None:
    """The pack in a folder whose manifest names a planner that is a language model, or None."""
    path = pack_dir / MANIFEST
    if not path.is_file():
        return None
    manifest = read_manifest(path)
    planner = manifest.roles.get("planner")
    if planner is None or planner.kind not in CHAT_KINDS:
        return None
    return _opened(pack_dir, manifest.hash)


@lru_cache(maxsize=1)
def _opened(pack_dir: Path, version: str) -> OpenPack:
    """Opened once, for both that ask its language model, which may be large."""
    return OpenPack(pack_dir, read_manifest(pack_dir / MANIFEST), place())


def _of_rows(prompts: Prompts, masks: Callable[[int], list[np.ndarray]]) -> np.ndarray:
    rows = tqdm(range(len(prompts.rows)), desc="masking details", unit="pair", delay=5)
    return np.stack([np.packbits(np.stack(masks(row)), axis=-1) for row in rows])


def _drawn_details(prompts: Prompts) -> Callable[[int], list[np.ndarray]]:
    """The world's own masks; a group is drawn again as it was."""

    def masks(row: int) -> list[np.ndarray]:
        where = prompts.rows[row]
        edit = drawn_group(SEED, where.group).edits[where.pair]
        return [living(scene, prompts.side) for scene in (edit.before, edit.after)]

    return masks


def panoptic_of(pack_dir: Path) -> tuple[Panoptic, str]:
    """The panoptic model of a pack folder, sealed or not yet, and a name for its weights.

    Raises: TrainingError when there is none; PackError when it is the hub's and not on this machine, or the manifest
    names it otherwise than it is opened now.
    """
    pack = opened(pack_dir, "panoptic", "train panoptic first, or take areas=drawn")
    panoptic = pack.panoptic
    weights = [read_weights(locate(pack_dir, one)) for one in pack.manifest.roles["panoptic"].components.values()]
    name = hashlib.sha256(b"".join(t.half().numpy().tobytes() for one in weights for _, t in sorted(one.items())))
    return panoptic, name.hexdigest()[:12]


def opened(pack_dir: Path, name: str, instead: str) -> OpenPack:
    """A pack folder with a single role, sealed or not yet: the manifest's, whose parts may be the hub's, or without one
    that which the recipes export.

    Raises: TrainingError when a folder of the role is missing, with what to do `instead`.
    """
    path = pack_dir / MANIFEST
    manifest = read_manifest(path) if path.is_file() else Manifest(name=str(pack_dir), version="0", roles={})
    role = manifest.roles.get(name) or ROLES[name]
    for component in role.components.values():
        if split_hub_id(component) is None and not (pack_dir / component).is_dir():
            raise TrainingError(f"{pack_dir / component} is missing: {instead}")
    return OpenPack(pack_dir, manifest.model_copy(update={"roles": {name: role}, "files": {}}), place())


def unifier(data: Path, pack_dir: Path) -> Table:
    """l' = U(l) by the pack folder's language model, else by its planner, each instruction asked once (InstructGIE
    Eq. 6).

    Raises: TrainingError when the folder holds neither.
    """
    if (pack := pack_that_talks(pack_dir)) is not None:
        return Table(data / "unified.jsonl", unifier_of(pack))
    folder = pack_dir / "language"
    if not folder.is_dir():
        raise TrainingError(f"{folder} is missing: train language first, or take unify=0")
    name = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    return Table(data / "unified.jsonl", by_planner(Tagger(load(folder)), f"tagger {name}"))


def _kept(path: Path, made: Callable[[], np.ndarray]) -> np.ndarray:
    """The array at the path, made unless it lies there; another process that wants it too waits."""
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            save_whole(path, made())
    return np.load(path, mmap_mode="r")
