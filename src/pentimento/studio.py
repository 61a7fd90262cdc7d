"""The façade: plan, find, edit, repeat. It brings packs and editors together, which know nothing of each other.

    import pentimento
    edited = pentimento.edit("in.png", "change the cat to a tiger")
    edited.image.save("out.png")          # or pentimento.save(edited, "out.png"), which keeps the record

Torch is loaded when the first pack is opened, not before.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .errors import RequestError
from .images import (
    Picture,
    check_writable,
    from_pil,
    open_picture,
    read_record,
    save_picture,
    side_by_side,
    tinted,
)
from .learned import file_hash, load_learned
from .record import Record, environment, pack_mask, parse_record, unpack_mask
from .settings import build, describe
from .values import Found, Learned, Pair, Plan, Request, Result

if TYPE_CHECKING:
    from .roles import Pack

MAX_INSTRUCTION = 1000
"""Characters; nothing that a person asks for in one edit is longer."""

Watch = Callable[[str, int, int], None]
Editor = Callable[[Request, Watch], Result]


@dataclass(frozen=True)
class Studio:
    """An opened pack, by which name or folder it was opened, and where it runs ("cpu", "bf16")."""

    pack: "Pack"
    source: str
    device: str
    dtype: str


@dataclass(frozen=True)
class LearnedFile:
    """A learned instruction with the file that it lies in and that file's sha256, for the record."""

    learned: Learned
    path: str
    sha256: str


@dataclass(frozen=True)
class Example:
    """A before/after pair that shows an edit, with both pictures' files and the sha256 of their pixels, for the record.

    A picture from memory has the file "".
    """

    pair: Pair
    paths: tuple[str, str]
    sha256: tuple[str, str]


@dataclass(frozen=True)
class Edited:
    """A result: `image` has the input's size and alpha; `mask` is bool (h, w), None for methods without one."""

    image: Image.Image
    mask: np.ndarray | None
    picture: Picture
    record: Record


def quiet(doing: str, done: int, total: int) -> None:
    """The Watch that does not look."""


def open_studio(pack: str = "miniature", device: str = "auto", dtype: str = "auto") -> Studio:
    """A pack by name or folder, kept open so that the next edit finds its models loaded.

    Raises:
        PackError: there is no such pack, or it is broken.
        RequestError: the device or dtype cannot be used.
    """
    from .packs.placement import place

    with _OPENING:
        return _studio(pack, *place(device, dtype).words.split())


_OPENING = Lock()


@lru_cache(maxsize=2)
def _studio(pack: str, device: str, dtype: str) -> Studio:
    from .packs import open_pack

    return Studio(open_pack(pack, device, dtype), pack, device, dtype)


def catalogue() -> tuple[str, ...]:
    """The packs that are known by name."""
    from . import packs

    return tuple(packs.catalogue())


def methods() -> tuple[str, ...]:
    """The editors by name."""
    from .editors import EDITORS

    return tuple(EDITORS)


def make_editor(studio: Studio, method: str, settings: Mapping[str, Any]) -> Editor:
    """The editor with the paper's defaults, over these the pack's, over these `settings`.

    Raises:
        RequestError: an unknown method, or a setting that is unknown or out of its range.
    """
    from .editors import EDITORS

    if method not in EDITORS:
        raise RequestError(f"unknown method {method!r}: there are {', '.join(EDITORS)}")
    if "pack" in settings:
        raise RequestError("pack is no setting of a method: name it with --pack")
    chosen = {**studio.pack.defaults.get(method, {}), **settings, "pack": studio.pack}
    classes: Mapping[str, Any] = EDITORS
    editor: Editor = build(classes[method], method, chosen)
    return editor


def open_learned(path: str | os.PathLike[str]) -> LearnedFile:
    """A learned instruction from its file.

    Raises:
        RequestError: there is none in it.
    """
    file = Path(path)
    return LearnedFile(load_learned(file), os.fspath(path), file_hash(file))


def open_example(
    before: str | os.PathLike[str] | Image.Image | Picture, after: str | os.PathLike[str] | Image.Image | Picture
) -> Example:
    """An example of an edit from its two pictures.

    Raises:
        RequestError: either cannot be used.
    """
    first, second = _opened(before), _opened(after)
    return Example(Pair(first.image, second.image), (first.path, second.path), (first.pixel_hash, second.pixel_hash))


