"""Data sets by specification: "digits", "tfds:NAME", "prepared:FOLDER", "folder:PATH" or a path."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from isvs_jax._checks import brief, check_integer, check_number, check_path
from isvs_jax.data.catalogues import open_digits, open_tfds
from isvs_jax.data.dataset import Dataset, limited
from isvs_jax.data.folder import open_folder
from isvs_jax.data.image_files import check_size
from isvs_jax.data.prepared import is_prepared, load_prepared, prepare_source
from isvs_jax.data.source import Source, read_into_memory

Spec = str | os.PathLike[str]


@dataclass(frozen=True)
class DataChoice:
    """Which images are trained on, judged or shown.

    Attributes:
        spec: "digits" (embedded), "tfds:NAME" such as "tfds:cifar10", "prepared:FOLDER", or a folder with a folder of
            images for each class.
        data_dir: The folder in which TFDS keeps its data sets; by default ~/tensorflow_datasets.
        image_size: Height and width; by default 32 for the digits and for images of several sizes, else their own.
        limit_train: The largest number of training images, drawn at random; by default all.
        limit_test: The largest number of test images, drawn at random; by default all.
        draw_seed: The seed of these draws.
        validation_share: A share above 0 of the training images, stratified, is held out and tested after every epoch,
            and the best checkpoint is kept.
        mirror: Whether images may be mirrored; by default what the data set says (photographs yes, digits no).
    """

    spec: str = "digits"
    data_dir: str | None = None
    image_size: int | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    draw_seed: int = 0
    validation_share: float = 0.0
    mirror: bool | None = None

    def __post_init__(self) -> None:
        check_size(self.image_size)
        _check_limits(self.limit_train, self.limit_test)
        check_integer("draw_seed", self.draw_seed, 0)
        check_number("validation_share", self.validation_share, "[0, 1)")


def load_data(choice: DataChoice, *, progress: bool = True) -> Dataset:
    """Load the images of a choice, without the validation share held out."""
    return load(
        choice.spec,
        data_dir=choice.data_dir,
        image_size=choice.image_size,
        limit_train=choice.limit_train,
        limit_test=choice.limit_test,
        mirror=choice.mirror,
        seed=choice.draw_seed,
        progress=progress,
    )


def load(
    spec: Spec,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    mirror: bool | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Load the data set that a specification names.

    A prepared set is mapped into memory and read as it is used, so it may be larger than the memory; the others, and
    parts drawn by a limit, are read whole.

    Args:
        spec: "digits" (scikit-learn's handwritten digits), "tfds:NAME" (TensorFlow Datasets), "prepared:FOLDER" (what
            `python -m isvs_jax.data prepare` wrote), "folder:PATH", or a path as text or `pathlib.Path` (images in
            class folders, or a prepared set).
        data_dir: The folder in which TFDS keeps its data; the other data sets ignore it.
        image_size: Height and width; None is 32 for the digits, the prepared ones for a prepared set, and for the
            others the images' own where all have one shape, else 32.
        limit_train: The largest number of training images, drawn at random before any is read; None takes all.
        limit_test: The largest number of test images, drawn likewise.
        mirror: Whether an image and its mirror image belong to the same class; None is what is known of the set, for
            folders of images True.
        seed: The seed of the draws, and of the split where a data set has no test images of its own.
        progress: Whether to show progress bars.

    Returns:
        The data set.

    Raises:
        FileNotFoundError: The folder does not exist.
        ModuleNotFoundError: A package that reads this data set is missing; the message says how to get it.
        TypeError: `spec` is neither text nor a path, or a number is no integer.
        ValueError: The specification or the data cannot be used; the message says what to do.

    Example:
        >>> load("digits", limit_train=100)
        Dataset('digits', 100 + 599 images (32, 32, 1) float32, 10 classes)
    """
    _check_limits(limit_train, limit_test)
    image_size, seed = check_size(image_size), check_integer("seed", seed, 0)
    kind, rest = _parsed(spec)
    if kind == "prepared":
        whole = load_prepared(rest, image_size=image_size)
        train, test = limited(whole.train, limit_train, seed), limited(whole.test, limit_test, seed + 1)
        dataset = replace(whole, train=train, test=test)
    else:
        dataset = read_into_memory(
            _opened(kind, rest, data_dir, image_size, seed),
            image_size=image_size,
            limit_train=limit_train,
            limit_test=limit_test,
            seed=seed,
            progress=progress,
        )
    return dataset if mirror is None else replace(dataset, mirror=mirror)


