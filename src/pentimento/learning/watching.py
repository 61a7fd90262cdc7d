"""What is looked at while an instruction is learned: its effect on a picture, drawn, and on a held-out pair, scored."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import TrainingError
from ..training.weights import write_text
from ..values import Learned, Pair

SCORES = "held_out.jsonl"


@dataclass(frozen=True)
class Watching:
    """`draw` applies a learned instruction to a picture. Without a pair nothing is scored, without a picture nothing
    is drawn."""

    draw: Callable[[Learned, Image.Image], Image.Image]
    held_out: Pair | None = None
    picture: Image.Image | None = None

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        """What it will draw on."""
        drawn_on = (self.picture, self.held_out.before if self.held_out else None)
        return tuple(picture for picture in drawn_on if picture is not None)

    def look(self, learned: Learned, step: int, run_dir: Path, path: Path) -> None:
        """Write the preview to `path`, and add a line {"step", "psnr"} to the run's scores."""
        if self.picture is not None:
            self.draw(learned, self.picture).save(path)
        if self.held_out is not None:
            made = np.asarray(self.draw(learned, self.held_out.before).convert("RGB"), dtype=np.float64)
            error = np.square(made - np.asarray(self.held_out.after.convert("RGB"))).mean()
            psnr = 10 * np.log10(255.0**2 / max(float(error), 1e-3))
            with open(run_dir / SCORES, "a") as log:
                log.write(json.dumps({"step": step, "psnr": round(float(psnr), 2)}) + "\n")


def scores_of(run_dir: Path) -> list[dict[str, Any]]:
    """The scores of a run so far; a last line that was not written to its end is none.

    Raises: TrainingError when the file is damaged.
    """
    path = run_dir / SCORES
    lines = path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else []
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError:
        raise TrainingError(f"{path} is damaged: delete it, and earlier scores are forgotten") from None


def keep_scores(run_dir: Path, step: int) -> None:
    """Leave of a run's scores those up to the step that it goes on from: the later ones will be taken again."""
    if (run_dir / SCORES).exists():
        kept = [json.dumps(score) + "\n" for score in scores_of(run_dir) if score["step"] <= step]
        write_text(run_dir / SCORES, "".join(kept))
