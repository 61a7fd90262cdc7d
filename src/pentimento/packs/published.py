"""The published checkpoints as data: their configurations, tensor names, tokenizers and preprocessors.

Written down so that `mock` can imitate a checkpoint without its weights: the fields are those that the published files
have, also where today's libraries would write others. Nothing is loaded here.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
OPENAI = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}  # fmt: skip


@dataclass(frozen=True)
class Blueprint:
    """One component's folder.

    `model` is the class in `library`, "" for a folder without weights; `names` gives a tensor's published name, ""
    where it has none; `legacy` are shapes of integer tensors that old files hold and today's models do not; `write`
    adds the other files.
    """

    model: str = ""
    library: str = "transformers"
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "model"
    names: Callable[[str], str] = str
    legacy: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    write: Callable[[Path], None] = lambda folder: None


def save(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# Tokenizers: the published sizes and special tokens; what lies between is made up.


def byte_symbols() -> list[str]:
    """One printable character for each of the 256 bytes, in the order of byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]


def merges(ending: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of symbols that a byte-pair tokenizer joins, without end; `ending` marks a word's last symbol."""
    known = list(ascii_lowercase)
    while True:
        for last in dict.fromkeys(("", ending)):
            yield from ((left, right + last) for left, right in product(known, ascii_lowercase))
        known = ["".join(pair) for pair in product(known, ascii_lowercase)]


def byte_pairs(folder: Path, size: int, ending: str, special: tuple[str, ...]) -> None:
    """vocab.json and merges.txt of a byte-pair tokenizer with `size` tokens, special ones included."""
    symbols = [letter + last for last in dict.fromkeys(("", ending)) for letter in byte_symbols()]
    pairs = list(islice(merges(ending), size - len(symbols) - len(special)))
    tokens = [*symbols, *(left + right for left, right in pairs), *special]
    save(folder, "vocab.json", {token: i for i, token in enumerate(tokens)})
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def clip_tokenizer(folder: Path) -> None:
    byte_pairs(folder, 49408, "</w>", ("<|startoftext|>", "<|endoftext|>"))
    save(folder, "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "errors": "replace",
        "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    })  # fmt: skip


def bert_vocabulary() -> list[str]:
    """30,522 tokens; [CLS] 101, [SEP] 102, "." 1012 and "?" 1029 stand where Grounding DINO's code expects them."""
    unused = (f"[unused{i}]" for i in range(994))
    head = ["[PAD]", *islice(unused, 99), "[UNK]", "[CLS]", "[SEP]", "[MASK]", *unused]
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = ("".join(word) for length in (3, 4) for word in product(ascii_lowercase, repeat=length))
    tail = [f"##{letter}" for letter in letters]
    known = [*head[:999], *letters, *tail]
    return [*known, *islice(words, 30522 - len(known))]


def grounding_dino_files(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(bert_vocabulary()) + "\n", encoding="utf-8")
    save(folder, "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, "unk_token": "[UNK]",
        "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
    })  # fmt: skip
    save(folder, "preprocessor_config.json", {
        "image_processor_type": "GroundingDinoImageProcessor", "processor_class": "GroundingDinoProcessor",
        "do_convert_annotations": True, "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True,
        "format": "coco_detection", "resample": 2, "rescale_factor": 1 / 255,
        "size": {"longest_edge": 1333, "shortest_edge": 800},
    } | IMAGENET)  # fmt: skip


def sam_files(folder: Path) -> None:
    save(folder, "preprocessor_config.json", {
        "image_processor_type": "SamImageProcessor", "processor_class": "SamProcessor", "do_convert_rgb": True,
        "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True, "resample": 2,
        "rescale_factor": 1 / 255, "size": {"longest_edge": 1024}, "pad_size": {"height": 1024, "width": 1024},
    } | IMAGENET)  # fmt: skip


def mask2former_files(folder: Path) -> None:
    save(folder, "preprocessor_config.json", {
        "image_processor_type": "Mask2FormerImageProcessor", "do_normalize": True, "do_rescale": True,
        "do_resize": True, "ignore_index": 255, "num_labels": 133, "reduce_labels": False, "resample": 2,
        "rescale_factor": 1 / 255, "size": {"height": 384, "width": 384}, "size_divisor": 32,
    } | IMAGENET)  # fmt: skip


def clip_files(folder: Path) -> None:
    clip_tokenizer(folder)
    save(folder, "preprocessor_config.json", {
        "feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 224, "do_center_crop": True,
        "do_normalize": True, "do_resize": True, "resample": 3, "size": 224,
    } | OPENAI)  # fmt: skip


def blip2_files(folder: Path) -> None:
    """T5's 32,000 pieces and 100 extra tokens, "<image>" as 32100, and the image processor."""
    from transformers import T5Tokenizer

    made_up = ("".join(word) for length in (2, 3, 4) for word in product(ascii_lowercase, repeat=length))
    words = ["▁", *(start + letter for start in ("", "▁") for letter in [*ascii_lowercase, *".,:?!'-"])]
    words += [f"▁{word}" for word in islice(made_up, 31997 - len(words))]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((word, -1.0 - len(word)) for word in words)]
    tokens = T5Tokenizer(vocab=[*pieces, *((f"<extra_id_{i}>", 0.0) for i in reversed(range(100)))], extra_ids=100)
    tokens.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    tokens.save_pretrained(folder)
    save(folder, "processor_config.json", {"num_query_tokens": 32, "processor_class": "Blip2Processor"})
    save(folder, "preprocessor_config.json", {
        "image_processor_type": "BlipImageProcessor", "processor_class": "Blip2Processor", "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3, "rescale_factor": 1 / 255,
        "size": {"height": 224, "width": 224},
    } | OPENAI)  # fmt: skip
    save(folder, "generation_config.json", {
        "_from_model_config": True, "bos_token_id": 1, "decoder_start_token_id": 0, "eos_token_id": 1,
        "pad_token_id": 0,
    })  # fmt: skip


QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_files(folder: Path) -> None:
    byte_pairs(folder, 151643, "", ())
    special = {151643: "<|endoftext|>", 151644: "<|im_start|>", 151645: "<|im_end|>"}
    flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    save(folder, "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer", "model_max_length": 131072, "add_bos_token": False,
        "added_tokens_decoder": {str(i): {"content": token} | flags for i, token in special.items()},
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None,
        "chat_template": QWEN_TEMPLATE,
    })  # fmt: skip
    save(folder, "generation_config.json", {
        "bos_token_id": 151643, "pad_token_id": 151643, "do_sample": True, "eos_token_id": [151645, 151643],
        "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20,
    })  # fmt: skip


# Names: where the published files call a tensor otherwise than today's model does.

VAE_NAMES = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
SWIN_NAMES = {
    ".swin.": ".", ".attention.q_proj.": ".attention.self.query.", ".attention.k_proj.": ".attention.self.key.",
    ".attention.v_proj.": ".attention.self.value.", ".attention.o_proj.": ".attention.output.dense.",
    ".attention.relative_position_bias.": ".attention.self.", ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
}  # fmt: skip


def renamed(name: str, table: Mapping[str, str]) -> str:
    for new, old in table.items():
        name = name.replace(new, old)
    return name


def text_encoder_name(name: str) -> str:
    return f"text_model.{name}"


def vae_name(name: str) -> str:
    return renamed(name, VAE_NAMES)


def swin_name(name: str) -> str:
    """The backbone's last norm is younger than the files, and nothing reads it."""
    if ".swin.layernorm." in name:
        return ""
    return renamed(name, SWIN_NAMES) if ".swin." in name else name


# Stable Diffusion 1.5, InstructPix2Pix (8 input channels) and the inpainting model (9).

