"""The miniature's words for its models: a byte-pair tokenizer made from captions and instructions, and a text encoder.

The contrastive loss of clip supervises one token state only, and a U-Net reads them all; so the U-Net recipes train
their copy of the text encoder along with the U-Net.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..data.captions import training_caption
from ..data.edits import draw_edit
from ..data.vocabulary import BACKGROUNDS, COLOURS, MATERIALS, NOUNS, SEASONS, STYLES, WEARABLES, WEATHERS
from ..data.words import instruction
from ..vision.clip import DUAL

TOKENS, WIDTH = 48, 192


def tokenizer(pack_dir: Path) -> "object":
    """A CLIPTokenizer: the one in pack_dir/tokenizer, or a new one made from the world's words and saved there."""
    from transformers import CLIPTokenizer

    folder = pack_dir / "tokenizer"
    if not folder.exists():
        _make(folder)
    return CLIPTokenizer.from_pretrained(folder)


def _make(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    rng = np.random.default_rng(5)
    edits = [draw_edit(seed) for seed in range(1500)]
    lines = [training_caption(e.after, rng) for e in edits] + [instruction(e.words, rng) for e in edits]
    lines += [*NOUNS, *(n.plural for n in NOUNS.values()), *COLOURS, *MATERIALS, *BACKGROUNDS.values()] * 30
    lines += [*SEASONS, *STYLES, *WEARABLES, *WEATHERS] * 30
    bpe = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Punctuation(),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1400, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=letters, special_tokens=["<|startoftext|>", "<|endoftext|>"],
    )  # fmt: skip
    bpe.train_from_iterator(lines, trainer)
    made = json.loads(bpe.to_str())["model"]
    vocab = dict(made["vocab"])
    for letter in sorted(letters):
        vocab.setdefault(f"{letter}</w>", len(vocab))
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in made["merges"]]
    CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=TOKENS).save_pretrained(folder)


def text_config(tokens: "object") -> "object":
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=TOKENS,
        bos_token_id=tokens.bos_token_id, eos_token_id=tokens.eos_token_id, pad_token_id=tokens.pad_token_id,
    )  # fmt: skip


def ids_of(tokens: "object", texts: list[str]) -> Tensor:
    """Token ids, int64 (b, TOKENS), cut and padded."""
    return tokens(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids


def text_encoder(tokens: "object", *folders: Path) -> nn.Module:
    """A CLIPTextModel, started from the first of the folders that holds one (or a whole CLIP), else from nothing.

    Without a GPU its attention is written out, which trains 1.5 times as fast as torch's fused one there."""
    text = _started(tokens, folders)
    if not torch.cuda.is_available():
        text.set_attn_implementation("eager")
    return text


def _started(tokens: "object", folders: tuple[Path, ...]) -> nn.Module:
    from transformers import CLIPTextModel, VisionTextDualEncoderModel

    torch.manual_seed(0)
    for folder in folders:
        if (folder / "config.json").exists():
            if json.loads((folder / "config.json").read_text())["model_type"] == DUAL:
                return VisionTextDualEncoderModel.from_pretrained(folder, use_safetensors=True).float().text_model
            return CLIPTextModel.from_pretrained(folder, use_safetensors=True).float()
    return CLIPTextModel(text_config(tokens))
