import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import isvs_jax
from isvs_jax.data.image_files import read_image
from isvs_jax.photograph import pictures, smooth_photograph
from isvs_jax.photograph.command import folders_of, main

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def read_photograph(file, max_side=None):
    pixels = read_image(file, max_side=max_side, any_size=True)
    return pixels / np.float32(255) if pixels.dtype == np.uint8 else pixels


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


@pytest.mark.parametrize(
    "solver", [isvs_jax.SplitLBI(step_size=np.float32(0.03)), isvs_jax.SplitLBI(scheme="explicit")]
)
def test_other_steps_give_their_own_images(tmp_path, levels, solver):
    Image.fromarray(levels).save(tmp_path / "photo.png")
    file = smooth_photograph(tmp_path / "photo.png", np.array([1.4]), solver, folder=tmp_path, outputs=["dense"])[0]
    expected = isvs_jax.smooth(levels / np.float32(255), 1.4, solver)
    np.testing.assert_allclose(read_photograph(file), expected, atol=0.5 / 255 + 1e-5)


def test_a_large_photograph(tmp_path, monkeypatch, capsys):
    """In several bands, with a detail first; a second call finds it finished, and one that was stopped goes on."""
    rng = np.random.default_rng(0)
    levels = np.kron(rng.integers(0, 255, (10, 47, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "wide.png")
    arguments = ["--times", "0.5", "1", "--nu", "1", "--kappa", "2"]
    monkeypatch.chdir(tmp_path)
    real = pictures.piecewise_constant

    def stopped(image, support):
        if image.shape[1] == levels.shape[1]:
            raise KeyboardInterrupt
        return real(image, support)

    monkeypatch.setattr(pictures, "piecewise_constant", stopped)
    assert main(["wide.png", *arguments]) == 130
    said = capsys.readouterr()
    assert "detail.png" in said.out
    assert "goes on with the photographs that are not finished" in said.err
    assert [file.name for file in (tmp_path / "wide_scale_space").glob("*.png")] == ["detail.png"]
    monkeypatch.setattr(pictures, "piecewise_constant", real)
    assert main(["wide.png", *arguments]) == 0
    solver = isvs_jax.SplitLBI(2.0, 1.0, tiles=True)
    for output in ("dense", "sparse"):
        expected = isvs_jax.smooth(levels / np.float32(255), 1.0, solver, output)
        written = read_photograph(tmp_path / "wide_scale_space" / f"{output}_t1.png")
        np.testing.assert_allclose(written, np.clip(expected, 0, 1), atol=0.5 / 255 + 1e-5)
    when = (tmp_path / "wide_scale_space" / "strip.png").stat().st_mtime_ns
    assert main(["wide.png", *arguments]) == 0
    assert (tmp_path / "wide_scale_space" / "strip.png").stat().st_mtime_ns == when
    assert main(["wide.png", "--times", "2"]) == 1
    assert "wide_scale_space must hold no file of these names" in capsys.readouterr().err


def test_several_photographs_and_folders(tmp_path, levels):
    (tmp_path / "album").mkdir()
    for name in ("a.png", "b.png", "album/c.png", "album/.hidden.png", "album/a.jpg"):
        Image.fromarray(levels).save(tmp_path / name)
    (tmp_path / "album" / "notes.txt").write_text("no image")
    a, b, album = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "album"
    assert list(folders_of([a, b, a], None).values()) == [Path("a_scale_space"), Path("b_scale_space")]
    assert folders_of([a], tmp_path / "out") == {a: tmp_path / "out"}
    assert list(folders_of([b, album], tmp_path / "out")) == [b, album / "a.jpg", album / "c.png"]
    with pytest.raises(ValueError, match="photos must differ in the names of their files; got two of the name 'a'"):
        folders_of([a, album], None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty must hold image files"):
        folders_of([tmp_path / "empty"], None)


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


def test_the_command_line(tmp_path, levels, monkeypatch, capsys):
    Image.fromarray(levels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["isvs_jax", "photo.png", "--times", "0.5", "--output", "dense"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("isvs_jax", run_name="__main__")
    said = capsys.readouterr()
    assert end.value.code == 0, said.err
    assert said.out.split() == ["photo_scale_space/dense_t0.5.png", "photo_scale_space/strip.png"]
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
