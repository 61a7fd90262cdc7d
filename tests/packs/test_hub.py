import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BertTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Sam2Config,
    Sam2Model,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    SamProcessor,
    SwinConfig,
    T5Tokenizer,
)

from pentimento import roles
from pentimento.errors import PackError, RequestError
from pentimento.language.chat import ChatAnswer, Message
from pentimento.language.groups import Written
from pentimento.packs import Role, open_pack, seal
from pentimento.values import Box


@pytest.fixture
def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8))


def tiny_grounding_dino() -> GroundingDinoForObjectDetection:
    backbone = SwinConfig(
        image_size=128, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    return GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            backbone_config=backbone, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=7, encoder_n_points=2,
            decoder_n_points=2, max_text_len=32,
            text_config={
                "model_type": "bert", "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
            },
        )
    )  # fmt: skip


def bert() -> BertTokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "cat", "red", "bus"]
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)})


def test_grounding_dino_gives_boxes_with_the_phrase_that_fits_best(tmp_path, picture):
    torch.manual_seed(0)
    tiny_grounding_dino().save_pretrained(tmp_path / "dino")
    GroundingDinoProcessor(GroundingDinoImageProcessorPil(size={"height": 128, "width": 128}), bert()).save_pretrained(
        tmp_path / "dino"
    )
    seal(tmp_path, "tiny", "1", {"detector": Role(kind="grounding_dino", components={"model": "dino"})})
    detector = open_pack(tmp_path, device="cpu", dtype="fp32").detector
    assert isinstance(detector, roles.Detector)
    boxes = detector.detect(picture, ["Red cat", "bus."], 0.0)
    assert len(boxes) == 7
    assert {box.phrase for box in boxes} <= {"Red cat", "bus."}
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    assert all(0 <= box.score <= 1 and -60 <= box.left < box.right <= 120 for box in boxes)
    threshold = boxes[3].score
    assert len(detector.detect(picture, ["Red cat", "bus."], threshold)) == 4
    assert detector.best_score(picture, "bus") == detector.detect(picture, ["bus"], 0.0)[0].score
    with pytest.raises(RequestError, match="nothing to look for"):
        detector.detect(picture, ["cat", "..."], 0.0)


def test_segment_anything_gives_one_mask_a_box(tmp_path, picture):
    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64, "patch_size": 8,
            "window_size": 2, "global_attn_indexes": [0], "output_channels": 16, "mlp_dim": 16,
            "initializer_range": 0.02, "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 16,
            "iou_head_hidden_dim": 16, "attention_downsample_rate": 1,
        },
    )  # fmt: skip
    SamModel(config).save_pretrained(tmp_path / "sam")
    size = {"longest_edge": 64}
    SamProcessor(
        SamImageProcessorPil(
            size=size, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16},
            mask_pad_size={"height": 16, "width": 16},
        )
    ).save_pretrained(tmp_path / "sam")  # fmt: skip
    seal(tmp_path, "tiny", "1", {"segmenter": Role(kind="sam", components={"model": "sam"})})
    segmenter = open_pack(tmp_path, device="cpu", dtype="fp32").box_segmenter
    assert isinstance(segmenter, roles.BoxSegmenter)
    boxes = (Box(5, 5, 30, 30), Box(20, 10, 50, 38))
    masks = segmenter.masks(picture, boxes)
    assert (masks.shape, masks.dtype) == ((2, 40, 60), bool)
    assert np.array_equal(segmenter.masks(picture, boxes[1:])[0], masks[1])
    assert segmenter.masks(picture, ()).shape == (0, 40, 60)


def test_blip2_answers_in_words(tmp_path, picture):
    torch.manual_seed(0)
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((f"▁{word}", -1.0) for word in ("photo", "of", "a", "cat")),
    ]
    tokens = T5Tokenizer(vocab=pieces, extra_ids=0)
    tokens.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = Blip2Config(
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 28, "patch_size": 14,
        },
        qformer_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "encoder_hidden_size": 16, "vocab_size": 20,
        },
        text_config={
            "model_type": "t5", "vocab_size": len(tokens), "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1,
            "num_decoder_layers": 1, "num_heads": 2, "decoder_start_token_id": 0, "bos_token_id": 0,
        },
        num_query_tokens=4, image_token_index=tokens.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    Blip2ForConditionalGeneration(config).save_pretrained(tmp_path / "blip")
    images = BlipImageProcessorPil(size={"height": 28, "width": 28})
    Blip2Processor(images, tokens, num_query_tokens=4).save_pretrained(tmp_path / "blip")
    seal(tmp_path, "tiny", "1", {"captioner": Role(kind="blip2", components={"model": "blip"})})
    captioner = open_pack(tmp_path, device="cpu", dtype="fp32").captioner
    assert isinstance(captioner, roles.Captioner)
    answer = captioner.ask(picture, "photo of")
    assert isinstance(answer, str) and "<" not in answer
    assert captioner.ask(picture, "photo of") == answer


