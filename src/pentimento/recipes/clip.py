"""The miniature's CLIP: contrastive over scenes and captions, with hard negatives (swapped places, swapped colours).

Its text tower is also the start of the U-Net's text encoder. Patch 16 rather than 8: four times as many pictures a
second, and single objects span several patches.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ..data.captions import caption, hard_negative, training_caption, vocabulary
from ..data.scenes import draw_scene
from ..data.store import scene_store
from ..packs.pack import PHRASES
from ..training import Job, TrainSettings, warm_start
from .autoencoder import pictures
from .text import WIDTH, ids_of, text_config, tokenizer


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(200_000, ge=1)
    batch_size: int = Field(128, ge=2)
    lr: float = Field(8e-4, gt=0)
    warmup_images: int = 8_000
    cooldown: float = 0.4
    ema: float = Field(6_000, ge=0)
    weight_decay: float = 0.05
    patch: int = Field(16, ge=4, description="side of a patch, pixels")
    layers: int = Field(6, ge=1, description="layers of the vision tower")
    scenes: int = Field(12_000, ge=1, description="scenes to learn from")
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """Pictures (b, 3, h, w) in [-1, 1], ids of their captions and of one hard negative each (b, tokens)."""

    pixels: Tensor
    ids: Tensor
    negative: Tensor


def model(settings: Settings, tokens: "object") -> nn.Module:
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=settings.layers, num_attention_heads=4,
        image_size=128, patch_size=settings.patch, projection_dim=WIDTH,
    )  # fmt: skip
    return CLIPModel(CLIPConfig(
        text_config=text_config(tokens).to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH
    ))  # fmt: skip


def contrastive_loss(clip: nn.Module, batch: Batch) -> Tensor:
    """The symmetric InfoNCE; each picture sees its hard negative as one more caption."""
    image = F.normalize(clip.get_image_features(pixel_values=batch.pixels).pooler_output.float(), dim=-1)
    texts = clip.get_text_features(input_ids=torch.cat([batch.ids, batch.negative])).pooler_output.float()
    text, negative = F.normalize(texts, dim=-1).chunk(2)
    scale = clip.logit_scale.exp().clamp(max=100)
    logits = scale * image @ text.T  # (b, b)
    same = (batch.ids == batch.negative).all(1)
    hard = (scale * (image * negative).sum(-1)).masked_fill(same, -1e4)[:, None]
    target = torch.arange(len(image), device=image.device)
    return (F.cross_entropy(torch.cat([logits, hard], 1), target) + F.cross_entropy(logits.T, target)) / 2


def job(settings: Settings, pack_dir: Path) -> Job:
    """Warm-starts from pack_dir/clip; exports there."""
    tokens = tokenizer(pack_dir)
    clip = model(settings, tokens)
    warm_start(clip, pack_dir / "clip")
    store = scene_store(settings.data, settings.scenes)

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([104, step])
        seeds = [int(s) for s in rng.integers(0, settings.scenes, size)]
        texts = [(training_caption if rng.random() < 0.4 else caption)(draw_scene(s), rng) for s in seeds]
        wrong = [hard_negative(text, rng) for text in texts]
        ids = ids_of(tokens, texts + wrong)
        return Batch(pictures([store[s] for s in seeds]), *ids.chunk(2))

    def export(ema: nn.Module, folder: Path) -> None:
        from transformers import CLIPImageProcessorPil

        ema.save_pretrained(folder / "clip")
        half = [0.5, 0.5, 0.5]
        CLIPImageProcessorPil(
            size={"height": 128, "width": 128}, do_center_crop=False, image_mean=half, image_std=half
        ).save_pretrained(folder / "clip")
        tokens.save_pretrained(folder / "clip")
        (folder / "clip" / PHRASES).write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")

    return Job(model=clip, batch=batch, loss=lambda net, b, generator: contrastive_loss(net, b), export=export)
