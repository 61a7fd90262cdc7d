"""Pictures in and out: whatever a person has becomes RGB with its alpha and profile beside it, or one clear refusal.

Files are read and written here and nowhere else in an edit. Nothing here knows models; tensors live in their rooms.
"""

import hashlib
import io
import json
import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from .errors import RequestError

MAX_MEGAPIXELS = 64.0
MIN_SIDE = 8
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
RECORD_KEY = "pentimento"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is read, as Pillow calls it; it knows others that start programs, such as EPS."""
_DECODING = (OSError, SyntaxError, ValueError, TypeError, RuntimeError, EOFError, struct.error, zlib.error)
"""What Pillow raises on bytes that are no picture, or half of one."""


@dataclass(frozen=True)
class Picture:
    """A picture at the door: `image` is RGB, at least 8x8, upright; what RGB cannot hold stands beside it.

    `alpha` (mode L, same size) and `icc` (an RGB profile) go back into the output. `notes` say what was
    converted. `file_hash` is the sha256 of the file ("" when there was none), `pixel_hash` that of the pixels.
    """

    image: Image.Image
    alpha: Image.Image | None = None
    icc: bytes | None = None
    notes: tuple[str, ...] = ()
    path: str = ""
    file_hash: str = ""
    pixel_hash: str = ""


def open_picture(path: str | os.PathLike[str], max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """The picture in a file, upright, in RGB; its size is checked before a pixel is decoded.

    Raises:
        RequestError: missing, empty, truncated or no picture; below 8x8; more than `max_megapixels`.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise RequestError(f"{name}: {'is no file' if os.path.exists(name) else 'there is no such picture'}")
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise RequestError(f"{name}: cannot be read ({error.strerror})") from None
    if not content:
        raise RequestError(f"{name}: the file is empty (0 bytes); save the picture again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters is refused or noted below
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(name, image.size, max_megapixels)
                picture = from_pil(image, name)
    except Image.UnidentifiedImageError:
        raise RequestError(
            f"{name}: is no picture that can be read; wanted PNG, JPEG, WebP, GIF, BMP or TIFF"
        ) from None
    except Image.DecompressionBombError as error:
        above = max_megapixels * 1e6 > 2 * (Image.MAX_IMAGE_PIXELS or 0)  # where Pillow itself gives up
        said = f"{name}: is too large for Pillow ({error}); make it smaller"
        raise RequestError(said if above else _too_large(name, max_megapixels)) from None
    except _DECODING as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"{name}: the picture is broken or cut off ({reason}); save it again") from None
    return Picture(picture.image, picture.alpha, picture.icc, picture.notes, name, _sha256(content), picture.pixel_hash)


