"""VMamba for control branches: the VSS block of VMamba v0 (Liu et al. 2024) and the layer that starts as nothing."""

from dataclasses import dataclass
from math import ceil, log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .scan import Choice, selective_scan

DIRECTIONS = 4


@dataclass(frozen=True)
class Shape:
    """How a VSS block is built: states a channel, inner channels by outer ones, a SiLU gate or none, who scans.

    The defaults are VMamba v0's, which InstructGIE builds on; FAST is the lightest block that sees as far.
    """

    states: int = 16
    ratio: float = 2.0
    gate: bool = True
    backend: Choice = "auto"


FAST = Shape(states=1, ratio=1.0, gate=False)


def unroll(x: Tensor) -> Tensor:
    """The picture x (b, c, h, w) as four sequences (b, 4, c, h w): by rows, by columns, and both from the end.

    They lie in memory step after step, as the scan reads them.
    """
    forth = torch.stack([x.permute(2, 3, 0, 1).flatten(0, 1), x.permute(3, 2, 0, 1).flatten(0, 1)], dim=2)
    return torch.cat([forth, forth.flip(0)], dim=2).permute(1, 2, 3, 0)


def roll_up(y: Tensor, height: int, width: int) -> Tensor:
    """The sum (b, c, height, width) of four sequences y (b, 4, c, l), each put back in the order of `unroll`."""
    steps = y.permute(3, 0, 1, 2)  # (l, b, 4, c)
    forth = steps[:, :, :2] + steps[:, :, 2:].flip(0)
    rows, columns = forth[:, :, 0].unflatten(0, (height, width)), forth[:, :, 1].unflatten(0, (width, height))
    return (rows.permute(2, 0, 1, 3) + columns.permute(2, 1, 0, 3)).permute(0, 3, 1, 2)


class SS2D(nn.Module):
    """The selective scan in four directions: x (b, h, w, c) to the same shape (VMamba v0).

    Steps and decays start as in Mamba: step lengths between 0.001 and 0.1, log-uniform, and decays 1..states.
    """

    def __init__(self, channels: int, shape: Shape):
        super().__init__()
        inner = int(shape.ratio * channels)
        self.rank, self.states, self.gate, self.backend = ceil(channels / 16), shape.states, shape.gate, shape.backend
        self.in_proj = nn.Linear(channels, 2 * inner if shape.gate else inner, bias=False)
        self.near = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        bound = inner**-0.5
        self.to_scan = nn.Parameter(
            torch.empty(DIRECTIONS, self.rank + 2 * shape.states, inner).uniform_(-bound, bound)
        )
        bound = self.rank**-0.5
        self.to_step = nn.Parameter(torch.empty(DIRECTIONS, inner, self.rank).uniform_(-bound, bound))
        step = torch.empty(DIRECTIONS, inner).uniform_(log(0.001), log(0.1)).exp()
        self.step_bias = nn.Parameter(step.expm1().log())  # softplus gives the step back
        decays = torch.arange(1.0, shape.states + 1).log()
        self.log_decay = nn.Parameter(decays.expand(DIRECTIONS, inner, -1).clone())
        self.skip = nn.Parameter(torch.ones(DIRECTIONS, inner))
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)
        for linear in (self.in_proj, self.out_proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_proj(x)
        if self.gate:
            x, gate = x.chunk(2, dim=-1)
        x = F.silu(self.near(x.permute(0, 3, 1, 2)))  # (b, d, h, w)
        y = self.scanned(x).permute(0, 2, 3, 1)  # (b, h, w, d)
        y = self.out_norm(y.to(self.out_norm.weight.dtype))
        return self.out_proj(y * F.silu(gate) if self.gate else y)

    def scanned(self, x: Tensor) -> Tensor:
        """The four scans of x (b, d, h, w), summed in fp32; in fp64 when x is."""
        exact = torch.promote_types(x.dtype, torch.float32)
        u = unroll(x)  # (b, 4, d, l)
        steps = u.permute(3, 0, 1, 2)  # (l, b, 4, d)
        told = steps.flatten(0, 1).transpose(0, 1) @ self.to_scan.transpose(1, 2)  # (4, l b, rank + 2 n)
        step, B, C = told.split([self.rank, self.states, self.states], dim=-1)
        dt = F.softplus((step @ self.to_step.transpose(1, 2)).to(exact) + self.step_bias.to(exact)[:, None])
        dt, B, C = (v.unflatten(1, steps.shape[:2]).permute(2, 0, 3, 1) for v in (dt, B, C))  # (b, 4, ., l)
        y = selective_scan(u, dt, -self.log_decay.to(exact).exp(), B, C, self.skip, self.backend)
        return roll_up(y, *x.shape[-2:])


class VSSBlock(nn.Module):
    """x + SS2D(LayerNorm(x)) over pictures x (b, c, h, w): no MLP, as in VMamba v0. Every place reaches every other."""

    def __init__(self, channels: int, shape: Shape):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mixer = SS2D(channels, shape)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mixer(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, with all its weights set to 0 in place."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ZeroVMamba(nn.Module):
    """A VSS block and a 1x1 convolution that starts at zero, x (b, c, h, w) to the same shape (InstructGIE Sec. 4.1).

    The paper sets all parameters to zero. Then none would ever get a gradient; ours are ControlNet's zero convolution
    behind a block of ordinary weights, so that the output starts at 0 and the gradient does not.
    """

    def __init__(self, channels: int, shape: Shape):
        super().__init__()
        self.block = VSSBlock(channels, shape)
        self.out = nn.Conv2d(channels, channels, 1)
        zero(self.out)  # after every other initialisation

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.block(x))
