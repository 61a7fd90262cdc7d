"""The record that travels inside a result: all that is needed to repeat the edit bit for bit on the same machine."""

import base64
import io
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from . import __version__
from .errors import RequestError
from .images import mask_picture
from .settings import friendly
from .values import Plan


class Record(BaseModel):
    """How a result came about.

    `pack` is what the pack was opened by (a name or a folder) and `pack_hash` its content. The two hashes of the
    input are the sha256 of the file ("" for a picture from memory) and of its pixels. `mask` is a mask that the
    person gave, as a base64 PNG, "" when the segmenter found it. `learned` is the file of a learned instruction, ""
    when there was none; `example` are the files of an example pair, before and after, with the hashes of their pixels.
    `seconds` and `edits` (one entry for each plan, with what the method itself has to say) are for reading; repeating
    needs neither.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    method: str
    settings: Mapping[str, Any]
    pack: str
    pack_hash: str
    device: str
    dtype: str
    seed: int
    instruction: str
    input: str
    input_sha256: str
    input_pixels_sha256: str
    plans: tuple[Plan, ...] = ()
    mask: str = ""
    learned: str = ""
    learned_sha256: str = ""
    example: tuple[str, ...] = ()
    example_pixels_sha256: tuple[str, ...] = ()
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    edits: tuple[Mapping[str, Any], ...] = ()


def parse_record(fields: Mapping[str, Any], where: str) -> Record:
    """The record in a JSON object; `where` names its file in messages.

    Raises:
        RequestError: a field is missing, unknown or of the wrong kind.
    """
    try:
        return Record.model_validate(fields)
    except ValidationError as error:
        raise RequestError(f"{where}: its record cannot be used: {friendly(error)}") from None


def environment() -> dict[str, str]:
    """The versions on which bits depend."""
    names = ("torch", "diffusers", "transformers", "numpy", "pillow")
    here = {"pentimento": __version__, "python": platform.python_version(), "machine": platform.machine()}
    return here | {name: version(name) for name in names}


def pack_mask(mask: np.ndarray | None) -> str:
    """A mask, bool (h, w), as text; "" for none."""
    if mask is None:
        return ""
    file = io.BytesIO()
    mask_picture(mask).convert("1").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def unpack_mask(text: str) -> np.ndarray | None:
    """The inverse of `pack_mask`."""
    if not text:
        return None
    with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
        return np.asarray(image.convert("L")) > 127
