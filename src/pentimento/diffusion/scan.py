"""The selective scan: the recurrence at the heart of a state space model, behind one function with several backends.

Everything is computed in fp32, also under autocast. No backend keeps the states of all steps, 671 MB a tensor at 320
channels on 64x64 latents, and none divides by a cumulated decay, which is not a number as soon as dt reaches 0.1.
"""

from importlib.util import find_spec
from math import isqrt
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import RequestError

Backend = Literal["loop", "chunked", "triton", "mamba_ssm"]
Choice = Literal["auto", "loop", "chunked", "triton", "mamba_ssm"]
"""A backend, or "auto": "triton" on a GPU that has it, else "chunked", decided where the numbers lie, at each call."""


def selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, backend: Choice = "auto"
) -> Tensor:
    """What k groups of d channels answer along l >= 1 steps, y (b, k, d, l) (Mamba, Gu & Dao 2023, Sec. 3.2).

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t and y_t = C_t h_t + D u_t, from h = 0, with n states a channel.
    u and dt are (b, k, d, l), dt positive; A is (k, d, n) and negative; B and C are (b, k, n, l), shared by the
    channels of a group; D is (k, d). The answer is fp32; "loop", "chunked" and "auto" compute in fp64 when u is fp64.
    Gradients of "triton" and "mamba_ssm" add up in no fixed order, so their last bits differ from run to run.

    Raises: RequestError when the backend does not run here.
    """
    ready = available(u.device)
    if backend == "auto":
        backend = "triton" if "triton" in ready and u.dtype != torch.float64 else "chunked"
    if backend not in ready:
        raise RequestError(
            f"the scan backend {backend!r} does not run on {u.device.type} here; choose one of "
            f"auto, {', '.join(ready)} (triton and mamba_ssm need a GPU and the package of that name)"
        )
    exact = torch.float64 if u.dtype == torch.float64 and backend in ("loop", "chunked") else torch.float32
    with torch.autocast(u.device.type, enabled=False):
        u, dt, A, B, C, D = (x.to(exact) for x in (u, dt, A, B, C, D))
        match backend if len(u) else "chunked":  # a GPU cannot start no programs
            case "loop":
                y = _loop(u, dt, A, B, C)
            case "chunked":
                y = _Chunked.apply(u, dt, A, B, C)
            case "triton":
                from .scan_triton import scan

                y = scan(u, dt, A, B, C)
            case "mamba_ssm":
                y = _mamba_ssm(u, dt, A, B, C)
        return y + D[..., None] * u


def available(device: torch.device) -> tuple[Backend, ...]:
    """The backends that run on this device, the slowest first."""
    anywhere: tuple[Backend, ...] = ("loop", "chunked")
    if device.type != "cuda":
        return anywhere
    return anywhere + tuple(name for name in ("triton", "mamba_ssm") if find_spec(name))


