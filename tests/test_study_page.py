"""The study's page: what a voter may see and do, and that a vote which was answered is on the disk."""

import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from conftest import source_environment
from pentimento import cli
from pentimento.bench.study import append_vote, questions, read_study, read_votes
from pentimento.errors import PentimentoError, RequestError
from pentimento.web import check_installed, serving
from pentimento.web import study as page

PICTURES = ("cat.png", "dog.png")
METHODS = ("diffedit", "instructedit", "sdedit")
ADDRESS = "http://127.0.0.1:8765"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, three methods: six triplets. Every file names its method inside, as results of an edit do."""
    rng = np.random.default_rng(3)
    for method in ("input", *METHODS):
        (tmp_path / method).mkdir()
        for picture in PICTURES:
            chunks = PngImagePlugin.PngInfo()
            chunks.add_text("pentimento", json.dumps({"method": method}))
            pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / method / picture, pnginfo=chunks)
    with (tmp_path / "instructions.jsonl").open("w", encoding="utf-8") as file:
        for picture in PICTURES:
            file.write(json.dumps({"picture": picture, "instruction": f"paint the {picture[:3]} <b>red</b>"}) + "\n")
    return tmp_path


def open_page(folder: Path) -> TestClient:
    return TestClient(page.make_app(read_study(folder)), base_url=ADDRESS)


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """A voter who has opened the page."""
    with open_page(folder) as opened:
        assert opened.get("/").status_code == 200
        yield opened


def vote(client: TestClient, question: str, choice: str, **more: Any) -> Any:
    return client.post("/votes", json={"question": question, "choice": choice}, **more)


def test_a_voter_answers_every_question_and_the_last_vote_counts(client: TestClient, folder: Path) -> None:
    asked = client.get("/questions").json()
    assert len(asked) == 6 and all(question["choice"] is None for question in asked)
    for question, choice in zip(asked, ("left", "right", "same") * 2, strict=True):
        assert vote(client, question["id"], choice).status_code == 204
    assert vote(client, asked[0]["id"], "same").status_code == 204
    choices = [question["choice"] for question in client.get("/questions").json()]
    assert choices == ["same", "right", "same", "left", "right", "same"]
    assert len(read_votes(folder / "votes.jsonl")) == 7


def test_a_vote_notes_what_stood_on_each_side(client: TestClient, folder: Path) -> None:
    study = read_study(folder)
    for shown in client.get("/questions").json():
        vote(client, shown["id"], "left")
        noted = read_votes(study.votes)[-1]
        for side, method in (("left", noted.left), ("right", noted.right)):
            seen = Image.open(io.BytesIO(client.get(f"/pictures/{shown[side]}").content))
            truth = Image.open(folder / method / noted.picture)
            assert np.array_equal(np.asarray(seen), np.asarray(truth))


def test_a_reload_shows_the_same_order_and_another_voter_another(client: TestClient, folder: Path) -> None:
    asked = client.get("/questions").json()
    before = client.cookies[page.VOTER]
    assert client.get("/").headers.get("set-cookie") is None
    assert client.get("/questions").json() == asked
    assert client.post("/voter").status_code == 204
    assert client.cookies[page.VOTER] != before
    others = client.get("/questions").json()
    assert {question["id"] for question in others}.isdisjoint(question["id"] for question in asked)
    assert vote(client, asked[0]["id"], "left").status_code == 404
    assert read_votes(folder / "votes.jsonl") == ()


def test_the_order_outlives_the_server(client: TestClient, folder: Path) -> None:
    asked = client.get("/questions").json()
    vote(client, asked[0]["id"], "right")
    with open_page(folder) as later:
        later.cookies.set(page.VOTER, client.cookies[page.VOTER])
        again = later.get("/questions").json()
    assert again == [{**asked[0], "choice": "right"}, *asked[1:]]


def test_no_method_and_no_file_is_named_anywhere(client: TestClient) -> None:
    answers = [client.get("/"), client.get("/questions")]
    asked = answers[-1].json()
    answers.append(vote(client, asked[0]["id"], "left"))
    names = {question[part] for question in asked for part in ("input", "left", "right")}
    answers += [client.get(f"/pictures/{name}") for name in names]
    assert len(names) == 8 and all(answer.is_success for answer in answers)
    for answer in answers:
        told = f"{answer.url} {answer.headers} {answer.content.decode('latin-1')}".lower()
        assert not [word for word in (*METHODS, "input/", *PICTURES) if word in told]


def test_pictures_keep_their_alpha_and_are_turned_upright(folder: Path) -> None:
    shape = Image.new("RGBA", (32, 24), (200, 10, 10, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    shape.save(folder / "sdedit" / "cat.png", exif=exif)
    with Image.open(io.BytesIO(page.plain_png(folder / "sdedit" / "cat.png"))) as image:
        assert image.size == (24, 32) and image.mode == "RGBA" and image.getpixel((0, 0)) == (200, 10, 10, 90)
        assert not image.getexif()


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    links = re.findall(
        r"""(?:src|href|action)\s*=\s*["']([^"']*)|url\(([^)]*)|@import|https?://[^\s"'<>)]*""", answer.text
    )
    assert all(link.startswith("data:") for found in links for link in found if link)
    assert set(re.findall(r"https?://[^\s'\"]*", answer.text)) == {"http://www.w3.org/2000/svg"}  # a name, not a place
    allowed = answer.headers["content-security-policy"]
    assert "default-src 'none'" in allowed and "unsafe" not in allowed and "http" not in allowed
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404] * 3


def test_the_page_names_its_parts_for_those_who_do_not_see_them(client: TestClient) -> None:
    html = client.get("/").text
    assert '<html lang="en">' in html and "<title>" in html and 'role="status"' in html
    assert all('alt="' in tag for tag in re.findall(r"<img[^>]*>", html)) and html.count("<img") == 3
    assert all(re.search(r">[^<]*\w", button) for button in re.findall(r"<button.*?</button>", html))
    assert 'aria-label="Answered"' in re.findall(r"<progress[^>]*>", html)[0]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "192.168.1.7:8765", ""]
)
def test_another_host_s_name_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/questions"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 400 and "set-cookie" not in answer.headers


def test_localhost_is_another_name_of_this_machine(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "localhost:8765"}).status_code == 200


def test_another_page_cannot_vote(client: TestClient, folder: Path) -> None:
    question = client.get("/questions").json()[0]["id"]
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        assert vote(client, question, "left", headers={"Origin": origin}).status_code == 403
        assert client.post("/voter", headers={"Origin": origin}).status_code == 403
    assert read_votes(folder / "votes.jsonl") == ()
    assert vote(client, question, "left", headers={"Origin": ADDRESS}).status_code == 204


@pytest.mark.parametrize("given", [None, "", "anna", "f" * 31, "../" * 10 + "ab", "F" * 32])
def test_who_has_no_proper_cookie_cannot_vote_and_gets_one_with_the_page(client: TestClient, given: str | None) -> None:
    question = client.get("/questions").json()[0]["id"]
    client.cookies.clear()
    headers = {} if given is None else {"Cookie": f"{page.VOTER}={given}"}
    assert client.get("/questions", headers=headers).status_code == 400
    assert vote(client, question, "left", headers=headers).status_code == 400
    cookie = client.get("/", headers=headers).headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie


@pytest.mark.parametrize("body", ["", "{}", '{"question": "QUESTION", "choice": "both"}', '{"choice": "left"}', "[1]"])
def test_a_vote_that_is_none_is_refused(client: TestClient, folder: Path, body: str) -> None:
    question = client.get("/questions").json()[0]["id"]
    sent = body.replace("QUESTION", question)
    answer = client.post("/votes", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert vote(client, "0" * 24, "left").status_code == 404
    assert read_votes(folder / "votes.jsonl") == ()


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/../votes.jsonl",
        "/pictures/..%2fvotes.jsonl",
        "/pictures/%2e%2e/votes.jsonl",
        "/pictures/..%5cvotes.jsonl",
        "/pictures//etc/passwd",
        "/pictures/%2fetc%2fpasswd",
        "/pictures/instructedit/cat.png",
        "/pictures/input%2fcat.png",
        "/pictures/cat.png",
        "/votes.jsonl",
        "/../../etc/passwd",
    ],
)
def test_a_picture_is_served_by_its_id_and_never_by_a_path(client: TestClient, folder: Path, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_vote_that_cannot_be_kept_is_not_answered_as_if_it_were(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, vote: Any) -> None:
        raise RequestError("votes.jsonl: cannot be written (No space left on device)")

    monkeypatch.setattr(page, "append_vote", full)
    answer = vote(client, client.get("/questions").json()[0]["id"], "left")
    assert answer.status_code == 500 and "No space left" in answer.json()["detail"]


def test_a_broken_picture_is_refused_before_anyone_sees_it(folder: Path) -> None:
    (folder / "sdedit" / "dog.png").write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"sdedit/dog\.png: is no picture"):
        page.make_app(read_study(folder))


def test_votes_that_could_not_be_written_later_are_refused_at_the_start(folder: Path) -> None:
    study = read_study(folder)
    study.votes.mkdir()
    with pytest.raises(RequestError, match=r"votes\.jsonl: cannot be"):
        page.make_app(study)


def test_a_port_that_is_taken_is_refused() -> None:
    with serving.listen(0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(RequestError, match=f"port {port} cannot be used .*--port, or 0"):
            serving.listen(port)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(PentimentoError, match=r'need fastapi: pip install "pentimento\[web\]"'):
        check_installed()


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["study", *words])
    return int(left.value.code or 0)


def test_the_report_is_printed_by_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_page(folder) as client:
        client.get("/")
        for question in client.get("/questions").json():
            vote(client, question["id"], "left")
    assert command(str(folder), "--report", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["votes"] == 6 and sum(row["n"] for row in found["preferences"]) == 12
    assert command(str(folder), "--report", "--ours", "sdedit") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[1].startswith("sdedit over diffedit") and "1 voter, 6 votes" in lines[3]


@pytest.mark.parametrize(
    ("words", "named"), [(["--report"], "no votes yet"), (["--json"], "--report"), (["--ours", "magic"], "magic")]
)
def test_the_command_says_what_cannot_be_done(
    folder: Path, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(str(folder), *words) == 2
    said = capsys.readouterr()
    assert said.out == "" and named in said.err and said.err.count("\n") == 1


def test_the_browser_is_opened_when_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: SimpleQueue[str] = SimpleQueue()
    told: list[str] = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.put)
    monkeypatch.setattr(serving.uvicorn.Server, "run", lambda self, sockets: None)
    app = page.make_app(read_study(folder))
    serving.serve(app, serving.listen(0), told.append)
    assert told[0].startswith("http://127.0.0.1:") and opened.empty()
    serving.serve(app, serving.listen(0), told.append, open_browser=True)
    assert opened.get(timeout=30) == told[1]


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], http.client.HTTPConnection]]:
    """`pentimento study` in a process of its own, and a connection to the address that it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "pentimento", "study", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=source_environment(),
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            address = re.match(r"http://127\.0\.0\.1:(\d+)/ ", process.stdout.readline())
            assert address, process.communicate()
            connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=30)
            yield process, connection
            connection.close()
        finally:
            process.kill()


