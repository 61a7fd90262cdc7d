"""Table 1 of InstructEdit: its cases, its rows, and that editors see pixels and words alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pentimento import bench
from pentimento.bench import instructedit_table1 as table1
from pentimento.bench.cases import TYPES, Case, drawn, phrased, read_cases, thirty
from pentimento.bench.report import Shown, page
from pentimento.bench.table import Instruments, attempt
from pentimento.errors import PackError, RequestError
from pentimento.values import Request, Result
from pentimento.vision.perceptual import Perceptual, PerceptualConfig, PerceptualNet
from toy import ToyPack


class ToyClip:
    """Embeds by mean colour and by letters."""

    def embed_images(self, images):
        return torch.stack([torch.tensor(np.asarray(i.convert("RGB"), float).mean((0, 1))) for i in images])

    def embed_texts(self, texts):
        return torch.stack(
            [torch.tensor([1.0 + len(t), t.count("a"), t.count("e")], dtype=torch.float64) for t in texts]
        )


def random_net() -> PerceptualNet:
    """The same on every call: of narrow nets with random weights some see nothing at all."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig({"nouns": ("cat", "dog")}, side=32, widths=(4, 4, 4, 4))).eval()


class ToyBenchPack(ToyPack):
    clip = ToyClip()
    perceptual = Perceptual(random_net())
    features = perceptual

    @property
    def judge(self):
        raise PackError("the pack toy has no judge")


def test_the_drawn_cases_are_of_three_types_in_turn_and_a_function_of_the_seed() -> None:
    cases, again = drawn(6, seed=3), drawn(6, seed=3)
    assert [case.group for case in cases] == [*TYPES, *TYPES]
    assert [case.instruction for case in cases] == [case.instruction for case in again]
    assert all((np.asarray(a.image) == np.asarray(b.image)).all() for a, b in zip(cases, again, strict=True))
    assert cases[2].plan is not None and cases[2].plan.which not in ("best", "all")


def test_the_thirty_are_thirty_and_say_what_stands_in() -> None:
    cases = thirty()
    assert len(cases) == 30 and cases[2].instruction == "Change the cat on the right to a tiger"
    assert any(case.remark for case in cases)


def test_an_unhelped_request_holds_pixels_and_words_alone() -> None:
    request = drawn(1)[0].asked()
    assert request.plan is None and request.mask is None and not request.image.info
    assert type(request.image) is Image.Image


def test_every_row_is_measured_and_a_broken_run_goes_on(tmp_path: Path) -> None:
    seen: list[Request] = []

    def paint(request: Request) -> Result:
        seen.append(request)
        mask = np.zeros((request.image.height, request.image.width), bool)
        mask[:40] = True
        return Result(request.image, Image.new("RGB", request.image.size, "red"), None, mask)

    rows = (table1.Row("no edit", lambda r: Result(r.image, r.image, None, None), bound=True), table1.Row("red", paint))
    pack = ToyBenchPack()
    report = table1.measure(pack, tmp_path, 1, rows=rows)
    assert len(seen) == 31 and set(report["rows"]) == {"no edit", "red", "red, composited"}
    red, composited = report["rows"]["red"], report["rows"]["red, composited"]
    assert red["LPIPS"]["value"] > 0 and composited["LPIPS"]["value"] == 0
    assert report["rows"]["no edit"]["CLIP direction"]["value"] == 0
    assert red["FID"]["value"] > report["rows"]["no edit"]["FID"]["value"] and red["KID"]["n"] == 31
    assert set(report["groups"]) == {"objects", "the thirty"}
    table1.measure(pack, tmp_path, 1, rows=rows)
    assert len(seen) == 31
    text = (tmp_path / "table1.md").read_text()
    assert "27.404" in text and "| red, composited |" in text
    assert "LPIPS to the input, by the miniature's own network" in text and "FID to the truths, by the min" in text
    html = (tmp_path / "table1.html").read_text()
    assert html.count("<h3>") == 31 and "http" not in html.replace("http-equiv", "")


def test_what_a_method_refuses_is_no_edit_after_the_composite_too(tmp_path: Path) -> None:
    asked = 0

    def paint(request: Request) -> Result:
        nonlocal asked
        asked += 1
        if asked % 2:
            raise _nothing()
        mask = np.ones((request.image.height, request.image.width), bool)
        red = Image.new("RGB", request.image.size, "red")
        return Result(red, red, None, mask)

    report = table1.measure(ToyBenchPack(), tmp_path, 2, rows=(table1.Row("red", paint, timed=False),))
    plain, composited = report["rows"]["red"], report["rows"]["red, composited"]
    assert plain["refused"]["value"] == 0.5 and plain["LPIPS"]["n"] == 32
    for name in ("LPIPS", "PSNR", "CLIP instruction", "FID", "KID"):
        assert composited[name] == plain[name], name


