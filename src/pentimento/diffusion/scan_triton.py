"""The selective scan as two Triton kernels; imported only when a GPU asks for it (see `scan`).

A program follows one channel through time in tiles of its n states by TIME steps. Inside a tile the recurrence is an
associative scan, in registers; only the states at the tiles' borders are written, and the backward starts from them.
"""
# mypy: disable-error-code="no-untyped-def"

from typing import Any

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

TIME = 64


def scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """sum_n C_t h_t (b, k, d, l), b >= 1, of fp32 tensors on a GPU, shaped as `scan.selective_scan` says."""
    with torch.cuda.device_of(u):
        return _Scan.apply(*(x.contiguous() for x in (u, dt, A, B, C)))


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        b, k, d, length = u.shape
        n = A.shape[-1]
        y, borders = torch.empty_like(u), u.new_empty(b * k * d, triton.cdiv(length, TIME), n)
        _forward[(b * k * d,)](u, dt, A, B, C, y, borders, k * d, d, n, length, triton.next_power_of_2(n), TIME)
        ctx.save_for_backward(u, dt, A, B, C, borders)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        u, dt, A, B, C, borders = ctx.saved_tensors
        b, k, d, length = u.shape
        n = A.shape[-1]
        du, ddt, dA = torch.empty_like(u), torch.empty_like(dt), A.new_empty(b, *A.shape)
        dB, dC = torch.zeros_like(B), torch.zeros_like(C)
        _backward[(b * k * d,)](
            u, dt, A, B, C, borders, dy.contiguous(), du, ddt, dA, dB, dC,
            k * d, d, n, length, triton.next_power_of_2(n), TIME,
        )  # fmt: skip
        return du, ddt, dA.sum(0), dB, dC


@triton.jit
def _then(decay, fed, decay_after, fed_after):
    return decay * decay_after, fed * decay_after + fed_after


@triton.jit
def _forward(u, dt, A, B, C, y, borders, per_sample, per_group, n, length, N: tl.constexpr, T: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    state, t = tl.arange(0, N), tl.arange(0, T)
    rate = tl.load(A + row % per_sample * n + state, mask=state < n, other=0.0)
    h = tl.zeros((N,), tl.float32)
    tiles = tl.cdiv(length, T)
    for tile in range(tiles):
        now = tile * T + t
        inside = now < length
        tl.store(borders + (row * tiles + tile) * n + state, h, mask=state < n)
        step = tl.load(dt + row * length + now, mask=inside, other=0.0)
        x = tl.load(u + row * length + now, mask=inside, other=0.0)
        shared = (row // per_group * n + state[:, None]) * length + now[None, :]
        both = (state[:, None] < n) & inside[None, :]
        b = tl.load(B + shared, mask=both, other=0.0)
        c = tl.load(C + shared, mask=both, other=0.0)
        decay, fed = tl.exp(rate[:, None] * step[None, :]), (step * x)[None, :] * b
        passed, gathered = tl.associative_scan((decay, fed), 1, _then)
        states = passed * h[:, None] + gathered  # (n, t)
        tl.store(y + row * length + now, tl.sum(states * c, axis=0), mask=inside)
        h = tl.sum(tl.where(t[None, :] == T - 1, states, 0.0), axis=1)


@triton.jit
def _backward(
    u, dt, A, B, C, borders, dy, du, ddt, dA, dB, dC,
    per_sample, per_group, n, length, N: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    state, t = tl.arange(0, N), tl.arange(0, T)
    rate = tl.load(A + row % per_sample * n + state, mask=state < n, other=0.0)
    carry = tl.zeros((N,), tl.float32)
    by_rate = tl.zeros((N,), tl.float32)
    tiles = tl.cdiv(length, T)
    for back in range(tiles):
        tile = tiles - 1 - back
        now = tile * T + t
        inside, follows, leads = now < length, t > 0, (t < T - 1) & (now + 1 < length)
        place = row * length + now
        step = tl.load(dt + place, mask=inside, other=0.0)
        x = tl.load(u + place, mask=inside, other=0.0)
        e = tl.load(dy + place, mask=inside, other=0.0)
        step_before = tl.load(dt + place - 1, mask=inside & follows, other=0.0)
        x_before = tl.load(u + place - 1, mask=inside & follows, other=0.0)
        step_after = tl.load(dt + place + 1, mask=leads, other=0.0)
        shared = (row // per_group * n + state[:, None]) * length + now[None, :]
        both = (state[:, None] < n) & inside[None, :]
        b = tl.load(B + shared, mask=both, other=0.0)
        c = tl.load(C + shared, mask=both, other=0.0)
        b_before = tl.load(B + shared - 1, mask=both & follows[None, :], other=0.0)
        border = tl.load(borders + (row * tiles + tile) * n + state, mask=state < n, other=0.0)

        # one step late: the first element is a step of no length, so the scan gives each step's state before it
        decay, fed = tl.exp(rate[:, None] * step_before[None, :]), (step_before * x_before)[None, :] * b_before
        passed, gathered = tl.associative_scan((decay, fed), 1, _then)
        kept = tl.exp(rate[:, None] * step[None, :]) * (passed * border[:, None] + gathered)
        states = kept + (step * x)[None, :] * b

        passed, gathered = tl.associative_scan((tl.exp(rate[:, None] * step_after[None, :]), c * e[None, :]), 1, _then,
                                               reverse=True)  # fmt: skip
        g = passed * carry[:, None] + gathered  # the loss's gradient by the states
        first = tl.where(t[None, :] == 0, tl.exp(rate[:, None] * step[None, :]) * g, 0.0)
        carry = tl.sum(first, axis=1)

        by_fed = tl.sum(g * b, axis=0)
        tl.store(du + place, step * by_fed, mask=inside)
        tl.store(ddt + place, tl.sum(g * kept * rate[:, None], axis=0) + x * by_fed, mask=inside)
        by_rate += tl.sum(g * kept * step[None, :], axis=1)
        tl.atomic_add(dB + shared, (step * x)[None, :] * g, mask=both)
        tl.atomic_add(dC + shared, e[None, :] * states, mask=both)
    tl.store(dA + row * n + state, by_rate, mask=state < n)
