"""Every recipe of the diffusion models, tiny: a pure batch, a finite loss with gradients, weights that load again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from pentimento import roles
from pentimento.bench.vision import named_nouns
from pentimento.data import store
from pentimento.data.captions import phrase, position
from pentimento.data.scenes import draw_scene, render
from pentimento.data.visual_prompts import Layout
from pentimento.data.vocabulary import NOUNS, PLACES
from pentimento.diffusion.objectives import q_sample
from pentimento.diffusion.schedule import cosine_alphas_cumprod
from pentimento.errors import PackError, TrainingError
from pentimento.language.lexicon import article
from pentimento.recipes import autoencoder, clip, inpaint, instruct, language, reader, segmenter, text_to_image
from pentimento.recipes.latents import edit_latents, latents_by
from pentimento.recipes.layout import NAMELESS, WHAT
from pentimento.recipes.lessons import draw_lesson
from pentimento.recipes.text import ids_of, text_encoder, tokenizer
from pentimento.vision.clip import load as load_clip

TINY: dict[str, Any] = dict(batch_size=4, edits=8)
TINY_NET = dict(TINY, channels=(32, 32, 32), heads=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack folder with an untrained autoencoder, and a store of eight pictures a chunk."""
    path = tmp_path_factory.mktemp("pack")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "CHUNK", 8)
        patch.setattr(autoencoder, "latent_std", lambda *_: torch.tensor(2.0))
        made = autoencoder.job(small(autoencoder, path, channels=(8, 8, 8, 8), scenes=8), path)
        check(made)
        made.export(made.model, path)
        reads = reader.job(small(reader, path, width=8, edits=8), path)
        check(reads)
        reads.export(reads.model, path)
        yield path


def small(recipe, path: Path, **values):
    return recipe.Settings(batch_size=4, data=path / "data", **values)


def check(job) -> None:
    """A job's batch is a pure function of its step, and its loss reaches the parameters."""
    first, again = job.batch(3, 4), job.batch(3, 4)
    for a, b in zip(tensors(first), tensors(again), strict=True):
        assert torch.equal(a, b)
    loss = job.loss(job.model, first, torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in job.model.parameters())


