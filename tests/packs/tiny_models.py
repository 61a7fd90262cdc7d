"""Tiny random models in the hub's layout, built in memory in well under a second."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from pentimento.packs import Role, seal

WORDS = ("a", "b", "c", "d", "e")
LATENT = {
    "vae": "vae", "text_encoder": "clip", "tokenizer": "clip", "unet": "unet", "scheduler": "scheduler",
}  # fmt: skip
ROLES = {
    "text_to_image": Role(kind="latent_diffusion", components=LATENT),
    "instruct": Role(kind="latent_diffusion", components=LATENT | {"unet": "instruct"}),
    "clip": Role(kind="clip", components={"model": "clip"}),
}


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        mid_block_add_attention=False, scaling_factor=0.5,
    )  # fmt: skip


def unet(channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(8, 8), norm_num_groups=4,
        cross_attention_dim=16, layers_per_block=1, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def tokenizer() -> CLIPTokenizer:
    tokens = [*WORDS, *(word + "</w>" for word in WORDS), "<|startoftext|>", "<|endoftext|>"]
    made = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[])
    made.model_max_length = 8
    return made


def clip(tokens: CLIPTokenizer) -> CLIPModel:
    text = {
        "vocab_size": len(tokens), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 8, "eos_token_id": tokens.eos_token_id,
        "bos_token_id": tokens.bos_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 16, "patch_size": 8,
    }  # fmt: skip
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))


def write_components(folder: Path) -> None:
    torch.manual_seed(0)
    vae().save_pretrained(folder / "vae")
    unet().save_pretrained(folder / "unet")
    unet(8).save_pretrained(folder / "instruct")
    tokens = tokenizer()
    tokens.save_pretrained(folder / "clip")
    clip(tokens).save_pretrained(folder / "clip")
    DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).save_pretrained(
        folder / "scheduler"
    )


def sealed(folder: Path, **changes: object) -> Path:
    write_components(folder)
    seal(folder, "tiny", "1", ROLES, **changes)
    return folder
