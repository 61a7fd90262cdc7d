"""An opened pack: its roles, each loaded when first asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module, resources
from pathlib import Path
from threading import RLock
from typing import Any

from pydantic import BaseModel
from safetensors import SafetensorError

from ..errors import PackError
from ..language.chat import Complete, Message
from ..language.phrases import read_phrases
from ..roles import BoxSegmenter, Captioner, Clip, Detector, Diffusion, InContext, Panoptic, Planner, Segmenter
from .guard import hide_broken_torchvision
from .manifest import MANIFEST, PROVIDED, Manifest, Role, locate, read_manifest, split_hub_id, stamps, verify
from .placement import Placement, place

METHODS: Mapping[str, tuple[str, ...]] = {
    "instructedit": ("text_to_image", "planner", "detector", "segmenter"),
    "instructpix2pix": ("instruct",),
    "diffedit": ("text_to_image", "planner"),
    "mdp": ("text_to_image", "planner"),
    "sdedit": ("text_to_image", "planner"),
    "inpaint": ("inpaint", "planner", "detector", "segmenter"),
    "instructbrush": ("instruct",),
    "visii": ("instruct",),
    "instructgie": ("incontext",),
    "promptdiffusion": ("prompt_diffusion",),
}
"""The roles that each method needs, for the message about a missing one; packs know no editor."""

OWN_KINDS: Mapping[str, str] = {
    "chat": "pentimento.language.chat",
    "dense_detector": "pentimento.vision.detector",
    "crop_segmenter": "pentimento.vision.segmenter",
    "clip": "pentimento.vision.clip",
    "factor_judge": "pentimento.vision.judge",
    "perceptual": "pentimento.vision.perceptual",
    "lpips_alexnet": "pentimento.vision.lpips",
    "inception_v3": "pentimento.vision.inception",
}
"""Kinds whose module has `load(folder)`; these models are small and stay in fp32 on the CPU."""

SEEING_KINDS: Mapping[str, str] = {
    "word_captioner": "pentimento.vision.captioner", "centre_panoptic": "pentimento.vision.panoptic",
}  # fmt: skip
"""Kinds whose module has `load(folder, eyes)`: they look through the net of the pack's detector."""

CHAT_KINDS = ("chat", "transformers_chat")
"""Kinds whose planner is a `language.chat.Chat`."""

_LOADING = RLock()
"""One model at a time in the whole process: while the libraries load one, they change how torch makes any other."""
SCORES = ("threshold", "companions")
"""What a pack may say of its segmenter: see `GroundedSegmenter`."""
PHRASES = "phrases.txt"


@dataclass(frozen=True)
class Entry:
    """A pack that is known by name: where its components lie, and its manifest file."""

    folder: Path
    manifest: Path


def catalogue() -> Mapping[str, Entry]:
    """The packs that come with the library, by name."""
    here = Path(str(resources.files("pentimento.packs")))
    return {
        "miniature": Entry(here / "miniature", here / "miniature" / MANIFEST),
        "sd15": Entry(here, here / "sd15.json"),
    }


def find_pack(name_or_path: str | Path) -> Entry:
    """Where the pack of that name, or in that folder, lies. Raises: PackError when there is no such pack."""
    known = catalogue()
    entry = known.get(str(name_or_path))
    if entry is not None:
        return entry
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise PackError(f"no pack is called {str(name_or_path)!r}: take {', '.join(known)} or a pack's folder")
    return Entry(folder, folder / MANIFEST)


def open_pack(name_or_path: str | Path = "miniature", device: str = "auto", dtype: str = "auto") -> "OpenPack":
    """The pack of that name, or in that folder. Loads no weights yet.

    Raises: PackError when there is no such pack, its manifest is wrong, or device or dtype cannot be had.
    """
    entry = find_pack(name_or_path)
    return OpenPack(entry.folder, read_manifest(entry.manifest), place(device, dtype))


