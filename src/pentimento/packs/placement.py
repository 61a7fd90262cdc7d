"""Where models run and in which arithmetic."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from ..arithmetic import computes_bf16
from ..errors import PackError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Placement:
    """A device and the arithmetic on it. Weights stay in fp32; what is not fp32 runs under autocast."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @property
    def arithmetic(self) -> str:
        """The dtype by its short name."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.dtype)

    @property
    def words(self) -> str:
        """For records, such as "cpu bf16"."""
        return f"{self.device} {self.arithmetic}"


def place(device: str = "auto", dtype: str = "auto") -> Placement:
    """The placement that the words ask for: "auto", "cpu", "cuda", "cuda:1", and "auto", "fp32", "bf16", "fp16".

    "auto" takes the GPU when there is one, and bf16 where the hardware computes in it.
    Raises: PackError for a device that is not there, an unknown dtype, or fp16 on a CPU, which is 60 times slower.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise PackError(f"there is no device called {device!r}: take auto, cpu or cuda") from error
    if place.type not in ("cpu", "cuda"):
        raise PackError(f"device {device!r} is not supported: take auto, cpu or cuda")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise PackError(f"device {device!r} is not on this machine: take auto or cpu")
    if dtype == "auto":
        dtype = "bf16" if computes_bf16(place) else "fp32"
    if dtype not in DTYPES:
        raise PackError(f"there is no dtype called {dtype!r}: take auto, {', '.join(DTYPES)}")
    if dtype == "fp16" and place.type == "cpu":
        raise PackError("fp16 arithmetic is far too slow on a CPU: take bf16 or fp32")
    return Placement(place, DTYPES[dtype])
