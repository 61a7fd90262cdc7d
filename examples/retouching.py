"""Image retouching (InstructBrush, appendix C): a change of tone is learned from three pairs and applied to others.

    python examples/retouching.py [--minutes 3] [--sheet docs/images/retouching.png]

The tone is a faded film: lifted shadows, warm lights, green in the shadows; no words would tell it. Writes the pairs,
the learned instruction and a sheet: new pictures, what was learned, and what the tone itself would give.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import pentimento
from pentimento.data.scenes import draw_scene, render

TRAINED, NEW = (11, 12, 13), (21, 22, 23, 24, 25, 26)


def faded(pixels: np.ndarray) -> np.ndarray:
    """The tone curve, pixels uint8 (h, w, 3) in [0, 255]."""
    x = pixels / 255.0
    light = x.mean(-1, keepdims=True)
    toned = 0.16 + 0.76 * x ** np.array([0.85, 0.95, 1.15])
    toned += 0.10 * light * np.array([1.0, 0.45, -0.5]) + 0.07 * (1 - light) * np.array([-0.3, 0.5, 0.25])
    return (255 * toned.clip(0, 1)).round().astype(np.uint8)


def scene(seed: int) -> np.ndarray:
    """A drawn picture, uint8 (128, 128, 3), that no model was trained on."""
    return render(draw_scene(seed, "test")).image


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--folder", type=Path, default=Path("out/retouching"))
    options.add_argument("--minutes", type=float, default=3.0)
    options.add_argument("--sheet", type=Path, default=Path("out/retouching/sheet.png"))
    asked = options.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    pairs = [pentimento.Pair(*(Image.fromarray(p) for p in (scene(s), faded(scene(s))))) for s in TRAINED]
    learned = pentimento.learn(
        pairs, asked.folder / "faded.safetensors", instruction="make it a faded photo", minutes=asked.minutes
    )
    rows = [[], [], []]
    for seed in NEW:
        before = scene(seed)
        edited = pentimento.edit(Image.fromarray(before), learned=learned)
        for row, pixels in zip(rows, (before, np.asarray(edited.image), faded(before)), strict=True):
            row.append(pixels)
    asked.sheet.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in rows])).save(asked.sheet)
    print(f"{asked.sheet}: above six pictures, below them the learned tone, and at the bottom the tone itself")


if __name__ == "__main__":
    main()