def test_rows_measured_apart_give_the_report_that_one_go_gives(tmp_path: Path) -> None:
    def painting(colour: str) -> table1.Row:
        def paint(request: Request) -> Result:
            mask = np.zeros((request.image.height, request.image.width), bool)
            mask[:40] = True
            seen.append(colour)
            return Result(request.image, Image.new("RGB", request.image.size, colour), None, mask)

        return table1.Row(colour, paint, timed=False)

    seen: list[str] = []
    rows, pack = (painting("red"), painting("blue")), ToyBenchPack()
    whole = table1.measure(pack, tmp_path / "one", 1, rows=rows)
    part = table1.measure(pack, tmp_path / "two", 1, rows=rows, only=("blue",))
    assert set(part["rows"]) == {"blue", "blue, composited"} and not list((tmp_path / "two").glob("table1.*"))
    table1.measure(pack, tmp_path / "two", 1, rows=rows, only=("red",))
    assert seen.count("red") == seen.count("blue") == 62
    joined = table1.measure(pack, tmp_path / "two", 1, rows=rows)
    assert joined == whole and len(seen) == 124
    for file in ("table1.json", "table1.md", "table1.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_every_row_can_be_asked_for_alone_and_others_are_refused(tmp_path: Path) -> None:
    labels = table1.labels_of(ToyBenchPack())
    assert len(set(labels)) == len(labels) and {"MDP", "InstructEdit, ratio 0.3", table1.PHRASED} <= set(labels)
    with pytest.raises(RequestError, match="no row 'MPD'"):
        bench.run("instructedit-table1", ToyBenchPack(), tmp_path, only=("MPD",))
    with pytest.raises(RequestError, match="as a whole"):
        bench.run("judge", ToyBenchPack(), tmp_path, only=("MDP",))


def test_a_method_whose_models_are_missing_is_left_out_and_named(tmp_path: Path) -> None:
    def missing(request: Request) -> Result:
        raise PackError("no model here")

    report = table1.measure(ToyBenchPack(), tmp_path, 1, rows=(table1.Row("gone", missing),))
    assert report["rows"] == {} and any("gone: no model here" in remark for remark in report["remarks"])


def test_the_rows_hold_all_baselines_and_bounds() -> None:
    labels = [row.label for row in table1.rows_of(ToyBenchPack())]
    for wanted in ("no edit", "autoencoder round trip", "InstructEdit, true mask", "InstructEdit, true plan", "MDP",
                   "InstructPix2Pix", "SDEdit", "Inpainting", "InstructEdit"):  # fmt: skip
        assert wanted in labels
    assert sum(label.startswith("DiffEdit") for label in labels) == len(table1.THETAS) == 3
    assert set(table1.PUBLISHED) <= {*labels, "DiffEdit"}


def test_the_ratio_rows_share_one_batch_a_picture_and_are_not_timed() -> None:
    pack, case = ToyBenchPack(defaults={"instructedit": {"steps": 10}}), drawn(1)[0]
    rows = [row for row in table1.figure_rows(pack) if "ratio" in row.label]
    request = Request(case.image, "Change the dog to a cat")
    made = [attempt(row.edit, replace(request, image=case.image.copy())) for row in rows]
    highest = int(10 * max(table1.RATIOS) + 0.5)
    assert len(pack.text_to_image.calls) == 2 * highest
    assert [one.result.record["settings"]["ratio"] for one in made] == list(table1.RATIOS)
    scored = table1.score(case, rows[0], made[0], Instruments(None, None), None, 0)
    assert all("seconds" not in outcome.measured for outcome in scored)


def test_a_refusal_counts_as_no_edit_with_no_mask() -> None:
    case = drawn(1)[0]
    made = attempt(lambda request: (_ for _ in ()).throw(_nothing()), case.asked())
    (outcome,) = table1.score(case, table1.Row("x", lambda r: r), made, Instruments(None, None), None, 0)
    assert outcome.measured["refused"] == 1 and outcome.measured["mask IoU"] == 0
    assert outcome.measured["PSNR outside"] == 99


def _nothing():
    from pentimento.errors import NothingFound

    return NothingFound("unicorn", best_score=0.1, threshold=0.3)


def _picture(path: Path, colour: str = "red", mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (64, 48), colour).save(path)


def test_a_folder_of_ones_own_is_read(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    (tmp_path / "instructions.jsonl").write_text(
        '{"picture": "a.png", "instruction": "make it blue", "after": "blue"}\n'
    )
    (case,) = read_cases(tmp_path)
    assert (case.instruction, case.after, case.before, case.truth) == ("make it blue", "blue", "", None)
    (tmp_path / "instructions.jsonl").write_text('{"picture": "a.png"}\n')
    with pytest.raises(RequestError, match="line 1"):
        read_cases(tmp_path)
    with pytest.raises(RequestError, match=r"instructions\.jsonl"):
        read_cases(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "line, said",
    [
        ('{"picture": 3, "instruction": "x"}', "case 0001: its picture is 3; wanted the name of a file"),
        ('{"picture": "a.png", "instruction": "x", "mask": 4}', "case 0001: its mask is 4; wanted"),
        ('{"picture": "a.png", "instruction": "x", "truth": ["b.png"]}', "case 0001: its truth is "),
        ('{"picture": "a.png", "instruction": "x", "mask": "b.png"}', r"b\.png: there is no such picture"),
        ('{"picture": "a.png", "instruction": "x", "mask": "instructions.jsonl"}', "is no picture that can be read"),
    ],
)
def test_a_file_of_ones_own_that_is_none_is_named(tmp_path: Path, line: str, said: str) -> None:
    _picture(tmp_path / "a.png")
    (tmp_path / "instructions.jsonl").write_text(line)
    with pytest.raises(RequestError, match=said):
        read_cases(tmp_path)


@pytest.mark.parametrize("turns", ["3", '{"a": 3}', '"turns"', "[3]"])
def test_a_file_of_turns_that_holds_none_is_refused(tmp_path: Path, turns: str) -> None:
    (tmp_path / "edit_turns.json").write_text(turns)
    with pytest.raises(RequestError, match=r"edit_turns\.json.*download it again"):
        read_cases(tmp_path)


def test_captions_of_magicbrush_that_are_none_are_refused(tmp_path: Path) -> None:
    turn = {"input": "7-input.png", "output": "7-output1.png", "instruction": "add a hat"}
    (tmp_path / "edit_turns.json").write_text(json.dumps([turn]))
    (tmp_path / "global_descriptions.json").write_text('{"7": 3}')
    with pytest.raises(RequestError, match=r"global_descriptions\.json: '7' has no captions"):
        read_cases(tmp_path)


def test_pie_bench_is_read_with_its_run_lengths(tmp_path: Path) -> None:
    _picture(tmp_path / "annotation_images" / "0" / "x.jpg")
    entry = {
        "image_path": "0/x.jpg", "original_prompt": "a [cat]", "editing_prompt": "a [dog]",
        "editing_instruction": "dog!",
        "editing_type_id": "1", "mask": [512 * 100 + 50, 20],
    }  # fmt: skip
    (tmp_path / "mapping_file.json").write_text(json.dumps({"000": entry}))
    (case,) = read_cases(tmp_path)
    assert (case.before, case.after, case.group) == ("a cat", "a dog", "type 1")
    assert case.region is not None and case.region.shape == (48, 64)


def test_magicbrush_is_read_with_transparent_masks(tmp_path: Path) -> None:
    images = tmp_path / "images" / "7"
    for name in ("7-input.png", "7-output1.png"):
        _picture(images / name)
    mask = Image.new("RGBA", (64, 48), (9, 9, 9, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 48))
    mask.save(images / "7-mask1.png")
    turn = {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "add a hat"}
    (tmp_path / "edit_turns.json").write_text(json.dumps([turn]))
    (tmp_path / "global_descriptions.json").write_text(json.dumps({"7": {"7-output1.png": "a cat with a hat"}}))
    (case,) = read_cases(tmp_path)
    assert case.after == "a cat with a hat" and case.region is not None and case.region[:, :32].all()
    assert not case.region[:, 33:].any() and case.truth is not None


def test_a_page_holds_its_pictures_and_escapes_words() -> None:
    made = page(
        "T", "| a | b |\n|---|---|\n| 1 | <2> |", [Shown("<b>", "", {"x": Image.new("RGB", (4, 4)), "y": None})]
    )
    assert "&lt;2&gt;" in made and "&lt;b&gt;" in made and "data:image/png" in made and 'aria-label="refused"' in made


def test_a_case_without_truth_is_scored_by_what_is_known() -> None:
    case = Case("a", "g", Image.new("RGB", (16, 16)), "make it blue")
    assert table1.measured(case, np.zeros((16, 16, 3), np.uint8), Instruments(None, None), None) == {}


def test_a_scene_is_said_in_several_ways_that_mean_the_same() -> None:
    cases = phrased(2, 3)
    assert [case.group for case in cases] == ["said 1", "said 2", "said 3"] * 2
    first = cases[:3]
    assert len({case.instruction for case in first}) > 1 and len({case.name for case in cases}) == 6
    assert all(case.plan == first[0].plan and case.truth is not None for case in first)
    assert all((case.truth == first[0].truth).all() for case in first)
