"""Controls by convolutions alone: Prompt Diffusion's (Wang et al. 2023), which InstructGIE is measured against, and
ControlNet's own, for the ablation of the reformed branch."""

from typing import Any

import torch
from torch import Tensor, nn

from .control import Branch
from .grids import unwoven, woven
from .vmamba import zero

WIDTHS = (16, 32, 96, 256)


def seeing(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, its weights drawn anew in place so that what it sees keeps its size, and its biases at 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class HintEncoder(nn.Module):
    """Pictures (b, c, f h, f w) in [-1, 1] to a hint (b, channels, h, w) that starts at zero, f a power of 2.

    ControlNet's hint block: 3x3 convolutions with SiLU, 16 to 256 wide, of which log2 f halve the size. Its weights
    begin as He et al.'s (2015) and its biases at 0, unlike ControlNet's own: with the framework's, biases drown the
    pictures, and what reaches the convolution that starts at zero hardly differs from one picture to another, which a
    comparison after a short training would measure.
    """

    def __init__(self, picture_channels: int, channels: int, factor: int):
        super().__init__()
        halvings = factor.bit_length() - 1
        widths = [WIDTHS[min(i, len(WIDTHS) - 1)] for i in range(halvings + 1)]
        layers: list[nn.Module] = [seeing(nn.Conv2d(picture_channels, widths[0], 3, padding=1)), nn.SiLU()]
        for narrow, wide in zip(widths, widths[1:], strict=False):
            layers += [seeing(nn.Conv2d(narrow, narrow, 3, padding=1)), nn.SiLU()]
            layers += [seeing(nn.Conv2d(narrow, wide, 3, padding=1, stride=2)), nn.SiLU()]
        self.layers = nn.Sequential(*layers, zero(nn.Conv2d(widths[-1], channels, 3, padding=1)))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)


class PromptControl(Branch):
    """A branch that sees an example pair and a query as pictures (Prompt Diffusion Sec. 3.2; InstructGIE Table 1).

    Two hint encoders, for the pair's 6 channels and the query's 3, are summed and added after the copied conv_in; a
    1x1 convolution that starts at zero stands at each of ControlNet's sites. Nothing of the U-Net itself is trained
    (the published code's `sd_locked` set its decoder free by mistake).
    """

    def __init__(self, unet: Any, factor: int = 8):
        super().__init__(unet)
        self.pair = HintEncoder(6, self.encoder.channels[0], factor)
        self.query = HintEncoder(3, self.encoder.channels[0], factor)
        self.links = nn.ModuleList(zero(nn.Conv2d(width, width, 1)) for width in self.encoder.channels)

    def look(self, before: Tensor, after: Tensor, query: Tensor) -> Tensor:
        """The hint (b, channels, h, w) of three pictures, (b, 3, factor h, factor w) in [-1, 1] each."""
        return self.pair(torch.cat([before, after], dim=1)) + self.query(query)


class ControlNet(Branch):
    """ControlNet (Zhang et al. 2023) beside a visual prompt: InstructGIE without RCLDM (its Table 2).

    One hint encoder sees the whole grid as a picture; zero convolutions take the place of Zero-VMamba. With `weave` its
    last convolution sees the four pictures' cells of one place side by side, as the vision encoder's blocks do.
    """

    def __init__(self, unet: Any, factor: int = 8, weave: bool = False):
        super().__init__(unet)
        self.weave = weave
        self.hint = HintEncoder(3, self.encoder.channels[0], factor)
        self.links = nn.ModuleList(zero(nn.Conv2d(width, width, 1)) for width in self.encoder.channels)

    def look(self, prompt: Tensor) -> Tensor:
        """The hint (b, channels, h, w) of a grid of pixels (b, 3, factor h, factor w) in [-1, 1]."""
        if not self.weave:
            return self.hint(prompt)
        return unwoven(self.hint.layers[-1](woven(self.hint.layers[:-1](prompt))))
