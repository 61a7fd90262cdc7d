from typing import Any

import numpy as np
import pytest
import torch

from pentimento.diffusion.samplers import Trajectory
from pentimento.editors.instructedit import InstructEdit
from pentimento.editors.planned import describe, plans_for
from pentimento.editors.ratios import at_ratios
from pentimento.editors.trajectories import RECENT, Recent, Start, digest
from pentimento.errors import NothingFound, PlanError
from pentimento.values import Plan, Request
from toy import Listening, ToyDiffusion, ToyPack, ToyPlanner, ToySegmenter, pack_with, toy_mask, toy_picture

PLAN = Plan(find=("dog",), before="photo of a dog", after="photo of a cat", kind="replace")
WORDS = "Change the dog to a cat"


def pack_of(model: ToyDiffusion, **parts: Any) -> ToyPack:
    return pack_with("text_to_image", model, **parts)


def test_ratio_zero_returns_the_input() -> None:
    picture = toy_picture(50, 40)
    result = InstructEdit(pack=ToyPack(), ratio=0)(Request(picture, WORDS))
    assert result.image.tobytes() == result.decoded.tobytes() == picture.tobytes()


@pytest.mark.parametrize(("ratio", "steps"), [(1, 1), (1, 3), (0.3, 7), (0.01, 60)])
def test_any_ratio_and_any_number_of_steps_work(ratio: float, steps: int) -> None:
    model = ToyDiffusion()
    InstructEdit(pack=pack_of(model), ratio=ratio, steps=steps)(Request(toy_picture(), plan=PLAN))
    level = int(steps * ratio + 0.5)
    assert model.calls == [1] * level + [2] * level  # guidance 1 on the way up, two branches on the way down


def test_latents_outside_the_mask_equal_the_clean_ones_bit_for_bit() -> None:
    model = ToyDiffusion(autoencoder=Listening())
    picture, mask = toy_picture(), toy_mask()
    InstructEdit(pack=pack_of(model), steps=4, ratio=1)(Request(picture, plan=PLAN, mask=mask))
    (y0,) = model.autoencoder.heard
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        x0 = model.autoencoder.encode(pixels)
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[2:6, 2:6] = False
    assert torch.equal(y0[..., outside], x0[..., outside])
    assert not torch.equal(y0, x0)


def test_the_same_caption_at_guidance_one_gives_the_autoencoders_picture_back() -> None:
    plan = PLAN.model_copy(update={"after": PLAN.before})
    model = ToyDiffusion(autoencoder=Listening())
    InstructEdit(pack=pack_of(model), steps=100, guidance=1)(Request(toy_picture(), plan=plan, mask=toy_mask()))
    (trajectory,) = (kept for _, (alive, kept) in RECENT._kept.items() if alive() is model)
    assert (model.autoencoder.heard[0] - trajectory.latents[0]).abs().max() < 0.05


def test_a_second_edit_of_a_picture_uses_its_inversion_again_and_gives_the_very_same_result() -> None:
    model, picture = ToyDiffusion(), toy_picture(seed=3)
    editor = InstructEdit(pack=pack_of(model), steps=10)
    first = editor(Request(picture, plan=PLAN))
    model.calls.clear()
    second = editor(Request(picture, plan=PLAN))
    assert model.calls == [2] * 5
    assert second.image.tobytes() == first.image.tobytes()


def test_a_higher_ratio_goes_on_with_the_inversion_and_equals_one_from_the_start() -> None:
    model, picture = ToyDiffusion(), toy_picture(seed=4)
    for ratio in (0.3, 0.8):
        model.calls.clear()
        extended = InstructEdit(pack=pack_of(model), steps=10, ratio=ratio)(Request(picture, plan=PLAN))
    assert model.calls == [1] * 5 + [2] * 8
    RECENT.forget()
    fresh = InstructEdit(pack=pack_of(model), steps=10, ratio=0.8)(Request(picture, plan=PLAN))
    assert fresh.image.tobytes() == extended.image.tobytes()


