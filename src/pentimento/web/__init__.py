"""Pages in a browser, on this machine only. They need the extra `web`; importing this package does not."""

from importlib.util import find_spec

from ..errors import PentimentoError

NEEDED = ("fastapi", "gradio", "uvicorn")


def check_installed() -> None:
    """Refuse, before a page is made, where the extra was not installed.

    Raises:
        PentimentoError: a library is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PentimentoError(f'pages need {" and ".join(missing)}: pip install "pentimento[web]"')
