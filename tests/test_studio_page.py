"""The studio's page: what its buttons do, that a result is the command's own, and that it answers nobody else."""

import gc
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import pentimento
from pentimento import cli, images, studio
from pentimento.editors import EDITORS
from pentimento.errors import NothingFound, PentimentoError, PlanError, RequestError
from pentimento.settings import assignments
from pentimento.values import Plan, Segment
from pentimento.web import serving, workbench
from pentimento.web import studio as page
from pentimento.web.workbench import Asked, Stopped, Workbench, plans_of_rows, rows_of_plans

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in (":ResourceWarning", ":pytest.PytestUnraisableExceptionWarning", ".*no_silent_downcasting")
]
"""What the page's library does: it leaves event loops open, and asks pandas for an option of before."""
TIGER = "change the cat to tiger"
LEFT = np.tile(np.arange(48) < 24, (40, 1))
"""What the fake segmenter finds in the photo."""


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """What the page's library leaves open is found here, and not in another file's test."""
    yield
    gc.collect()


@pytest.fixture
def desk(workshop: studio.Studio, tmp_path: Path) -> Workbench:
    return Workbench(workshop, images.make_folder(tmp_path / "made"))


def asked(picture: Path | None, instruction: str = TIGER, method: str = "instructedit", **fields: Any) -> Asked:
    empty: dict[str, Any] = {
        "plans": [["", "", "", "", "", ""]], "mask": None, "phrase": "", "learned": None, "example": (None, None),
        "settings": [], "seed": 0, "n": 1,
    }  # fmt: skip
    return Asked(str(picture) if picture else None, instruction, method, **{**empty, **fields})


def pixels(path: Path | Image.Image) -> np.ndarray:
    return np.asarray(path if isinstance(path, Image.Image) else Image.open(path))


def test_a_result_is_the_facades_own_in_a_new_file_that_can_be_repeated(desk: Workbench, photo: Path) -> None:
    [(first, edited)] = desk.edit(asked(photo, seed=3), studio.quiet)
    alone = pentimento.edit(photo, TIGER, seed=3)
    assert first.name == "in-instructedit-3.png" and first.parent == desk.folder
    assert np.array_equal(pixels(first), pixels(alone.image))
    assert studio.record_of(first).model_copy(update={"seconds": {}, "edits": ()}) == alone.record.model_copy(
        update={"seconds": {}, "edits": ()}
    )
    [(second, _)] = desk.edit(asked(photo, seed=3), studio.quiet)
    assert second != first and first.exists()
    third, again, same = desk.again(str(first), studio.quiet)
    assert same and third not in (first, second) and np.array_equal(pixels(third), pixels(first))
    assert again.record.plans == edited.record.plans


def test_variants_lie_in_their_files_one_by_one(desk: Workbench, photo: Path) -> None:
    results = desk.edit(asked(photo, method="instructpix2pix", seed=5, n=3), studio.quiet)
    first, _ = next(results)
    assert list(desk.folder.glob("*.png")) == [first]
    rest = [path for path, _ in results]
    assert [path.name for path in (first, *rest)] == [f"in-instructpix2pix-{seed}.png" for seed in (5, 6, 7)]
    assert not np.array_equal(pixels(first), pixels(rest[0]))


def test_a_corrected_plan_and_a_mask_are_what_is_done(desk: Workbench, photo: Path) -> None:
    rows = desk.plan(str(photo), TIGER)
    assert rows == [["cat", "best", "photo of cat", "photo of tiger", "replace", ""]]
    rows[0][1], rows[0][3] = "right", "photo of wolf"
    [(_, edited)] = desk.edit(asked(photo, plans=rows), studio.quiet)
    assert edited.record.plans[0].after == "photo of wolf"
    assert edited.mask is not None and np.array_equal(edited.mask, ~LEFT)
    corner = np.zeros((40, 48), bool)
    corner[:10, :10] = True
    [(_, edited)] = desk.edit(asked(photo, mask=corner), studio.quiet)
    assert edited.mask is not None and np.array_equal(edited.mask, corner)
    [(_, edited)] = desk.edit(asked(photo, method="instructpix2pix", phrase="dog"), studio.quiet)
    assert edited.mask is not None and np.array_equal(edited.mask, LEFT)
    with pytest.raises(RequestError, match="not both"):
        list(desk.edit(asked(photo, phrase="dog", mask=corner), studio.quiet))