CLIP_TEXT = {
    "model_type": "clip_text_model", "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0,
    "dropout": 0.0, "eos_token_id": 2, "hidden_act": "quick_gelu", "hidden_size": 768, "initializer_factor": 1.0,
    "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-5, "max_position_embeddings": 77,
    "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1, "projection_dim": 768,
    "vocab_size": 49408,
}  # fmt: skip
VAE = {
    "_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4, "in_channels": 3,
    "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3, "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
UNET = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu", "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": False, "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-5,
    "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}  # fmt: skip
SCHEDULER = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}  # fmt: skip


def stable_diffusion(repository: str, channels: int, variant: str = "") -> dict[str, Blueprint]:
    """The five components; with a `variant` the weights are only there under its name, as "model.fp16"."""
    return {
        f"{repository}/vae": Blueprint(
            "AutoencoderKL", "diffusers", VAE, f"diffusion_pytorch_model{variant}", vae_name
        ),
        f"{repository}/unet": Blueprint(
            "UNet2DConditionModel", "diffusers", UNET | {"in_channels": channels}, f"diffusion_pytorch_model{variant}"
        ),
        f"{repository}/text_encoder": Blueprint(
            "CLIPTextModel", "transformers", CLIP_TEXT, f"model{variant}", text_encoder_name,
            {"text_model.embeddings.position_ids": (1, 77)},
        ),
        f"{repository}/tokenizer": Blueprint(write=clip_tokenizer),
        f"{repository}/scheduler": Blueprint(write=lambda folder: save(folder, "scheduler_config.json", SCHEDULER)),
    }  # fmt: skip


# The others, one folder each.

