from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isvs_jax import data


def write(path: Path, value: object = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def load(path: Path, **options: object) -> data.Dataset:
    return data.load(str(path), progress=False, **options)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for index in range(10):
        write(tmp_path / "cat" / f"{index}.png", (10 + index, 0, 0))
        write(tmp_path / "dog" / f"{index}.png", (100 + index, 0, 0))
    return tmp_path


def test_class_folders_are_split_and_labelled(classes: Path) -> None:
    found = load(classes)
    assert found.class_names == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (16, 4)
    assert found.image_shape == (8, 8, 3)
    for part in (found.train, found.test):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] >= 100, part.labels == 1)
    shades = np.concatenate([found.train.images[:, 0, 0, 0], found.test.images[:, 0, 0, 0]])
    assert len(set(shades.tolist())) == 20


def test_a_split_of_its_own_is_kept(tmp_path: Path) -> None:
    for part, shade in (("train", 1), ("test", 2)):
        for name in ("cat", "dog"):
            write(tmp_path / part / name / "a.png", (shade, shade, shade))
    found = load(tmp_path)
    assert (found.train.images == 1).all()
    assert (found.test.images == 2).all()
    write(tmp_path / "train" / "emu" / "a.png")
    with pytest.raises(ValueError, match="in one only: emu"):
        load(tmp_path)


def test_limits_draw_from_all_classes(classes: Path) -> None:
    found = load(classes, limit_train=10)
    assert len(found.train) == 10
    assert set(found.train.labels.tolist()) == {0, 1}


def test_grey_stays_grey_unless_mixed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(2):
            write(tmp_path / name / f"{index}.png", 77, mode="L")
    assert load(tmp_path).image_shape == (8, 8, 1)
    write(tmp_path / "a" / "colour.png", (1, 2, 3))
    assert load(tmp_path).image_shape == (8, 8, 3)


def test_sizes_are_made_one_and_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(2):
            write(tmp_path / name / f"{index}.jpg", (200, 100, 50), (20 + index, 40))
    found = load(tmp_path)
    assert found.image_shape == (32, 32, 3)
    assert "resized to 32×32" in found.source
    assert load(tmp_path, image_size=12).image_shape == (12, 12, 3)
    assert np.abs(found.train.images.astype(int) - [200, 100, 50]).max() <= 3
    with pytest.raises(ValueError, match="image_size is 0"):
        load(tmp_path, image_size=0)


def test_the_centre_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    for name in ("a", "b"):
        for index in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(wide).save(tmp_path / name / f"{index}.png")
    assert (load(tmp_path, image_size=10).train.images == 255).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), [255, 255, 255]),
        (Image.fromarray(np.full((4, 4), 65535, np.uint16)), [255]),
        (Image.fromarray(np.full((4, 4), 32768, np.uint16)), [128]),
        (Image.new("1", (4, 4), 1), [255]),
        (Image.new("P", (4, 4)), [0, 0, 0]),
    ],
)
def test_modes(tmp_path: Path, image: Image.Image, expected: list[int]) -> None:
    for name in ("a", "b"):
        for index in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{index}.png")
    np.testing.assert_array_equal(load(tmp_path).train.images[0, 0, 0], expected)


def test_a_broken_file_is_named(classes: Path) -> None:
    (classes / "cat" / "3.png").write_bytes(b"this is no image")
    with pytest.raises(ValueError, match=r"cat/3.png cannot be read as an image .* take it out"):
        load(classes)
    whole = (classes / "cat" / "4.png").read_bytes()
    (classes / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cat/3.png cannot be read"):
        load(classes)


def test_folders_without_images_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*missing.*Put the images of each class"):
        data.load(f"folder:{tmp_path}/missing")
    with pytest.raises(ValueError, match=r"no images and no class folders.*Put the images"):
        load(tmp_path)
    write(tmp_path / "loose.png")
    with pytest.raises(ValueError, match="1 images but no class folders"):
        load(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=r"holds no images \(files ending in .*Put the images"):
        load(tmp_path)
    write(tmp_path / "dog" / "1.png")
    write(tmp_path / "dog" / "2.png")
    with pytest.raises(ValueError, match=r"cat holds no images .* or take the folder away"):
        load(tmp_path)
    write(tmp_path / "cat" / "1.png")
    with pytest.raises(ValueError, match="cat holds one image"):
        load(tmp_path)
    write(tmp_path / "cat" / "2.png")
    assert "1 other files passed over" in load(tmp_path).source
