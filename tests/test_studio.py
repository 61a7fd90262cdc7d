import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pentimento
from conftest import source_environment
from pentimento import images, studio
from pentimento.errors import NothingFound, PlanError, RequestError
from pentimento.values import Plan

TIGER = "change the cat to tiger"


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def test_the_three_lines_of_the_readme_edit_a_picture(
    workshop: studio.Studio, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line.strip() and not line.startswith("#")]) == 3
    monkeypatch.chdir(photo.parent)
    exec(code[1].replace("to a tiger", "to tiger"), {})  # the fake planner knows no articles
    assert images.open_picture("out.png").image.size == (48, 40)


def test_pixels_outside_the_mask_are_unchanged(workshop: studio.Studio, photo: Path) -> None:
    edited = pentimento.edit(photo, TIGER)
    before = pixels(Image.open(photo))
    assert edited.mask is not None and edited.mask[:, :24].all()
    assert np.array_equal(pixels(edited.image)[:, 24:], before[:, 24:])
    assert not np.array_equal(pixels(edited.image)[:, :24], before[:, :24])


def test_two_edits_in_one_instruction_are_carried_out_one_after_the_other(workshop: studio.Studio, photo: Path) -> None:
    both = pentimento.edit(photo, f"{TIGER} and change the dog on the right to wolf")
    assert [plan.after for plan in both.record.plans] == ["photo of tiger", "photo of wolf"]
    assert both.mask is not None and both.mask.all()
    first = pentimento.edit(photo, TIGER)
    second = pentimento.edit(first.image, "change the dog on the right to wolf")
    assert np.array_equal(pixels(both.image), pixels(second.image))


def test_the_studio_gives_what_the_editor_alone_gives(workshop: studio.Studio, photo: Path) -> None:
    instruction = f"{TIGER} and change the dog on the right to wolf"
    editor = studio.make_editor(workshop, "instructedit", {})
    alone = editor(pentimento.studio.Request(Image.open(photo), instruction), studio.quiet)
    assert np.array_equal(pixels(alone.image), pixels(pentimento.edit(photo, instruction).image))


def test_alpha_and_size_are_kept(workshop: studio.Studio, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rgba = rng.integers(0, 256, (51, 33, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "in.png")
    edited = pentimento.edit(tmp_path / "in.png", TIGER)
    pentimento.save(edited, tmp_path / "out.png")
    for image in (edited.image, Image.open(tmp_path / "out.png")):
        assert image.mode == "RGBA" and image.size == (33, 51)
        assert np.array_equal(np.asarray(image)[..., 3], rgba[..., 3])


@pytest.mark.parametrize("method", ["instructedit", "instructpix2pix"])
@pytest.mark.parametrize("alpha", [False, True])
def test_again_repeats_a_result_bit_for_bit(workshop: studio.Studio, tmp_path: Path, method: str, alpha: bool) -> None:
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (51, 33, 4 if alpha else 3), dtype=np.uint8)).save(tmp_path / "in.png")
    instruction = f"{TIGER} and change the dog on the right to wolf"
    edited = pentimento.edit(tmp_path / "in.png", instruction, method=method, seed=11, guidance=3.3)
    pentimento.save(edited, tmp_path / "out.png")
    repeated, identical = pentimento.again(tmp_path / "out.png")
    assert identical
    assert repeated.record.settings == edited.record.settings and repeated.record.settings["guidance"] == 3.3
    assert repeated.record.plans == edited.record.plans


def test_again_keeps_a_mask_that_a_person_gave(workshop: studio.Studio, photo: Path) -> None:
    mask = np.zeros((40, 48), dtype=bool)
    mask[3:17, 20:41] = True
    edited = pentimento.edit(photo, TIGER, mask=mask)
    assert np.array_equal(edited.mask, mask)
    pentimento.save(edited, photo.with_name("out.png"))
    repeated, identical = pentimento.again(photo.with_name("out.png"))
    assert identical and np.array_equal(repeated.mask, mask)


def test_again_does_not_ask_the_planner_again(workshop: studio.Studio, photo: Path, fake_pack: Any) -> None:
    pentimento.save(pentimento.edit(photo, TIGER), photo.with_name("out.png"))
    fake_pack.planner = None
    assert pentimento.again(photo.with_name("out.png"))[1]


def test_again_refuses_another_picture(workshop: studio.Studio, photo: Path) -> None:
    out = photo.with_name("out.png")
    pentimento.save(pentimento.edit(photo, TIGER), out)
    Image.new("RGB", (48, 40), "teal").save(photo)
    with pytest.raises(RequestError, match="is not the picture"):
        pentimento.again(out)
    photo.unlink()
    with pytest.raises(RequestError, match="--image"):
        pentimento.again(out)


