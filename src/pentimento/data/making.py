"""Making a set of visual prompts group by group, in one process or many; what is broken off goes on where it was.

While it grows it lies in a hidden folder beside its own: a group is done when its record is there, which appears last
and whole. What a group becomes depends on its number alone, so any number of processes makes the same set. When all
groups are done, the first process writes the set, which appears whole or not at all. Of several commands that make the
same set at once, one does and the others wait; what they launched besides their first processes does not wait, and may
make a group that is made elsewhere: its pictures, too, take their names when they are whole.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import RequestError
from ..language.groups import Group
from ..values import Pair
from .grid_folders import ABOUT, picture_name, write_set
from .processes import Share, launched, spread
from .visual_prompts import LEAST, GroupRecord, Kept, Layout

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
    if found is not None and (share.rank or not work.exists()):
        return None if share.rank else found
    try:
        if share.rank:
            _open(work, order)
            _carry_out(folder, work, order, workers, share, watch)
            return None
        work.parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{work}.lock")
        with FileLock(lock):
            made = _made(folder, work, order, workers, share, watch)
            lock.unlink(missing_ok=True)  # whoever still waits for it, or makes another, finds the set
        return made
    except OSError as error:
        place = error.filename or folder
        raise RequestError(f"{place}: cannot be used ({error.strerror or error}); name another place") from None


def _made(folder: Path, work: Path, order: Order, workers: int, share: Share, watch: Watch) -> dict[str, Any]:
    """What the first process of a launch does, one launch at a time: those that waited find the set."""
    found = _finished(folder, order)
    if found is not None:
        shutil.rmtree(work, ignore_errors=True)  # a run that was killed at the very end left it
        return found
    _open(work, order)
    _carry_out(folder, work, order, workers, share, watch)
    while _done(work, order) < order.n:  # the other processes are on it; the launcher ends all when one fails
        watch("groups", _done(work, order), order.n)
        time.sleep(1)
    records = [GroupRecord.model_validate_json(_file(work, i).read_text("utf-8")) for i in range(order.n)]
    shutil.rmtree(work / "set", ignore_errors=True)
    made = write_set(work / "set", work / "pairs", records, order.layout, order.seed, order.asked)
    os.replace(work / "set", folder)
    shutil.rmtree(work, ignore_errors=True)  # a process that another command launched may still write there
    return made


def _finished(folder: Path, order: Order) -> dict[str, Any] | None:
    """What the folder holds when this order has been carried out there, None when nothing is there yet."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        differing, made = _differing(about["asked"], order), dict(about["made"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RequestError(f"{folder}: is not empty; name a new folder or empty this one") from None
    if differing:
        raise RequestError(f"{folder}: holds a set that was asked for otherwise ({differing})")
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
    try:
        differing = _differing(json.loads((work / "order.json").read_text(encoding="utf-8")), order)
    except (ValueError, KeyError, TypeError):
        raise RequestError(f"{work / 'order.json'}: is no order of a set; delete that folder") from None
    if differing:
        raise RequestError(
            f"{work}: an unfinished set was asked for otherwise ({differing}); "
            "ask as before to go on with it, or delete that folder"
        )


def _differing(asked: Any, order: Order) -> str:
    """Where an order as JSON differs from this one, "" if nowhere. Raises: KeyError, TypeError when it is no order."""
    flat, wanted = ({**one, **one["settings"]} for one in (asked, order.asked))
    known = (flat.keys() | wanted.keys()) - {"settings"}
    names = [n for n in known if (n in flat, flat.get(n)) != (n in wanted, wanted.get(n))]
    return ", ".join(f"{name} {flat.get(name)} there, {wanted.get(name)} here" for name in sorted(names))


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
    job = partial(_make_groups, folder, work, order)
    spread(job, missing, share.local * workers, lambda: watch("groups", _done(work, order), order.n))


def _make_groups(
    folder: Path, work: Path, order: Order, numbers: Sequence[int], place: int, after: Callable[[], None]
) -> None:
    if not numbers:
        return
    try:
        maker = order.begin(work, place)
        for number in numbers:
            if not _file(work, number).exists():  # a process of another command may have been quicker
                _keep(work, number, maker(number))
            after()
    except OSError:
        if _finished(folder, order) is None:  # else another command has made the set, and cleared this place up
            raise


def _keep(work: Path, number: int, made: Made) -> None:
    """The pictures first, then the record, each whole: without it, what lies there of a group is made again.

    Nothing that lies there is written into: it may be part of the finished set by now, under another name.
    """
    kept = tuple(Kept(pair=one.number, about=dict(one.about)) for one in made.pairs)
    dropped = ""
    if made.group is None:
        dropped = "the language model wrote no usable group"
    elif len(kept) < LEAST:
        dropped = f"{len(kept)} of {len(made.group.pairs)} pairs kept, at least {LEAST} are wanted"
    for one in made.pairs if not dropped else ():
        for side, picture in (("before", one.pair.before), ("after", one.pair.after)):
            file = work / "pairs" / picture_name(number, one.number, side)
            picture.save(_partial(file), "PNG")
            os.replace(_partial(file), file)
    record, file = GroupRecord(number=number, group=made.group, kept=kept, dropped=dropped), _file(work, number)
    _partial(file).write_text(record.model_dump_json(), encoding="utf-8")
    os.replace(_partial(file), file)


def _partial(file: Path) -> Path:
    return file.with_suffix(f".{os.getpid()}.partial")
