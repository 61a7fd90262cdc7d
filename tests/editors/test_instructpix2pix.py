from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionInstructPix2PixPipeline
from diffusers.utils import logging
from PIL import Image

from pentimento.editors import EDITORS
from pentimento.editors.instructpix2pix import InstructPix2Pix
from pentimento.errors import RequestError
from pentimento.values import Request
from toy import FACTOR, SIZE, ToyAutoencoder, ToyPack, toy_learned, toy_mask, toy_picture

WORDS = "Change the dog to a cat"


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(level)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers under numpy 2
@torch.no_grad()
def test_the_result_equals_diffusers_pipeline_on_the_same_weights() -> None:
    pack, picture = ToyPack(), toy_picture()
    model = pack.instruct
    with quiet_diffusers():
        pipeline = StableDiffusionInstructPix2PixPipeline(
            vae=model.autoencoder.network,
            text_encoder=None,
            tokenizer=None,
            unet=model.unet,
            scheduler=EulerAncestralDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    text, null = model.encode_text([WORDS, ""]).split(1)
    theirs = pipeline(
        image=picture,
        prompt_embeds=text,
        negative_prompt_embeds=null,
        num_inference_steps=10,
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    editor = InstructPix2Pix(pack=pack, steps=10, image_latents="unscaled")
    ours = editor(Request(picture, WORDS, seed=3)).image
    difference = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
    assert difference.max() <= 1
    assert ours.tobytes() != editor(Request(picture, WORDS, seed=4)).image.tobytes()


def test_the_scale_of_the_pictures_latents_is_a_setting_that_matters() -> None:
    request = Request(toy_picture(), WORDS)
    scaled, unscaled = (
        InstructPix2Pix(pack=ToyPack(), steps=3, image_latents=scale)(request).image.tobytes()
        for scale in ("scaled", "unscaled")
    )
    assert scaled != unscaled


def test_the_whole_picture_is_edited_without_a_mask() -> None:
    result = InstructPix2Pix(pack=ToyPack(), steps=2)(Request(toy_picture(), WORDS))
    assert result.mask is None and result.plan is None
    assert result.image.tobytes() == result.decoded.tobytes()


def test_a_mask_confines_the_edit_and_leaves_the_decoded_picture_whole() -> None:
    picture, mask = toy_picture(), toy_mask()
    whole = InstructPix2Pix(pack=ToyPack(), steps=2)(Request(picture, WORDS))
    confined = InstructPix2Pix(pack=ToyPack(), steps=2, feather=0)(Request(picture, WORDS, mask=mask))
    assert confined.decoded.tobytes() == whole.image.tobytes()
    expected = np.where(mask[..., None], np.asarray(whole.image), np.asarray(picture))
    assert confined.image.tobytes() == Image.fromarray(expected).tobytes()


def test_latents_are_as_large_as_the_model_wants_them() -> None:
    assert ToyAutoencoder().encode(torch.zeros(1, 3, SIZE, SIZE)).shape[-1] == SIZE // FACTOR


@pytest.mark.parametrize("method", ["instructpix2pix", "instructbrush"])
def test_several_seeds_as_one_batch_are_what_each_gives_alone(method: str) -> None:
    editor = EDITORS[method](pack=ToyPack(), steps=4)
    learned = toy_learned() if method == "instructbrush" else None
    request = Request(toy_picture(), "make it snow", learned=learned, seed=7)
    together = editor.of_seeds(request, (0, 3, 1))
    for seed, one in zip((0, 3, 1), together, strict=True):
        alone = editor(replace(request, seed=seed))
        assert one.record["seed"] == seed
        assert np.abs(np.asarray(one.image, dtype=int) - np.asarray(alone.image)).max() <= 1
    assert len({one.image.tobytes() for one in together}) == 3
    with pytest.raises(RequestError, match="the seed is -1"):
        editor.of_seeds(request, (0, -1))
