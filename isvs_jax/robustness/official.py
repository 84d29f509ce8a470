"""Loaders of the corrupted images that others published: CIFAR-10-C, CIFAR-100-C, ImageNet-C and those of TFDS.

Nothing is downloaded here. The error about a missing file says what to fetch and where to put it. Files are called
official where their checksums are the published ones, and unverified where they are not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from isvs_jax._checks import check_choice, check_integer, check_path
from isvs_jax._extras import optional
from isvs_jax.data.folder import is_visible
from isvs_jax.data.image_files import read_image
from isvs_jax.robustness._published import ARCHIVES, COUNTS, check_balanced, published_set
from isvs_jax.robustness.corruptions._tables import CATEGORIES, NUM_SEVERITIES

CIFAR_C_URLS = {
    "CIFAR-10-C": "https://zenodo.org/records/2535967",
    "CIFAR-100-C": "https://zenodo.org/records/3555552",
}
IMAGENET_C_URL = "https://zenodo.org/records/2235448"
_IMAGENET_CLASSES = 1000
IMAGENET_C_ARCHIVES = ("noise", "blur", "weather", "digital", "extra")
# TFDS has names of its own for two of CIFAR-10-C's corruptions.
_TFDS_CIFAR_NAMES = {"glass_blur": "frosted_glass_blur", "elastic_transform": "elastic"}
_TFDS_SPLITS = {"cifar10_corrupted": "test", "imagenet2012_corrupted": "validation"}


class CorruptedImages(NamedTuple):
    """Images of one corruption and severity, with their labels and where they come from.

    Attributes:
        images: uint8 [N, H, W, 3]; divide them by 255 for the images that models take.
        labels: int64 [N].
        source: "official" for files whose checksums are those of the benchmark's authors; "tfds" for what TFDS
            prepared, which compares archives with their checksums itself (imagenet2012_corrupted it makes anew from the
            ImageNet validation images and stores as JPEG, so that results on it and on ImageNet-C are two different
            things); "unverified" for everything else.
    """

    images: np.ndarray
    labels: np.ndarray
    source: str = "unverified"


def load_cifar_c(
    folder: str | os.PathLike[str], name: str, severity: int, *, start: int = 0, count: int | None = None
) -> CorruptedImages:
    """Read one corruption and severity of a CIFAR-10-C or CIFAR-100-C folder.

    Each file NAME.npy holds the images of the five severities one after another, and labels.npy their labels, the same
    five times.

    Args:
        folder: The folder of the .npy files.
        name: A name of CORRUPTIONS or VALIDATION_CORRUPTIONS.
        severity: An integer from 1 to 5.
        start: The position of the first image.
        count: How many images are read; None reads all that follow.

    Returns:
        The images (10,000 of 32×32×3 in the published files) and labels, with the source "official" where the MD5 of
        both files are the published ones, and "unverified" otherwise.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: The severity, the start or the count is no integer.
        ValueError: The name or the severity is unknown, a file is cut or not of this format, the labels of the
            severities differ, or the start or the count leaves no image.

    References:
        Hendrycks and Dietterich, CIFAR-10-C and CIFAR-100-C, https://zenodo.org/records/2535967 and
        https://zenodo.org/records/3555552.
    """
    _check(name, severity)
    folder = check_path("folder", folder)
    fetch = " or ".join(f"{title}.tar from {url} (MD5 {ARCHIVES[title]})" for title, url in CIFAR_C_URLS.items())
    for file in (folder / f"{name}.npy", folder / "labels.npy"):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing: fetch {fetch}, unpack it, and give the folder that has {name}.npy and labels.npy."
            )
    images, labels = _array(folder / f"{name}.npy"), _array(folder / "labels.npy")
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(f"{name}.npy must hold uint8 [N, H, W, 3]; got dtype {images.dtype} and shape {images.shape}.")
    if len(images) % NUM_SEVERITIES or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{name}.npy and labels.npy must hold {NUM_SEVERITIES} times as many images and labels as one severity;"
            f" got {len(images)} images and labels of shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{folder / 'labels.npy'} must hold integers; got dtype {labels.dtype}.")
    each = len(images) // NUM_SEVERITIES
    if (labels.reshape(NUM_SEVERITIES, each) != labels[:each]).any():
        raise ValueError(f"{folder / 'labels.npy'} must hold the same labels for each severity; got others.")
    part = _checked_part(start, count, each)
    begin = (severity - 1) * each
    source = "official" if published_set(folder, name) is not None else "unverified"
    rows = slice(begin + part.start, begin + (each if part.stop is None else min(part.stop, each)))
    return CorruptedImages(np.array(images[rows]), labels[rows].astype(np.int64), source)


def _array(file: Path) -> np.ndarray:
    """The array of an .npy file, mapped and not read."""
    try:
        return np.load(file, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file} must be a whole .npy file of numbers; got an error of NumPy: {error}.") from error


def list_imagenet_c(
    folder: str | os.PathLike[str], name: str, severity: int, *, num_classes: int = 1000
) -> tuple[list[Path], np.ndarray]:
    """Files of one corruption and severity of ImageNet-C, and their labels.

    Args:
        folder: The folder with NAME/SEVERITY/CLASS/*.JPEG, as the archives unpack, or the folder above it, with noise/,
            blur/, weather/, digital/ and extra/.
        name: A name of CORRUPTIONS or VALIDATION_CORRUPTIONS.
        severity: An integer from 1 to 5.
        num_classes: How many class folders there must be. A label is the position of its class folder in alphabetical
            order, which is wrong where one is missing.

    Returns:
        Paths in the order of the validation set (by file name), and int64 labels.

    Raises:
        FileNotFoundError: The folder of the corruption is missing.
        TypeError: The severity is no integer.
        ValueError: The name or the severity is unknown, there are more or fewer class folders, or with 1,000 of them
            other than 50 images in each.
    """
    _check(name, severity)
    folder = check_path("folder", folder)
    places = [folder / name, *(folder / archive / name for archive in IMAGENET_C_ARCHIVES)]
    found = [place / str(severity) for place in places if (place / str(severity)).is_dir()]
    if not found:
        archive = CATEGORIES[name] if list(CATEGORIES).index(name) < 15 else "extra"
        raise FileNotFoundError(
            f"{places[0] / str(severity)} is missing: fetch {archive}.tar from {IMAGENET_C_URL} and unpack it"
            f" in {folder}."
        )
    classes = sorted(entry for entry in found[0].iterdir() if entry.is_dir() and is_visible(entry.name))
    if len(classes) != num_classes:
        raise ValueError(
            f"{found[0]} must hold the folders of {num_classes} classes; got {len(classes)}. Unpack the whole archive,"
            " or give num_classes."
        )
    files = [(file, label) for label, place in enumerate(classes) for file in place.iterdir()]
    images = sorted((pair for pair in files if _is_image(pair[0])), key=lambda pair: pair[0].name)
    if not images:
        raise FileNotFoundError(f"{found[0]} holds no JPEG or PNG file: unpack the archive again.")
    labels = np.array([label for _, label in images], np.int64)
    if num_classes == _IMAGENET_CLASSES:
        check_balanced(str(found[0]), labels, num_classes, COUNTS["ImageNet-C"])
    return [file for file, _ in images], labels


def load_imagenet_c(
    folder: str | os.PathLike[str],
    name: str,
    severity: int,
    *,
    start: int = 0,
    count: int | None = None,
    num_classes: int = 1000,
) -> CorruptedImages:
    """Read images of one corruption and severity of ImageNet-C (needs Pillow).

    All 50,000 take 7.5 GB; `start` and `count` read them in parts.

    Args:
        folder: The folder as in `list_imagenet_c`.
        name: A name of CORRUPTIONS or VALIDATION_CORRUPTIONS.
        severity: An integer from 1 to 5.
        start: The position of the first image in the order of the validation set.
        count: How many images are read; None reads all that follow.
        num_classes: The number of class folders, as in `list_imagenet_c`.

    Returns:
        The images (224×224×3 in the published files) and labels, with the source "unverified": no checksums of the
        files within the archives are published. With 1,000 classes there must be 50,000 images, 50 of each.

    Raises:
        FileNotFoundError: The folder of the corruption is missing.
        TypeError: The severity, the start or the count is no integer.
        ValueError: An argument is one that `list_imagenet_c` refuses, the start or the count leaves no image, or the
            images differ in size.
    """
    files, labels = list_imagenet_c(folder, name, severity, num_classes=num_classes)
    part = _checked_part(start, count, len(files))
    images = []
    for file in files[part]:
        pixels = read_image(file)
        images.append(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
        if images[-1].shape != images[0].shape:
            raise ValueError(f"images must have one size; got {images[0].shape} and, in {file}, {images[-1].shape}.")
    return CorruptedImages(np.stack(images), labels[part])


def load_tfds(
    dataset: str,
    name: str,
    severity: int,
    *,
    data_dir: str | os.PathLike[str] = "~/tensorflow_datasets",
    start: int = 0,
    count: int | None = None,
) -> CorruptedImages:
    """Read a prepared TFDS data set of corrupted images (needs tensorflow-datasets, not TensorFlow).

    Args:
        dataset: "cifar10_corrupted" or "imagenet2012_corrupted".
        name: A name of CORRUPTIONS or VALIDATION_CORRUPTIONS; the spelling that TFDS has for it is found.
        severity: An integer from 1 to 5.
        data_dir: The folder of TFDS.
        start: The position of the first image.
        count: How many images are read; None reads all that follow.

    Returns:
        The images and labels, with the source "tfds", or "unverified" where the prepared set has not the 10,000 images
        32×32×3 of cifar10_corrupted or the 50,000 of imagenet2012_corrupted.

    Raises:
        FileNotFoundError: The data set is not prepared, or not as array_record.
        TypeError: The severity, the start or the count is no integer.
        ValueError: The data set, the name or the severity is unknown, or the start or the count leaves no image.
    """
    check_choice("dataset", dataset, _TFDS_SPLITS)
    _check(name, severity)
    spelling = _TFDS_CIFAR_NAMES.get(name, name) if dataset == "cifar10_corrupted" else name
    config = f"{dataset}/{spelling}_{severity}"
    place = check_path("data_dir", data_dir).expanduser()
    # Looked for here, since TFDS would search the network for minutes.
    if not any((place / config).glob(f"*/{dataset}-*.array_record*")):
        raise FileNotFoundError(
            f"{place / config} holds no array_record files: prepare it where TensorFlow and the original data are, with"
            f" tfds.builder({config!r}, data_dir=..., file_format='array_record').download_and_prepare(), and put the"
            f" folder {dataset} into {place}."
        )
    tfds = optional("tensorflow_datasets")

    records = tfds.data_source(config, split=_TFDS_SPLITS[dataset], data_dir=place, download=False)
    part = _checked_part(start, count, len(records))
    examples = [records[index] for index in range(*part.indices(len(records)))]
    return CorruptedImages(
        np.stack([example["image"] for example in examples]),
        np.array([example["label"] for example in examples], np.int64),
        _tfds_source(dataset, len(records), np.shape(examples[0]["image"])),
    )


def _tfds_source(dataset: str, count: int, shape: tuple[int, ...]) -> str:
    expected = {"cifar10_corrupted": "CIFAR-10-C", "imagenet2012_corrupted": "ImageNet-C"}[dataset]
    whole = count == COUNTS[expected] and (expected != "CIFAR-10-C" or shape == (32, 32, 3))
    return "tfds" if whole else "unverified"


def _is_image(file: Path) -> bool:
    return is_visible(file.name) and file.suffix.lower() in (".jpeg", ".jpg", ".png")


def _check(name: str, severity: int) -> None:
    check_choice("name", name, CATEGORIES)
    check_integer("severity", severity, 1, NUM_SEVERITIES)


def _checked_part(start: int, count: int | None, total: int) -> slice:
    """The images from `start`, `count` of them or all that follow."""
    start = check_integer("start", start, 0, total - 1)
    return slice(start, None if count is None else start + check_integer("count", count))
