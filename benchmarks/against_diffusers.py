"""How fast InstructEdit is beside diffusers' DiffEdit pipeline, on the same weights, picture, mask and captions.

    python benchmarks/against_diffusers.py                      # the miniature pack
    python benchmarks/against_diffusers.py --toy --repeats 5    # random weights, in seconds
    python benchmarks/against_diffusers.py --pack sd15 --json speed.json

Both do the same work: encode, DDIM inversion at guidance 1 up to the encoding ratio, decoding with guidance inside the
mask, decode. Warm times come from one process, in which the two take turns, so that whatever else the computer does
falls on both; the ratio is taken turn by turn. Cold times (importing, loading, the first edit) and peak memory come
from a fresh process each. diffusers keeps this pipeline among its deprecated ones.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

SIDES = ("pentimento", "diffusers")


@dataclass(frozen=True)
class Cold:
    """A fresh process: seconds until it has the pack open and until its first edit is done; peak memory in MB."""

    opened: float
    first_edit: float
    peak_memory: float


@dataclass(frozen=True)
class Estimate:
    """A median with a 95 % bootstrap interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Bench:
    """One edit, ready to be done by either side; each call is a whole edit and returns the decoded picture."""

    pentimento: Callable[[], Image.Image]
    diffusers: Callable[[], Image.Image]
    again: Callable[[], Image.Image]
    reconstruction: Image.Image
    outside: np.ndarray


def main() -> None:
    options = parse()
    if options.cold:
        print(json.dumps(asdict(cold(options))))
        return
    measured = measure(options)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")
    print(table(measured))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default="miniature", help="name or folder of a pack")
    parser.add_argument("--toy", action="store_true", help="the tests' pack of random weights instead")
    parser.add_argument("--repeats", type=int, default=9, help="turns; the first one warms up and is not counted")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--cold", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements, JSON-able."""
    import torch

    rounds = [{side: cold_process(side) for side in SIDES} for _ in range(2)]  # the first one fills the disk cache
    bench = prepare(options, open_model(options), sides=SIDES)
    seconds: dict[str, list[float]] = {side: [] for side in (*SIDES, "again")}
    pictures: dict[str, Image.Image] = {}
    for turn in range(options.repeats + 1):
        for side in SIDES if turn % 2 == 0 else SIDES[::-1]:
            took, pictures[side] = timed(getattr(bench, side))
            seconds[side].append(took)
            if side == "pentimento":
                seconds["again"].append(timed(bench.again)[0])
    warm = {side: taken[1:] for side, taken in seconds.items()}
    return {
        "pack": "toy" if options.toy else options.pack,
        "settings": {"steps": options.steps, "ratio": options.ratio, "guidance": options.guidance},
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "cold": rounds[-1],
        "warm_seconds": {side: asdict(estimate(warm[side])) for side in SIDES},
        "diffusers_over_pentimento": asdict(estimate(ratios(warm["diffusers"], warm["pentimento"]))),
        "second_edit_over_first": asdict(estimate(ratios(warm["again"], warm["pentimento"]))),
        "background_error": {side: background_error(pictures[side], bench) for side in SIDES},
    }


