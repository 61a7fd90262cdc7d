"""Visii's second loss: what is learned should mean the way from the pictures before to those after, as CLIP sees it.

Visii's code looks for that way in the words: the mean of the token states, projected into CLIP's space. That takes a
text encoder that is CLIP's own, as in Stable Diffusion. Where it is not, the way is looked for in the picture that the
predicted noise means (ours).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.attention import Slots, in_place
from ..diffusion.latents import seen_whole
from ..diffusion.visual_losses import one_step_x0
from ..roles import Clip, Diffusion
from ..values import Pair

ENOUGH = 0.5
"""Visii's clamp: a cosine beyond it is not rewarded."""
Alike = Callable[[Slots, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(slots, x_t (b, c, h, w), eps there, t (b,), the rows' pairs (b,)) -> cosine with the wanted direction, (b,)."""


def wanted(clip: Clip, pairs: Sequence[Pair]) -> Tensor:
    """The mean embedding of the pictures after, less that of those before, (1, d).

    Each embedding has length 1, as `roles.Clip` gives them (ours): Visii's code takes the mean of those that have not.
    """
    return between(*(clip.embed_images([getattr(pair, side) for pair in pairs]) for side in ("before", "after")))


def between(before: Tensor, after: Tensor) -> Tensor:
    """The way from the mean of embeddings (b, d) to that of others, (1, d)."""
    return after.mean(0, keepdim=True) - before.mean(0, keepdim=True)


def alike_in_words(clip: Clip, pairs: Sequence[Pair], text: Tensor, total: int) -> Alike:
    """How far the instruction means the wanted direction (Visii's code): by all token states of `text` (1, tokens, d),
    with those that are learned in their places."""
    direction = wanted(clip, pairs)

    def alike(slots: Slots, x_t: Tensor, eps: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        states = in_place(text.expand(len(t), -1, -1), slots.values[0], t, total)
        return F.cosine_similarity(clip.embed_states(states.to(x_t.device)), direction.to(x_t.device)).clamp(-1, ENOUGH)

    return alike


def alike_in_pictures(clip: Clip, pairs: Sequence[Pair], model: Diffusion) -> Alike:
    """How far the picture before and the one that the predicted noise means lie in the wanted direction (ours).

    Gradients cross the decoder. Rows count by alpha_t: in pure noise one step tells nothing of the picture. All
    pictures are seen as the model sees them: those that are not square with their edges drawn out.
    """
    before, after = (
        clip.embed_pixels(torch.cat([seen_whole(getattr(pair, side), model.size) for pair in pairs]))
        for side in ("before", "after")
    )
    direction = between(before, after)
    alphas = model.alphas_cumprod

    def alike(slots: Slots, x_t: Tensor, eps: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        alpha = alphas.to(t.device)[t].to(x_t.device)
        seen = alpha > 0
        made = model.autoencoder.decode_pixels(one_step_x0(x_t[seen], eps[seen], t[seen.to(t.device)], alphas))
        way = clip.embed_pixels(made) - before[rows.cpu()].to(made)[seen]
        cosine = F.cosine_similarity(way, direction.to(way)).clamp(-1, ENOUGH)
        return torch.zeros_like(alpha).masked_scatter(seen, alpha[seen] * cosine)

    return alike
