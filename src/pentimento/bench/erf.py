"""Effective receptive fields of a convolutional, a ViT and a VMamba encoder (InstructGIE Fig. 3; Luo et al. 2016).

Three kinds of encoder of one depth and width, VMamba with cells woven and not, look at the latents of visual prompts,
with fresh weights; then those that a pack has trained look at what they were trained on: at grids the reformed branch's
vision encoder (VMamba), or the hint encoder that stands in its place; at one picture Prompt Diffusion's query encoder
(convolutions) and CLIP's picture half (ViT).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.edits import draw_edit, render_edit
from ..diffusion.control import VisionEncoder
from ..diffusion.grids import Quadrants, by_quadrant, joined, quadrants, visual_prompt
from ..diffusion.latents import to_tensor
from ..diffusion.vmamba import Shape
from ..editors.requests import Watch, unwatched
from ..errors import PackError
from ..packs.in_context import conditions
from ..vision.layers import ConvNorm, Residual, TextBlock
from .table import save_picture, write_whole

WIDTH, BLOCKS = 96, 2
"""Of the encoders with fresh weights; two blocks are the reformed branch's."""
HELD = (0.5, 0.9)
MIDDLE, OF_ANSWER = 0.5, 0.75
"""Where the unit that is asked lies, as fractions of height and width: in the middle of a picture, or of a grid's
answer, which alone is painted for its own sake. The middle of a grid is only a corner of its four pictures."""
FLOOR = 1e-4
"""Of the largest gradient; the figure shows nothing below it."""
SIDE = 256  # pixels of a field in the figure

Encode = Callable[[Tensor], Tensor]
"""Inputs (1, c, h, w) to features (1, d, h', w'), with gradients."""


@dataclass(frozen=True)
class Looker:
    """An encoder, what it looks at, inputs (n, c, h, w), and where its unit is asked, as a fraction of both sides."""

    label: str
    trained: bool
    encode: Encode
    inputs: Tensor
    asked: float = OF_ANSWER


