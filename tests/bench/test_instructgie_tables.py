"""InstructGIE's tables: what editors see, what is measured, what is missing, and that a run can be broken off."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from measured import Poisoned
from pentimento import bench
from pentimento.bench import instructgie_rows as gie_rows
from pentimento.bench import instructgie_tables as tables
from pentimento.bench.instructgie_report import BASES, COLUMNS, PUBLISHED, SEEDS, differences, groups_of
from pentimento.bench.instructgie_rows import ABLATIONS, STEPS, TRUTH, WHOLE, Row, table1_rows
from pentimento.bench.metrics import clip_direction, frechet_distance, psnr
from pentimento.bench.statistics import mean
from pentimento.bench.table import attempt, outcomes_in
from pentimento.bench.visual_cases import KINDS_OF, case_of, draw_case, drawn, read_cases
from pentimento.data.grouped import draw_group
from pentimento.data.grouped import drawn as order
from pentimento.data.judging import FACTORS
from pentimento.data.making import make
from pentimento.data.segments import living
from pentimento.data.visual_prompts import Layout
from pentimento.data.vocabulary import LIVING
from pentimento.errors import PackError, PlanError, RequestError
from pentimento.packs.miniature_pack import UNTUNED
from pentimento.values import Request, Result
from toy import ToyPack


class MeanColours:
    """A clip and a feature network of mean colours and of letters."""

    name = "mean colours"

    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        return torch.stack([torch.tensor(np.asarray(i.convert("RGB"), float).mean((0, 1)) / 255) for i in images])

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.stack([torch.tensor([len(t), t.count("a"), t.count("e")], dtype=torch.float64) for t in texts])

    def pooled(self, images: list[Image.Image]) -> torch.Tensor:
        return self.embed_images(images)

    def distances(self, one: list[Image.Image], other: list[Image.Image]) -> torch.Tensor:
        return (self.embed_images(one) - self.embed_images(other)).square().sum(1)

    def distance_map(self, one: Image.Image, other: Image.Image) -> torch.Tensor:
        return torch.zeros(one.height, one.width)


class GiePack(ToyPack):
    """A toy whose controls are what was asked for; `seen` are the folders."""

    clip = perceptual = features = MeanColours()
    folder = Path("no folder")

    @property
    def judge(self) -> Any:
        raise PackError("the toy has no judge")

    def with_component(self, role: str, name: str, folder: Path) -> "GiePack":
        assert (role, name) == ("incontext", "control")
        return GiePack(name=f"toy with {folder.name}")


def painted(request: Request) -> Result:
    """Noise of the request's seed, half as strong as the example's shift."""
    noise = np.random.default_rng(request.seed).integers(0, 256, (*request.image.size[::-1], 3), dtype=np.uint8)
    image = Image.blend(request.pairs[0].after.resize(request.image.size), Image.fromarray(noise), 0.5)
    return Result(image, image, None, None)


class Fake:
    """An editor that paints and remembers; its settings are checked as real ones are."""

    made: list["Fake"] = []

    def __init__(self, pack: Any, **settings: Any):
        self.pack, self.settings, self.asked = pack, settings, list[Request]()
        Fake.made.append(self)

    def __call__(self, request: Request) -> Result:
        self.asked.append(request)
        return painted(request)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Fake]]:
    names = ("sdedit", "instructpix2pix", "promptdiffusion", "instructgie")
    monkeypatch.setattr(gie_rows, "EDITORS", dict.fromkeys(names, Fake))
    Fake.made = []
    yield Fake.made


def counted(counts: dict[str, int], label: str) -> Any:
    """`painted`, which adds to the label's count."""

    def edit(request: Request) -> Result:
        counts[label] += 1
        return painted(request)

    return edit


def row(label: str, edit: Any, **about: Any) -> Row:
    return Row(label, lambda: edit, about)


def test_cases_are_in_and_out_of_the_domain_in_turn_and_a_function_of_number_and_seed() -> None:
    cases, more = drawn(6, seed=3), drawn(10, seed=3)
    assert [case.domain for case in cases] == ["in_domain", "out_of_domain"] * 3
    assert all(case.case.group in KINDS_OF[case.domain] for case in more)
    assert [case.case.group for case in more[1::2]] == ["add", "remove", "resize", "move", "action"]
    for one, again in zip(cases, more, strict=False):
        assert one.case.instruction == again.case.instruction and one.seed == again.seed
        assert one.case.image.tobytes() == again.case.image.tobytes()
        assert one.example.after.tobytes() == again.example.after.tobytes()
    assert drawn(1, seed=4)[0].case.instruction != cases[0].case.instruction


def test_the_domains_share_no_kind_and_every_withheld_kind_is_drawn() -> None:
    assert not set(KINDS_OF["in_domain"]) & set(Layout().withheld)
    assert KINDS_OF["out_of_domain"] == Layout().withheld


