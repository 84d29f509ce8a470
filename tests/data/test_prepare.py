import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isvs_jax import data
from isvs_jax.data import prepared
from isvs_jax.data.command import main
from isvs_jax.data.image_files import image_shape, read_image


def write(path: Path, seed: int, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for index in range(10):
        write(root / "cat" / f"{index}.png", index)
        write(root / "dog" / f"{index}.png", 100 + index)
    return root


def assert_same(one: data.Dataset, two: data.Dataset) -> None:
    assert one.class_names == two.class_names
    assert one.name == two.name
    assert one.mirror == two.mirror
    for left, right in ((one.train, two.train), (one.test, two.test)):
        assert left.images.dtype == right.images.dtype
        np.testing.assert_array_equal(left.images, right.images)
        np.testing.assert_array_equal(left.labels, right.labels)
        assert data.digest(left) == data.digest(data.Split(right.images, right.labels))


def prepare(spec: object, out: Path, **options: object) -> data.Dataset:
    folder = data.prepare(str(spec), out, progress=False, **options)  # type: ignore[arg-type]
    assert folder == out
    return data.load(f"prepared:{folder}")


@pytest.mark.parametrize("options", [{}, {"image_size": 5}, {"seed": 3}, {"image_size": 9, "workers": 1}])
def test_a_prepared_folder_is_the_folder(classes: Path, tmp_path: Path, options: dict) -> None:
    found = prepare(classes, tmp_path / "out", **options)
    options.pop("workers", None)
    assert_same(found, data.load(str(classes), progress=False, **options))
    assert isinstance(found.train.images, np.memmap)
    assert not found.train.images.flags.writeable
    assert str(classes) in found.source
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "dataset.json",
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]


def test_images_of_several_sizes_need_a_size(classes: Path, tmp_path: Path) -> None:
    write(classes / "cat" / "large.png", 0, (30, 20))
    write(classes / "dog" / "grey.png", 0, (7, 7), mode="L")
    with pytest.raises(ValueError, match=r"image_size must be an integer, .* with 3 sizes, such as 8×6 and 30×20\."):
        prepare(classes, tmp_path / "out")
    found = prepare(classes, tmp_path / "out", image_size=6)
    assert found.image_shape == (6, 6, 3)
    assert_same(found, data.load(str(classes), image_size=6, progress=False))


def test_digits_and_the_plain_path(tmp_path: Path) -> None:
    found = prepare("digits", tmp_path / "digits", image_size=8)
    assert_same(found, data.load("digits", image_size=8))
    assert_same(data.load(str(tmp_path / "digits")), found)
    limited = data.load(f"prepared:{tmp_path}/digits", limit_train=20, limit_test=10, seed=1)
    expected = data.load("digits", image_size=8, limit_train=20, limit_test=10, seed=1)
    np.testing.assert_array_equal(limited.train.images, expected.train.images)
    np.testing.assert_array_equal(limited.test.labels, expected.test.labels)
    assert data.load(f"prepared:{tmp_path}/digits", image_size=8).image_shape == (8, 8, 1)
    with pytest.raises(ValueError, match=r"image_size must be that of the prepared .*, 8×8, or None; got 16\."):
        data.load(f"prepared:{tmp_path}/digits", image_size=16)


def test_mirror_can_be_said_by_hand(classes: Path, tmp_path: Path) -> None:
    assert data.load(str(classes), progress=False).mirror
    assert not data.load(str(classes), mirror=False, progress=False).mirror
    assert not data.load("digits", image_size=8).mirror
    assert data.load("digits", image_size=8, mirror=True).mirror
    assert not prepare(classes, tmp_path / "out", mirror=False).mirror
    assert data.load(f"prepared:{tmp_path}/out", mirror=True).mirror


def test_several_pieces_make_the_same(classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "_CHUNK", 3 * 8 * 6 * 3)
    assert_same(prepare(classes, tmp_path / "out"), data.load(str(classes), progress=False))


