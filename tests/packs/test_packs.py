import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
import tiny_models as tiny
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from pentimento import roles
from pentimento.diffusion.attention import cross_attentions
from pentimento.diffusion.grids import by_quadrant
from pentimento.editors import EDITORS
from pentimento.errors import PackError
from pentimento.language import tagger
from pentimento.packs import Role, catalogue, open_pack, read_manifest, seal, verify, write_card
from pentimento.packs.guard import hide_broken_torchvision
from pentimento.packs.in_context import ControlConfig, build_control, predicted, save_control
from pentimento.packs.miniature_pack import FIXED, ROLES, UNTUNED, finish, install, with_runs
from pentimento.packs.pack import METHODS, OpenPack, quiet
from pentimento.packs.placement import place
from pentimento.values import Word
from pentimento.vision import detector, segmenter


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return tiny.sealed(tmp_path_factory.mktemp("pack"), defaults={"instructedit": {"ratio": 0.7}})


@pytest.fixture
def folder(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "pack"))


def opened(folder: Path):
    return open_pack(folder, device="cpu", dtype="fp32")


def test_a_pack_gives_its_roles_and_loads_each_once(folder):
    pack = opened(folder)
    assert (pack.name, pack.defaults) == ("tiny", {"instructedit": {"ratio": 0.7}})
    model = pack.text_to_image
    assert isinstance(model, roles.Diffusion) and isinstance(model.autoencoder, roles.Autoencoder)
    assert isinstance(pack.clip, roles.Clip)
    assert pack.text_to_image is model
    assert (model.size, model.autoencoder.factor, model.autoencoder.latent_channels) == (16, 2, 4)


def test_threads_load_one_model_at_a_time_and_each_once(folder, monkeypatch):
    """While the libraries load a model they change how torch makes modules, for all threads."""
    inside, most, loads, known = [], [], [], OpenPack._load

    def slowly(pack, kind, folders):
        inside.append(kind)
        most.append(len(inside))
        loads.append(kind)
        sleep(0.05)
        made = known(pack, kind, folders)
        inside.pop()
        return made

    monkeypatch.setattr(OpenPack, "_load", slowly)
    packs = [opened(folder), opened(folder)]
    asked = [(pack, role) for pack in packs for role in ("instruct", "text_to_image", "clip", "instruct")]
    with ThreadPoolExecutor(len(asked)) as threads:
        found = list(threads.map(lambda one: getattr(*one), asked))
    assert found[0] is found[3] and found[4] is found[7] and found[0] is not found[4]
    assert max(most) == 1 and len(loads) == 6


def test_components_that_roles_share_are_loaded_once(folder):
    pack = opened(folder)
    assert pack.instruct.autoencoder is pack.text_to_image.autoencoder
    assert pack.instruct.text_encoder is pack.text_to_image.text_encoder
    assert pack.instruct.unet is not pack.text_to_image.unet
    assert pack.instruct.unet.config.in_channels == 8


def test_a_component_of_ones_own_changes_its_role_alone(folder, tmp_path):
    pack = opened(folder)
    own = Path(shutil.copytree(folder / pack.manifest.roles["text_to_image"].components["unet"], tmp_path / "own"))
    (weights,) = own.glob("*.safetensors")
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    changed = pack.with_component("text_to_image", "unet", own)
    first, other = (next(model.unet.parameters()) for model in (pack.text_to_image, changed.text_to_image))
    assert torch.allclose(other, first + 1, atol=1e-2) and not torch.equal(other, first)
    assert changed.text_to_image.text_encoder is pack.text_to_image.text_encoder
    assert opened(folder).manifest == pack.manifest
    with pytest.raises(PackError, match="has no nonsense"):
        pack.with_component("nonsense", "unet", own)
    with pytest.raises(PackError, match="@"):
        pack.with_component("text_to_image", "unet", tmp_path / "a@b")


def test_latent_diffusion_gives_what_the_libraries_own_models_give(folder):
    model = opened(folder).text_to_image
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = model.autoencoder.encode(pictures)
    assert torch.equal(latents, model.autoencoder.vae.encode(pictures).latent_dist.mean * 0.5)
    back = model.autoencoder.decode(latents)
    assert back.shape == pictures.shape and back.abs().max() <= 1
    assert torch.equal(back, model.autoencoder.vae.decode(latents / 0.5).sample.clamp(-1, 1))
    text = model.encode_text(["a b", ""])
    assert text.shape == (2, 8, 16)
    ids = model.tokenizer(["a b", ""], padding="max_length", max_length=8, return_tensors="pt").input_ids
    assert torch.equal(text, model.text_encoder(ids).last_hidden_state)
    with quiet():
        assert torch.equal(text, CLIPTextModel.from_pretrained(folder / "clip", dtype=torch.float32)(ids)[0])
    t = torch.tensor([10, 900])
    assert torch.equal(model.denoise(latents, t, text), model.unet(latents, t, encoder_hidden_states=text).sample)


