"""Where labelled images come from: opened but not read, for sets that memory does not hold, and read into memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax._progress import progress_bar
from isvs_jax.data.dataset import Dataset, Split, drawn_indices
from isvs_jax.data.image_files import KEPT, RESIZED, stacked

TEST_FRACTION = 0.2
"""The share that is put aside for testing where a data set has no test images of its own."""

# Height and width of images that differ in size, where none are asked for.
_DEFAULT_SIZE = 32

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """Labelled images that are read one by one.

    Attributes:
        count: The number of images.
        read: A function that gives the image numbered i, [H, W, C] of any size, and its label. Several threads may
            call it.
    """

    count: int
    read: Callable[[int], tuple[np.ndarray, int]]


@dataclass(frozen=True)
class Source:
    """A data set that is not read yet.

    Attributes:
        name: A short name, fit for a folder.
        origin: Where the images come from, in one line.
        class_names: The names of the classes, in the order of the labels.
        mirror: Whether an image and its mirror image belong to the same class.
        train: The images that a model may learn from.
        test: The images that it is tested on.
        dtype: The dtype of all images, uint8 or float32.
        shapes: A function of `channels_only`, `workers` and `progress` that gives the shapes of all images, looked up
            without reading them where that is possible. Heights and widths are of no use where only the channels count.
        identity: A function that gives values of JSON which change with the images.
        done: What was done to images that are in memory already; empty where they are still to be read.
        note: What else there is to say of how they are read; it is appended to a phrase.
    """

    name: str
    origin: str
    class_names: tuple[str, ...]
    mirror: bool
    train: Part
    test: Part
    dtype: np.dtype
    shapes: Callable[[bool, int, bool], set[Shape]]
    identity: Callable[[], Any]
    done: str = ""
    note: str = ""

    def in_one_shape(self, image_size: int | None, workers: int, progress: bool) -> tuple[Shape, str]:
        """The one shape to which all images are read, and a phrase that says what is done to them.

        Raises:
            ValueError: They differ in size and `image_size` is None.
        """
        shapes = self.shapes(image_size is not None, workers, progress)
        channels = max(shape[-1] for shape in shapes)
        if image_size is not None:
            return (image_size, image_size, channels), self.done or RESIZED.format(size=image_size) + self.note
        sizes = sorted({shape[:2] for shape in shapes})
        if len(sizes) > 1:
            examples = " and ".join(f"{width}×{height}" for height, width in (sizes[0], sizes[-1]))
            raise ValueError(
                f"image_size must be an integer, such as 224, where images differ in size; got None for {self.origin} "
                f"with {len(sizes)} sizes, such as {examples}."
            )
        return (*sizes[0], channels), self.done or KEPT + self.note


def read_into_memory(
    source: Source,
    *,
    image_size: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Read a source, or parts of it that are drawn before anything is read.

    Args:
        source: The images.
        image_size: Height and width to which the central squares are resized; None keeps the images where all that are
            read have one shape, and takes 32 otherwise.
        limit_train: The largest number of training images; None reads all.
        limit_test: The largest number of test images; None reads all.
        seed: The seed of the draws.
        progress: Whether to show a progress bar.
    """
    drawn = [
        (part, index)
        for part, limit, key in ((source.train, limit_train, seed), (source.test, limit_test, seed + 1))
        for index in drawn_indices(part.count, limit, key)
    ]
    count = sum(part is source.train for part, _ in drawn)
    shown = progress and not source.done
    bar = progress_bar(drawn, desc=f"reading {source.name}", unit="image", shown=shown)
    images, labels = zip(*(part.read(int(index)) for part, index in bar), strict=True)
    array, how = stacked(list(images), image_size, _DEFAULT_SIZE)
    numbers = np.array(labels, np.int32)
    return Dataset(
        name=source.name,
        source=f"{source.origin}, {source.done or how + source.note}",
        class_names=source.class_names,
        train=Split(array[:count], numbers[:count]),
        test=Split(array[count:], numbers[count:]),
        mirror=source.mirror,
    )