def prepare(
    spec: Spec,
    out: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    mirror: bool | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Decode a data set once into a folder of arrays, which `load` takes as "prepared:FOLDER".

    The images are the ones that `load` gives for the same arguments. They are never in memory all at once. The folder
    appears when it is whole; if this is interrupted or killed, the same call goes on from where it was, and where the
    folder is there already, it returns at once.

    Args:
        spec: The data set, as for `load`.
        out: The folder to write.
        data_dir: The folder in which TFDS keeps its data; the other data sets ignore it.
        image_size: Height and width; None is 32 for the digits, and for the others the images' own, which then must
            be one.
        mirror: Whether an image and its mirror image belong to the same class; None is what is known of the set.
        seed: The seed of the split where the data set has no test images of its own.
        workers: The number of threads that read and resize; None is one for each processor.
        progress: Whether to show progress bars.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: There is nothing to read.
        ModuleNotFoundError: A package that reads this data set is missing.
        OSError: The disk has no room; how much is needed and how much is free is said before anything is read.
        TypeError: `spec` is neither text nor a path, or a number is no integer.
        ValueError: The specification or the data cannot be used, or the folder holds something else.

    Example:
        >>> import tempfile
        >>> from isvs_jax import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     digits = data.load(f"prepared:{prepare('digits', f'{folder}/digits', progress=False)}")
        >>> len(digits.train), type(digits.train.images).__name__
        (1198, 'memmap')
    """
    check_path("out", out)
    threads = check_integer("workers", (os.cpu_count() or 1) if workers is None else workers)
    image_size, seed = check_size(image_size), check_integer("seed", seed, 0)
    kind, rest = _parsed(spec)
    if kind == "prepared":
        raise ValueError(f"spec must be a data set that is not prepared yet; got {str(spec)!r}.")
    source = _opened(kind, rest, data_dir, image_size, seed)
    return prepare_source(source, out, image_size=image_size, mirror=mirror, workers=threads, progress=progress)


def _check_limits(limit_train: int | None, limit_test: int | None) -> None:
    for name, limit in (("limit_train", limit_train), ("limit_test", limit_test)):
        if limit is not None:
            check_integer(name, limit)


def _opened(kind: str, rest: str, data_dir: str | os.PathLike[str] | None, image_size: int | None, seed: int) -> Source:
    if kind == "digits":
        return open_digits(image_size)
    if kind == "tfds":
        return open_tfds(rest, data_dir=data_dir, seed=seed)
    return open_folder(rest, seed=seed)


def _parsed(spec: Spec) -> tuple[str, str]:
    """A specification as its kind ("digits", "tfds", "prepared", "folder") and what follows it."""
    if isinstance(spec, os.PathLike):
        path = os.fspath(spec)
        return ("prepared" if is_prepared(path) else "folder"), path
    what = (
        "'digits', 'tfds:NAME' such as 'tfds:cifar10', a folder of images in class folders ('folder:PATH' or the "
        "path), which has to exist, or a prepared set ('prepared:FOLDER' or the path)"
    )
    if not isinstance(spec, str):
        raise TypeError(f"spec must be {what}; got {brief(spec)}.")
    if spec == "digits":
        return spec, ""
    kind, _, rest = spec.partition(":")
    if kind in ("tfds", "prepared", "folder") and rest:
        return kind, rest
    if spec and os.path.isdir(os.path.expanduser(spec)):
        return ("prepared" if is_prepared(spec) else "folder"), spec
    raise ValueError(f"spec must be {what}; got {spec!r}.")