def method_for(learned: LearnedFile | None = None, example: Example | None = None, method: str = "") -> str:
    """The method that carries out an edit: the one that is named, or else the one that takes what is given.

    Raises:
        RequestError: there is a learned instruction and an example as well, or the named method does not take it.
    """
    from .editors import EDITORS

    if learned and example:
        raise RequestError("give a learned instruction or an example, not both: no method takes the two")
    if not method:
        return learned.learned.method if learned else "instructgie" if example else "instructedit"
    needs = EDITORS[method].needs if method in EDITORS else {"learned", "example"}  # an unknown one is refused later
    for given, need, does in (
        (learned, "learned", "applies no learned instruction"),
        (example, "example", "looks at no example"),
    ):
        if given and need not in needs:
            able = ", ".join(name for name, one in EDITORS.items() if need in one.needs)
            raise RequestError(f"{method} {does}: leave it out, or take one of {able}")
    return method


def confined(studio: Studio, picture: Picture, phrase: str, mask: np.ndarray | None) -> np.ndarray:
    """The mask, bool (h, w), of what a phrase finds, to confine an edit to it.

    Raises:
        NothingFound: it finds nothing.
        RequestError: a mask was given as well.
    """
    if mask is not None:
        raise RequestError("give a mask or a phrase to find, not both")
    return find(studio, picture, (phrase,)).mask


def learn(
    pairs: str | os.PathLike[str] | Sequence[Pair],
    output: str | os.PathLike[str],
    *,
    method: str = "instructbrush",
    vocabulary: Sequence[str] = (),
    held_out: Pair | None = None,
    preview: str | os.PathLike[str] | Image.Image | Picture | None = None,
    pack: str = "miniature",
    device: str = "auto",
    dtype: str = "auto",
    **settings: Any,
) -> LearnedFile:
    """An instruction learned from before/after pairs, or from a folder of them, and written to `output`.

    `settings` are `learning.LearnSettings`, such as steps=300; the first words are chosen from `vocabulary`. Of a
    `held_out` pair the effect is scored as it is learned; on a `preview` picture it is drawn, into the run folder. The
    same call goes on where it was broken off: a learning that was stopped is written, too, and its `about` says that it
    is not "finished".

    Raises:
        RequestError: pairs, settings or the place cannot be used.
        PackError: a role is missing.
        TrainingError: the run folder belongs to another learning, or has done more steps than are asked for.
    """
    from .learning import Watching, read_pairs, settings_for
    from .learning import learn as learn_instruction

    path = Path(output)
    check_writable(path, ".safetensors")
    opened = tuple(pairs) if not isinstance(pairs, str | os.PathLike) else read_pairs(Path(pairs))
    studio = open_studio(pack, device, dtype)
    chosen = settings_for(studio.pack, method, settings)
    shown = _opened(preview).image if preview is not None else None

    def drawn(learned: Learned, picture: Image.Image) -> Image.Image:
        editor = make_editor(studio, method, learned.scales)
        return editor(Request(picture, learned=learned), quiet).image

    watching = Watching(drawn, held_out, shown)
    learned = learn_instruction(studio.pack, opened, path, chosen, phrases=vocabulary, watching=watching)
    return LearnedFile(learned, os.fspath(output), file_hash(path))


def plan(studio: Studio, instruction: str, picture: Picture | None = None, description: str = "") -> tuple[Plan, ...]:
    """What an instruction asks for, one plan an edit; a picture is described first.

    Raises:
        PlanError: the words are not understood.
        RequestError: there are no words, or too many.
    """
    from .editors.planned import describe as described

    check_instruction(instruction)
    if picture is not None:
        description = described(studio.pack.captioner, picture.image)
    return studio.pack.planner.plan(instruction, description)


def find(studio: Studio, picture: Picture, phrases: Sequence[str], which: Sequence[str] = ("best",)) -> Found:
    """Where the phrases are in a picture.

    Raises:
        NothingFound: nowhere.
        RequestError: an empty phrase, or a choice that is none.
    """
    if not phrases or not all(phrase.strip() for phrase in phrases):
        raise RequestError('give a phrase to find, such as "orange cat"')
    return studio.pack.segmenter.find(picture.image, tuple(phrases), which[0] if len(which) == 1 else tuple(which))