class PatchEncoder(nn.Module):
    """A small ViT: every cell is a token, with a place of its own, x (b, c, side, side) to (b, width, side, side)."""

    def __init__(self, channels: int, width: int, blocks: int, side: int):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.place = nn.Parameter(torch.randn(side * side, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.conv_in(x).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.transpose(1, 2).unflatten(2, x.shape[-2:])


def receptive_field(encode: Encode, inputs: Tensor, generator: torch.Generator, asked: float = MIDDLE) -> np.ndarray:
    """How strongly each place of inputs (n, c, h, w) moves one unit of what is encoded, float (h, w).

    The unit lies at the fraction `asked` of height and width. The gradient of the unit with respect to the input (Luo
    et al. 2016, Sec. 2, of the middle one): the root of its square, summed over the channels of input and unit and
    averaged over the inputs. A unit's channels are asked in one random direction for each input, whose mean square is
    their sum's.
    """
    total = torch.zeros(inputs.shape[-2:])
    for one in inputs:
        x = one[None].detach().clone().requires_grad_()
        features = encode(x)  # (1, d, h', w')
        height, width = features.shape[-2:]
        unit = features[0, :, int(asked * height), int(asked * width)]
        direction = torch.randn(len(unit), generator=generator).to(unit)
        (gradient,) = torch.autograd.grad(unit @ direction, x)
        total += gradient[0].square().sum(0).float().cpu()
    return (total / max(len(inputs), 1)).sqrt().numpy()


def area_share(field: np.ndarray, held: float) -> float:
    """The smallest share of the area that holds this part, in [0, 1], of all the gradient in a field (h, w)."""
    strongest = np.sort(field.ravel().astype(np.float64))[::-1]
    inside = np.cumsum(strongest)
    if not inside[-1]:
        return float("nan")
    return (int(np.searchsorted(inside, held * inside[-1] * (1 - 1e-12))) + 1) / field.size


def reached(field: np.ndarray) -> float:
    """The share of the area from which any gradient comes at all."""
    return float((field > 0).mean())


def prompts(n: int, seed: int = 0) -> Tensor:
    """Visual prompts of drawn test edits, two of one kind each, (n, 3, 256, 256) in [-1, 1]."""
    grids = []
    for number in range(seed * 100_000, seed * 100_000 + n):
        first = draw_edit(2 * number, "test")
        sides = [render_edit(edit) for edit in (first, draw_edit(2 * number + 1, "test", kinds=(first.words.kind,)))]
        pictures = [to_tensor(Image.fromarray(p)) for side in sides for p in (side.before, side.after)]
        grids.append(visual_prompt(joined(Quadrants(*pictures))))
    return torch.cat(grids)


def fresh(latents: Tensor, width: int = WIDTH, blocks: int = BLOCKS) -> list[Looker]:
    """The three kinds of encoder with fresh weights, for grids of square latents (n, c, side, side)."""
    torch.manual_seed(0)
    channels, side = latents.shape[1], latents.shape[-1]
    seer = VisionEncoder(channels, width, Shape(), blocks)
    nn.init.dirac_(seer.out.weight)  # the last convolution, which starts at zero: lets all through
    weaving = VisionEncoder(channels, width, Shape(), blocks, weave=True)
    weaving.load_state_dict(seer.state_dict())
    encoders: dict[str, nn.Module] = {
        "convolution": nn.Sequential(ConvNorm(channels, width), *(Residual(width) for _ in range(blocks))),
        "ViT": PatchEncoder(channels, width, blocks, side),
        "VMamba": seer,
        "VMamba, woven": weaving,
    }
    return [Looker(label, False, net.eval().requires_grad_(False), latents) for label, net in encoders.items()]


def trained(pack: Any, pixels: Tensor) -> tuple[list[Looker], dict[str, str]]:
    """The encoders that the pack has trained, and why others are missing, by role."""
    found, missing = [], {}
    makers = {"prompt_diffusion": _query_encoder, "clip": _picture_half, "incontext": _grid_encoder}
    for role, make in makers.items():
        try:
            found.append(make(pack.load(role), pixels))
        except PackError as lacking:
            missing[role] = str(lacking)
    return found, missing


def _grid_encoder(model: Any, pixels: Tensor) -> Looker:
    """What a branch sees grids by, weaving and all: latents by its vision encoder, or pixels by its hint encoder."""
    kind, control = "convolution" if model.config.control == "controlnet" else "VMamba", model.control
    (seen,) = conditions(model.config, pixels, lambda: by_quadrant(model.autoencoder.encode, pixels))
    woven = ", woven" if model.config.weave else ""
    return Looker(f"{kind}{woven}, incontext", True, _at(control, control.look), seen)


def _query_encoder(model: Any, pixels: Tensor) -> Looker:
    query = model.control.query
    return Looker("convolution, prompt_diffusion", True, _at(query, query), quadrants(pixels).in1, MIDDLE)


def _picture_half(clip: Any, pixels: Tensor) -> Looker:
    tower = clip.model.vision_model
    side = clip.model.config.vision_config.image_size
    picture = quadrants(pixels).in1
    small = F.interpolate(picture, (side, side), mode="bicubic", antialias=True, align_corners=False)

    def encode(x: Tensor) -> Tensor:
        tokens = tower(pixel_values=x.to(clip.model.device)).last_hidden_state[:, 1:]  # without the class token
        cells = round(tokens.shape[1] ** 0.5)
        return tokens.transpose(1, 2).unflatten(2, (cells, cells))

    return Looker("ViT, clip", True, encode, small, MIDDLE)


def _at(net: nn.Module, encode: Encode) -> Encode:
    """What a part of a net encodes, on the net's own device."""
    return lambda x: encode(x.to(next(net.parameters()).device))


def measure(pack: Any, output: Path, n: int = 24, seed: int = 0, watch: Watch = unwatched) -> dict[str, Any]:
    """The fields over n visual prompts as erf.png, and the area that holds half and nine tenths of each as erf.json.

    Raises: PackError when the pack has no text_to_image, whose autoencoder makes the latents.
    """
    pixels = prompts(n, seed)
    found, missing = trained(pack, pixels)
    lookers = [*fresh(by_quadrant(pack.text_to_image.autoencoder.encode, pixels)), *found]
    rows, fields = [], []
    for number, one in enumerate(lookers):
        watch(one.label, number, len(lookers))
        field = receptive_field(one.encode, one.inputs, torch.Generator().manual_seed(seed), one.asked)
        fields.append(field)
        shares = {f"area that holds {held:.0%}": area_share(field, held) for held in HELD}
        rows.append({"encoder": one.label, "trained": one.trained, "input": list(one.inputs.shape[1:]),
                     "asked at": one.asked, **shares, "area reached": reached(field)})  # fmt: skip
    report = {"pack": pack.name, "pack hash": pack.hash, "n": n, "seed": seed, "rows": rows, "not measured": missing}
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / "erf.json", json.dumps(report, indent=1) + "\n")
    save_picture(output / "erf.png", figure(rows, fields))
    return report


def markdown(report: dict[str, Any]) -> str:
    """The rows as a table; shares of the input's area."""
    heads = ("area that holds 50%", "area that holds 90%", "area reached")
    lines = [f"| encoder | weights | {' | '.join(heads)} |", f"|{'---|' * 5}"]
    for row in report["rows"]:
        shares = " | ".join(f"{row[head]:.1%}" for head in heads)
        lines.append(f"| {row['encoder']} | {'trained' if row['trained'] else 'fresh'} | {shares} |")
    return "\n".join(lines)


def figure(rows: Sequence[dict[str, Any]], fields: Sequence[np.ndarray]) -> Image.Image:
    """The fields side by side, three in a row, each by its own largest gradient, on a scale of logarithms to FLOOR."""
    columns, high = 3, SIDE + 44
    canvas = Image.new("RGB", (columns * (SIDE + 12) + 12, -(-len(fields) // columns) * high + 12), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for number, (row, field) in enumerate(zip(rows, fields, strict=True)):
        x, y = 12 + number % columns * (SIDE + 12), 12 + number // columns * high
        canvas.paste(coloured(field).resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y))
        weights = "trained" if row["trained"] else "fresh weights"
        shares = ", ".join(f"{held:.0%} in {row[f'area that holds {held:.0%}']:.1%}" for held in HELD)
        draw.text((x, y + SIDE + 3), f"{row['encoder']} ({weights})", "black", font)
        draw.text((x, y + SIDE + 18), f"{shares} of the area", "#666666", font)
    return canvas


def coloured(field: np.ndarray) -> Image.Image:
    """A field (h, w) from black (FLOOR of the largest gradient and less) over red to pale yellow (the largest)."""
    level = np.log10(np.maximum(field / max(float(field.max()), 1e-30), FLOOR)) / -np.log10(FLOOR) + 1
    stops = (0.0, 0.35, 0.7, 1.0)
    ramp = ((0, 0, 0), (120, 20, 80), (240, 110, 30), (255, 250, 190))
    pixels = np.stack([np.interp(level, stops, [colour[i] for colour in ramp]) for i in range(3)], axis=-1)
    return Image.fromarray(pixels.round().astype(np.uint8))
