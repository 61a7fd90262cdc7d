"""The run folder of a learning: what it was begun with, so that nothing else goes on there."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import TrainingError
from ..images import pixel_hash
from ..roles import Clip, Diffusion
from ..training import images_done
from ..training.weights import write_json
from ..values import Pair
from .settings import LearnSettings

BEGUN = "learning.json"


def claim(
    run_dir: Path,
    model: Diffusion,
    clip: Clip | None,
    pairs: Sequence[Pair],
    held_out: Pair | None,
    words: str,
    settings: LearnSettings,
) -> int:
    """The steps of each part that were done in a run folder; what it was begun with is written there, learning.json.

    That is all that the learning depends on: the settings without `steps` and `minutes`, the words that it begins with,
    the model and its arithmetic, the clip if its direction counts, and the pixels of the pairs.
    Raises: TrainingError when steps were done there with something else, or more of them than are asked for.
    """
    path, rows = run_dir / BEGUN, images_done(run_dir)
    now: dict[str, Any] = {
        **settings.model_dump(mode="json", exclude={"steps", "minutes"}), "words": words, "model": model.fingerprint,
        "dtype": model.arithmetic, **({"clip": clip.fingerprint} if clip else {}),
        "pairs": _digest(pairs), "held-out pair": _digest([held_out] if held_out else []),
    }  # fmt: skip
    try:
        before = now if not rows else json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        raise TrainingError(f"{path} is damaged: name another output, or delete its folder and begin anew") from None
    changed = [
        f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise TrainingError(
            f"{run_dir} belongs to another learning ({'; '.join(changed)}): name another output, or delete that folder"
        )
    done = rows // settings.parts
    if done > settings.steps:
        raise TrainingError(
            f"{run_dir} has done {done} steps already and {settings.steps} are asked for: ask for as many, "
            "name another output, or delete that folder"
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(path, now)
    return done


def _digest(pairs: Sequence[Pair]) -> str:
    """A short name for the pixels of some pairs, in their order."""
    seen = " ".join(pixel_hash(picture) for pair in pairs for picture in (pair.before, pair.after))
    return hashlib.sha256(seen.encode()).hexdigest()[:16]