def test_the_query_is_another_scene_of_the_same_edit_and_its_truth_is_exact() -> None:
    group = draw_group(0, 5, "test", kinds=("recolour",))
    case = case_of(group, 5, 0, "in_domain")
    assert case.example.before.tobytes() != case.case.image.tobytes()
    before, truth, region = np.asarray(case.case.image), case.case.truth, case.region
    assert truth is not None and region is not None
    assert (before != truth).any() and (before == truth).all(-1)[~region].all()
    assert (case.case.before, case.case.after) == (group.group.pairs[1].before, group.group.pairs[1].after)


def test_an_editor_sees_pixels_and_words_and_no_answer(tmp_path: Path) -> None:
    group = draw_group(0, 1, "test", kinds=("resize",))
    poisoned = tuple(Poisoned(edit) for edit in group.edits)
    case = case_of(replace(group, edits=poisoned), 1, 0, "out_of_domain")
    asked: list[Request] = []

    def editor(request: Request) -> Result:
        with poisoned[0].locked(), poisoned[1].locked():
            with pytest.raises(AssertionError, match="looked at words"):
                _ = poisoned[1].words
            asked.append(request)
            return painted(request)

    attempt(editor, tables._request(case, row("x", editor)))
    (request,) = asked
    (pair,) = request.pairs
    assert (request.plan, request.mask, request.learned) == (None, None, None)
    assert case.case.truth is not None
    for picture in (request.image, pair.before, pair.after):
        assert type(picture) is Image.Image and not picture.info
        assert (np.asarray(picture) != case.case.truth).any()
    assert type(request.instruction) is str


def test_only_a_bound_may_be_shown_the_truth() -> None:
    assert [one.label for one in table1_rows(GiePack()) if one.shown_the_truth] == [TRUTH]
    with pytest.raises(AssertionError):
        tables._request(draw_case(0, 0, "in_domain"), replace(row("x", painted), shown_the_truth=True))


def test_a_broken_run_goes_on_and_a_changed_row_is_measured_anew_alone(tmp_path: Path) -> None:
    counts = {"a": 0, "b": 0}

    def measured(strength: float = 1.0, n: int = 3, seed: int = 0) -> dict[str, Any]:
        rows = (row("a", counted(counts, "a")), row("b", counted(counts, "b"), strength=strength))
        return tables.measure("instructgie-table1", GiePack(), tmp_path, n, seed, rows=rows)

    first = measured()
    assert counts == {"a": 3, "b": 3}
    log = tmp_path / "instructgie" / "b.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    again = measured()
    assert counts == {"a": 3, "b": 4}
    assert _without_seconds(again["groups"]) == _without_seconds(first["groups"])
    measured(strength=2.0)
    assert counts == {"a": 3, "b": 7}
    measured(strength=2.0, seed=1)
    assert counts == {"a": 6, "b": 10}


def test_scores_outlive_the_models_that_have_no_share_in_them(tmp_path: Path) -> None:
    edited: list[str] = []

    def measured(trained: set[str]) -> None:
        class Trained(GiePack):
            def hash_of(self, *roles: str) -> str:
                return " ".join(sorted(trained & set(roles)))

        def edit(request: Request) -> Result:
            edited.append(request.instruction)
            return painted(request)

        rows = (Row("a", lambda: edit, role="incontext"),)
        tables.measure("instructgie-table1", Trained(hash=" ".join(trained)), tmp_path, 1, rows=rows)

    measured(set())
    measured({"detector", "prompt_diffusion"})
    assert len(edited) == 1
    measured({"incontext"})
    measured({"incontext", "judge"})
    assert len(edited) == 3


def test_rows_that_are_not_asked_for_are_not_edited_but_shown_as_far_as_they_lie_there(tmp_path: Path) -> None:
    counts = {"a": 0, "b": 0}

    def measured(*only: str) -> dict[str, Any]:
        rows = (row("a", counted(counts, "a")), row("b", counted(counts, "b")))
        return tables.measure("instructgie-table1", GiePack(), tmp_path, 2, rows=rows, only=only)

    first = measured("a")
    assert counts == {"a": 2, "b": 0} and list(first["groups"]["all cases"]["rows"]) == ["a"]
    assert "missing, b: 2 of 2 cases, not asked for" in first["remarks"]
    whole = measured("b")
    assert counts == {"a": 2, "b": 2} and list(whole["groups"]["all cases"]["rows"]) == ["a", "b"]
    assert not [remark for remark in whole["remarks"] if remark.startswith("missing")]
    again = measured()
    assert counts == {"a": 2, "b": 2} and again["groups"] == whole["groups"]


