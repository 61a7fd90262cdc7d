"""Learning an instruction: exact at the start, part by part, only in the text branch, and the same when broken off."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pentimento import studio
from pentimento.diffusion.attention import moved_back, part_of
from pentimento.diffusion.guidance import dual
from pentimento.editors import EDITORS
from pentimento.errors import RequestError
from pentimento.learned import load_learned, save_learned
from pentimento.learning import LearnSettings, learn, learn_settings, settings_for
from pentimento.learning.instruction import Batch, in_turn, learning_job, predicted
from pentimento.values import Learned, Pair, Request
from toy import (
    CHANNELS,
    TOKENS,
    WIDTH,
    ToyDiffusion,
    ToyPack,
    Wordy,
    denoiser_network,
    toy_learned,
    toy_mask,
    toy_picture,
)

PAIRS = [Pair(toy_picture(seed=i), toy_picture(seed=10 + i)) for i in range(3)]
WORDS = "make it snow"
QUICK: dict[str, Any] = {"instruction": WORDS}
SPACES = pytest.mark.parametrize("space", ["attention", "text"])


def job_of(pack: ToyPack, tmp_path: Path, words: str = WORDS, **settings: Any) -> Any:
    chosen = LearnSettings(**{**QUICK, **settings})
    return learning_job(pack.instruct, PAIRS, chosen, words, tmp_path / "brush.safetensors", tmp_path)


def fresh(pack: ToyPack, tmp_path: Path, **settings: Any) -> Learned:
    """What would be written before the first step."""
    job = job_of(pack, tmp_path, **settings)
    job.export(job.model, tmp_path)
    return load_learned(tmp_path / "brush.safetensors")


@SPACES
def test_before_the_first_step_an_edit_is_that_of_the_initial_words_bit_for_bit(tmp_path: Path, space: str) -> None:
    pack = ToyPack()
    learned = fresh(pack, tmp_path, space=space)
    plain = EDITORS["instructpix2pix"](pack=pack, steps=4)(Request(toy_picture(), WORDS, seed=3))
    brushed = EDITORS["instructbrush"](pack=pack, steps=4)(Request(toy_picture(), learned=learned, seed=3))
    assert brushed.image.tobytes() == plain.image.tobytes()


@SPACES
def test_learning_lowers_the_loss_and_changes_every_part(tmp_path: Path, space: str) -> None:
    pack = ToyPack()
    job = job_of(pack, tmp_path, space=space, steps=30, lr=0.05)
    at = Batch(torch.zeros(5, dtype=torch.long), torch.tensor([100, 300, 500, 700, 900]))

    def loss() -> torch.Tensor:
        return job.loss(job.model, at, torch.Generator().manual_seed(1))

    optimizer = torch.optim.Adam(job.model.parameters(), lr=0.05)
    start = {name: p.detach().clone() for name, p in job.model.named_parameters()}
    first = float(loss().detach())
    for _ in range(30):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert float(loss().detach()) < first
    for name, parameter in job.model.named_parameters():
        assert (parameter != start[name]).flatten(1).any(1).all(), f"a part of {name} has not moved"


def test_a_part_learns_from_its_own_timesteps_alone(tmp_path: Path) -> None:
    job = job_of(ToyPack(), tmp_path)
    for step in range(20):
        assert (job.batch(step, 5).t * 5 // 1000).tolist() == [0, 1, 2, 3, 4]
    uneven = job_of(ToyPack(), tmp_path, parts=7)
    drawn = torch.stack([uneven.batch(step, 7).t for step in range(400)])
    assert (part_of(drawn, 7, 1000) == torch.arange(7)).all() and {142, 285, 571, 999} & set(drawn.flatten().tolist())
    one = Batch(torch.tensor([0]), torch.tensor([450]))
    job.loss(job.model, one, torch.Generator().manual_seed(0)).backward()
    for parameter in job.model.parameters():
        moved = parameter.grad.flatten(1).abs().sum(1) > 0
        assert moved.tolist() == [False, False, True, False, False]


def test_visii_sees_each_timestep_once_before_any_comes_again() -> None:
    turns = [in_turn(200, 300, step, seed=0) for step in range(200)]
    assert sorted(turns[:100]) == sorted(turns[100:]) == list(range(200, 300))
    assert turns[:100] != turns[100:] != sorted(turns[100:])
    assert learn_settings("visii", {}).each_timestep_once and not learn_settings("instructbrush", {}).each_timestep_once


def test_timesteps_in_turn_stay_in_their_parts(tmp_path: Path) -> None:
    job = job_of(ToyPack(), tmp_path, each_timestep_once=True)
    seen = torch.stack([job.batch(step, 5).t for step in range(40)])
    assert (seen * 5 // 1000 == torch.arange(5)).all() and all(len(set(part.tolist())) == 40 for part in seen.T)


@SPACES
def test_the_guided_prediction_in_the_loss_is_the_samplers_own(tmp_path: Path, space: str) -> None:
    model = ToyPack().instruct
    settings = LearnSettings(**QUICK, space=space, train_with_guidance=True)
    job = job_of(ToyPack(), tmp_path, space=space)
    x, image = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    text, null = model.encode_text([WORDS, ""]).split(1)
    t = torch.tensor([640])
    with torch.no_grad():
        ours = predicted(model, job.model.slots(), settings, x, t, text, null, image)
        sampled = dual(model.denoise, text, null, image, 7.5, 1.5)(x, t)
    assert torch.allclose(ours, sampled, atol=1e-4)


def test_without_words_the_padding_of_the_empty_text_is_the_beginning(tmp_path: Path) -> None:
    model = ToyPack().instruct
    job = job_of(ToyPack(), tmp_path, words="", space="text", instruction="", tokens=20)
    (states,) = job.model.slots().values
    assert states.shape[1] == Wordy.tokens - 2
    assert torch.equal(states[0], model.encode_text([""])[0, 1 : Wordy.tokens - 1])


def test_a_run_that_was_broken_off_ends_with_the_same_numbers(tmp_path: Path) -> None:
    pack = ToyPack()

    def learned(name: str, *stretches: int) -> Learned:
        for steps in stretches:
            made = learn(pack, PAIRS, tmp_path / f"{name}.safetensors", LearnSettings(**QUICK, steps=steps))
        return made

    whole, broken = learned("whole", 6), learned("broken", 2, 6)
    for one, other in zip(whole.keys + whole.values, broken.keys + broken.values, strict=True):
        assert np.array_equal(one, other)
    assert whole.base == "toy" and whole.about["pairs"] == 3


def test_a_packs_scales_are_those_of_its_instructpix2pix_and_ones_own_settings_win() -> None:
    pack = ToyPack(defaults={
        "instructpix2pix": {"image_latents": "unscaled", "guidance": 4.0, "steps": 9}, "learning": {"lr": 0.01},
    })  # fmt: skip
    chosen = settings_for(pack, "visii", {"guidance": 3.0, "steps": 5})
    assert (chosen.image_latents, chosen.guidance, chosen.lr, chosen.steps) == ("unscaled", 3.0, 0.01, 5)


def test_what_is_learned_otherwise_has_a_rate_of_its_own() -> None:
    pack = ToyPack(defaults={
        "learning": {"lr": 0.01, "steps": 7}, "learning_text": {"lr": 0.02}, "learning_visii": {"lr": 0.03},
        "learning_unguided": {"lr": 0.04},
    })  # fmt: skip
    asked = [
        ("instructbrush", {}),
        ("instructbrush", {"parts": 1}),
        ("instructbrush", {"space": "text"}),
        ("visii", {}),
        ("instructbrush", {"train_with_guidance": False}),
        ("instructbrush", {"train_with_guidance": "false"}),  # as it comes from a command line
    ]
    found = [settings_for(pack, method, settings) for method, settings in asked]
    assert [one.lr for one in found] == [0.01, 0.01, 0.02, 0.03, 0.04, 0.04] and {one.steps for one in found} == {7}
    assert settings_for(pack, "visii", {"lr": 0.5}).lr == 0.5


def test_visii_is_text_in_one_part_from_a_caption() -> None:
    settings = learn_settings("visii", {"steps": 3})
    assert (settings.space, settings.parts, settings.init) == ("text", 1, "caption")
    with pytest.raises(RequestError, match="visii learns in the text space"):
        learn_settings("visii", {"parts": 5})
    with pytest.raises(RequestError, match="learns no instruction"):
        learn_settings("instructedit", {})


def test_strength_0_leaves_the_instruction_out_and_1_is_the_learned_effect() -> None:
    pack, request = ToyPack(), Request(toy_picture(), learned=toy_learned())
    none, other = (
        EDITORS["instructbrush"](pack=pack, steps=3, strength=0.0)(
            Request(toy_picture(), learned=toy_learned(seed=seed))
        ).image.tobytes()
        for seed in (0, 1)
    )
    assert none == other
    weak, full = (EDITORS["instructbrush"](pack=pack, steps=3, strength=s)(request).image.tobytes() for s in (0.5, 1))
    assert len({none, weak, full}) == 3


def test_words_can_be_said_after_a_learned_instruction() -> None:
    pack = ToyPack()
    editor = EDITORS["instructbrush"](pack=pack, steps=3)
    alone, more = (editor(Request(toy_picture(), words, learned=toy_learned(words="go"))) for words in ("", "and dark"))
    assert alone.image.tobytes() != more.image.tobytes()


@pytest.mark.parametrize("began", ["go", ""])
def test_words_that_have_no_room_behind_a_learned_instruction_are_refused(began: str) -> None:
    editor = EDITORS["instructbrush"](pack=ToyPack(), steps=1)
    learned = toy_learned(words=began)
    room = Wordy.tokens - 2 - (1 if began else learned.tokens)
    editor(Request(toy_picture(), "x " * room, learned=learned))
    with pytest.raises(RequestError, match="1 tokens too long"):
        editor(Request(toy_picture(), "x " * (room + 1), learned=learned))


class Placed(ToyDiffusion):
    """A text encoder that knows words by their letters and places, and leaves all other places empty."""

    def encode_text(self, texts: Sequence[str]) -> torch.Tensor:
        states = torch.zeros(len(texts), TOKENS, WIDTH)
        for row, text in zip(states, texts, strict=True):
            for word in self.words(text):
                row[word.start] = torch.linspace(-1, 1, WIDTH) * sum(word.text.encode()) / 300 + word.start
        return states


@pytest.mark.parametrize("method", ["instructbrush", "visii"])
def test_words_after_an_instruction_that_began_without_any_stand_behind_it(method: str) -> None:
    class Pack(ToyPack):
        @cached_property
        def instruct(self) -> ToyDiffusion:
            return Placed(denoiser_network(in_channels=2 * CHANNELS, seed=2))

    editor = EDITORS["instructbrush"](pack=Pack(), steps=3)
    made = {
        words: editor(Request(toy_picture(), words, learned=toy_learned(method, words=""))).image.tobytes()
        for words in ("", "dark", "blue")
    }
    assert len(set(made.values())) == 3


def test_words_are_moved_back_by_as_many_places_as_are_wanted() -> None:
    text = torch.arange(6.0).reshape(1, 6, 1)
    assert moved_back(text, 2)[0, :, 0].tolist() == [0, 1, 2, 1, 2, 3]
    assert torch.equal(moved_back(text, 0), text)


def test_an_instruction_of_another_model_is_refused_and_visiis_is_applied_under_its_name() -> None:
    editor = EDITORS["instructbrush"](pack=ToyPack())
    with pytest.raises(RequestError, match="another model"):
        editor(Request(toy_picture(), learned=replace(toy_learned(), base="other")))
    assert editor(Request(toy_picture(), learned=toy_learned("visii"))).record["method"] == "visii"


def test_a_file_comes_back_as_it_was_written_and_other_files_are_refused(tmp_path: Path) -> None:
    learned, path = toy_learned(), tmp_path / "snow.safetensors"
    save_learned(learned, path)
    again = load_learned(path)
    assert all(np.array_equal(a, b) for a, b in zip(learned.keys, again.keys, strict=True))
    assert (again.instruction, again.base, again.about) == (learned.instruction, learned.base, learned.about)
    assert [p.name for p in tmp_path.iterdir()] == ["snow.safetensors"]
    path.write_bytes(b"no tensors here")
    with pytest.raises(RequestError, match="is no safetensors file"):
        load_learned(path)
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3, np.float32)}, path)
    with pytest.raises(RequestError, match="holds no learned instruction"):
        load_learned(path)
    with pytest.raises(RequestError, match="no such file"):
        load_learned(tmp_path / "gone.safetensors")


def test_the_studio_learns_watches_applies_and_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = studio.Studio(ToyPack(defaults={"instructbrush": {"steps": 2}}), "toy", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    path, picture = tmp_path / "snow.safetensors", tmp_path / "in.png"
    toy_picture(40, 40).save(picture)
    made = studio.learn(PAIRS[:2], path, held_out=PAIRS[2], preview=picture, steps=2, **QUICK)
    assert made.learned.about["held out"][-1]["psnr"] > 0
    assert list((tmp_path / "snow.learning" / "samples").glob("*.png"))
    edited = studio.edit(picture, learned=path, find="cat")
    assert edited.record.method == "instructbrush" and edited.mask is not None and not edited.mask.all()
    studio.save(edited, tmp_path / "out.png")
    _, same = studio.again(tmp_path / "out.png")
    assert same
    moved = path.rename(tmp_path / "moved.safetensors")
    with pytest.raises(RequestError, match="is not there; name it with --learned"):
        studio.again(tmp_path / "out.png")
    assert studio.again(tmp_path / "out.png", learned=moved)[1]
    with pytest.raises(RequestError, match="was made without an example"):
        studio.again(tmp_path / "out.png", learned=moved, example=(picture, picture))
    save_learned(toy_learned(), path)
    with pytest.raises(RequestError, match="another version of"):
        studio.again(tmp_path / "out.png")
    with pytest.raises(RequestError, match="not both"):
        studio.edit(picture, learned=path, find="cat", mask=toy_mask(40, 40))


def test_a_step_in_several_passes_learns_from_the_same_rows_with_the_same_gradient(tmp_path: Path) -> None:
    whole, apart = job_of(ToyPack(), tmp_path), job_of(ToyPack(), tmp_path, passes=5)
    batches = [apart.batch(5 * 3 + turn, 1) for turn in range(5)]
    assert torch.equal(torch.cat([b.t for b in batches]), whole.batch(3, 5).t)
    assert torch.equal(torch.cat([b.pairs for b in batches]), whole.batch(3, 5).pairs)
    whole.loss(whole.model, whole.batch(3, 5), torch.Generator().manual_seed(0)).backward()
    generator = torch.Generator().manual_seed(0)
    for one in batches:
        (apart.loss(apart.model, one, generator) / apart.parts).backward()
    for a, b in zip(whole.model.parameters(), apart.model.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6)


def test_passes_must_share_the_parts_evenly() -> None:
    with pytest.raises(RequestError, match="5 parts cannot be shared by 2 passes"):
        learn_settings("instructbrush", {"passes": 2})