def test_sam_2_gives_one_mask_a_box_without_torchvision(tmp_path, picture):
    torch.manual_seed(0)
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 4, 2],
        "global_attention_blocks": [3],
    }  # fmt: skip
    config = Sam2Config(
        vision_config={
            "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 16,
            "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    Sam2Model(config).save_pretrained(tmp_path / "sam2")
    seal(tmp_path, "tiny", "1", {"segmenter": Role(kind="sam2", components={"model": "sam2"})})
    segmenter = open_pack(tmp_path, device="cpu", dtype="fp32").box_segmenter
    assert isinstance(segmenter, roles.BoxSegmenter)
    boxes = (Box(5, 5, 30, 30), Box(20, 10, 50, 38))
    masks = segmenter.masks(picture, boxes)
    assert (masks.shape, masks.dtype) == ((2, 40, 60), bool)
    assert np.array_equal(segmenter.masks(picture, boxes[1:])[0], masks[1])
    assert segmenter.masks(picture, ()).shape == (0, 40, 60)


def test_mask2former_gives_named_segments_that_do_not_overlap(tmp_path, picture):
    torch.manual_seed(0)
    backbone = SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, num_queries=5, hidden_dim=32, feature_size=32, mask_feature_size=32,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, encoder_feedforward_dim=16,
        id2label={0: "cat", 1: "sky"}, label2id={"cat": 0, "sky": 1},
    )  # fmt: skip
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.class_predictor.bias.copy_(torch.tensor([9.0, 8.0, 0.0]))  # every query is sure of what it sees
        model.class_predictor.weight.mul_(20)
    model.save_pretrained(tmp_path / "panoptic")
    weights = load_file(tmp_path / "panoptic" / "model.safetensors")
    published = {name: weight for name, weight in weights.items() if ".swin.layernorm." not in name}
    assert len(published) == len(weights) - 2
    save_file(published, tmp_path / "panoptic" / "model.safetensors", metadata={"format": "pt"})
    Mask2FormerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "panoptic")
    seal(tmp_path, "tiny", "1", {"panoptic": Role(kind="mask2former", components={"model": "panoptic"})})
    panoptic = open_pack(tmp_path, device="cpu", dtype="fp32").panoptic
    assert isinstance(panoptic, roles.Panoptic)
    segments = panoptic.segments(picture)
    assert segments and {segment.label for segment in segments} <= {"cat", "sky"}
    assert all(segment.mask.shape == (40, 60) and segment.mask.dtype == bool for segment in segments)
    assert np.sum([segment.mask for segment in segments], axis=0).max() == 1
    assert [segment.score for segment in segments] == sorted((s.score for s in segments), reverse=True)


def test_a_models_own_code_is_never_run(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *asked: "y")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    names = {"AutoConfig": "evil.Config", "AutoTokenizer": ["evil.T", None], "AutoModelForCausalLM": "evil.Model"}
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / "chat" / name).write_text(json.dumps({"model_type": "evil", "auto_map": names}))
    for kind in ("chat", "transformers_chat"):
        seal(tmp_path, "tiny", "1", {"planner": Role(kind=kind, components={"model": "chat"})})
        with pytest.raises(PackError):
            _ = open_pack(tmp_path, device="cpu", dtype="fp32").planner
    assert not (tmp_path / "ran").exists()


def test_a_local_language_model_plans(tmp_path):
    torch.manual_seed(0)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = Qwen2Tokenizer(vocab={letter: i for i, letter in enumerate([*"abcdefgh", *special])}, merges=[])
    tokens.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    config = Qwen2Config(
        vocab_size=len(tokens), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1024,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "chat")
    tokens.save_pretrained(tmp_path / "chat")
    seal(tmp_path, "tiny", "1", {"planner": Role(kind="transformers_chat", components={"model": "chat"})})
    pack = open_pack(tmp_path, device="cpu", dtype="fp32")
    assert isinstance(pack.planner, roles.Planner)
    talk = (Message("system", "abc"), Message("user", "add"))
    assert pack.planner.complete(talk, ChatAnswer) == pack.chat(talk, Written)
