"""How long one full-size step of InstructEdit takes, and its share of what this machine can multiply.

    python benchmarks/full_size_step.py                      # bf16 where the machine computes in it, one thread
    python benchmarks/full_size_step.py --dtype fp32 --threads 4 --repeats 5

A step is one forward pass of Stable Diffusion 1.5's U-Net over latents of 4x64x64, a batch of two: one text with
guidance. Its operations are counted by torch, and compared with the rate of a plain product of two square matrices in
the same arithmetic. Steps and products take turns, and seconds are the process's own CPU seconds divided by its
threads, so that what else the machine does weighs less; the clock's seconds are printed beside them. All weights are
one number: time does not depend on them.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pentimento.packs.mock import skeleton
from pentimento.packs.placement import DTYPES, place
from pentimento.packs.published import BLUEPRINTS

UNET = "stable-diffusion-v1-5/stable-diffusion-v1-5/unet"
SIDE = 4096
"""Of the two matrices; large enough that reading them does not count."""


@dataclass(frozen=True)
class Measured:
    """Medians over the repeats. Rates in TFLOP/s, a multiplication and its addition counted as two operations."""

    dtype: str
    threads: int
    repeats: int
    step_tflop: float
    step_seconds: float
    step_seconds_by_the_clock: float
    step_rate: float
    product_rate: float
    share: float


def unet() -> nn.Module:
    """The U-Net of Stable Diffusion 1.5, in fp32 as packs keep it, without the time that random numbers take."""
    model = skeleton(BLUEPRINTS[UNET]).to_empty(device="cpu").eval().requires_grad_(False)
    for weights in model.parameters():
        weights.fill_(0.01)
    return model


def timed(work: Callable[[], object], threads: int) -> tuple[float, float]:
    """CPU seconds a thread, and seconds by the clock."""
    clock, cpu = perf_counter(), process_time()
    work()
    return (process_time() - cpu) / threads, perf_counter() - clock


def measure(dtype: str, threads: int, repeats: int, side: int = SIDE) -> Measured:
    torch.set_num_threads(threads)
    placement = place("cpu", dtype)
    model = unet()
    x = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    t, text = torch.tensor([500, 500]), torch.zeros(2, 77, 768)
    a, b = (torch.ones(side, side, dtype=placement.dtype) for _ in range(2))

    @torch.no_grad()
    def step() -> None:
        with placement.autocast():
            model(x, t, encoder_hidden_states=text)

    with FlopCounterMode(display=False) as counter:
        step()
    a @ b
    steps, products = [], []
    for _ in range(repeats):
        products.append(timed(lambda: a @ b, threads))
        steps.append(timed(step, threads))
    flop = counter.get_total_flops()
    seconds, clock = (statistics.median(one[i] for one in steps) for i in (0, 1))
    rate = 2 * side**3 / statistics.median(one[0] for one in products)
    return Measured(
        next(name for name, known in DTYPES.items() if known == placement.dtype), threads, repeats, flop / 1e12,
        seconds, clock, flop / seconds / 1e12, rate / 1e12, flop / seconds / rate,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    found = measure(given.dtype, given.threads, given.repeats)
    print(f"{found.dtype}, {found.threads} threads, median of {found.repeats}")
    print(
        f"one step: {found.step_seconds:.2f} s ({found.step_seconds_by_the_clock:.2f} s by the clock), "
        f"{found.step_tflop:.3f} TFLOP, {found.step_rate:.3f} TFLOP/s"
    )
    print(f"matrix product: {found.product_rate:.3f} TFLOP/s; the step reaches {found.share:.0%} of it")
    if given.json:
        given.json.write_text(json.dumps(asdict(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
