"""Folders of images in class folders."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from isvs_jax._progress import progress_bar
from isvs_jax.data.dataset import stratified_indices
from isvs_jax.data.image_files import SUFFIXES, as_levels, image_shape, read_image
from isvs_jax.data.source import TEST_FRACTION, Part, Shape, Source

# Files that one call looks at.
_PIECE = 256
# The names of folders that are parts of a split, in any case; of those to test on, the first that is there.
_TRAIN = "train"
_HELD = ("test", "val", "valid", "validation")
# What macOS puts into archives, and what network disks and Windows put beside images: copies and thumbnails.
_OF_SYSTEMS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
# Names that are those of splits and not of classes, where the folders of such names hold folders of the same names.
_SPLITS = (
    _TRAIN,
    *_HELD,
    "training",
    "trainset",
    "testing",
    "testset",
    "dev",
    "eval",
    "evaluation",
    "holdout",
    "query",
)

_LAYOUT = (
    "Put the images of each class into a folder of its own, as in {path}/cat/1.jpg and {path}/dog/2.jpg, or with a "
    "split, {path}/train/cat/1.jpg and {path}/test/cat/2.jpg."
)

# A class name with the files of its images; files with their labels.
_Listing = dict[str, list[Path]]
_Labelled = list[tuple[Path, int]]


def open_folder(path: str | os.PathLike[str], *, seed: int = 0) -> Source:
    """Open images in class folders: PATH/<class>/*, or PATH/train/<class>/* with PATH/test/<class>/*.

    "train" and "test" may be written in any case, and "val", "valid" or "validation" stands in where there is no
    "test". Without a split of its own, a fifth of each class (the same one for the same `seed`) is put aside for
    testing. Links are followed; what lies in hidden folders and files, whose names begin with ".", is not read. Grey
    images stay grey where all are; transparent ones are laid on white; cameras' orientation marks are followed.

    Args:
        path: The folder.
        seed: The seed of the split.

    Returns:
        The source, images uint8, classes in alphabetical order.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: The folder, or a class in it, holds no images; there is one class only; a split has one part only,
            or parts with different classes.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}. {_LAYOUT.format(path=root)}")
    train, test, class_names, notes = _split(root, seed)
    files = [file for file, _ in train + test]

    def shapes(channels_only: bool, workers: int, progress: bool) -> set[Shape]:
        return _shapes(files, root.name, channels_only, workers, progress)

    return Source(
        name=root.resolve().name or "folder",
        origin=f"folder {root.resolve()}",
        class_names=class_names,
        mirror=True,
        train=_part(train),
        test=_part(test),
        dtype=np.dtype(np.uint8),
        shapes=shapes,
        identity=lambda: _fingerprint(root, train, test),
        note="".join(f"; {note}" for note in notes),
    )


def _part(files: _Labelled) -> Part:
    return Part(len(files), lambda index: (as_levels(read_image(files[index][0])), files[index][1]))


def _shapes(files: list[Path], name: str, channels_only: bool, workers: int, progress: bool) -> set[Shape]:
    """The shapes that the files have, looked up in pieces: a call for each of millions would fill the memory."""

    def look(start: int) -> tuple[int, set[Shape]]:
        piece = files[start : start + _PIECE]
        return len(piece), {image_shape(file, channels_only=channels_only) for file in piece}

    shapes: set[Shape] = set()
    bar = progress_bar(total=len(files), desc=f"looking at {name}", unit="image", shown=progress)
    with bar, ThreadPoolExecutor(workers) as pool:
        for count, found in pool.map(look, range(0, len(files), _PIECE)):
            shapes |= found
            bar.update(count)
    return shapes


def _fingerprint(root: Path, train: _Labelled, test: _Labelled) -> str:
    """A hash of the names, sizes and times of change of the files."""
    found = hashlib.sha256()
    for part, files in (("train", train), ("test", test)):
        for file, label in files:
            stat = file.stat()
            found.update(f"{part} ".encode() + os.fsencode(file.relative_to(root)))
            found.update(f" {label} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _split(root: Path, seed: int) -> tuple[_Labelled, _Labelled, tuple[str, ...], list[str]]:
    """Training and test files with their labels, the class names, and what there is to say of other files."""
    parts = _parts(root)
    if parts is None:
        classes, ignored = _classes(root)
        files = _labelled(classes)
        for name, members in classes.items():
            if len(members) < 2:
                raise ValueError(f"{root / name} must hold two images or more, to train and to test on; got one.")
        train_at, test_at = stratified_indices(np.array([label for _, label in files]), TEST_FRACTION, seed)
        return [files[i] for i in train_at], [files[i] for i in test_at], tuple(classes), _passed_over(ignored)
    train_root, test_root, others = parts
    train, ignored_train = _classes(train_root)
    test, ignored_test = _classes(test_root)
    if set(train) != set(test):
        odd = ", ".join(sorted(set(train) ^ set(test)))
        raise ValueError(
            f"{train_root} and {test_root.name} must hold the same classes; got classes in one of them only: {odd}."
        )
    use = f"trained on {train_root.name}, tested on {test_root.name}"
    unused = [f"{', '.join(others)} not read"] if others else []
    said = [use] if (train_root.name, test_root.name) != (_TRAIN, _HELD[0]) or unused else []
    return _labelled(train), _labelled(test), tuple(train), said + unused + _passed_over(ignored_train + ignored_test)


def _parts(root: Path) -> tuple[Path, Path, list[str]] | None:
    """The folders to train and to test on, and the names of those beside them; None where `root` has no split."""
    named: dict[str, list[Path]] = {}
    for folder in _visible_folders(root):
        named.setdefault(folder.name.lower(), []).append(folder)
    held = [name for name in _HELD if name in named]
    whole = _TRAIN in named and bool(held)
    if not named or not (whole or set(named) <= {_TRAIN, *_HELD}):
        _refuse_other_splits(root, named)
        return None
    if not whole:
        raise ValueError(
            f"{root} must hold train with one of {', '.join(_HELD)}; got {', '.join(sorted(named))} alone. A folder "
            "whose classes are to be split can be given itself."
        )
    for name in (_TRAIN, held[0]):
        if len(named[name]) > 1:
            raise ValueError(f"{root} must hold one folder {name}; got {', '.join(part.name for part in named[name])}.")
    train, test = named[_TRAIN][0], named[held[0]][0]
    others = [folder.name for folders in named.values() for folder in folders if folder not in (train, test)]
    return train, test, others


def _refuse_other_splits(root: Path, named: dict[str, list[Path]]) -> None:
    """Raise where a folder with the name of a split holds the folders that another holds: these are the classes."""
    held = {
        folder.name: {child.name for child in _visible_folders(folder)}
        for folders in named.values()
        for folder in folders
    }
    for name, classes in held.items():
        others = [other for other, theirs in held.items() if other != name and len(classes & theirs) > 1]
        if name.lower() in _SPLITS and others:
            raise ValueError(
                f"{root} must hold class folders, or {_TRAIN} with one of {', '.join(_HELD)}; got {name} and "
                f"{', '.join(others)}, which hold folders of the same names. Rename those of a split."
            )


def _passed_over(count: int) -> list[str]:
    return [f"{count} other files passed over"] if count else []


def _classes(root: Path) -> tuple[_Listing, int]:
    """Each class folder with its images, sorted, and the number of other files, links to nothing among them."""
    folders = _visible_folders(root)
    if not folders:
        loose = sum(child.suffix.lower() in SUFFIXES for child in root.iterdir())
        found = f"{loose} images outside of class folders" if loose else "no images and no class folders"
        raise ValueError(f"{root} must hold class folders; got {found}. {_LAYOUT.format(path=root)}")
    classes: _Listing = {}
    ignored = 0
    for folder in folders:
        files = sorted(_visible_files(folder))
        classes[folder.name] = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
        ignored += len(files) - len(classes[folder.name])
    ignored += sum(is_visible(child.name) and not child.is_dir() for child in root.iterdir())
    empty = [name for name, files in classes.items() if not files]
    suffixes = " ".join(sorted(SUFFIXES))
    if len(empty) == len(classes):
        raise ValueError(f"{root} must hold images (files ending in {suffixes}); got none. {_LAYOUT.format(path=root)}")
    if empty:
        raise ValueError(
            f"{root / empty[0]} must hold images (files ending in {suffixes}); got none. Add some, or take the folder "
            "away."
        )
    if len(classes) == 1:
        raise ValueError(
            f"{root} must hold two class folders or more; got one, {folders[0].name}. {_LAYOUT.format(path=root)}"
        )
    return classes, ignored


def is_visible(name: str) -> bool:
    """Whether a file or folder is part of the data: hidden ones and those that systems put beside images are not."""
    return not name.startswith(".") and name not in _OF_SYSTEMS


def _visible_folders(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if is_visible(child.name) and child.is_dir())


def _visible_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, those behind links to folders too; a link that leads back to a folder above is not."""
    above = {os.path.realpath(folder)}
    pending = [(folder, above)]
    while pending:
        here, above = pending.pop()
        for child in here.iterdir():
            if not is_visible(child.name):
                continue
            if child.is_dir():
                real = os.path.realpath(child)
                if real not in above:
                    pending.append((child, above | {real}))
            else:
                yield child


def _labelled(classes: _Listing) -> _Labelled:
    return [(file, label) for label, files in enumerate(classes.values()) for file in files]
