"""The smoothed versions of a whole set of images, computed once beforehand."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from isvs_jax import SplitLBI, piecewise_constant, scale_space
from isvs_jax.data import as_float
from isvs_jax.training.inputs import View

# Half precision holds [0, 1] to 1/16 of a grey level in the space of half the bytes.
STORED_DTYPE = np.float16


def smoothed_views(
    images: np.ndarray,
    views: Sequence[View],
    solver: SplitLBI = SplitLBI(),
    *,
    batch_size: int = 256,
    progress: bool = True,
) -> np.ndarray:
    """The given views of every image, all times recorded along one path.

    Args:
        images: uint8 [N, H, W, C] or floats in [0, 1].
        views: V times and outputs; a time may be there twice, dense and sparse.
        solver: The flow.
        batch_size: Images smoothed at once.
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
    with tqdm(total=len(images), desc="smoothing", unit="image", disable=not progress) as bar:
        for start in range(0, len(images), batch_size):
            batch = as_float(images[start : start + batch_size])
            stack[:, start : start + len(batch)] = _smooth_batch(
                padded(batch, batch_size), views=tuple(views), solver=solver
            )[:, : len(batch)]
            bar.update(len(batch))
    return stack


@functools.partial(jax.jit, static_argnames=("views", "solver"))
def _smooth_batch(batch: jax.Array, *, views: tuple[View, ...], solver: SplitLBI) -> jax.Array:
    times = sorted({view.time for view in views})
    path = scale_space(batch, times, solver)

    def one(view: View) -> jax.Array:
        at = times.index(view.time)
        if view.output == "dense":
            return path.dense[at]
        return piecewise_constant(batch, jax.tree.map(lambda edges: edges[at], path.support))

    return jnp.stack([one(view) for view in views])


def padded(batch: np.ndarray, batch_size: int) -> np.ndarray:
    """A batch filled up with zeros to `batch_size`, so that the last one compiles nothing anew."""
    missing = batch_size - len(batch)
    return np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1))
