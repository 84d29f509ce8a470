"""Data sets by specification: "digits", "tfds:NAME", "folder:PATH" or a path."""

import os
from dataclasses import replace

from isvs_jax.data._tfds import load_tfds
from isvs_jax.data.dataset import Dataset, limited
from isvs_jax.data.digits import load_digits
from isvs_jax.data.folder import load_folder


def load(
    spec: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """The data set that a specification names.

    Args:
        spec: "digits" (scikit-learn's handwritten digits), "tfds:NAME" (TensorFlow Datasets), "folder:PATH" or a path
            (images in class folders).
        data_dir: Where TFDS keeps its data; of no use to the others.
        image_size: Height and width; None is 32 for the digits, and for the others the images' own where all have one
            shape, else 32.
        limit_train: At most so many training images, drawn at random; None takes all.
        limit_test: The same for the test images.
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
    if spec == "digits":
        dataset = load_digits(image_size)
        return replace(
            dataset,
            train=limited(dataset.train, limit_train, seed),
            test=limited(dataset.test, limit_test, seed + 1),
        )
    kind, _, rest = spec.partition(":")
    if kind == "tfds" and rest:
        return load_tfds(
            rest,
            data_dir=data_dir,
            image_size=image_size,
            limit_train=limit_train,
            limit_test=limit_test,
            seed=seed,
            progress=progress,
        )
    path = rest if kind == "folder" else spec
    if not path or (kind != "folder" and not os.path.isdir(os.path.expanduser(path))):
        raise ValueError(
            f"spec is {spec!r}; it may be 'digits', 'tfds:NAME' such as 'tfds:cifar10', or a folder of images in "
            "class folders ('folder:PATH' or the path), which has to exist."
        )
    return load_folder(
        path,
        image_size=image_size,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        progress=progress,
    )
