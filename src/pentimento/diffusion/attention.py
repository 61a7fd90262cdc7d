"""Learned attention: keys and values of an instruction's tokens, in every cross-attention layer of a U-Net, instead of
those that its text encoder would give (InstructBrush Sec. 4.1).

They are put in where the layers' own projections come out, so that any attention kernel computes with them, and taken
out again when the context ends. In the same places the projections of a text that stays can be kept from one step to
the next.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .guidance import Denoise

WRITTEN_PLACES = 1024
"""The most latents that attention's matrix is written out for."""


@dataclass(frozen=True)
class Slots:
    """What stands in the layers: keys[i] and values[i] (parts, m, d_i) of cross-attention layer i.

    They take the places 1..m of the tokens (place 0 is the beginning of the text); `parts` divide the time.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def parts(self) -> int:
        return self.keys[0].shape[0]

    @property
    def tokens(self) -> int:
        return self.keys[0].shape[1]


def cross_attentions(unet: nn.Module) -> dict[str, Any]:
    """The cross-attention layers of a U-Net by name, in the order of its modules: "attn2" in every diffusers U-Net."""
    return {name: module for name, module in unet.named_modules() if name.split(".")[-1] == "attn2"}


@contextmanager
def quick_backward(unet: Any, places: int) -> Iterator[None]:
    """While it lasts, a U-Net on a CPU writes its attention out, as long as the matrix of so many places is small."""
    if next(unet.parameters()).device.type != "cpu" or places > WRITTEN_PLACES:
        yield
        return
    own = unet.attn_processors
    unet.set_attn_processor(Written())
    try:
        yield
    finally:
        unet.set_attn_processor(own)


class Written:
    """Attention for `unet.set_attn_processor` that is the quicker one to train with on a CPU: in bf16 its matrix is
    written out, because fused attention computes it again for the backward pass; in fp32, where the matrix is what
    takes the time, it is fused (docs/LOG.md).

    The matrix keeps the arithmetic of queries and keys, bf16 under autocast (diffusers' own AttnProcessor computes it
    in fp32 there), each of its rows summed in fp32. For the attention of transformer blocks in a U-Net: no mask, no
    norm.
    """

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None, temb: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        assert attention_mask is None
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        projections = (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        q, k, v = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in projections)  # (b, heads, places, d)
        fused = q.dtype == torch.float32
        attended = F.scaled_dot_product_attention(q, k, v, scale=attn.scale) if fused else written(attn.scale * q, k, v)
        out, dropout = attn.to_out
        return dropout(out(attended.transpose(1, 2).flatten(2)))


def written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T) v for queries (..., n, d), keys (..., m, d) and values (..., m, d), which may not be broadcast."""
    with torch.autocast(q.device.type, enabled=False):
        answer: Tensor = _Written.apply(q, k, v)
    return answer


