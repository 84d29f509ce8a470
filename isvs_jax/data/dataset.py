"""The container of a data set: two splits of images and labels, held as read-only NumPy arrays."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from isvs_jax._checks import brief, check_integer, check_number
from isvs_jax._progress import progress_bar

# Bytes that are looked at together.
_PIECE = 2**24


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Attributes:
        images: Images [N, H, W, C], uint8 in 0..255 or float32 in [0, 1]; C is 1 (grey) or 3 (colour). The values of
            an array that is mapped from a file are not looked at.
        labels: Labels int32 [N], indices into the class names.
        sha256: The result of `digest` where it is known already, as for a prepared set; None otherwise.

    Raises:
        TypeError: One of them is no NumPy array.
        ValueError: Shapes, dtypes or values are not those of labelled images.

    Example:
        >>> split = Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1], np.int32))
        >>> split
        Split(2 images (8, 8, 1) uint8)
    """

    images: np.ndarray
    labels: np.ndarray
    sha256: str | None = None

    def __post_init__(self) -> None:
        for name, array in (("images", self.images), ("labels", self.labels)):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{name} must be a NumPy array; got {brief(array)}.")
        if self.images.ndim != 4 or self.images.shape[-1] not in (1, 3):
            raise ValueError(f"images must be [N, H, W, 1] or [N, H, W, 3]; got shape {self.images.shape}.")
        if self.images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8 or float32; got dtype {self.images.dtype}.")
        if self.images.dtype == np.float32 and self.images.size and not isinstance(self.images, np.memmap):
            low, high = self.images.min(), self.images.max()
            if not (low >= 0 and high <= 1):
                raise ValueError(f"images of float32 must be finite and in [0, 1]; got values from {low} to {high}.")
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int32:
            raise ValueError(
                f"labels must be int32 of shape {self.images.shape[:1]}; got {self.labels.dtype} of shape "
                f"{self.labels.shape}."
            )
        for array in (self.images, self.labels):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} images {self.images.shape[1:]} {self.images.dtype})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with a training and a test split.

    Attributes:
        name: A short name, fit for a folder.
        source: Where it came from and what was done to it, in one line.
        class_names: The names of the classes, in the order of the labels.
        train: The images that a model may learn from.
        test: The images that it is tested on.
        mirror: Whether an image and its mirror image belong to the same class (a photograph: yes; a digit: no).
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    mirror: bool

    def __post_init__(self) -> None:
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError(
                f"test must hold images of the shape of train, {self.train.images.shape[1:]}; got "
                f"{self.test.images.shape[1:]}."
            )
        for name, split in (("train", self.train), ("test", self.test)):
            if not len(split):
                raise ValueError(f"{name} must hold one image or more; got none.")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"{name} must have labels from 0 to {self.num_classes - 1}; got labels from {low} to {high}."
                )

    def __repr__(self) -> str:
        images = f"{len(self.train)} + {len(self.test)} images {self.image_shape} {self.train.images.dtype}"
        return f"Dataset({self.name!r}, {images}, {self.num_classes} classes)"

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def as_float(images: np.ndarray) -> np.ndarray:
    """Scale images to float32 in [0, 1] by their dtype: uint8 is divided by 255, uint16 by 65535, floats are kept.

    Raises:
        TypeError: The dtype is another one.

    Example:
        >>> as_float(np.array([0, 255], np.uint8)).tolist()
        [0.0, 1.0]
    """
    if images.dtype in (np.uint8, np.uint16):
        return images.astype(np.float32) / np.float32(np.iinfo(images.dtype).max)
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(f"images must be uint8, uint16 or of a floating dtype; got dtype {images.dtype}.")
    return images.astype(np.float32, copy=False)


def digest(split: Split, *, progress: bool = False) -> str:
    """Compute the SHA-256 of the images of a split with their shape and dtype, piece by piece where it is not known.

    Example:
        >>> digest(Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1], np.int32)))[:8]
        'ce572d57'
    """
    if split.sha256 is not None:
        return split.sha256
    images = split.images
    found = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
    rows = max(1, _PIECE // max(1, images[:1].nbytes))
    for start in progress_bar(range(0, len(images), rows), desc="hashing", unit="piece", leave=False, shown=progress):
        found.update(np.ascontiguousarray(images[start : start + rows]).data)
    return found.hexdigest()


def take(split: Split, indices: np.ndarray) -> Split:
    """Take the images at the given indices, in their order, into memory."""
    return Split(split.images[indices], split.labels[indices])


def limited(split: Split, limit: int | None, seed: int) -> Split:
    """Draw at most `limit` images without replacement, kept in their order; None keeps all."""
    if limit is None or limit >= len(split):
        return split
    return take(split, drawn_indices(len(split), limit, seed))


def drawn_indices(length: int, limit: int | None, seed: int) -> np.ndarray:
    """Draw at most `limit` of `length` indices without replacement, increasing; None gives all."""
    if limit is None or limit >= length:
        return np.arange(length)
    check_integer("limit", limit)
    return np.sort(np.random.default_rng(seed).permutation(length)[:limit])


def stratified_indices(labels: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the indices of a training and a test part that hold every class in equal proportion.

    Raises:
        ValueError: A class has fewer than two images.
    """
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(
                f"class {label} must have two images or more, to train and to test on; got {len(members)}."
            )
        held = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        test.append(members[:held])
        train.append(members[held:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def holdout(dataset: Dataset, fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Put the test split aside: a stratified part of the training split stands in for it.

    Choose settings on this, so that the test images stay unseen until the settings are fixed.

    Args:
        dataset: Any data set.
        fraction: The share of the training images that are held out, in (0, 1).
        seed: The seed of the draw.

    Returns:
        A data set whose `test` are held-out training images.
    """
    check_number("fraction", fraction, "(0, 1)")
    train, held = stratified_indices(dataset.train.labels, fraction, seed)
    return replace(
        dataset,
        source=f"{dataset.source}; validation: {len(held)} training images held out",
        train=take(dataset.train, train),
        test=take(dataset.train, held),
    )
