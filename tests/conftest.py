"""A pack of plain objects that answer at once, so that doors are tested without a trained model."""

import os
import re
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pentimento import studio
from pentimento.errors import NothingFound, PlanError
from pentimento.values import Box, Found, Plan

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def source_environment() -> dict[str, str]:
    """The environment for a process that uses the library as this one does, installed or not."""
    return os.environ | {"PYTHONPATH": str(Path(studio.__file__).parents[1])}


class Blocks:
    """An autoencoder that averages 8x8 blocks and paints them back."""

    factor, latent_channels, scaling_factor = 8, 3, 1.0

    def encode(self, pictures: Tensor) -> Tensor:
        return F.avg_pool2d(pictures, 8)

    def decode(self, latents: Tensor) -> Tensor:
        return F.interpolate(latents, scale_factor=8).clamp(-1, 1)


@dataclass(eq=False)
class Words:
    """A diffusion model whose noise is a number made from the letters of its text, and a little of its input."""

    autoencoder: Blocks = field(default_factory=Blocks)
    size: int = 32
    alphas_cumprod: Tensor = field(default_factory=lambda: torch.linspace(0.99, 0.05, 100))

    def encode_text(self, texts: Any) -> Tensor:
        return torch.tensor([[[sum(map(ord, text)) % 97 / 97]] for text in texts])

    def denoise(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        return 0.1 * x[:, :3] + text[..., None]

    def same_texts(self) -> Any:
        return nullcontext()


@dataclass(eq=False)
class Shown(Words):
    """The same beside a visual prompt, of which it sees the mean; `prompts` are those that it was shown."""

    canvas: int = 2
    prompts: list[Tensor] = field(default_factory=list)

    def prompted(self, prompt: Tensor) -> Any:
        self.prompts.append(prompt)
        return lambda x, t, text: self.denoise(x, t, text) + prompt.mean()


@dataclass(frozen=True)
class HalfSegmenter:
    """Finds the left half of any picture, the right half for `which` right, and no zebra."""

    def find(self, image: Image.Image, phrases: Any, which: Any = "best") -> Found:
        if "zebra" in phrases:
            raise NothingFound("zebra", 0.12, 0.3)
        mask = np.zeros((image.height, image.width), dtype=bool)
        half = slice(image.width // 2, None) if which == "right" else slice(0, image.width // 2)
        mask[:, half] = True
        left = float(half.start or 0)
        return Found(mask, (Box(left, 0, left + image.width // 2, image.height, 0.9, phrases[0]),))


@dataclass(frozen=True)
class RegexPlanner:
    """Understands "change the A (on the right) to B", several of them joined by "and"."""

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        parts = re.findall(r"change the (\w+)( on the right)? to (\w+)", instruction)
        if not parts:
            raise PlanError(f"{instruction!r}: is not understood; say what to change")
        return tuple(
            Plan(find=(a,), which="right" if right else "best", before=f"photo of {a}", after=f"photo of {b}",
                 kind="replace", description=description)
            for a, right, b in parts
        )  # fmt: skip


@pytest.fixture
def fake_pack() -> Any:
    model = Words()
    return SimpleNamespace(
        name="fake",
        hash="f" * 64,
        defaults={"instructedit": {"steps": 4}, "instructpix2pix": {"steps": 3}},
        text_to_image=model,
        instruct=model,
        incontext=Shown(),
        prompt_diffusion=Shown(canvas=1),
        chat=lambda talk, kind: '{"instruction": "turn the cat into a tiger"}',
        segmenter=HalfSegmenter(),
        planner=RegexPlanner(),
        captioner=SimpleNamespace(ask=lambda image, prompt: "photo" if prompt.endswith("?") else "a cat"),
    )


@pytest.fixture
def workshop(fake_pack: Any, monkeypatch: pytest.MonkeyPatch) -> studio.Studio:
    """A studio with the fake pack, which is also what every door opens while the test runs."""
    opened = studio.Studio(fake_pack, "miniature", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    return opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 48x40 pixels, in.png, with something to see in it."""
    rng = np.random.default_rng(5)
    path = tmp_path / "in.png"
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    return path
