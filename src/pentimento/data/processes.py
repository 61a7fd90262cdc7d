"""Work by number, in several processes: those that somebody launched, and those that each of them starts.

What is done is told by files, so nothing comes back from a process but its error.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ..errors import PentimentoError, RequestError

After = Callable[[], None]
Job = Callable[[Sequence[int], int, After], None]
"""(numbers, which process of this machine, what to call after each number); it crosses processes, so picklable."""


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


def spread(job: Job, shares: Sequence[Sequence[int]], place: int, after: After) -> None:
    """Do all shares of the numbers, each in a process of its own, from number `place` of this machine on; a single
    share here. `after` is called in this process, again and again.

    Raises:
        RequestError: a process was ended from outside.
        PentimentoError: as the job does, wherever it runs.
    """
    if len(shares) == 1:
        job(shares[0], place, after)
        return
    context = multiprocessing.get_context("spawn")
    at_work = []
    try:
        for i, numbers in enumerate(shares):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_worker, args=(there, job, numbers, place + i), daemon=True)
            process.start()
            there.close()
            at_work.append((here, process))
        waiting = [here for here, _ in at_work]
        while waiting:
            for ready in wait(waiting, timeout=0.5):
                _heard(ready)
                waiting = [here for here in waiting if here is not ready]
            after()
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


def _worker(there: Connection, job: Job, numbers: Sequence[int], place: int) -> None:
    try:
        job(numbers, place, _end_with_the_parent)
        there.send(None)
    except PentimentoError as error:
        there.send(error)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(1)