def test_a_text_longer_than_the_tokenizer_allows_is_cut(folder):
    assert opened(folder).text_to_image.encode_text(["a " * 50]).shape == (1, 8, 16)


def test_words_stand_where_their_tokens_do(folder):
    model = opened(folder).text_to_image
    spelled = ("ab", "b", "a")  # no merges: a token a letter
    assert model.words("ab b a") == (Word("ab", 1, 3), Word("b", 3, 4), Word("a", 4, 5))
    ids = model.tokenizer(" ".join(spelled)).input_ids
    assert len(ids) == model.words(" ".join(spelled))[-1].stop + 1
    cut = model.words("ab ab aba")  # the eighth and last place is the end's
    assert [(word.text, word.stop) for word in cut] == [("ab", 3), ("ab", 5), ("ab", 7)]
    assert model.words("") == ()


def test_denoise_keeps_gradients_where_they_are_asked_for(folder):
    model = opened(folder).text_to_image
    text = model.encode_text(["a"]).requires_grad_()
    model.denoise(torch.zeros(1, 4, 8, 8), torch.tensor([5]), text).sum().backward()
    assert text.grad is not None and text.grad.abs().sum() > 0


def test_bf16_answers_in_fp32_and_close_to_fp32(folder):
    fp32, bf16 = opened(folder).text_to_image, open_pack(folder, device="cpu", dtype="bf16").text_to_image
    latents, t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    one, other = (m.denoise(latents, t, m.encode_text(["a"])) for m in (fp32, bf16))
    assert other.dtype == torch.float32
    assert not torch.equal(one, other)
    assert torch.allclose(one, other, atol=0.05)


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_texts_that_stay_change_no_bit_in_any_arithmetic(folder, dtype):
    model = open_pack(folder, device="cpu", dtype=dtype).text_to_image
    x, t, text = torch.randn(2, 4, 8, 8), torch.tensor([900, 900]), model.encode_text(["a", "b"])
    plain = [model.denoise(x, t - step, text) for step in range(3)]
    with model.same_texts():
        kept = [model.denoise(x, t - step, text) for step in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(plain, kept, strict=True))


def test_the_noise_schedule_is_the_schedulers_own(folder):
    model = opened(folder).text_to_image
    assert torch.equal(model.alphas_cumprod, DDIMScheduler.from_pretrained(folder / "scheduler").alphas_cumprod)


def test_trained_betas_are_a_schedule_too(folder):
    betas = torch.linspace(0.001, 0.02, 1000).tolist()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"trained_betas": betas}))
    seal(folder, "tiny", "2", tiny.ROLES)
    expected = torch.cumprod(1 - torch.tensor(betas), dim=0)
    assert torch.allclose(opened(folder).text_to_image.alphas_cumprod, expected)


def _predicting(folder, prediction):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": prediction}))
    seal(folder, "tiny", "2", tiny.ROLES)
    return opened(folder)


def test_a_model_that_predicts_the_velocity_gives_the_noise_that_it_means(folder):
    plain = opened(folder).text_to_image
    x, t = torch.randn(2, plain.autoencoder.latent_channels, 8, 8), torch.tensor([900, 20])
    text = plain.encode_text(["a cat", "a dog"])
    v = plain.denoise(x, t, text)
    alpha = plain.alphas_cumprod[t].view(2, 1, 1, 1)
    eps = _predicting(folder, "v_prediction").text_to_image.denoise(x, t, text)
    assert torch.allclose(eps, alpha.sqrt() * v + (1 - alpha).sqrt() * x, atol=1e-5)


def test_a_model_that_predicts_something_else_is_refused(folder):
    with pytest.raises(PackError, match="'sample': only epsilon, v_prediction"):
        _ = _predicting(folder, "sample").text_to_image


