"""The CLIP wrapper over tiny random models that are made here: a CLIP, and a dual encoder with a ResNet."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextModel,
    CLIPTokenizer,
    ResNetConfig,
    ResNetModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from pentimento.errors import PackError
from pentimento.roles import Clip
from pentimento.vision import clip
from pentimento.vision.clip import ClipEmbedder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOWER = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)


@pytest.fixture(scope="module", params=["clip", "dual encoder"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    words = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    text = TOWER | dict(vocab_size=len(words), max_position_embeddings=12, bos_token_id=start, eos_token_id=end)
    text["pad_token_id"] = end
    config = CLIPConfig(text_config=text, vision_config=TOWER | dict(image_size=32, patch_size=16), projection_dim=8)
    if request.param == "clip":
        CLIPModel(config).save_pretrained(path)
    else:
        resnet = ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", hidden_size=16, image_size=32
        )
        towers = VisionTextDualEncoderConfig.from_vision_text_configs(resnet, config.text_config, projection_dim=8)
        VisionTextDualEncoderModel(
            towers, vision_model=ResNetModel(resnet), text_model=CLIPTextModel(config.text_config)
        ).save_pretrained(path)
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


def test_its_fingerprint_tells_weights_and_statistics(folder: Path) -> None:
    one, other = clip.load(folder), clip.load(folder)
    assert one.fingerprint == other.fingerprint
    statistics = [buffer for buffer in other.model.buffers() if buffer.is_floating_point()]
    (statistics or list(other.model.parameters()))[0].add_(1)
    assert ClipEmbedder(other.model, other.tokenizer).fingerprint != one.fingerprint


def as_pixels(image: Image.Image) -> Tensor:
    """(1, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1


def smooth(width: int, height: int) -> Image.Image:
    """A colourful picture without sharp edges."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (128, 96), (75, 200), (20, 24)])
def test_pixels_and_pictures_have_the_same_embedding(embedder: ClipEmbedder, size: tuple[int, int]) -> None:
    picture = smooth(*size)
    seen, turned = embedder.embed_images([picture, picture.rotate(180)])
    assert torch.allclose(embedder.embed_pixels(as_pixels(picture))[0], seen, atol=1e-2)
    assert (turned - seen).abs().max() > 0.05


def test_gradients_reach_the_pixels_and_not_the_model(embedder: ClipEmbedder) -> None:
    pixels = as_pixels(smooth(48, 40)).repeat(2, 1, 1, 1).requires_grad_()
    embedded = embedder.embed_pixels(pixels)
    assert embedded.shape == (2, 8) and torch.allclose(embedded.norm(dim=-1), torch.ones(2))
    embedded[0, 0].backward()
    assert pixels.grad is not None and not pixels.grad[1].any()
    assert (pixels.grad[0, :, :, 4:44] != 0).float().mean() > 0.9
    assert not pixels.grad[0, :, :, :4].any()  # beside the middle square
    assert all(parameter.grad is None for parameter in embedder.model.parameters())


def test_pixels_beyond_the_range_are_not_clamped(embedder: ClipEmbedder) -> None:
    pixels = as_pixels(smooth(32, 32)).add(1.5).requires_grad_()
    embedded = embedder.embed_pixels(pixels)
    assert not torch.allclose(embedded, embedder.embed_pixels(pixels.clamp(-1, 1)), atol=1e-3)
    embedded[0, 0].backward()
    assert pixels.grad is not None and (pixels.grad[pixels > 1] != 0).any()


def test_token_states_are_read_by_their_mean_as_words_are_by_their_end(embedder: ClipEmbedder) -> None:
    states = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    embedded = embedder.embed_states(states)
    naive = embedder.model.text_projection(states.detach()).mean(1)
    assert torch.allclose(embedded, naive / naive.norm(dim=-1, keepdim=True), atol=1e-6)
    embedded[0, 0].backward()
    assert states.grad is not None and states.grad[0].any(-1).all() and not states.grad[1].any()


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


def test_moments_tell_where_a_state_stands() -> None:
    states = torch.zeros(2, 1, 3, 5)
    states[0, 0, 0, 4] = states[1, 0, 2, 0] = 15  # top right, bottom left
    assert torch.allclose(clip.Moments()(states), torch.tensor([[1.0, 4.0, -4.0], [1.0, -4.0, 4.0]]))
