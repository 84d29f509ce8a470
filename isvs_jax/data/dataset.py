"""The container of a data set: two splits of images and labels, held as read-only NumPy arrays."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from isvs_jax._progress import progress_bar

# Bytes that are looked at together.
_PIECE = 2**24


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Attributes:
        images: [N, H, W, C], uint8 in 0..255 or float32 in [0, 1]; C is 1 (grey) or 3 (colour).
        labels: int32 [N], indices into the class names.
        sha256: What `digest` finds, where it is known already, as of a prepared set; None otherwise.

    Raises:
        ValueError: Shapes, dtypes or values cannot be those of labelled images.

    Example:
        >>> split = Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1], np.int32))
        >>> len(split)
        2
    """

    images: np.ndarray
    labels: np.ndarray
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] not in (1, 3):
            raise ValueError(f"images has shape {self.images.shape}; it may be [N, H, W, 1] or [N, H, W, 3].")
        if self.images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images has dtype {self.images.dtype}; it may be uint8 or float32.")
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int32:
            raise ValueError(
                f"labels has shape {self.labels.shape} and dtype {self.labels.dtype}; "
                f"it may be int32 with shape {self.images.shape[:1]}."
            )
        for array in (self.images, self.labels):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with a training and a test split.

    Attributes:
        name: A short name, fit for a folder.
        source: Where it came from and what was done to it, one line.
        class_names: One name a class, in the order of the labels.
        train: What a model may learn from.
        test: What it is tested on.
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
                f"train images have shape {self.train.images.shape[1:]} and test images "
                f"{self.test.images.shape[1:]}; both may have the same."
            )
        for name, split in (("train", self.train), ("test", self.test)):
            if not len(split):
                raise ValueError(f"{name} holds no images; it may hold one or more.")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"{name} labels go from {low} to {high}; they may go from 0 to {self.num_classes - 1}."
                )

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def as_float(images: np.ndarray) -> np.ndarray:
    """Images as float32 in [0, 1]; uint8 is divided by 255.

    Example:
        >>> as_float(np.array([0, 255], np.uint8)).tolist()
        [0.0, 1.0]
    """
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


def digest(split: Split, *, progress: bool = False) -> str:
    """The SHA-256 of the images of a split with their shape and dtype; read piece by piece where it is not known.

    Example:
        >>> digest(Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1], np.int32)))[:8]
        'ce572d57'
    """
    if split.sha256 is not None:
        return split.sha256
    images = split.images
    found = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
    rows = max(1, _PIECE // max(1, images[:1].nbytes))
    for start in progress_bar(range(0, len(images), rows), desc="hashing", leave=False, shown=progress):
        found.update(np.ascontiguousarray(images[start : start + rows]).data)
    return found.hexdigest()


def take(split: Split, indices: np.ndarray) -> Split:
    """The images at the given indices, in their order; in memory, also where the split is mapped from a file."""
    return Split(split.images[indices], split.labels[indices])


def limited(split: Split, limit: int | None, seed: int) -> Split:
    """At most `limit` images, drawn without replacement and kept in their order; None keeps all."""
    if limit is None or limit >= len(split):
        return split
    return take(split, drawn_indices(len(split), limit, seed))


def drawn_indices(length: int, limit: int, seed: int) -> np.ndarray:
    """`limit` of `length` indices, drawn without replacement, increasing."""
    if limit < 1:
        raise ValueError(f"limit is {limit}; it may be None or a positive integer.")
    return np.sort(np.random.default_rng(seed).permutation(length)[:limit])


def stratified_indices(labels: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test part that hold every class in equal proportion.

    Raises:
        ValueError: A class has fewer than two images.
    """
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(
                f"class {label} has {len(members)} image; a split into train and test takes two or more of each class."
            )
        held = min(max(1, round(test_fraction * len(members))), len(members) - 1)
        test.append(members[:held])
        train.append(members[held:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def holdout(dataset: Dataset, fraction: float = 0.2, seed: int = 0) -> Dataset:
    """The data set with its test split put aside: a stratified part of the training split stands in for it.

    Choose settings on this, so that the test images stay unseen until the settings are fixed.

    Args:
        dataset: Any data set.
        fraction: Share of the training images that are held out, in (0, 1).
        seed: Of the draw.

    Returns:
        A data set whose `test` are held-out training images.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; it may be between 0 and 1.")
    train, held = stratified_indices(dataset.train.labels, fraction, seed)
    return replace(
        dataset,
        source=f"{dataset.source}; validation: {len(held)} training images held out",
        train=take(dataset.train, train),
        test=take(dataset.train, held),
    )
