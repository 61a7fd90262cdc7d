"""Visual prompts on the toy pack: random weights paint, and a CLIP of mean colours chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pentimento.data.making import Order
from pentimento.data.painting import Painting, painted
from pentimento.language.groups import CaptionPair, Group
from toy import ToyPack

WORDS = (("cat", "dog", "replace"), ("bus", "bus at night", "time"), ("sky", "blue sky", "recolour"))
GROUPS = tuple(
    Group(
        instruction=f"{new} instead of {old}, {i}",
        kind=kind,
        pairs=tuple(CaptionPair(before=f"a {old} {where}", after=f"a {new} {where}") for where in ("here", "there")),
    )
    for i in range(2)
    for old, new, kind in WORDS
)
PAINTING = Painting(quadrant=16, seeds=3, batch=2, steps=2, image=0, text=0).model_copy(update={"direction": -1.0})
"""Random weights change a picture in any direction, so every one is good enough."""


class ToyClip:
    """Pictures by their colours on a 4x4 grid, texts by their letters; all cosines are positive."""

    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        small = [np.asarray(image.resize((4, 4), Image.Resampling.BOX), dtype=np.float32).ravel() for image in images]
        return F.normalize(torch.from_numpy(np.stack(small)), dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        made = [torch.rand(48, generator=torch.Generator().manual_seed(sum(text.encode()))) for text in texts]
        return F.normalize(torch.stack(made), dim=-1)


@dataclass(frozen=True, eq=False)
class PaintingPack(ToyPack):
    clip: Any = field(default_factory=ToyClip)
    chat: Any = None


def open_toy(device: str = "cpu") -> PaintingPack:
    return PaintingPack()


def order(painting: Painting = PAINTING, n: int = len(GROUPS)) -> Order:
    return painted(open_toy(), open_toy, n, 0, painting, "cpu", groups=GROUPS)
