"""What the U-Net recipes learn from, made once and kept on disk: latents of edit pairs, token ids of their words."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..data.edits import Edit, draw_edit
from ..data.store import edit_store
from .autoencoder import pictures
from .text import TOKENS, ids_of

CAPTIONS = 4  # variants of every text


@dataclass(frozen=True)
class Latents:
    """`pairs` fp16 (n, 2, c, h, w): scaled mean latents before and after. `decode` brings scaled latents to [-1, 1]."""

    pairs: np.ndarray
    decode: Callable[[Tensor], Tensor]


def autoencoder_of(pack_dir: Path) -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(pack_dir / "vae", use_safetensors=True).float().eval().requires_grad_(False)


def edit_latents(data: Path, pack_dir: Path, count: int, split: str = "train", effects: str = "seen") -> Latents:
    """The latents of the first `count` edits, by the pack's autoencoder; made in `data` unless they lie there."""
    vae = autoencoder_of(pack_dir)
    scale = vae.config.scaling_factor
    weights = b"".join(p.half().numpy().tobytes() for p in vae.parameters())  # as a sealed pack holds them
    path = data / f"latents-{split}-{effects}-{count}-{hashlib.sha256(weights).hexdigest()[:12]}.npy"
    if not path.exists():
        store = edit_store(data, count, split, effects)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        vae.to(device)
        made = []
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            for k in tqdm(range(0, count, 32), desc="encoding", unit="batch"):
                x = pictures([p for i in range(k, min(k + 32, count)) for p in store[i]])
                z = vae.encode(x.to(device)).latent_dist.mean.float().cpu() * scale
                made.append(z.unflatten(0, (-1, 2)).half().numpy())
        vae.to("cpu")
        partial = path.with_name(f".{path.stem}.partial.npy")
        np.save(partial, np.concatenate(made))
        os.replace(partial, path)

    @torch.no_grad()
    def decode(z: Tensor) -> Tensor:
        return vae.decode(z.float().cpu() / scale).sample.clamp(-1, 1)

    return Latents(np.load(path, mmap_mode="r"), decode)


def edit_words(
    data: Path, name: str, tokens: "object", count: int, write: Callable[[Edit, np.random.Generator], list[str]],
    split: str = "train", effects: str = "seen",
) -> np.ndarray:  # fmt: skip
    """Token ids of what `write` says of each edit, CAPTIONS times: int16 (count, CAPTIONS, texts, TOKENS)."""
    vocabulary = hashlib.sha256(repr(sorted(tokens.get_vocab().items())).encode()).hexdigest()[:12]
    path = data / f"words-{name}-{split}-{effects}-{count}-{vocabulary}.npy"
    if not path.exists():
        made = []
        for seed in tqdm(range(count), desc=f"writing {name}", unit="edit"):
            edit, rng = draw_edit(seed, split, effects=effects), np.random.default_rng([31, seed])
            texts = [text for _ in range(CAPTIONS) for text in write(edit, rng)]
            made.append(ids_of(tokens, texts).view(CAPTIONS, -1, TOKENS).short().numpy())
        partial = path.with_name(f".{path.stem}.partial.npy")
        np.save(partial, np.stack(made))
        os.replace(partial, path)
    return np.load(path, mmap_mode="r")
