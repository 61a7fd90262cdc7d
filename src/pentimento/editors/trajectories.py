"""Inversions that were made already, so that the next edit of the same picture starts where they end.

An inversion depends on the model, the pixels it sees, the caption before and the steps, and on nothing else: not on
the edit. Using a kept one changes no bit of the result.
"""

import hashlib
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from ..diffusion.samplers import InversionTimestep, Trajectory
from ..roles import Diffusion


@dataclass(frozen=True)
class Start:
    """What an inversion depends on, besides the model: pixels (as a digest), caption, steps and convention."""

    pixels: str
    before: str
    steps: int
    inversion_timestep: InversionTimestep


def digest(pixels: Tensor) -> str:
    """The SHA-256 of pixels (b, 3, h, w), shape included."""
    return hashlib.sha256(repr(tuple(pixels.shape)).encode() + pixels.numpy().tobytes()).hexdigest()


class Trajectories:
    """The most recently used inversions, at most `limit`; models are known by identity and not kept alive."""

    def __init__(self, limit: int = 8):
        self._limit = limit
        self._kept: OrderedDict[tuple[int, Start], tuple[weakref.ref[Diffusion], Trajectory]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, model: Diffusion, start: Start) -> Trajectory | None:
        """The inversion that was kept for this model and start, as far as it goes."""
        with self._lock:
            alive, trajectory = self._kept.get((id(model), start), (None, None))
            if alive is None or alive() is not model:
                return None
            self._kept.move_to_end((id(model), start))
            return trajectory

    def keep(self, model: Diffusion, start: Start, trajectory: Trajectory) -> None:
        """Keep an inversion, and forget the one that was used least recently when there are too many."""
        with self._lock:
            self._kept[id(model), start] = weakref.ref(model), trajectory
            self._kept.move_to_end((id(model), start))
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


RECENT = Trajectories()
"""The inversions that all edits of this process share."""
