"""Pictures and texts in one space: transformers' CLIP, or its dual encoder with a ResNet, behind `roles.Clip`.

Pictures are prepared here, without an image processor, so that nothing depends on torchvision.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..errors import PackError
from .store import digest

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's CLIP


DUAL = "vision-text-dual-encoder"
"""What transformers calls a model of two towers that are no CLIP's."""


@dataclass(frozen=True)
class ClipEmbedder:
    """Fulfils `roles.Clip`: the model, its CLIPTokenizer and the pixel statistics that it was trained with."""

    model: Any
    tokenizer: Any
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    @cached_property
    def fingerprint(self) -> str:
        """A short sha256 of its weights."""
        return digest(self.model, buffers=True)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Embeddings of pictures, (b, d): short side to the model's size, then the middle square."""
        vision = self.model.config.vision_config
        if not images:
            return torch.zeros(0, self.model.config.projection_dim)
        pixels = torch.stack([square(image, vision.image_size) for image in images])
        return self._embedded(pixels.to(self.model.device)).cpu()

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Embeddings (b, d) of pictures (b, 3, h, w) around [-1, 1], with gradients, on the pictures' own device.

        As `embed_images`, but never rounded or clamped; where the middle square has an odd margin it lies half a pixel
        beside the other's.
        """
        small = square_of_pixels(
            pixels.to(self.model.device, torch.float32), self.model.config.vision_config.image_size
        )
        return self._embedded((small + 1) / 2).to(pixels.device)

    def _embedded(self, pixels: Tensor) -> Tensor:
        """Of pixels (b, 3, side, side) around [0, 1], on the model's device."""
        mean, std = (torch.tensor(numbers).view(3, 1, 1).to(pixels) for numbers in (self.mean, self.std))
        out = self.model.get_image_features(pixel_values=((pixels - mean) / std).to(self.model.dtype))
        return F.normalize(out.pooler_output.float(), dim=-1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, (b, d); what does not fit the text encoder is cut off."""
        if not texts:
            return torch.zeros(0, self.model.config.projection_dim)
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt",
            max_length=self.model.config.text_config.max_position_embeddings,
        ).to(self.model.device)  # fmt: skip
        out = self.model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return F.normalize(out.pooler_output.float(), dim=-1).cpu()

    def embed_states(self, states: Tensor) -> Tensor:
        """Embeddings (b, d) of the mean of token states (b, tokens, width), with gradients, as Visii's code reads an
        instruction; the states must be those of this model's text encoder, or the projection means nothing."""
        mean = states.to(self.model.device, self.model.dtype).mean(1)
        return F.normalize(self.model.text_projection(mean).float(), dim=-1).to(states.device)


def square(image: Image.Image, side: int) -> Tensor:
    """The middle square of a picture, (3, side, side) in [0, 1]."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    small = image.convert("RGB").resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + edge, top + edge)
    )
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() / 255


def square_of_pixels(pixels: Tensor, side: int) -> Tensor:
    """The middle squares of pictures (b, 3, h, w), (b, 3, side, side), as `square` makes them but with gradients."""
    height, width = pixels.shape[-2:]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    middle = pixels[..., top : top + edge, left : left + edge]
    return F.interpolate(middle, (side, side), mode="bicubic", align_corners=False, antialias=True)


def load(folder: Path) -> ClipEmbedder:
    """A CLIP from a folder in the hub's layout: model, tokenizer, and preprocessor_config.json when it has one.

    Raises: PackError when the folder does not hold them, when a weight is missing, or when the end token that the text
    encoder pools at is not the tokenizer's.
    """
    from transformers import CLIPModel, CLIPTokenizer, VisionTextDualEncoderModel

    folder = Path(folder)
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        model, info = (VisionTextDualEncoderModel if kind == DUAL else CLIPModel).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise PackError(
            f"{folder} holds no CLIP ({str(error).splitlines()[0]}); name a folder in the hub's layout"
        ) from error
    if info["missing_keys"]:
        raise PackError(f"{folder} lacks the weights of {min(info['missing_keys'])}: copy or train the pack again")
    # The value 2 of old configs means "pool at the highest token number", which is the end token there.
    pooled = model.config.text_config.eos_token_id
    if pooled != 2 and pooled != tokenizer.eos_token_id:
        raise PackError(f"{folder}: text_config.eos_token_id is {pooled}, the tokenizer's is {tokenizer.eos_token_id}")
    statistics: dict[str, Any] = {}
    if (folder / "preprocessor_config.json").exists():
        statistics = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    mean, std = tuple(statistics.get("image_mean", MEAN)), tuple(statistics.get("image_std", STD))
    return ClipEmbedder(flattened(model).eval().requires_grad_(False), tokenizer, mean, std)


class Moments(nn.Module):
    """States (b, c, h, w) to (b, 3 c): their mean, and their means weighted by how far right and how far down they
    stand, -REACH to REACH. A mean alone is the same whichever of two things is on the left."""

    REACH = 4.0  # what stands left and right mostly cancels out: this makes the three about equally large

    def forward(self, states: Tensor) -> Tensor:
        down, right = (
            torch.linspace(-self.REACH, self.REACH, n, device=states.device, dtype=states.dtype)
            for n in states.shape[-2:]
        )
        moments = states, states * right, states * down[:, None]
        return torch.cat([moment.mean((-2, -1)) for moment in moments], dim=1)


def flattened(model: Any) -> Any:
    """The model with a ResNet's pooled state as its projection takes it: (b, channels), not (b, channels, 1, 1), or
    (b, 3 channels) with its `Moments` when the configuration's `hidden_size` says so."""
    from transformers import ResNetModel

    if isinstance(model.vision_model, ResNetModel):
        config = model.vision_model.config
        plain = config.hidden_size == config.hidden_sizes[-1]
        model.vision_model.pooler = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if plain else Moments()
    return model
