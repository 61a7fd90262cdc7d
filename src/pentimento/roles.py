"""What editors ask of a pack, as Protocols: editors know these and no pack; packs fulfil them and know no editor."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image
from torch import Tensor, nn

from .values import Box, Found, Plan, Segment, Word


@runtime_checkable
class Autoencoder(Protocol):
    """Pictures to latents and back. Pictures are (b, 3, h, w) in [-1, 1], h and w multiples of `factor`.

    `scaling_factor` is what latents were multiplied by to have a standard deviation of about 1.
    """

    factor: int
    latent_channels: int
    scaling_factor: float

    def encode(self, pictures: Tensor) -> Tensor:
        """The mean latents times the scaling factor, (b, c, h / factor, w / factor)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures in [-1, 1], clamped."""
        ...

    def decode_pixels(self, latents: Tensor) -> Tensor:
        """Pictures around [-1, 1]; with gradients where they are on, nothing clamped."""
        ...


@runtime_checkable
class Diffusion(Protocol):
    """A latent diffusion model with its autoencoder and text encoder (roles text_to_image, instruct, inpaint).

    `size` is the native picture side in pixels. `alphas_cumprod` (T,) is the training noise schedule. `unet` is the
    network itself, for what is put into its layers; `fingerprint` names its weights and the text encoder's.
    `arithmetic` is the one that it computes in: "fp32", "bf16" or "fp16".
    """

    autoencoder: Autoencoder
    size: int
    alphas_cumprod: Tensor
    unet: nn.Module

    @property
    def fingerprint(self) -> str: ...
    @property
    def arithmetic(self) -> str: ...

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, without its beginning, its end and the padding."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Token states, (b, tokens, d). The empty string is the null text."""
        ...

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a text and where their tokens stand in `encode_text`'s states; what is cut off is left out."""
        ...

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """eps predicted for x (b, channels, h, w) at integer timesteps t (b,), given token states."""
        ...

    def same_texts(self) -> AbstractContextManager[Any]:
        """A context for asking about the same few texts again and again: quicker, and the same to the last bit."""
        ...


@runtime_checkable
class InContext(Protocol):
    """A latent diffusion model that sees an example of an edit beside the picture (roles incontext, prompt_diffusion).

    `size` is the side of one picture in pixels. `canvas` is how many pictures stand side by side in what it paints: 2
    for the whole grid {before, after / picture, answer}, 1 for the answer alone.
    """

    autoencoder: Autoencoder
    size: int
    canvas: int
    alphas_cumprod: Tensor

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Token states, (b, tokens, d). The empty string is the null text."""
        ...

    def prompted(self, prompt: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """`Diffusion.denoise` beside visual prompts, pixels (b, 3, 2 size, 2 size) in [-1, 1] with a grey answer.

        x is (n b, c, h, w), h and w those of the canvas; its rows stand in the prompts' order, n times over. What it
        gives has gradients where they are on.
        """
        ...

    def same_texts(self) -> AbstractContextManager[Any]:
        """A context for asking about the same few texts again and again, as `Diffusion.same_texts`."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Phrases to boxes, best first (InstructEdit Sec. 3.3). All boxes at or above `threshold`."""

    def detect(self, image: Image.Image, phrases: Sequence[str], threshold: float) -> tuple[Box, ...]: ...

    def best_score(self, image: Image.Image, phrase: str) -> float:
        """The highest score of any box, found or not; for the message of `NothingFound`."""
        ...


@runtime_checkable
class BoxSegmenter(Protocol):
    """Boxes to masks, one each: bool (n, h, w) of the picture's size."""

    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> np.ndarray: ...


@runtime_checkable
class Segmenter(Protocol):
    """Phrases and a choice to one mask; raises `NothingFound`."""

    def find(self, image: Image.Image, phrases: Sequence[str], which: str | Sequence[str] = "best") -> Found: ...


@runtime_checkable
class Panoptic(Protocol):
    """A picture to its segments, which do not overlap and need not cover it, most certain first."""

    def segments(self, image: Image.Image) -> tuple[Segment, ...]: ...


@runtime_checkable
class Captioner(Protocol):
    """Answers a question about a picture, or completes a sentence that describes it (InstructEdit Sec. 3.2)."""

    def ask(self, image: Image.Image, prompt: str) -> str: ...


@runtime_checkable
class Planner(Protocol):
    """Words to plans, one for each edit that the instruction asks for; raises `PlanError`."""

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]: ...


@runtime_checkable
class Clip(Protocol):
    """Pictures and texts in one space, each embedding L2-normalised, (b, d). `fingerprint` names its weights."""

    @property
    def fingerprint(self) -> str: ...

    def embed_images(self, images: Sequence[Image.Image]) -> Tensor: ...

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Of pictures (b, 3, h, w) around [-1, 1], any size, on their device; with gradients, nothing clamped."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Tensor: ...

    def embed_states(self, states: Tensor) -> Tensor:
        """Of token states (b, tokens, d) of its text encoder, their mean projected; with gradients."""
        ...


class Pack(Protocol):
    """A set of models, each loaded when first asked for. A missing role raises `PackError`.

    `defaults` maps an editor's name to settings chosen for this pack on validation. `phrases` are what may be seen in
    pictures, in words that its clip knows; empty when the pack has no list of them.
    """

    name: str
    hash: str
    defaults: Mapping[str, Mapping[str, Any]]

    @property
    def phrases(self) -> Sequence[str]: ...

    @property
    def text_to_image(self) -> Diffusion: ...
    @property
    def instruct(self) -> Diffusion: ...
    @property
    def inpaint(self) -> Diffusion: ...
    @property
    def incontext(self) -> InContext: ...
    @property
    def prompt_diffusion(self) -> InContext: ...
    @property
    def instruct_in_context(self) -> Diffusion:
        """As `instruct`, but taught by the pairs that the two above were taught by: to be compared with them."""
        ...

    @property
    def segmenter(self) -> Segmenter: ...
    @property
    def panoptic(self) -> Panoptic: ...
    @property
    def captioner(self) -> Captioner: ...
    @property
    def planner(self) -> Planner: ...
    @property
    def chat(self) -> Callable[..., str]:
        """The language model behind the planner, a `language.chat.Complete`; missing where the planner is none."""
        ...

    @property
    def clip(self) -> Clip: ...