def test_only_names_rows_that_there_are(tmp_path: Path, fakes: list[Fake]) -> None:
    with pytest.raises(RequestError, match="no row 'Prompt Difusion'"):
        bench.run("instructgie-table1", GiePack(), tmp_path, n=1, only=("Prompt Difusion",))
    told = bench.run("instructgie-table2", GiePack(), tmp_path, n=1, only=("no edit", WHOLE))
    assert [len(fake.asked) for fake in fakes] == [1, 1]  # its case, and once more in other words
    assert "missing, w/o LIU: 1 of 1 cases, not asked for" in told["table"]


def test_two_processes_on_one_folder_edit_every_case_once_and_keep_every_line(tmp_path: Path) -> None:
    edited: list[tuple[str, int]] = []
    inner: list[dict[str, Any]] = []

    def edit(label: str) -> Any:
        def one(request: Request) -> Result:
            edited.append((label, request.seed))
            if not inner:  # the second process begins while the first one edits its first case
                inner.append({})
                inner[0] = measured()
            return painted(request)

        return one

    def measured() -> dict[str, Any]:
        rows = (row("a", edit("a")), row("b", edit("b")))
        return tables.measure("instructgie-table1", GiePack(), tmp_path, 3, rows=rows)

    outer = measured()
    assert sorted(edited) == [(label, number) for label in "ab" for number in range(3)]
    assert "missing, a: 3 of 3 cases, another process is at it" in inner[0]["remarks"]
    assert list(inner[0]["groups"]["all cases"]["rows"]) == ["b"]
    assert list(outer["groups"]["all cases"]["rows"]) == ["a", "b"]
    for label in "ab":
        assert len((tmp_path / "instructgie" / f"{label}.jsonl").read_text().splitlines()) == 1 + 3


def test_the_tables_share_a_row_that_another_process_holds_without_touching_its_log(
    tmp_path: Path, fakes: list[Fake]
) -> None:
    tables.measure("instructgie-table1", GiePack(), tmp_path, 2)
    log = tmp_path / "instructgie" / "instructgie.jsonl"
    cut = "\n".join(log.read_text().splitlines()[:2]) + "\n" + '{"row": "Inst'  # a line that is being written
    log.write_text(cut)
    with FileLock(log.with_suffix(".lock")):
        told = tables.measure("instructgie-table2", GiePack(), tmp_path, 2)
    assert log.read_text() == cut
    assert told["groups"]["all cases"]["rows"][WHOLE]["PSNR"]["n"] == 1
    assert "missing, InstructGIE: 1 of 2 cases, another process is at it" in told["remarks"]


def test_reading_a_log_changes_nothing_and_takes_only_what_belongs_to_its_head(tmp_path: Path) -> None:
    tables.measure("instructgie-table1", GiePack(), tmp_path, 2, rows=(row("x", painted),))
    log = tmp_path / "instructgie" / "x.jsonl"
    text = log.read_text()
    head = json.loads(text.splitlines()[0])
    assert set(outcomes_in(log, head)) == {("x", 0), ("x", 1)} and not outcomes_in(log, {**head, "seed": 9})
    assert log.read_text() == text


def _without_seconds(groups: dict[str, Any]) -> dict[str, Any]:
    return {
        title: {label: {k: v for k, v in row.items() if k != "seconds"} for label, row in group["rows"].items()}
        for title, group in groups.items()
    }


def test_a_row_is_a_function_of_its_seed(tmp_path: Path) -> None:
    made = []
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        tables.measure("instructgie-table1", GiePack(), tmp_path / place, 2, seed, rows=(row("x", painted),))
        made.append((tmp_path / place / "instructgie" / "x" / "0001.png").read_bytes())
    assert made[0] == made[1] != made[2]


