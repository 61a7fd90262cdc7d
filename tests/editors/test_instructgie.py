"""InstructGIE and Prompt Diffusion: what words and example do, alone and together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from pentimento.diffusion.grids import Quadrants, joined, quadrants
from pentimento.diffusion.latents import to_picture
from pentimento.diffusion.objectives import draw_noise
from pentimento.editors import EDITORS, shown
from pentimento.editors.instructpix2pix import InstructPix2Pix
from pentimento.errors import PackError, RequestError
from pentimento.values import Pair, Request
from toy import SIZE, ToyInContext, ToyPack, toy_picture

WORDS = "Change the dog to a cat"
EXAMPLE = Pair(toy_picture(seed=1), toy_picture(seed=2))
BOTH = pytest.mark.parametrize("method", ["instructgie", "promptdiffusion"])


@dataclass(frozen=True, eq=False)
class Seeing(ToyPack):
    """The toy pack with a clip that reads colours off a few places."""

    clip: Any = None


class Colours:
    def embed_pixels(self, pixels: Tensor) -> Tensor:
        return pixels[..., ::16, ::16].flatten(1)


@dataclass(frozen=True, eq=False)
class Asked(ToyInContext):
    """The toy model, which keeps what it is asked at: noisy latents, timesteps."""

    at: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def prompted(self, prompt: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        denoise = super().prompted(prompt)

        def asked(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            self.at.append((x, t))
            return denoise(x, t, text)

        return asked


def asked_at(method: str, words: str, pairs: tuple[Pair, ...] = ()) -> Asked:
    """The method's model after a request, carried out with it."""
    pack, model = ToyPack(), Asked(2 if method == "instructgie" else 1)
    vars(pack)[model_role(method)] = model
    edited(method, words, pairs, pack)
    return model


def edited(method: str, words: str = "", pairs: tuple[Pair, ...] = (), pack: Any = None, **settings: Any) -> Any:
    editor = EDITORS[method](pack=pack or ToyPack(), steps=2, **settings)
    return editor(Request(toy_picture(), words, pairs=pairs))


def model_of(pack: ToyPack, method: str) -> Any:
    return getattr(pack, model_role(method))


def model_role(method: str) -> str:
    return "incontext" if method == "instructgie" else "prompt_diffusion"


@BOTH
def test_words_an_example_or_both_are_enough_and_each_counts(method: str) -> None:
    asked = [(WORDS, ()), ("", (EXAMPLE,)), (WORDS, (EXAMPLE,))]
    assert len({edited(method, *one).image.tobytes() for one in asked}) == 3


@BOTH
def test_the_model_sees_example_and_picture_and_grey_where_nothing_is(method: str) -> None:
    pack = ToyPack()
    edited(method, WORDS, pack=pack)
    edited(method, "", (EXAMPLE,), pack=pack)
    alone, shown = model_of(pack, method).prompts
    assert alone.shape == (1, 3, 2 * SIZE, 2 * SIZE)
    assert not alone[..., :SIZE, :].any() and not alone[..., SIZE:, SIZE:].any() and alone[..., SIZE:, :SIZE].any()
    assert shown[..., :SIZE, :SIZE].any() and not torch.equal(shown[..., :SIZE, :SIZE], shown[..., :SIZE, SIZE:])


def test_without_an_example_the_grid_is_noised_over_grey_above_the_picture_as_in_training() -> None:
    model = asked_at("instructgie", WORDS)
    grey = model.autoencoder.encode(torch.zeros(1, 3, SIZE, SIZE)).repeat(1, 1, 1, 2)  # before and after
    drawn = []
    for x, t in model.at:
        upper, lower = x.chunk(2, dim=-2)
        alpha = model.alphas_cumprod[t].view(-1, 1, 1, 1)
        drawn.append((upper - alpha.sqrt() * grey) / (1 - alpha).sqrt())
        assert lower.std() > 0.1
    assert len(drawn) == 2 and all(len(noise) == 2 for noise in drawn)  # steps; with the words and without
    assert all(torch.allclose(noise, drawn[0][:1], atol=1e-3) for noise in drawn)  # one noise, at every step
    assert drawn[0].mean().abs() < 0.2 and 0.8 < drawn[0].std() < 1.2