def variants(
    studio: Studio,
    editor: Editor,
    method: str,
    picture: Picture,
    instruction: str,
    seeds: Iterable[int] = (0,),
    mask: np.ndarray | None = None,
    plans: Sequence[Plan] = (),
    description: str = "",
    watch: Watch = quiet,
    learned: LearnedFile | None = None,
    example: Example | None = None,
) -> Iterator[Edited]:
    """The same edit once for each seed; words and masks are worked out once. With `learned` or `example` there may be
    no words.

    Raises:
        RequestError, PlanError, NothingFound, PackError: as the editor does.
    """
    from .editors import EDITORS

    began = perf_counter()
    works_from = EDITORS[method].works_from
    if plans and "plan" not in works_from:
        raise RequestError(f"{method} works from no plan: leave it out, or take another method")
    if not plans:
        if instruction or not (learned or example):
            check_instruction(instruction)
        if "plan" in works_from:
            plans = _plans(studio, editor, picture, instruction, description, watch)
    planned = perf_counter()
    masks = [mask] * len(plans)
    if "mask" in works_from and mask is None:
        masks = _masks(studio, plans, picture, watch)
    found = perf_counter()
    turns: list[tuple[Plan | None, np.ndarray | None]] = [*zip(plans, masks, strict=True)] or [(None, mask)]
    for seed in seeds:
        start = perf_counter()
        image, edits, regions = picture.image, [], []
        for one, region in turns:
            said = learned.learned if learned else None
            pairs = (example.pair,) if example else ()
            request = Request(image, instruction, plan=one, mask=region, pairs=pairs, learned=said, seed=seed)
            result = editor(request, watch)
            image = result.image
            edits.append(result.record)
            if result.mask is not None:
                regions.append(result.mask)
        seconds = {"plan": planned - began, "mask": found - planned, "edit": perf_counter() - start}
        record = Record(
            method=method,
            settings=edits[0]["settings"],
            pack=studio.source,
            pack_hash=studio.pack.hash,
            device=studio.device,
            dtype=studio.dtype,
            seed=seed,
            instruction=instruction,
            input=picture.path,
            input_sha256=picture.file_hash,
            input_pixels_sha256=picture.pixel_hash,
            plans=tuple(plans),
            mask=pack_mask(mask),
            learned=learned.path if learned else "",
            learned_sha256=learned.sha256 if learned else "",
            example=example.paths if example else (),
            example_pixels_sha256=example.sha256 if example else (),
            versions=_environment(),
            seconds={name: round(value, 3) for name, value in seconds.items()},
            edits=tuple({name: one[name] for name in ("timings", "unified") if name in one} for one in edits),
        )
        union = np.logical_or.reduce(regions) if regions else None
        yield Edited(_with_alpha(image, picture.alpha), union, picture, record)


def edit(
    picture: str | os.PathLike[str] | Image.Image | Picture,
    instruction: str = "",
    *,
    method: str = "",
    seed: int = 0,
    mask: np.ndarray | None = None,
    find: str = "",
    plans: Sequence[Plan] = (),
    description: str = "",
    learned: LearnedFile | str | os.PathLike[str] | None = None,
    example: Example | Pair | None = None,
    pack: str = "miniature",
    device: str = "auto",
    dtype: str = "auto",
    watch: Watch = quiet,
    **settings: Any,
) -> Edited:
    """The picture edited by an instruction; `settings` are the method's own, such as ratio=0.5.

    `mask`, bool (h, w), skips the segmenter and `plans` the planner; `find` is a phrase whose mask is taken. `learned`
    is an instruction that was learned from pairs, or its file; `example` is one pair that shows the edit, with words or
    without. The method is InstructEdit, the one that learned, or InstructGIE for an example. A picture is a file, a PIL
    image, or a Picture.

    Raises:
        RequestError: something given cannot be used.
        PlanError: the words are not understood.
        NothingFound: nothing in the picture answers them.
        PackError: the pack, or a role that the method needs, is missing.
    """
    opened = _opened(picture)
    studio = open_studio(pack, device, dtype)
    said = learned if learned is None or isinstance(learned, LearnedFile) else open_learned(learned)
    shown = open_example(example.before, example.after) if isinstance(example, Pair) else example
    method = method_for(said, shown, method)
    editor = make_editor(studio, method, {**(said.learned.scales if said else {}), **settings})
    if find:
        mask = confined(studio, opened, find, mask)
    return next(
        variants(
            studio, editor, method, opened, instruction, (seed,), mask, plans, description, watch, said, shown
        )
    )  # fmt: skip


