"""Lists of phrases: what may be seen in pictures, one phrase a line, to describe what changed between two of them."""

from pathlib import Path

from ..errors import RequestError


def read_phrases(path: Path) -> tuple[str, ...]:
    """The phrases in a text file, one a line, without empty lines and repetitions.

    Raises: RequestError when the file cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read as text ({error}); give a file with one phrase a line") from None
    phrases = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not phrases:
        raise RequestError(f"{path}: holds no phrases; give a file with one phrase a line")
    return phrases