def fetch(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, cookie: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer, answer.read()


def test_a_killed_process_has_lost_no_vote_that_it_answered(folder: Path) -> None:
    with running(folder) as (process, connection):
        answer, _ = fetch(connection, "GET", "/")
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        asked = json.loads(fetch(connection, "GET", "/questions", cookie=cookie)[1])
        for question in asked[:4]:
            answer, _ = fetch(connection, "POST", "/votes", {"question": question["id"], "choice": "right"}, cookie)
            assert answer.status == 204
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    votes = read_votes(folder / "votes.jsonl")
    expected = questions(read_study(folder).triplets, cookie.partition("=")[2])[:4]
    assert [(vote.triplet, vote.left, vote.right) for vote in votes] == [
        (question.triplet.id, question.left, question.right) for question in expected
    ]
    torn = votes[0].model_dump_json().encode()[:50]
    with (folder / "votes.jsonl").open("ab") as file:
        file.write(torn)
    append_vote(folder / "votes.jsonl", votes[0])
    assert read_votes(folder / "votes.jsonl") == (*votes, votes[0])


def test_it_listens_on_loopback_alone_refuses_paths_and_ends_with_ctrl_c(folder: Path) -> None:
    with running(folder) as (process, connection):
        for path in ("/pictures/../votes.jsonl", "/pictures/../../../../etc/passwd", "/../instructions.jsonl"):
            assert fetch(connection, "GET", path)[0].status == 404
        connection.request("GET", "/", headers={"Host": "evil.example"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (400, b"Invalid host header")
        with socket.create_connection(("127.0.0.1", connection.port), timeout=30) as nameless:
            nameless.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 400 " in nameless.recv(100)
        with socket.socket() as elsewhere:  # 127.0.0.2 is this machine too, but not the address that was bound
            assert elsewhere.connect_ex(("127.0.0.2", connection.port)) != 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err == ""
    assert out == f"{folder / 'votes.jsonl'}: 0 votes\n"
