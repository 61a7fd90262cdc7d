"""The toy pack: random weights built in memory in under a second, for plumbing and properties, never for looks.

Real small networks (AutoencoderKL with f = 8, UNet2DConditionModel), a segmenter that always finds the centre, a
planner of one rule, a captioner of two answers. Every part that a test may want to replace is a field.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from pentimento.diffusion.attention import Kept, cross_attentions
from pentimento.diffusion.grids import by_quadrant, quadrants
from pentimento.diffusion.schedule import scaled_linear_alphas_cumprod
from pentimento.errors import NothingFound, PackError, PlanError
from pentimento.values import Box, Found, Learned, Plan, Word

SIZE, FACTOR, CHANNELS, TOKENS, WIDTH = 64, 8, 4, 6, 16


def autoencoder_network(seed: int = 0) -> AutoencoderKL:
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=CHANNELS,
        norm_num_groups=4,
        scaling_factor=0.5,
        mid_block_add_attention=False,
    ).eval()


def denoiser_network(in_channels: int = CHANNELS, seed: int = 1) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=SIZE // FACTOR,
        in_channels=in_channels,
        out_channels=CHANNELS,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    ).eval()


@dataclass(frozen=True)
class ToyAutoencoder:
    network: AutoencoderKL = field(default_factory=autoencoder_network)
    factor: int = FACTOR
    latent_channels: int = CHANNELS
    scaling_factor: float = 0.5

    def encode(self, pictures: Tensor) -> Tensor:
        return self.network.encode(pictures).latent_dist.mode() * self.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        return self.decode_pixels(latents).clamp(-1, 1)

    def decode_pixels(self, latents: Tensor) -> Tensor:
        return self.network.decode(latents / self.scaling_factor).sample


@dataclass(frozen=True)
class Listening(ToyAutoencoder):
    """Keeps the latents that it was given to decode."""

    heard: list[Tensor] = field(default_factory=list)

    def decode(self, latents: Tensor) -> Tensor:
        self.heard.append(latents)
        return super().decode(latents)


@dataclass(frozen=True, eq=False)
class ToyDiffusion:
    """`calls` counts the rows that the network was asked for: the cost of an edit. A text has `tokens`."""

    tokens: ClassVar[int] = TOKENS

    unet: UNet2DConditionModel = field(default_factory=denoiser_network)
    autoencoder: Any = field(default_factory=ToyAutoencoder)
    size: int = SIZE
    alphas_cumprod: Tensor = field(default_factory=scaled_linear_alphas_cumprod)
    calls: list[int] = field(default_factory=list)
    fingerprint: str = "toy"
    arithmetic: str = "fp32"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        states = [
            torch.randn(
                self.tokens, WIDTH, generator=torch.Generator().manual_seed(sum(text.encode()) + 1000 * len(text))
            )
            for text in texts
        ]
        return torch.stack(states)

    def words(self, text: str) -> tuple[Word, ...]:
        return tuple(
            Word(word, place, place + 1) for place, word in enumerate(text.split()[: self.tokens - 2], start=1)
        )

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        self.calls.append(len(x))
        return self.unet(x, t, encoder_hidden_states=text).sample

    def same_texts(self) -> AbstractContextManager[Any]:
        return Kept(self.unet)


@dataclass(frozen=True)
class Asked:
    """One call of a denoiser: its latents (b, c, h, w), timesteps (b,) and text states (b, tokens, d)."""

    x: Tensor
    t: Tensor
    text: Tensor


@dataclass(frozen=True, eq=False)
class Recording(ToyDiffusion):
    """Keeps what it was asked, in order, and what it was given to decode."""

    asked: list[Asked] = field(default_factory=list)
    autoencoder: Any = field(default_factory=Listening)

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        self.asked.append(Asked(x, t, text))
        return super().denoise(x, t, text)


class Wordy(ToyDiffusion):
    """Reads longer texts: there is room for words behind a learned instruction."""

    tokens: ClassVar[int] = 12


@dataclass(frozen=True, eq=False)
class ToyInContext:
    """A model that adds what it sees of a visual prompt to its noisy latents; `prompts` are those that it was shown."""

    canvas: int = 2
    unet: UNet2DConditionModel = field(default_factory=lambda: denoiser_network(seed=4))
    autoencoder: Any = field(default_factory=ToyAutoencoder)
    size: int = SIZE
    alphas_cumprod: Tensor = field(default_factory=scaled_linear_alphas_cumprod)
    prompts: list[Tensor] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        self.texts.extend(texts)
        return ToyDiffusion(self.unet).encode_text(texts)

    def prompted(self, prompt: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        self.prompts.append(prompt)
        grid = by_quadrant(self.autoencoder.encode, prompt)
        parts = quadrants(grid)
        seen = grid if self.canvas == 2 else parts.in1 + parts.out0 - parts.in0
        return lambda x, t, text: self.unet(x + 0.3 * seen, t, encoder_hidden_states=text).sample

    def same_texts(self) -> AbstractContextManager[Any]:
        return Kept(self.unet)


class ToySegmenter:
    """Finds the middle half of the picture whatever it is asked for, except "unicorn"."""

    def find(self, image: Image.Image, phrases: Sequence[str], which: str | Sequence[str] = "best") -> Found:
        if "unicorn" in phrases:
            raise NothingFound("unicorn", best_score=0.1, threshold=0.3)
        width, height = image.size
        box = Box(width // 4, height // 4, width - width // 4, height - height // 4, phrase=phrases[0])
        mask = np.zeros((height, width), dtype=bool)
        mask[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = True
        return Found(mask, (box,))


class ToyPlanner:
    """Understands "Change the X to a Y", several joined by "; ", and "it" when a description names the X."""

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        return tuple(self._one(part, description) for part in instruction.split("; "))

    def _one(self, instruction: str, description: str) -> Plan:
        matched = re.fullmatch(r"Change (?:the )?(.+) to an? (.+)", instruction)
        if matched is None:
            raise PlanError(f"{instruction!r} is not understood: say 'Change the X to a Y'")
        x, y = matched.groups()
        if x == "it":
            if not description:
                raise PlanError("'it' is unclear: describe the picture")
            x = description.split()[-1]
        return Plan(
            find=(x,), before=f"photo of a {x}", after=f"photo of a {y}", kind="replace", description=description
        )


class ToyCaptioner:
    def ask(self, image: Image.Image, prompt: str) -> str:
        return "photo." if prompt.endswith("?") else f"{prompt} a dog."


@dataclass(frozen=True, eq=False)
class ToyPack:
    """A pack whose parts are fields; `missing` names roles that it does not have."""

    name: str = "toy"
    hash: str = "0" * 64
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    phrases: tuple[str, ...] = ()
    segmenter: Any = field(default_factory=ToySegmenter)
    planner: Any = field(default_factory=ToyPlanner)
    _captioner: Callable[[], Any] = ToyCaptioner
    missing: tuple[str, ...] = ()

    def hash_of(self, *roles: str) -> str:
        return self.hash

    @cached_property
    def text_to_image(self) -> ToyDiffusion:
        return ToyDiffusion()

    @cached_property
    def instruct(self) -> ToyDiffusion:
        return Wordy(denoiser_network(in_channels=2 * CHANNELS, seed=2))

    @cached_property
    def inpaint(self) -> ToyDiffusion:
        return ToyDiffusion(denoiser_network(in_channels=2 * CHANNELS + 1, seed=3))

    @cached_property
    def incontext(self) -> ToyInContext:
        return ToyInContext()

    @cached_property
    def prompt_diffusion(self) -> ToyInContext:
        return ToyInContext(canvas=1)

    @cached_property
    def instruct_in_context(self) -> ToyDiffusion:
        return ToyDiffusion(denoiser_network(in_channels=2 * CHANNELS, seed=5))

    @property
    def chat(self) -> Any:
        raise PackError("the pack toy has no language model that writes")

    @property
    def captioner(self) -> Any:
        if "captioner" in self.missing:
            raise PackError("the pack toy has no captioner")
        return self._captioner()


def pack_with(role: str, model: Any, **parts: Any) -> ToyPack:
    """A toy pack with this model in the role."""
    pack = ToyPack(**parts)
    pack.__dict__[role] = model  # where cached_property keeps it
    return pack


def toy_picture(width: int = SIZE, height: int = SIZE, seed: int = 0) -> Image.Image:
    """A smooth colourful picture: noise at a quarter of the size, scaled up."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(height // 4, 2), max(width // 4, 2), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def toy_learned(method: str = "instructbrush", words: str = "make it snow", seed: int = 0) -> Learned:
    """An instruction as if it had been learned with the toy pack: random numbers in the right places."""
    rng = np.random.default_rng(seed)
    about = {"guidance": 7.5, "image_guidance": 1.5, "image_latents": "scaled"}

    def numbers(parts: int, width: int) -> np.ndarray:
        return rng.normal(size=(parts, 3, width)).astype(np.float32)

    if method == "visii":
        return Learned(method, "text", words, (), (numbers(1, WIDTH),), "toy", about)
    widths = [layer.to_k.out_features for layer in cross_attentions(denoiser_network(2 * CHANNELS, seed=2)).values()]
    keys, values = (tuple(numbers(5, width) for width in widths) for _ in range(2))
    return Learned(method, "attention", words, keys, values, "toy", about)


def toy_mask(width: int = SIZE, height: int = SIZE) -> np.ndarray:
    """A mask of the middle half, bool (h, w)."""
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return mask
