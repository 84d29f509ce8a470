"""Data sets by specification: "digits", "tfds:NAME", "prepared:FOLDER", "folder:PATH" or a path."""

import os
from dataclasses import replace

from isvs_jax.data._tfds import load_tfds, open_tfds
from isvs_jax.data.dataset import Dataset, limited
from isvs_jax.data.digits import load_digits, open_digits
from isvs_jax.data.folder import load_folder, open_folder
from isvs_jax.data.prepared import is_prepared, load_prepared
from isvs_jax.data.source import Source


def load(
    spec: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    mirror: bool | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """The data set that a specification names.

    A prepared set is mapped into memory and read as it is used, so it may be larger than the memory; the others, and
    parts drawn by a limit, are read whole.

    Args:
        spec: "digits" (scikit-learn's handwritten digits), "tfds:NAME" (TensorFlow Datasets), "prepared:FOLDER" (what
            `python -m isvs_jax.data prepare` wrote), "folder:PATH" or a path (images in class folders, or a prepared
            set).
        data_dir: Where TFDS keeps its data; of no use to the others.
        image_size: Height and width; None is 32 for the digits, the prepared ones for a prepared set, and for the
            others the images' own where all have one shape, else 32.
        limit_train: At most so many training images, drawn at random; None takes all.
        limit_test: The same for the test images.
        mirror: Whether an image and its mirror image belong to the same class; None is what is known of the set, for
            folders of images True.
        seed: Of the draws.
        progress: Whether to show progress bars.

    Returns:
        A `Dataset`.

    Raises:
        FileNotFoundError: The folder does not exist.
        ModuleNotFoundError: A package that reads this data set is missing; the message says how to get it.
        ValueError: The specification or the data cannot be used; the message says what to do.

    Example:
        >>> digits = load("digits", limit_train=100)
        >>> digits.name, len(digits.train), digits.num_classes
        ('digits', 100, 10)
    """
    for name, limit in (("limit_train", limit_train), ("limit_test", limit_test)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name} is {limit}; it may be None or a positive integer.")
    kind, rest = _parsed(spec)
    if kind in ("digits", "prepared"):
        whole = load_digits(image_size) if kind == "digits" else load_prepared(rest, image_size=image_size)
        train, test = limited(whole.train, limit_train, seed), limited(whole.test, limit_test, seed + 1)
        dataset = replace(whole, train=train, test=test)
    elif kind == "tfds":
        dataset = load_tfds(
            rest,
            data_dir=data_dir,
            image_size=image_size,
            limit_train=limit_train,
            limit_test=limit_test,
            seed=seed,
            progress=progress,
        )
    else:
        dataset = load_folder(
            rest,
            image_size=image_size,
            limit_train=limit_train,
            limit_test=limit_test,
            seed=seed,
            progress=progress,
        )
    return dataset if mirror is None else replace(dataset, mirror=mirror)


def open_source(
    spec: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Source:
    """The images that a specification names, to be read one by one; arguments as for `load`.

    Raises:
        ValueError: As for `load`, or the set is prepared already, or its images differ in size and `image_size` is
            None.
    """
    kind, rest = _parsed(spec)
    if kind == "prepared":
        raise ValueError(f"spec is {spec!r}, which is prepared already; it may be any other data set.")
    if kind == "digits":
        return open_digits(image_size)
    if kind == "tfds":
        return open_tfds(rest, data_dir=data_dir, image_size=image_size, seed=seed)
    return open_folder(rest, image_size=image_size, seed=seed, workers=workers, progress=progress)


def _parsed(spec: str) -> tuple[str, str]:
    """A specification as its kind ("digits", "tfds", "prepared", "folder") and what follows it."""
    if spec == "digits":
        return spec, ""
    kind, _, rest = spec.partition(":")
    if kind in ("tfds", "prepared", "folder") and rest:
        return kind, rest
    if spec and os.path.isdir(os.path.expanduser(spec)):
        return ("prepared" if is_prepared(spec) else "folder"), spec
    raise ValueError(
        f"spec is {spec!r}; it may be 'digits', 'tfds:NAME' such as 'tfds:cifar10', a folder of images in class "
        "folders ('folder:PATH' or the path), which has to exist, or a prepared set ('prepared:FOLDER' or the path)."
    )
