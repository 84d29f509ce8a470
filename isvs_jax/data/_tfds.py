"""Data sets of TensorFlow Datasets (TFDS), read by random access and without TensorFlow."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._extras import optional
from isvs_jax._progress import progress_bar
from isvs_jax.data._image_files import KEPT, RESIZED, checked_size, stacked
from isvs_jax.data.dataset import Dataset, Split, drawn_indices, limited, stratified_indices, take
from isvs_jax.data.source import Part, Source

TEST_FRACTION = 0.2
DEFAULT_SIZE = 32
DEFAULT_DIR = "~/tensorflow_datasets"

# Letters and digits: the mirror image is another sign, or none.
_WRITING = ("mnist", "svhn", "digit", "omniglot", "letter", "quickdraw", "cmaterdb")


def load_tfds(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """A TFDS data set with features `image` and `label`.

    A prepared data set (array_record files) is read as it lies, without TensorFlow and without a network. Otherwise it
    is downloaded and prepared first, for which TFDS needs TensorFlow once.

    Args:
        name: As in the TFDS catalogue, such as "cifar10"; "name/config" and "name:version" are understood.
        data_dir: Where TFDS keeps its data; None is $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        image_size: Height and width to which the central squares are resized; None keeps the images where all have one
            shape and takes 32 otherwise.
        limit_train: At most so many training images, drawn at random before any is read.
        limit_test: The same for the test images.
        seed: Of the draws, and of a split where the data set has no test split of its own.
        progress: Whether to show progress bars.

    Returns:
        The data set, images uint8. The split "test" is for testing, else "validation", else a fifth of "train".

    Raises:
        ModuleNotFoundError: tensorflow-datasets is missing, or TensorFlow where the data set is still to be prepared.
        ValueError: No such data set, no such split, or no features `image` and `label`.
    """
    builder = _classification_builder(name, data_dir)
    held = _held_split(builder)
    read = [_read(builder, "train", limit_train if held else None, seed, progress)]
    if held:
        read.append(_read(builder, held, limit_test, seed + 1, progress))
    images, how = stacked([image for part, _ in read for image in part], image_size, DEFAULT_SIZE)
    labels = np.concatenate([part for _, part in read])
    count = len(read[0][1])
    if held:
        train, test = Split(images[:count], labels[:count]), Split(images[count:], labels[count:])
    else:
        whole = Split(images, labels)
        train_at, test_at = stratified_indices(labels, TEST_FRACTION, seed)
        train = limited(take(whole, train_at), limit_train, seed)
        test = limited(take(whole, test_at), limit_test, seed + 1)
    return Dataset(
        name=builder.name,
        source=f"TFDS {builder.info.full_name}, {how}",
        class_names=tuple(builder.info.features["label"].names),
        train=train,
        test=test,
        mirror=_may_be_mirrored(builder.name),
    )


def open_tfds(
    name: str, *, data_dir: str | os.PathLike[str] | None = None, image_size: int | None = None, seed: int = 0
) -> Source:
    """The same images as those of `load_tfds`, to be read one by one.

    Args:
        name: As in the TFDS catalogue.
        data_dir: Where TFDS keeps its data; None is $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        image_size: Height and width to which the central squares are resized; None where all images have one size.
        seed: Of a split where the data set has no test split of its own.

    Raises:
        ModuleNotFoundError: As for `load_tfds`.
        ValueError: As for `load_tfds`, or the images differ in size and `image_size` is None.
    """
    builder = _classification_builder(name, data_dir)
    held = _held_split(builder)
    height, width, channels = builder.info.features["image"].shape
    if image_size is None and None in (height, width):
        raise ValueError(f"tfds:{name} holds images of several sizes; give an image_size, such as 224.")
    if image_size is not None:
        height = width = checked_size(image_size)
    if held:
        parts = [_part(builder, split, None) for split in ("train", held)]
    else:
        parts = [_part(builder, "train", at) for at in stratified_indices(_labels(builder), TEST_FRACTION, seed)]
    return Source(
        name=builder.name,
        origin=f"TFDS {builder.info.full_name}",
        class_names=tuple(builder.info.features["label"].names),
        mirror=_may_be_mirrored(builder.name),
        train=parts[0],
        test=parts[1],
        shape=(height, width, 3 if channels is None else channels),
        dtype=np.dtype(np.uint8),
        how=KEPT if image_size is None else RESIZED.format(size=image_size),
        identity=[builder.info.full_name, None if held else seed],
    )


def _classification_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """The builder of a set of labelled images."""
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR", DEFAULT_DIR)).expanduser()
    builder = _builder(name, root)
    for feature in ("image", "label"):
        if feature not in builder.info.features:
            raise ValueError(
                f"tfds:{name} has the features {', '.join(sorted(builder.info.features))}; "
                "a classifier takes a data set with `image` and `label`."
            )
    if not hasattr(builder.info.features["label"], "names"):
        raise ValueError(f"tfds:{name} has labels that are no classes; a classifier takes one class an image.")
    if "train" not in builder.info.splits:
        raise ValueError(f"tfds:{name} has the splits {', '.join(builder.info.splits)}; one of them may be `train`.")
    return builder


def _held_split(builder: Any) -> str | None:
    return next((split for split in ("test", "validation") if split in builder.info.splits), None)


def _may_be_mirrored(name: str) -> bool:
    return "fashion" in name or not any(word in name for word in _WRITING)


def _part(builder: Any, split: str, indices: np.ndarray | None) -> Part:
    source: Sequence[Any] = builder.as_data_source(split=split)

    def read(index: int) -> tuple[np.ndarray, int]:
        example = source[int(index if indices is None else indices[index])]
        return np.asarray(example["image"]), int(example["label"])

    return Part(len(source) if indices is None else len(indices), read)


def _labels(builder: Any) -> np.ndarray:
    """The labels of the training images, whose pixels are left undecoded."""
    tfds = optional("tensorflow_datasets")
    source = builder.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    return np.array([int(source[index]["label"]) for index in range(len(source))], np.int32)


def _builder(name: str, root: Path) -> Any:
    """The builder of a data set that is prepared under `root`."""
    tfds = optional("tensorflow_datasets")
    prepared = _prepared_folder(name, root)
    if prepared is not None:
        builder = tfds.builder_from_directory(prepared)
        kept = builder.info.file_format.value
        if kept != "array_record":
            raise ValueError(
                f"tfds:{name} is prepared in {prepared} as {kept}, which only TensorFlow reads: give another "
                "data_dir, or prepare it there with file_format='array_record'."
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
        raise ValueError(
            f"TFDS knows no data set {name!r} ({_first_line(error)}); the names are listed at "
            "https://www.tensorflow.org/datasets/catalog/overview."
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
            raise ValueError(f"tfds:{base} has several configurations in {root}: give one of {choices}.")
        infos = [info.parent for info in configs[0].glob("*/dataset_info.json")]
    if version:
        infos = [info for info in infos if info.name == version]
    return max(infos, key=_version, default=None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))


def _read(
    builder: Any, split: str, limit: int | None, seed: int, progress: bool
) -> tuple[list[np.ndarray], np.ndarray]:
    source: Sequence[Any] = builder.as_data_source(split=split)
    length = len(source)
    indices = range(length) if limit is None or limit >= length else drawn_indices(length, limit, seed)
    images, labels = [], []
    for index in progress_bar(indices, desc=f"reading {builder.name} {split}", unit="image", shown=progress):
        example = source[int(index)]
        images.append(np.asarray(example["image"]))
        labels.append(int(example["label"]))
    return images, np.array(labels, np.int32)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
