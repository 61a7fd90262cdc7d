"""How fast an instruction is learned beside a straight port of Visii's loop: same model, U-Net rows and precision.

    python benchmarks/learning.py                    # the miniature pack
    python benchmarks/learning.py --json speed.json

The port does what the method says and nothing for speed: each step takes one pair, encodes both pictures, asks the
U-Net for the three branches of guidance, and keeps the gradients of all of them. Ours encodes once, takes the five
parts of the time side by side as one batch, and keeps no gradients where nothing is learned. Both learn the same
numbers (keys and values, guidance inside the loss). They take turns in one process; the ratio of seconds for each
U-Net row is taken turn by turn, its interval is a bootstrap's.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

from pentimento.data.effects import effect_pair
from pentimento.diffusion.attention import instructed
from pentimento.diffusion.guidance import dual
from pentimento.diffusion.latents import choose_view, look
from pentimento.diffusion.objectives import draw_noise, q_sample
from pentimento.editors.planned import everywhere
from pentimento.learning.instruction import Brush, beginning, learning_job
from pentimento.learning.settings import LearnSettings
from pentimento.packs import open_pack
from pentimento.values import Pair

WORDS = "make it snow"


def stepper(model: Any, job: Any, parameters: list[torch.nn.Parameter]) -> Callable[[int], None]:
    """A whole training step of our job, in the model's arithmetic as the loop runs it."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0, fused=True)

    def step(number: int) -> None:
        with model.placement.autocast():
            loss = job.loss(job.model, job.batch(number, 5), torch.Generator().manual_seed(number))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def port(model: Any, pairs: list[Pair], settings: LearnSettings) -> Callable[[int], None]:
    """A step of the straight port: one row of one part."""
    text, null = model.encode_text([WORDS, ""]).split(1)
    view = choose_view(everywhere(pairs[0].before), model.size, 0.0)
    first = model.autoencoder.encode(look(pairs[0].before, view))
    brush = Brush(beginning(model, first, text, null, WORDS, settings), settings.parts, settings.scaled)
    optimizer = torch.optim.AdamW(brush.parameters(), lr=1e-3, weight_decay=0.0)
    total = len(model.alphas_cumprod)

    def step(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        pair = pairs[number % len(pairs)]
        t = torch.randint(0, total, (1,), generator=generator)
        with model.placement.autocast():
            image, x0 = (model.autoencoder.encode(look(side, view)).float() for side in (pair.before, pair.after))
            noise = draw_noise(x0, generator)
            with instructed(model.denoise, model.unet, brush.slots(), total, 1) as denoise:
                guided = dual(denoise, text, null, image, settings.guidance, settings.image_guidance)
                loss = (guided(q_sample(x0, noise, t, model.alphas_cumprod), t) - noise).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def measure(pack: str, turns: int) -> dict[str, Any]:
    """Seconds for each U-Net row, and the ratio; JSON-able."""
    model = open_pack(pack).instruct
    drawn = [effect_pair("snow", i) for i in range(4)]
    pairs = [Pair(Image.fromarray(p.before), Image.fromarray(p.after)) for p in drawn]
    settings = LearnSettings(instruction=WORDS, train_with_guidance=True)
    with tempfile.TemporaryDirectory() as folder:
        job = learning_job(model, pairs, settings, WORDS, Path(folder) / "x.safetensors", Path(folder))
        ours, theirs = stepper(model, job, list(job.model.parameters())), port(model, pairs, settings)
        ours(0), theirs(0)
        rows: dict[str, list[float]] = {"ours": [], "port": []}
        for turn in range(turns):
            for name, step, count in (("ours", ours, 1), ("port", theirs, 5)):
                began = perf_counter()
                for i in range(count):
                    step(turn * count + i)
                rows[name].append((perf_counter() - began) / 15)  # both have done 15 rows
    ratios = np.array(rows["port"]) / np.array(rows["ours"])
    again = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(again, 1), [0.025, 0.975])
    return {
        "ms a row, ours": 1000 * statistics.median(rows["ours"]),
        "ms a row, port": 1000 * statistics.median(rows["port"]),
        "times as fast": float(np.median(ratios)), "low": float(low), "high": float(high),
        "turns": turns, "threads": torch.get_num_threads(),
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--pack", default="miniature")
    options.add_argument("--turns", type=int, default=20)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    measured = measure(asked.pack, asked.turns)
    text = json.dumps(measured, indent=1)
    if asked.json:
        asked.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