def test_figures_equal_a_naive_computation(tmp_path: Path) -> None:
    n = 40
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, n, rows=(row("x", painted),))
    figures = report["groups"]["in the domain"]["rows"]["x"]
    cases = [case for case in drawn(n) if case.domain == "in_domain"]
    results = [painted(case.asked()).decoded for case in cases]
    truths = [np.asarray(case.case.truth) for case in cases]
    tool = MeanColours()

    apart = [psnr(np.asarray(picture), truth) for picture, truth in zip(results, truths, strict=True)]
    assert figures["PSNR"]["value"] == pytest.approx(np.mean(apart)) and figures["PSNR"]["n"] == n // 2
    directions = []
    for case, picture in zip(cases, results, strict=True):
        seen = tool.embed_images([case.case.image, picture])
        said = tool.embed_texts([case.case.before, case.case.after])
        directions.append(clip_direction(*seen, *said))
    assert figures["CLIP direction"]["value"] == pytest.approx(np.mean(directions))

    x = tool.pooled(results).numpy()
    y = tool.pooled([Image.fromarray(truth) for truth in truths]).numpy()

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    m = len(x)
    within = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(kernel(x[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    assert figures["KID"]["value"] == pytest.approx(1000 * (within - 2 * between), rel=1e-6)
    covariance = [np.cov(s, rowvar=False) for s in (x, y)]
    root = np.sqrt(np.linalg.eigvals(covariance[0] @ covariance[1]).astype(complex)).sum().real
    fid = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(covariance[0] + covariance[1]) - 2 * root
    assert figures["FID"]["value"] == pytest.approx(fid, rel=1e-3)
    assert figures["FID"]["low"] < figures["FID"]["value"] < figures["FID"]["high"]


def dimmed(request: Request) -> Result:
    """Another edit: the picture, darker the higher its seed."""
    image = request.image.point(lambda value: value * (100 - request.seed) // 100)
    return Result(image, image, None, None)


def test_rows_are_compared_with_the_whole_case_by_case_and_over_the_same_samples(tmp_path: Path) -> None:
    n = 40
    rows = (gie_rows.bounds(GiePack())[0], row("x", dimmed), row(WHOLE, painted))
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, n, rows=rows)
    for title in ("all cases", "in the domain", "out of the domain"):
        group = report["groups"][title]
        assert list(group["differences"]) == ["x"]
        told, mine, whole = group["differences"]["x"], group["rows"]["x"], group["rows"][WHOLE]
        assert {"FID", "KID", "CLIP direction", "PSNR", "SSIM", "LPIPS truth", "PSNR living"} == set(told)
        for name, figure in told.items():
            assert figure["value"] == pytest.approx(mine[name]["value"] - whole[name]["value"], abs=1e-9)
            assert figure["low"] <= figure["value"] <= figure["high"] and figure["n"] == mine[name]["n"]
    assert "differences" not in report["groups"]["in the domain, replace"]
    cases = drawn(n)
    made = [[edit(case.asked()).decoded for case in cases] for edit in (dimmed, painted)]
    truths = [np.asarray(case.case.truth) for case in cases]
    exact = [[psnr(np.asarray(one), truth) for one, truth in zip(row, truths, strict=True)] for row in made]
    apart = np.array(exact[0]) - np.array(exact[1])
    expected = mean(apart.tolist(), np.random.default_rng([n, 707]))
    told = report["groups"]["all cases"]["differences"]["x"]
    for bound in ("low", "high"):
        assert told["PSNR"][bound] == pytest.approx(getattr(expected, bound))
    pooled = [MeanColours().pooled(row) for row in made]
    wanted = MeanColours().pooled([Image.fromarray(truth) for truth in truths])
    rest = [torch.tensor([j for j in range(n) if j != i]) for i in range(n)]
    both = [[frechet_distance(row[some], wanted[some]) for some in rest] for row in pooled]
    error = np.sqrt((n - 1) * np.var(np.array(both[0]) - np.array(both[1])))
    assert told["FID"]["high"] - told["FID"]["value"] == pytest.approx(1.959964 * error, rel=1e-3)
    assert told["FID"]["value"] - told["FID"]["low"] == pytest.approx(1.959964 * error, rel=1e-3)


def test_differences_stand_in_all_three_files_beside_what_limits_them(tmp_path: Path) -> None:
    rows = (row("x", dimmed), row(WHOLE, painted))
    report = tables.measure("instructgie-table2", GiePack(name="miniature"), tmp_path, 4, rows=rows)
    text, shown = ((tmp_path / f"instructgie-table2.{suffix}").read_text() for suffix in ("md", "html"))
    with Image.open(tmp_path / "instructgie-table2.png") as drawn_there:
        assert drawn_there.height > 4 * 128, "four kinds of edit, a row each"
    assert json.loads((tmp_path / "instructgie-table2.json").read_text())["groups"] == report["groups"]
    for title in ("all cases", "in the domain", "out of the domain"):
        assert f"Less InstructGIE, case by case, {title}:" in text and f"case by case, {title}:" in shown
    order = [
        text.index(part)
        for part in ("Measured, out of the domain (", BASES["miniature"], "Less InstructGIE, case by case, out")
    ]
    assert order == sorted(order) and text.count(BASES["miniature"]) == 1 and SEEDS in report["remarks"]
    alone = tables.measure("instructgie-table2", GiePack(), tmp_path, 4, rows=rows[:1])
    assert not alone["groups"]["all cases"]["differences"] and SEEDS not in alone["remarks"]
    assert BASES["miniature"] not in (tmp_path / "instructgie-table2.md").read_text()


def test_a_difference_of_shares_is_in_points_with_an_interval_of_pairs(tmp_path: Path) -> None:
    outcomes = [
        tables.Outcome(label, number, "x", measured={"carried out": float(number < carried), "refused": 0.0})
        for label, carried in (("a", 30), (WHOLE, 20)) for number in range(40)
    ]  # fmt: skip
    told = differences(outcomes, {}, ["a", WHOLE])["a"]
    assert list(told) == ["carried out"] and told["carried out"]["value"] == pytest.approx(25)
    assert 5 < told["carried out"]["low"] < 25 < told["carried out"]["high"] < 45


def test_living_creatures_are_those_that_selective_areas_are_for() -> None:
    shown = [case for case in drawn(12) if case.living is not None]
    assert 0 < len(shown) < 12
    for case in shown:
        assert case.living is not None and case.living.any() and not case.living.all()
    edit = draw_group(0, 5, "test", kinds=("recolour",)).edits[1]
    nothing = replace(edit.after, things=tuple(t for t in edit.after.things if t.noun not in LIVING))
    assert living(edit.after, 64).any() and not living(nothing, 64).any()


def test_what_is_wrong_in_a_creature_alone_counts_there(tmp_path: Path) -> None:
    case = next(case for case in drawn(12) if case.living is not None)
    assert case.case.truth is not None and case.living is not None
    spoilt = case.case.truth.copy()
    spoilt[~case.living] = 255 - spoilt[~case.living]
    half = np.where(case.living[..., None], case.case.truth // 2, case.case.truth)
    tools, _ = tables.instruments_of(GiePack())
    told = []
    for picture in (spoilt, half):
        image = Image.fromarray(picture)
        made = tables.Attempt(Result(image, image, None, None), "", 0.0)
        told.append(tables.score(case, row("x", painted), made, 0, tools, None).measured)
    assert told[0]["PSNR living"] == 99 > told[1]["PSNR living"] and told[0]["PSNR"] < told[1]["PSNR"]
    without = replace(case, living=None)
    assert "PSNR living" not in tables.score(without, row("x", painted), made, 0, tools, None).measured


def test_the_bounds_bound(tmp_path: Path) -> None:
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, 2, rows=gie_rows.bounds(GiePack()))
    rows = report["groups"]["in the domain"]["rows"]
    assert rows["no edit"]["CLIP direction"]["value"] == 0 and "seconds" not in rows["no edit"]
    assert set(rows) == {"no edit", "autoencoder round trip", TRUTH}
    pictures = tmp_path / "instructgie"
    trips = [(pictures / tables.slug(label) / "0000.png").read_bytes() for label in ("autoencoder round trip", TRUTH)]
    assert trips[0] != trips[1]


class Unsure:
    """A judge that believes all answers alike."""

    def __init__(self) -> None:
        self.words, self.thresholds = FACTORS, dict[str, float]()

    def probabilities(self, views: list[np.ndarray]) -> dict[str, np.ndarray]:
        return {factor: np.full((len(views), len(known)), 1 / len(known)) for factor, known in FACTORS.items()}


def test_an_action_is_measured_but_not_judged_and_the_table_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GiePack, "judge", Unsure())
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, 10, rows=gie_rows.bounds(GiePack()))
    acting, outside = (report["groups"][f"out of the domain{kind}"]["rows"]["no edit"] for kind in (", action", ""))
    assert acting["PSNR"]["n"] == 1 and "carried out" not in acting
    assert outside["carried out"]["n"] == 4 and outside["PSNR"]["n"] == 5
    assert "not judged, out of the domain, action: the judge has no question about it" in report["remarks"]


def test_a_refusal_counts_as_no_edit_and_leaves_its_place_on_the_page_empty(tmp_path: Path) -> None:
    def refuse(request: Request) -> Result:
        raise PlanError("not understood")

    rows = (gie_rows.bounds(GiePack())[0], row("x", refuse))
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, 2, rows=rows)
    mine, nothing = (report["groups"]["in the domain"]["rows"][label] for label in ("x", "no edit"))
    assert mine["refused"]["value"] == 1 and mine["PSNR"] == nothing["PSNR"]
    assert (tmp_path / "instructgie-table1.html").read_text().count('aria-label="refused"') == 2


