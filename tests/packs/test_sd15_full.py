"""The published architectures at full size, random weights, through the real loaders: names, shapes, preprocessors.

    pytest -m slow -s -n 0 tests/packs/test_sd15_full.py        # 16 GB of disk and 20 GB of memory at most at a time
    pytest -m slow -s -n 0 tests/packs/test_sd15_full.py -k "clip or detector"

One role at a time: written, loaded, run once, deleted. Not part of `make test`.
"""

import gc
import resource
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento import roles
from pentimento.language.chat import ChatAnswer, Message, prompt_of
from pentimento.packs import mock, open_pack
from pentimento.values import Box

pytestmark = pytest.mark.slow
PICTURE = Path(__file__).parents[2] / "examples" / "cat-and-dog.png"


@pytest.fixture
def picture() -> Image.Image:
    return Image.open(PICTURE).convert("RGB")


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The role that the test is about, from a pack in `tmp_path`, which is deleted afterwards."""
    role = request.node.get_closest_marker("role").args[0]
    start = perf_counter()
    mock.write("sd15", tmp_path / "pack", [role])
    written = perf_counter()
    loaded = [open_pack(tmp_path / "pack", device="cpu").load(role)]
    ready = perf_counter()
    yield loaded.pop()
    gc.collect()
    shutil.rmtree(tmp_path / "pack")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{role}: written in {written - start:.0f} s, loaded in {ready - written:.0f} s, "
          f"step {perf_counter() - ready:.1f} s, peak memory so far {peak:.1f} GB")  # fmt: skip
    assert peak < 20


def one_step(model: Any, channels: int) -> torch.Tensor:
    """eps of random latents at two noise levels, with two texts; checked for shape and sense."""
    assert isinstance(model, roles.Diffusion)
    assert (model.size, model.autoencoder.factor, model.autoencoder.scaling_factor) == (512, 8, 0.18215)
    assert model.alphas_cumprod.shape == (1000,)
    ids = model.tokenizer(["a cat", ""], padding="max_length", max_length=77).input_ids
    assert ids[0][0] == 49406 and ids[0].index(49407) > 2 and ids[1][1:] == [49407] * 76
    text = model.encode_text(["a cat", ""])
    assert text.shape == (2, 77, 768) and not torch.equal(text[0], text[1])
    x = torch.randn(1, channels, 64, 64, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with torch.no_grad():
        eps = model.denoise(x, torch.tensor([500, 500]), text)
    assert eps.shape == (2, 4, 64, 64) and eps.isfinite().all() and not torch.equal(eps[0], eps[1])
    return eps


@pytest.mark.role("text_to_image")
def test_stable_diffusion_encodes_takes_a_step_and_decodes(model: Any) -> None:
    eps = one_step(model, 4)
    latents = model.autoencoder.encode(torch.rand(1, 3, 512, 512) * 2 - 1)
    assert latents.shape == (1, 4, 64, 64) and latents.isfinite().all()
    pictures = model.autoencoder.decode(latents + 0.1 * eps[:1])
    assert pictures.shape == (1, 3, 512, 512) and pictures.isfinite().all()


@pytest.mark.role("instruct")
def test_instructpix2pix_takes_a_step_beside_its_picture(model: Any) -> None:
    one_step(model, 8)


@pytest.mark.role("inpaint")
def test_the_inpainting_model_takes_a_step_with_mask_and_picture(model: Any) -> None:
    one_step(model, 9)


@pytest.mark.role("clip")
def test_clip_embeds_pictures_and_texts(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.Clip)
    pictures, texts = model.embed_images([picture]), model.embed_texts(["a cat", "two dogs on a beach"])
    assert pictures.shape == (1, 768) and texts.shape == (2, 768)
    assert torch.allclose(texts.norm(dim=-1), torch.ones(2)) and not torch.allclose(texts[0], texts[1])


@pytest.mark.role("detector")
def test_grounding_dino_gives_its_900_boxes(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.Detector)
    ids = model.processor.tokenizer("cat. dog?").input_ids
    assert (ids[0], ids[-1]) == (101, 102) and 1012 in ids and 1029 in ids
    boxes = model.detect(picture, ["cat", "dog"], 0.0)
    assert len(boxes) == 900 and {box.phrase for box in boxes} <= {"cat", "dog"}


@pytest.mark.role("segmenter")
def test_segment_anything_gives_a_mask_a_box(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.BoxSegmenter)
    masks = model.masks(picture, (Box(10, 10, 60, 60), Box(40, 20, 100, 90)))
    assert masks.shape == (2, picture.height, picture.width)


@pytest.mark.role("segmenter_sam2")
def test_sam_2_gives_a_mask_a_box(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.BoxSegmenter)
    masks = model.masks(picture, (Box(10, 10, 60, 60), Box(40, 20, 100, 90)))
    assert masks.shape == (2, picture.height, picture.width)


@pytest.mark.role("panoptic")
def test_mask2former_gives_segments_that_do_not_overlap(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.Panoptic)
    segments = model.segments(picture)
    covered = sum((segment.mask.astype(int) for segment in segments), np.zeros((picture.height, picture.width), int))
    assert covered.max() <= 1
    assert len(model.model.config.id2label) == 133


@pytest.mark.role("captioner")
def test_blip2_answers(model: Any, picture: Image.Image) -> None:
    assert isinstance(model, roles.Captioner)
    language = model.model.language_model
    assert language.lm_head.weight.data_ptr() != language.shared.weight.data_ptr()
    assert model.processor.tokenizer.convert_tokens_to_ids("<image>") == 32100
    assert isinstance(model.ask(picture, "a photo of"), str)


@pytest.mark.role("planner")
def test_the_language_model_answers_in_its_own_turns(model: Any) -> None:
    assert isinstance(model, roles.Planner)
    talk = (Message("system", "answer in JSON"), Message("user", "make the cat a tiger"))
    prompt = prompt_of(model.complete.tokenizer, talk)
    assert prompt.endswith("<|im_start|>assistant\n")
    assert model.complete.tokenizer(prompt).input_ids[0] == 151644
    assert isinstance(replace(model.complete, longest=2)(talk, ChatAnswer), str)
