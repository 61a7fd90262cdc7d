"""So much of Triton's language as our kernels use, on torch tensors: their arithmetic is tested without a GPU.

One program runs after the other, and every read and write must lie inside its tensor. What a GPU adds (compiling,
threads, speed) is not tested here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


@dataclass
class Pointer:
    memory: Tensor
    offset: Any = 0

    def __add__(self, steps: Any) -> "Pointer":
        return Pointer(self.memory, self.offset + steps)

    def __sub__(self, steps: Any) -> "Pointer":
        return self + -steps

    def places(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        offset, mask = torch.broadcast_tensors(self.offset, mask)
        assert ((offset >= 0) & (offset < len(self.memory)) | ~mask).all(), "outside the tensor"
        return offset[mask], mask


@dataclass
class Kernel:
    """`kernel[(programs,)](...)` runs it; a kernel that others call is a plain function."""

    function: Callable[..., Any]
    language: ModuleType

    def __call__(self, *values: Any) -> Any:
        return self.function(*values)

    def __getitem__(self, grid: tuple[int]) -> Callable[..., None]:
        def launch(*given: Any) -> None:
            values = [Pointer(x.view(-1)) if isinstance(x, Tensor) else x for x in given]
            for program in range(grid[0]):
                self.language.program_id = lambda axis, program=program: torch.tensor(program)
                self.function(*values)

        return launch


def load(pointer: Pointer, mask: Tensor, other: float) -> Tensor:
    places, mask = pointer.places(mask)
    found = torch.full(mask.shape, other, dtype=pointer.memory.dtype)
    found[mask] = pointer.memory[places]
    return found


def store(pointer: Pointer, values: Tensor, mask: Tensor) -> None:
    places, mask = pointer.places(mask)
    pointer.memory[places] = values[mask]


def atomic_add(pointer: Pointer, values: Tensor, mask: Tensor) -> None:
    places, mask = pointer.places(mask)
    pointer.memory.index_put_((places,), values[mask], accumulate=True)


def associative_scan(inputs: tuple[Tensor, ...], axis: int, combine: Kernel, reverse: bool = False) -> tuple:
    columns = list(zip(*(x.unbind(axis) for x in inputs), strict=True))
    if reverse:
        columns.reverse()
    found = columns[:1]
    for column in columns[1:]:
        found.append(combine(*found[-1], *column))
    if reverse:
        found.reverse()
    return tuple(torch.stack(x, dim=axis) for x in zip(*found, strict=True))


def modules() -> dict[str, ModuleType]:
    """The modules that `import triton` and `import triton.language` are to find."""
    triton, language = ModuleType("triton"), ModuleType("triton.language")
    rounded_up = {"cdiv": lambda a, b: -(-a // b), "next_power_of_2": lambda n: 1 << (n - 1).bit_length()}
    vars(triton).update(rounded_up, jit=lambda function: Kernel(function, language), language=language)
    vars(language).update(
        rounded_up, load=load, store=store, atomic_add=atomic_add, associative_scan=associative_scan,
        arange=torch.arange, zeros=lambda shape, dtype: torch.zeros(shape, dtype=dtype), where=torch.where,
        exp=torch.exp, sum=lambda x, axis: x.sum(axis), constexpr=int, int64=torch.int64, float32=torch.float32,
    )  # fmt: skip
    return {"triton": triton, "triton.language": language}