def test_a_missing_role_names_role_pack_and_what_still_works(folder):
    pack = opened(folder)
    with pytest.raises(PackError, match="'tiny' has no captioner.*still works with it: instructpix2pix"):
        _ = pack.captioner
    with pytest.raises(PackError, match="has no detector"):
        _ = pack.segmenter


@pytest.mark.parametrize("role", ["incontext", "prompt_diffusion", "instruct_in_context"])
def test_a_pack_without_an_in_context_model_says_so(folder, role):
    with pytest.raises(PackError, match=f"'tiny' has no {role}: take another pack, or train one"):
        getattr(opened(folder), role)


CONTROL = {"control": "rcldm", "size": 16, "prefix": "a b ", "states": 1, "ratio": 1.0, "gate": False, "blocks": 1}


@pytest.fixture
def prompted(folder):
    """The tiny pack's folder, sealed with a control branch that has been trained a little."""
    base = opened(folder).text_to_image
    config = ControlConfig(**CONTROL)
    torch.manual_seed(0)
    control = build_control(config, base)
    for link in control.links:
        torch.nn.init.normal_(link.out.weight, std=0.5)
    torch.nn.init.normal_(control.vision.out.weight, std=0.5)
    save_control(control, config, folder / "incontext")
    role = Role(kind="prompted_diffusion", components=tiny.LATENT | {"control": "incontext"})
    seal(folder, "tiny", "1", {**tiny.ROLES, "incontext": role})
    return folder


@torch.no_grad()
def test_a_control_branch_is_loaded_beside_its_model(prompted):
    pack = opened(prompted)
    model = pack.incontext
    assert isinstance(model, roles.InContext) and (model.size, model.canvas) == (16, 2)
    assert model.base.unet is pack.text_to_image.unet
    said, null = model.encode_text(["c", ""])
    assert torch.equal(said, pack.text_to_image.encode_text(["a b c"])[0])
    assert torch.equal(null, pack.text_to_image.encode_text([""])[0])
    x, t = torch.randn(2, 4, 16, 16), torch.tensor([500, 20])
    grid = torch.rand(1, 3, 32, 32) * 2 - 1
    states = torch.stack([said, null])
    eps, other = (model.prompted(prompt)(x, t, states) for prompt in (grid, -grid))
    assert eps.shape == x.shape and not torch.allclose(eps, pack.text_to_image.denoise(x, t, states))
    torch.testing.assert_close(eps, model.prompted(grid.expand(2, -1, -1, -1))(x, t, states))
    with model.same_texts():
        denoise = model.prompted(grid)
        assert all(torch.equal(denoise(x, t, states), eps) for _ in range(2))
    assert not torch.equal(eps, other)


@torch.no_grad()
@torch.no_grad()
def test_a_branch_projects_a_text_once_and_answers_the_same_bit_for_bit(prompted):
    model = opened(prompted).incontext
    x, t, text = torch.randn(1, 4, 16, 16), torch.tensor([500]), model.encode_text(["c"])
    layers = [layer.to_k for layer in cross_attentions(model.control.encoder).values()]
    denoise = model.prompted(torch.rand(1, 3, 32, 32) * 2 - 1)
    apart = [denoise(x + step, t, text) for step in range(3)]
    weights = [layer.weight.clone() for layer in layers]
    with model.same_texts():
        first = denoise(x, t, text)
        for layer in layers:
            layer.weight.zero_()  # what was projected already is not projected again
        kept = [first, *(denoise(x + step, t, text) for step in (1, 2))]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.copy_(weight)
    assert all(torch.equal(one, other) for one, other in zip(kept, apart, strict=True))


def test_a_branch_looks_at_a_visual_prompt_once_and_answers_as_in_training(prompted):
    model = opened(prompted).incontext
    looks = []
    model.control.vision.register_forward_hook(lambda *_: looks.append(1))
    states = model.encode_text(["c", ""])
    grid, x = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(2, 4, 16, 16)
    denoise = model.prompted(grid)
    told = {t: denoise(x, torch.tensor([t, t]), states) for t in (900, 500, 20)}
    assert len(looks) == 1
    x_vpc = by_quadrant(model.autoencoder.encode, grid).repeat(2, 1, 1, 1)
    for t, eps in told.items():
        given = x, torch.tensor([t, t]), states
        torch.testing.assert_close(eps, predicted(model.base, *given, model.control(*given, x_vpc)))


