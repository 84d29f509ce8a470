"""Half of a batch as it is, half along the path: the augmentation that this library is for."""

from collections.abc import Sequence

import jax
import numpy as np

from isvs_jax._checks import ArrayLike, as_image, brief, check_choice, check_key, check_number
from isvs_jax.augment.versions import draw_versions, show_in_groups
from isvs_jax.augment.views import View
from isvs_jax.solver._smooth import OUTPUTS, Output
from isvs_jax.solver.split_lbi import SplitLBI


def along_path(
    key: jax.Array,
    images: ArrayLike,
    *,
    times: Sequence[float] = (2.0, 4.0, 8.0),
    raw_share: float = 0.5,
    solver: SplitLBI = SplitLBI(),
    output: Output = "dense",
) -> jax.Array:
    """Show each example of a batch as it is, or at one of the times of its inverse scale space path.

    Of B examples round(raw_share·B) stay as they are, and each time is given to as many of the others as any other
    time, to one example. Who gets what is drawn: these shares belong to the batch, so what becomes of an example
    depends on the key and on the size of the batch. Only those that are shown smoothed are followed, grouped by their
    times, so that none waits for a later time of another.

    Args:
        key: A PRNG key; another one for every batch.
        images: float [B, H, W, C] in [0, 1].
        times: The times, positive numbers (static); a time that stands twice is drawn twice as often.
        raw_share: The share of examples that stay as they are, in [0, 1] (static).
        solver: The flow and how it is integrated; kappa and nu may not be traced.
        output: "dense" or "sparse", as in `smooth`.

    Returns:
        Images of the same shape and dtype, differentiable. An image with a NaN is NaN, and changes no other.

    Raises:
        TypeError: `key` is no PRNG key, or `images` is not of a floating dtype.
        ValueError: A shape, a time, the share or the output is out of its range.

    Example:
        In any jitted step, before the network:

        >>> images = jax.random.uniform(jax.random.key(0), (8, 16, 16, 3))
        >>> views = jax.jit(along_path)(jax.random.key(1), images)
        >>> int((views == images).all((1, 2, 3)).sum())
        4

    References:
        Zhou, Liu, Xu, Fu, Sun, "Robust network learning via inverse scale variational sparsification",
        arXiv 2409.18419.
    """
    key, images, times = check_key(key), as_image(images, "images"), _checked_times(times)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images must be [B, H, W, C] with B at least 1; got shape {images.shape}.")
    check_choice("output", output, OUTPUTS)
    check_number("raw_share", raw_share, "[0, 1]")
    versions = draw_versions(key, len(images), len(times), raw_share)
    # As many groups as times are enough, as the shares are exact.
    size = -(-(len(images) - round(raw_share * len(images))) // len(times))
    views = tuple(View(time, output) for time in times)
    return show_in_groups(images, versions, views, solver, size, len(times) if size else 0)


def _checked_times(times: Sequence[float]) -> tuple[float, ...]:
    if isinstance(times, str) or not isinstance(times, (Sequence, np.ndarray)) or not len(times):
        raise ValueError(f"times must be one or more positive numbers; got {brief(times)}.")
    return tuple(check_number("each of times", time, "(0, inf)", unit="time") for time in times)
