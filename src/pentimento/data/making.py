"""Making a set of visual prompts group by group, in one process or many; what is broken off goes on where it was.

While it grows it lies in a hidden folder beside its own: a group is done when its record is there, which appears last
and whole. What a group becomes depends on its number alone, so any number of processes makes the same set. When all
groups are done, the first process writes the set, which appears whole or not at all.
"""

import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import PentimentoError, RequestError
from ..language.groups import Group
from ..values import Pair
from .edits import render_edit
from .export import check_split
from .grouped import draw_group
from .scenes import WORLD_VERSION
from .visual_prompts import ABOUT, LEAST, GroupRecord, Kept, Layout, picture_name, write_set

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MadePair:
    """A pair that was kept: its number in the group, its pictures, and what is known of how they were made."""

    number: int
    pair: Pair
    about: Mapping[str, float | int | str]


@dataclass(frozen=True)
class Made:
    """What came of a group: the pairs that were kept. `group` is None when nobody could write it."""

    group: Group | None
    pairs: tuple[MadePair, ...]


Maker = Callable[[int], Made]
"""The number of a group -> the group."""
Begin = Callable[[Path, int], Maker]
"""(the working folder, which process of this machine) -> the Maker; it crosses processes, so it must be picklable."""


@dataclass(frozen=True)
class Order:
    """A set of visual prompts that is asked for: groups 0..n-1; `source` says, as JSON, all else that decides it."""

    n: int
    seed: int
    layout: Layout
    source: Mapping[str, Any]
    begin: Begin

    @property
    def asked(self) -> dict[str, Any]:
        """The order as JSON."""
        settings = self.layout.model_dump(mode="json")
        return {"n": self.n, "seed": self.seed, **self.source, "settings": settings}


@dataclass(frozen=True)
class Share:
    """This process's part of the work, when several were launched: number `rank` of `world`, `local` on its machine."""

    rank: int
    world: int
    local: int


