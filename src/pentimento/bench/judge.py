"""The judge's verdict on an edit, and how far the verdict can be trusted.

A verdict compares a picture with what the words asked for, by the truth of the drawn world, after the edit was made.
No editor sees any of it.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..data.art import FAMILIES
from ..data.edits import Edit, draw_edit
from ..data.judging import ALL_FAMILIES, SURE, belief, planted
from ..roles import Autoencoder
from ..vision.judge import Judge
from .statistics import Figure, share

Trip = Callable[[np.ndarray], np.ndarray]
"""A picture, uint8 (h, w, 3), to the same after a round trip through an autoencoder."""


def verdict(judge: Judge, edit: Edit, picture: Image.Image) -> bool:
    """Whether the picture shows the edit carried out: every question that the edit asks has the right answer, and
    it is at least as sure of each as its threshold for such edits. Scenes are square; `picture` may have any size.
    """
    return belief(judge, edit, np.asarray(picture.convert("RGB"))) >= SURE


def round_trip(autoencoder: Autoencoder) -> Trip:
    """The round trip of a pack's autoencoder."""

    @torch.no_grad()
    def trip(picture: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, 3, h, w)
        decoded = autoencoder.decode(autoencoder.encode(pixels)).float().cpu()[0]
        return ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()

    return trip


@dataclass(frozen=True)
class JudgeScore:
    """`accuracy` over all planted pictures; `accepted` the share of yes by what was planted ("right" should be 1, the
    others 0); `right_by_kind` and `false_by_kind` the same for right and for all other pictures, by kind of edit;
    `false_accepts` over all that are not right.
    """

    accuracy: Figure
    false_accepts: Figure
    accepted: dict[str, Figure]
    right_by_kind: dict[str, Figure]
    false_by_kind: dict[str, Figure]

    def to_json(self) -> dict[str, object]:
        def group(figures: dict[str, Figure]) -> dict[str, object]:
            return {name: figure.to_json() for name, figure in figures.items()}

        return {
            "accuracy": self.accuracy.to_json(),
            "false accepts": self.false_accepts.to_json(),
            "accepted": group(self.accepted),
            "accepted when right, by kind": group(self.right_by_kind),
            "accepted when not right, by kind": group(self.false_by_kind),
        }


def score_judge(
    judge: Judge, n: int, seed: int = 0, trip: Trip | None = None, split: str = "test", held_out_art: bool = False
) -> JudgeScore:
    """How often the verdict is right on `n` edits done rightly, not at all, in part and wrongly.

    With `trip` each picture goes through an autoencoder first, as every edited picture does. `held_out_art` draws
    things of all three art families; without it they come from those that editors were trained on.
    """
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for number in range(n):
        edit = draw_edit(
            7_000_000 + seed * 100_000 + number, split, families=ALL_FAMILIES if held_out_art else FAMILIES
        )
        for case in planted(edit, np.random.default_rng([seed, number, 606])):
            picture = trip(case.picture) if trip is not None else case.picture
            said_yes = belief(judge, edit, picture) >= SURE
            counts[case.what, edit.words.kind].append(said_yes)
    kinds = sorted({kind for _, kind in counts})

    def yes(what: set[str], kind: str | None = None) -> Figure:
        said = [y for (w, k), group in counts.items() if w in what and kind in (None, k) for y in group]
        return share(sum(said), len(said))

    mistakes = {"wrong", "partial", "missing"}
    agreed = [y == (what == "right") for (what, _), group in counts.items() for y in group]
    return JudgeScore(
        accuracy=share(sum(agreed), len(agreed)),
        false_accepts=yes(mistakes),
        accepted={what: yes({what}) for what in ("right", "wrong", "partial", "missing")},
        right_by_kind={kind: yes({"right"}, kind) for kind in kinds},
        false_by_kind={kind: yes(mistakes, kind) for kind in kinds},
    )