@pytest.mark.parametrize(
    "plan",
    [
        Plan(find=("cat", "dog"), which=("left", "2 from top"), before="a", after="b", kind="recolour"),
        Plan(find=(), which="best", before="photo of a cat, in rain", after="b", kind="weather", description="a room"),
    ],
)
def test_plans_pass_through_the_table(plan: Plan) -> None:
    rows = [*rows_of_plans((plan, plan)), ["", "", "", "", "", ""]]
    assert plans_of_rows(rows) == (plan, plan)


def test_a_wrong_row_is_named() -> None:
    with pytest.raises(PlanError, match="row 2: kind = 'magic'"):
        plans_of_rows([["cat", "", "a", "b", "replace", ""], [], ["cat", "", "a", "b", "magic", ""]])


def test_only_settings_that_were_changed_are_given(desk: Workbench, photo: Path) -> None:
    rows = desk.settings("instructedit")
    assert {name: value for name, value, *_ in rows}["steps"] == "4"  # as this pack has it
    names = [row[0] for row in rows]
    [(_, edited)] = desk.edit(asked(photo, settings=rows), studio.quiet)
    assert edited.record.settings == pentimento.edit(photo, TIGER).record.settings
    rows[names.index("ratio")][1] = "0.25"
    [(_, edited)] = desk.edit(asked(photo, settings=rows), studio.quiet)
    assert edited.record.settings["ratio"] == 0.25 and edited.record.settings["steps"] == 4
    rows[names.index("ratio")][1] = "7"
    with pytest.raises(RequestError, match=r"ratio = '7': wanted a number in \[0, 1\]"):
        list(desk.edit(asked(photo, settings=rows), studio.quiet))


@pytest.mark.parametrize("method", EDITORS)
def test_settings_as_they_are_shown_mean_what_they_are(workshop: studio.Studio, method: str) -> None:
    desk = Workbench(workshop, Path())
    shown = [row for row in desk.settings(method) if row[1]]
    given = assignments(f"{name}={value}" for name, value, *_ in shown)
    assert studio.make_editor(workshop, method, given) == studio.make_editor(workshop, method, {})


