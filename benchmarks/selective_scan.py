"""How fast the backends of the selective scan are, and what they keep in memory for the backward pass.

    python benchmarks/selective_scan.py                  # the GPU where there is one, else one thread
    python benchmarks/selective_scan.py --quick          # seconds: small, short, once
    python benchmarks/selective_scan.py --lengths 1024 4096 --channels 640 --json scan.json

`loop` indexes each step, so its backward fills a whole tensor a step and takes time quadratic in the length; `unbind`
is the same loop without that, the fair comparison. Both keep two tensors as large as all states. Kept memory is
that of the tensors saved for the backward pass, each storage once, without the inputs. On a GPU the time is also set
against the least that the memory allows: every input, output and gradient read or written once, at the rate of a copy.
On a CPU seconds are the process's own, so that what else the machine does weighs less.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor

from pentimento.diffusion.scan import available, selective_scan

GROUPS = 4
LOOP_UP_TO = 1024
"""Steps beyond which the quadratic loop is left out."""


@dataclass(frozen=True)
class Measured:
    """Medians in milliseconds; what is kept and all states in MB; the share of a GPU's bandwidth."""

    backend: str
    length: int
    forward: float
    both: float
    kept: float
    states: float
    share: float | None


def unbind_loop(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The recurrence step by step over tensors that were taken apart once."""
    h, ys = torch.zeros_like(A), []
    steps = zip(*(x.unbind(-1) for x in (u, dt, B, C)), strict=True)
    for x, step, b, c in steps:
        h = (step[..., None] * A).exp() * h + (step * x)[..., None] * b[:, :, None]
        ys.append((h * c[:, :, None]).sum(-1))
    return torch.stack(ys, dim=-1) + D[..., None] * u


def inputs(length: int, batch: int, channels: int, states: int, device: torch.device) -> list[Tensor]:
    """u, dt, A, B, C and D as a fresh VSS block has them."""
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(batch, GROUPS, channels, length, generator=generator)
    dt = (torch.rand(u.shape, generator=generator) * 4.6 - 6.9).exp()  # 0.001 to 0.1
    A = -torch.arange(1.0, states + 1).expand(GROUPS, channels, -1).clone()
    B, C = (torch.randn(batch, GROUPS, states, length, generator=generator) for _ in range(2))
    return [x.to(device).requires_grad_() for x in (u, dt, A, B, C, torch.ones(GROUPS, channels))]


def now(device: torch.device) -> float:
    if device.type != "cuda":
        return process_time()
    torch.cuda.synchronize()
    return perf_counter()


def kept_bytes(scan: Callable[..., Tensor], given: list[Tensor]) -> int:
    sizes: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        y = scan(*given)
    for x in (*given, y):
        sizes.pop(x.untyped_storage().data_ptr(), None)
    return sum(sizes.values())


def copy_rate(device: torch.device, size: int = 2**28) -> float:
    """Bytes a second that a copy of fp32 numbers reads and writes."""
    a, b = torch.empty(size, device=device), torch.empty(size, device=device)
    seconds = []
    for _ in range(10):
        start = now(device)
        b.copy_(a)
        seconds.append(now(device) - start)
    return 2 * 4 * size / median(seconds)


def measure(name: str, scan: Callable[..., Tensor], given: list[Tensor], repeats: int, rate: float | None) -> Measured:
    device, length = given[0].device, given[0].shape[-1]
    forward, both = [], []
    for _ in range(repeats + 1):  # the first one warms up
        start = now(device)
        y = scan(*given)
        middle = now(device)
        torch.autograd.grad(y, given, torch.ones_like(y))
        forward.append(middle - start)
        both.append(now(device) - start)
    whole = median(both[1:])
    # forward: all inputs in, y out; backward: all inputs and y's gradient in, a gradient for each input out
    least = 4 * (3 * sum(x.numel() for x in given) + 2 * given[0].numel())
    return Measured(
        name, length, 1e3 * median(forward[1:]), 1e3 * whole, kept_bytes(scan, given) / 1e6,
        4e-6 * given[0].numel() * given[2].shape[-1], least / rate / whole if rate else None,
    )  # fmt: skip


def scans(device: torch.device, length: int) -> dict[str, Callable[..., Tensor]]:
    def by(backend: str) -> Callable[..., Tensor]:
        return lambda *given: selective_scan(*given, backend=backend)

    found = {backend: by(backend) for backend in available(device)} | {"unbind": unbind_loop}
    if length > LOOP_UP_TO:
        del found["loop"]
    return found


def table(rows: list[Measured]) -> str:
    lines = [f"{'length':>7} {'backend':10} {'forward ms':>11} {'both ms':>9} {'kept MB':>9} {'all states MB':>14}"]
    for row in rows:
        share = f"   {row.share:.0%} of the bandwidth" if row.share is not None else ""
        lines.append(
            f"{row.length:>7} {row.backend:10} {row.forward:>11.2f} {row.both:>9.2f} {row.kept:>9.2f} "
            f"{row.states:>14.2f}{share}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--channels", type=int, default=640, help="inner channels; 640 is v0's block at 320")
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="64 channels, lengths 64 and 256, one repeat")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    if given.quick:
        given.lengths, given.channels, given.repeats = [64, 256], 64, 1
    torch.set_num_threads(given.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = copy_rate(device) if device.type == "cuda" else None
    rows = []
    for length in given.lengths:
        values = inputs(length, given.batch, given.channels, given.states, device)
        rows += [measure(name, scan, values, given.repeats, rate) for name, scan in scans(device, length).items()]
    print(f"{device.type}, batch {given.batch}, {GROUPS} x {given.channels} channels, {given.states} states")
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
