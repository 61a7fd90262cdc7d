"""What the documents tell people to type: every command is understood, and those that are quick are carried out."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from pentimento import cli, studio
from pentimento.bench import TABLES
from pentimento.bench.instructgie_rows import ABLATIONS
from pentimento.language.rules import Rules
from pentimento.packs.manifest import MANIFEST, Manifest, Role, read_manifest
from pentimento.packs.sealing import read_json
from pentimento.recipes import RECIPES, instructgie
from toy import ToyPack, toy_picture

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/world.md", "docs/protocol.md", "docs/retouching.md")
SLOW = ("train", "bench", "make", "study", "studio")


def shell_lines(page: str) -> list[list[str]]:
    """The words of every line of a page's sh blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    split = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in split if words]


def our_lines(page: str) -> list[list[str]]:
    """What follows `pentimento` in those lines, redirections included."""
    return [words[1:] for words in shell_lines(page) if words[0] == "pentimento"]


def command(understood: list[Any]) -> Any:
    """The command as it stands, but a verb only notes its arguments."""
    whole = typer.main.get_command(cli.app)
    for verb in (*whole.commands.values(), *whole.commands["make"].commands.values()):
        verb.callback = lambda **arguments: understood.append(arguments)
    return whole


@pytest.mark.parametrize("words", [words for page in PAGES for words in our_lines(page)], ids=" ".join)
def test_every_command_of_the_documents_is_understood(words: list[str]) -> None:
    understood: list[Any] = []
    asked = words[: words.index(">")] if ">" in words else words
    command(understood).main(asked, prog_name="pentimento", standalone_mode=False)
    (arguments,) = [arguments for arguments in understood if arguments]
    if words[0] == "train":
        assert arguments["recipe"] in RECIPES
    if words[0] == "bench":
        assert arguments["name"] in TABLES


def test_an_option_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(typer.TyperException, match="--colour"):
        command([]).main(["make", "sheet", "sheet.png", "--colour"], prog_name="pentimento", standalone_mode=False)


def test_every_verb_is_in_the_readme() -> None:
    assert {words[0] for words in our_lines("README.md")} == set(typer.main.get_command(cli.app).commands)


