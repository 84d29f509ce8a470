"""Data sets that other packages hold: scikit-learn's digits, and TensorFlow Datasets read without TensorFlow."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._extras import optional
from isvs_jax.data.dataset import Split, digest, stratified_indices
from isvs_jax.data.image_files import check_size
from isvs_jax.data.source import TEST_FRACTION, Part, Shape, Source

DIGITS_TEST_FRACTION = 1 / 3
DIGITS_SIZE = 32
DEFAULT_DIR = "~/tensorflow_datasets"

# Letters and digits: the mirror image is another sign, or none.
_WRITING = ("mnist", "svhn", "digit", "omniglot", "letter", "quickdraw", "cmaterdb")


def open_digits(image_size: int | None = None) -> Source:
    """Open scikit-learn's handwritten digits: 1,797 images of 8×8 pixels, with grey values 0..16 scaled to [0, 1].

    They are enlarged bilinearly, with half-pixel centres. Two thirds of each class are for training, the rest for
    testing; the split is always the same.

    Args:
        image_size: Height and width, 8 or more; None is 32.

    Returns:
        The source, images float32 [size, size, 1].

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: `image_size` is less than 8.

    Example:
        >>> digits = open_digits()
        >>> digits.train.count, digits.test.count, digits.train.read(0)[0].shape
        (1198, 599, (32, 32, 1))

    References:
        Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    size = check_size(DIGITS_SIZE if image_size is None else image_size, least=8)
    assert size is not None
    table = optional("sklearn.datasets").load_digits()
    weights = _bilinear(8, size)
    images = (weights @ (np.asarray(table.images, np.float64) / 16) @ weights.T).astype(np.float32)[..., None]
    labels = np.asarray(table.target, np.int32)

    def part(at: np.ndarray) -> Part:
        return Part(len(at), lambda index: (images[at[index]], int(labels[at[index]])))

    train, test = stratified_indices(labels, DIGITS_TEST_FRACTION, seed=0)
    return Source(
        name="digits",
        origin="scikit-learn's handwritten digits",
        class_names=tuple(str(digit) for digit in range(10)),
        mirror=False,
        train=part(train),
        test=part(test),
        dtype=images.dtype,
        shapes=lambda channels_only, workers, progress: {(size, size, 1)},
        identity=lambda: digest(Split(images[train], labels[train])),
        done=f"8×8 enlarged to {size}×{size} (bilinear)",
    )


def _bilinear(length: int, size: int) -> np.ndarray:
    """The matrix [size, length] of linear interpolation between pixel centres, constant past the outermost."""
    centres = (np.arange(size) + 0.5) * length / size - 0.5
    distance = np.abs(np.clip(centres, 0, length - 1)[:, None] - np.arange(length))
    return np.maximum(1 - distance, 0)


def open_tfds(name: str, *, data_dir: str | os.PathLike[str] | None = None, seed: int = 0) -> Source:
    """Open a TFDS data set with features `image` and `label`.

    A prepared data set (array_record files) is read as it lies, without TensorFlow and without a network. Otherwise it
    is downloaded and prepared first, for which TFDS needs TensorFlow once. The split "test" is for testing, else
    "validation", else a fifth of "train".

    Args:
        name: The name in the TFDS catalogue, such as "cifar10"; "name/config" and "name:version" are understood.
        data_dir: The folder in which TFDS keeps its data; None is $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        seed: The seed of the split where the data set has no test images of its own.

    Returns:
        The source, images uint8.

    Raises:
        ModuleNotFoundError: tensorflow-datasets is missing, or TensorFlow where the data set is still to be prepared.
        ValueError: There is no such data set, or no split "train", or no features `image` and `label`.
    """
    builder = _classification_builder(name, data_dir)
    held = next((split for split in ("test", "validation") if split in builder.info.splits), None)
    if held:
        train, test = (_part(builder, split, None) for split in ("train", held))
    else:
        train, test = (_part(builder, "train", at) for at in stratified_indices(_labels(builder), TEST_FRACTION, seed))
    height, width, channels = builder.info.features["image"].shape

    def shapes(channels_only: bool, workers: int, progress: bool) -> set[Shape]:
        if not channels_only and None in (height, width):
            raise ValueError(
                f"image_size must be an integer, such as 224, where images differ in size; got None for tfds:{name}."
            )
        return {(height, width, 3 if channels is None else channels)}

    return Source(
        name=builder.name,
        origin=f"TFDS {builder.info.full_name}",
        class_names=tuple(builder.info.features["label"].names),
        mirror="fashion" in builder.name or not any(word in builder.name for word in _WRITING),
        train=train,
        test=test,
        dtype=np.dtype(np.uint8),
        shapes=shapes,
        identity=lambda: [builder.info.full_name, None if held else seed],
    )


