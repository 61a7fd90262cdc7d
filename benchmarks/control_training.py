"""How fast InstructGIE's control trains beside diffusers' ControlNet: same frozen U-Net, grids, precision, optimiser.

    python benchmarks/control_training.py                               # the miniature pack
    python benchmarks/control_training.py --toy --turns 2 --fresh 0     # random weights, in seconds
    python benchmarks/control_training.py --pack sd15 --side 256 --batch 8 --shape v0 --json speed.json

A step is everything between latents and changed weights: noise is added, the branch and the U-Net predict it, the
losses, backward, clipping, AdamW. Latents, texts and visual prompts are there beforehand for every side. The sides:

- diffusers: `ControlNetModel.from_unet`, as diffusers' own training script steps it; it sees the prompt's pixels.
- convolutions: ours with the same zero convolutions and Prompt Diffusion's two hint encoders, so that what remains
  between it and diffusers is code.
- noise: InstructGIE's reformed branch with the noise loss alone: a vision encoder over the prompt's latents, and a
  Zero-VMamba at each site.
- shift, area, both: with editing-shift matching, with selective-area matching, with both. Each decodes the pseudo
  output with gradients; shift asks CLIP about its four pictures and those of the truth.
- recipe: both losses as the recipe `instructgie` computes them: on its share of each batch, a grid's four pictures
  decoded by themselves, at its weights; with attention as it trains with on a CPU, and the pictures' cells woven.

Before the first step every branch adds nothing, so all sides must begin with the same noise loss: in fp32 a difference
beyond rounding ends the run. Sides take turns in one process, in an order that moves on with each turn, so that
whatever else the computer does falls on all. Samples a second and prices come turn by turn, as medians with 95 %
bootstrap intervals; on a busy machine the CPU seconds mean more. Peak memory comes from a fresh process for each side.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
from pipelines import Modules, modules_of
from torch import Tensor, nn
from torch.nn import functional as F
from turns import Took, estimate, ratios

from pentimento.diffusion.attention import quick_backward
from pentimento.diffusion.control import RCLDM, Residuals, controlled
from pentimento.diffusion.grids import by_quadrant, quadrants, visual_prompt
from pentimento.diffusion.objectives import draw_noise, draw_timesteps, eps_of_v, q_sample
from pentimento.diffusion.prompt_control import PromptControl
from pentimento.diffusion.visual_losses import TrueGrids, VisualWeights, noise_losses, visual_loss
from pentimento.diffusion.vmamba import FAST, Shape
from pentimento.packs.placement import place
from pentimento.recipes.instructgie import Settings

SIDES = ("diffusers", "convolutions", "noise", "shift", "area", "both", "recipe")
PRICES = {
    "VMamba instead of convolutions": ("noise", "convolutions"), "editing-shift matching": ("shift", "noise"),
    "selective-area matching": ("area", "noise"), "both losses": ("both", "noise"),
    "both losses, attention and weaving as in the recipe": ("recipe", "noise"),
}  # fmt: skip
"""What a part costs: the first side's step less the second's."""
RECIPE = Settings()
SHAPES = {"fast": FAST, "v0": Shape()}
ROUNDING = 1e-3
"""How far the first losses may be apart in fp32, relative to their size."""

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x_t (b, c, h, w), t (b,)) -> what the U-Net says beside a branch."""


@dataclass(frozen=True)
class Material:
    """What every side trains on, made once: grids (b, 3, 2 s, 2 s), their latents, their prompts, texts."""

    pixels: Tensor
    latents: Tensor
    prompt: Tensor
    prompt_latents: Tensor
    text: Tensor
    alphas_cumprod: Tensor


@dataclass(frozen=True)
class Trainee:
    """A branch that trains; `step(number)` is a whole step and gives the noise loss before it."""

    branch: nn.Module
    step: Callable[[int], float]