def test_the_quick_commands_of_the_readme_run_one_after_the_other(
    workshop: studio.Studio, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.pack.planner = Rules()  # the fake pack's own knows one sentence
    monkeypatch.chdir(photo.parent)
    Path("photos").mkdir()
    for name in ("one", "before", "after"):
        Image.open(photo).save(f"photos/{name}.png")
    for words in our_lines("README.md"):
        if words[0] in SLOW or words in learning_lines():
            continue
        out = Path(words[-1] if ">" in words else "said.txt")
        with pytest.raises(SystemExit) as left, out.open("w") as file, redirect_stdout(file):
            cli.main(words[: words.index(">")] if ">" in words else words)
        assert not left.value.code, words
    assert Path("out.png").is_file() and Path("mask.png").is_file() and Path("results/one.png").is_file()


def learning_lines() -> list[list[str]]:
    return [words for words in our_lines("README.md") if words[0] == "learn" or "--learned" in words]


def test_the_learning_commands_of_the_readme_run_one_after_the_other(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps instead of a thousand, from given words, with networks that are small."""
    opened = studio.Studio(ToyPack(), "miniature", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    monkeypatch.chdir(photo.parent)
    Path("pairs").mkdir()
    for i in range(4):
        toy_picture(seed=i).save(f"pairs/{i // 2}_{i % 2}.png")
    short = ["--steps", "2", "--instruction", "make it snow"]
    for words in learning_lines():
        with pytest.raises(SystemExit) as left:
            cli.main([*words, *short] if words[0] == "learn" else words)
        assert not left.value.code, words
        assert Path("out.png").is_file() or words[0] == "learn"


def test_make_targets_of_the_readme_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {words[1] for words in shell_lines("README.md") if words[0] == "make"}
    assert named and named <= set(targets)


def test_the_script_that_builds_the_pack_trains_every_recipe_then_seals_measures_and_installs() -> None:
    lines = (ROOT / "runs" / "miniature.sh").read_text(encoding="utf-8").splitlines()
    steps = [line.partition("#")[0].split() for line in lines if line[:1].isalpha()]
    beside = ("prompt_diffusion", "instruct_in_context")  # runs/comparisons.sh trains these
    assert [words[1] for words in steps if words[0] == "train"] == [name for name in RECIPES if name not in beside]
    after = [" ".join(words) for words in steps if words[0] in ("finish", "bench", "install")]
    measured = ["bench tune", "finish", "bench pack", "bench instructedit", "bench card"]
    assert after == ["finish", *measured, "finish", "install"]
    assert all(step.split()[1] in TABLES for step in after if step.startswith("bench"))


def test_the_script_of_the_comparisons_trains_each_ablation_of_table_2_with_one_setting_changed() -> None:
    lines = (ROOT / "runs" / "comparisons.sh").read_text(encoding="utf-8").splitlines()
    ablated = dict(line.split()[1:] for line in lines if line.startswith("ablate ") and "=" in line)
    assert list(ablated) == [one.folder for one in ABLATIONS]
    assert [setting.split("=")[0] for setting in ablated.values()] == [one.left_out for one in ABLATIONS]
    whole = instructgie.Settings()
    for setting in ablated.values():
        name, value = setting.split("=")
        changed = instructgie.Settings.model_validate({name: value})
        assert [n for n in instructgie.Settings.model_fields if getattr(changed, n) != getattr(whole, n)] == [name]


TRAINER = """#!/usr/bin/env bash
if [ "$1" != -m ]; then exec "$REAL" "$@"; fi
echo "$GLIBC_TUNABLES $*" >> calls  # -m pentimento train RECIPE --pack-dir PACK --run-dir RUN ...
name=$4
[ $name = instructgie ] && name=incontext
[ ! -e "$6/$name" ] || exit 3  # it would go on from there
mkdir -p "$6/$name" "$8"
echo '{}' > "$6/$name/config.json"
images=$(echo "$*" | grep -o "images=[0-9]*")
echo "{\\"finished\\": ${FINISHED:-true}, \\"images\\": ${images#*=}}" > "$8/report.json"
"""
COMPARED = ("prompt_diffusion", "instruct_in_context", *(one.folder for one in ABLATIONS))


def comparisons(
    folder: Path, finished: bool = True, clip: str = "0" * 64, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The script of the comparisons beside a trainer that only notes how it was called, and a pack with two models and
    a `clip` of that hash."""
    for name in ("runs", "pack/incontext", "pack/judge"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for component in ("incontext", "judge"):
        (folder / "pack" / component / "config.json").write_text("{}")
    stretch = read_json(ROOT / "src/pentimento/packs/miniature/reports.json")["instructgie"][-1]
    stretches = [{**stretch, "finished": False, "images": 800}, {**stretch, "finished": finished, "images": 4000}]
    (folder / "pack" / "reports.json").write_text(json.dumps({"instructgie": stretches}))
    roles = {"clip": Role(kind="clip", components={"model": "clip"})}
    manifest = Manifest(name="pack", version="0", roles=roles, files={"clip/config.json": clip})
    (folder / "pack" / MANIFEST).write_text(manifest.model_dump_json())
    shutil.copy(ROOT / "runs" / "comparisons.sh", folder / "runs")
    (folder / "python").write_text(TRAINER)
    (folder / "python").chmod(0o755)
    given = {
        **os.environ, "PACK": str(folder / "pack"), "PYTHON": str(folder / "python"), "REAL": sys.executable,
        **variables,
    }  # fmt: skip
    return subprocess.run(["bash", folder / "runs" / "comparisons.sh"], env=given, capture_output=True, text=True)


def test_the_comparisons_are_trained_on_equal_picture_area_and_make_a_pack(tmp_path: Path) -> None:
    made = comparisons(tmp_path)
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in (tmp_path / "comparisons").iterdir()) == sorted(COMPARED)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == len(COMPARED) and all(call.startswith("glibc.malloc") for call in calls)
    assert all("images=19200" in call for call in calls[:2]) and all("images=4800" in call for call in calls[2:])
    assert not any("--minutes" in call for call in calls)
    assert all("area=30.0" in call for call in calls[2:]) and calls[-1].endswith("area=0")  # the whole's own, but one
    pack = tmp_path / "runs/comparisons/pack"
    assert "judge" in read_manifest(pack / "manifest.json").roles and (pack / "prompt_diffusion").is_dir()
    (tmp_path / "comparisons" / ".without-sam.partial" / "left over").mkdir(parents=True)
    (pack / "left over").mkdir()
    assert comparisons(tmp_path).returncode == 0  # nothing is trained again
    assert [path.name for path in pack.parent.glob("*pack*")] == ["pack"] and not (pack / "left over").exists()
    assert len((tmp_path / "calls").read_text().splitlines()) == len(calls)
    unequal = comparisons(tmp_path, GRIDS="5000")
    assert unequal.returncode and "prompt_diffusion has seen other than 20000 images" in unequal.stderr
    other = comparisons(tmp_path, clip="1" * 64)  # painters alone do not look through it
    assert other.returncode and "without-rcldm was trained beside other models" in other.stderr


def test_the_pack_of_the_comparisons_takes_the_settings_that_were_chosen(tmp_path: Path) -> None:
    (tmp_path / "comparisons").mkdir()
    (tmp_path / "comparisons" / "defaults.json").write_text('{"promptdiffusion": {"guidance": 2.5}}')
    assert comparisons(tmp_path).returncode == 0
    manifest = read_manifest(tmp_path / "runs/comparisons/pack" / MANIFEST)
    assert manifest.defaults["promptdiffusion"] == {"guidance": 2.5}
    (tmp_path / "comparisons" / "defaults.json").write_text("no JSON")
    assert comparisons(tmp_path).returncode  # and the pack that is there stays
    assert read_manifest(tmp_path / "runs/comparisons/pack" / MANIFEST) == manifest


def test_a_run_that_was_broken_off_is_nothing_to_compare_with(tmp_path: Path) -> None:
    left = comparisons(tmp_path, FINISHED="false", GRIDS="16")
    assert left.returncode and "broken off" in left.stderr and not (tmp_path / "comparisons").exists()
    assert "images=64" in (tmp_path / "calls").read_text()
    (tmp_path / "calls").unlink()
    left = comparisons(tmp_path, finished=False)
    assert left.returncode and "broken off" in left.stderr and not (tmp_path / "calls").exists()
