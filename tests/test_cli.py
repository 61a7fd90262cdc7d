import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import source_environment
from pentimento import cli, images, studio
from pentimento.errors import PackError
from pentimento.values import Plan
from toy import ToyPack, toy_picture

TIGER = "change the cat to tiger"


class Outcome:
    """What a command left: exit status, stdout, stderr."""

    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def run(
    workshop: studio.Studio, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run `pentimento ...` in the folder of in.png, with the fake pack."""
    monkeypatch.chdir(photo.parent)

    def command(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        said = capsys.readouterr()
        return Outcome(int(left.value.code or 0), said.out, said.err)

    return command


def refused(outcome: Outcome, status: int = 2) -> str:
    """The one line of a refusal; nothing on stdout, no new picture."""
    assert outcome.status == status, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1
    assert not list(Path().rglob("*out*.png")) and not list(Path().rglob("*.part"))
    return outcome.err


def test_help_answers_in_less_than_half_a_second() -> None:
    def seconds() -> float:
        """Of processor time, which a busy machine hardly stretches; help waits for nothing else."""
        start = os.times()
        done = subprocess.run(
            [sys.executable, "-m", "pentimento", "--help"], capture_output=True, text=True, env=source_environment()
        )
        assert done.returncode == 0 and "edit" in done.stdout and "again" in done.stdout
        end = os.times()
        return end.children_user + end.children_system - start.children_user - start.children_system

    assert min(seconds() for _ in range(3)) < 0.5


def test_the_command_loads_nothing_heavy_before_a_verb_needs_it() -> None:
    heavy = "('torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'scipy', 'pydantic', 'rich')"
    code = f"import sys, pentimento.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=source_environment())
    assert done.stdout.strip() == "[]"


def test_edit_writes_the_result_and_says_so_in_one_line(run: Any) -> None:
    outcome = run("edit", "in.png", TIGER, "-o", "out.png")
    assert outcome.status == 0 and outcome.err == ""
    assert outcome.out.startswith("out.png: photo of cat -> photo of tiger") and outcome.out.count("\n") == 1
    assert studio.record_of("out.png").instruction == TIGER


def test_json_prints_one_object_and_nothing_else(run: Any) -> None:
    outcome = run("edit", "in.png", TIGER, "-o", "out.png", "--json", "--seed", "4")
    (result,) = json.loads(outcome.out)["results"]
    assert result["output"] == "out.png" and result["seed"] == 4 and result["mask_area"] == 0.5
    assert Plan.model_validate(result["plans"][0]).after == "photo of tiger"


def test_plan_json_has_exactly_the_fields_of_a_plan(run: Any) -> None:
    fields = json.loads(run("plan", TIGER, "--json", "--description", "photo of a cat").out)
    assert list(fields) == ["find", "which", "before", "after", "kind", "description"]
    assert Plan.model_validate(fields).description == "photo of a cat"


def test_plan_of_two_edits_lists_both(run: Any) -> None:
    fields = json.loads(run("plan", f"{TIGER} and change the dog to wolf", "--json").out)
    assert [plan["after"] for plan in fields["plans"]] == ["photo of tiger", "photo of wolf"]


def test_plan_describes_a_picture_that_it_is_given(run: Any) -> None:
    assert json.loads(run("plan", TIGER, "--json", "--image", "in.png").out)["description"] == "photo of a cat"


def test_a_plan_can_be_printed_corrected_and_given_back(run: Any) -> None:
    fields = json.loads(run("plan", TIGER, "--json").out)
    Path("plan.json").write_text(json.dumps(fields | {"after": "photo of lion"}))
    for words in ([TIGER], []):
        assert run("edit", "in.png", *words, "--plan", "plan.json", "-o", "out.png").status == 0
        assert studio.record_of("out.png").plans[0].after == "photo of lion"


@pytest.mark.parametrize(
    "content",
    ['{"find": ["cat"], "after": "photo of tiger", "kind": "replace"}', "[]", "", "{", '{"plans": [3]}', '"words"'],
)
def test_a_plan_that_is_not_whole_is_refused(run: Any, content: str) -> None:
    Path("plan.json").write_text(content)
    assert "plan.json" in refused(run("edit", "in.png", TIGER, "--plan", "plan.json", "-o", "out.png"))


def test_a_plan_with_missing_fields_names_them(run: Any) -> None:
    Path("plan.json").write_text('{"find": ["cat"], "after": "photo of tiger", "kind": "replace"}')
    assert "before is missing" in refused(run("edit", "in.png", TIGER, "--plan", "plan.json", "-o", "out.png"))


def test_a_mask_made_by_one_verb_serves_the_other(run: Any) -> None:
    outcome = run("mask", "in.png", "dog", "-o", "mask.png", "--which", "right", "--json")
    fields = json.loads(outcome.out)
    assert fields["area"] == 0.5 and fields["boxes"][0]["box"] == [24, 0, 48, 40]
    assert run("edit", "in.png", TIGER, "--mask", "mask.png", "-o", "out.png").status == 0
    before, after = (np.asarray(images.open_picture(name).image) for name in ("in.png", "out.png"))
    assert np.array_equal(before[:, :24], after[:, :24]) and not np.array_equal(before[:, 24:], after[:, 24:])


def test_again_says_whether_a_result_is_repeated_bit_for_bit(run: Any) -> None:
    run("edit", "in.png", TIGER, "-o", "out.png")
    outcome = run("again", "out.png", "-o", "second.png", "--json")
    assert json.loads(outcome.out) == {"result": "out.png", "output": "second.png", "identical": True}
    first, second = (np.asarray(images.open_picture(name).image) for name in ("out.png", "second.png"))
    assert np.array_equal(first, second)
    Image.new("RGB", (48, 40)).save("other.png")
    assert "is not the picture" in run("again", "out.png", "--image", "other.png").err


@pytest.mark.parametrize("name", ["pairs", "output", "device"])
def test_what_learn_takes_otherwise_is_no_setting(run: Any, name: str) -> None:
    said = refused(run("learn", "pairs", "-o", "a.safetensors", "--set", f"{name}=1"))
    assert f"{name} is no setting of a learning" in said


def test_again_refuses_a_picture_without_a_record(run: Any) -> None:
    assert "no record" in refused(run("again", "in.png"))


def test_nothing_found_leaves_with_status_3_and_its_best_score(run: Any) -> None:
    message = refused(run("edit", "in.png", "change the zebra to horse", "-o", "out.png"), status=3)
    assert "zebra" in message and "0.12" in message
    refused(run("mask", "in.png", "zebra", "-o", "out.png"), status=3)


@pytest.mark.parametrize("instruction", ["", "  ", "x" * 10_000, "bonjour 🐈"])
def test_words_that_cannot_be_used_are_refused(run: Any, instruction: str) -> None:
    refused(run("edit", "in.png", instruction, "-o", "out.png"))


def bad_pictures() -> dict[str, bytes]:
    whole = Path("in.png").read_bytes()
    Image.new("RGB", (1, 1)).save("one.png")
    return {
        "zero.png": b"",
        "text.png": b"hello",
        "cut.png": whole[: len(whole) // 2],
        "one.png": Path("one.png").read_bytes(),
    }


@pytest.mark.parametrize("name", ["missing.png", "zero.png", "text.png", "cut.png", "one.png"])
def test_a_picture_that_cannot_be_used_is_refused(run: Any, name: str) -> None:
    for path, content in bad_pictures().items():
        Path(path).write_bytes(content)
    assert name in refused(run("edit", name, TIGER, "-o", "out.png"))
    assert name in refused(run("mask", name, "cat", "-o", "out.png"))
    assert name in refused(run("plan", TIGER, "--image", name))


def test_a_mask_of_another_size_is_refused(run: Any) -> None:
    Image.new("L", (40, 48), 255).save("mask.png")
    assert "40x48" in refused(run("edit", "in.png", TIGER, "--mask", "mask.png", "-o", "out.png"))


def test_too_many_megapixels_are_refused_at_the_limit_that_was_set(run: Any) -> None:
    assert "megapixels" in refused(run("edit", "in.png", TIGER, "-o", "out.png", "--max-megapixels", "0.001"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--method", "magic"], "magic"),
        (["--ratio", "1.5"], "ratio = 1.5: wanted a number in [0, 1]"),
        (["--steps", "0"], "steps"),
        (["--set", "colour=red"], "colour"),
        (["--set", "ratio"], "name=value"),
        (["--set", "ratio=much"], "ratio"),
        (["--seed", "-1"], "seed"),
        (["--n", "0"], "--n"),
        (["--wrong"], "--wrong"),
        (["--method", "instructpix2pix", "--ratio", "0.5"], "ratio"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(run: Any, options: list[str], named: str) -> None:
    assert named in refused(run("edit", "in.png", TIGER, "-o", "out.png", *options))


def test_settings_reach_the_method(run: Any) -> None:
    run(
        "edit",
        "in.png",
        TIGER,
        "-o",
        "out.png",
        "--ratio",
        "0.25",
        "--set",
        "feather=0",
        "--guidance",
        "2",
        "--steps",
        "8",
    )
    settings = studio.record_of("out.png").settings
    assert (settings["ratio"], settings["feather"], settings["guidance"], settings["steps"]) == (0.25, 0, 2.0, 8)


@pytest.mark.parametrize("output", ["absent/out.png", "in.png/out.png", "out.jpg", "in.png"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(run: Any, output: str, fake_pack: Any) -> None:
    fake_pack.planner = None  # the work would fail on this
    refused(run("edit", "in.png", TIGER, "-o", output))


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "in.png", TIGER, "-o", "o.png", "--sheet", "in.png"),
        ("edit", "in.png", TIGER, "-o", "o.png", "--sheet", "./o.png"),
        ("edit", "in.png", TIGER, "-o", "mask.png", "--mask", "mask.png"),
        ("edit", "in.png", "--example", "mask.png", "other.png", "-o", "other.png"),
        ("mask", "in.png", "cat", "-o", "in.png"),
        ("again", "made.png", "-o", "in.png"),
        ("again", "made.png", "-o", "made.png"),
    ],
)
def test_no_output_overwrites_an_input_or_another_output(run: Any, words: tuple[str, ...]) -> None:
    assert run("edit", "in.png", TIGER, "-o", "made.png").status == 0
    for name in ("mask.png", "other.png"):
        Image.open("in.png").convert("L").save(name)
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert "would overwrite" in refused(run(*words))
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_an_unknown_pack_is_refused(photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(photo.parent)
    with pytest.raises(SystemExit) as left:
        cli.main(["edit", "in.png", TIGER, "-o", "out.png", "--pack", "nowhere"])
    assert left.value.code == 2
    said = capsys.readouterr()
    assert "nowhere" in refused(Outcome(2, said.out, said.err))


def test_a_picture_that_is_not_there_is_no_instruction(run: Any, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(run("plan", TIGER, "--json").out)
    for words in (["absent.png"], ["in.png", "absent.jpg"]):
        outcome = run("edit", *words, "--plan", str(plan), "-o", "results")
        assert outcome.status == 2 and f"{words[-1]}: there is no such" in outcome.err, outcome.err


def test_a_plan_is_refused_by_methods_that_use_none(run: Any, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(run("plan", TIGER, "--json").out)
    words = "edit", "in.png", TIGER, "--plan", str(plan), "--method", "instructpix2pix", "-o", "out.png"
    assert "works from no plan" in refused(run(*words))


def test_a_file_in_the_place_of_the_instruction_is_refused(run: Any) -> None:
    Path("learned.safetensors").write_text("not safetensors")
    for words in (["in.png", "in.png"], ["in.png", "learned.safetensors"], ["in.png"]):
        assert "instruction" in refused(run("edit", *words, "-o", "out.png"))


def test_a_folder_is_edited_and_failures_are_reported_while_the_rest_goes_on(run: Any) -> None:
    Path("photos").mkdir()
    for name in ("a.png", "b.jpg", "a.bmp"):
        Image.open("in.png").save(Path("photos") / name)
    Path("photos/broken.png").write_text("no picture")
    Path("photos/notes.txt").write_text("not looked at")
    Path("photos/._a.png").write_text("what some systems leave beside pictures")
    outcome = run("edit", "photos", TIGER, "-o", "results", "--json")
    report = json.loads(outcome.out)
    assert outcome.status == 2 and "broken.png" in outcome.err and "1 of 4 pictures failed" in outcome.err
    assert sorted(os.listdir("results")) == ["a-bmp.png", "a-png.png", "b.png"]
    assert [Path(failure["picture"]).name for failure in report["failed"]] == ["broken.png"]
    assert len(report["results"]) == 3


def test_a_failure_in_a_folder_names_its_picture_and_a_long_name_ends_nothing(run: Any) -> None:
    Path("photos").mkdir()
    for name in ("z", "l" * 251):
        Image.open("in.png").save(f"photos/{name}.png")
    outcome = run("edit", "photos", TIGER, "-o", "results")
    assert outcome.status == 0 and outcome.out.count("\n") == 2
    assert sorted(os.listdir("results")) == ["l" * 251 + ".png", "z.png"]
    outcome = run("edit", "photos", "change the zebra to tiger", "-o", "more")
    assert outcome.status == 3 and "error: photos/z.png: found no" in outcome.err


def test_variants_go_into_a_folder_with_their_seeds(run: Any) -> None:
    assert "folder" in refused(run("edit", "in.png", TIGER, "--n", "3", "-o", "out.png"))
    outcome = run("edit", "in.png", TIGER, "--n", "3", "--seed", "5", "-o", "made", "--method", "instructpix2pix")
    assert sorted(os.listdir("made")) == ["in-5.png", "in-6.png", "in-7.png"]
    assert outcome.out.count("\n") == 3
    assert [studio.record_of(f"made/in-{seed}.png").seed for seed in (5, 6, 7)] == [5, 6, 7]


def test_variants_that_are_all_the_same_are_said_to_be_so(run: Any) -> None:
    assert "the same" in run("edit", "in.png", TIGER, "--n", "2", "-o", "made", "--set", "variety=0").err
    for method in ("instructedit", "instructpix2pix"):
        assert run("edit", "in.png", TIGER, "--n", "2", "-o", "made", "--method", method).err == ""


def test_what_was_converted_is_said(run: Any) -> None:
    Image.open("in.png").convert("CMYK").save("in.tiff")
    outcome = run("edit", "in.tiff", TIGER, "-o", "out.png")
    assert outcome.status == 0 and "CMYK" in outcome.err and outcome.err.startswith("note: in.tiff")


def test_a_sheet_shows_before_plan_mask_and_after(run: Any) -> None:
    assert run("edit", "in.png", TIGER, "-o", "out.png", "--sheet", "sheet.png").status == 0
    assert images.open_picture("sheet.png").image.width > 4 * 300


@pytest.fixture
def pair(run: Any) -> tuple[str, str]:
    """before.png and after.png of one size, another than in.png's, and small.png."""
    for name, size, seed in (("before.png", (60, 30), 1), ("after.png", (60, 30), 2), ("small.png", (30, 30), 3)):
        toy_picture(*size, seed=seed).save(name)
    return "before.png", "after.png"


def test_an_example_is_followed_with_words_or_without(run: Any, pair: tuple[str, str], fake_pack: Any) -> None:
    assert run("edit", "in.png", "--example", *pair, "-o", "out.png").status == 0
    record = studio.record_of("out.png")
    assert (record.method, record.instruction, record.example) == ("instructgie", "", pair)
    assert run("edit", "in.png", TIGER, "--example", *pair, "-o", "more.png").status == 0
    assert studio.record_of("more.png").edits[0]["unified"] == "turn the cat into a tiger"
    done = run("edit", "in.png", TIGER, "--example", *pair, "--method", "promptdiffusion", "-o", "other.png")
    assert done.status == 0 and studio.record_of("other.png").method == "promptdiffusion"
    assert len(fake_pack.incontext.prompts) == 2 and len(fake_pack.prompt_diffusion.prompts) == 1


def test_methods_that_take_an_example_need_none(run: Any) -> None:
    assert run("edit", "in.png", TIGER, "--method", "instructgie", "-o", "out.png").status == 0
    assert studio.record_of("out.png").example == ()


def test_an_edit_by_example_is_repeated_as_long_as_its_example_is_there(run: Any, pair: tuple[str, str]) -> None:
    run("edit", "in.png", "--example", *pair, "--seed", "3", "-o", "made.png")
    assert run("again", "made.png").out == "identical to made.png\n"
    Path("after.png").rename("moved.png")
    assert "its example was after.png, which is not there" in refused(run("again", "made.png"))
    assert run("again", "made.png", "--example", "before.png", "moved.png").out == "identical to made.png\n"
    over = run("again", "made.png", "--example", "before.png", "moved.png", "-o", "moved.png")
    assert "would overwrite an input" in refused(over)
    assert "made without a learned instruction" in refused(run("again", "made.png", "--learned", "moved.png"))
    toy_picture(60, 30, seed=9).save("after.png")
    assert "other pictures than before.png and after.png" in refused(run("again", "made.png"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--example", "before.png", "small.png"), "different sizes, 60x30 and 30x30"),
        (("--example", "before.png", "missing.png"), "missing.png"),
        (("--example", "before.png", "after.png", "--method", "sdedit"), "sdedit looks at no example"),
        (("--method", "instructgie"), "instruction"),
    ],
)
def test_an_example_that_cannot_be_used_is_refused(
    run: Any, pair: tuple[str, str], words: tuple[str, ...], named: str
) -> None:
    assert named in refused(run("edit", "in.png", *words, "-o", "out.png"))


def test_a_pack_without_an_in_context_model_is_refused_by_name(
    run: Any, pair: tuple[str, str], workshop: studio.Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Bare()
    monkeypatch.setattr(studio, "open_studio", lambda *given: studio.Studio(bare, "miniature", "cpu", "fp32"))
    assert "has no incontext" in refused(run("edit", "in.png", "--example", *pair, "-o", "out.png"))


class Bare(ToyPack):
    @property
    def incontext(self) -> Any:
        raise PackError("the pack toy has no incontext")


@pytest.fixture
def toy_run(run: Any, workshop: studio.Studio, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run` with a pack whose networks are real and small, so that something can be learned."""
    opened = studio.Studio(ToyPack(), "miniature", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    for i in range(3):
        for side in (0, 1):
            path = Path("pairs") / f"{i}_{side}.png"
            path.parent.mkdir(exist_ok=True)
            toy_picture(seed=2 * i + side).save(path)
    return run


LEARN = ("learn", "pairs", "-o", "snow.safetensors", "--steps", "2", "--instruction", "make it snow")


def test_an_instruction_is_learned_from_a_folder_and_applied_to_pictures(toy_run: Any) -> None:
    learned = toy_run(*LEARN, "--hold-out", "--preview", "in.png")
    assert learned.status == 0, learned.err
    assert re.fullmatch(
        r"snow.safetensors: learned from 2 pairs, began with .make it snow., [\d.]+ dB on the held-out pair\n",
        learned.out,
    )
    said = json.loads(toy_run(*LEARN, "--hold-out", "--preview", "in.png", "--json").out)
    assert (said["parts"], said["tokens"], said["pairs"]) == (5, 3, 2)
    edited = toy_run(
        "edit", "in.png", "--learned", "snow.safetensors", "--find", "cat", "--strength", "0.5", "-o", "out.png"
    )
    assert edited.status == 0, edited.err
    record = studio.record_of("out.png")
    assert (record.method, record.learned, record.settings["strength"]) == ("instructbrush", "snow.safetensors", 0.5)
    assert toy_run("edit", "in.png", "dark", "--learned", "snow.safetensors", "-o", "more.png").status == 0
    for words, told in (
        (("dark", "--method", "sdedit"), "sdedit applies no learned instruction"),
        (("dark " * 60,), "tokens too long behind this learned instruction"),
    ):
        refused = toy_run("edit", "in.png", *words, "--learned", "snow.safetensors", "-o", "no.png")
        assert refused.status == 2 and told in refused.err and not Path("no.png").exists()
    assert toy_run("again", "out.png").status == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("learn", "nowhere", "-o", "a.safetensors"), "no such folder"),
        (("learn", "pairs", "-o", "out.png"), "learned instructions are safetensors files"),
        (("learn", "pairs", "-o", "a.safetensors", "--method", "sdedit"), "learns no instruction"),
        (("learn", "pairs", "-o", "a.safetensors", "--set", "parts=0"), "wanted a whole number"),
        (("learn", "pairs", "-o", "a.safetensors"), "no phrases"),
        (("learn", "pairs", "-o", "a.safetensors", "--set", "pack=toy"), "no setting of a learning"),
        (("edit", "in.png", "--learned", "in.png", "-o", "out.png"), "is no safetensors file"),
    ],
)
def test_what_cannot_be_learned_is_refused(toy_run: Any, words: tuple[str, ...], named: str) -> None:
    assert named in refused(toy_run(*words))


def test_packs_lists_packs_and_methods(run: Any) -> None:
    listed = json.loads(run("packs", "--json").out)
    assert "miniature" in listed["packs"] and listed["methods"] == list(studio.methods())
    assert "a number in [0, 1]" in run("packs", "sd15").out
    assert "nowhere" in refused(run("packs", "nowhere"))


def test_visual_prompts_are_drawn_and_packed(run: Any) -> None:
    outcome = run("make", "visual-prompts", "set", "--drawn", "--n", "2", "--shards", "--set", "quadrant=16", "--json")
    made = json.loads(outcome.out)
    assert outcome.status == 0 and (made["pairs"], made["kept"]) == (10, 2)
    assert made["shards"] == len(os.listdir("set/shards")) == len(made["grids"])
    again = run("make", "visual-prompts", "set", "--drawn", "--n", "2", "--set", "quadrant=16")
    assert again.out.startswith("set: 10 pairs of 2 of 2 groups, ") and again.out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--drawn", "--set", "seeds=3"], "seeds"),
        (["--drawn", "--set", 'withheld=["fly"]'], "withheld"),
        (["--drawn", "--split", "holiday"], "holiday"),
        (["--drawn", "--groups", "in.png"], "--drawn"),
        (["--groups", "nothing.jsonl"], "nothing.jsonl"),
        (["--set", "guidance_from=9", "--set", "guidance_to=8"], "guidance_from is larger"),
        (["--set", "groups=written"], "set groups=composed"),
    ],
)
def test_visual_prompts_that_cannot_be_made_are_refused(run: Any, words: list[str], named: str) -> None:
    before = os.listdir()
    assert named in refused(run("make", "visual-prompts", "set", *words)) and os.listdir() == before