def again(
    result: str | os.PathLike[str],
    picture: str | os.PathLike[str] | Image.Image | Picture | None = None,
    watch: Watch = quiet,
    learned: str | os.PathLike[str] | None = None,
    example: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
) -> tuple[Edited, bool]:
    """The edit in a result's record, done once more, and whether every pixel is the same as in the result.

    The picture, the learned instruction and the example (before, after) lie where the record says unless they are
    given.

    Raises:
        RequestError: no record; the input, the learned instruction or the example is gone or is another one; one is
            given that the record knows nothing of; the pack has changed.
    """
    record = record_of(result)
    if picture is None:
        if not os.path.isfile(record.input):
            named = record.input or "a picture that came from no file"
            raise RequestError(f"{os.fspath(result)}: its input was {named}, which is not there; name it with --image")
        picture = record.input
    opened = open_picture(picture, float("inf")) if isinstance(picture, str | os.PathLike) else _opened(picture)
    if opened.pixel_hash != record.input_pixels_sha256:
        raise RequestError(
            f"{opened.path or 'the picture'}: is not the picture that {os.fspath(result)} was made from "
            f"(its pixels' sha256 begins {opened.pixel_hash[:12]}, wanted {record.input_pixels_sha256[:12]})"
        )
    studio = open_studio(record.pack, record.device, record.dtype)
    if studio.pack.hash != record.pack_hash:
        raise RequestError(
            f"{os.fspath(result)}: was made with another version of the pack {record.pack} "
            f"(its hash begins {record.pack_hash[:12]}, here {studio.pack.hash[:12]}); open that version"
        )
    editor = make_editor(studio, record.method, record.settings)
    edited = next(
        variants(
            studio, editor, record.method, opened, record.instruction, (record.seed,),
            unpack_mask(record.mask), record.plans, watch=watch,
            learned=_learned_of(record, result, learned), example=_example_of(record, result, example),
        )
    )  # fmt: skip
    return edited, _same_pixels(edited, open_picture(result, float("inf")))


def _learned_of(
    record: Record, result: str | os.PathLike[str], moved: str | os.PathLike[str] | None
) -> LearnedFile | None:
    """The learned instruction that a record names, from where it lies now; None when it names none.

    Raises:
        RequestError: it is gone, or another one; or one was given though the record names none.
    """
    if not record.learned:
        if moved is not None:
            raise RequestError(f"{os.fspath(result)}: was made without a learned instruction; leave --learned away")
        return None
    if moved is None and not os.path.isfile(record.learned):
        raise RequestError(
            f"{os.fspath(result)}: its learned instruction was {record.learned}, which is not there; "
            "name it with --learned"
        )
    learned = open_learned(moved or record.learned)
    if learned.sha256 != record.learned_sha256:
        raise RequestError(
            f"{os.fspath(result)}: was made with another version of {learned.path} (its sha256 begins "
            f"{record.learned_sha256[:12]}, here {learned.sha256[:12]}); name that file with --learned"
        )
    return learned


def _example_of(
    record: Record,
    result: str | os.PathLike[str],
    moved: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None,
) -> Example | None:
    """The example that a record names, from where it lies now; None when it names none.

    Raises:
        RequestError: it is gone, or holds other pictures; or one was given though the record names none.
    """
    if not record.example:
        if moved is not None:
            raise RequestError(f"{os.fspath(result)}: was made without an example; leave --example away")
        return None
    for path in () if moved else record.example:
        if not os.path.isfile(path):
            named = path or "a picture that came from no file"
            raise RequestError(
                f"{os.fspath(result)}: its example was {named}, which is not there; name both with --example"
            )
    example = open_example(*(moved or record.example))
    if example.sha256 != record.example_pixels_sha256:
        raise RequestError(
            f"{os.fspath(result)}: was made with other pictures than {' and '.join(example.paths)}; "
            "name those with --example"
        )
    return example


def save(edited: Edited, path: str | os.PathLike[str]) -> None:
    """Write a result as PNG with alpha, profile and record; it appears whole or not at all.

    Raises:
        RequestError: the place cannot be written.
    """
    record = edited.record.model_dump(mode="json")
    save_picture(path, edited.image, edited.picture.alpha, edited.picture.icc, record)


def record_of(path: str | os.PathLike[str]) -> Record:
    """The record inside a saved result.

    Raises:
        RequestError: there is none that can be used.
    """
    return parse_record(read_record(path), os.fspath(path))


