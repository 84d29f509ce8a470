import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from isvs_jax.data.image_files import as_levels, image_shape, read_image

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def saved(folder: Path, pixels: np.ndarray, suffix: str = "png", **options: object) -> Path:
    file = folder / f"image.{suffix}"
    Image.fromarray(pixels).save(file, **options)
    return file


def test_the_scale_follows_from_the_mode_and_not_from_the_values(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(saved(tmp_path, LEVELS)), LEVELS)
    grey = LEVELS[..., 0]
    np.testing.assert_array_equal(read_image(saved(tmp_path, grey))[..., 0], grey)
    # Of 16 bits; all of the second are below 256.
    for factor in (257, 1):
        deep = read_image(saved(tmp_path, grey.astype(np.uint16) * factor))
        assert deep.dtype == np.float32
        np.testing.assert_allclose(deep[..., 0], grey.astype(int) * factor / 65535, atol=1e-7)
    for factor in (1, 0.001):
        floats = read_image(saved(tmp_path, grey / np.float32(255) * np.float32(factor), "tiff"))
        np.testing.assert_allclose(floats[..., 0], grey / 255 * factor, atol=1e-7)
    np.testing.assert_array_equal(as_levels(floats / np.float32(0.001))[..., 0], grey)


@pytest.mark.parametrize("value", [-0.1, 1.5, 255.0, float("nan"), float("inf")])
def test_floats_outside_of_their_scale_are_refused(tmp_path: Path, value: float) -> None:
    pixels = np.full((4, 4), 0.5, np.float32)
    pixels[1, 2] = value
    with pytest.raises(ValueError, match=r"image.tiff must hold finite floats in \[0, 1\]; got values from"):
        read_image(saved(tmp_path, pixels, "tiff"))


def test_integers_outside_of_their_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold integers from 0 to 65535; got values from 70000 to 70000"):
        read_image(saved(tmp_path, np.full((4, 4), 70000, np.int32), "tiff"))


def exif(*entries: tuple[int, int, int, bytes], data: bytes = b"") -> bytes:
    """Notes of a camera as they may be: tag, type, count and four bytes of each, whatever they say."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + b"\0" * 4 + data


UPRIGHT = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
NOTES = {
    "orientation alone": exif(UPRIGHT),
    # The two numbers stand behind the two entries, at 8 + 2 + 2 · 12 + 4.
    "a signed rational": exif(UPRIGHT, (0x9204, 10, 1, struct.pack("<I", 38)), data=struct.pack("<ii", -1, 0)),
    "a signed rational for an unsigned one": exif(
        UPRIGHT, (0x011A, 10, 1, struct.pack("<I", 38)), data=struct.pack("<ii", -1, 0)
    ),
    "text for a number": exif(UPRIGHT, (0x011A, 2, 4, b"abc\0")),
    "a number for text": exif((0x010F, 3, 1, b"\1\0\0\0"), UPRIGHT),
    "bytes for text": exif((0x010F, 7, 4, b"\xff\xfe\0\1"), UPRIGHT),
}


@pytest.mark.parametrize("name", NOTES)
def test_of_the_notes_of_a_camera_only_the_orientation_counts(tmp_path: Path, name: str) -> None:
    file = saved(tmp_path, LEVELS, exif=NOTES[name])
    np.testing.assert_array_equal(read_image(file), np.rot90(LEVELS, -1))
    assert image_shape(file) == (9, 6, 3)


@pytest.mark.parametrize(
    "notes", [b"", b"Exif\0\0", b"II*\0\xff\xff\xff\x7f", b"rubbish", exif((0x0112, 2, 2, b"6\0\0\0"))]
)
@pytest.mark.filterwarnings("ignore:.*EXIF:UserWarning", "ignore:Truncated File Read")
def test_notes_that_are_none_leave_the_picture_as_it_lies(tmp_path: Path, notes: bytes) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"eXIf", notes)
    file = saved(tmp_path, LEVELS, pnginfo=chunks)
    np.testing.assert_array_equal(read_image(file), LEVELS)
    assert image_shape(file) == LEVELS.shape


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "gif", "bmp"])
def test_a_file_that_is_cut_off_is_named_wherever_it_is_cut(tmp_path: Path, suffix: str) -> None:
    whole = saved(tmp_path, LEVELS, suffix).read_bytes()
    for length in (0, 4, len(whole) // 3, len(whole) // 2, len(whole) - len(whole) // 5):
        file = tmp_path / f"cut.{suffix}"
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"cut.{suffix} must be"):
            read_image(file)


def test_a_large_image_is_shrunk(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path, LEVELS), max_side=3).shape == (2, 3, 3)
    ramp = np.linspace(0, 1, 54, dtype=np.float32).reshape(6, 9)
    small = read_image(saved(tmp_path, ramp, "tiff"), max_side=3)
    assert (small.shape, small.dtype) == ((2, 3, 1), np.float32)
    assert 0 <= small.min() < small.max() <= 1


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        read_image(tmp_path / "nothing.png")
