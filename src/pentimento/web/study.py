"""The study's page on loopback: it shows triplets, takes votes, and tells nobody which method made what.

Three things are served: study.html, the questions of the voter that a cookie names, and pictures by the hash of their
pixels, written anew because results of `pentimento edit` carry their method inside. What is asked and how votes are
kept is decided in bench/study.py.
"""

import base64
import hashlib
import io
import re
import secrets
import threading
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from .. import images
from ..bench.study import Choice, Study, Vote, append_vote, questions, read_votes, standing
from ..errors import PentimentoError, RequestError
from .serving import keep_to_itself

VOTER = "pentimento_voter"
"""The cookie's name; its value is 32 random hex digits."""


class Ballot(BaseModel):
    """What the page sends: the answer to one question."""

    question: str
    choice: Choice


def make_app(study: Study) -> FastAPI:
    """The application that serves a study.

    Raises:
        RequestError: a picture is broken, or votes cannot be written or read.
    """
    shown = {study.input(triplet) for triplet in study.triplets}
    shown |= {study.result(triplet, method) for triplet in study.triplets for method in triplet.methods}
    names = {path: images.open_picture(path).pixel_hash[:24] for path in sorted(shown)}
    paths = {name: path for path, name in names.items()}
    page = resources.files(__package__).joinpath("study.html").read_text(encoding="utf-8")
    check_votes(study.votes)
    writing = threading.Lock()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # its manual would load scripts from elsewhere

    keep_to_itself(app, policy(page))

    @app.exception_handler(PentimentoError)
    def refuse(request: Request, error: PentimentoError) -> Response:
        return JSONResponse({"detail": str(error)}, status_code=500)

    @app.get("/")
    def show(pentimento_voter: Annotated[str, Cookie()] = "") -> Response:
        answer = HTMLResponse(page)
        if not is_voter(pentimento_voter):
            admit(answer)
        return answer

    @app.post("/voter", status_code=204)
    def become_another() -> Response:
        return admit(Response(status_code=204))

    @app.get("/questions")
    def ask(voter: Annotated[str, Depends(voter_of)]) -> list[dict[str, str | None]]:
        given = {vote.triplet: vote.choice for vote in standing(read_votes(study.votes)) if vote.voter == voter}
        return [
            {
                "id": question.id,
                "instruction": question.triplet.instruction,
                "input": names[study.input(question.triplet)],
                "left": names[study.result(question.triplet, question.left)],
                "right": names[study.result(question.triplet, question.right)],
                "choice": given.get(question.triplet.id),
            }
            for question in questions(study.triplets, voter)
        ]

    @app.post("/votes", status_code=204)
    def vote(ballot: Ballot, voter: Annotated[str, Depends(voter_of)]) -> None:
        asked = {question.id: question for question in questions(study.triplets, voter)}
        if ballot.question not in asked:  # from a page of before the voter or the study changed
            raise HTTPException(404, "this question is not asked: load the page again")
        question = asked[ballot.question]
        with writing:
            append_vote(
                study.votes,
                Vote(
                    voter=voter,
                    triplet=question.triplet.id,
                    picture=question.triplet.picture,
                    left=question.left,
                    right=question.right,
                    choice=ballot.choice,
                    at=datetime.now(UTC),
                ),
            )

    @app.get("/pictures/{name}")
    def picture(name: str) -> Response:
        if name not in paths:
            raise HTTPException(404, "there is no such picture")
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(plain_png(paths[name]), media_type="image/png", headers=headers)

    return app


def check_votes(path: Path) -> None:
    """Make the file of votes when there is none yet, and refuse one that could not be read or written later.

    Raises:
        RequestError: it cannot be read or written.
    """
    read_votes(path)
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise RequestError(
            f"{path}: cannot be written ({error.strerror}); make it writable or copy the study"
        ) from None


def voter_of(pentimento_voter: Annotated[str, Cookie()] = "") -> str:
    """The voter whom the cookie names."""
    if not is_voter(pentimento_voter):
        raise HTTPException(400, "who votes is not known: allow cookies for this address and load the page again")
    return pentimento_voter


def is_voter(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def admit(answer: Response) -> Response:
    """Name a new voter in the answer's cookie."""
    answer.set_cookie(VOTER, secrets.token_hex(16), max_age=365 * 24 * 3600, httponly=True, samesite="lax")
    return answer


def plain_png(path: Path) -> bytes:
    """The picture as a PNG that holds pixels and colour profile, and nothing that the file says about itself."""
    opened = images.open_picture(path)
    image = opened.image.copy()
    if opened.alpha is not None:
        image.putalpha(opened.alpha)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=opened.icc)
    return buffer.getvalue()


def policy(page: str) -> str:
    """What a browser may load for the page: its own script and style, pictures and answers from here, nothing else."""
    script, style = (
        base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        for tag in ("script", "style")
        for inside in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
