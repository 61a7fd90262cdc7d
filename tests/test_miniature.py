"""Claims about the embedded pack, on pictures that no recipe has seen: it is whole, edits, keeps what it should."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

import pentimento
from pentimento import studio
from pentimento.bench.visual_cases import draw_case
from pentimento.data.scenes import draw_scene, render
from pentimento.errors import NothingFound
from pentimento.packs.manifest import read_manifest, verify
from pentimento.values import Plan

EXAMPLE = Path(__file__).parent.parent / "examples" / "cat-and-dog.png"
QUICK = dict(steps=10)
WHOLE_PICTURE = Plan(find=(), before="photo", after="photo at night", kind="time")


@pytest.fixture(scope="module")
def folder() -> Path:
    with resources.as_file(resources.files("pentimento.packs") / "miniature") as path:
        return path


def test_every_file_of_the_pack_has_the_bits_that_its_manifest_names_and_none_is_large(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.json")
    verify(folder, manifest)
    sizes = {name: (folder / name).stat().st_size for name in manifest.files}
    assert max(sizes.values()) <= 15e6
    assert sum(sizes.values()) <= 128e6
    needed = ("vae", "tokenizer", "scheduler", "text_to_image", "language", "detector", "segmenter", "captioner")
    assert sum(size for name, size in sizes.items() if name.split("/")[0] in needed) <= 64e6
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]


def test_the_captioner_looks_through_the_pack_s_one_detector() -> None:
    pack = studio.open_studio().pack
    words = pack.placement.words.split()
    assert studio.open_studio("miniature", "auto", "auto").pack is pack is studio.open_studio("miniature", *words).pack
    assert pack.captioner.net.detector is pack.detector.net


def test_words_edit_the_example_and_every_pixel_away_from_the_mask_stays(tmp_path: Path) -> None:
    edited = pentimento.edit(EXAMPLE, "change the cat to a tiger", **QUICK)
    before, after = np.asarray(edited.picture.image), np.asarray(edited.image)
    changed = (before != after).any(-1)
    near = binary_dilation(edited.mask, np.ones((17, 17)))  # a latent cell is 8 pixels at most
    assert edited.record.plans[0].find == ("cat",)
    assert changed.any() and not (changed & ~near).any()
    pentimento.save(edited, tmp_path / "out.png")
    _, identical = studio.again(tmp_path / "out.png")
    assert identical


def test_instructpix2pix_edits_the_example_and_repeats_itself(tmp_path: Path) -> None:
    edited = pentimento.edit(EXAMPLE, "make it night", method="instructpix2pix", seed=3, steps=4)
    assert (np.asarray(edited.image) != np.asarray(edited.picture.image)).any()
    pentimento.save(edited, tmp_path / "out.png")
    assert studio.again(tmp_path / "out.png")[1]


def test_the_mask_lies_on_the_cat_and_not_on_the_dog() -> None:
    found = studio.find(studio.open_studio(), studio.from_pil(Image.open(EXAMPLE)), ["cat"])
    left, right = found.mask[:, :64].sum(), found.mask[:, 64:].sum()
    assert left > 10 * right


def test_the_autoencoder_gives_unseen_scenes_back() -> None:
    import torch

    from pentimento.diffusion.latents import to_tensor

    model = studio.open_studio().pack.text_to_image.autoencoder
    errors = []
    for seed in range(8):
        pixels = to_tensor(Image.fromarray(render(draw_scene(seed, "test")).image))
        with torch.no_grad():
            errors.append(float(((model.decode(model.encode(pixels)) - pixels) / 2).square().mean()))
    assert -10 * np.log10(np.mean(errors)) > 23  # dB


@pytest.mark.parametrize("kind", ["noise", "grey"])
def test_pictures_that_show_nothing_are_edited_as_a_whole_or_refused_and_never_become_nan(kind: str) -> None:
    rng = np.random.default_rng(0)
    noise, grey = rng.integers(0, 256, (60, 90, 3), dtype=np.uint8), np.full((60, 90, 3), 128, np.uint8)
    picture = Image.fromarray(noise if kind == "noise" else grey)
    edited = pentimento.edit(picture, plans=(WHOLE_PICTURE,), steps=4)
    assert edited.image.size == picture.size and np.isfinite(np.asarray(edited.image, float)).all()
    with pytest.raises(NothingFound):
        pentimento.edit(Image.new("RGB", (60, 90), (120, 160, 200)), "change the cat to a tiger", **QUICK)


def test_an_answer_beside_an_example_is_an_edit_of_the_picture_that_it_was_asked_about() -> None:
    """Three validation prompts: each answer is nearer to its own picture's truth than to those of the others."""
    cases = [draw_case(2 * number, 0, "in_domain", "validation", held_out=False) for number in (1, 4, 5)]
    answers = [
        pentimento.edit(case.case.image, case.case.instruction, method="instructgie", example=case.example,
                        guidance=1.0, steps=8) for case in cases
    ]  # fmt: skip
    truths = [np.asarray(case.case.truth, float) for case in cases]
    apart = np.array([[np.square(np.asarray(a.image, float) - truth).mean() for truth in truths] for a in answers])
    assert apart.argmin(axis=1).tolist() == [0, 1, 2]