class OpenPack:
    """Fulfils `roles.Pack`. Every role is a property that loads its model once; components are shared between roles.

    Files are compared with the manifest's hashes when they are loaded.
    """

    def __init__(self, folder: Path, manifest: Manifest, placement: Placement):
        self.folder, self.manifest, self.placement = folder, manifest, placement
        self._identity = manifest if manifest.files else manifest.model_copy(update={"files": stamps(folder, manifest)})
        self.name, self.hash = manifest.name, self._identity.hash
        self.defaults: Mapping[str, Mapping[str, Any]] = manifest.defaults
        self._loaded: dict[tuple[str, Path], Any] = {}
        self._roles: dict[str, Any] = {}

    def hash_of(self, *roles: str) -> str:
        """That of some roles alone: what is measured with these stays measured when others change."""
        return self._identity.hash_of(*roles)

    @property
    def text_to_image(self) -> Diffusion:
        return self.load("text_to_image")

    @property
    def instruct(self) -> Diffusion:
        return self.load("instruct")

    @property
    def inpaint(self) -> Diffusion:
        return self.load("inpaint")

    @property
    def incontext(self) -> InContext:
        return self.load("incontext")

    @property
    def prompt_diffusion(self) -> InContext:
        return self.load("prompt_diffusion")

    @property
    def instruct_in_context(self) -> Diffusion:
        return self.load("instruct_in_context")

    @property
    def detector(self) -> Detector:
        return self.load("detector")

    @cached_property
    def box_segmenter(self) -> BoxSegmenter:
        """Boxes to masks: the manifest's role "segmenter"."""
        return self.load("segmenter")

    @cached_property
    def segmenter(self) -> Segmenter:
        """Phrases to one mask: detector and box segmenter together, at the pack's own box scores."""
        from ..vision.segment import GroundedSegmenter

        given = self.defaults.get("segmenter", {})
        for name in SCORES:
            if not isinstance(given.get(name, 0.0), int | float):
                raise PackError(f"the pack {self.name!r} has the segmenter's {name} {given[name]!r}: give it a number")
        scores = {name: given[name] for name in SCORES if name in given}
        return GroundedSegmenter(self.detector, self.box_segmenter, **scores)

    @property
    def panoptic(self) -> Panoptic:
        return self.load("panoptic")

    @property
    def captioner(self) -> Captioner:
        return self.load("captioner")

    @property
    def planner(self) -> Planner:
        return self.load("planner")

    @property
    def chat(self) -> Complete:
        """The language model behind the planner, loaded at the first question.

        Raises: PackError at once when the pack's planner is none.
        """
        planner = self.manifest.roles.get("planner")
        if planner is None or planner.kind not in CHAT_KINDS:
            raise PackError(f"the pack {self.name!r} has no language model that writes: take a pack that has one")

        def complete(talk: Sequence[Message], kind: type[BaseModel]) -> str:
            loaded: Any = self.planner
            return str(loaded.complete(talk, kind))

        return complete

    @property
    def clip(self) -> Clip:
        return self.load("clip")

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """The lines of phrases.txt beside the clip; none when the pack has no such file."""
        clip = self.manifest.roles.get("clip")
        folder = clip.components.get("model", "") if clip else ""
        if not folder or split_hub_id(folder) is not None or not (self.folder / folder / PHRASES).is_file():
            return ()
        return read_phrases(self.folder / folder / PHRASES)

    @property
    def judge(self) -> Any:
        """The judge of edits; for the bench alone."""
        return self.load("judge")

    @property
    def perceptual(self) -> Any:
        """What says how different pictures look, for the bench alone: LPIPS where its weights are there, else the
        pack's own network."""
        return self.load("lpips") if self._measures_by("lpips") else self._own_perceptual

    @property
    def features(self) -> Any:
        """What sees pictures for distances between sets, for the bench alone: Inception where its weights are there,
        else the pack's own network."""
        return self.load("inception") if self._measures_by("inception") else self._own_perceptual

    @property
    def _own_perceptual(self) -> Any:
        return self.load("perceptual")

    def _measures_by(self, role: str) -> bool:
        """Whether the role's folder is there; without a network of the pack's own, whether the role is."""
        wanted = self.manifest.roles.get(role)
        if wanted is None or "perceptual" not in self.manifest.roles:
            return wanted is not None
        return all((self.folder / component).is_dir() for component in wanted.components.values())

    def load(self, role: str) -> Any:
        """The model of a role, with its shared components; loaded once, whichever threads ask for it.

        Raises: PackError when the pack has no such role, a file is missing, differs from its hash, is no safetensors
        or does not fit its config.
        """
        wanted = self.manifest.roles.get(role)
        if wanted is None:
            raise PackError(self._without(role))
        with _LOADING:
            if role not in self._roles:
                self._roles[role] = self._opened(role, wanted)
            return self._roles[role]

    def _opened(self, role: str, wanted: Role) -> Any:
        if wanted.kind in PROVIDED:
            self._asks_for_weights(role, wanted)
        files = self.manifest.downloads
        try:
            folders = {name: locate(self.folder, c, files.get(c, ())) for name, c in wanted.components.items()}
            verify(self.folder, self.manifest, [c for c in wanted.components.values() if split_hub_id(c) is None])
            for folder in folders.values():
                _refuse_pickles(folder)
            hide_broken_torchvision()
            with quiet():
                return self._load(wanted.kind, folders)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            said = f"it has no component {error}" if isinstance(error, KeyError) else str(error).strip()
            line = (said or type(error).__name__).splitlines()[0]
            raise PackError(f"role {role!r} of the pack {self.name!r} does not load: {line}") from error

    def _load(self, kind: str, folders: dict[str, Path]) -> Any:
        if kind == "latent_diffusion":
            from .diffusion import load_latent_diffusion

            return load_latent_diffusion(folders, self.placement, self._shared)
        if kind == "prompted_diffusion":
            from .in_context import load_prompted

            return load_prompted(folders, self.placement, self._shared)
        if kind == "tagger":
            from ..language import tagger

            return tagger.Tagger(tagger.load(folders["model"]))
        if kind in SEEING_KINDS:
            if "detector" not in folders:
                raise PackError(f"a {kind!r} in the pack {self.name!r} needs a component 'detector': name its folder")
            eyes = self._own("dense_detector", folders["detector"]).net
            return import_module(SEEING_KINDS[kind]).load(folders["model"], eyes)
        if kind in OWN_KINDS:
            return self._own(kind, folders["model"])
        if kind in HUB_KINDS:
            return getattr(import_module("pentimento.packs.hub"), HUB_KINDS[kind])(folders["model"], self.placement)
        raise PackError(f"the pack {self.name!r} holds a {kind!r}, which this version cannot load: update the library")

    def _asks_for_weights(self, role: str, wanted: Role) -> None:
        for component in wanted.components.values():
            if not (self.folder / component).is_dir():
                raise PackError(
                    f"the weights for {role} are not here: put {PROVIDED[wanted.kind]} as safetensors into "
                    f"{self.folder / component}, or into that folder of a pack of your own that has the role"
                )

    def _own(self, kind: str, folder: Path) -> Any:
        return self._shared(kind, folder, lambda: import_module(OWN_KINDS[kind]).load(folder))

    def _shared(self, kind: str, folder: Path, load: Callable[[], Any]) -> Any:
        key = (kind, folder.resolve())
        if key not in self._loaded:
            self._loaded[key] = load()
        return self._loaded[key]

    def with_component(self, role: str, name: str, folder: Path) -> "OpenPack":
        """This pack with another folder for one component of a role, as an ablation wants it; all else is shared.

        No hash of the manifest speaks of that folder. Raises: PackError when the pack has no such role, or the folder's
        path holds the sign of a hub id.
        """
        wanted = self.manifest.roles.get(role)
        if wanted is None:
            raise PackError(self._without(role))
        if split_hub_id(str(Path(folder).resolve())) is not None:
            raise PackError(f"{folder}: its path holds an @, which names a place on the hub: move it")
        changed = wanted.model_copy(update={"components": {**wanted.components, name: str(Path(folder).resolve())}})
        roles = {**self.manifest.roles, role: changed}
        other = OpenPack(self.folder, self.manifest.model_copy(update={"roles": roles}), self.placement)
        other._loaded = self._loaded
        return other

    def computing_in(self, dtype: str) -> "OpenPack":
        """This pack on the same device, in another arithmetic: "fp32", "bf16" or "fp16"; nothing is shared.

        Raises: PackError as `place` does.
        """
        return OpenPack(self.folder, self.manifest, place(str(self.placement.device), dtype))

    def _without(self, role: str) -> str:
        have = set(self.manifest.roles)
        works = [method for method, needs in METHODS.items() if have.issuperset(needs)]
        left = f"what still works with it: {', '.join(works)}" if works else "no method works with it"
        return f"the pack {self.name!r} has no {role}: take another pack, or train one; {left}"


