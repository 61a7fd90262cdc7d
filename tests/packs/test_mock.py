import json
from pathlib import Path

import pytest
import tiny_models as tiny
import torch
from safetensors.torch import load_file
from transformers import BertTokenizer, CLIPTokenizer, Qwen2Tokenizer

from pentimento.errors import PackError
from pentimento.packs import catalogue, mock, open_pack, published, read_manifest
from pentimento.packs.manifest import PROVIDED
from pentimento.packs.published import BLUEPRINTS, Blueprint

CLIP = "openai/clip-vit-large-patch14"
SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SMALL_TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable Diffusion and CLIP a thousand times smaller, in the same layout."""
    text = published.CLIP_TEXT | SMALL_TEXT
    vision = published.CLIP["vision_config"] | SMALL_TEXT | {"image_size": 28}
    vae = published.VAE | {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1}
    unet = published.UNET | {"block_out_channels": [32] * 4, "cross_attention_dim": 16, "layers_per_block": 1}
    config = published.CLIP | {"text_config": text, "vision_config": vision, "projection_dim": 16}
    monkeypatch.setattr(published, "CLIP_TEXT", text)
    monkeypatch.setattr(published, "VAE", vae)
    monkeypatch.setattr(published, "UNET", unet)
    made = published.stable_diffusion("stable-diffusion-v1-5/stable-diffusion-inpainting", 9, ".fp16")
    clip = {CLIP: Blueprint("CLIPModel", config=config, write=published.clip_files)}
    monkeypatch.setattr(mock, "BLUEPRINTS", {**BLUEPRINTS, **made, **clip})


def test_a_written_role_loads_through_the_real_loader_under_the_published_names(small: None, tmp_path: Path) -> None:
    mock.write("sd15", tmp_path / "pack", ["inpaint"])
    folder = tmp_path / "pack" / "stable-diffusion-inpainting"
    names = set(load_file(folder / "text_encoder" / "model.fp16.safetensors"))
    assert {"text_model.embeddings.position_ids", "text_model.final_layer_norm.weight"} <= names
    names = set(load_file(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors"))
    assert "encoder.mid_block.attentions.0.query.weight" in names
    model = open_pack(tmp_path / "pack", device="cpu", dtype="fp32").inpaint
    text = model.encode_text(["a cat"])
    assert model.denoise(torch.zeros(1, 9, 64, 64), torch.tensor([500]), text).shape == (1, 4, 64, 64)
    assert model.autoencoder.decode(torch.zeros(1, 4, 8, 8)).isfinite().all()


def test_roles_are_added_to_an_imitation_and_other_packs_are_left_alone(small: None, tmp_path: Path) -> None:
    mock.write("sd15", tmp_path / "pack", ["inpaint"])
    there = tmp_path / "pack" / "stable-diffusion-inpainting" / "unet" / "config.json"
    before = there.stat().st_mtime_ns
    made = mock.write("sd15", tmp_path / "pack", ["clip", "inpaint"])
    assert list(made.roles) == ["inpaint", "clip"] and there.stat().st_mtime_ns == before
    assert open_pack(tmp_path / "pack", device="cpu").clip.embed_texts(["a"]).shape == (1, 16)
    other = tiny.sealed(tmp_path / "other")
    with pytest.raises(PackError, match="holds the pack 'tiny'"):
        mock.write("sd15", other, ["clip"])


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000_000})())
    with pytest.raises(PackError, match="1.0 GB free and 1.4 GB are wanted"):
        mock.write("sd15", tmp_path / "pack", ["clip"])
    assert not (tmp_path / "pack").exists()


def test_what_cannot_be_imitated_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="take sd15"):
        mock.write("miniature", tmp_path)
    with pytest.raises(PackError, match="has no judge: take text_to_image"):
        mock.plan("sd15", ["judge"])


def test_weights_too_large_for_one_file_are_written_with_their_index(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mock, "FILE_BYTES", 1_000_000)
    mock.write("sd15", tmp_path, ["clip"])
    folder = tmp_path / "clip-vit-large-patch14"
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    for name, file in index.items():
        assert name in load_file(folder / file)
    assert open_pack(tmp_path, device="cpu").clip


@pytest.mark.parametrize(
    ("component", "numbers"),
    [
        (f"{SD}/vae", 83_653_863),
        (f"{SD}/unet", 859_520_964),
        (f"{SD}/text_encoder", 123_060_480),
        (CLIP, 427_616_513),
        ("facebook/sam2.1-hiera-large", 224_400_000),
        ("Salesforce/blip2-flan-t5-xl", 15_770_000_000 // 4),
        ("facebook/mask2former-swin-large-coco-panoptic", (866_000_000 - 24 * 144 * 144 * 8) // 4),
        ("Qwen/Qwen2.5-7B-Instruct", 15_230_000_000 // 2),
    ],
)
def test_the_architectures_have_the_published_number_of_weights(component: str, numbers: int) -> None:
    assert mock.parameters(BLUEPRINTS[component]) == pytest.approx(numbers, rel=1e-3)


def test_every_component_of_the_published_pack_has_a_blueprint() -> None:
    roles = [one for one in read_manifest(catalogue()["sd15"].manifest).roles.values() if one.kind not in PROVIDED]
    assert {mock.key_of(component) for role in roles for component in role.components.values()} == set(BLUEPRINTS)


def test_the_made_up_tokenizers_have_the_published_sizes_and_special_tokens(tmp_path: Path) -> None:
    published.clip_tokenizer(tmp_path)
    clip = CLIPTokenizer.from_pretrained(tmp_path)
    assert len(clip) == 49408 and clip("").input_ids == [49406, 49407]
    assert clip.decode(clip("a cat").input_ids, skip_special_tokens=True).strip() == "a cat"
    words = published.bert_vocabulary()
    bert = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    assert len(set(words)) == 30522 and bert("a cat. dog?").input_ids[-1] == 102
    assert bert.convert_tokens_to_ids(["[CLS]", "[SEP]", ".", "?"]) == [101, 102, 1012, 1029]
    published.qwen_files(tmp_path)
    qwen = Qwen2Tokenizer.from_pretrained(tmp_path)
    assert len(qwen) == 151646 and qwen.eos_token_id == 151645