def test_table_1_has_all_rows_and_asks_every_method_the_same(tmp_path: Path, fakes: list[Fake]) -> None:
    pack = GiePack(defaults={
        "instructgie": {"guidance": 3.0}, "instructpix2pix": {"guidance": 7.0, "steps": 9},
        "instruct_in_context": {"guidance": 2.0},
    })  # fmt: skip
    told = bench.run("instructgie-table1", pack, tmp_path, n=2)
    assert [fake.settings for fake in fakes] == [
        {}, {"guidance": 2.0, "steps": STEPS, "taught_by": "visual_prompts"}, {"steps": STEPS},
        {"guidance": 3.0, "steps": STEPS},
    ]  # fmt: skip
    assert len({tuple((r.instruction, r.seed, r.image.tobytes()) for r in fake.asked) for fake in fakes}) == 1
    report = json.loads((tmp_path / "instructgie-table1.json").read_text())
    assert list(report["groups"]["out of the domain"]["rows"]) == [one.label for one in table1_rows(pack)]
    assert "| InstructGIE | 7.57 | 0.27 |" in told["table"]
    page = (tmp_path / "instructgie-table1.html").read_text()
    assert page.count("<h3>") == 2 and page.count("<figcaption>example, after</figcaption>") == 2
    assert all(Path(file).is_file() for file in told["files"]) and len(told["files"]) == 4