def cold(options: argparse.Namespace) -> Cold:
    """What one side costs from nothing; to be called in a fresh process."""
    began = perf_counter()
    model = open_model(options)
    opened = perf_counter() - began
    getattr(prepare(options, model, sides=(options.cold,)), options.cold)()
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return Cold(opened, perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def cold_process(side: str) -> dict[str, float]:
    """`cold` of one side in a process of its own, with this one's options."""
    command = [sys.executable, *sys.argv, "--cold", side]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit(answer.stderr)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def open_model(options: argparse.Namespace) -> Any:
    """The pack, with its text_to_image loaded."""
    if options.toy:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from toy import ToyPack

        pack: Any = ToyPack()
    else:
        from pentimento.packs import open_pack

        pack = open_pack(options.pack)
    pack.text_to_image.encode_text([""])
    return pack


def prepare(options: argparse.Namespace, pack: Any, sides: tuple[str, ...]) -> Bench:
    """The same edit for both sides; diffusers' pipeline is only built when it takes part."""
    import torch

    from pentimento.diffusion.latents import View, look, to_picture
    from pentimento.diffusion.masks import latent_mask
    from pentimento.editors import InstructEdit
    from pentimento.editors.trajectories import RECENT
    from pentimento.values import Plan, Request

    model = pack.text_to_image
    picture, mask, noun = scene(options, model.size)
    view = View(0, 0, model.size, model.size)
    grid = latent_mask(mask, view, model.autoencoder.factor)
    plan = Plan(find=(noun,), before=f"photo of a {noun}", after="photo of a tiger", kind="replace")
    editor = InstructEdit(pack=pack, steps=options.steps, ratio=options.ratio, guidance=options.guidance)

    def first() -> Image.Image:
        RECENT.forget()
        return editor(Request(picture, plan=plan, mask=mask)).decoded

    def again() -> Image.Image:
        return editor(Request(picture, plan=plan.model_copy(update={"after": "photo of a bus"}), mask=mask)).decoded

    theirs = diffusers_edit(options, model, picture, grid, plan) if "diffusers" in sides else first
    with torch.no_grad():
        reconstruction = to_picture(model.autoencoder.decode(model.autoencoder.encode(look(picture, view)).float()))
    outside = ~grid[0, 0].numpy().repeat(model.autoencoder.factor, 0).repeat(model.autoencoder.factor, 1)
    return Bench(first, theirs, again, reconstruction, outside)


def diffusers_edit(
    options: argparse.Namespace, model: Any, picture: Image.Image, grid: Any, plan: Any
) -> Callable[[], Image.Image]:
    """The edit by diffusers' pipeline over the very modules of the pack, in the pack's precision."""
    import torch
    from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionDiffEditPipeline
    from diffusers.utils import logging

    from pentimento.diffusion.schedule import betas_from_alphas

    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers")
    betas = betas_from_alphas(model.alphas_cumprod).cpu().numpy()
    common = {"trained_betas": betas, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    unet, vae = (model.unet, model.autoencoder.network) if options.toy else (model.unet, model.autoencoder.vae)
    pipeline = StableDiffusionDiffEditPipeline(
        vae=vae,
        text_encoder=None if options.toy else model.text_encoder,
        tokenizer=None if options.toy else model.tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**common),
        inverse_scheduler=DDIMInverseScheduler(**common),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)

    def words(caption: str) -> dict[str, Any]:
        if not options.toy:
            return {"prompt": caption, "negative_prompt": ""}
        text, null = model.encode_text([caption, ""]).split(1)
        return {"prompt_embeds": text, "negative_prompt_embeds": null}

    def edit() -> Image.Image:
        level = {"num_inference_steps": options.steps, "inpaint_strength": options.ratio}
        generator = torch.Generator().manual_seed(0)
        with nullcontext() if options.toy else model.placement.autocast():
            latents = pipeline.invert(
                image=picture, guidance_scale=1.0, generator=generator, **words(plan.before), **level
            ).latents
            edited: Image.Image = pipeline(
                mask_image=grid[0].float(),
                image_latents=latents,
                guidance_scale=options.guidance,
                generator=generator,
                **words(plan.after),
                **level,
            ).images[0]
        return edited

    return edit


def scene(options: argparse.Namespace, size: int) -> tuple[Image.Image, np.ndarray, str]:
    """A picture of the model's size, the mask of a thing in it, and the thing's noun."""
    if options.toy:
        from toy import toy_mask, toy_picture

        return toy_picture(size, size), toy_mask(size, size), "dog"
    from pentimento.data.scenes import draw_scene, render

    drawn = draw_scene(0, "test")
    rendering = render(drawn, size)
    return Image.fromarray(rendering.image), np.asarray(rendering.masks[0]), drawn.things[0].noun


def timed(edit: Callable[[], Image.Image]) -> tuple[float, Image.Image]:
    """Seconds, and the picture. Pictures lie in memory, so whatever an accelerator had to do is done."""
    began = perf_counter()
    picture = edit()
    return perf_counter() - began, picture


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Turn by turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def estimate(values: list[float]) -> Estimate:
    """The median and what 95 % of the medians of 2000 resamples lie between."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return Estimate(statistics.median(values), float(low), float(high))


def background_error(picture: Image.Image, bench: Bench) -> float:
    """Mean absolute difference to the autoencoder's own picture outside the mask's cells, in levels of 255."""
    difference = np.abs(np.asarray(picture, dtype=float) - np.asarray(bench.reconstruction, dtype=float))
    return float(difference[bench.outside].mean())


def table(measured: dict[str, Any]) -> str:
    """The measurements as a Markdown table."""
    settings, cold, warm = measured["settings"], measured["cold"], measured["warm_seconds"]

    def spread(values: dict[str, float], digits: int = 2) -> str:
        return f"{values['median']:.{digits}f} ({values['low']:.{digits}f} to {values['high']:.{digits}f})"

    def row(name: str, cell: Callable[[str], str]) -> str:
        return f"| {name} | {cell('pentimento')} | {cell('diffusers')} |"

    return "\n".join(
        (
            f"Pack {measured['pack']}, {settings['steps']} steps, ratio {settings['ratio']}, guidance "
            f"{settings['guidance']}; {measured['repeats']} turns, {measured['threads']} threads.",
            "",
            "| one edit, mask and captions given | pentimento | diffusers |",
            "| --- | --- | --- |",
            row("warm, s (median, 95 % interval)", lambda side: spread(warm[side], 3)),
            row("cold: import, load and first edit, s", lambda side: f"{cold[side]['first_edit']:.2f}"),
            row("peak memory of that process, MB", lambda side: f"{cold[side]['peak_memory']:.0f}"),
            row("error outside the mask, levels of 255", lambda side: f"{measured['background_error'][side]:.2f}"),
            "",
            f"diffusers takes {spread(measured['diffusers_over_pentimento'])} times as long.",
            f"A second edit of the same picture takes {spread(measured['second_edit_over_first'])} of the first.",
        )
    )


if __name__ == "__main__":
    main()
