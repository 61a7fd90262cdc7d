"""The recipes of control branches and of their InstructPix2Pix, tiny: what they learn from, what alone is trained, and
that a pack loads what they export."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch

from pentimento.data import store
from pentimento.data.visual_prompts import Layout
from pentimento.diffusion.grids import quadrants, visual_prompt
from pentimento.errors import PackError, TrainingError
from pentimento.packs import Role, open_pack, seal
from pentimento.packs.in_context import ControlConfig
from pentimento.packs.manifest import MANIFEST, Manifest
from pentimento.packs.miniature_pack import ROLES
from pentimento.packs.pack import OpenPack
from pentimento.recipes import (
    autoencoder,
    clip,
    in_context,
    instruct_in_context,
    instructgie,
    prompt_diffusion,
    run,
    text_to_image,
    visual_prompts,
)
from pentimento.recipes.visual_prompts import drawn_prompts, panoptic_of
from pentimento.training import train

SIDE = 32
RECIPES = {"instructgie": instructgie, "prompt_diffusion": prompt_diffusion}
ALONE = {"shift": 0, "area": 0, "unify": 0}
"""InstructGIE's settings without anything but its branch."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack folder with untrained models, and small pairs."""
    path = tmp_path_factory.mktemp("pack")
    small = {"batch_size": 4, "data": path / "data"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "CHUNK", 8)
        patch.setattr(autoencoder, "latent_std", lambda *_: torch.tensor(2.0))
        jobs = [
            (autoencoder, {"channels": (8, 8, 8, 8), "scenes": 8}),
            (text_to_image, {"channels": (32, 32, 32), "heads": 4, "edits": 8, "critic": 0}),
            (clip, {"widths": (8, 8, 8), "blocks": (1, 1, 1), "scenes": 8}),
        ]
        for recipe, values in jobs:
            made = recipe.job(recipe.Settings(**small, **values), path)
            made.export(made.model, path)
        instructgie.job(settings("instructgie", path, **ALONE), path)  # draws what all learn from
        yield path


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    """A folder with the same models, beside no branch to begin from."""
    for name in ("vae", "text_to_image", "clip", "tokenizer", "scheduler"):
        (tmp_path / name).symlink_to(folder / name)
    return tmp_path