def test_another_caption_picture_model_or_convention_is_another_inversion() -> None:
    kept, model, other = Recent(limit=2), ToyDiffusion(), ToyDiffusion()
    pixels = torch.zeros(1, 3, 8, 8)
    start = Start(digest(pixels), "a dog", 10, "source")
    kept.keep(model, start, Trajectory((pixels,)))
    assert kept.find(model, start) is not None
    assert kept.find(other, start) is None
    for different in (
        Start(digest(pixels + 1), "a dog", 10, "source"),
        Start(digest(pixels), "a cat", 10, "source"),
        Start(digest(pixels), "a dog", 11, "source"),
        Start(digest(pixels), "a dog", 10, "destination"),
    ):
        assert kept.find(model, different) is None
        kept.keep(model, different, Trajectory((pixels,)))
    assert kept.find(model, start) is None  # forgotten: only two are kept


def test_the_timestep_of_the_inversion_is_a_setting_that_matters() -> None:
    request = Request(toy_picture(), plan=PLAN)
    source, destination = (
        InstructEdit(pack=ToyPack(), steps=6, inversion_timestep=convention)(request).decoded.tobytes()
        for convention in ("source", "destination")
    )
    assert source != destination


def test_a_plan_skips_the_language_processor_and_a_mask_the_segmenter() -> None:
    pack = ToyPack(planner=None, segmenter=None)
    result = InstructEdit(pack=pack, steps=2)(Request(toy_picture(), plan=PLAN, mask=toy_mask()))
    assert result.plan == PLAN


def test_a_plan_without_phrases_edits_the_whole_picture() -> None:
    plan = Plan(find=(), before="photo", after="photo at night", kind="time")
    result = InstructEdit(pack=ToyPack(segmenter=None), steps=2)(Request(toy_picture(30, 20), plan=plan))
    assert result.mask is not None and result.mask.shape == (20, 30) and result.mask.all()
    assert result.image.tobytes() == result.decoded.tobytes()


def test_several_edits_in_one_instruction_are_carried_out_one_after_the_other() -> None:
    seen: list[tuple[str, ...]] = []

    class Halves(ToySegmenter):
        def find(self, image, phrases, which="best"):
            seen.append(tuple(phrases))
            found = super().find(image, phrases, which)
            found.mask[:] = False
            found.mask[:, :32] = phrases[0] == "dog"
            found.mask[:, 32:] = phrases[0] != "dog"
            return found

    picture = toy_picture()
    pack = ToyPack(segmenter=Halves())
    both = InstructEdit(pack=pack, steps=4)(Request(picture, "Change the dog to a cat; Change the cup to a fork"))
    first = InstructEdit(pack=pack, steps=4)(Request(picture, WORDS))
    assert seen == [("dog",), ("cup",), ("dog",)]
    assert [plan["after"] for plan in both.record["plans"]] == ["photo of a cat", "photo of a fork"]
    assert both.mask is not None and both.mask.all()
    assert (np.asarray(both.image)[:, :32] == np.asarray(first.image)[:, :32]).all()
    assert (np.asarray(first.image)[:, 32:] == np.asarray(picture)[:, 32:]).all()
    assert (np.asarray(both.image)[:, 32:] != np.asarray(picture)[:, 32:]).any()


def test_what_the_segmenter_does_not_find_stops_the_edit_before_it_starts() -> None:
    with pytest.raises(NothingFound, match="unicorn"):
        InstructEdit(pack=ToyPack())(Request(toy_picture(), "Change the unicorn to a cat"))


def test_the_description_is_made_of_the_papers_two_questions() -> None:
    asked: list[str] = []

    class Asked:
        def ask(self, image, prompt):
            asked.append(prompt)
            return "A painting." if len(asked) == 1 else "two dogs in the snow."

    assert describe(Asked(), toy_picture()) == "A painting of two dogs in the snow"
    assert asked == ["Is this a photo, a painting or another kind of art?", "A painting of"]