class _Written(torch.autograd.Function):
    """The softmax's gradient by its rows' sums, which are those of the answer: torch's own takes as long as all
    products together."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        matrix = (q @ k.transpose(-1, -2)).softmax(-1)  # (..., n, m)
        answer = matrix @ v
        ctx.save_for_backward(q, k, v, matrix, answer)
        return answer

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, matrix, answer = ctx.saved_tensors
        with torch.autocast(wanted.device.type, enabled=False):
            scores = wanted @ v.transpose(-1, -2)
            scores.sub_((wanted * answer).sum(-1, keepdim=True)).mul_(matrix)
            return scores @ k, scores.transpose(-1, -2) @ q, matrix.transpose(-1, -2) @ wanted


def part_of(t: Tensor, parts: int, total: int) -> Tensor:
    """The part (b,) that each timestep (b,) of `total` lies in: floor(parts t / T) (InstructBrush Sec. 4.1)."""
    return (parts * t // total).clamp(max=parts - 1)


class Inserted:
    """`with Inserted(unet, slots, total) as inserted:` puts the slots into the layers while it lasts.

    Before each call of the U-Net, `inserted.at(t, rows)` says at which timesteps (b,) it will be asked and in which
    rows, bool (b,), the instruction stands; the other rows (guidance's null branches) are left alone, bit for bit. So
    is what other threads ask of the U-Net meanwhile.
    """

    def __init__(self, unet: nn.Module, slots: Slots, total: int):
        layers = cross_attentions(unet)
        if len(layers) != len(slots.keys):
            raise ValueError(f"{len(slots.keys)} layers of keys for a U-Net with {len(layers)}")
        self.slots, self.total = slots, total
        self._layers = tuple(layers.values())
        self._part = self._rows = torch.zeros(0)

    def at(self, t: Tensor, rows: Tensor) -> None:
        """Choose the parts of the next call by its timesteps, and the rows of the batch that are meant."""
        self._part, self._rows = part_of(t, self.slots.parts, self.total), rows

    def __enter__(self) -> "Inserted":
        self._hooks, self._thread = [], get_ident()
        for layer, keys, values in zip(self._layers, self.slots.keys, self.slots.values, strict=True):
            self._hooks += [self._put(layer.to_k, keys), self._put(layer.to_v, values)]
        return self

    def __exit__(self, *problem: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _put(self, projection: nn.Module, learned: Tensor) -> Any:
        def replace(module: nn.Module, inputs: tuple, projected: Tensor) -> Tensor:  # (b, tokens, d)
            if get_ident() != self._thread:
                return projected
            own = learned.to(projected)[self._part.to(projected.device)]  # (b, m, d)
            end = 1 + own.shape[1]
            rows = self._rows.to(projected.device)[:, None, None]
            middle = torch.where(rows, own, projected[:, 1:end])
            return torch.cat([projected[:, :1], middle, projected[:, end:]], dim=1)

        return projection.register_forward_hook(replace)


@contextmanager
def instructed(denoise: Denoise, unet: nn.Module, slots: Slots, total: int, count: int) -> Iterator[Denoise]:
    """`denoise` with the slots in the first `count` rows of each call: guidance puts its text branch first.

    The part is chosen by each row's timestep, before the U-Net runs (InstructBrush Sec. 4.1).
    """
    with Inserted(unet, slots, total) as inserted:

        def noise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            inserted.at(t, torch.arange(len(x)) < count)
            return denoise(x, t, text)

        yield noise


@contextmanager
def worded(denoise: Denoise, states: Tensor, total: int, count: int) -> Iterator[Denoise]:
    """`denoise` with token states (parts, m, d) at the places 1..m of the first `count` rows of each call: an
    instruction in the space of the text encoder, as Visii learns it."""

    def noise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        rows = (torch.arange(len(x), device=text.device) < count)[:, None, None]
        return denoise(x, t, torch.where(rows, in_place(text, states, t, total), text))

    yield noise


def in_place(text: Tensor, states: Tensor, t: Tensor, total: int) -> Tensor:
    """Token states (b, tokens, d) with `states` (parts, m, d) at the places 1..m, by each row's timestep t (b,)."""
    own = states.to(text)[part_of(t, len(states), total).to(text.device)]  # (b, m, d)
    return torch.cat([text[:, :1], own, text[:, 1 + states.shape[1] :]], dim=1)


def moved_back(text: Tensor, places: int) -> Tensor:
    """Token states (b, tokens, d) with the words `places` further back; what stands in those is to be replaced, and as
    many states at the end fall off."""
    return torch.cat([text[:, : 1 + places], text[:, 1 : text.shape[1] - places]], dim=1)


def projected(unet: nn.Module, call: Any, tokens: int, row: int = 0) -> Slots:
    """The keys and values that the U-Net itself computes for the first tokens of one row while `call()` runs it.

    Taken from the very projections that the forward uses, so that putting them back changes nothing, not by a bit
    (computed apart, in another batch shape, they would differ in the last places). One part.
    """
    layers, thread = list(cross_attentions(unet).values()), get_ident()  # not in the forward's own order
    keys, values = ([torch.zeros(0)] * len(layers) for _ in range(2))
    hooks = []
    for i, layer in enumerate(layers):
        for projection, kept in ((layer.to_k, keys), (layer.to_v, values)):

            def keep(module: nn.Module, inputs: tuple, out: Tensor, kept: list[Tensor] = kept, i: int = i) -> None:
                if get_ident() == thread:
                    kept[i] = out[row : row + 1, 1 : 1 + tokens].detach().clone()

            hooks.append(projection.register_forward_hook(keep))
    try:
        with torch.no_grad():
            call()
    finally:
        for hook in hooks:
            hook.remove()
    return Slots(tuple(keys), tuple(values))


@dataclass(frozen=True, eq=False)
class Known:
    """Token states (b, tokens, d) that a U-Net was called with, and what its projections made of them so far."""

    states: Tensor
    projected: dict[nn.Module, Tensor] = field(default_factory=dict)


class Kept:
    """`with Kept(unet):` every cross-attention layer projects a text into keys and values at its first call alone.

    A sampler asks for the same texts at every step. While the context lasts, the last `texts` of them (whole batches of
    token states, compared by value) keep what `to_k` and `to_v` made of them, and no bit of a result changes. Where
    gradients are on, everything is computed as ever. Not for a model whose autocast changes in between. A projection
    that somebody holds already is left to them.
    """

    def __init__(self, unet: nn.Module, texts: int = 2):
        self._unet, self._limit = unet, texts
        self._projections = [p for layer in cross_attentions(unet).values() for p in (layer.to_k, layer.to_v)]
        self._texts: tuple[Known, ...] = ()  # the one that was used last stands last
        self._now: tuple[Tensor, Known] | None = None

    def __enter__(self) -> "Kept":
        self._hook = self._unet.register_forward_pre_hook(self._look, with_kwargs=True)
        self._placed = {p: self._once(p) for p in self._projections if "forward" not in vars(p)}
        for projection, once in self._placed.items():
            projection.forward = once
        return self

    def __exit__(self, *problem: object) -> None:
        self._hook.remove()
        for projection, once in self._placed.items():
            if vars(projection).get("forward") is once:
                del projection.forward
        self._texts, self._now = (), None

    def _look(self, unet: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        """Find the text of the call that begins, or make room for it."""
        if torch.is_grad_enabled():
            return
        given = named["encoder_hidden_states"] if "encoder_hidden_states" in named else inputs[2]
        known = next((text for text in self._texts if torch.equal(text.states, given)), None) or Known(given.clone())
        self._texts = (*(text for text in self._texts if text is not known), known)[-self._limit :]
        self._now = given, known

    def _once(self, projection: Any) -> Callable[[Tensor], Tensor]:
        plain = projection.forward

        def once(states: Tensor) -> Tensor:
            now = self._now
            if now is None or now[0] is not states or torch.is_grad_enabled():
                return plain(states)
            known = now[1].projected
            if projection not in known:
                known[projection] = plain(states)
            return known[projection]

        return once
