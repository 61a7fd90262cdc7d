"""How long one full-size step of learning an instruction takes, and how much memory.

    python benchmarks/learning_full_size.py --steps 1              # on the CPU: bf16, one part of the time at once
    python benchmarks/learning_full_size.py --steps 1000           # on a GPU: the whole learning, five parts at once

A step is a forward and a backward pass of InstructPix2Pix' U-Net (Stable Diffusion 1.5's, eight channels in) for each
of five parts, over latents of 4x64x64, ten tokens' keys and values in sixteen layers, and AdamW. Parts are independent,
so `--at-once` of them share a pass: fewer need less memory. All weights are one number: time does not depend on them.
Pictures and texts are encoded once in a learning and are left out.
"""

import argparse
import json
import resource
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from full_size_step import timed
from PIL import Image
from torch import Tensor, nn

from pentimento.diffusion.schedule import scaled_linear_alphas_cumprod
from pentimento.learning.instruction import Batch, learning_job
from pentimento.learning.settings import LearnSettings
from pentimento.packs.mock import skeleton
from pentimento.packs.placement import Placement, place
from pentimento.packs.published import BLUEPRINTS
from pentimento.values import Pair

UNET = "timbrooks/instruct-pix2pix/unet"
TOKENS = 10


@dataclass(frozen=True)
class Measured:
    """Medians over the steps after the first one, or that one where it is alone. CPU seconds are divided by threads."""

    device: str
    parts: int
    at_once: int
    guided: bool
    steps: int
    step_seconds: float
    step_seconds_by_the_clock: float
    all_seconds_by_the_clock: float
    peak_gigabytes: float
    learned_numbers: int


class Bare:
    """`roles.Diffusion` with a real U-Net alone: latents and token states are noise."""

    factor, latent_channels, scaling_factor, size, fingerprint = 8, 4, 0.18215, 512, "bare"

    def __init__(self, unet: nn.Module, placement: Placement):
        self.unet, self.placement, self.autoencoder = unet, placement, self
        self.arithmetic = placement.arithmetic
        self.alphas_cumprod = scaled_linear_alphas_cumprod()

    def encode(self, pictures: Tensor) -> Tensor:
        return torch.randn(len(pictures), 4, 64, 64, generator=torch.Generator().manual_seed(0))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.randn(len(texts), 77, 768, generator=torch.Generator().manual_seed(1))

    def count_tokens(self, text: str) -> int:
        return TOKENS

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        device = self.placement.device
        with self.placement.autocast():
            out = self.unet(x.to(device), t.to(device), encoder_hidden_states=text.to(device)).sample
        return out.float().to(x.device)

    def same_texts(self) -> AbstractContextManager[Any]:
        return nullcontext()


def unet(placement: Placement) -> nn.Module:
    """The U-Net in fp32, as packs keep it, without the time that random numbers take."""
    model = skeleton(BLUEPRINTS[UNET]).to_empty(device=placement.device).eval().requires_grad_(False)
    for weights in model.parameters():
        weights.fill_(0.01)
    return model


def measure(placement: Placement, steps: int, at_once: int, guided: bool) -> Measured:
    settings = LearnSettings(instruction="ten tokens", train_with_guidance=guided)
    blank = Image.new("RGB", (512, 512))
    with tempfile.TemporaryDirectory() as folder:
        job = learning_job(
            Bare(unet(placement), placement), [Pair(blank, blank)], settings, settings.instruction,
            Path(folder) / "x.safetensors", Path(folder),
        )  # fmt: skip
    brush = job.model.to(placement.device)
    optimizer = torch.optim.AdamW(brush.parameters(), lr=settings.lr, weight_decay=0.0)

    def step(number: int) -> None:
        batch = job.batch(number, settings.parts)
        optimizer.zero_grad(set_to_none=True)
        for pairs, t in zip(batch.pairs.split(at_once), batch.t.split(at_once), strict=True):
            with placement.autocast():
                loss = job.loss(brush, Batch(pairs, t), torch.Generator().manual_seed(number))
            loss.backward()
        optimizer.step()
        if placement.device.type == "cuda":
            torch.cuda.synchronize()

    began = perf_counter()
    threads = torch.get_num_threads()
    found = [timed(lambda number=number: step(number), threads) for number in range(steps)]
    spent = perf_counter() - began
    counted = found[1:] or found
    on_gpu = placement.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    name = torch.cuda.get_device_name() if on_gpu else f"{placement.words}, {threads} threads"
    return Measured(
        name, settings.parts, at_once, guided, steps, *(statistics.median(one[i] for one in counted) for i in (0, 1)),
        spent, peak / 1e9, sum(p.numel() for p in brush.parameters()),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--at-once", type=int, help="parts that share a pass; default: all on a GPU, one on a CPU")
    parser.add_argument("--guided", action="store_true", help="with guidance inside the loss: three rows a part")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    placement = place(given.device, given.dtype)
    at_once = given.at_once or (5 if placement.device.type == "cuda" else 1)
    found = measure(placement, given.steps, at_once, given.guided)
    text = json.dumps(asdict(found), indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
