"""What all pages share: they answer on loopback alone, to themselves alone, and load nothing from elsewhere."""

import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..errors import RequestError

HOST = "127.0.0.1"


def serve(app: FastAPI, listening: socket.socket, announce: Callable[[str], None], open_browser: bool = False) -> None:
    """Serve an application on a socket of `listen` until Ctrl-C; `announce` is given the address once it answers
    there."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    with listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        announce(address)
        if open_browser:  # some browsers, those in a terminal, return only when they are closed
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        with suppress(KeyboardInterrupt):  # raised again by uvicorn when all is closed
            uvicorn.Server(config).run(sockets=[listening])


def listen(port: int) -> socket.socket:
    """A socket that takes connections on this port of loopback, or on a free one for 0.

    Raises:
        RequestError: the port is taken or not allowed.
    """
    listening = socket.socket()
    try:
        if os.name == "posix":  # elsewhere this would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise RequestError(
            f"port {port} cannot be used ({error.strerror}); name another with --port, or 0 for a free one"
        ) from None
    return listening


def keep_to_itself(app: FastAPI, policy: str) -> None:
    """Let no page but the application's own ask it anything; `policy` is what a browser may load for its pages, as a
    Content-Security-Policy."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        own = f"http://{request.headers['host']}"
        if request.headers.get("origin", own) != own:
            return JSONResponse({"detail": "only the page itself may ask"}, status_code=403)
        answer: Response = await call_next(request)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Content-Security-Policy"] = policy
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    # Added last, so asked first: a name that leads here from elsewhere (DNS rebinding) gets nothing.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