def differences(new: Record, old: Record) -> tuple[str, ...]:
    """What differs between the surroundings of two results, such as the version of torch; bits may depend on it."""
    names = sorted(set(new.versions) | set(old.versions))
    return tuple(
        f"{name} is {new.versions.get(name, 'absent')} here and was {old.versions.get(name, 'absent')} then"
        for name in names
        if new.versions.get(name) != old.versions.get(name)
    )


def sheet(edited: Edited) -> Image.Image:
    """Before, plan, mask and after side by side."""
    before = edited.picture.image
    words = [f"\u201c{edited.record.instruction}\u201d"] if edited.record.instruction else []
    words += [plan_in_words(plan) for plan in edited.record.plans] or [f"method: {edited.record.method}"]
    panels: list[tuple[str, Image.Image | str]] = [("before", before), ("plan", "\n\n".join(words))]
    if edited.mask is not None:
        panels.append(("mask", tinted(before, edited.mask)))
    return side_by_side([*panels, ("after", edited.image)])


def plan_in_words(plan: Plan) -> str:
    """A plan in a few lines."""
    which = plan.which if isinstance(plan.which, str) else " + ".join(plan.which)
    lines = [
        f"kind: {plan.kind}",
        f"find: {', '.join(plan.find) + f' ({which})' if plan.find else 'the whole picture'}",
    ]
    lines += [f"before: {plan.before}", f"after: {plan.after}"]
    return "\n".join(lines + ([f"description: {plan.description}"] if plan.description else []))


def describe_pack(name: str) -> dict[str, Any]:
    """A pack in words: its hash, its roles, and each method's settings with range and value in this pack.

    Raises:
        PackError: there is no such pack.
    """
    from .editors import EDITORS
    from .packs import open_pack

    pack = open_pack(name)
    settings = {
        method: {
            one.name: f"{pack.defaults.get(method, {}).get(one.name, one.default)} ({one.wanted}; {one.about})"
            for one in describe(editor)
        }
        for method, editor in EDITORS.items()
    }
    roles = {role: one.kind for role, one in pack.manifest.roles.items()}
    return {"name": pack.name, "hash": pack.hash, "roles": roles, "methods": settings}


def check_instruction(instruction: str) -> None:
    """Refuse words that are none, or far too many.

    Raises:
        RequestError: empty, or longer than MAX_INSTRUCTION characters.
    """
    if not instruction.strip():
        raise RequestError('the instruction is empty: say what to change, such as "change the cat to a tiger"')
    if len(instruction) > MAX_INSTRUCTION:
        raise RequestError(f"the instruction has {len(instruction)} characters: wanted at most {MAX_INSTRUCTION}")


def _plans(
    studio: Studio, editor: Any, picture: Picture, instruction: str, description: str, watch: Watch
) -> tuple[Plan, ...]:
    """The plans for an instruction, with the description that was given or as the editor's settings say."""
    from .editors.planned import plans_for

    watch("plan", 0, 1)
    if description:
        return studio.pack.planner.plan(instruction, description)
    return plans_for(studio.pack, instruction, picture.image, editor.description)


def _masks(studio: Studio, plans: Sequence[Plan], picture: Picture, watch: Watch) -> list[np.ndarray | None]:
    """A mask for each plan, all found in the picture as it was given, so that one edit cannot hide another's thing."""
    from .editors.planned import mask_for

    watch("mask", 0, 1)
    return [mask_for(studio.pack, plan, picture.image) for plan in plans]


def _opened(picture: str | os.PathLike[str] | Image.Image | Picture) -> Picture:
    match picture:
        case Picture():
            return picture
        case Image.Image():
            return from_pil(picture)
        case _:
            return open_picture(picture)


def _with_alpha(image: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is None:
        return image
    image = image.convert("RGB")
    image.putalpha(alpha)
    return image


def _same_pixels(edited: Edited, saved: Picture) -> bool:
    rgb = edited.image.convert("RGB")
    same = rgb.size == saved.image.size and np.array_equal(np.asarray(rgb), np.asarray(saved.image))
    alpha, saved_alpha = edited.picture.alpha, saved.alpha
    if alpha is None or saved_alpha is None:
        return same and alpha is saved_alpha
    return same and np.array_equal(np.asarray(alpha), np.asarray(saved_alpha))


def _environment() -> dict[str, str]:
    import torch

    return environment() | {"threads": str(torch.get_num_threads())}