def test_what_is_missing_costs_its_own_row_and_is_said(
    tmp_path: Path, fakes: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Roleless(Fake):
        def __call__(self, request: Request) -> Result:
            raise PackError("the pack 'toy' has no prompt_diffusion")

    monkeypatch.setattr(gie_rows, "EDITORS", {"sdedit": Fake, "promptdiffusion": Roleless})
    report = tables.measure("instructgie-table1", GiePack(), tmp_path, 1)
    labels = list(report["groups"]["in the domain"]["rows"])
    assert labels == ["no edit", "autoencoder round trip", TRUTH, "SDEdit"]
    said = "\n".join(report["remarks"])
    assert "not measured, InstructGIE: this version has no method 'instructgie'" in said
    assert "not measured, Prompt Diffusion: the pack 'toy' has no prompt_diffusion" in said


def test_a_setting_that_a_method_does_not_know_costs_its_row(tmp_path: Path) -> None:
    pack = GiePack(defaults={"sdedit": {"colour": "blue"}})
    with pytest.raises(PackError, match="colour"):
        gie_rows.editor_of("sdedit", pack, gie_rows.of_pack(pack, "sdedit"))


def test_a_row_that_nothing_was_chosen_for_is_named() -> None:
    def named(**defaults: Any) -> set[str]:
        pack = GiePack(defaults=defaults)
        return {line.split(":")[0].removeprefix("not tuned, ") for line in gie_rows.untuned(table1_rows(pack), pack)}

    assert named() == {"SDEdit", "InstructPix2Pix, same pairs", "Prompt Diffusion", "InstructGIE"}
    names = ("sdedit_in_context", "instruct_in_context", "promptdiffusion", "instructgie")
    tuned = {name: {"guidance": 2.5} for name in names}
    assert named(**tuned) == set()
    assert named(**{**tuned, "promptdiffusion": dict(UNTUNED["promptdiffusion"])}) == {"Prompt Diffusion"}
    assert not gie_rows.untuned((*gie_rows.bounds(GiePack()), row("x", painted)), GiePack())


def test_the_report_says_what_was_not_tuned(tmp_path: Path, fakes: list[Fake]) -> None:
    told = tables.measure("instructgie-table1", GiePack(), tmp_path, 1)["remarks"]
    assert [line for line in told if line.startswith("not tuned, Prompt Diffusion: ")]


def _reported(folder: Path, **images: int) -> Path:
    for name, seen in images.items():
        (folder / name.replace("_", "-")).mkdir(parents=True, exist_ok=True)
        report = {"images": abs(seen), "finished": seen > 0}
        (folder / name.replace("_", "-") / "report.json").write_text(json.dumps(report))
    return folder


def test_ablations_with_other_budgets_than_the_whole_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = GiePack()
    controls = _reported(tmp_path / "controls", without_esm=100, without_liu=80, without_sam=-100)
    told = gie_rows.unequal(pack, controls)
    assert told == [
        "unequal budget, w/o LIU: 80 images, not 100",
        "not trained to the end, w/o SAM: its report says so",
    ]
    runs = {"instructgie": [{"images": 50, "finished": False}, {"images": 30, "finished": True}]}
    (tmp_path / "reports.json").write_text(json.dumps(runs))
    monkeypatch.setattr(GiePack, "folder", tmp_path)
    assert [line.split(":")[0] for line in gie_rows.unequal(pack, controls)] == [
        "unequal budget, w/o ESM", "unequal budget, w/o SAM", "not trained to the end, w/o SAM"
    ]  # fmt: skip
    assert not gie_rows.unequal(pack, _reported(tmp_path / "equal", without_esm=80, without_sam=80))
    assert not gie_rows.unequal(pack, None)


def test_ablations_beside_other_models_or_with_more_than_one_change_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GiePack, "folder", tmp_path)
    monkeypatch.setattr(GiePack, "hash_of", lambda pack, *roles: " ".join(roles))
    whole = {"lr": 3e-4, "unify": 0.5, "area": 30.0, "sample_minutes": 25.0, "data": "runs/data"}
    run = {"images": 80, "finished": True}
    (tmp_path / "reports.json").write_text(json.dumps({"instructgie": [run | {"settings": whole}]}))
    own = {"without-liu": {"unify": 0.0, "data": "here"}, "without-sam": {"area": 0.0, "lr": 1e-4, "unify": 0.0}}
    controls = _controls(tmp_path / "controls", ("without-esm", *own))
    for name, settings in own.items():
        (controls / name / "report.json").write_text(json.dumps(run | {"settings": whole | settings}))
        (controls / name / "beside").write_text("text_to_image clip panoptic planner\n")
    (controls / "without-esm" / "report.json").write_text(json.dumps(run))
    (controls / "without-rcldm").mkdir()
    (controls / "without-rcldm" / "beside").write_text("others\n")
    assert gie_rows.unequal(GiePack(), controls) == [
        "trained beside other models, w/o RCLDM: not beside this pack's text_to_image, clip, panoptic, planner",
        "trained by other settings, w/o SAM: lr 0.0001, not 0.0003, unify 0.0, not 0.5",
    ]