CLIP = {
    "model_type": "clip", "architectures": ["CLIPModel"], "initializer_factor": 1.0,
    "logit_scale_init_value": 2.6592, "projection_dim": 768,
    "text_config": CLIP_TEXT, "text_config_dict": None, "vision_config_dict": None,
    "vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "projection_dim": 768,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
}  # fmt: skip
SWIN = {
    "model_type": "swin", "depths": [2, 2, 18, 2], "window_size": 12, "image_size": 384, "patch_size": 4,
    "mlp_ratio": 4.0, "qkv_bias": True, "drop_path_rate": 0.1, "hidden_act": "gelu", "num_channels": 3,
}  # fmt: skip
GROUNDING_DINO = {
    "model_type": "grounding-dino", "architectures": ["GroundingDinoForObjectDetection"],
    "backbone_config": SWIN | {
        "embed_dim": 128, "num_heads": [4, 8, 16, 32], "out_features": ["stage2", "stage3", "stage4"],
        "out_indices": [2, 3, 4],
    },
    "text_config": {"model_type": "bert", "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12},
    "d_model": 256, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "num_queries": 900,
    "num_feature_levels": 4, "max_text_len": 256, "two_stage": True, "embedding_init_target": True,
    "decoder_bbox_embed_share": True, "disable_custom_kernels": False,
}  # fmt: skip
SAM = {
    "model_type": "sam", "architectures": ["SamModel"],
    "vision_config": {
        "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "mlp_dim": 5120,
        "global_attn_indexes": [7, 15, 23, 31], "image_size": 1024, "patch_size": 16, "window_size": 14,
        "output_channels": 256, "num_pos_feats": 128,
    },
    "prompt_encoder_config": {"hidden_size": 256, "image_size": 1024, "patch_size": 16, "mask_input_channels": 16},
    "mask_decoder_config": {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "mlp_dim": 2048},
}  # fmt: skip
SAM2 = {
    "model_type": "sam2_video", "architectures": ["Sam2VideoModel"],
    "vision_config": {
        "model_type": "sam2_vision_model", "backbone_channel_list": [1152, 576, 288, 144],
        "backbone_config": {
            "model_type": "sam2_hiera_det_model", "hidden_size": 144, "num_attention_heads": 2,
            "blocks_per_stage": [2, 6, 36, 4], "embed_dim_per_stage": [144, 288, 576, 1152],
            "num_attention_heads_per_stage": [2, 4, 8, 16], "window_size_per_stage": [8, 4, 16, 8],
            "global_attention_blocks": [23, 33, 43],
        },
    },
    "prompt_encoder_config": {"hidden_size": 256, "image_size": 1024, "patch_size": 16},
    "mask_decoder_config": {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "mlp_dim": 2048},
}  # fmt: skip
BLIP2 = {
    "model_type": "blip-2", "architectures": ["Blip2ForConditionalGeneration"], "num_query_tokens": 32,
    "image_token_index": 32100, "use_decoder_only_language_model": False, "tie_word_embeddings": False,
    "qformer_config": {"model_type": "blip_2_qformer", "vocab_size": 30522},
    "vision_config": {"model_type": "blip_2_vision_model", "hidden_size": 1408, "num_hidden_layers": 39},
    "text_config": {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 32128, "d_model": 2048,
        "d_kv": 64, "d_ff": 5120, "num_layers": 24, "num_decoder_layers": 24, "num_heads": 32,
        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0,
    },
}  # fmt: skip
MASK2FORMER = {
    "model_type": "mask2former", "architectures": ["Mask2FormerForUniversalSegmentation"],
    "backbone_config": SWIN | {
        "embed_dim": 192, "num_heads": [6, 12, 24, 48], "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "num_queries": 200, "id2label": {str(i): f"class {i}" for i in range(133)},
    "label2id": {f"class {i}": i for i in range(133)}, "feature_size": 256, "mask_feature_size": 256,
    "hidden_dim": 256, "encoder_layers": 6, "decoder_layers": 10, "dim_feedforward": 2048,
    "encoder_feedforward_dim": 1024, "num_attention_heads": 8, "common_stride": 4,
}  # fmt: skip
QWEN = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 152064, "hidden_size": 3584,
    "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False, "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu",
}  # fmt: skip


def _swin_indices(prefix: str) -> dict[str, tuple[int, ...]]:
    """The relative positions in a window of 12, which old files store with each of the 24 blocks."""
    return {
        f"{prefix}.encoder.layers.{stage}.blocks.{block}.attention.self.relative_position_index": (144, 144)
        for stage, blocks in enumerate((2, 2, 18, 2))
        for block in range(blocks)
    }


BLUEPRINTS: Mapping[str, Blueprint] = {
    **stable_diffusion("stable-diffusion-v1-5/stable-diffusion-v1-5", 4),
    **stable_diffusion("timbrooks/instruct-pix2pix", 8),
    **stable_diffusion("stable-diffusion-v1-5/stable-diffusion-inpainting", 9, ".fp16"),
    "openai/clip-vit-large-patch14": Blueprint(
        "CLIPModel", config=CLIP, write=clip_files,
        legacy={"text_model.embeddings.position_ids": (1, 77), "vision_model.embeddings.position_ids": (1, 257)},
    ),
    "IDEA-Research/grounding-dino-base": Blueprint(
        "GroundingDinoForObjectDetection", config=GROUNDING_DINO, names=swin_name, write=grounding_dino_files,
        legacy=_swin_indices("model.backbone.conv_encoder.model"),
    ),
    "facebook/sam-vit-huge": Blueprint("SamModel", config=SAM, write=sam_files),
    "facebook/sam2.1-hiera-large": Blueprint("Sam2VideoModel", config=SAM2),
    "Salesforce/blip2-flan-t5-xl": Blueprint("Blip2ForConditionalGeneration", config=BLIP2, write=blip2_files),
    "facebook/mask2former-swin-large-coco-panoptic": Blueprint(
        "Mask2FormerForUniversalSegmentation", config=MASK2FORMER, names=swin_name, write=mask2former_files,
        legacy=_swin_indices("model.pixel_level_module.encoder"),
    ),
    "Qwen/Qwen2.5-7B-Instruct": Blueprint("Qwen2ForCausalLM", config=QWEN, write=qwen_files),
}  # fmt: skip
"""By "repository/subfolder" of the catalogue's components."""
