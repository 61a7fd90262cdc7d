"""What the U-Net recipes learn from, made once and kept on disk: latents of edit pairs, token ids of their words.

Everything has 2 n rows: the whole pictures of n edits, then a close-up of each of them (see `data.close_ups`). Captions
have n more, of a window of each: WINDOW x WINDOW cells of the whole picture's latents. A share `parts` of the edits are
of parts (see `lessons`).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..data import phrasings
from ..data.close_ups import WHOLE, Frame, close_layout, close_up
from ..data.scenes import WORLD_VERSION
from ..data.store import save_whole, stored
from ..packs.placement import place
from ..values import KINDS
from ..vision.store import digest
from .autoencoder import encoding, pictures
from .layout import SIDE
from .lessons import WINDOW, Lesson, draw_lesson, edit_store, kind_of, whole_layouts
from .text import TOKENS, ids_of

CAPTIONS = 4  # variants of every text
Write = Callable[[Lesson, Frame, np.random.Generator], list[str]]


@dataclass(frozen=True)
class Latents:
    """`pairs` fp16 (2 n, 2, c, h, w): scaled mean latents before and after. `decode` brings scaled latents to
    [-1, 1]; `made_by` names what encodes."""

    pairs: np.ndarray
    decode: Callable[[Tensor], Tensor]
    made_by: str


def autoencoder_of(pack_dir: Path) -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(pack_dir / "vae", use_safetensors=True).float().eval().requires_grad_(False)


def latents_by(vae: Any) -> str:
    """A name for the latents that an autoencoder makes: its decoder has no part in it."""
    return digest(encoding(vae))


def draw_rows(rng: np.random.Generator, count: int, edits: int, close_ups: float) -> np.ndarray:
    """Rows to learn from: a share of them close-ups."""
    return rng.integers(0, edits, count) + edits * (rng.random(count) < close_ups)


def edit_frames(data: Path, count: int, parts: float) -> list[Frame]:
    """The frames of the first `count` edits' close-ups."""
    return [Frame(*close) for close, _ in _frames(data, count, parts)]


def edit_windows(data: Path, count: int, parts: float) -> list[Frame]:
    """The windows of the first `count` edits; see `windowed`."""
    return [Frame(*window) for _, window in _frames(data, count, parts)]


def _frames(data: Path, count: int, parts: float) -> list[list[list[float]]]:
    store = stored(data, f"frames-v{WORLD_VERSION}-{kind_of(parts)}", partial(_frames_of, parts=parts), count)
    return np.concatenate(store.chunks)[:count].tolist()


def _frames_of(seed: int, parts: float) -> np.ndarray:
    lesson = draw_lesson(seed, parts)
    return np.array([(f.left, f.top, f.side) for f in (lesson.frame(), lesson.window())])


def edit_kinds(data: Path, count: int, parts: float) -> np.ndarray:
    """The kinds of the first `count` edits, names of `values.KINDS`, (count,)."""
    name = f"kinds-v{WORLD_VERSION}-{kind_of(parts)}"
    return np.array(KINDS)[np.concatenate(stored(data, name, partial(_kind_of, parts=parts), count).chunks)[:count]]


def _kind_of(seed: int, parts: float) -> np.ndarray:
    return np.array(KINDS.index(draw_lesson(seed, parts).words.kind))


def windowed(cells: np.ndarray, windows: Sequence[Frame]) -> np.ndarray:
    """What windows show of cells (b, ..., SIDE, SIDE), a window for each row: (b, ..., WINDOW, WINDOW)."""
    corners = [(round(SIDE * window.top), round(SIDE * window.left)) for window in windows]
    cuts = [np.s_[..., top : top + WINDOW, left : left + WINDOW] for top, left in corners]
    return np.stack([row[cut] for row, cut in zip(cells, cuts, strict=True)])