def test_pictures_are_decoded_with_gradients_and_not_clamped(prompted):
    model = opened(prompted).incontext
    latents = (30 * torch.randn(1, 4, 8, 8)).requires_grad_()
    pixels = model.autoencoder.decode_pixels(latents)
    pixels.sum().backward()
    assert latents.grad.any()
    assert torch.allclose(pixels.detach().clamp(-1, 1), model.autoencoder.decode(latents.detach()))


def test_a_control_folder_that_cannot_be_used_is_refused(prompted):
    for config, named in ((CONTROL | {"blocks": 2}, "another branch"), ({"control": "magic"}, "no control branch")):
        (prompted / "incontext" / "config.json").write_text(json.dumps(config))
        role = Role(kind="prompted_diffusion", components=tiny.LATENT | {"control": "incontext"})
        seal(prompted, "tiny", "1", {**tiny.ROLES, "incontext": role})
        with pytest.raises(PackError, match=named):
            _ = opened(prompted).incontext


def test_the_methods_in_that_message_are_the_editors():
    assert set(METHODS) == set(EDITORS)


def test_an_unknown_kind_is_named(folder):
    seal(folder, "tiny", "2", tiny.ROLES | {"planner": Role(kind="crystal_ball", components={"model": "clip"})})
    with pytest.raises(PackError, match="crystal_ball"):
        _ = opened(folder).planner


@pytest.mark.parametrize(("role", "kind"), [("captioner", "word_captioner"), ("panoptic", "centre_panoptic")])
def test_what_looks_through_a_detector_asks_for_one(folder, role, kind):
    seal(folder, "tiny", "2", tiny.ROLES | {role: Role(kind=kind, components={"model": "clip"})})
    with pytest.raises(PackError, match="needs a component 'detector'"):
        opened(folder).load(role)