def test_the_answers_own_quadrant_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def four(noise: Any, like: Tensor, *rest: Any) -> Tensor:
        """Four painted pictures that differ."""
        return joined(Quadrants(*(torch.full_like(quadrants(like).in0, level) for level in (-2.0, -1.0, 1.0, 2.0))))

    monkeypatch.setattr("pentimento.editors.shown.euler_ancestral_sample", four)
    pack = ToyPack()
    answer = quadrants(four(None, torch.zeros(1, 4, 2 * SIZE // 8, 2 * SIZE // 8))).answer
    shown = edited("instructgie", WORDS, (EXAMPLE,), pack).image
    assert shown.tobytes() == to_picture(pack.incontext.autoencoder.decode(answer)).tobytes()


@pytest.mark.parametrize(
    ("method", "words", "pairs"),
    [("instructgie", "", (EXAMPLE,)), ("instructgie", WORDS, (EXAMPLE,)), ("promptdiffusion", WORDS, ())],
)
def test_where_no_example_is_painted_over_the_model_is_first_asked_at_the_seeds_first_noise(
    method: str, words: str, pairs: tuple[Pair, ...]
) -> None:
    model = asked_at(method, words, pairs)
    x, t = model.at[0]
    first = draw_noise(x[:1], torch.Generator().manual_seed(0))
    assert torch.allclose(x, (1 - model.alphas_cumprod[t[0]]).sqrt() * first, atol=1e-5)


@BOTH
def test_an_example_of_any_size_is_seen_whole(method: str) -> None:
    large = Pair(toy_picture(150, 90, seed=1), toy_picture(150, 90, seed=2).convert("RGBA"))
    assert edited(method, "", (large,)).image.size == (SIZE, SIZE)


@BOTH
def test_without_words_the_guidance_scale_does_nothing(method: str) -> None:
    one, nine = (edited(method, "", (EXAMPLE,), guidance=scale).image.tobytes() for scale in (1.0, 9.0))
    assert one == nine
    one, nine = (edited(method, WORDS, (EXAMPLE,), guidance=scale).image.tobytes() for scale in (1.0, 9.0))
    assert one != nine


@BOTH
@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ((), "needs an instruction, an example pair, or both"),
        ((EXAMPLE, EXAMPLE), "looks at one example and 2 were given"),
        ((Pair(toy_picture(), toy_picture(32, 40)),), "different sizes, 64x64 and 32x40"),
        ((Pair(Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4))),), "8x8"),
    ],
)
def test_an_example_that_cannot_be_used_is_refused(method: str, pairs: tuple[Pair, ...], named: str) -> None:
    with pytest.raises(RequestError, match=named):
        edited(method, " ", pairs)


def test_the_instruction_is_read_in_its_unified_words_which_are_asked_for_once() -> None:
    asked: list[str] = []

    class Counting(ToyPack):
        name = "counting"

        @property
        def chat(self) -> Any:
            def complete(talk: Any, kind: Any) -> str:
                asked.append(talk[-1].content)
                return '{"instruction": "turn the dog into a cat"}'

            return complete

    pack = Counting()
    results = [edited("instructgie", WORDS, pack=pack) for _ in range(2)]
    assert len(asked) == 1 and WORDS in asked[0]
    assert [result.record["unified"] for result in results] == ["turn the dog into a cat"] * 2
    assert pack.incontext.texts[0] == "turn the dog into a cat"
    assert edited("instructgie", WORDS, pack=pack, unify=False).record["unified"] == WORDS
    assert edited("promptdiffusion", WORDS, pack=pack).record["unified"] == WORDS and len(asked) == 1


def test_unified_words_are_kept_for_the_last_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "UNIFIED", {})
    monkeypatch.setattr(shown, "KEPT", 2)
    for noun in ("dog", "fox", "pig"):
        shown.unified_by(ToyPack(), f"make it a {noun}")
    assert [said for _, said in shown.UNIFIED] == ["make it a fox", "make it a pig"]


def test_a_pack_without_a_language_model_unifies_by_its_planner_or_not_at_all() -> None:
    assert edited("instructgie", WORDS).record["unified"] == "turn the dog into a cat"

    class Wordless(ToyPack):
        hash = "w" * 64

        def __getattribute__(self, name: str) -> Any:
            if name == "planner":
                raise PackError("the pack toy has no planner")
            return super().__getattribute__(name)

    assert edited("instructgie", WORDS, pack=Wordless()).record["unified"] == WORDS


def test_shift_guidance_turns_the_answer_and_needs_an_example() -> None:
    pack = Seeing(clip=Colours())
    plain, still, turned = (
        edited("instructgie", "", (EXAMPLE,), pack=pack, shift_guidance=scale).image.tobytes() for scale in (0, 0, 1)
    )
    assert plain == still != turned
    with pytest.raises(RequestError, match="shift_guidance follows an example"):
        edited("instructgie", WORDS, pack=pack, shift_guidance=1)


def test_instructpix2pix_has_a_second_model_for_comparison() -> None:
    request = Request(toy_picture(), WORDS)
    one, other = (
        InstructPix2Pix(pack=ToyPack(), steps=2, taught_by=by)(request).image.tobytes()
        for by in ("edits", "visual_prompts")
    )
    assert one != other