def test_an_example_has_two_pictures_and_names_its_method(desk: Workbench, photo: Path) -> None:
    shown = {"example": (str(photo), str(photo)), "method": "instructgie"}
    [(_, edited)] = desk.edit(asked(photo, **shown), studio.quiet)
    assert edited.record.example == (str(photo), str(photo))
    with pytest.raises(RequestError, match="two pictures"):
        list(desk.edit(asked(photo, example=(str(photo), None)), studio.quiet))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"picture": None}, "give a picture first"),
        ({"instruction": " "}, "instruction is empty"),
        ({"learned": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_what_is_missing_is_named(desk: Workbench, photo: Path, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(RequestError, match=named):
        list(desk.edit(asked(**{"picture": photo, **fields}), studio.quiet))
    assert not list(desk.folder.iterdir())


def test_stop_ends_the_edit_at_its_next_step_and_not_the_next_one(desk: Workbench, photo: Path) -> None:
    def press(doing: str, done: int, total: int) -> None:
        if doing == "edit":
            desk.stop.set()

    with pytest.raises(Stopped):
        list(desk.edit(asked(photo), press))
    assert not list(desk.folder.iterdir())
    assert len(list(desk.edit(asked(photo), studio.quiet))) == 1
    with pytest.raises(Stopped):
        list(desk.compare(asked(photo), ("instructedit", "instructpix2pix"), press))


def test_find_shows_what_the_plan_or_the_phrase_means(desk: Workbench, photo: Path) -> None:
    mask, rows = desk.find(str(photo), "change the cat on the right to tiger", [], "")
    assert np.array_equal(mask, ~LEFT) and rows[0][0] == "cat"
    rows[0][1] = "best"
    assert np.array_equal(desk.find(str(photo), "", rows, "")[0], LEFT)
    assert np.array_equal(desk.find(str(photo), "", [], "dog")[0], LEFT)
    with pytest.raises(RequestError, match="several edits"):
        desk.find(str(photo), f"{TIGER} and change the dog to wolf", [], "")
    with pytest.raises(RequestError, match="whole picture"):
        desk.find(str(photo), "", [["", "", "a", "b", "weather", ""]], "")
    with pytest.raises(NothingFound):
        desk.find(str(photo), "", [], "zebra")


def test_a_click_takes_the_smallest_thing_there_or_a_round_patch(desk: Workbench, photo: Path) -> None:
    thing = np.zeros((40, 48), bool)
    thing[5:15, 5:15] = True
    segments = (Segment("wall", LEFT, 0.9), Segment("cat", thing, 0.5))
    looked: list[Image.Image] = []
    panoptic = SimpleNamespace(segments=lambda image: (looked.append(image), segments)[1])
    desk.opened.pack.panoptic = panoptic  # type: ignore[misc]
    taken = desk.touch(str(photo), None, (6, 7), whole=True, adds=True, size=0.1)
    assert taken is not None and np.array_equal(taken, thing)
    with pytest.raises(RequestError, match="take the brush"):
        desk.touch(str(photo), None, (40, 7), whole=True, adds=True, size=0.1)
    more = desk.touch(str(photo), taken, (40, 20), whole=False, adds=True, size=0.25)
    assert more is not None and (more & thing).sum() == 100 and more[20, 45] and not more[20, 46]
    assert more.sum() - 100 == pytest.approx(np.pi * 25, rel=0.1)  # 0.25 of 40 pixels across
    assert desk.touch(str(photo), taken, (6, 7), whole=True, adds=False, size=0.1) is None
    assert len(looked) == 1
    other = photo.with_name("other.png")
    shutil.copy(photo, other)
    desk.touch(str(other), None, (6, 7), whole=True, adds=True, size=0.1)
    assert len(looked) == 2


def test_methods_are_compared_and_one_that_cannot_says_why(desk: Workbench, photo: Path) -> None:
    methods = "instructedit", "instructpix2pix"
    for path, method in zip(
        dict(desk.compare(asked(photo, seed=2), methods, studio.quiet)).values(), methods, strict=True
    ):
        assert isinstance(path, Path)
        assert np.array_equal(pixels(path), pixels(pentimento.edit(photo, TIGER, method=method, seed=2).image))
    came = dict(desk.compare(asked(photo, "make it snow"), methods, studio.quiet))  # the fake planner knows no snow
    assert isinstance(came["instructedit"], PlanError) and isinstance(came["instructpix2pix"], Path)
    with pytest.raises(RequestError, match="choose"):
        next(desk.compare(asked(photo), (), studio.quiet))


def test_pairs_are_learned_from_under_a_name(desk: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for name in ("1_0", "1_1", "2_0", "2_1"):
        files.append(str(tmp_path / f"{name}.png"))
        Image.new("RGB", (16, 16), (len(files) * 40, 0, 0)).save(files[-1])
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(studio, "learn", lambda pairs, output, **rest: calls.append((pairs, output, rest)))
    desk.learn(files, "snow", "visii", " make it snow ", 2.5, True)
    [(pairs, output, rest)] = calls
    assert len(pairs) == 1 and output == desk.folder / "snow.safetensors"
    assert rest["held_out"].after.getpixel((0, 0)) == (160, 0, 0)
    assert (rest["method"], rest["instruction"], rest["minutes"]) == ("visii", "make it snow", 2.5)
    assert not list(desk.folder.iterdir())  # the copies that pairs were read from are gone
    for name in ("", " ", "../snow"):
        with pytest.raises(RequestError, match="a name"):
            desk.learn(files, name, "visii", "", 1, False)
    with pytest.raises(RequestError, match="one pair"):
        desk.learn(files[:2], "snow", "visii", "", 1, True)
    with pytest.raises(RequestError, match=r"two pictures called 1_0\.png"):
        desk.learn([*files, files[0]], "snow", "visii", "", 1, False)


def test_scenes_to_try_are_no_training_scenes(desk: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = workbench.draw_scene
    monkeypatch.setattr(workbench, "draw_scene", lambda seed, split: drawn.append(split) or draw(seed, split))
    first, second = desk.draw(0), desk.draw(1)
    assert drawn == ["validation"] * 2 and not np.array_equal(pixels(Path(first)), pixels(Path(second)))


@pytest.fixture
def address(desk: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page, served as the command serves it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # put back what it was when the test ends
    listening = serving.listen(0)
    server = uvicorn.Server(uvicorn.Config(page.make_app(desk), log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def test_scripts_can_press_the_buttons(address: str, desk: Workbench, photo: Path) -> None:
    client = Client(address, verbose=False, analytics_enabled=False)
    named = set(client.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert named == {f"/{name}" for name in ("edit", "compare", "plan", "find", "learn", "again")}
    rows = client.predict(handle_file(photo), TIGER, api_name="/plan")["data"]
    assert rows == [["cat", "best", "photo of cat", "photo of tiger", "replace", ""]]
    table = {"headers": workbench.PLAN_COLUMNS, "data": [], "metadata": None}
    settings = {"headers": workbench.SETTING_COLUMNS, "data": [["ratio", "0.25", "", ""]], "metadata": None}
    given = (handle_file(photo), TIGER, "instructedit", table, "", None, None, None, settings, 1, 2)
    _, results, acted, rows, record = client.predict(*given, api_name="/edit")
    assert [one["caption"] for one in results] == ["seed 1", "seed 2"]
    assert record["seed"] == 2 and record["settings"]["ratio"] == 0.25
    kept = desk.folder / "in-instructedit-2.png"
    assert Path(results[1]["image"]).read_bytes() == kept.read_bytes()  # the record still inside
    assert Path(studio.record_of(kept).input).is_relative_to(desk.folder / "uploads")
    verdict, *_ = client.predict(handle_file(kept), api_name="/again")
    assert verdict.startswith("Every pixel is the same")
    with pytest.raises(AppError, match=r"^found no 'zebra' in the picture"):
        client.predict(handle_file(photo), "", table, "zebra", api_name="/find")


def test_it_answers_its_own_page_alone_and_loads_nothing_from_elsewhere(desk: Workbench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    with TestClient(page.make_app(desk), base_url="http://127.0.0.1:7860") as client:
        answer = client.get("/")
        assert answer.status_code == 200 and "Pentimento" in answer.text
        rules = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
        assert rules["default-src"] == "'self'"
        assert not any("http" in sources or "*" in sources for sources in rules.values())
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("/config", headers={"Origin": "http://evil.example"}).status_code == 403
        for path in (secret, "/etc/passwd", desk.folder / ".." / "secret.txt"):
            assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_an_error_that_we_know_is_one_line_on_the_page() -> None:
    with pytest.raises(page.gr.Error) as shown, page.refusals():
        raise PentimentoError("two\nlines")
    assert shown.value.message == "two lines" and not shown.value.print_exception
    with pytest.raises(ZeroDivisionError), page.refusals():
        _ = 1 / 0


def test_the_command_serves_it(
    workshop: studio.Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda self, sockets: None)
    with pytest.raises(SystemExit) as left:
        cli.main(["studio", "-o", str(tmp_path / "made"), "--port", "0"])
    assert not left.value.code and (tmp_path / "made").is_dir()
    said = capsys.readouterr().out
    assert said.startswith("http://127.0.0.1:") and "edits with fake" in said
    with serving.listen(0) as taken, pytest.raises(SystemExit) as left:
        cli.main(["studio", "-o", str(tmp_path / "made"), "--port", str(taken.getsockname()[1])])
    assert left.value.code == 2 and "cannot be used" in capsys.readouterr().err