def launched() -> Share:
    """The part that `accelerate launch` (or torchrun) gives this process; the whole when nobody launched several."""
    rank, world, local = (int(os.environ.get(name, default)) for name, default in
                          (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")))  # fmt: skip
    return Share(rank, world, local)


def drawn(n: int, seed: int, layout: Layout, split: str = "train") -> Order:
    """The order of a set that is drawn, with exact pairs of the world's split, at the size of a grid's quadrant.

    Raises:
        RequestError: an unknown split.
    """
    check_split(split)
    source = {"source": "drawn", "split": split, "world_version": WORLD_VERSION}
    return Order(n, seed, layout, source, partial(_begin_drawing, seed, split, layout.quadrant))


def _begin_drawing(seed: int, split: str, size: int, work: Path, place: int) -> Maker:
    return partial(_draw, seed, split, size)


def _draw(seed: int, split: str, size: int, number: int) -> Made:
    group = draw_group(seed, number, split)
    pairs = []
    for i, edit in enumerate(group.edits):
        shown = render_edit(edit, size)
        pictures = Pair(Image.fromarray(shown.before), Image.fromarray(shown.after))
        pairs.append(MadePair(i, pictures, {"scene_seed": edit.before.seed}))
    return Made(group.group, tuple(pairs))


def make(
    folder: Path, order: Order, workers: int = 1, watch: Watch = lambda doing, done, total: None
) -> dict[str, Any] | None:
    """Make the set, or go on making it; what it holds (see `write_set`), None in a launched process but the first.

    A set that is there already, made by the same order, is left as it is. Raises:
        RequestError: the folder holds something else, an unfinished set of another order lies beside it, or a place
            cannot be written.
        PackError, PlanError: as the source of the pairs does.
    """
    folder, share = Path(folder), launched()
    work = folder.parent / f".{folder.name}.making"
    found = _finished(folder, order)
    if found is not None:
        shutil.rmtree(work, ignore_errors=True)  # a run that was killed at the very end left it
        return None if share.rank else found
    try:
        _open(work, order)
        _carry_out(folder, work, order, workers, share, watch)
        if share.rank:
            return None
        while _done(work, order) < order.n:  # the other processes are on it; the launcher ends all when one fails
            watch("groups", _done(work, order), order.n)
            time.sleep(1)
        records = [GroupRecord.model_validate_json(_file(work, i).read_text("utf-8")) for i in range(order.n)]
        shutil.rmtree(work / "set", ignore_errors=True)
        made = write_set(work / "set", work / "pairs", records, order.layout, order.seed, order.asked)
        os.replace(work / "set", folder)
    except OSError as error:
        place = error.filename or folder
        raise RequestError(f"{place}: cannot be used ({error.strerror or error}); name another place") from None
    shutil.rmtree(work)
    return made


def _finished(folder: Path, order: Order) -> dict[str, Any] | None:
    """What the folder holds when this order has been carried out there, None when nothing is there yet."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RequestError(f"{folder}: is not empty; name a new folder or empty this one") from None
    if about["asked"] != order.asked:
        raise RequestError(f"{folder}: holds a set that was asked for otherwise{_differing(about['asked'], order)}")
    made: dict[str, Any] = about["made"]
    return made


def _open(work: Path, order: Order) -> None:
    """The working folder, new or as it was left; several processes may open it at once."""
    work.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{work.name}.", dir=work.parent))
    try:
        for name in ("groups", "pairs"):
            (new / name).mkdir()
        (new / "order.json").write_text(json.dumps(order.asked, indent=1), encoding="utf-8")
        if not work.exists():
            os.rename(new, work)  # of two at once, one finds it full
    except OSError:
        if not work.exists():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    asked = json.loads((work / "order.json").read_text(encoding="utf-8"))
    if asked != order.asked:
        raise RequestError(
            f"{work}: an unfinished set was asked for otherwise{_differing(asked, order)}; "
            "ask as before to go on with it, or delete that folder"
        )


def _differing(asked: Mapping[str, Any], order: Order) -> str:
    flat, wanted = ({**one, **one.get("settings", {})} for one in (asked, order.asked))
    names = [n for n in flat.keys() | wanted.keys() if n != "settings" and flat.get(n) != wanted.get(n)]
    said = ", ".join(f"{name} {flat.get(name)} there, {wanted.get(name)} here" for name in sorted(names))
    return f" ({said})"


def _file(work: Path, number: int) -> Path:
    return work / "groups" / f"{number:06d}.json"


def _done(work: Path, order: Order) -> int:
    return sum(_file(work, number).exists() for number in range(order.n))


def _carry_out(folder: Path, work: Path, order: Order, workers: int, share: Share, watch: Watch) -> None:
    """Make this process's groups, by `workers` processes of its own when that is more than one."""
    parts = share.world * workers
    shares = [range(share.rank * workers + w, order.n, parts) for w in range(workers)]
    missing = [[number for number in numbers if not _file(work, number).exists()] for numbers in shares]
    if not any(missing) or _finished(folder, order) is not None:  # meanwhile the first process may have cleared up
        return
    if workers == 1:
        _make_groups(work, order, missing[0], share.local, lambda: watch("groups", _done(work, order), order.n))
        return
    context = multiprocessing.get_context("spawn")
    at_work = []
    try:
        for w, numbers in enumerate(missing):
            here, there = context.Pipe(duplex=False)
            place = share.local * workers + w
            process = context.Process(target=_worker, args=(there, work, order, numbers, place), daemon=True)
            process.start()
            there.close()
            at_work.append((here, process))
        waiting = [here for here, _ in at_work]
        while waiting:
            for ready in wait(waiting, timeout=0.5):
                _heard(ready)
                waiting = [here for here in waiting if here is not ready]
            watch("groups", _done(work, order), order.n)
    finally:
        for here, process in at_work:
            process.terminate()
            process.join()
            here.close()


def _heard(here: Any) -> None:
    """Raise what a worker failed with."""
    try:
        error = here.recv()
    except EOFError:
        error = RequestError("a worker process was ended from outside; the same command goes on where it was")
    if error is not None:
        raise error


def _worker(there: Connection, work: Path, order: Order, numbers: Sequence[int], place: int) -> None:
    try:
        _make_groups(work, order, numbers, place, _end_with_the_parent)
        there.send(None)
    except PentimentoError as error:
        there.send(error)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(1)


def _make_groups(work: Path, order: Order, numbers: Sequence[int], place: int, after: Callable[[], None]) -> None:
    if not numbers:
        return
    maker = order.begin(work, place)
    for number in numbers:
        _keep(work, number, maker(number))
        after()


def _keep(work: Path, number: int, made: Made) -> None:
    """The pictures first, then the record, whole: without it, what lies there of a group is made again."""
    kept = tuple(Kept(pair=one.number, about=dict(one.about)) for one in made.pairs)
    dropped = ""
    if made.group is None:
        dropped = "the language model wrote no usable group"
    elif len(kept) < LEAST:
        dropped = f"{len(kept)} of {len(made.group.pairs)} pairs kept, at least {LEAST} are wanted"
    for one in made.pairs if not dropped else ():
        for side, picture in (("before", one.pair.before), ("after", one.pair.after)):
            picture.save(work / "pairs" / picture_name(number, one.number, side), "PNG")
    record = GroupRecord(number=number, group=made.group, kept=kept, dropped=dropped)
    whole = _file(work, number).with_suffix(f".{os.getpid()}.partial")
    whole.write_text(record.model_dump_json(), encoding="utf-8")
    os.replace(whole, _file(work, number))