@pytest.fixture(autouse=True)
def polite(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language role that unifies by a word in front."""
    monkeypatch.setattr(in_context, "unifier", lambda data, pack_dir: lambda text: f"please {text}")


def settings(name: str, folder: Path, **values: Any) -> Any:
    few = {"images": 16, "batch_size": 4, "groups": 8, "quadrant": SIDE, "data": folder / "data", "precision": "fp32"}
    few |= {"areas": "drawn"} if name == "instructgie" else {}
    return RECIPES[name].Settings(**{**few, "warmup_images": 0, "cooldown": 0, "ema": 0, **values})


def job(name: str, folder: Path, **values: Any) -> Any:
    return RECIPES[name].job(settings(name, folder, **values), folder)


def step(made: Any, size: int = 4) -> torch.Tensor:
    return made.loss(made.model, made.batch(3, size), torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("instructgie", {}),
        ("instructgie", {"rcldm": False}),
        ("instructgie", ALONE),
        ("instructgie", {"states": 2, "ratio": 2.0, "gate": True, "blocks": 1}),
        ("prompt_diffusion", {}),
    ],
)
def test_the_loss_is_finite_and_reaches_the_branch_alone(folder: Path, name: str, values: dict[str, Any]) -> None:
    made = job(name, folder, **values)
    loss = step(made)
    assert torch.isfinite(loss)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.model.parameters())
    assert len(made.frozen) == 3 + (name == "instructgie" and values.get("shift", 1) > 0)
    assert all(p.grad is None and not p.requires_grad for module in made.frozen for p in module.parameters())


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_is_a_pure_function_of_its_step(folder: Path, name: str) -> None:
    made = job(name, folder)
    first, again, other = made.batch(3, 4), made.batch(3, 4), made.batch(4, 4)
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert not torch.equal(first.latents, other.latents)


def test_ablations_begin_with_the_same_weights(folder: Path, bare: Path) -> None:
    def begun(**values: Any) -> dict[str, torch.Tensor]:
        return instructgie.job(settings("instructgie", folder, **values), bare).model.state_dict()

    whole = begun(seed=3)
    torch.manual_seed(8)
    without, other = begun(seed=3, **ALONE), begun(seed=4)
    assert all(torch.equal(value, without[name]) for name, value in whole.items())
    assert any(not torch.equal(value, other[name]) for name, value in whole.items())


def test_each_part_of_the_loss_can_be_left_out(folder: Path) -> None:
    def loss(**values: Any) -> float:
        return float(step(job("instructgie", folder, **{**ALONE, **values, "looked_at": 1.0})).detach())

    alone = loss()
    shift, area = loss(shift=1.0), loss(area=1.0)
    assert shift > alone and area > alone
    assert loss(shift=1.0, area=1.0) == pytest.approx(shift + area - alone, rel=1e-4)
    assert loss(shift=2.0) == pytest.approx(2 * shift - alone, rel=1e-4)


def test_the_given_share_of_a_batch_is_unified(folder: Path) -> None:
    plain = job("instructgie", folder, **ALONE).batch(3, 8).ids
    for share in (0.5, 1.0):
        ids = job("instructgie", folder, **ALONE | {"unify": share}).batch(3, 8).ids
        assert (ids != plain).any(dim=1).sum() == 8 * share


def test_withheld_kinds_and_tests_are_never_learned_from(folder: Path) -> None:
    prompts = drawn_prompts(folder / "data", 8, SIDE, 0)
    lines = (prompts.folder / "pairs" / "metadata.jsonl").read_text().splitlines()
    read = {(row.group, row.pair) for row in prompts.rows}
    kinds = set(Layout().withheld)
    for line in map(json.loads, lines):
        wanted = line["kind"] not in kinds and line["split"] == "train"
        assert ((line["group"], line["pair"]) in read) == wanted
    assert len(read) < len(lines)
    for row, partners in enumerate(prompts.partners):
        assert len(partners) and row not in partners
        assert {prompts.rows[other].group for other in partners} == {prompts.rows[row].group}


def test_a_grids_latents_pixels_and_details_belong_together(folder: Path) -> None:
    made = job("instructgie", folder, looked_at=1.0)
    batch = made.batch(3, 4)
    assert batch.latents.shape == (4, 8, 8, 8) and batch.pixels.shape == (4, 64, 64, 3)
    assert batch.details.shape == (4, 1, 64, 64) and batch.details.any() and not batch.details.all()
    vae = made.frozen[2]
    pixels = batch.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        seen = vae.encode(quadrants(pixels).in1).latent_dist.mean * vae.config.scaling_factor
    assert torch.allclose(quadrants(batch.latents).in1, seen, atol=0.05)


def test_a_dropped_pair_is_grey_in_what_is_noised_and_counts_in_no_loss(folder: Path) -> None:
    values = settings("instructgie", folder, **ALONE, dropped=1.0)
    made = job("instructgie", folder, **ALONE)
    base, batch = in_context.frozen_base(folder), made.batch(3, 4)
    config = ControlConfig(control="rcldm", size=SIDE, states=1, ratio=1.0, gate=False)
    grey = in_context.on_grey(base, SIDE)
    noised = in_context.noised(made.model, config, base, grey, batch, values, torch.Generator().manual_seed(0))
    rows = noised.no_pair
    assert rows.any()
    alpha = base.alphas_cumprod[noised.t].view(-1, 1, 1, 1)
    x0 = (noised.x_t - (1 - alpha).sqrt() * noised.noise) / alpha.sqrt()
    upper = slice(0, 4)
    quiet = rows & (noised.t < 600)  # above it the division below magnifies rounding
    assert quiet.any()
    assert torch.allclose(x0[quiet, :, upper], grey[:, upper].expand(int(quiet.sum()), -1, -1, -1), atol=1e-3)
    told = in_context.noise_loss(noised, config, base.alphas_cumprod, values)
    noised.eps[rows, :, upper] += 7.0
    assert torch.equal(in_context.noise_loss(noised, config, base.alphas_cumprod, values), told)


class Heard(torch.nn.Module):
    """A branch that keeps what it is given, and adds nothing."""

    def __init__(self, branch: torch.nn.Module):
        super().__init__()
        self.branch, self.text = branch, torch.zeros(0)
        self.seen: tuple[torch.Tensor, ...] = ()

    def forward(self, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor, *seen: torch.Tensor) -> Any:
        self.text, self.seen = text, seen
        return self.branch(x, t, text, *seen)


@pytest.mark.parametrize("dropped", [0.0, 1.0])
@pytest.mark.parametrize("control", ["rcldm", "controlnet", "prompt_diffusion"])
def test_a_branch_sees_no_answer_and_nothing_that_is_dropped(folder: Path, control: Any, dropped: float) -> None:
    name = "prompt_diffusion" if control == "prompt_diffusion" else "instructgie"
    alone = {} if control == "prompt_diffusion" else {**ALONE, "rcldm": control == "rcldm"}
    made, base = job(name, folder, **alone, dropped=dropped), in_context.frozen_base(folder)
    batch, heard, grey = made.batch(3, 12), Heard(made.model), in_context.on_grey(base, SIDE)
    config = ControlConfig(control=control, size=SIDE, states=1, ratio=1.0, gate=False)
    values = settings(name, folder, **alone, dropped=dropped)
    no_pair = in_context.noised(heard, config, base, grey, batch, values, torch.Generator().manual_seed(0)).no_pair

    null = base.text_encoder(in_context.ids_of(base, [""], "")).last_hidden_state[0]
    own = base.text_encoder(batch.ids).last_hidden_state
    silent = [torch.allclose(text, null) for text in heard.text]
    assert all(quiet or torch.allclose(text, said) for text, said, quiet in zip(heard.text, own, silent, strict=True))
    assert len(set(silent)) == len(set(no_pair.tolist())) == (2 if dropped else 1) and any(silent) == bool(dropped)

    blank = quadrants(grey[None] if control == "rcldm" else torch.zeros(1, 3, 2 * SIDE, 2 * SIDE))
    if control == "prompt_diffusion":
        in0, out0, in1 = heard.seen
    else:
        shown = quadrants(heard.seen[0])
        in0, out0, in1 = shown.in0, shown.out0, shown.in1
        assert torch.allclose(shown.answer, blank.answer.expand_as(shown.answer), atol=1e-4)
    for row, gone in enumerate(no_pair.tolist()):
        assert not torch.allclose(in1[row], blank.in1[0], atol=1e-2)
        assert [torch.allclose(seen[row], blank.in0[0], atol=1e-4) for seen in (in0, out0)] == [gone, gone]


def test_the_noise_loss_weighs_timesteps_by_min_snr(folder: Path) -> None:
    values, alphas = settings("instructgie", folder, **ALONE), in_context.frozen_base(folder).alphas_cumprod
    t, noise = torch.tensor([900, 100]), torch.zeros(2, 4, 8, 8)
    eps = noise + torch.tensor([1.0, 2.0])[:, None, None, None]
    made = in_context.Noised(noise, t, noise, eps, torch.zeros(2, dtype=torch.bool))
    snr = alphas[t] / (1 - alphas[t])
    weights = snr.clamp(min=values.snr_floor, max=values.min_snr) / snr
    told = in_context.noise_loss(made, ControlConfig(control="rcldm", size=SIDE), alphas, values)
    assert told == pytest.approx(float((weights * torch.tensor([1.0, 4.0])).mean()), rel=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_a_trained_branch_is_exported_sealed_and_loaded_with_the_same_answers(
    folder: Path, tmp_path: Path, name: str
) -> None:
    given = settings(name, folder, unify=0)
    made = RECIPES[name].job(given, folder)
    report = train(made, given, tmp_path / "run", folder)
    assert report.finished and np.isfinite(report.loss) and list((tmp_path / "run" / "samples").iterdir())
    role = RECIPES[name].NAME
    pixels = visual_prompt(made.batch(0, 2).pixels[:1].permute(0, 3, 1, 2).float() / 127.5 - 1)
    seal(folder, "tiny", "1", {role: ROLES[role]})
    model = getattr(open_pack(folder, "cpu", "fp32"), role)
    text = model.encode_text(["make it night", ""])
    x, t = torch.randn(2, 8, 4 * model.canvas, 4 * model.canvas), torch.tensor([500, 100])
    with torch.no_grad():
        eps = model.prompted(pixels)(x, t, text)
        plain = model.base.denoise(x, t, text)
    assert eps.shape == x.shape and not torch.allclose(eps, plain, atol=1e-5)
    again = RECIPES[name].job(given, folder)  # warm-started from what was exported
    assert the_same(again.model, model.control)
    with pytest.raises(Exception, match=f"{2 * SIDE}x{2 * SIDE}"):
        model.prompted(pixels[..., :-2])


def the_same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("other", [{}, {"weave": False}, {"prefix": "four "}], ids=["alike", "unwoven", "prefix"])
def test_a_branch_begins_from_one_that_is_built_alike_and_from_no_other(
    folder: Path, bare: Path, capsys: pytest.CaptureFixture[str], other: dict[str, Any]
) -> None:
    first = instructgie.job(settings("instructgie", folder, **ALONE), bare)
    first.export(first.model, bare)
    assert not capsys.readouterr().err
    again = instructgie.job(settings("instructgie", folder, seed=1, **ALONE, **other), bare)
    assert the_same(again.model, first.model) is not bool(other)
    assert ("begins from nothing" in capsys.readouterr().err) is bool(other)


def test_a_branch_that_does_not_say_how_it_is_built_is_not_begun_from(
    folder: Path, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = job("prompt_diffusion", folder)
    first.export(first.model, bare)
    (bare / "prompt_diffusion" / "config.json").unlink()
    assert not the_same(prompt_diffusion.job(settings("prompt_diffusion", folder, seed=1), bare).model, first.model)
    assert "prompt_diffusion holds another branch than is asked for" in capsys.readouterr().err


@pytest.mark.parametrize("name", RECIPES)
def test_a_set_that_was_made_is_trained_on_like_a_drawn_one(name: str, folder: Path) -> None:
    drawn = drawn_prompts(folder / "data", 8, SIDE, 0)
    given = {**(ALONE if name == "instructgie" else {})}
    made = job(name, folder, prompts=drawn.folder, groups=1, **given)
    assert torch.equal(made.batch(0, 4).latents, job(name, folder, **given).batch(0, 4).latents)
    with pytest.raises(TrainingError, match=f"set quadrant={SIDE}"):
        job(name, folder, prompts=drawn.folder, quadrant=2 * SIDE, **given)
    with pytest.raises(TrainingError, match="holds no finished visual prompts"):
        job(name, folder, prompts=folder, **given)


def test_masks_of_the_drawn_world_are_not_asked_for_pictures_that_were_made(folder: Path) -> None:
    with pytest.raises(TrainingError, match="areas=drawn knows masks of drawn visual prompts alone"):
        job("instructgie", folder, **{**ALONE, "area": 1, "prompts": folder})


def test_the_papers_settings_are_settings() -> None:
    paper = instructgie.Settings(**instructgie.PRESETS["paper"])
    assert paper.images / paper.batch_size == 5000 and paper.batch_size % paper.parts == 0
    with pytest.raises(TrainingError, match="it has paper"):
        run("instructgie", preset="newspaper")
    with pytest.raises(TrainingError, match="it has none"):
        run("language", preset="paper")


def test_models_that_are_compared_paint_equal_picture_area_by_default() -> None:
    grids = instructgie.Settings()
    for pictures in (prompt_diffusion.Settings(), instruct_in_context.Settings()):
        assert pictures.images == 4 * grids.images
        assert pictures.warmup_images / pictures.images == grids.warmup_images / grids.images <= 0.1


def test_the_noisiest_steps_weigh_what_they_weigh_for_the_other_painters() -> None:
    floor = text_to_image.Settings().snr_floor
    assert all(recipe.Settings().snr_floor == floor for recipe in (*RECIPES.values(), instruct_in_context))


def test_masks_of_a_panoptic_model_that_is_missing_are_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match="areas=drawn"):
        panoptic_of(folder)


def test_a_panoptic_model_that_cannot_be_opened_is_refused_before_anything_is_drawn(
    folder: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "panoptic").mkdir()
    role = Role(kind="centre_panoptic", components={"model": "panoptic"})
    older = Manifest(name="older", version="1", roles={"panoptic": role})
    (bare / MANIFEST).write_text(older.model_dump_json())
    monkeypatch.setattr(in_context, "prompts_of", lambda *_: pytest.fail("the prompts were drawn first"))
    with pytest.raises(PackError, match="'detector'"):
        instructgie.job(settings("instructgie", folder, areas="panoptic"), bare)


def test_the_panoptic_model_is_asked_unless_the_drawn_worlds_masks_are_wanted(folder: Path, bare: Path) -> None:
    values = settings("instructgie", folder).model_dump(exclude={"areas"})
    with pytest.raises(TrainingError, match="train panoptic first, or take areas=drawn"):
        instructgie.job(instructgie.Settings(**values), bare)


def test_models_that_were_trained_since_the_pack_was_sealed_are_taken_as_they_are(folder: Path, bare: Path) -> None:
    roles = {name: ROLES[name] for name in ("text_to_image", "clip")}
    stale = {"vae/config.json": "0" * 64, "clip/config.json": "0" * 64}
    plain = in_context.frozen_base(bare)
    (bare / MANIFEST).write_text(Manifest(name="p", version="1", roles=roles, files=stale).model_dump_json())
    assert in_context.frozen_base(bare).fingerprint == plain.fingerprint
    assert len(instructgie.job(settings("instructgie", folder, area=0, unify=0), bare).frozen) == 4


HUB = "tiny/models@" + "0" * 40


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack folder that holds a manifest alone: its tiny models lie where those of the hub do."""
    tiny.write_components(tmp_path / "hub" / "models--tiny--models" / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "pack").mkdir()
    manifest = Manifest(name="published", version="1", roles={name: of_hub(name) for name in ("text_to_image", "clip")})
    (tmp_path / "pack" / MANIFEST).write_text(manifest.model_dump_json())
    return tmp_path / "pack"


def of_hub(name: str) -> Role:
    role = tiny.ROLES[name]
    return Role(kind=role.kind, components={part: f"{HUB}/{where}" for part, where in role.components.items()})


def test_a_branch_is_trained_beside_models_of_the_hub(published: Path, folder: Path, tmp_path: Path) -> None:
    given = settings("instructgie", folder, images=8, prefix="", unify=0)
    made = instructgie.job(given, published)
    begun = [p.detach().clone() for p in made.model.parameters()]
    report = train(made, given, tmp_path / "run", published)
    assert report.finished and report.steps == 2 and np.isfinite(report.loss)
    assert any(not torch.equal(p, q) for p, q in zip(begun, made.model.parameters(), strict=True))
    unet, _, _, seen = made.frozen
    assert list(unet.config.block_out_channels) == [8, 8] and seen.config.vision_config.image_size == 16  # tiny.unet's
    parts = of_hub("text_to_image").components | {"control": "incontext"}
    manifest = Manifest(
        name="published", version="2", roles={"incontext": Role(kind="prompted_diffusion", components=parts)}
    )
    (published / MANIFEST).write_text(manifest.model_dump_json())
    assert open_pack(published, "cpu", "fp32").incontext.size == SIDE


def test_models_of_the_hub_that_are_not_here_are_refused_with_what_fetches_them(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(PackError, match="hf download tiny/models"):
        in_context.frozen_base(published)


def test_a_panoptic_model_of_the_hub_is_opened_too(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    role = Role(kind="mask2former", components={"model": f"{HUB}/vae"})  # whatever weights lie there
    (published / MANIFEST).write_text(Manifest(name="p", version="1", roles={"panoptic": role}).model_dump_json())
    monkeypatch.setattr(OpenPack, "load", lambda pack, name: pack.manifest.roles[name].kind)
    opened, name = panoptic_of(published)
    assert (opened, len(name)) == ("mask2former", 12)


def test_what_another_process_is_making_is_waited_for_and_not_made_twice(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> np.ndarray:
        begun.set()
        assert go_on.wait(60)
        return np.arange(3)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(visual_prompts._kept, tmp_path / "a.npy", slowly)
        assert begun.wait(60)
        second = pool.submit(visual_prompts._kept, tmp_path / "a.npy", lambda: np.zeros(3))
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        go_on.set()
        assert first.result(60).tolist() == second.result(60).tolist() == [0, 1, 2]


def test_a_panoptic_model_is_asked_one_picture_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pentimento.values import Segment

    sizes = []

    class Halves:
        def segments(self, image: Any) -> tuple[Segment, ...]:
            sizes.append(image.size)
            left = np.zeros((SIDE, SIDE), dtype=bool)
            left[:, : SIDE // 2] = True
            return Segment("cat", left, 0.9), Segment("sofa", ~left, 0.8)

    monkeypatch.setattr(visual_prompts, "panoptic_of", lambda pack_dir: (Halves(), "halves"))
    details = job("instructgie", folder, areas="panoptic", looked_at=1.0).batch(0, 2).details
    assert set(sizes) == {(SIDE, SIDE)}
    assert details[..., : SIDE // 2].all() and not details[..., SIDE // 2 : SIDE].any()


def test_a_packs_language_model_says_which_classes_live_and_unifies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(talk: Any, kind: Any) -> str:
        if "instruction" in talk[-1].content:
            return '{"instruction": "make it night"}'
        return '{"living": true}' if "sofa" in talk[-1].content else '{"living": false}'

    pack = SimpleNamespace(name="talks", hash="1", chat=complete)
    monkeypatch.setattr(visual_prompts, "pack_that_talks", lambda pack_dir: pack)
    living, told_by = visual_prompts.living_of(tmp_path, folder)
    assert (living("sofa"), living("cat")) == (True, False) and told_by
    assert visual_prompts.unifier(tmp_path, folder)("let it be dark outside") == "make it night"
    assert len((tmp_path / "living.jsonl").read_text().splitlines()) == 2


def test_a_pack_talks_when_its_planner_is_a_language_model(tmp_path: Path) -> None:
    assert visual_prompts.pack_that_talks(tmp_path) is None
    for kind, talks in (("tagger", False), ("transformers_chat", True)):
        roles = {"planner": Role(kind=kind, components={"model": "m"})}
        (tmp_path / MANIFEST).write_text(Manifest(name="p", version="1", roles=roles).model_dump_json())
        pack = visual_prompts.pack_that_talks(tmp_path)
        assert (pack is not None and callable(pack.chat)) is talks


def test_instructpix2pix_learns_from_the_same_pairs(folder: Path, tmp_path: Path) -> None:
    given = instruct_in_context.Settings(
        images=8, batch_size=4, groups=8, quadrant=SIDE, data=folder / "data", precision="fp32"
    )
    made = instruct_in_context.job(given, folder)
    assert torch.isfinite(step(made))
    train(made, given, tmp_path / "run", folder)
    role = Role(kind="latent_diffusion", components=ROLES["instruct_in_context"].components)
    seal(folder, "tiny", "1", {"instruct_in_context": role})
    model = open_pack(folder, "cpu", "fp32").instruct_in_context
    eps = model.denoise(torch.randn(2, 16, 4, 4), torch.tensor([5, 9]), model.encode_text(["make it night", ""]))
    assert eps.shape == (2, 8, 4, 4)
