"""Stable Diffusion's component folders as `roles.Diffusion`.

Tensors come back in fp32 on the device that they came from, so that nobody outside needs to know where models run.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..diffusion.attention import Kept
from ..diffusion.objectives import eps_of_v
from ..errors import PackError
from ..values import Word
from .placement import Placement

Prediction = Literal["epsilon", "v_prediction"]
END_OF_WORD = "</w>"
"""What byte-pair tokenizers of the CLIP family write behind a word's last token."""


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
        return self.decode_pixels(latents).clamp(-1, 1)

    def decode_pixels(self, latents: Tensor) -> Tensor:
        """As `decode`, not clamped, and with gradients where they are on."""
        with self.placement.autocast():
            scaled = latents.to(self.placement.device) / self.scaling_factor
            pictures = self.vae.decode(scaled).sample
        return pictures.float().to(latents.device)


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
    prediction: Prediction = "epsilon"

    @property
    def arithmetic(self) -> str:
        """That of the placement."""
        return self.placement.arithmetic

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

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a text by the tokenizer's own marks of where one ends; place 0 is the beginning of the text."""
        ids = self.tokenizer(text, truncation=True, max_length=self.tokenizer.model_max_length).input_ids
        words: list[Word] = []
        start, letters = 1, ""
        for place, token in enumerate(self.tokenizer.convert_ids_to_tokens(ids[1:-1]), start=1):
            letters += token.removesuffix(END_OF_WORD)
            if token.endswith(END_OF_WORD) or place == len(ids) - 2:
                words.append(Word(letters, start, place + 1))
                start, letters = place + 1, ""
        return tuple(words)

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, without beginning, end and padding; it may be too long to encode."""
        return len(self.tokenizer(text, verbose=False).input_ids) - 2

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 of the U-Net's and the text encoder's weights, as a sealed pack holds them."""
        digest = hashlib.sha256()
        for network in (self.unet, self.text_encoder):
            for name, weight in sorted(network.state_dict().items()):
                digest.update(name.encode())
                digest.update(weight.detach().cpu().half().numpy().tobytes())
        return digest.hexdigest()

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """eps for x (b, channels, h, w) at timesteps t (b,), text (b, tokens, d); with gradients where they are on."""
        device = self.placement.device
        with self.placement.autocast():
            out = self.unet(x.to(device), t.to(device), encoder_hidden_states=text.to(device)).sample
        out = out.float().to(x.device)
        return out if self.prediction == "epsilon" else eps_of_v(out, x[:, : out.shape[1]], t, self.alphas_cumprod)

    def same_texts(self) -> AbstractContextManager[Any]:
        """Keys and values of the last texts stay in the U-Net's cross-attention layers while it lasts."""
        return Kept(self.unet)


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
        prediction=prediction_of(folders["scheduler"]),
    )  # fmt: skip


def ready(
    kind: Any,
    folder: Path,
    placement: Placement,
    dtype: torch.dtype = torch.float32,
    unused: str | None = None,
    **options: Any,
) -> Any:
    """`kind.from_pretrained(folder)` from safetensors alone, kept in `dtype`, frozen, on the device.

    Files under their fp16 name are taken where there are no others, as in the published inpainting model. Weights with
    `unused` in their name may be missing: the model has them and does not use them.
    Raises: PackError when a weight is missing, which the libraries would fill with random numbers.
    """
    names = [path.name for path in folder.glob("*.safetensors")]
    loaded, info = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, dtype=dtype, output_loading_info=True,
        variant="fp16" if names and all(".fp16" in name for name in names) else None, **options,
    )  # fmt: skip
    missing = [name for name in info["missing_keys"] if unused is None or unused not in name]
    if missing:
        raise PackError(f"{folder} lacks the weights of {min(missing)}: copy or train the pack again")
    return loaded.to(placement.device).eval().requires_grad_(False)


def alphas_cumprod(folder: Path) -> Tensor:
    """The training noise schedule of a diffusers scheduler folder, (T,): trained_betas, or the named schedule.

    Raises: PackError when the file is missing.
    """
    from diffusers import DDIMScheduler

    config = _scheduler(folder)
    known = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
    fields = {name: config[name] for name in (*known, "rescale_betas_zero_snr") if name in config}
    return DDIMScheduler(**fields).alphas_cumprod.float()


def prediction_of(folder: Path) -> Prediction:
    """What a U-Net with this scheduler was trained to predict: the noise, or the velocity.

    Raises: PackError when the file is missing, or asks for something else.
    """
    prediction: Any = _scheduler(folder).get("prediction_type", "epsilon")
    if prediction not in get_args(Prediction):
        known = ", ".join(get_args(Prediction))
        raise PackError(f"{folder} asks for prediction_type {prediction!r}: only {known} are supported")
    return prediction


def _scheduler(folder: Path) -> dict[str, Any]:
    path = folder / "scheduler_config.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise PackError(f"{path} is no scheduler ({error}): copy or train the pack again") from error
