"""The CLIP wrapper over a tiny random model that is made here."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from pentimento.errors import PackError
from pentimento.roles import Clip
from pentimento.vision import clip
from pentimento.vision.clip import ClipEmbedder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOWER = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    words = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    text = TOWER | dict(vocab_size=len(words), max_position_embeddings=12, bos_token_id=start, eos_token_id=end)
    text["pad_token_id"] = end
    config = CLIPConfig(text_config=text, vision_config=TOWER | dict(image_size=32, patch_size=16), projection_dim=8)
    CLIPModel(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def embedder(folder: Path) -> ClipEmbedder:
    return clip.load(folder)


def test_embeddings_are_normalised_and_of_one_length(embedder: ClipEmbedder) -> None:
    assert isinstance(embedder, Clip)
    images = embedder.embed_images([Image.effect_noise(size, 60) for size in ((8, 8), (50, 31), (128, 128))])
    texts = embedder.embed_texts(["a cat", "", "many many words that do not fit the encoder"])
    assert images.shape == texts.shape == (3, 8)
    assert torch.allclose(images.norm(dim=-1), torch.ones(3)) and torch.allclose(texts.norm(dim=-1), torch.ones(3))


def test_padding_beside_a_longer_text_changes_nothing(embedder: ClipEmbedder) -> None:
    assert torch.allclose(embedder.embed_texts(["cat"])[0], embedder.embed_texts(["cat", "catdog"])[0], atol=1e-5)


def test_the_text_is_pooled_at_its_end_token(embedder: ClipEmbedder) -> None:
    together = embedder.embed_texts(["cat", "dog"])
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_no_pictures_and_no_texts_are_no_rows(embedder: ClipEmbedder) -> None:
    assert embedder.embed_images([]).shape == embedder.embed_texts([]).shape == (0, 8)


def test_a_folder_without_clip_is_a_pack_error(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="holds no CLIP"):
        clip.load(tmp_path)