def edit_latents(data: Path, pack_dir: Path, count: int, parts: float) -> Latents:
    """The latents of the first `count` edits and of their close-ups, by the pack's autoencoder; made in `data` unless
    they lie there."""
    vae = autoencoder_of(pack_dir)
    made_by = latents_by(vae)
    name = f"v{WORLD_VERSION}-{kind_of(parts)}-{count}-{made_by}.npy"
    whole, close = data / f"latents-{name}", data / f"close-latents-{name}"
    if not (whole.exists() and close.exists()):
        store, frames = edit_store(data, count, parts), edit_frames(data, count, parts)
        if not whole.exists():
            save_whole(whole, encoded(vae, lambda i: list(store[i]), count, "pictures"))
        if not close.exists():
            save_whole(close, encoded(vae, lambda i: [close_up(p, frames[i]) for p in store[i]], count, "close-ups"))
    return Latents(np.concatenate([np.load(whole), np.load(close)]), partial(decoded, vae), made_by)


@torch.no_grad()
def encoded(vae: Any, pair_of: Callable[[int], Sequence[np.ndarray]], count: int, what: str) -> np.ndarray:
    """Scaled mean latents of pairs of pictures 0..count-1, fp16 (count, 2, c, h, w); on a GPU where there is one."""
    placement, home, made = place(), next(vae.parameters()).device, []
    vae.to(placement.device)
    with placement.autocast():
        for k in tqdm(range(0, count, 32), desc=f"encoding {what}", unit="batch"):
            x = pictures([p for i in range(k, min(k + 32, count)) for p in pair_of(i)])
            z = vae.encode(x.to(placement.device)).latent_dist.mean.float().cpu() * vae.config.scaling_factor
            made.append(z.unflatten(0, (-1, 2)).half().numpy())
    vae.to(home)
    return np.concatenate(made)


@torch.no_grad()
def decoded(vae: Any, z: Tensor) -> Tensor:
    """Pictures in [-1, 1] of scaled latents (b, c, h, w), on the CPU."""
    return vae.decode(z.float().cpu() / vae.config.scaling_factor).sample.clamp(-1, 1)


def edit_words(
    data: Path, name: str, tokens: "object", count: int, parts: float, write: Write, windows: bool = True
) -> np.ndarray:
    """Token ids of what `write` says of each edit in its whole picture, its close-up and, with `windows`, its window,
    CAPTIONS times: int16 (2 or 3 count, CAPTIONS, texts, TOKENS)."""
    said_by = repr(sorted(tokens.get_vocab().items())) + phrasings.DIGEST
    vocabulary = hashlib.sha256(said_by.encode()).hexdigest()[:12]
    draw = partial(_words_of, tokens=tokens, parts=parts, write=write, windows=windows)
    store = stored(data, f"words-{name}-v{WORLD_VERSION}-{kind_of(parts)}-{vocabulary}", draw, count)
    return np.concatenate(np.concatenate(store.chunks)[:count].swapaxes(0, 1))


def _words_of(seed: int, tokens: "object", parts: float, write: Write, windows: bool) -> np.ndarray:
    lesson, rng = draw_lesson(seed, parts), np.random.default_rng([31, seed])
    frames = (WHOLE, lesson.frame(), lesson.window())[: 2 + windows]
    texts = [text for frame in frames for _ in range(CAPTIONS) for text in write(lesson, frame, rng)]
    return ids_of(tokens, texts).view(len(frames), CAPTIONS, -1, TOKENS).short().numpy()


def edit_layouts(data: Path, count: int, parts: float) -> np.ndarray:
    """What stands where in the first `count` edits and in their close-ups, uint8 (2 count, 2, planes, cells, cells):
    before and after (see `layout`)."""
    whole = whole_layouts(data, count, parts)
    frames = edit_frames(data, count, parts)
    close = [np.stack([close_layout(plan, frame) for plan in whole[i]]) for i, frame in enumerate(frames)]
    return np.stack([*(whole[i] for i in range(count)), *close])
