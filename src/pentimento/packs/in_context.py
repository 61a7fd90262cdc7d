"""Control branches beside a frozen latent diffusion model, as `roles.InContext` (roles incontext, prompt_diffusion).

A branch's folder holds config.json, which says how it is built, and the weights of the branch alone. Nobody has
published any: the recipes `instructgie` and `prompt_diffusion` write such folders, for any model to stand beside.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..diffusion.attention import Kept
from ..diffusion.control import RCLDM, Residuals, controlled
from ..diffusion.grids import by_quadrant, quadrants
from ..diffusion.guidance import Denoise
from ..diffusion.objectives import eps_of_v
from ..diffusion.prompt_control import ControlNet, PromptControl
from ..diffusion.vmamba import Shape
from ..errors import PackError
from .diffusion import LatentAutoencoder, LatentDiffusion, load_latent_diffusion
from .placement import Placement


class ControlConfig(BaseModel):
    """How a branch is built: a control folder's config.json.

    `size` is the side of one picture of a grid, in pixels. `prefix` stands before every text but the empty one: words
    by which the frozen model was taught to paint grids, if it was. `weave` says whether a branch that sees a grid has
    the cells of its four pictures side by side. The rest is `vmamba.Shape` and the number of blocks of the vision
    encoder, and concerns the reformed branch ("rcldm") alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    control: Literal["rcldm", "controlnet", "prompt_diffusion"]
    size: int = Field(ge=8)
    prefix: str = ""
    weave: bool = False
    states: int = Field(16, ge=1)
    ratio: float = Field(2.0, gt=0)
    gate: bool = True
    blocks: int = Field(2, ge=1)

    @property
    def canvas(self) -> int:
        return 1 if self.control == "prompt_diffusion" else 2


def build_control(config: ControlConfig, base: LatentDiffusion) -> nn.Module:
    """A new branch beside the model's U-Net, on the U-Net's device."""
    factor, channels = base.autoencoder.factor, base.autoencoder.latent_channels
    match config.control:
        case "rcldm":
            shape = Shape(config.states, config.ratio, config.gate)
            return RCLDM(base.unet, channels, shape, config.blocks, config.weave).to(base.placement.device)
        case "controlnet":
            return ControlNet(base.unet, factor, config.weave).to(base.placement.device)
        case "prompt_diffusion":
            return PromptControl(base.unet, factor).to(base.placement.device)


def conditions(config: ControlConfig, pixels: Tensor, latents: Callable[[], Tensor]) -> tuple[Tensor, ...]:
    """What the branch sees of visual prompts: their pixels (b, 3, 2 size, 2 size) in [-1, 1], or their latents."""
    match config.control:
        case "rcldm":
            return (latents(),)
        case "controlnet":
            return (pixels,)
        case "prompt_diffusion":
            parts = quadrants(pixels)
            return parts.in0, parts.out0, parts.in1


def predicted(base: LatentDiffusion, x: Tensor, t: Tensor, text: Tensor, added: Residuals) -> Tensor:
    """eps for x (b, c, h, w) at timesteps t (b,), all on the model's device, with what a branch adds to the model."""
    out = controlled(base.unet, x, t, text, added).float()
    return out if base.prediction == "epsilon" else eps_of_v(out, x, t, base.alphas_cumprod)


@dataclass(frozen=True, eq=False)
class PromptedDiffusion:
    """A latent diffusion model and a branch beside it, as `roles.InContext`."""

    base: LatentDiffusion
    control: Any
    config: ControlConfig

    @property
    def autoencoder(self) -> LatentAutoencoder:
        return self.base.autoencoder

    @property
    def alphas_cumprod(self) -> Tensor:
        return self.base.alphas_cumprod

    @property
    def size(self) -> int:
        return self.config.size

    @property
    def canvas(self) -> int:
        return self.config.canvas

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Token states, (b, tokens, d), of the texts with the prefix; the empty one has none."""
        return self.base.encode_text([f"{self.config.prefix}{text}" if text else "" for text in texts])

    def prompted(self, prompt: Tensor) -> Denoise:
        """eps beside visual prompts (b, 3, 2 size, 2 size) in [-1, 1]; each of a grid's pictures is encoded by itself.

        The branch looks at them here, once, and not at every step.
        Raises: PackError for prompts of another size.
        """
        side = 2 * self.size
        if tuple(prompt.shape[-2:]) != (side, side):
            raise PackError(f"a visual prompt of {tuple(prompt.shape[-2:])} pixels: this model takes {side}x{side}")
        device = self.base.placement.device
        seen = conditions(self.config, prompt, partial(by_quadrant, self.autoencoder.encode, prompt))
        with self.base.placement.autocast():
            hint = self.control.look(*(part.to(device) for part in seen))

        def denoise(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            given = x.to(device), t.to(device), text.to(device)
            with self.base.placement.autocast():
                added = self.control.beside(*given, hint.repeat(len(x) // len(hint), 1, 1, 1))
                eps = predicted(self.base, *given, added)
            return eps.to(x.device)

        return denoise

    @contextmanager
    def same_texts(self) -> Iterator[None]:
        """Keys and values of the last texts stay in the U-Net and in the branch while it lasts."""
        with Kept(self.base.unet), Kept(self.control.encoder):
            yield


def save_control(control: nn.Module, config: ControlConfig, folder: Path) -> None:
    """Write a branch into a new folder, as `load_prompted` reads it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in control.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def read_config(folder: Path) -> ControlConfig:
    """How the branch in a folder is built. Raises: PackError when config.json says nothing that can be built."""
    try:
        return ControlConfig.model_validate_json((folder / "config.json").read_bytes())
    except (OSError, ValidationError) as error:
        line = str(error).splitlines()[0]
        raise PackError(f"{folder} holds no control branch ({line}): copy or train it again") from error


def load_prompted(
    folders: dict[str, Path], placement: Placement, shared: Callable[[str, Path, Callable[[], Any]], Any]
) -> PromptedDiffusion:
    """Load a latent diffusion model (see `load_latent_diffusion`) and the branch in `folders["control"]`.

    Raises: PackError when config.json says nothing that can be built, or the weights are of another branch.
    """
    folder = folders["control"]
    config = read_config(folder)
    base = load_latent_diffusion(folders, placement, shared)
    control = build_control(config, base)
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    wanted = {name: tensor.shape for name, tensor in control.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise PackError(f"{folder} holds the weights of another branch, or of one beside another U-Net: train it again")
    control.load_state_dict({name: tensor.to(torch.float32) for name, tensor in weights.items()})
    return PromptedDiffusion(base, control.eval().requires_grad_(False), config)
