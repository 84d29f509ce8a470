import subprocess
import sys

import numpy as np
import pytest

import isvs_jax
from isvs_jax.photograph import _path, main, read_photograph, smooth_photograph

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def levels():
    ramp = np.linspace(20, 230, 12).astype(np.uint8)
    image = np.stack([np.tile(ramp, (9, 1)), np.full((9, 12), 80, np.uint8), np.tile(ramp[::-1], (9, 1))], axis=-1)
    image[2:6, 3:8] = (250, 10, 40)
    return image


def test_files_are_the_smoothed_images(tmp_path, levels):
    photo = tmp_path / "square.png"
    Image.fromarray(levels).save(photo)
    files = smooth_photograph(photo, [0.0, 1.0, 2.5], folder=tmp_path / "out")
    names = [f"{output}_t{time}.png" for time in ("0", "1", "2.5") for output in ("dense", "sparse")]
    assert [path.name for path in files] == [*names, "strip.png"]
    for time in (0.0, 1.0, 2.5):
        for output in ("dense", "sparse"):
            expected = isvs_jax.smooth(levels / np.float32(255), time, output=output)
            with Image.open(tmp_path / "out" / f"{output}_t{time:g}.png") as opened:
                written = np.asarray(opened, np.float32) / 255
            np.testing.assert_allclose(written, np.clip(expected, 0, 1), atol=0.5 / 255 + 1e-5)
    with Image.open(files[-1]) as strip:
        assert strip.size[0] > 4 * 300


@pytest.mark.parametrize("solver", [
    isvs_jax.SplitLBI(), isvs_jax.SplitLBI(tolerance=0.01), isvs_jax.SplitLBI(step_size=0.03),
    isvs_jax.SplitLBI(scheme="explicit"),
])  # fmt: skip
def test_states_are_those_of_the_scale_space(levels, solver):
    """Before the first entry, within a finish of it, between two long steps, and two times with as many long steps."""
    image, times = levels / np.float32(255), [0.0, 0.1, 0.5, 1.4, 1.5, 3.0]
    path = isvs_jax.scale_space(image, times, solver)
    for k, state in enumerate(_path(image, times, solver)):
        np.testing.assert_allclose(solver.dense(state), path.dense[k], atol=2e-6)
        for edges, expected in zip(solver.support(state), path.support, strict=True):
            np.testing.assert_array_equal(edges, expected[k])
    assert k == len(times) - 1


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [("L", "png", 1), ("1", "png", 1), ("P", "gif", 3), ("RGBA", "png", 3), ("LA", "png", 3), ("CMYK", "tiff", 3),
     ("RGB", "webp", 3), ("RGB", "bmp", 3), ("I;16", "png", 1), ("F", "tiff", 1), ("YCbCr", "jpg", 3)],
)  # fmt: skip
def test_every_format_comes_in_as_floats(tmp_path, levels, mode, suffix, channels):
    photo = tmp_path / f"photo.{suffix}"
    if mode == "I;16":
        picture = Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(levels[..., 0] / np.float32(255))
    else:
        picture = Image.fromarray(levels).convert(mode)
    picture.save(photo)
    image = read_photograph(photo)
    assert (image.shape, image.dtype) == ((9, 12, channels), np.float32)
    assert 0 <= image.min() < image.max() <= 1
    if mode in ("I;16", "F"):
        np.testing.assert_allclose(image[..., 0], levels[..., 0] / 255, atol=1e-6)


def test_orientation_of_the_camera_and_transparency(tmp_path, levels):
    picture = Image.fromarray(levels)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_allclose(read_photograph(tmp_path / "turned.png") * 255, np.rot90(levels, -1), atol=1e-4)
    picture.putalpha(0)
    picture.save(tmp_path / "clear.png")
    np.testing.assert_allclose(read_photograph(tmp_path / "clear.png"), 1.0)


def test_a_long_side_is_shrunk(tmp_path, levels):
    Image.fromarray(levels).save(tmp_path / "photo.png")
    assert read_photograph(tmp_path / "photo.png", max_side=6).shape == (4, 6, 3)
    assert read_photograph(tmp_path / "photo.png", max_side=60).shape == (9, 12, 3)


def test_the_command_line(tmp_path, levels):
    Image.fromarray(levels).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "isvs_jax", "photo.png", "--times", "0.5", "--output", "dense"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert first.stdout.split() == ["photo_scale_space/dense_t0.5.png", "photo_scale_space/strip.png"]
    assert (tmp_path / "photo_scale_space" / "dense_t0.5.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.png"], "No such file or directory: 'missing.png'"),
        (["notes.txt"], "notes.txt must be an image file that Pillow reads"),
        (["cut.png"], "cut.png must be a whole image file"),
        (["photo.png", "--times", "2", "1"], "strictly increasing"),
        (["photo.png", "--times", "nan"], "strictly increasing finite times"),
        (["photo.png", "--nu", "0"], "nu must be a positive finite number; got 0"),
        (["photo.png", "--max-side", "0"], "max_side must be an integer of at least 1; got 0"),
        (["photo.png", "--out", "full"], "full must hold no file of these names"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(tmp_path, monkeypatch, capsys, levels, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save("photo.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:3000])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "strip.png").write_bytes(b"mine")
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert (tmp_path / "full" / "strip.png").read_bytes() == b"mine"
