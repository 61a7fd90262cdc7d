"""Every backend of the selective scan against the five-line loop, forward and backward."""

import sys
from collections.abc import Callable
from importlib import import_module
from math import log
from types import ModuleType

import pytest
import torch
from torch import Tensor
from triton_stand_in import modules

from pentimento.diffusion.scan import available, selective_scan
from pentimento.errors import RequestError

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FASTER = [backend for backend in available(DEVICE) if backend != "loop"]
LENGTHS = [1, 2, 13, 130]


def inputs(length: int, batch: int = 2, longest: float = 0.5, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """u, dt in (0, longest), A in (-3, 0), B, C and D, of 2 groups of 3 channels with 5 states."""
    generator = torch.Generator().manual_seed(length)
    b, k, d, n = batch, 2, 3, 5
    u, B, C = (torch.randn(*s, generator=generator) for s in [(b, k, d, length), (b, k, n, length), (b, k, n, length)])
    dt, A = longest * torch.rand(u.shape, generator=generator), -3 * torch.rand(k, d, n, generator=generator)
    D = torch.randn(k, d, generator=generator)
    return [x.to(DEVICE, dtype).requires_grad_() for x in (u, dt, A, B, C, D)]


def answers(scan: Callable[..., Tensor], given: list[Tensor]) -> list[Tensor]:
    """y and the gradients of an uneven loss by all inputs."""
    y = scan(*given)
    weights = torch.arange(y.numel(), device=y.device, dtype=y.dtype).cos().view_as(y)
    return [y, *torch.autograd.grad((weights * y).sum(), given)]


def by(backend: str) -> Callable[..., Tensor]:
    return lambda *given: selective_scan(*given, backend=backend)  # type: ignore[arg-type]


def assert_equal(got: list[Tensor], wanted: list[Tensor], within: float) -> None:
    for name, a, b in zip(("y", "u", "dt", "A", "B", "C", "D"), got, wanted, strict=True):
        scale = max(1.0, b.abs().max().item())
        assert a.isfinite().all() and (a - b).abs().max().item() <= within * scale, name


def test_the_loop_is_the_recurrence() -> None:
    one = torch.ones(1, 1, 1)
    u = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    y = selective_scan(u, torch.full_like(u, log(2)), -one, 3 * torch.ones(1, 1, 1, 3), u + 1, one[0], backend="loop")
    halved = 3 * log(2) * torch.tensor([1.0, 0.5, 0.25])
    assert torch.allclose(y[0, 0, 0], halved * torch.tensor([2.0, 1.0, 1.0]) + torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("backend", FASTER)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_backend_equals_the_loop_forward_and_backward(backend: str, length: int) -> None:
    given = inputs(length)
    assert_equal(answers(by(backend), given), answers(by("loop"), given), 1e-4)


@pytest.mark.parametrize("backend", FASTER)
def test_a_backend_equals_the_loop_for_one_sample_and_huge_steps(backend: str) -> None:
    given = inputs(60, batch=1, longest=300.0)
    assert_equal(answers(by(backend), given), answers(by("loop"), given), 1e-4)


@pytest.mark.parametrize("backend", FASTER)
def test_a_batch_of_none_answers_none(backend: str) -> None:
    given = inputs(7, batch=0)
    y, *gradients = answers(by(backend), given)
    assert y.shape == given[0].shape and all(not g.any() for g in gradients)


@pytest.mark.parametrize("longest", [0.5, 50.0])
@pytest.mark.parametrize("length", LENGTHS)
def test_in_double_precision_the_chunked_scan_equals_the_loop_to_ten_digits(length: int, longest: float) -> None:
    given = inputs(length, longest=longest, dtype=torch.float64)
    got = answers(by("chunked"), given)
    assert got[0].dtype == torch.float64
    assert_equal(got, answers(by("loop"), given), 1e-10)


@pytest.mark.parametrize("length", [1, 64, 130])
def test_the_triton_kernels_compute_what_the_loop_does(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "pentimento.diffusion.scan_triton", raising=False)
    kernels = import_module("pentimento.diffusion.scan_triton")
    monkeypatch.delitem(sys.modules, "pentimento.diffusion.scan_triton")
    given = [x.detach().cpu().requires_grad_() for x in inputs(length)]

    def scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
        return kernels.scan(u, dt, A, B, C) + D[..., None] * u

    assert_equal(answers(scan, given), answers(by("loop"), given), 1e-4)


@pytest.mark.parametrize("backend", FASTER)
def test_a_backend_keeps_much_less_than_all_states(backend: str) -> None:
    given, kept = inputs(400), {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        selective_scan(*given, backend=backend)  # type: ignore[arg-type]
    states = given[0].numel() * given[2].shape[-1] * 4
    assert sum(kept.values()) - sum(x.numel() * 4 for x in given) < states / 4


@pytest.mark.parametrize("backend", FASTER)
def test_autocast_changes_nothing(backend: str) -> None:
    given = inputs(30)
    y = selective_scan(*given, backend=backend)  # type: ignore[arg-type]
    with torch.autocast(DEVICE.type, torch.bfloat16):
        again = selective_scan(*given, backend=backend)  # type: ignore[arg-type]
        gradient = torch.autograd.grad(again.sum(), given[1])[0]
    assert again.dtype == torch.float32 and torch.equal(again, y)
    assert torch.allclose(gradient, torch.autograd.grad(y.sum(), given[1])[0], atol=1e-5)


def test_half_precision_is_answered_in_single() -> None:
    halves = [x.detach().half() for x in inputs(5)]
    y = selective_scan(*halves)
    assert torch.equal(y, selective_scan(*(x.float() for x in halves)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_auto_is_the_chunked_scan_on_a_cpu_to_the_last_bit(dtype: torch.dtype) -> None:
    given = [x.detach().cpu().requires_grad_() for x in inputs(30, dtype=dtype)]
    got, wanted = answers(selective_scan, given), answers(by("chunked"), given)
    assert got[0].dtype == dtype and all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


def test_auto_is_triton_where_that_runs_but_for_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    kernels = ModuleType("scan_triton")
    kernels.scan = lambda u, *others: asked.append(u.dtype) or torch.zeros_like(u)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pentimento.diffusion.scan_triton", kernels)
    monkeypatch.setattr("pentimento.diffusion.scan.available", lambda device: ("loop", "chunked", "triton"))
    single, double = ([x.detach().cpu() for x in inputs(5, dtype=dtype)] for dtype in (torch.float32, torch.float64))
    assert torch.equal(selective_scan(*single), single[-1][..., None] * single[0])  # the kernels' zeros, and D u
    assert asked == [torch.float32]
    assert torch.equal(selective_scan(*double), selective_scan(*double, backend="chunked"))
    assert asked == [torch.float32]


@pytest.mark.parametrize("backend", ["triton", "mamba_ssm", "magic"])
def test_a_backend_that_does_not_run_here_is_refused(backend: str) -> None:
    given = [x.detach().cpu() for x in inputs(3)]
    with pytest.raises(RequestError, match="does not run on cpu here.*chunked"):
        selective_scan(*given, backend=backend)  # type: ignore[arg-type]