def test_table_2_says_that_budgets_differ(tmp_path: Path, fakes: list[Fake]) -> None:
    controls = _reported(_controls(tmp_path / "controls", ("without-esm", "without-sam")), without_esm=9, without_sam=8)
    told = tables.measure("instructgie-table2", GiePack(), tmp_path, 1, ablations=controls)["remarks"]
    assert "unequal budget, w/o SAM: 8 images, not 9" in told


def _controls(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
        (folder / name / "model.safetensors").write_bytes(name.encode())
    return folder


def test_each_ablation_takes_its_own_control_and_changes_one_thing(tmp_path: Path, fakes: list[Fake]) -> None:
    controls = _controls(tmp_path / "controls", tuple(one.folder for one in ABLATIONS))
    bench.run("instructgie-table2", GiePack(), tmp_path, n=1, ablations=controls)
    asked = {fake.pack.name: fake.settings for fake in fakes}
    wanted = {f"toy with {one.folder}": {"steps": STEPS} for one in ABLATIONS} | {"toy": {"steps": STEPS}}
    assert asked == wanted | {"toy with without-liu": {"unify": False, "steps": STEPS}}
    report = json.loads((tmp_path / "instructgie-table2.json").read_text())
    assert list(report["groups"]["in the domain"]["rows"])[3:] == list(PUBLISHED["instructgie-table2"])
    hashes = [report["rows"][one.label]["control"] for one in ABLATIONS]
    assert len(set(hashes)) == len(ABLATIONS) == 4 and all(hashes)


def test_a_missing_control_is_said_and_keeps_what_was_measured(tmp_path: Path, fakes: list[Fake]) -> None:
    controls = _controls(tmp_path / "controls", ("without-esm",))
    report = tables.measure("instructgie-table2", GiePack(), tmp_path, 1, ablations=controls)
    said = "\n".join(report["remarks"])
    assert "not measured, w/o LIU: " in said and "without-liu holds no control branch" in said
    log = (tmp_path / "instructgie" / "w-o-esm.jsonl").read_text()
    without = tables.measure("instructgie-table2", GiePack(), tmp_path, 1)
    assert "w/o ESM" not in without["groups"]["in the domain"]["rows"]
    assert any("--ablations" in remark for remark in without["remarks"])
    assert (tmp_path / "instructgie" / "w-o-esm.jsonl").read_text() == log


def test_a_control_that_was_trained_again_is_measured_again_and_the_whole_is_not(
    tmp_path: Path, fakes: list[Fake]
) -> None:
    controls = _controls(tmp_path / "controls", ("without-sam",))

    def asked() -> dict[str, int]:
        fakes.clear()
        tables.measure("instructgie-table2", GiePack(), tmp_path, 2, ablations=controls)
        return {fake.pack.name: len(fake.asked) for fake in fakes}

    assert asked() == {"toy with without-sam": 2, "toy": 2}
    assert asked() == {"toy with without-sam": 0, "toy": 0}
    (controls / "without-sam" / "model.safetensors").write_bytes(b"other")
    assert asked() == {"toy with without-sam": 2, "toy": 0}


def test_a_control_may_lie_in_the_pack_that_it_was_trained_into(tmp_path: Path) -> None:
    assert gie_rows.control_folder(tmp_path) == tmp_path
    (tmp_path / "incontext").mkdir()
    assert gie_rows.control_folder(tmp_path) == tmp_path / "incontext"


def test_a_set_of_visual_prompts_is_read_grid_by_grid(tmp_path: Path) -> None:
    layout = Layout(quadrant=16, test=0.4)
    make(tmp_path / "set", order(14, 0, layout))
    cases = read_cases(tmp_path / "set", 6)
    assert [case.domain for case in cases[:2]] == ["in_domain", "out_of_domain"] and len(cases) == 6
    lines = (tmp_path / "set" / "grids" / "in_domain" / "test" / "metadata.jsonl").read_text().splitlines()
    first, line = cases[0], json.loads(lines[0])
    assert (first.case.instruction, first.case.after) == (line["instruction"], line["caption_after"])
    pair = f"{line['group']:06d}-{line['pair']}"
    with Image.open(tmp_path / "set" / "pairs" / f"{pair}_after.png") as after:
        assert first.case.truth is not None and (np.asarray(after.convert("RGB")) == first.case.truth).all()
    with Image.open(tmp_path / "set" / "pairs" / f"{line['group']:06d}-{line['example']}_before.png") as before:
        assert before.convert("RGB").tobytes() == first.example.before.tobytes()
    assert [case.seed for case in read_cases(tmp_path / "set", 2, seed=1)] == [1_000_000, 1_000_001]


def test_a_folder_that_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="make visual-prompts"):
        read_cases(tmp_path, 2)
    folder = tmp_path / "grids" / "in_domain" / "test"
    folder.mkdir(parents=True)
    (folder / "metadata.jsonl").write_text('{"file_name": "0.png"}\n')
    with pytest.raises(RequestError, match="line 1"):
        read_cases(tmp_path, 2)