def test_an_unclear_instruction_is_planned_again_with_a_description() -> None:
    (plan,) = plans_for(ToyPack(), "Change it to a cat", toy_picture(), "unclear")
    assert plan.find == ("dog",) and plan.description == "photo of a dog"


def test_a_clear_instruction_is_described_only_when_always_is_asked_for() -> None:
    descriptions = [plans_for(ToyPack(), WORDS, toy_picture(), how)[0].description for how in ("unclear", "always")]
    assert descriptions == ["", "photo of a dog"]


@pytest.mark.parametrize(("missing", "how"), [((), "never"), (("captioner",), "unclear")])
def test_without_a_description_an_unclear_instruction_is_a_plan_error(missing: tuple[str, ...], how: str) -> None:
    with pytest.raises(PlanError, match="unclear"):
        plans_for(ToyPack(missing=missing), "Change it to a cat", toy_picture(), how)


def test_text_is_encoded_once_an_edit() -> None:
    class Counting(ToyDiffusion):
        def encode_text(self, texts):
            encoded.append(tuple(texts))
            return super().encode_text(texts)

    encoded: list[tuple[str, ...]] = []
    InstructEdit(pack=pack_of(Counting(), planner=ToyPlanner()), steps=6)(Request(toy_picture(), WORDS))
    assert encoded == [("photo of a dog", "photo of a cat", "")]


def test_another_seed_gives_another_picture_inside_the_mask_and_the_same_outside() -> None:
    editor = InstructEdit(pack=pack_of(ToyDiffusion()), steps=10)
    first, other, same = (editor(Request(toy_picture(), plan=PLAN, mask=toy_mask(), seed=s)) for s in (0, 5, 5))
    changed = (np.asarray(first.image) != np.asarray(other.image)).any(-1)
    assert changed.any() and other.image.tobytes() == same.image.tobytes()
    still = InstructEdit(pack=editor.pack, steps=10, variety=0)(
        Request(toy_picture(), plan=PLAN, mask=toy_mask(), seed=5)
    )
    assert still.image.tobytes() == first.image.tobytes()


RATIOS = (0.4, 0, 1, 0.4, 0.7)


def levels_apart(one: Any, other: Any) -> int:
    """The largest difference of two pictures, in levels of 255."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.mark.parametrize("seed", [0, 5])
def test_several_ratios_as_one_batch_equal_the_single_edits(seed: int) -> None:
    model = ToyDiffusion()
    editor = InstructEdit(pack=pack_of(model), steps=10)
    request = Request(toy_picture(seed=6), WORDS, seed=seed)
    together = at_ratios(editor, request, RATIOS)
    assert model.calls == [1] * 10 + [2] * 3 + [4] * 3 + [6] * 4  # each joins on the way down
    for ratio, result in zip(RATIOS, together, strict=True):
        single = InstructEdit(**{**dict(editor), "ratio": ratio})(request)
        assert levels_apart(result.image, single.image) <= 1 and levels_apart(result.decoded, single.decoded) <= 1
        assert result.record["settings"] == single.record["settings"] and (result.mask == single.mask).all()
    assert levels_apart(together[0].decoded, together[2].decoded) > 1


def test_several_edits_in_one_instruction_are_carried_out_at_every_ratio() -> None:
    editor = InstructEdit(pack=pack_of(ToyDiffusion()), steps=4)
    request = Request(toy_picture(seed=7), "Change the dog to a cat; Change the cup to a fork")
    for ratio, result in zip((0, 0.5, 1), at_ratios(editor, request, (0, 0.5, 1)), strict=True):
        single = InstructEdit(**{**dict(editor), "ratio": ratio})(request)
        assert levels_apart(result.image, single.image) <= 2 and result.record["plans"] == single.record["plans"]


def test_an_editor_leaves_the_model_as_it_was() -> None:
    model = ToyDiffusion()
    InstructEdit(pack=pack_of(model), steps=2)(Request(toy_picture(), WORDS))
    assert not any("forward" in vars(module) or module._forward_pre_hooks for module in model.unet.modules())