def tensors(batch) -> list[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        return [batch]
    return list(batch if isinstance(batch, tuple) else vars(batch).values())


def test_latents_and_pixels_are_moved_alike() -> None:
    """Latents that are the pixels' own means stay so; among some draws sizes, turns and mirrored ones differ."""
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pixels = torch.nn.functional.avg_pool2d(pixels, 9, 1, 4, count_include_pad=False)  # smooth
    latents = torch.nn.functional.avg_pool2d(pixels, 8)
    seen = []
    for seed in range(40):
        z, x = autoencoder.moved(latents, pixels, torch.Generator().manual_seed(seed))
        assert x.shape[-1] == 8 * z.shape[-1]
        means = torch.nn.functional.avg_pool2d(x, 8)
        torch.testing.assert_close(z, means, atol=1e-6 if z.shape == latents.shape else 0.05, rtol=0)
        seen += [z] if not any(z.shape == known.shape and torch.equal(z, known) for known in seen) else []
    assert {z.shape[-1] for z in seen} == {2, 3, 4}
    assert sum(z.shape[-1] == 4 for z in seen) > 4


def test_a_share_of_batches_is_decoded_from_moved_latents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(autoencoder, "moved", lambda z, x, generator: (calls.append(0), (z, x))[1])
    for share in (0.0, 1.0):
        settings = small(autoencoder, folder, channels=(8, 8, 8, 8), equivariance=share)
        x = torch.zeros(1, 3, 32, 32)
        autoencoder.reconstruction_loss(settings, autoencoder.model(settings), x, torch.Generator().manual_seed(0))
        assert len(calls) == share


def test_the_autoencoder_states_the_scale_of_its_latents(folder: Path) -> None:
    from diffusers import AutoencoderKL

    assert AutoencoderKL.from_pretrained(folder / "vae").config.scaling_factor == 0.5


def test_a_decoder_that_goes_on_alone_leaves_the_latents_and_their_name(folder: Path, tmp_path: Path) -> None:
    values = dict(channels=(8, 8, 8, 8), scenes=8, decoder_alone=True, equivariance=0.0, squares=5.0)
    going_on = autoencoder.job(small(autoencoder, folder, **values), folder)
    check(going_on)
    going_on.export(going_on.model, tmp_path / "out")  # the scale stays, too
    assert going_on.model.load_config(tmp_path / "out" / "vae")["scaling_factor"] == 0.5
    vae = going_on.model
    assert all(p.grad is None for part in (vae.encoder, vae.quant_conv) for p in part.parameters())
    name = latents_by(vae)
    with torch.no_grad():
        vae.decoder.conv_out.bias += 1
    assert latents_by(vae) == name
    with torch.no_grad():
        vae.encoder.conv_in.bias += 1
    assert latents_by(vae) != name
    with pytest.raises(TrainingError, match="train one first"):
        autoencoder.job(small(autoencoder, folder, **values), tmp_path)


def test_text_to_image_and_then_instruct_train_and_warm_start(folder: Path) -> None:
    settings = text_to_image.Settings(**TINY_NET, data=folder / "data")
    painter = text_to_image.job(settings, folder)
    check(painter)
    painter.export(painter.model, folder)
    again = text_to_image.job(settings, folder)
    for (name, a), b in zip(painter.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert name.startswith(("head.", "critic.")) or torch.equal(a, b), name  # whose lessons they are

    follower = instruct.job(instruct.Settings(**TINY, data=folder / "data"), folder)
    check(follower)
    x, t = torch.randn(1, 8, 16, 16), torch.tensor([500])
    states = painter.model.text(torch.zeros(1, 48, dtype=torch.long)).last_hidden_state
    wide = torch.cat([x, torch.randn(1, 8, 16, 16)], dim=1)
    assert torch.allclose(follower.model(wide, t, states), painter.model(x, t, states), atol=1e-6)

    filler = inpaint.job(inpaint.Settings(**TINY, data=folder / "data"), folder)
    check(filler)
    wide = torch.cat([x, torch.randn(1, 9, 16, 16)], dim=1)
    assert torch.allclose(filler.model(wide, t, states), painter.model(x, t, states), atol=1e-6)

    for made in (painter, follower, filler):
        with torch.no_grad():
            made.sample(made.model, folder / "sample.png")
        with Image.open(folder / "sample.png") as shown:
            assert shown.width > 128


def new_critic() -> reader.Critic:
    torch.manual_seed(0)
    return reader.Critic(reader.Reader(8, 8)).train()


def layouts_of(*classes: int) -> torch.Tensor:
    """Layouts of 4x4 cells, each all of one class."""
    return torch.tensor(classes, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 6, 4, 4)


def test_a_critic_teaches_its_painter_and_itself_apart() -> None:
    critic, meant = new_critic(), torch.randn(2, 8, 4, 4, requires_grad=True)
    before = {name: value.clone() for name, value in critic.state_dict().items()}
    cat = len(PLACES)
    critic.painters_loss(meant, layouts_of(cat, cat + 1)).backward()
    assert meant.grad.abs().sum() > 0 and all(p.grad is None for p in critic.parameters()) and critic.training
    assert all(torch.equal(value, before[name]) for name, value in critic.state_dict().items())  # batch norm's as well
    meant.grad = None
    critic.own_loss(meant, torch.randn(2, 8, 4, 4), layouts_of(cat, 0)).backward()
    assert meant.grad is None and all(p.grad.abs().sum() > 0 for p in critic.parameters())


def test_a_critic_misreads_things_alone_and_nothing_without_a_name() -> None:
    critic, x, cat = new_critic().eval(), torch.randn(3, 8, 4, 4), len(PLACES)
    losses = F.cross_entropy(critic(x).detach()[:1], torch.full((1, 4, 4), cat))
    assert critic.painters_loss(x, layouts_of(cat, 0, NAMELESS)) == pytest.approx(float(losses), rel=1e-4)
    assert critic.painters_loss(x, layouts_of(0, 0, NAMELESS)) == 0


def test_a_critic_learns_to_tell_what_is_painted_from_what_is_drawn() -> None:
    critic, cat = new_critic(), len(PLACES)
    drawn, painted = torch.ones(8, 8, 4, 4), -torch.ones(8, 8, 4, 4)
    optimizer = torch.optim.AdamW(critic.parameters(), 1e-2)
    for _ in range(30):
        noise = 0.1 * torch.randn(2, 8, 8, 4, 4)
        loss = critic.own_loss(painted + noise[0], drawn + noise[1], layouts_of(*[cat] * 8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    critic.eval()
    assert (critic(painted).argmax(1) == len(WHAT)).all() and (critic(drawn).argmax(1) == cat).all()


def test_a_painter_is_read_where_nouns_are_decided_by_the_clean_latents_that_it_means() -> None:
    alphas, critic, seen = cosine_alphas_cumprod(), new_critic(), []
    x0, noise, layouts = torch.randn(4, 8, 4, 4), torch.randn(4, 8, 4, 4), layouts_of(0, 1, 2, 3)
    t = torch.tensor([reader.CLEAREST - 1, reader.CLEAREST, reader.NOISIEST - 1, reader.NOISIEST])
    critic.painters_loss = lambda *given: (seen.append(given), torch.tensor(3.0))[1]
    critic.own_loss = lambda *given: (seen.append(given), torch.tensor(20.0))[1]
    further = critic.further(x0, layouts, alphas, 0.5)
    assert further(q_sample(x0, noise, t, alphas), noise, t) == pytest.approx(0.5 * 3 + 0.1 * 20)
    (meant, places), (again, truth, all_places) = seen
    torch.testing.assert_close(meant, x0[1:3], atol=1e-3, rtol=0)
    assert again is meant and truth is x0 and all_places is layouts and places.unique().tolist() == [1, 2]
    assert further(x0, noise, torch.tensor([0, 1, 950, 999])) == 0 and len(seen) == 2


@pytest.mark.parametrize("recipe", [text_to_image, instruct, inpaint])
def test_every_painter_has_a_critic(folder: Path, recipe) -> None:
    if not (folder / "text_to_image").exists():
        painter = text_to_image.job(text_to_image.Settings(**TINY_NET, data=folder / "data"), folder)
        painter.export(painter.model, folder)
    given = {**(TINY_NET if recipe is text_to_image else TINY), "batch_size": 8, "data": folder / "data"}

    def loss(critic: float) -> tuple[float, Any]:
        made = recipe.job(recipe.Settings(**given, critic=critic), folder)
        value = made.loss(made.model, made.batch(0, 8), torch.Generator().manual_seed(0))
        return float(value.detach()), made.model.critic

    (without, nobody), (once, critic), (thrice, _) = map(loss, (0.0, 1.0, 3.0))
    read = load_file(folder / "reader" / "model.safetensors")["head.weight"].float()
    assert nobody is None and torch.equal(critic.reader.head.weight, read)
    assert thrice - once > 1 and once - without > (thrice - once) / 2  # the critic's own loss is in it, too
    rivals = [recipe.job(recipe.Settings(**given, critic=critic), folder).rivals for critic in (0.0, 1.0)]
    assert rivals == [{}, {"critic": 1e-3}]


def test_a_painter_asks_for_its_reader(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"run `pentimento train reader` first, or set critic=0"):
        reader.reader_of(tmp_path, 8)
    with pytest.raises(TrainingError, match="reads other latents or nouns: delete it"):
        reader.reader_of(folder, 4)


def test_holes_are_things_rectangles_or_everything() -> None:
    plan = np.zeros((16, 16), np.uint8)
    plan[4:8, 5:9] = 60
    holes = [inpaint.hole(plan, np.random.default_rng(seed)) for seed in range(200)]
    around = [h for h in holes if h[4:8, 5:9].all() and h.sum() <= 64]
    assert len(around) > 100 and any(h.all() for h in holes) and all(h.any() for h in holes)


def test_a_window_batch_holds_four_times_as_many_pieces_around_things(folder: Path) -> None:
    settings = text_to_image.Settings(**{**TINY_NET, "batch_size": 8}, grids=0, windows=1, data=folder / "data")
    batch = text_to_image.job(settings, folder).batch(0, 8)
    assert batch.x0.shape == (32, 8, 8, 8) and batch.layouts.shape[2:] == (8, 8) and batch.ids.shape == (32, 48)
    things = batch.layouts[:, 0] >= len(PLACES)
    assert things[:, 2:6, 2:6].any((1, 2)).float().mean() > 0.8  # the others have lost theirs by the edit


def test_a_window_of_an_edit_shows_what_changes_under_the_instruction_of_the_whole(folder: Path) -> None:
    settings = instruct.Settings(**{**TINY, "batch_size": 8}, windows=1, parts=0, data=folder / "data")
    batch = instruct.job(settings, folder).batch(0, 8)
    assert batch.before.shape == batch.after.shape == (32, 8, 8, 8) and batch.ids.shape == (32, 48)
    assert ((batch.before - batch.after).abs().amax((1, 2, 3)) > 0.01).all()


def test_a_grid_batch_holds_two_pairs_in_one_canvas(folder: Path) -> None:
    settings = text_to_image.Settings(**{**TINY_NET, "batch_size": 8}, grids=1.0, null_text=0.0, data=folder / "data")
    batch = text_to_image.job(settings, folder).batch(0, 8)
    assert batch.x0.shape == (2, 8, 32, 32)
    assert batch.ids.shape == (2, 48)


def test_no_grid_batch_shows_a_kind_of_edit_that_is_withheld_from_in_context_models(folder: Path) -> None:
    given = {"batch_size": 32, "parts": 0.5, "data": folder / "data"}
    made = text_to_image.job(text_to_image.Settings(**{**TINY_NET, **given}, grids=1.0), folder)
    pairs = edit_latents(folder / "data", folder, 8, 0.5).pairs
    trained = {seed for seed in range(8) if draw_lesson(seed, 0.5).words.kind not in Layout().withheld}
    shown = set()
    for step in range(8):
        for grid in made.batch(step, 32).x0:
            for before, after in (grid[:, :16].chunk(2, -1), grid[:, 16:].chunk(2, -1)):
                is_it = [bool((a == before.numpy()).all() and (b == after.numpy()).all()) for a, b in pairs]
                shown.add(is_it.index(True) % 8)
    assert 0 < len(trained) < 8 and shown == trained


def test_clip_trains_with_hard_negatives(folder: Path) -> None:
    sizes = dict(widths=(8, 16, 16), blocks=(1, 1, 1), scenes=8)
    check(clip.job(small(clip, folder, places_from=0, **sizes), folder))  # what stands where, and nothing else
    check(clip.job(small(clip, folder, places_from=0, places=0, **sizes), folder))  # not asked, so not asked alone
    with pytest.raises(TrainingError, match="set more scenes"):  # the only one shows one thing
        clip.job(small(clip, folder, places_from=0, **sizes | {"scenes": 1}), folder).batch(0, 2)
    job = clip.job(small(clip, folder, **sizes), folder)
    check(job)
    job.export(job.model, folder)
    assert "tiger" in (folder / "clip" / "phrases.txt").read_text().splitlines()
    loaded = load_clip(folder / "clip")
    assert isinstance(loaded, roles.Clip)
    pictures = [Image.fromarray(render(draw_scene(seed)).image) for seed in range(2)]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        seen = clip.projected(job.model, job.model.eval().vision_model(pixel_values=pixels).pooler_output)
    assert torch.allclose(loaded.embed_images(pictures), seen, atol=1e-5)
    again = text_encoder(tokenizer(folder), folder / "clip")  # what the painters, and the next CLIP, begin with
    for name, weight in job.model.text_model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)
    stored = load_file(folder / "clip" / "model.safetensors")
    del stored["visual_projection.weight"]
    save_file(stored, folder / "clip" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PackError, match="lacks the weights of visual_projection.weight"):
        load_clip(folder / "clip")


def test_a_close_up_for_clip_shows_one_thing_and_its_hard_negative_names_another() -> None:
    rng = np.random.default_rng(0)
    told = alone = 0
    for seed in range(40):
        scene = draw_scene(seed)
        frame, text, wrong, noun = clip.of_one_thing(scene, rng)
        assert 0.3 < frame.side <= 1 and noun in {"", *(t.noun for t in scene.things)}
        alone += bool(noun)
        there, other = (named_nouns(t) - {"painting"} for t in (text, wrong))  # a style is called so too
        told += bool(there)
        assert not there or not noun or noun in there
        assert there <= {t.noun for t in scene.things} | {w for t in scene.things for w in t.wears}
        assert not there or there != other
    assert told > 25 and 20 < alone < 40


def test_of_what_clip_is_asked_about_places_only_the_first_answer_is_true() -> None:
    rng = np.random.default_rng(0)
    asked = 0
    for seed in range(60):
        scene = draw_scene(seed)
        true = {
            f"{scene.style} of {article(phrase(t, scene.grey))} {position(scene, i)}"
            for i, t in enumerate(scene.things)
        }
        answers = clip.where_it_stands(scene, rng)
        if answers is None:
            continue
        asked += 1
        assert [answer in true for answer in answers] == [True, False, False] and len(set(answers)) == 3
    assert asked > 20


def test_the_same_caption_twice_in_a_batch_is_no_mistake() -> None:
    def vision(pixel_values: torch.Tensor) -> SimpleNamespace:
        states = torch.eye(8)[pixel_values[:, 0].flatten(1).long()]  # the picture's state, then its patches'
        return SimpleNamespace(pooler_output=states[:, 0], last_hidden_state=states[:, 1:].transpose(1, 2)[:, :, None])

    sees_all = SimpleNamespace(
        vision_model=vision, visual_projection=torch.nn.Identity(),
        get_text_features=lambda input_ids: SimpleNamespace(pooler_output=torch.eye(8)[input_ids[:, 0]]),
        logit_scale=torch.tensor(4.0), config=SimpleNamespace(text_config=SimpleNamespace(eos_token_id=7)),
    )  # fmt: skip
    ids = torch.tensor([[1, 7], [1, 7], [2, 7]])
    pixels = torch.tensor([[1.0, 1.0, 4.0], [1.0, 2.0, 1.0], [2.0, 3.0, 3.0]])[:, None, None].expand(3, 3, 1, 3)
    wrong, nouns = torch.tensor([[5, 7]] * 3), torch.tensor([[2, 7], [1, 7]])
    nowhere = [[-1, -1]] * 3

    def loss(
        shown: list[int], patches: list[list[int]] = nowhere, weight: float = 1,
        asked: tuple[int, ...] = (), answers: tuple[list[int], ...] = (),
    ) -> torch.Tensor:  # fmt: skip
        said = torch.tensor([[[word, 7] for word in three] for three in answers]).long().view(-1, 3, 2)
        batch = clip.Batch(
            pixels, ids, wrong, torch.tensor(shown), torch.tensor(patches), torch.tensor(asked).long(), said
        )
        return clip.contrastive_loss(sees_all, batch, nouns, weight, weight)

    assert loss([-1, -1, -1]) < 1e-6  # the twin as a rival would cost log 2 for two of the three
    assert loss([1, -1, 0]) < 1e-6 and loss([0, -1, 0]) > 1  # the first picture shows the second noun
    assert loss([-1, -1, -1], [[1, -1], [0, 1], [-1, -1]]) < 1e-6  # so do these patches
    blind = [[1, -1], [0, 1], [-1, 1]]  # and a patch of the third picture looks like neither
    assert loss([-1, -1, -1], asked=(2,), answers=([2, 1, 3],)) < 1e-6  # the third picture shows the first answer
    assert loss([-1, -1, -1], asked=(2,), answers=([1, 2, 3],)) > 1
    once, twice = (loss([-1, -1, -1], blind, weight) for weight in (1, 2))
    assert once > 0.1 and torch.isclose(twice, 2 * once) and loss([-1, -1, -1], blind, 0) < 1e-6


def test_a_patch_shows_the_noun_that_owns_a_quarter_of_its_cells() -> None:
    plan = np.zeros((16, 16), np.uint8)
    cat, bus = (len(PLACES) + list(NOUNS).index(noun) for noun in ("cat", "bus"))
    plan[0, 1] = cat  # one of the first patch's four cells
    plan[2:4, 0:2] = cat
    plan[2, 0] = bus
    shown = clip.nouns_of_patches(plan, 8).reshape(8, 8)
    assert shown[0, 0] == shown[1, 0] == list(NOUNS).index("cat")
    assert (shown >= 0).sum() == 2
    assert (clip.nouns_of_patches(plan, 4) >= 0).sum() == 1  # patches of 32 pixels: five of sixteen cells


def test_texts_for_clip_are_cut_behind_their_ends_without_effect(folder: Path) -> None:
    tokens = tokenizer(folder)
    net = clip.model(clip.Settings(), text_encoder(tokens)).eval()
    ids = ids_of(tokens, ["photo of a cat", "photo of a red cat on the left and a bus on the right, on grass"])
    whole = torch.nn.functional.normalize(net.get_text_features(input_ids=ids).pooler_output, dim=-1)
    assert torch.allclose(clip.embedded(net, ids), whole, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):  # texts that differ in a place alone would become the same
        assert torch.allclose(clip.embedded(net, ids), whole, atol=1e-5)


def test_another_seed_is_other_data(folder: Path) -> None:
    """In every recipe whose data is drawn by number: what was seen with one seed is not what is seen with the next."""
    pairs = {
        "autoencoder": [small(autoencoder, folder, channels=(8, 8, 8, 8), scenes=8, seed=seed) for seed in (0, 1)],
        "segmenter": [segmenter.Settings(seed=seed) for seed in (0, 1)],
        "language": [language.Settings(seed=seed) for seed in (0, 1)],
    }
    for name, both in pairs.items():
        recipe = {"autoencoder": autoencoder, "segmenter": segmenter, "language": language}[name]
        first, second = (tensors(recipe.job(settings, folder).batch(0, 2)) for settings in both)
        assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), name