@pytest.mark.parametrize("stop", [4, 18])
def test_what_was_begun_is_gone_on_with(
    classes: Path, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "_CHUNK", 2 * 8 * 6 * 3)
    out = tmp_path / "out"
    calls = []
    fitted = prepared.fitted

    def stopping(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        calls.append(1)
        if len(calls) > stop:
            raise KeyboardInterrupt
        return fitted(image, shape)

    monkeypatch.setattr(prepared, "fitted", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare(classes, out, workers=1)
    assert not out.exists()
    with pytest.raises(FileNotFoundError, match=r"out is not finished .* do its preparation again"):
        data.load(f"prepared:{out}")
    calls.clear()
    monkeypatch.setattr(prepared, "fitted", lambda image, shape: calls.append(1) or fitted(image, shape))
    found = prepare(classes, out)
    assert len(calls) == 20 - stop
    assert_same(found, data.load(str(classes), progress=False))


KILLED = """
import os, signal, sys
from isvs_jax import data
from isvs_jax.data import growing, prepared

growing.INTERVAL = 0.0
prepared._CHUNK = 2 * 8 * 6 * 3
fitted, calls = prepared.fitted, []

def killing(image, shape):
    calls.append(1)
    if len(calls) > 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return fitted(image, shape)

prepared.fitted = killing
data.prepare(sys.argv[1], sys.argv[2], workers=1, progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_what_the_next_goes_on_with(classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    root = Path(data.__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(classes), str(out)]
    done = subprocess.run(command, cwd=root, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "out.partial" / "progress.json").read_text()) == {"done": 8}
    assert_same(prepare(classes, out), data.load(str(classes), progress=False))


def test_the_same_again_returns_at_once_and_another_is_refused(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(classes, tmp_path / "out")
    monkeypatch.setattr(prepared, "_fill", None)
    prepare(classes, tmp_path / "out")
    with pytest.raises(ValueError, match=r"got one that differs in how, image_shape\. Give another"):
        prepare(classes, tmp_path / "out", image_size=5)
    write(classes / "cat" / "5.png", 1234)
    with pytest.raises(ValueError, match="got one that differs in identity"):
        prepare(classes, tmp_path / "out")
    with pytest.raises(ValueError, match=r"photos must be a prepared data set; got a folder without dataset\.json"):
        prepare("digits", classes)


def test_an_empty_folder_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    prepare("digits", tmp_path / "out", image_size=8)


def test_no_room_is_told_before_anything_is_read(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 0, 1000))
    # 20 images of 8 × 6 × 3 bytes with labels of 4 bytes.
    with pytest.raises(OSError, match=r"needs 2,960 bytes .* but its disk has 1,000 bytes"):
        prepare(classes, tmp_path / "out")


def test_what_cannot_be_read_is_named(classes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"spec must be a data set that is not prepared yet; got 'prepared:somewhere'"):
        data.prepare("prepared:somewhere", tmp_path / "out")
    with pytest.raises(ValueError, match=r"spec must be 'digits', .*; got 'nothing'"):
        data.prepare("nothing", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*missing"):
        data.prepare(f"folder:{tmp_path}/missing", tmp_path / "out")
    with pytest.raises(ValueError, match=r"workers must be an integer of at least 1; got 0\."):
        data.prepare("digits", tmp_path / "out", workers=0)
    with pytest.raises(ValueError, match=r"image_size must be an integer of at least 1; got 0\."):
        data.prepare(str(classes), tmp_path / "out", image_size=0, progress=False)
    whole = (classes / "cat" / "4.png").read_bytes()
    (classes / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cat/3.png must be "):
        prepare(classes, tmp_path / "out")
    (classes / "cat" / "3.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cat/3.png must be "):
        prepare(classes, tmp_path / "other")


def test_wrong_and_damaged_folders_are_named(classes: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*none with a prepared data set\. .*prepare SPEC --out"):
        data.load(f"prepared:{tmp_path}/none")
    with pytest.raises(ValueError, match=r"photos must be a prepared data set"):
        data.load(f"prepared:{classes}")
    out = tmp_path / "out"
    prepare(classes, out)
    about = (out / "dataset.json").read_text()
    for file in ("train_images.npy", "test_labels.npy"):
        kept = (out / file).read_bytes()
        (out / file).write_bytes(kept[:-1])
        with pytest.raises(ValueError, match=r"out must hold the arrays that were prepared; .* Delete it, and"):
            data.load(str(out))
        np.save(out / file, np.zeros((1, 2), np.int32))
        with pytest.raises(ValueError, match=r"out must hold .* in (train|test), as its dataset.json says; got images"):
            data.load(str(out))
        (out / file).write_bytes(kept)
    (out / "dataset.json").write_text(about[:30])
    with pytest.raises(ValueError, match=r"dataset.json must be a whole file of JSON; got .* bytes with an error"):
        data.load(str(out))
    (out / "dataset.json").write_text(json.dumps({**json.loads(about), "format": 99}))
    with pytest.raises(ValueError, match=r"must be of format 1; got format 99\."):
        data.load(str(out))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_the_head_of_a_file_tells_its_shape(tmp_path: Path, mode: str) -> None:
    suffix = {"CMYK": "jpg", "I": "tiff", "F": "tiff"}.get(mode, "png")
    file = tmp_path / f"image.{suffix}"
    Image.new(mode, (5, 3)).save(file)
    assert image_shape(file) == read_image(file).shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_pictures_on_their_side(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"image.{suffix}"
    Image.new("RGB", (5, 3)).save(file, exif=exif)
    assert image_shape(file) == read_image(file).shape == ((3, 5, 3) if orientation < 5 else (5, 3, 3))


def test_the_command(classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["prepare", str(classes), "--out", str(out), "--image-size", "6", "--mirror", "False"]) == 0
    printed = capsys.readouterr()
    assert "16 training and 4 test images" in printed.out
    assert f"Train on it as prepared:{out}" in printed.out
    assert "20/20" in printed.err
    assert main(["describe", f"prepared:{out}", "--no-progress"]) == 0
    printed = capsys.readouterr()
    assert "6×6 pixels, 3 channels, uint8" in printed.out
    assert "2 classes: cat, dog" in printed.out
    assert "mirrored in training: no" in printed.out
    assert data.digest(data.load(str(out)).train) in printed.out
    assert main(["describe", "nothing"]) == 1
    assert "spec must be" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    assert "Decode a data set once" in capsys.readouterr().out


def test_names_that_are_no_utf8_are_prepared(classes: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    try:
        (classes / "cat").rename(classes / odd)
    except OSError:
        pytest.skip("names of files are UTF-8 on this system")
    (classes / odd / "1.png").rename(classes / odd / os.fsdecode(b"\xff.png"))
    found = prepare(classes, tmp_path / "out")
    assert found.class_names == (odd, "dog")
    assert_same(found, data.load(classes, progress=False))
    (tmp_path / "out" / "dataset.json").read_bytes().decode("utf-8")


def test_a_terminal_of_ascii_gets_escapes(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (classes / "cat").rename(classes / "café")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["describe", str(classes), "--no-progress"]) == 0
    stream.seek(0)
    printed = stream.read()
    assert r"6\xd78 pixels" in printed
    assert r"caf\xe9, dog" in printed
