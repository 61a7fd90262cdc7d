import json
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models as tiny

from pentimento import cli
from pentimento.errors import PackError
from pentimento.packs import Role, catalogue, check, read_manifest
from pentimento.packs.manifest import PROVIDED, Manifest, locate

COMMIT = "a" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def manifest() -> Manifest:
    one = f"them/one@{COMMIT}"
    return Manifest(
        name="ours", version="1",
        roles={
            "text_to_image": Role(kind="latent_diffusion", components={"vae": f"{one}/vae", "unet": f"{one}/unet"}),
            "clip": Role(kind="clip", components={"model": "them/two@main"}),
        },
        downloads={
            f"{one}/vae": {"config.json": 0, "vae.safetensors": 300_000_000},
            f"{one}/unet": {"unet.safetensors": 2_000_000_000},
            "them/two@main": {"model.safetensors": 5_000_000},
        },
    )  # fmt: skip


def cached(cache: Path, name: str, revision: str, *files: str) -> None:
    """These files as the hub's client keeps them."""
    repository = cache / f"models--{name.replace('/', '--')}"
    if len(revision) < 40:
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / revision).write_text(COMMIT)
        revision = COMMIT
    for file in files:
        path = repository / "snapshots" / revision / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: SimpleNamespace(model_info=answer))


def test_offline_what_is_missing_comes_with_its_size_and_the_command_that_fetches_it(
    cache: Path, tmp_path: Path, manifest: Manifest
) -> None:
    cached(cache, "them/one", COMMIT, "vae/config.json", "vae/vae.safetensors")
    one, two = check(tmp_path, manifest).sources
    assert (one.missing, one.download, one.size) == (("unet/unet.safetensors",), 2_000_000_000, 2_300_000_000)
    assert one.fetch == f"hf download them/one unet/unet.safetensors --revision {COMMIT}"
    assert (two.missing, two.download, two.roles) == (("model.safetensors",), 5_000_000, ("clip",))
    assert one.pinned and not two.pinned
    assert "not reached" in check(tmp_path, manifest).hub


def test_when_all_is_here_nobody_is_asked(
    cache: Path, tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, lambda *_, **__: pytest.fail("the hub was asked"))
    cached(cache, "them/one", COMMIT, "vae/config.json", "vae/vae.safetensors", "unet/unet.safetensors")
    cached(cache, "them/two", "main", "model.safetensors")
    report = check(tmp_path, manifest)
    assert not report.missing and report.hub == ""


def test_the_hubs_own_sizes_count_when_it_answers_and_what_it_lacks_is_named(
    cache: Path, tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [("vae/config.json", 10), ("vae/vae.safetensors", 20), ("unet/other.safetensors", 7)]
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in files]
    hub(monkeypatch, lambda name, **_: SimpleNamespace(siblings=siblings if name == "them/one" else []))
    one, two = check(tmp_path, manifest).sources
    assert (one.download, one.unknown) == (30, ("unet/unet.safetensors",))
    assert two.unknown == ("model.safetensors",)


def test_a_hub_that_does_not_answer_is_not_waited_for(
    cache: Path, tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, over = Event(), Event()

    def silent(*_: Any, **__: Any) -> None:
        over.wait(60)
        asked.set()
        raise OSError("gave up")

    hub(monkeypatch, silent)
    try:
        report = check(tmp_path, manifest, seconds=0.2)
        assert "no answer within 0.2 seconds" in report.hub and not asked.is_set()
        assert report.sources[0].download == 2_300_000_000
    finally:
        over.set()  # or the thread would outlive the test
    assert asked.wait(60)


def test_roles_can_be_chosen_and_unknown_ones_are_refused(cache: Path, tmp_path: Path, manifest: Manifest) -> None:
    assert [source.name for source in check(tmp_path, manifest, ["clip"]).sources] == ["them/two"]
    with pytest.raises(PackError, match="has no planner: it has text_to_image, clip"):
        check(tmp_path, manifest, ["planner"])


def test_a_manifest_without_file_names_asks_only_whether_the_repository_is_here(cache: Path, tmp_path: Path) -> None:
    manifest = Manifest(name="x", version="1", roles={"clip": Role(kind="clip", components={"model": "them/two@main"})})
    (source,) = check(tmp_path, manifest).sources
    assert source.missing == ("*",) and source.size == 0
    cached(cache, "them/two", "main", "model.safetensors")
    assert not check(tmp_path, manifest).missing


def test_a_pack_of_its_own_files_is_here_or_names_the_folder_that_is_not(tmp_path: Path) -> None:
    folder = tiny.sealed(tmp_path / "pack")
    manifest = read_manifest(folder / "manifest.json")
    (source,) = check(folder, manifest).sources
    assert not source.missing and source.size > 10_000 and source.fetch == "" and source.pinned
    (folder / "vae").rename(folder / "elsewhere")
    assert check(folder, manifest).sources[0].missing == ("vae",)


def test_what_a_role_needs_is_fetched_and_not_the_whole_repository(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="hf download a/b unet/config.json --revision main`"):
        locate(tmp_path, "a/b@main/unet", ["config.json"])


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["packs", *words])
    return int(str(left.value.code))


def test_the_command_prints_the_downloads_and_leaves_with_status_2(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "sd15") == 2
    out, err = capsys.readouterr()
    assert "facebook/sam-vit-huge (segmenter): missing, 2.56 GB to download" in out and "hub: not reached" in out
    assert "10 of 10 sources of the pack 'sd15' are not on this machine" in err
    assert run("check", "sd15", "--only", "clip", "--json") == 2
    fields = json.loads(capsys.readouterr().out)
    assert [source["name"] for source in fields["sources"]] == ["openai/clip-vit-large-patch14"]


def test_networks_that_only_measure_are_looked_for_when_asked(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "sd15", "--only", "lpips", "--json") == 2
    assert json.loads(capsys.readouterr().out)["sources"][0]["missing"] == ["lpips"]


def test_the_embedded_pack_is_here(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "miniature") == 0
    assert "here" in capsys.readouterr().out


def test_wrong_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 2
    assert run("sd15", "--only", "clip") == 2
    assert run("mock", "sd15") == 2
    assert run("mock", "miniature", "somewhere") == 2
    assert capsys.readouterr().err.count("error: ") == 4


def test_every_download_of_the_published_pack_is_listed_and_pinned() -> None:
    manifest = read_manifest(catalogue()["sd15"].manifest)
    published = [role for role in manifest.roles.values() if role.kind not in PROVIDED]
    assert {c for role in published for c in role.components.values()} == set(manifest.downloads)
    for files in manifest.downloads.values():
        assert files and all(not name.endswith((".bin", ".ckpt", ".pt")) for name in files)
