"""Which painted pairs are good enough: how like two pictures and their captions are in CLIP's space, and how like those
of exact pairs are (InstructPix2Pix Sec. 3.1)."""

from collections.abc import Collection

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from ..language.groups import EditKind
from ..roles import Clip
from .edits import render_edit
from .grouped import draw_group

MEASURED = 60
"""Drawn groups that quantiles are taken over."""


class Likeness(BaseModel):
    """Cosines of a pair in CLIP's space, or the least that are wanted; `text` is that of the worse picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: float
    text: float
    direction: float

    def reaches(self, least: "Likeness") -> bool:
        return self.image >= least.image and self.text >= least.text and self.direction >= least.direction


def likenesses(before: Tensor, after: Tensor, said: Tensor) -> list[Likeness]:
    """One for each pair of pictures, embeddings (n, d) each, of two captions (2, d) (InstructPix2Pix Sec. 3.1)."""
    image = F.cosine_similarity(before, after)
    text = torch.minimum(F.cosine_similarity(before, said[:1]), F.cosine_similarity(after, said[1:]))
    direction = F.cosine_similarity(after - before, said[1:] - said[:1])
    rows = torch.stack([image, text, direction], dim=1).tolist()
    return [Likeness(image=i, text=t, direction=d) for i, t, d in rows]


def quantiles(clip: Clip, shares: Likeness, size: int, withheld: Collection[EditKind] = ()) -> Likeness:
    """These quantiles of the likenesses of exact pairs, those of drawn groups of the validation split.

    A small CLIP's cosines lie elsewhere than the published one's, whose thresholds would keep all pairs or none.
    `withheld` kinds do not count: a thing that only moves, for one, has no direction in CLIP's space.
    """
    found: list[Likeness] = []
    groups = (draw_group(0, number, "validation") for number in range(MEASURED))
    for group in (group for group in groups if group.group.kind not in withheld):
        for pair, edit in zip(group.group.pairs, group.edits, strict=True):
            shown = render_edit(edit, size)
            pictures = clip.embed_images([Image.fromarray(shown.before), Image.fromarray(shown.after)])
            found += likenesses(pictures[:1], pictures[1:], clip.embed_texts([pair.before, pair.after]))
    return Likeness(
        **{
            name: float(np.quantile([getattr(one, name) for one in found], share))
            for name, share in shares.model_dump().items()
        }
    )