def test_an_unknown_pack_is_refused_with_the_names_of_those_there_are(tmp_path):
    with pytest.raises(PackError, match="no pack is called 'giant': take miniature, sd15"):
        open_pack("giant")
    with pytest.raises(PackError, match="manifest.json cannot be read"):
        open_pack(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "the file"),
        ('{"name": "x", "version": "1"}', "roles"),
        (
            '{"name": "x", "version": "1", "roles": {"clip": {"kind": "clip", "components": {"model": "../up"}}}}',
            "inside",
        ),
        ('{"name": "x", "version": "1", "roles": {}, "files": {"/etc/passwd": ""}}', "inside"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place(tmp_path, text, complaint):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(PackError, match=complaint):
        open_pack(tmp_path)


def test_a_changed_file_is_named_when_it_is_loaded(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    pack = opened(folder)
    assert pack.instruct
    with pytest.raises(PackError, match="unet/diffusion_pytorch_model.safetensors is not the file"):
        _ = pack.text_to_image
    with pytest.raises(PackError, match="is not the file"):
        verify(folder, read_manifest(folder / "manifest.json"))


def test_a_missing_file_is_named(folder):
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(PackError, match="vae/config.json is missing"):
        _ = opened(folder).text_to_image


def unsealed(folder: Path) -> Path:
    """The same pack without hashes, so that the loader sees what is wrong."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"files": {}}))
    return folder


def test_the_hash_of_an_unsealed_pack_tells_its_weights(folder):
    first = opened(unsealed(folder))
    assert opened(folder).hash == first.hash
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: weight + 1 for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
    other = opened(folder)
    assert other.hash != first.hash
    assert other.hash_of("text_to_image") != first.hash_of("text_to_image") and other.hash_of("clip") == first.hash_of(
        "clip"
    )


@pytest.mark.parametrize(
    ("role", "wanted", "said"),
    [
        ("clip", {"kind": "clip", "components": {"model": "a/b/c@main"}}, "Repo id must be"),
        ("clip", {"kind": "clip", "components": {}}, "no component 'model'"),
        ("text_to_image", {"kind": "latent_diffusion", "components": {"unet": "unet"}}, "no component 'vae'"),
    ],
)
def test_a_role_that_is_described_wrongly_is_one_line(folder, role, wanted, said):
    manifest = json.loads((unsealed(folder) / "manifest.json").read_text())
    manifest["roles"][role] = wanted
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PackError, match=f"role '{role}' of the pack 'tiny' does not load.*{said}"):
        getattr(opened(folder), role)


@pytest.mark.parametrize("score", ["threshold", "companions"])
def test_a_score_that_is_no_number_is_refused(folder, score):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["defaults"] = {"segmenter": {score: "high"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PackError, match=f"{score} 'high': give it a number"):
        _ = opened(folder).segmenter


def test_weights_that_are_no_safetensors_are_refused(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(b"words")
    with pytest.raises(PackError, match="'text_to_image' of the pack 'tiny' does not load"):
        _ = opened(unsealed(folder)).text_to_image
    path.unlink()
    torch.save({}, path.with_suffix(".bin"))
    with pytest.raises(PackError, match="is no safetensors file"):
        _ = opened(folder).text_to_image


def test_a_missing_weight_is_refused_and_not_filled_with_noise(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(dict(list(load_file(path).items())[1:]), path, metadata={"format": "pt"})
    with pytest.raises(PackError, match="lacks the weights|does not load"):
        _ = opened(unsealed(folder)).text_to_image


def test_hub_weights_that_are_not_here_come_with_the_command_that_fetches_them(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    pack = open_pack("sd15", device="cpu")
    for role in ("text_to_image", "instruct", "detector", "captioner", "clip"):
        with pytest.raises(PackError, match="not on this machine: get them with `hf download .* --revision"):
            getattr(pack, role)


def test_every_pack_of_the_catalogue_that_needs_no_training_has_a_manifest():
    assert list(catalogue()) == ["miniature", "sd15"]
    assert read_manifest(catalogue()["sd15"].manifest).name == "sd15"


def test_devices_and_dtypes_that_cannot_be_had_are_refused():
    assert place("cpu", "fp32").words == "cpu fp32"
    assert place("cpu", "auto").dtype in (torch.bfloat16, torch.float32)
    for device, dtype, complaint in (
        ("cpu", "fp16", "too slow"), ("cpu", "int4", "no dtype"), ("toaster", "auto", "no device"),
        ("meta", "auto", "not supported"), ("cuda:99", "auto", "not on this machine"),
    ):  # fmt: skip
        with pytest.raises(PackError, match=complaint):
            place(device, dtype)


def test_a_broken_torchvision_is_hidden(tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    hide_broken_torchvision()
    assert sys.modules["torchvision"] is None
    monkeypatch.delitem(sys.modules, "torchvision")


def test_sealing_stores_halves_and_twice_changes_nothing(folder):
    for path in folder.rglob("*.safetensors"):
        assert {t.dtype for t in load_file(path).values()} <= {torch.float16, torch.int64}
    first = (folder / "manifest.json").read_bytes()
    seal(folder, "tiny", "1", tiny.ROLES, {"instructedit": {"ratio": 0.7}})
    assert (folder / "manifest.json").read_bytes() == first


def test_large_weights_are_cut_into_shards_that_load_as_before(folder, monkeypatch):
    before = opened(folder)
    latents, t = torch.zeros(1, 4, 8, 8), torch.tensor([500])
    eps = before.text_to_image.denoise(latents, t, before.text_to_image.encode_text(["a"]))
    monkeypatch.setattr("pentimento.packs.sealing.SHARD_BYTES", 8_000)
    for name in ("vae", "unet", "clip"):  # sealed halves would not be touched again
        for path in (folder / name).glob("*.safetensors"):
            save_file({k: v.float() for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    manifest = seal(folder, "tiny", "1", tiny.ROLES)
    assert "unet/diffusion_pytorch_model.safetensors.index.json" in manifest.files
    assert any(name.startswith("clip/model-00001-of-") for name in manifest.files)
    assert "unet/diffusion_pytorch_model.safetensors" not in manifest.files
    after = opened(folder)
    assert torch.equal(after.text_to_image.denoise(latents, t, after.text_to_image.encode_text(["a"])), eps)
    assert after.clip and after.hash != before.hash


def test_sealing_takes_the_defaults_from_their_file(folder):
    (folder / "defaults.json").write_text('{"instructpix2pix": {"steps": 20}}')
    assert seal(folder, "tiny", "1", tiny.ROLES).defaults == {"instructpix2pix": {"steps": 20}}


def test_sealing_refuses_what_it_cannot_store(folder):
    with pytest.raises(PackError, match="nothing is missing"):
        seal(folder, "tiny", "1", {"clip": Role(kind="clip", components={"model": "nothing"})})
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    for bad in (1e6, float("nan")):
        save_file({name: tensor * bad for name, tensor in tensors.items()}, path)
        with pytest.raises(PackError, match="fp16 cannot"):
            seal(folder, "tiny", "1", tiny.ROLES)


def test_the_card_holds_the_runs_and_the_scores(tmp_path):
    report = {
        "images": 400_000, "minutes": 31.25, "loss": 0.1234, "finished": False, "hardware": "x86_64 CPU",
        "processes": 1, "settings": {"lr": 0.001, "seed": 0},
    }  # fmt: skip
    runs = {"autoencoder": [{**report, "images": 1_000, "minutes": 1.0}, report]}
    card = write_card(tmp_path, "The miniature", runs, {"PSNR": "30.1 dB (n = 64)"}, "Drawn world.")
    text = card.read_text()
    for words in (
        "| autoencoder | 1,000 + 400,000 | 32.2 |",
        "no, stopped by time",
        "30.1 dB (n = 64)",
        "lr 0.001",
        "Drawn world.",
    ):
        assert words in text


def test_the_pack_keeps_the_reports_of_earlier_runs_and_one_for_a_run_that_went_on(tmp_path):
    def report(images: int, seed: int) -> dict:
        return {"images": images, "minutes": images / 10, "settings": {"seed": seed, "lr": 1e-3}}

    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "report.json").write_text(json.dumps(report(30, 1)))
    known = {"clip": [report(50, 0), report(20, 1)], "vae": [report(5, 0)]}
    assert with_runs(known, tmp_path) == {"clip": [report(50, 0), report(30, 1)], "vae": [report(5, 0)]}
    (tmp_path / "clip" / "report.json").write_text(json.dumps(report(30, 2)))
    assert [r["images"] for r in with_runs(known, tmp_path)["clip"]] == [50, 20, 30]


def test_the_miniature_is_sealed_with_what_is_trained_and_installed_whole(tmp_path):
    trained, installed = tmp_path / "trained", tmp_path / "installed"
    tiny.write_components(trained)
    with pytest.raises(PackError, match="no trained model"):
        finish(tmp_path / "empty", tmp_path / "runs", "0")
    (trained / "scores.json").write_text('{"clip": "61 % (n = 200)"}')
    assert finish(trained, tmp_path / "runs", "0").defaults == {**UNTUNED, **FIXED}
    (trained / "defaults.json").write_text('{"sdedit": {"steps": 9}, "mdp": {"guidance": 3.0}}')
    manifest = finish(trained, tmp_path / "runs", "0")
    assert (manifest.name, list(manifest.roles)) == ("miniature", ["clip"])
    tuned = {**UNTUNED, **FIXED, "sdedit": {"steps": 9}, "mdp": {"guidance": 3.0, **FIXED["mdp"]}}
    assert manifest.defaults == tuned
    (trained / "defaults.json").write_text('{"sdedit": {"steps": 8}}')
    assert finish(trained, tmp_path / "runs", "0").defaults == {**tuned, "sdedit": {"steps": 8}}
    install(trained, installed)
    assert "61 % (n = 200)" in (installed / "CARD.md").read_text()
    kept = ["CARD.md", "clip", "manifest.json", "reports.json", "scores.json"]
    assert sorted(p.name for p in installed.iterdir()) == kept
    pack = opened(installed)
    assert isinstance(pack.clip, roles.Clip) and pack.hash == manifest.hash
    (trained / "clip" / "config.json").write_text("{}")
    with pytest.raises(PackError, match="is not the file"):
        install(trained, installed)
    assert opened(installed).clip


def test_the_miniatures_own_models_load_by_their_kind(tmp_path):
    dense = detector.DetectorNet(detector.DetectorConfig())
    detector.save(dense, tmp_path / "detector")
    segmenter.save(segmenter.SegmenterNet(segmenter.SegmenterConfig()), tmp_path / "segmenter")
    tagger.save(tagger.TaggerNet(tagger.TaggerSettings()), tmp_path / "language")
    names = ("detector", "segmenter", "planner")
    seal(
        tmp_path,
        "own",
        "1",
        {name: ROLES[name] for name in names},
        {"segmenter": {"threshold": 0.4, "companions": 0.1}},
    )
    pack = opened(tmp_path)
    assert isinstance(pack.detector, roles.Detector)
    assert isinstance(pack.box_segmenter, roles.BoxSegmenter)
    assert isinstance(pack.segmenter, roles.Segmenter)
    assert (pack.segmenter.threshold, pack.segmenter.companions) == (0.4, 0.1)
    assert isinstance(pack.planner, roles.Planner)
    with pytest.raises(PackError, match="no language model that writes"):
        _ = pack.chat