def _loop(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The definition, against which the others are tested; its backward takes time quadratic in l."""
    h, ys = torch.zeros_like(A), []
    for t in range(u.shape[-1]):
        fed = (dt[..., t] * u[..., t])[..., None] * B[:, :, None, :, t]
        h = (dt[..., t, None] * A).exp() * h + fed  # (b, k, d, n)
        ys.append((h * C[:, :, None, :, t]).sum(-1))
    return torch.stack(ys, dim=-1)


class _Chunked(torch.autograd.Function):
    """Chunks of about sqrt(l) steps: the states at their borders are kept, those within are computed again.

    Inside a chunk all but one multiply-add a step is done for its steps at once.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        parts = _chunks(u.shape[-1])
        x, step, b, c = (_time_first(v) for v in (u, dt, B, C))  # (l, b, k, d) or (l, b, k, n)
        y, h = torch.empty_like(x), u.new_zeros(*u.shape[:3], A.shape[-1])
        borders = u.new_empty(len(parts), *h.shape)
        for part, border in zip(parts, borders, strict=True):
            border.copy_(h)
            _, states = _chunk_states(x[part], step[part], A, b[part], h)
            y[part] = _over_states(states, c[part])
            h = states[-1]
        ctx.save_for_backward(u, dt, A, B, C, borders)
        return _time_last(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        with torch.autocast(dy.device.type, enabled=False):
            return _chunked_gradients(dy, *ctx.saved_tensors)


def _chunked_gradients(dy: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, borders: Tensor) -> tuple:
    """The gradients of u, dt, A, B and C. `g`, the loss's gradient by the states, runs back in time as h runs on."""
    in_time = [_time_first(v) for v in (u, dt, B, C, dy)]
    du, ddt, dB, dC = (torch.empty_like(v) for v in in_time[:4])
    dA, carry = torch.zeros_like(A), torch.zeros_like(borders[0])
    for part, border in reversed(list(zip(_chunks(u.shape[-1]), borders, strict=True))):
        x, step, b, c, e = (v[part] for v in in_time)
        decay, states = _chunk_states(x, step, A, b, border)
        g = e[..., None] * c[..., None, :]  # (t, b, k, d, n)
        steps, decays = g.unbind(), decay.unbind()
        steps[-1].add_(carry)
        for t in reversed(range(len(steps) - 1)):
            steps[t].addcmul_(decays[t + 1], steps[t + 1])
        carry = decays[0] * steps[0]
        kept = decay.mul_(torch.cat([border[None], states[:-1]])).mul_(g)
        by_fed = _over_states(g, b)  # (t, b, k, d)
        du[part] = step * by_fed
        ddt[part] = (kept * A).sum(-1) + x * by_fed
        dA += (kept * step[..., None]).sum((0, 1))
        dB[part] = _over_channels(step * x, g)
        dC[part] = _over_channels(e, states)
    return _time_last(du), _time_last(ddt), dA, _time_last(dB), _time_last(dC)


def _over_states(states: Tensor, weights: Tensor) -> Tensor:
    """states (t, b, k, d, n), weighed by (t, b, k, n) and summed to (t, b, k, d); one state makes no matrix product."""
    return states[..., 0] * weights if weights.shape[-1] == 1 else (states @ weights[..., None])[..., 0]


def _over_channels(weights: Tensor, states: Tensor) -> Tensor:
    """states (t, b, k, d, n), weighed by (t, b, k, d) and summed to (t, b, k, n)."""
    one = states.shape[-1] == 1
    return (weights * states[..., 0]).sum(-1, keepdim=True) if one else (weights[..., None, :] @ states)[..., 0, :]


def _chunk_states(x: Tensor, step: Tensor, A: Tensor, b: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The decays exp(dt A) and the states of a chunk's steps that follow h (b, k, d, n); both (t, b, k, d, n)."""
    decay = (step[..., None] * A).exp_()
    states = (step * x)[..., None] * b[..., None, :]
    for a, state in zip(decay.unbind(), states.unbind(), strict=True):
        h = state.addcmul_(a, h)
    return decay, states


def _chunks(length: int) -> list[slice]:
    size = isqrt(length - 1) + 1
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _time_first(x: Tensor) -> Tensor:
    """(b, k, d, l) as (l, b, k, d), contiguous. What lies in memory with its channels last is hardly moved; all else is
    laid out anew as one matrix, whose transposition is done block by block."""
    if x.stride(2) == 1:
        return x.permute(3, 0, 1, 2).contiguous()
    return x.flatten(0, 2).t().contiguous().unflatten(1, x.shape[:3])


def _time_last(x: Tensor) -> Tensor:
    """(l, b, k, d) as (b, k, d, l), where it lies."""
    return x.permute(1, 2, 3, 0)


def _mamba_ssm(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # type: ignore[import-not-found]

    flat = selective_scan_fn(u.flatten(1, 2), dt.flatten(1, 2), A.flatten(0, 1), B.contiguous(), C.contiguous())
    return flat.view_as(u)