def _part(builder: Any, split: str, indices: np.ndarray | None) -> Part:
    source: Sequence[Any] = builder.as_data_source(split=split)

    def read(index: int) -> tuple[np.ndarray, int]:
        example = source[int(index if indices is None else indices[index])]
        return np.asarray(example["image"]), int(example["label"])

    return Part(len(source) if indices is None else len(indices), read)


def _labels(builder: Any) -> np.ndarray:
    """The labels of the training images, whose pixels are left undecoded."""
    skip = optional("tensorflow_datasets").decode.SkipDecoding()
    source = builder.as_data_source(split="train", decoders={"image": skip})
    return np.array([int(source[index]["label"]) for index in range(len(source))], np.int32)


def _classification_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """The builder of a set of labelled images."""
    builder = _builder(name, Path(data_dir or os.environ.get("TFDS_DATA_DIR", DEFAULT_DIR)).expanduser())
    features, splits = builder.info.features, builder.info.splits
    if not {"image", "label"} <= set(features):
        raise ValueError(
            f"tfds:{name} must have the features image and label; got features {', '.join(sorted(features))}."
        )
    if not hasattr(features["label"], "names"):
        raise ValueError(f"tfds:{name} must have one class for each image; got labels without names of classes.")
    if "train" not in splits:
        raise ValueError(f"tfds:{name} must have a split train; got splits {', '.join(splits)}.")
    return builder


def _builder(name: str, root: Path) -> Any:
    """The builder of a data set that is prepared under `root`."""
    tfds = optional("tensorflow_datasets")
    prepared = _prepared_folder(name, root)
    if prepared is not None:
        builder = tfds.builder_from_directory(prepared)
        kept = builder.info.file_format.value
        if kept != "array_record":
            raise ValueError(
                f"tfds:{name} must be prepared as array_record, which is read without TensorFlow; got {kept} in "
                f"{prepared}. Give another data_dir, or prepare it with file_format='array_record'."
            )
        return builder
    # Asked before TFDS is: it would look on the network for minutes.
    if importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            f"tfds:{name} is not prepared in {root}. Give the data_dir in which it is, or let TFDS download and "
            "prepare it, for which it needs TensorFlow once: pip install tensorflow",
            name="tensorflow",
        )
    try:
        builder = tfds.builder(name, data_dir=root, file_format="array_record")
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(
            f"tfds:{name} must be a data set of https://www.tensorflow.org/datasets/catalog/overview; got an error of "
            f"TFDS: {first}"
        ) from error
    builder.download_and_prepare()
    return builder


def _prepared_folder(name: str, root: Path) -> Path | None:
    """The folder of the newest prepared version, or of the version named, or None."""
    base, _, version = name.partition(":")
    folder = root / base
    if not folder.is_dir():
        return None
    infos = [info.parent for info in folder.glob("*/dataset_info.json")]
    # A data set whose configuration was not named: take it where there is only one.
    configs = sorted({info.parent.parent for info in folder.glob("*/*/dataset_info.json")})
    if not infos and configs:
        if len(configs) > 1:
            choices = ", ".join(f"tfds:{base}/{config.name}" for config in configs)
            raise ValueError(f"spec must be one of {choices}, which are in {root}; got tfds:{base}.")
        infos = [info.parent for info in configs[0].glob("*/dataset_info.json")]
    if version:
        infos = [info for info in infos if info.name == version]
    return max(infos, key=_version, default=None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))
