"""Prompt-to-Prompt (Hertz et al. 2022): two captions painted into two pictures that differ where the captions do.

Both start from the same noise and meet the same noise on the way. In the first steps the second picture takes over
the first one's attention: where each place looks (self-attention, on the coarse maps), and which places each word that
both captions have in common is seen at (cross-attention). New words find their own places: token refinement, which
needs no captions of equal length. InstructGIE Sec. 5 makes its data set so, after InstructPix2Pix.

No attention map is ever formed. A map times values is what any attention kernel computes, from the queries and keys
of whichever picture the map belongs to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import cross_attentions
from .guidance import Denoise
from .samplers import AfterStep, euler_ancestral, unchanged


def self_attentions(unet: nn.Module) -> dict[str, Any]:
    """The self-attention layers of a U-Net by name, in the order of its modules: "attn1" in every diffusers U-Net."""
    return {name: module for name, module in unet.named_modules() if name.split(".")[-1] == "attn1"}


class Shared:
    """`with Shared(unet, places, pairs, side) as shared:` gives the second picture of each pair the first one's
    attention while it lasts.

    A batch holds `pairs` first pictures, then as many second ones; under guidance the same again for the null text.
    `places[j]` is the token of the first caption that token j of the second one stands for, -1 for none. Self-attention
    is shared on maps of at most side x side places, in all branches; cross-attention where the text is, which comes
    first. Before each call, `shared.at(rows)` says for which pairs, bool (pairs,); the others are left alone, and so
    are all first pictures, bit for bit.
    """

    def __init__(self, unet: nn.Module, places: Sequence[int], pairs: int, side: int):
        self._places, self._pairs, self._side = torch.tensor(places), pairs, side
        self._self, self._cross = tuple(self_attentions(unet).values()), tuple(cross_attentions(unet).values())
        self._rows = torch.zeros(pairs, dtype=torch.bool)

    def at(self, rows: Tensor) -> None:
        """Choose the pairs that share in the next call."""
        self._rows = rows

    def __enter__(self) -> "Shared":
        self._hooks = [layer.register_forward_hook(self._share_self, with_kwargs=True) for layer in self._self]
        self._hooks += [layer.register_forward_hook(self._share_cross, with_kwargs=True) for layer in self._cross]
        return self

    def __exit__(self, *problem: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _share_self(self, layer: Any, inputs: tuple, named: dict[str, Any], out: Tensor) -> Tensor | None:
        hidden = inputs[0]  # (branches * 2 * pairs, places, d)
        if not self._rows.any() or hidden.shape[1] > self._side**2:
            return None
        first, second = hidden.unflatten(0, (-1, 2, self._pairs)).transpose(0, 1).flatten(1, 2)
        replaced = _attended(layer, layer.to_q(first), layer.to_k(first), layer.to_v(second))
        return self._replace(out, _projected(layer, replaced))

    def _share_cross(self, layer: Any, inputs: tuple, named: dict[str, Any], out: Tensor) -> Tensor | None:
        if not self._rows.any():
            return None
        texts = named["encoder_hidden_states"][: 2 * self._pairs]
        first, second = inputs[0][: 2 * self._pairs].chunk(2)
        places = self._places.to(texts.device)
        (first_keys, second_keys), values = layer.to_k(texts).chunk(2), layer.to_v(texts[self._pairs :])
        common = (places >= 0)[:, None]
        carried = torch.zeros_like(values).index_add_(1, places.clamp(min=0), values * common)
        kept = _attended(layer, layer.to_q(first), first_keys, carried)
        new = _attended(layer, layer.to_q(second), second_keys, values * ~common)
        return self._replace(out, _projected(layer, kept + new))

    def _replace(self, out: Tensor, replaced: Tensor) -> Tensor:
        """`out` with these second pictures, branches that come first, in the rows that share."""
        rows = out.unflatten(0, (-1, 2, self._pairs)).clone()  # (branches, 2, pairs, places, d)
        replaced = replaced.unflatten(0, (-1, self._pairs)).to(out)
        chosen = self._rows.to(out.device)[:, None, None]
        rows[: len(replaced), 1] = torch.where(chosen, replaced, rows[: len(replaced), 1])
        return rows.flatten(0, 2)


def _attended(layer: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(Q K^T) V in the layer's heads, (b, places, d)."""
    q, k, v = (x.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for x in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=layer.scale).transpose(1, 2).flatten(2)


def _projected(layer: Any, attended: Tensor) -> Tensor:
    """What the layer makes of its heads' results."""
    for module in layer.to_out:
        attended = module(attended)
    return attended


@dataclass(frozen=True)
class Draw:
    """One pair's chance: where its noise comes from, the fraction of the steps that share attention, its guidance."""

    generator: torch.Generator
    threshold: float
    guidance: float


@torch.no_grad()
def paint_pairs(
    denoise: Denoise,
    unet: nn.Module,
    texts: Tensor,
    null: Tensor,
    places: Sequence[int],
    like: Tensor,
    draws: Sequence[Draw],
    alphas_cumprod: Tensor,
    steps: int,
    side: int,
    after: AfterStep = unchanged,
) -> Tensor:
    """Clean latents (2, pairs, c, h, w) of both captions for every draw, by Euler ancestral (InstructGIE Sec. 5).

    `texts` (2, tokens, d) are the captions' states, `null` (1, tokens, d) the null text's, `like` (1, c, h, w) gives
    shape, device and dtype. Step i of n shares attention while i < threshold * n, so that 0 is the plain model and
    1 shares in every step. A draw's pair does not depend on the others beside it but for the last bits of arithmetic.
    """
    pairs, number = len(draws), count()
    guidance = torch.tensor([draw.guidance for draw in draws]).repeat(2).view(-1, 1, 1, 1).to(like)
    thresholds = torch.tensor([draw.threshold for draw in draws])
    states = torch.cat([texts.repeat_interleave(pairs, 0), null.expand(2 * pairs, -1, -1)])  # (4 * pairs, tokens, d)

    def drawn() -> Tensor:
        noise = [torch.randn(like.shape, generator=draw.generator) for draw in draws]
        return torch.cat([*noise, *noise]).to(like)

    with Shared(unet, places, pairs, side) as shared:

        def noise(x: Tensor, t: Tensor) -> Tensor:
            shared.at(next(number) < thresholds * steps)
            eps_text, eps_null = denoise(x.repeat(2, 1, 1, 1), t.repeat(2), states).chunk(2)
            return eps_null + guidance * (eps_text - eps_null)

        return euler_ancestral(noise, drawn, alphas_cumprod, steps, after).unflatten(0, (2, pairs))
