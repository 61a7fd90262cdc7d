"""Control: a trainable copy of a frozen U-Net's encoder that adds to what the U-Net passes on (ControlNet, Zhang et al.
2023), and InstructGIE's reformed branch, which sees the example pair and the picture in one grid.

A branch knows its U-Net only while it is built: it answers with residuals, and `controlled` hands them to any U-Net of
the same shape. What it sees of pictures depends on neither noise, time nor text: `look` once, then stand `beside` the
U-Net at each step. U-Nets are diffusers' UNet2DConditionModel with time and text as their only conditions.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .grids import unwoven, woven
from .vmamba import Shape, VSSBlock, ZeroVMamba, zero


@dataclass(frozen=True)
class Residuals:
    """What a branch adds to the U-Net: `down` to each skip connection, in their order, `middle` to the mid block."""

    down: tuple[Tensor, ...]
    middle: Tensor


def controlled(unet: Any, x_t: Tensor, t: Tensor, text: Tensor, added: Residuals) -> Tensor:
    """The noise eps (b, c, h, w) that the U-Net predicts when the residuals are added (InstructGIE Sec. 4.1, Eq. 3)."""
    return unet(
        x_t,
        t,
        encoder_hidden_states=text,
        down_block_additional_residuals=added.down,
        mid_block_additional_residual=added.middle,
    ).sample


class EncoderCopy(nn.Module):
    """A trainable copy of a U-Net's encoder: conv_in, time embedding, down blocks and mid block, with equal weights.

    `channels` are those of ControlNet's sites: conv_in, every layer and downsampler of the down blocks, the mid block
    (12 + 1 on Stable Diffusion 1.5).
    """

    def __init__(self, unet: Any):
        super().__init__()
        self.conv_in, self.time_proj = deepcopy(unet.conv_in), deepcopy(unet.time_proj)
        self.time_embedding = deepcopy(unet.time_embedding)
        self.down_blocks, self.mid_block = deepcopy(unet.down_blocks), deepcopy(unet.mid_block)
        self.requires_grad_(True)
        widths = [self.conv_in.out_channels]
        for block in self.down_blocks:
            layers = [*block.resnets, *(block.downsamplers or ())]
            widths += [layer.out_channels for layer in layers]
        self.channels = (*widths, widths[-1])

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, hint: Tensor) -> list[Tensor]:
        """The features at all sites; `hint` (b, channels[0], h, w) is added once, after conv_in."""
        emb = self.time_embedding(self.time_proj(t.expand(len(x_t))).to(x_t.dtype))
        x = self.conv_in(x_t) + hint
        features = [x]
        for block in self.down_blocks:
            x, skips = _run(block, x, emb, text)
            features += skips
        return [*features, _run(self.mid_block, x, emb, text)]


def _run(block: Any, x: Tensor, emb: Tensor, text: Tensor) -> Any:
    if getattr(block, "has_cross_attention", False):
        return block(x, emb, encoder_hidden_states=text)
    return block(x, emb)


class Branch(nn.Module):
    """What stands beside a U-Net: a copied encoder, something that sees pictures, and a link at each site."""

    links: nn.ModuleList
    look: Callable[..., Tensor]
    """What the branch sees of pictures, as a hint (b, channels, h, w); each kind sees others."""

    def __init__(self, unet: Any):
        super().__init__()
        self.encoder = EncoderCopy(unet)

    def beside(self, x_t: Tensor, t: Tensor, text: Tensor, hint: Tensor) -> Residuals:
        """The residuals for noisy latents x_t (b, c, h, w) at t, with a hint that was looked for before."""
        features = self.encoder(x_t, t, text, hint)
        *down, middle = (link(x) for link, x in zip(self.links, features, strict=True))
        return Residuals(tuple(down), middle)

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, *seen: Tensor) -> Residuals:
        """The residuals for x_t (b, c, h, w) at t, beside what `look` takes."""
        return self.beside(x_t, t, text, self.look(*seen))


class VisionEncoder(nn.Module):
    """G: the latent grid x_vpc (b, c, h, w) to its embedding e_vpc (b, channels, h, w) (InstructGIE Sec. 4.1, Eq. 2).

    A 3x3 convolution, VSS blocks, and a 1x1 convolution that starts at zero. The paper names no number of blocks.
    With `weave`, which is ours, the blocks see the four pictures' cells of one place side by side: a scan forgets with
    distance and cannot tell which cell of another picture stands where the answer's does (docs/LOG.md).
    """

    def __init__(self, condition_channels: int, channels: int, shape: Shape, blocks: int, weave: bool = False):
        super().__init__()
        self.weave = weave
        self.conv_in = nn.Conv2d(condition_channels, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(VSSBlock(channels, shape) for _ in range(blocks)))
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x_vpc: Tensor) -> Tensor:
        x = self.conv_in(x_vpc)
        return self.out(unwoven(self.blocks(woven(x))) if self.weave else self.blocks(x))


class RCLDM(Branch):
    """The reformed branch: copied encoder, vision encoder and a Zero-VMamba at each site (InstructGIE Sec. 4.1, Eq. 3).

    Equal to nothing before training: `controlled` then gives the plain U-Net's answer, bit for bit.
    """

    def __init__(self, unet: Any, condition_channels: int, shape: Shape, blocks: int = 2, weave: bool = False):
        super().__init__(unet)
        self.vision = VisionEncoder(condition_channels, self.encoder.channels[0], shape, blocks, weave)
        self.links = nn.ModuleList(ZeroVMamba(width, shape) for width in self.encoder.channels)

    def look(self, x_vpc: Tensor) -> Tensor:
        """e_vpc (b, channels, h, w), the hint of the visual prompt's latents x_vpc (b, c', h, w)."""
        return self.vision(x_vpc)
