import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pentimento import images
from pentimento.errors import RequestError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


def gradient(width: int = 20, height: int = 12) -> np.ndarray:
    """A picture (height, width, 3) uint8 whose pixels all differ from their neighbours."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 12 % 256, y * 20 % 256, (x + y) * 7 % 256], axis=-1).astype(np.uint8)


def refusal(path: Path, **options: float) -> str:
    with pytest.raises(RequestError) as caught:
        images.open_picture(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    assert "no such picture" in refusal(tmp_path / "nothing.png")


def test_a_folder_is_refused_as_a_picture(tmp_path: Path) -> None:
    assert "is no file" in refusal(tmp_path)


def test_a_zero_byte_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert "0 bytes" in refusal(path)


def test_text_that_is_called_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.png"
    path.write_text("Dear reader, this is a letter.")
    assert "no picture" in refusal(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"half.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refusal(path)


def test_a_png_with_wrong_bytes_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.png"
    Image.fromarray(gradient(64, 64)).save(path)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_a_picture_below_8x8_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", size).save(path)
    assert "8x8" in refusal(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels at all."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + check

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 8000), (12000, 10000), (60000, 60000)])
def test_too_many_megapixels_are_refused_before_a_pixel_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    assert "more than 64 megapixels" in refusal(path)


def test_the_megapixel_limit_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(gradient(100, 100)).save(path)
    assert "more than 0.005 megapixels" in refusal(path, max_megapixels=0.005)
    assert images.open_picture(path, max_megapixels=0.01).image.size == (100, 100)


def test_alpha_is_kept_beside_rgb(tmp_path: Path) -> None:
    alpha = np.arange(240, dtype=np.uint8).reshape(12, 20)
    path = tmp_path / "in.png"
    Image.fromarray(np.dstack([gradient(), alpha])).save(path)
    picture = images.open_picture(path)
    assert picture.image.mode == "RGB"
    assert np.array_equal(np.asarray(picture.image), gradient())
    assert picture.alpha is not None and np.array_equal(np.asarray(picture.alpha), alpha)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "RGBA", "RGBX"])
def test_every_common_mode_becomes_rgb(mode: str) -> None:
    picture = images.from_pil(Image.fromarray(gradient()).convert(mode))
    assert picture.image.mode == "RGB"
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))
    assert bool(picture.notes) == (mode != "RGBA")


def test_a_palette_with_a_transparent_colour_keeps_its_transparency(tmp_path: Path) -> None:
    path = tmp_path / "in.gif"
    paletted = Image.fromarray(gradient()).convert("P", palette=Image.Palette.ADAPTIVE)
    index = paletted.getpixel((0, 0))
    paletted.save(path, transparency=index)
    alpha = images.open_picture(path).alpha
    assert alpha is not None and alpha.getpixel((0, 0)) == 0 and alpha.getextrema() == (0, 255)


def test_a_transparent_colour_of_an_rgb_png_becomes_alpha(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.fromarray(gradient()).save(path, transparency=tuple(map(int, gradient()[3, 4])))
    alpha = images.open_picture(path).alpha
    assert alpha is not None and alpha.getpixel((4, 3)) == 0


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, suffix: str) -> None:
    levels = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    path = tmp_path / f"in.{suffix}"
    Image.fromarray(levels).save(path)
    picture = images.open_picture(path)
    assert np.abs(np.asarray(picture.image)[..., 0] - levels / 257).max() <= 0.5
    assert any("16" in note for note in picture.notes)


def test_floats_are_scaled_to_eight_bits() -> None:
    levels = np.linspace(0, 1, 240, dtype=np.float32).reshape(12, 20)
    levels[0, 0] = np.nan
    pixels = np.asarray(images.from_pil(Image.fromarray(levels)).image)[..., 0]
    assert pixels[0, 0] == 0 and pixels[-1, -1] == 255


def test_the_first_frame_of_an_animation_is_used_and_said(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "in.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    picture = images.open_picture(path)
    assert picture.image.getpixel((3, 3)) == (255, 0, 0)
    assert any("3 frames" in note for note in picture.notes)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(gradient())
    back = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = upright if back is None else upright.transpose(back)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "in.png"
    stored.save(path, exif=exif)
    picture = images.open_picture(path)
    assert np.array_equal(np.asarray(picture.image), gradient())
    assert any("upright" in note for note in picture.notes) == (orientation != 1)
    images.save_picture(tmp_path / "out.png", picture.image)
    assert Image.open(tmp_path / "out.png").getexif().get(ORIENTATION) is None


def test_broken_exif_does_not_refuse_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    Image.fromarray(gradient()).save(path, exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05garbage")
    assert images.open_picture(path).image.size == (20, 12)


def test_an_icc_profile_is_kept_in_the_result(tmp_path: Path) -> None:
    path, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(gradient()).save(path, icc_profile=SRGB)
    picture = images.open_picture(path)
    images.save_picture(out, picture.image, picture.alpha, picture.icc)
    with Image.open(out) as saved:
        assert saved.info["icc_profile"] == SRGB


def test_a_profile_that_is_no_rgb_profile_does_not_reach_the_result(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    grey = bytearray(SRGB)
    grey[16:20] = b"CMYK"
    Image.fromarray(gradient()).convert("CMYK").save(path, icc_profile=bytes(grey))
    picture = images.open_picture(path)
    assert picture.icc is None and picture.image.mode == "RGB"


@pytest.mark.parametrize("size", [(8, 8), (8, 4000), (4000, 8), (9, 31)])
def test_any_aspect_from_8x8_up_is_accepted(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", size, "teal").save(path)
    assert images.open_picture(path).image.size == size


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.png"
    file = io.BytesIO()
    Image.fromarray(gradient()).save(file, "PNG")
    path.write_bytes(file.getvalue()[:40] + content)
    refusal(path)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "GIF", "JPEG", "BMP", "PNG"])
@given(data=st.data())
def test_damaged_files_of_any_kind_raise_nothing_but_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    path, file = tmp_path_factory.getbasetemp() / "damaged.png", io.BytesIO()
    Image.fromarray(gradient()).save(file, kind)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with suppress(RequestError):
        images.open_picture(path)


def test_a_format_that_starts_a_program_is_not_read(tmp_path: Path) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "in.png").write_bytes(eps)
    with pytest.raises(RequestError, match="no picture that can be read"):
        images.open_picture(tmp_path / "in.png")


def test_threads_that_save_leave_the_umask_alone(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(4) as threads:
            for _ in threads.map(
                lambda i: images.save_picture(tmp_path / f"{i}.png", Image.new("RGB", (8, 8))), range(12)
            ):
                pass
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    finally:
        assert os.umask(before) == 0o027


def test_the_same_pixels_have_the_same_hash_in_another_file(tmp_path: Path) -> None:
    for name in ("in.png", "in.bmp"):
        Image.fromarray(gradient()).save(tmp_path / name)
    one, other = images.open_picture(tmp_path / "in.png"), images.open_picture(tmp_path / "in.bmp")
    assert one.pixel_hash == other.pixel_hash
    assert one.file_hash != other.file_hash


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.new("L", (20, 13), 255).save(path)
    with pytest.raises(RequestError, match="20x13.*20x12"):
        images.open_mask(path, (20, 12))


def test_a_mask_without_white_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.new("L", (20, 12), 100).save(path)
    with pytest.raises(RequestError, match="black or clear everywhere"):
        images.open_mask(path, (20, 12))


def test_a_brush_on_a_clear_layer_is_the_mask_whatever_lies_under_the_clear(tmp_path: Path) -> None:
    drawn = np.full((12, 20, 4), 255, np.uint8)
    drawn[..., 3] = 0
    drawn[2:6, 3:9, 3] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    assert np.array_equal(images.open_mask(tmp_path / "mask.png", (20, 12)), drawn[..., 3] > 0)


def test_a_mask_survives_saving_and_opening(tmp_path: Path) -> None:
    mask = np.random.default_rng(2).random((12, 20)) > 0.5
    images.save_picture(tmp_path / "mask.png", images.mask_picture(mask))
    assert np.array_equal(images.open_mask(tmp_path / "mask.png", (20, 12)), mask)


def test_saving_keeps_pixels_alpha_and_record(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.arange(240, dtype=np.uint8).reshape(12, 20))
    record = {"instruction": "änder die Katze 🐈 " * 9000, "numbers": [1, 0.5]}
    images.save_picture(tmp_path / "out.png", Image.fromarray(gradient()), alpha, None, record)
    assert images.read_record(tmp_path / "out.png") == record
    saved = images.open_picture(tmp_path / "out.png")
    assert np.array_equal(np.asarray(saved.image), gradient())
    assert saved.alpha is not None and np.array_equal(np.asarray(saved.alpha), np.asarray(alpha))


def test_a_failed_save_leaves_neither_a_part_nor_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.png"
    images.save_picture(target, Image.fromarray(gradient()))
    before = target.read_bytes()

    def full(source: str, destination: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RequestError, match="No space left"):
        images.save_picture(target, Image.new("RGB", (9, 9)))
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ["out.png"]


def test_outputs_that_cannot_be_written_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("a file")
    (tmp_path / "folder.png").mkdir()
    for path in ("absent/out.png", "file.txt/out.png", "folder.png", "out.jpg", "out"):
        with pytest.raises(RequestError):
            images.check_writable(tmp_path / path)
    images.check_writable(tmp_path / "out.png")
    assert sorted(os.listdir(tmp_path)) == ["file.txt", "folder.png"]


def test_a_picture_without_a_record_is_refused(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "in.png")
    with pytest.raises(RequestError, match="no record"):
        images.read_record(tmp_path / "in.png")


def test_a_sheet_shows_every_panel() -> None:
    picture = Image.fromarray(gradient())
    sheet = images.side_by_side([("before", picture), ("plan", "find: cat\nafter: " + "tiger " * 30)], height=200)
    assert sheet.height > 200 and sheet.width > 200 * 20 / 12 + 200


def test_grey_levels_of_sixteen_bits_keep_them_beside_a_transparent_one(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(levels).save(tmp_path / "plain.png")
    Image.fromarray(levels).save(tmp_path / "holed.png", transparency=int(levels[5, 5]))
    plain, holed = (images.open_picture(tmp_path / f"{name}.png") for name in ("plain", "holed"))
    assert (np.asarray(plain.image) == np.asarray(holed.image)).all() and plain.alpha is None
    assert (np.asarray(holed.alpha) == np.where(levels == levels[5, 5], 0, 255)).all()


def test_a_mask_may_be_as_large_as_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    monkeypatch.setattr(images, "MAX_MEGAPIXELS", 0.001)
    assert images.open_mask(tmp_path / "mask.png", (64, 64)).all()


def test_what_pillow_refuses_is_not_mended_by_a_higher_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(RequestError, match="too large for Pillow"):
        images.open_picture(tmp_path / "large.png", 300)
    with pytest.raises(RequestError, match="more than 0.0001 megapixels"):
        images.open_picture(tmp_path / "large.png", 0.0001)
