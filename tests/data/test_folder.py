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
    with pytest.raises(ValueError, match="in one of them only: emu"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("train", "held"), [("train", "val"), ("Train", "Test"), ("TRAIN", "valid"), ("train", "Validation")]
)
def test_a_split_has_many_names(tmp_path: Path, train: str, held: str) -> None:
    for part, shade in ((train, 1), (held, 2)):
        for name in ("cat", "dog"):
            write(tmp_path / part / name / "a.png", (shade, shade, shade))
    found = load(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert (found.train.images == 1).all()
    assert (found.test.images == 2).all()
    assert f"trained on {train}, tested on {held}" in found.source


def test_of_two_parts_to_test_on_the_use_is_said(tmp_path: Path) -> None:
    for part, shade in (("train", 1), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            write(tmp_path / part / name / "a.png", (shade, shade, shade))
    found = load(tmp_path)
    assert (found.test.images == 3).all()
    assert "trained on train, tested on test; val not read" in found.source


def test_half_a_split_and_one_class_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train" / "cat" / "a.png")
    with pytest.raises(ValueError, match=r"must hold train with one of test, val, .*; got train alone"):
        load(tmp_path)
    write(tmp_path / "Train" / "cat" / "a.png")
    write(tmp_path / "test" / "cat" / "a.png")
    with pytest.raises(ValueError, match="must hold one folder train; got Train, train"):
        load(tmp_path)
    with pytest.raises(ValueError, match="must hold two class folders or more; got one, cat"):
        load(tmp_path / "train")
    # A class may be called so.
    for name in ("bus", "train"):
        for index in range(2):
            write(tmp_path / "vehicles" / name / f"{index}.png")
    assert load(tmp_path / "vehicles").class_names == ("bus", "train")


@pytest.mark.parametrize("names", [("training", "validation"), ("train", "dev"), ("Training", "Testing")])
def test_splits_of_other_names_are_not_taken_for_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    for part in names:
        for name in ("cat", "dog"):
            write(tmp_path / part / name / "a.png")
    with pytest.raises(ValueError, match=r"which hold folders of the same names\. Rename those of a split"):
        load(tmp_path)


def test_classes_may_hold_folders_of_the_same_names(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for year in ("2020", "2021"):
            write(tmp_path / name / year / "a.png")
    assert load(tmp_path).class_names == ("cat", "dog")


def test_hidden_files_and_folders_are_not_read(classes: Path) -> None:
    expected = load(classes)
    for name in ("cat/.ipynb_checkpoints/0.png", "cat/deep/.cache/0.png", "__MACOSX/cat/0.png", ".git/0.png"):
        write(classes / name, (1, 2, 3))
    write(classes / "dog" / "__MACOSX" / "0.png")
    write(classes / "dog" / "._0.png")
    found = load(classes)
    assert found.class_names == expected.class_names
    np.testing.assert_array_equal(found.train.images, expected.train.images)
    np.testing.assert_array_equal(found.test.images, expected.test.images)


def test_links_are_followed_and_end(classes: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for index in range(5):
        write(elsewhere / f"{index}.png", (50, 0, 0))
    (classes / "cat" / "more").symlink_to(elsewhere)
    (classes / "cat" / "again").symlink_to(classes / "cat")
    (classes / "dog" / "gone.png").symlink_to(elsewhere / "nothing.png")
    found = load(classes)
    assert len(found.train) + len(found.test) == 25
    assert "1 other files passed over" in found.source


def test_a_path_is_a_folder(classes: Path) -> None:
    np.testing.assert_array_equal(data.load(classes, progress=False).test.images, load(classes).test.images)
    with pytest.raises(TypeError, match=r"spec must be 'digits', .*; got 3\."):
        data.load(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"image_size must be an integer of at least 1; got \(32, 32\)\."):
        data.load(classes, image_size=(32, 32))  # type: ignore[arg-type]
    assert load(classes, image_size=np.int64(4), limit_train=np.int32(5)).train.images.shape == (5, 4, 4, 3)


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
    with pytest.raises(ValueError, match=r"image_size must be an integer of at least 1; got 0\."):
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
    with pytest.raises(ValueError, match=r"cat/3.png must be an image file that Pillow reads; got another file"):
        load(classes)
    whole = (classes / "cat" / "4.png").read_bytes()
    (classes / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cat/3.png must be "):
        load(classes)


def test_folders_without_images_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*missing.*Put the images of each class"):
        data.load(f"folder:{tmp_path}/missing")
    with pytest.raises(ValueError, match=r"no images and no class folders.*Put the images"):
        load(tmp_path)
    write(tmp_path / "loose.png")
    with pytest.raises(ValueError, match="1 images outside of class folders"):
        load(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=r"must hold images \(files ending in .*; got none\. Put the images"):
        load(tmp_path)
    write(tmp_path / "dog" / "1.png")
    write(tmp_path / "dog" / "2.png")
    with pytest.raises(ValueError, match=r"cat must hold images .* or take the folder away"):
        load(tmp_path)
    write(tmp_path / "cat" / "1.png")
    with pytest.raises(ValueError, match=r"cat must hold two images or more, .*; got one"):
        load(tmp_path)
    write(tmp_path / "cat" / "2.png")
    # The note in the class folder, and the image outside of one.
    assert "2 other files passed over" in load(tmp_path).source
