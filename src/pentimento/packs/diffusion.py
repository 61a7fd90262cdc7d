"""Stable Diffusion's component folders as `roles.Diffusion`.

Tensors come back in fp32 on the device that they came from, so that nobody outside needs to know where models run.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PackError
from .placement import Placement


@dataclass(frozen=True, eq=False)
class LatentAutoencoder:
    """diffusers' AutoencoderKL as `roles.Autoencoder`. Encodes to the mean, scaled; decodes clamped to [-1, 1]."""

    vae: nn.Module
    placement: Placement
    factor: int
    latent_channels: int
    scaling_factor: float

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (b, 3, h, w) in [-1, 1] to latents (b, c, h / factor, w / factor)."""
        with self.placement.autocast():
            mean = self.vae.encode(pictures.to(self.placement.device)).latent_dist.mean
        return mean.float().to(pictures.device) * self.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (b, c, h, w) to pictures (b, 3, h * factor, w * factor) in [-1, 1]."""
        with self.placement.autocast():
            scaled = latents.to(self.placement.device) / self.scaling_factor
            pictures = self.vae.decode(scaled).sample
        return pictures.float().clamp(-1, 1).to(latents.device)


@dataclass(frozen=True, eq=False)
class LatentDiffusion:
    """A U-Net with its text encoder and autoencoder, as `roles.Diffusion`."""

    autoencoder: LatentAutoencoder
    unet: nn.Module
    text_encoder: nn.Module
    tokenizer: Any
    alphas_cumprod: Tensor
    size: int
    placement: Placement

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """The last hidden states, (b, tokens, d), padded to the tokenizer's length, where longer texts are cut."""
        ids = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids.to(self.placement.device)  # fmt: skip
        with self.placement.autocast():
            states = self.text_encoder(ids).last_hidden_state
        return states.float().cpu()

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """eps for x (b, channels, h, w) at timesteps t (b,), text (b, tokens, d); with gradients where they are on."""
        device = self.placement.device
        with self.placement.autocast():
            eps = self.unet(x.to(device), t.to(device), encoder_hidden_states=text.to(device)).sample
        return eps.float().to(x.device)


def load_latent_diffusion(
    folders: dict[str, Path], placement: Placement, shared: Callable[[str, Path, Callable[[], Any]], Any]
) -> LatentDiffusion:
    """Load vae, text_encoder, tokenizer, unet and scheduler; `shared(class, folder, load)` loads each folder once.

    Raises: PackError when a component does not load, or predicts something other than eps.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    def model(name: str, kind: Any) -> Any:
        return shared(kind.__name__, folders[name], lambda: ready(kind, folders[name], placement))

    vae, unet = model("vae", AutoencoderKL), model("unet", UNet2DConditionModel)
    tokenizer = shared(
        "CLIPTokenizer", folders["tokenizer"],
        lambda: CLIPTokenizer.from_pretrained(folders["tokenizer"], local_files_only=True),
    )  # fmt: skip
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    return LatentDiffusion(
        autoencoder=shared(
            "autoencoder", folders["vae"],
            lambda: LatentAutoencoder(
                vae, placement, factor, vae.config.latent_channels, vae.config.scaling_factor
            ),
        ),
        unet=unet,
        text_encoder=model("text_encoder", CLIPTextModel),
        tokenizer=tokenizer,
        alphas_cumprod=alphas_cumprod(folders["scheduler"]),
        size=unet.config.sample_size * factor,
        placement=placement,
    )  # fmt: skip


def ready(kind: Any, folder: Path, placement: Placement) -> Any:
    """`kind.from_pretrained(folder)` from safetensors alone, in fp32, frozen, on the device.

    Raises: PackError when a weight is missing, which the libraries would fill with random numbers.
    """
    loaded, info = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
    )
    if info["missing_keys"]:
        raise PackError(f"{folder} lacks the weights of {min(info['missing_keys'])}: copy or train the pack again")
    return loaded.to(placement.device).eval().requires_grad_(False)


def alphas_cumprod(folder: Path) -> Tensor:
    """The training noise schedule of a diffusers scheduler folder, (T,): trained_betas, or the named schedule.

    Raises: PackError when the file is missing, or when the model was trained to predict something other than eps.
    """
    from diffusers import DDIMScheduler

    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PackError(f"{path} is no scheduler ({error}): copy or train the pack again") from error
    if config.get("prediction_type", "epsilon") != "epsilon":
        raise PackError(f"{path} asks for prediction_type {config['prediction_type']!r}: only epsilon is supported")
    known = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
    fields = {name: config[name] for name in (*known, "rescale_betas_zero_snr") if name in config}
    return DDIMScheduler(**fields).alphas_cumprod.float()
