"""Where labelled images come from, opened but not read: one image at a time, for sets that memory does not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Part:
    """Labelled images that are read one by one.

    Attributes:
        count: How many there are.
        read: The image numbered i, [H, W, C] of any size, and its label; may be called by several threads.
    """

    count: int
    read: Callable[[int], tuple[np.ndarray, int]]


@dataclass(frozen=True)
class Source:
    """A data set that is not read yet.

    Attributes:
        name: A short name, fit for a folder.
        origin: Where it comes from, one line.
        class_names: One name a class, in the order of the labels.
        mirror: Whether an image and its mirror image belong to the same class.
        train: What a model may learn from.
        test: What it is tested on.
        shape: [H, W, C], the one shape of all images once they are read to `shape`.
        dtype: uint8 or float32.
        how: What is done to the images to bring them to `shape`, a phrase.
        identity: Values of JSON that change with the images.
    """

    name: str
    origin: str
    class_names: tuple[str, ...]
    mirror: bool
    train: Part
    test: Part
    shape: tuple[int, int, int]
    dtype: np.dtype
    how: str
    identity: Any