def main() -> None:
    options = parse()
    if options.memory_of:
        print(json.dumps(peak_memory(options)))
        return
    measured = measure(options)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")
    print(in_words(measured))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default="miniature", help="name or folder of a pack")
    parser.add_argument("--toy", action="store_true", help="the tests' pack of random weights instead")
    parser.add_argument("--batch", type=int, default=4, help="grids a step")
    parser.add_argument("--side", type=int, help="of a grid's pictures, in pixels; default: the model's")
    parser.add_argument("--shape", choices=SHAPES, default="fast", help="of the VSS blocks")
    parser.add_argument("--turns", type=int, default=9, help="steps of each side; one more, before them, warms up")
    parser.add_argument("--fresh", type=int, default=1, help="0 leaves peak memory out")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="auto, fp32 or bf16")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--memory-of", choices=SIDES, help="only the peak memory of this side, in this process")
    options = parser.parse_args(arguments)
    options.dtype = place(options.device, options.dtype).arithmetic
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements, JSON-able. Ends the run when the sides do not begin with one loss."""
    memory = {side: fresh_process(side) for side in SIDES} if options.fresh else {}
    make, device = workshop(options)
    trainees = {side: make(side) for side in SIDES}
    spent: dict[str, list[Took]] = {side: [] for side in SIDES}
    first: dict[str, float] = {}
    for turn in range(options.turns + 1):
        start = turn % len(SIDES)
        for side in SIDES[start:] + SIDES[:start]:
            took, loss = timed_step(trainees[side].step, turn, device)
            first.setdefault(side, loss)
            if turn:
                spent[side].append(took)
    refuse_unequal(first, options.dtype)
    return {
        "pack": "toy" if options.toy else options.pack, "device": str(device), "dtype": options.dtype,
        "batch": options.batch, "shape": options.shape, "turns": options.turns, "threads": torch.get_num_threads(),
        "first_loss": first,
        "parameters": {side: sum(p.numel() for p in one.branch.parameters()) for side, one in trainees.items()},
        "peak_memory": memory, **{kind: figures(spent, kind, options.batch) for kind in ("clock", "cpu")},
    }  # fmt: skip


def figures(spent: Mapping[str, list[Took]], kind: str, batch: int) -> dict[str, Any]:
    """Samples a second of each side, how many times diffusers' seconds it takes, and milliseconds that parts cost."""
    seconds = {side: [getattr(took, kind) / batch for took in taken] for side, taken in spent.items()}
    prices = {
        name: [1000 * (a - b) for a, b in zip(seconds[more], seconds[less], strict=True)]
        for name, (more, less) in PRICES.items()
    }
    return {
        "samples_a_second": {side: asdict(estimate([1 / one for one in taken])) for side, taken in seconds.items()},
        "seconds_over_diffusers": {
            side: asdict(estimate(ratios(taken, seconds["diffusers"]))) for side, taken in seconds.items()
        },
        "price_in_ms_a_sample": {name: asdict(estimate(values)) for name, values in prices.items()},
    }


def timed_step(step: Callable[[int], float], number: int, device: torch.device) -> tuple[Took, float]:
    """What a step cost, until the device has done it, and its noise loss."""
    clock, cpu = perf_counter(), process_time()
    loss = step(number)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return Took(perf_counter() - clock, process_time() - cpu), loss


def refuse_unequal(first: Mapping[str, float], dtype: str) -> None:
    """Ends the run when untrained branches change what the U-Net says; in bf16 rounding hides it."""
    apart = max(first.values()) - min(first.values())
    if dtype == "fp32" and apart > ROUNDING * max(first.values()):
        raise SystemExit(f"untrained branches must all give one loss, and these do not: {first}")


def workshop(options: argparse.Namespace) -> tuple[Callable[[str], Trainee], torch.device]:
    """What makes a side's trainee, and the device; the model and the material are made once."""
    torch.manual_seed(0)
    if options.toy:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from toy import ToyPack

        pack: Any = ToyPack()
        embed: Callable[[Tensor], Tensor] = lambda pixels: F.adaptive_avg_pool2d(pixels, 4).flatten(1)  # noqa: E731
    else:
        from pentimento.packs import open_pack

        pack = open_pack(options.pack, options.device, options.dtype)
        embed = pack.clip.embed_pixels
    model = pack.text_to_image
    modules = modules_of(model, options.toy)
    modules.unet.requires_grad_(False)
    modules.vae.requires_grad_(False)
    given = material(model, options.batch, options.side or model.size, next(modules.unet.parameters()).device)
    return partial(trainee, modules, given, model.autoencoder, embed, SHAPES[options.shape]), given.latents.device


def material(model: Any, batch: int, side: int, device: torch.device) -> Material:
    """Grids of smooth noise; what they show costs nothing."""
    small = torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pixels = F.interpolate(small, scale_factor=2 * side / 16, mode="bilinear").clamp(-1, 1).to(device)
    prompt = visual_prompt(pixels)
    with torch.no_grad():
        latents, seen = (model.autoencoder.encode(part).float().to(device) for part in (pixels, prompt))
        text = model.encode_text(["make it snow"] * batch).to(device)
    return Material(pixels, latents, prompt, seen, text, model.alphas_cumprod.to(device))


