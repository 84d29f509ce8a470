"""A folder of images in class folders."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._progress import progress_bar
from isvs_jax.data._image_files import KEPT, RESIZED, SUFFIXES, checked_size, image_shape, read_image, stacked
from isvs_jax.data.dataset import Dataset, Split, drawn_indices, stratified_indices
from isvs_jax.data.source import Part, Source

TEST_FRACTION = 0.2
DEFAULT_SIZE = 32
# Files that one call looks at.
_PIECE = 256

_LAYOUT = (
    "Put the images of each class into a folder of its own, as in {path}/cat/1.jpg and "
    "{path}/dog/2.jpg, or with a split, {path}/train/cat/1.jpg and {path}/test/cat/2.jpg."
)

# A class name with the files of its images.
_Listing = dict[str, list[Path]]


def load_folder(
    path: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Images in class folders: PATH/<class>/*, or PATH/train/<class>/* with PATH/test/<class>/*.

    Without a split of its own, a fifth of each class (the same one for the same `seed`) is put aside for testing.
    Grey images stay grey where all are; transparent ones are laid on white; cameras' orientation marks are followed.

    Args:
        path: The folder.
        image_size: Height and width to which the central squares are resized; None keeps the images where all have one
            shape and takes 32 otherwise.
        limit_train: At most so many training images, drawn at random before any is read.
        limit_test: The same for the test images.
        seed: Of the split and the draws.
        progress: Whether to show a progress bar.

    Returns:
        The data set, images uint8, classes in alphabetical order.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder, or a class in it, holds no images; a file cannot be read; train and test hold different
            classes.
    """
    root = _existing(path)
    train_files, test_files, class_names, ignored = _split(root, seed)
    train_files = _drawn(train_files, limit_train, seed)
    test_files = _drawn(test_files, limit_test, seed + 1)
    files = [file for file, _ in train_files + test_files]
    bar = progress_bar(files, desc=f"reading {root.name}", unit="image", shown=progress)
    images, how = stacked([read_image(file) for file in bar], image_size, DEFAULT_SIZE)
    labels = np.array([label for _, label in train_files + test_files], np.int32)
    count = len(train_files)
    note = f"; {ignored} other files passed over" if ignored else ""
    return Dataset(
        name=root.resolve().name or "folder",
        source=f"folder {root.resolve()}, {how}{note}",
        class_names=class_names,
        train=Split(images[:count], labels[:count]),
        test=Split(images[count:], labels[count:]),
        mirror=True,
    )


def open_folder(
    path: str | os.PathLike[str],
    *,
    image_size: int | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Source:
    """The same images as those of `load_folder`, to be read one by one.

    Args:
        path: The folder.
        image_size: Height and width to which the central squares are resized; None where all images have one size.
        seed: Of the split.
        workers: Threads that look at the files.
        progress: Whether to show a progress bar.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: As for `load_folder`, or the images differ in size and `image_size` is None.
    """
    if image_size is not None:
        checked_size(image_size)
    root = _existing(path)
    train, test, class_names, ignored = _split(root, seed)
    files = [file for file, _ in train + test]
    bar = progress_bar(total=len(files), desc=f"looking at {root.name}", unit="image", shown=progress)
    with bar:
        shapes = _shapes(files, image_size is not None, workers, bar)
    channels = max(shape[-1] for shape in shapes)
    sizes = {shape[:2] for shape in shapes}
    if image_size is None and len(sizes) > 1:
        examples = " and ".join(f"{width}×{height}" for height, width in sorted(sizes)[:: len(sizes) - 1])
        raise ValueError(
            f"{root} holds images of {len(sizes)} sizes, such as {examples}; give an image_size, such as 224."
        )
    height, width = sizes.pop() if image_size is None else (image_size, image_size)
    note = f"; {ignored} other files passed over" if ignored else ""
    return Source(
        name=root.resolve().name or "folder",
        origin=f"folder {root.resolve()}",
        class_names=class_names,
        mirror=True,
        train=_part(train),
        test=_part(test),
        shape=(height, width, channels),
        dtype=np.dtype(np.uint8),
        how=(KEPT if image_size is None else RESIZED.format(size=image_size)) + note,
        identity=_fingerprint(root, train, test),
    )


_Labelled = list[tuple[Path, int]]


def _shapes(files: list[Path], channels_only: bool, workers: int, bar: Any) -> set[tuple[int, int, int]]:
    """The shapes that the files have, looked up in pieces: a call for each of millions would fill the memory."""

    def look(start: int) -> set[tuple[int, int, int]]:
        piece = files[start : start + _PIECE]
        return {image_shape(file, channels_only=channels_only) for file in piece}

    shapes = set()
    with ThreadPoolExecutor(workers) as pool:
        for found in pool.map(look, range(0, len(files), _PIECE)):
            shapes |= found
            bar.update(min(_PIECE, len(files) - bar.n))
    return shapes


def _part(files: _Labelled) -> Part:
    return Part(len(files), lambda index: (read_image(files[index][0]), files[index][1]))


def _fingerprint(root: Path, train: _Labelled, test: _Labelled) -> str:
    """Of names, sizes and times of change of the files."""
    found = hashlib.sha256()
    for part, files in (("train", train), ("test", test)):
        for file, label in files:
            stat = file.stat()
            line = f"{part} {file.relative_to(root)} {label} {stat.st_size} {stat.st_mtime_ns}\n"
            found.update(line.encode())
    return found.hexdigest()


def _existing(path: str | os.PathLike[str]) -> Path:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}. {_LAYOUT.format(path=root)}")
    return root