def from_pil(image: Image.Image, name: str = "the picture") -> Picture:
    """Any PIL image as a Picture: orientation applied, every mode brought to RGB, alpha and profile kept aside.

    Raises:
        RequestError: below 8x8, or a mode that has no way to RGB.
    """
    if min(image.size) < MIN_SIDE:
        raise RequestError(f"{name}: is {image.width}x{image.height} pixels; wanted at least {MIN_SIDE}x{MIN_SIDE}")
    notes = []
    frames = getattr(image, "n_frames", 1)  # only formats that can hold several have the attribute
    if frames > 1:
        notes.append(f"holds {frames} frames or pictures; one is used, the first when it came from a file")
    image.load()
    icc = image.info.get("icc_profile") or None
    mode = image.mode
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.size != image.size or image.getexif().get(0x0112, 1) != 1:
            notes.append("turned upright as its EXIF orientation says")
        image = upright
    except _DECODING:
        notes.append("its EXIF data cannot be read and was left aside")
    alpha, unusable = None, f"{name}: has the pixel format {mode}, which cannot be used; save it as RGB"
    deep = image.mode in ("I", "F") or image.mode.startswith("I;")
    if image.has_transparency_data and deep:
        alpha = Image.fromarray(np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        try:
            image = image.convert("RGBA")
        except ValueError:
            raise RequestError(unusable) from None
        alpha = image.getchannel("A")
    if deep:
        image = _eight_bits(image)
        notes.append(f"16 or more bits a pixel ({mode}) were brought to 8")
    if icc is not None and icc[16:20] != b"RGB ":
        image, icc = _without_profile(image, icc), None
        notes.append(f"its {mode} colour profile gave way to sRGB")
    try:
        rgb = image.convert("RGB")
    except ValueError:
        raise RequestError(unusable) from None
    if mode not in ("RGB", "RGBA") and not any(mode in note for note in notes):
        notes.append(f"converted from {mode} to RGB")
    plain = Image.fromarray(np.asarray(rgb))  # no metadata of the source travels on unseen
    return Picture(plain, alpha, icc, tuple(notes), pixel_hash=pixel_hash(plain, alpha))


def open_mask(path: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """The mask in a picture file, bool (h, w): true where it is brighter than half and no less opaque. `size` is
    (width, height).

    Raises:
        RequestError: no readable picture, another size, or nothing in it is white.
    """
    picture = open_picture(path, max(MAX_MEGAPIXELS, size[0] * size[1] / 1e6))
    if picture.image.size != size:
        given = f"{picture.image.width}x{picture.image.height}"
        raise RequestError(f"{os.fspath(path)}: the mask is {given} pixels, the picture {size[0]}x{size[1]}; resize it")
    mask = np.asarray(picture.image.convert("L")) > 127
    if picture.alpha is not None:  # a brush on a clear layer
        mask &= np.asarray(picture.alpha) > 127
    if not mask.any():
        raise RequestError(
            f"{os.fspath(path)}: the mask is black or clear everywhere; paint white where the edit may act"
        )
    return mask


WRITTEN_AS = {
    ".png": "results are PNG files, which keep every pixel and the record",
    ".safetensors": "learned instructions are safetensors files",
}


def check_writable(path: str | os.PathLike[str], suffix: str = ".png") -> None:
    """Refuse an output that could not be written, before the work starts; leaves nothing behind.

    Raises:
        RequestError: another ending than `suffix`, a folder, or a place where no file can be made.
    """
    target = Path(path)
    if target.suffix.lower() != suffix:
        kind = WRITTEN_AS[suffix]
        raise RequestError(f"{target}: {kind}; name it *{suffix}")
    if os.path.isdir(target):
        raise RequestError(f"{target}: is a folder; name a file in it")
    if not os.path.isdir(target.parent):
        raise RequestError(f"{target}: there is no folder {target.parent}; make it first or name another")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
        if target.exists():  # it says when a name is too long, too
            with target.open("r+b"):
                pass
    except OSError as error:
        raise RequestError(f"{target}: cannot be written ({error.strerror}); name another place") from None


def refuse_overwriting(outputs: Sequence[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse outputs of which one lies where an input or another output does, before the work starts.

    Raises:
        RequestError: there is such a one.
    """
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        place = os.path.realpath(path)
        if place in taken:
            raise RequestError(f"{os.fspath(path)}: would overwrite an input or another result; name another place")
        taken.add(place)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their names, hidden files left out.

    Raises:
        RequestError: the folder cannot be read.
    """
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise RequestError(f"{folder}: cannot be read ({error.strerror or error})") from None
    return [file for file in files if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made when it is not there yet.

    Raises:
        RequestError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{path}: this folder cannot be made ({error.strerror}); name another place") from None
    return Path(path)


def save_picture(
    path: str | os.PathLike[str],
    image: Image.Image,
    alpha: Image.Image | None = None,
    icc: bytes | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a PNG that appears whole or not at all, with `record` as JSON in its text chunk "pentimento".

    Raises:
        RequestError: the place cannot be written.
    """
    check_writable(path)
    if alpha is not None:
        image = image.convert("RGB")
        image.putalpha(alpha)
    chunks = PngImagePlugin.PngInfo()
    if record is not None:
        chunks.add_text(RECORD_KEY, json.dumps(record))  # json escapes to ASCII, which a tEXt chunk can hold
    target = Path(path)
    temporary = target.with_name(f".{token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            image.save(file, "PNG", pnginfo=chunks, icc_profile=icc)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise RequestError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The record inside a result, as it was saved.

    Raises:
        RequestError: no readable picture, or one without a record.
    """
    name = os.fspath(path)
    open_picture(name, float("inf"))  # for its refusals
    with Image.open(name, formats=FORMATS) as image:
        image.load()  # text chunks may follow the pixels
        text = image.info.get(RECORD_KEY)
    if not isinstance(text, str):
        raise RequestError(f"{name}: holds no record of an edit; give a PNG that pentimento edit has written")
    try:
        record = json.loads(text)
    except json.JSONDecodeError:
        record = None
    if not isinstance(record, dict):
        raise RequestError(f"{name}: its record is broken; give a PNG that pentimento edit has written")
    return record


def pixel_hash(image: Image.Image, alpha: Image.Image | None = None) -> str:
    """The sha256 of size and pixels: the same for the same picture in another file format."""
    parts = [f"{image.width}x{image.height}".encode(), image.convert("RGB").tobytes()]
    return _sha256(b"".join([*parts, alpha.tobytes() if alpha is not None else b""]))


def mask_picture(mask: np.ndarray) -> Image.Image:
    """A mask, bool (h, w), as a black and white picture."""
    return Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))


def side_by_side(panels: Sequence[tuple[str, Image.Image | str]], height: int = 320) -> Image.Image:
    """A sheet with a captioned panel for each picture or text, all of one height in pixels."""
    font, small = ImageFont.load_default(20), ImageFont.load_default(17)
    margin, title = 16, 36
    drawn = []
    for caption, content in panels:
        if isinstance(content, str):
            panel = Image.new("RGB", (height, height), "#f4f1ea")
            ImageDraw.Draw(panel).multiline_text(
                (14, 12), _wrapped(content, small, height - 28), "#222222", small, spacing=7
            )
        else:
            width = max(1, round(content.width * height / content.height))
            panel = content.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        drawn.append((caption, panel))
    width = margin + sum(panel.width + margin for _, panel in drawn)
    sheet = Image.new("RGB", (width, height + title + margin), "white")
    draw, x = ImageDraw.Draw(sheet), margin
    for caption, panel in drawn:
        draw.text((x, 8), caption, "#222222", font)
        sheet.paste(panel, (x, title))
        x += panel.width + margin
    return sheet


def tinted(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The picture in pale grey with the mask, bool (h, w), in orange over it."""
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None]
    pale = np.broadcast_to(0.5 * grey + 110, (*mask.shape, 3))
    orange = 0.45 * grey + 0.55 * np.array([255, 110, 0], dtype=np.float32)
    return Image.fromarray(np.where(mask[..., None], orange, pale).clip(0, 255).astype(np.uint8))


def _check_size(name: str, size: tuple[int, int], max_megapixels: float) -> None:
    if size[0] * size[1] > max_megapixels * 1e6:
        raise RequestError(f"{_too_large(name, max_megapixels)}: it has {size[0]}x{size[1]} pixels")


def _too_large(name: str, max_megapixels: float) -> str:
    return f"{name}: has more than {max_megapixels:g} megapixels; make it smaller or raise --max-megapixels"


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey levels of 16 or 32 bits, or floats, as 8 bits: full scale is 65535, or 1 for floats up to 1."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    full = 65535.0 if image.mode != "F" else 1.0
    if values.max() > full:
        full = float(values.max())
    return Image.fromarray((values / full * 255).round().clip(0, 255).astype(np.uint8))


def _without_profile(image: Image.Image, icc: bytes) -> Image.Image:
    """The picture in sRGB when its profile can be followed, else unchanged."""
    if image.mode not in ("CMYK", "L", "LAB"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return image if converted is None else converted


def _wrapped(text: str, font: Any, width: int) -> str:
    """The text with line breaks so that no line is wider than `width` pixels."""
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
