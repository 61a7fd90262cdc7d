"""What was worked out of a picture already, so that the next edit of the same picture starts where that ends.

An inversion depends on the model, the pixels it sees, the caption before and the steps, and on nothing else: not on
the edit. Using a kept one changes no bit of the result.
"""

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from ..diffusion.samplers import InversionTimestep, Trajectory
from ..roles import Diffusion

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


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


class Recent(Generic[Key, Value]):
    """The most recently used values, at most `limit`; models are known by identity and not kept alive."""

    def __init__(self, limit: int = 8):
        self._limit = limit
        self._kept: OrderedDict[tuple[int, Key], tuple[weakref.ref[Diffusion], Value]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, model: Diffusion, key: Key) -> Value | None:
        """What was kept for this model and key."""
        with self._lock:
            alive, value = self._kept.get((id(model), key), (None, None))
            if alive is None or alive() is not model:
                return None
            self._kept.move_to_end((id(model), key))
            return value

    def keep(self, model: Diffusion, key: Key, value: Value) -> None:
        """Keep a value, and forget the one that was used least recently when there are too many."""
        with self._lock:
            self._kept[id(model), key] = weakref.ref(model), value
            self._kept.move_to_end((id(model), key))
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


RECENT: Recent[Start, Trajectory] = Recent()
"""The inversions that all edits of this process share."""
