"""Scikit-learn's handwritten digits, embedded in that package: 1,797 real 8×8 images, enlarged."""

import numpy as np

from isvs_jax._extras import optional
from isvs_jax.data.dataset import Dataset, Split, digest, stratified_indices
from isvs_jax.data.source import Part, Source

TEST_FRACTION = 1 / 3
DEFAULT_SIZE = 32


def load_digits(image_size: int | None = None) -> Dataset:
    """Handwritten digits, 8×8 with grey values 0..16, scaled to [0, 1] and enlarged.

    The enlarging is bilinear with half-pixel centres. Two thirds of each class are for training, the rest for testing;
    the split is always the same.

    Args:
        image_size: Height and width, 8 or more; None is 32.

    Returns:
        The data set, images float32 [N, size, size, 1].

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: `image_size` is less than 8.

    Example:
        >>> digits = load_digits()
        >>> digits.image_shape, len(digits.train), len(digits.test)
        ((32, 32, 1), 1198, 599)

    References:
        Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    size = DEFAULT_SIZE if image_size is None else image_size
    if size < 8:
        raise ValueError(f"image_size is {size}; for the digits it may be 8 or more.")
    table = optional("sklearn.datasets").load_digits()
    small = np.asarray(table.images, np.float64) / 16
    weights = _bilinear(8, size)
    images = (weights @ small @ weights.T).astype(np.float32)[..., None]
    labels = np.asarray(table.target, np.int32)
    train, test = stratified_indices(labels, TEST_FRACTION, seed=0)
    return Dataset(
        name="digits",
        source=f"scikit-learn's handwritten digits, 8×8 enlarged to {size}×{size} (bilinear)",
        class_names=tuple(str(digit) for digit in range(10)),
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
        mirror=False,
    )


def open_digits(image_size: int | None = None) -> Source:
    """The same images as those of `load_digits`, to be read one by one."""
    digits = load_digits(image_size)

    def part(split: Split) -> Part:
        return Part(len(split), lambda index: (split.images[index], int(split.labels[index])))

    return Source(
        name=digits.name,
        origin="scikit-learn's handwritten digits",
        class_names=digits.class_names,
        mirror=digits.mirror,
        train=part(digits.train),
        test=part(digits.test),
        shape=digits.image_shape,
        dtype=digits.train.images.dtype,
        how=f"8×8 enlarged to {digits.image_shape[0]}×{digits.image_shape[1]} (bilinear)",
        identity=digest(digits.train),
    )


def _bilinear(length: int, size: int) -> np.ndarray:
    """The matrix [size, length] of linear interpolation between pixel centres, constant past the outermost."""
    centres = (np.arange(size) + 0.5) * length / size - 0.5
    distance = np.abs(np.clip(centres, 0, length - 1)[:, None] - np.arange(length))
    return np.maximum(1 - distance, 0)
