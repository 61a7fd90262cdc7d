"""How good a learned instruction is after how long: PSNR of an effect's test pairs at points of its learning.

    python benchmarks/learning_curve.py -o out/curve                       # five effects, 50 to 1000 steps
    python benchmarks/learning_curve.py -o out/curve --effects snow apple --steps 50 200

Writes curve.json, curve.md and curve.png. A point is on disk before the learning goes on; the same command goes on
where it was broken off. Seconds are those of learning alone, with its checkpoints. Dashed lines are what words reach.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pentimento.bench.instructbrush_rows import SEEDS, Bench, Row, edit_of, how_learned, open_bench, score, whole
from pentimento.bench.instructbrush_tables import PROTOCOL
from pentimento.bench.table import hardware, write_whole
from pentimento.bench.topbench import TopEffect, drawn_effects
from pentimento.data.effects import EFFECTS
from pentimento.learning import learn
from pentimento.packs import open_pack

STEPS = (50, 100, 200, 400, 700, 1000)
WHOLE, WORDS = Row("InstructBrush", "instructbrush"), Row("InstructPix2Pix", "words")
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#9c755f", "#edc948", "#e15759")
WIDTH, HEIGHT, LEFT, BELOW, RIGHT = 720, 400, 56, 44, 130


def curve_of(bench: Bench, effect: TopEffect, steps: Sequence[int], folder: Path) -> list[dict[str, float]]:
    """{"steps", "seconds", "PSNR", ...} at each point, those on disk as they are.

    Raises: TrainingError when the learning was stopped before a point.
    """
    points = []
    for count in sorted(steps):
        kept = folder / f"{effect.name.replace(' ', '-')}-{count}.json"
        if not kept.exists():
            settings = how_learned(bench, WHOLE, effect).model_copy(update={"steps": count})
            path = folder / f"{effect.name.replace(' ', '-')}.safetensors"
            learned = whole(learn(bench.pack, effect.train, path, settings))
            seconds = 60 * json.loads((path.with_suffix(".learning") / "report.json").read_text())["minutes"]
            figures = score(edit_of(bench, WHOLE, effect, learned), effect, bench.tools, bench.clip)
            write_whole(kept, json.dumps({"steps": count, "seconds": seconds, **figures}) + "\n")
        points.append(json.loads(kept.read_text()))
    return points


def measure(pack: str, names: Sequence[str], steps: Sequence[int], output: Path) -> dict[str, Any]:
    """The curves of some effects; JSON-able."""
    opened = open_pack(pack)
    bench = open_bench(opened, output, seed=0, budget=5 * max(steps), protocol=PROTOCOL)
    folder = output / opened.hash[:12]
    folder.mkdir(exist_ok=True)
    curves = {}
    for effect in (effect for effect in drawn_effects() if effect.name in names):
        words = score(edit_of(bench, WORDS, effect, None), effect, bench.tools, bench.clip)
        curves[effect.name] = {"words": words, "points": curve_of(bench, effect, steps, folder)}
    return {"pack": opened.name, "pack hash": opened.hash, "samples": SEEDS, "hardware": hardware(), "curves": curves}


def markdown(report: Mapping[str, Any]) -> str:
    """PSNR by effect and steps, and the mean with its seconds."""
    curves = report["curves"].values()
    rows = list(zip(*(curve["points"] for curve in curves), strict=True))  # by step, then effect
    lines = [
        f"Pack {report['pack']} ({report['pack hash'][:12]}), n = {len(curves)} effects, {report['samples']} samples "
        f"of each test pair, {report['hardware']}. PSNR in dB to the true picture.",
        "",
        f"| steps | seconds | mean | {' | '.join(report['curves'])} |",
        f"|---|---|---|{'---|' * len(curves)}",
        f"| words | - | {np.mean([c['words']['PSNR'] for c in curves]):.2f} | "
        + " | ".join(f"{c['words']['PSNR']:.2f}" for c in curves)
        + " |",
    ]
    for row in rows:
        mean, seconds = (np.mean([point[name] for point in row]) for name in ("PSNR", "seconds"))
        cells = " | ".join(f"{point['PSNR']:.2f}" for point in row)
        lines.append(f"| {row[0]['steps']} | {seconds:.0f} | {mean:.2f} | {cells} |")
    return "\n".join(lines)


def chart(report: Mapping[str, Any]) -> Image.Image:
    """PSNR over seconds of learning, a line for each effect."""
    curves = report["curves"]
    seconds = max(point["seconds"] for curve in curves.values() for point in curve["points"])
    heights = [v["PSNR"] for curve in curves.values() for v in (*curve["points"], curve["words"])]
    low, high = np.floor(min(heights)), max(np.ceil(max(heights)), np.floor(min(heights)) + 1)
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)

    def place(x: float, y: float) -> tuple[float, float]:
        up = (y - low) / (high - low) * (HEIGHT - BELOW - 20)
        return LEFT + x / seconds * (WIDTH - LEFT - RIGHT), HEIGHT - BELOW - up

    for i in range(5):
        x, y = seconds * i / 4, low + (high - low) * i / 4
        draw.line([place(0, y), place(seconds, y)], "#dddddd")
        draw.text((place(0, y)[0] - 8, place(0, y)[1]), f"{y:.1f}", "#444444", font, anchor="rm")
        draw.text((place(x, low)[0], HEIGHT - BELOW + 8), f"{x:.0f}", "#444444", font, anchor="ma")
    draw.text((LEFT, 2), "PSNR of held-out pairs, dB", "black", font)
    draw.text((place(seconds, low)[0], HEIGHT - 18), "seconds of learning", "black", font, anchor="ra")
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        dots = [place(point["seconds"], point["PSNR"]) for point in curve["points"]]
        draw.line(dots, colour, 2)
        for x, y in dots:
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], colour)
        across, level = place(0, 0)[0], place(0, curve["words"]["PSNR"])[1]
        for x in np.arange(across, place(seconds, 0)[0], 10):
            draw.line([(x, level), (x + 5, level)], colour)
        draw.text((WIDTH - RIGHT + 8, 24 + 18 * number), name, colour, font)
    return picture


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pack", default="miniature")
    options.add_argument("--effects", nargs="+", default=[effect.name for effect in EFFECTS[::5]])
    options.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    options.add_argument("-o", "--output", type=Path, default=Path("out/curve"))
    asked = options.parse_args()
    report = measure(asked.pack, asked.effects, asked.steps, asked.output)
    write_whole(asked.output / "curve.json", json.dumps(report, indent=1) + "\n")
    write_whole(asked.output / "curve.md", markdown(report) + "\n")
    chart(report).save(asked.output / "curve.png")
    print(markdown(report))


if __name__ == "__main__":
    main()