def _split(root: Path, seed: int) -> tuple[_Labelled, _Labelled, tuple[str, ...], int]:
    """Training and test files with their labels, the class names, and how many other files there are."""
    parts = {name: root / name for name in ("train", "test")}
    if all(part.is_dir() for part in parts.values()):
        train, ignored_train = _classes(parts["train"])
        test, ignored_test = _classes(parts["test"])
        if set(train) != set(test):
            odd = ", ".join(sorted(set(train) ^ set(test)))
            raise ValueError(
                f"{root}/train and {root}/test may hold the same classes, but these are in one only: {odd}."
            )
        names = tuple(train)
        return _labelled(train), _labelled(test), names, ignored_train + ignored_test
    classes, ignored = _classes(root)
    files = _labelled(classes)
    for name, members in classes.items():
        if len(members) < 2:
            raise ValueError(
                f"{root / name} holds one image; two or more are needed to train on one and test on another."
            )
    train_at, test_at = stratified_indices(np.array([label for _, label in files]), TEST_FRACTION, seed)
    return [files[i] for i in train_at], [files[i] for i in test_at], tuple(classes), ignored


def _classes(root: Path) -> tuple[_Listing, int]:
    """Each class folder with its images, sorted, and how many files without an image's suffix were met."""
    folders = sorted(child for child in root.iterdir() if child.is_dir() and child.name[0] != ".")
    if not folders:
        loose = sum(child.suffix.lower() in SUFFIXES for child in root.iterdir())
        found = f"{loose} images but no class folders" if loose else "no images and no class folders"
        raise ValueError(f"{root} holds {found}. {_LAYOUT.format(path=root)}")
    classes: _Listing = {}
    ignored = 0
    for folder in folders:
        files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name[0] != ".")
        classes[folder.name] = [file for file in files if file.suffix.lower() in SUFFIXES]
        ignored += len(files) - len(classes[folder.name])
    empty = [name for name, files in classes.items() if not files]
    suffixes = " ".join(sorted(SUFFIXES))
    if len(empty) == len(classes):
        raise ValueError(f"{root} holds no images (files ending in {suffixes}). {_LAYOUT.format(path=root)}")
    if empty:
        raise ValueError(
            f"{root / empty[0]} holds no images (files ending in {suffixes}): add some, or take the folder away."
        )
    return classes, ignored


def _labelled(classes: _Listing) -> _Labelled:
    return [(file, label) for label, files in enumerate(classes.values()) for file in files]


def _drawn(files: _Labelled, limit: int | None, seed: int) -> _Labelled:
    if limit is None or limit >= len(files):
        return files
    return [files[i] for i in drawn_indices(len(files), limit, seed)]