def test_again_takes_the_same_picture_from_elsewhere(workshop: studio.Studio, photo: Path) -> None:
    out = photo.with_name("out.png")
    pentimento.save(pentimento.edit(photo, TIGER), out)
    photo.rename(photo.with_name("moved.png"))
    assert pentimento.again(out, photo.with_name("moved.png"))[1]


def test_again_refuses_another_version_of_the_pack(workshop: studio.Studio, photo: Path, fake_pack: Any) -> None:
    out = photo.with_name("out.png")
    pentimento.save(pentimento.edit(photo, TIGER), out)
    fake_pack.hash = "0" * 64
    with pytest.raises(RequestError, match="another version of the pack"):
        pentimento.again(out)


def test_a_record_is_whole_and_says_where_a_result_came_from(workshop: studio.Studio, photo: Path) -> None:
    record = pentimento.edit(photo, TIGER, seed=3, ratio=0.7).record
    fields = json.loads(json.dumps(record.model_dump(mode="json")))
    assert fields["method"] == "instructedit" and fields["seed"] == 3 and fields["instruction"] == TIGER
    assert fields["settings"]["ratio"] == 0.7 and fields["settings"]["steps"] == 4  # given; the pack's own
    assert fields["settings"].keys() == {
        one.name for one in studio.describe(type(studio.make_editor(workshop, "instructedit", {})))
    }
    assert fields["pack"] == "miniature" and fields["pack_hash"] == "f" * 64
    assert fields["input"] == str(photo) and fields["input_sha256"] == images.open_picture(photo).file_hash
    assert {"pentimento", "torch", "diffusers", "python", "threads"} <= fields["versions"].keys()
    assert fields["seconds"].keys() == {"plan", "mask", "edit"}
    assert [Plan.model_validate(plan) for plan in fields["plans"]] == list(record.plans)


def test_variants_have_their_own_seeds_and_plan_once(workshop: studio.Studio, photo: Path, fake_pack: Any) -> None:
    asked = []
    planner = fake_pack.planner

    class Counting:
        def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
            asked.append(instruction)
            return planner.plan(instruction, description)

    fake_pack.planner = Counting()
    editor = studio.make_editor(workshop, "instructedit", {})
    made = list(studio.variants(workshop, editor, "instructedit", images.open_picture(photo), TIGER, seeds=range(4, 7)))
    assert [edited.record.seed for edited in made] == [4, 5, 6]
    assert len(asked) == 1


def test_seeds_make_different_pictures_where_a_method_draws_noise(workshop: studio.Studio, photo: Path) -> None:
    one, other = (pentimento.edit(photo, TIGER, method="instructpix2pix", seed=seed) for seed in (0, 1))
    assert not np.array_equal(pixels(one.image), pixels(other.image))


def test_a_request_leaves_the_given_picture_as_it_was(workshop: studio.Studio, photo: Path) -> None:
    image = Image.open(photo).convert("RGB")
    before = pixels(image).copy()
    pentimento.edit(image, TIGER)
    assert np.array_equal(pixels(image), before)


@pytest.mark.parametrize("instruction", ["", "   \n", "a" * 10_000])
def test_empty_and_endless_instructions_are_refused(workshop: studio.Studio, photo: Path, instruction: str) -> None:
    with pytest.raises(RequestError, match="instruction"):
        pentimento.edit(photo, instruction)


@pytest.mark.parametrize(
    "settings", [{"ratio": 1.2}, {"steps": 0}, {"guidance": -1}, {"colour": 3}, {"guidance": float("nan")}]
)
def test_a_setting_out_of_range_is_named(workshop: studio.Studio, photo: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(settings))) as caught:
        pentimento.edit(photo, TIGER, **settings)
    assert "\n" not in str(caught.value)


def test_an_unknown_method_is_refused_with_those_that_exist(workshop: studio.Studio, photo: Path) -> None:
    with pytest.raises(RequestError, match="unknown method 'magic'.*instructedit"):
        pentimento.edit(photo, TIGER, method="magic")


def test_words_that_mean_nothing_are_a_plan_error(workshop: studio.Studio, photo: Path) -> None:
    with pytest.raises(PlanError):
        pentimento.edit(photo, "🐈 → 🐅, s'il vous plaît")


def test_nothing_found_carries_the_best_score(workshop: studio.Studio, photo: Path) -> None:
    with pytest.raises(NothingFound, match="zebra") as caught:
        pentimento.edit(photo, "change the zebra to horse")
    assert caught.value.best_score == 0.12


def test_importing_the_library_is_light() -> None:
    code = "import sys, pentimento; print([m for m in ('torch', 'numpy', 'PIL', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=source_environment())
    assert done.stdout.strip() == "[]"


def test_a_pack_is_described_without_loading_weights() -> None:
    described = studio.describe_pack("sd15")
    assert described["name"] == "sd15" and "text_to_image" in described["roles"]
    assert "in [0, 1]" in described["methods"]["instructedit"]["ratio"]