def test_ablations_belong_to_one_table(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="leave --ablations out"):
        bench.run("instructgie-table1", GiePack(), tmp_path, ablations=tmp_path)


def test_every_case_is_in_its_domain_and_in_its_kind() -> None:
    cases = drawn(12)
    groups = groups_of(cases)
    assert list(groups)[:3] == ["all cases", "in the domain", "out of the domain"]
    assert groups["all cases"] == list(range(12))
    assert sum(len(numbers) for title, numbers in groups.items() if "," in title) == 12
    assert groups["out of the domain, add"] == [1, 11]


def test_the_columns_are_the_papers_and_the_exact_ones() -> None:
    labels = " ".join(column.label for column in COLUMNS.values())
    for wanted in ("FID", "KID", "CLIP directional similarity", "PSNR", "SSIM", "LPIPS to the truth", "seconds"):
        assert wanted in labels


def test_other_words_are_told_apart_from_other_pictures(tmp_path: Path) -> None:
    asked: dict[str, list[Request]] = {WHOLE: [], "w/o LIU": [], "w/o SAM": []}

    def by(label: str, brighter: bool) -> Row:
        """Another picture for other words, or the same."""

        def edit(request: Request) -> Result:
            asked[label].append(request)
            level = len(request.instruction) if brighter else 30
            image = Image.new("RGB", request.image.size, (level, level, level))
            return Result(image, image, None, None)

        return row(label, edit)

    cases = drawn(4)
    rows = (by(WHOLE, False), by("w/o LIU", True), by("w/o SAM", True))
    report = tables.measure("instructgie-table2", GiePack(), tmp_path, len(cases), rows=rows)
    said, words = [case.case.instruction for case in cases], [case.again for case in cases]
    assert all(one != other for one, other in zip(said, words, strict=True))
    assert [len(asked[label]) for label in asked] == [8, 8, 4]
    assert [request.instruction for request in asked["w/o LIU"]] == [*said, *words]
    first, again = asked[WHOLE][:4], asked[WHOLE][4:]
    assert [r.seed for r in first] == [r.seed for r in again]
    assert [r.image.tobytes() for r in first] == [r.image.tobytes() for r in again]

    told = report["groups"]["said in two ways"]
    assert told["n"] == 4 and list(told["rows"]) == [WHOLE, "w/o LIU"]
    assert {name: figure["value"] for name, figure in told["rows"][WHOLE].items()} == {
        "same picture": 1, "apart": 0, "PSNR apart": 0
    }  # fmt: skip
    apart = np.mean([abs(len(one) - len(other)) for one, other in zip(said, words, strict=True)])
    assert told["rows"]["w/o LIU"]["apart"]["value"] == pytest.approx(apart)
    assert told["differences"]["w/o LIU"]["apart"]["value"] == pytest.approx(apart)
    assert report["groups"]["said in two ways, out of the domain"]["n"] == 2
    assert "said in two ways (n = 4)" in (tmp_path / "instructgie-table2.md").read_text()

    tables.measure("instructgie-table2", GiePack(), tmp_path, len(cases), rows=rows)
    assert [len(asked[label]) for label in asked] == [8, 8, 4], "nothing is edited twice"
    first_table = tables.measure("instructgie-table1", GiePack(), tmp_path, len(cases), rows=rows)
    assert "said in two ways" not in first_table["groups"]