def trainee(
    modules: Modules, given: Material, autoencoder: Any, embed: Callable[[Tensor], Tensor], shape: Shape, side: str
) -> Trainee:
    """A side's new branch and its step."""
    torch.manual_seed(0)
    as_recipe = side == "recipe"
    attending = partial(quick_backward, modules.unet, 0) if as_recipe else nullcontext  # the branch's copy inherits it
    with attending():
        branch, predict = {
            "diffusers": diffusers_side, "convolutions": convolutions_side
        }.get(side, partial(reformed_side, shape=shape, weave=as_recipe and RECIPE.weave))(
            modules, given, autoencoder.factor
        )  # fmt: skip
    branch.to(given.latents.device).train()
    weights = {
        "shift": VisualWeights(area=0), "area": VisualWeights(shift=0), "both": VisualWeights(),
        "recipe": VisualWeights(RECIPE.shift, RECIPE.area, RECIPE.over_time, RECIPE.t_max),
    }.get(side)  # fmt: skip
    first = slice(ceil(RECIPE.looked_at * len(given.latents)) if as_recipe else None)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=1e-4)
    no_pair = torch.zeros(len(given.latents), dtype=torch.bool, device=given.latents.device)
    details = torch.zeros_like(given.pixels[:, :1], dtype=torch.bool)
    details[..., : details.shape[-1] // 2] = True
    truth = TrueGrids(given.pixels[first], details[first], no_pair[first])

    def decode(latents: Tensor) -> Tensor:
        return modules.vae.decode(latents / autoencoder.scaling_factor).sample.float()

    decoded = partial(by_quadrant, decode) if as_recipe else decode

    def step(number: int) -> float:
        generator = torch.Generator().manual_seed(number)
        t = draw_timesteps(len(given.latents), 0, len(given.alphas_cumprod), generator).to(given.latents.device)
        noise = draw_noise(given.latents, generator)
        x_t = q_sample(given.latents, noise, t, given.alphas_cumprod)
        with modules.autocast(), attending():
            out = predict(x_t, t).float()
            eps = out if modules.prediction == "epsilon" else eps_of_v(out, x_t, t, given.alphas_cumprod)
            loss = of_noise = noise_losses(eps, noise, no_pair).mean()
            if weights is not None:
                loss = loss + visual_loss(
                    x_t[first], eps[first], t[first], truth, given.alphas_cumprod, decoded, embed, weights
                )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(branch.parameters(), 1.0)
        optimizer.step()
        return of_noise.item()

    return Trainee(branch, step)


def diffusers_side(modules: Modules, given: Material, factor: int) -> tuple[nn.Module, Predict]:
    """diffusers' ControlNet over the prompt's pixels, which it wants in [0, 1]."""
    from diffusers import ControlNetModel

    widths = (16, 32, 96, 256)[: factor.bit_length()]
    branch = ControlNetModel.from_unet(modules.unet, conditioning_embedding_out_channels=widths)
    hint = (given.prompt + 1) / 2

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        down, middle = branch(
            x_t, t, encoder_hidden_states=given.text, controlnet_cond=hint, return_dict=False
        )  # fmt: skip
        return controlled(modules.unet, x_t, t, given.text, Residuals(tuple(down), middle))

    return branch.requires_grad_(True), predict


def convolutions_side(modules: Modules, given: Material, factor: int) -> tuple[nn.Module, Predict]:
    """Our copy of the encoder with zero convolutions; both hint encoders see pictures as large as the grid."""
    branch = PromptControl(modules.unet, factor)
    parts = quadrants(given.prompt)
    before, after, query = (F.interpolate(p, scale_factor=2.0) for p in (parts.in0, parts.out0, parts.in1))

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        return controlled(modules.unet, x_t, t, given.text, branch(x_t, t, given.text, before, after, query))

    return branch, predict


def reformed_side(
    modules: Modules, given: Material, factor: int, shape: Shape, weave: bool
) -> tuple[nn.Module, Predict]:
    """InstructGIE's branch over the prompt's latents."""
    branch = RCLDM(modules.unet, given.latents.shape[1], shape, weave=weave)

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        return controlled(modules.unet, x_t, t, given.text, branch(x_t, t, given.text, given.prompt_latents))

    return branch, predict


def peak_memory(options: argparse.Namespace) -> dict[str, float]:
    """MB at the most over two steps of one side; of the device where it is a GPU. To be called in a fresh process."""
    make, device = workshop(options)
    step = make(options.memory_of).step
    before = _peak(device)
    step(0)
    step(1)
    return {"before": before, "peak": _peak(device)}


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def fresh_process(side: str) -> dict[str, float]:
    answer = subprocess.run([sys.executable, *sys.argv, "--memory-of", side], capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit(answer.stderr)
    return json.loads(answer.stdout.splitlines()[-1])


def in_words(measured: Mapping[str, Any]) -> str:
    """The measurements as Markdown."""
    kind = "cpu" if measured["device"] == "cpu" else "clock"
    found = measured[kind]
    lines = [
        f"Pack {measured['pack']}, {measured['device']}, {measured['dtype']}, {measured['threads']} threads, batch "
        f"{measured['batch']}, VSS blocks {measured['shape']}, {measured['turns']} turns. Medians with 95 % intervals, "
        f"by {'CPU seconds' if kind == 'cpu' else 'the clock'}.",
        "", "| side | parameters, M | samples a second | times diffusers' seconds | peak memory, MB |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for side in SIDES:
        memory = measured["peak_memory"].get(side)
        lines.append(
            f"| {side} | {measured['parameters'][side] / 1e6:.2f} | {spread(found['samples_a_second'][side])} | "
            f"{spread(found['seconds_over_diffusers'][side])} | {memory['peak'] if memory else float('nan'):.0f} |"
        )
    lines += ["", "| part | ms a sample |", "| --- | --- |"]
    lines += [f"| {name} | {spread(value)} |" for name, value in found["price_in_ms_a_sample"].items()]
    return "\n".join(lines)


def spread(values: Mapping[str, float]) -> str:
    return f"{values['median']:.3g} ({values['low']:.3g} to {values['high']:.3g})"


if __name__ == "__main__":
    main()