HUB_KINDS: Mapping[str, str] = {
    "grounding_dino": "load_grounding_dino",
    "sam": "load_sam",
    "sam2": "load_sam2",
    "blip2": "load_blip2",
    "mask2former": "load_mask2former",
    "transformers_chat": "load_chat",
}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def _refuse_pickles(folder: Path) -> None:
    """Weights that are only there as pickles are refused; beside safetensors they are not looked at."""
    names = [path.name for path in folder.iterdir()]
    pickled = [name for name in names if name.endswith(PICKLES)]
    if pickled and not any(name.endswith(".safetensors") for name in names):
        raise PackError(f"{folder / pickled[0]} is no safetensors file: convert it, pickled weights are not loaded")


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no loading reports from the libraries; what is wrong, we raise ourselves."""
    import diffusers.utils.logging as diffusers_log
    import transformers.utils.logging as transformers_log

    levels = (diffusers_log.get_verbosity(), transformers_log.get_verbosity())
    bars = (diffusers_log.is_progress_bar_enabled(), transformers_log.is_progress_bar_enabled())
    for log in (diffusers_log, transformers_log):
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level, bar in zip((diffusers_log, transformers_log), levels, bars, strict=True):
            log.set_verbosity(level)
            if bar:
                log.enable_progress_bar()
