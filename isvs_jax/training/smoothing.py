"""The views of a whole set of images, computed batch by batch."""

import functools
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from tqdm import tqdm

from isvs_jax import SplitLBI
from isvs_jax.augment.views import View, show_views
from isvs_jax.data import as_float

# Half precision holds [0, 1] to 1/16 of a grey level in the space of half the bytes.
STORED_DTYPE = np.dtype(np.float16)

# Numbers in a batch that is smoothed at once: the flow keeps some tens of arrays of that size.
_NUMBERS = 2**22


def smoothed_views(
    images: np.ndarray,
    views: Sequence[View],
    solver: SplitLBI = SplitLBI(),
    *,
    batch_size: int | None = None,
    progress: bool = True,
) -> np.ndarray:
    """The given views of every image, in memory.

    Args:
        images: uint8 [N, H, W, C] or floats in [0, 1].
        views: V views.
        solver: The flow.
        batch_size: Images smoothed at once; None is 256, or fewer where the images are large.
        progress: Whether to show a progress bar.

    Returns:
        float16 [V, N, H, W, C].

    Example:
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> smoothed_views(images, [View(1.0), View(2.0, "sparse")], progress=False).shape
        (2, 2, 8, 8, 1)
    """
    stack = np.empty((len(views), *images.shape), STORED_DTYPE)
    if not len(views):
        return stack
    size = batch_size or default_batch_size(images.shape[1:])
    with tqdm(total=len(images), desc="smoothing", unit="image", disable=not progress) as bar:
        for start, batch in smoothed_batches(images, views, solver, batch_size=size):
            stack[:, start : start + batch.shape[1]] = batch
            bar.update(batch.shape[1])
    return stack


def smoothed_batches(
    images: np.ndarray, views: Sequence[View], solver: SplitLBI, *, batch_size: int, start: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """The views of `batch_size` images after the other, from the image numbered `start` on.

    The device works on the next batch while the caller has the last one in hand; no more than two are held.

    Yields:
        The number of the first image of a batch, and float16 [V, b, H, W, C].
    """
    waiting: tuple[int, int, jax.Array] | None = None
    for first in range(start, len(images), batch_size):
        batch = as_float(np.asarray(images[first : first + batch_size]))
        shown = _shown(padded(batch, batch_size), views=tuple(views), solver=solver)
        if waiting is not None:
            yield _fetched(*waiting)
        waiting = first, len(batch), shown
    if waiting is not None:
        yield _fetched(*waiting)


def default_batch_size(image_shape: Sequence[int]) -> int:
    """Images to smooth at once: 256 small ones, 27 of 224 × 224 × 3."""
    return max(1, min(256, _NUMBERS // int(np.prod(image_shape))))


@functools.partial(jax.jit, static_argnames=("views", "solver"))
def _shown(batch: jax.Array, *, views: tuple[View, ...], solver: SplitLBI) -> jax.Array:
    return show_views(batch, views, solver).astype(STORED_DTYPE)


def _fetched(first: int, count: int, shown: jax.Array) -> tuple[int, np.ndarray]:
    return first, np.asarray(shown)[:, :count]


def padded(batch: np.ndarray, batch_size: int) -> np.ndarray:
    """A batch filled up with zeros to `batch_size`, so that the last one compiles nothing anew."""
    missing = batch_size - len(batch)
    return np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1))
