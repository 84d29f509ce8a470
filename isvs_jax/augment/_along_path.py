"""Half of a batch as it is, half along the path: the augmentation that this library is for."""

from collections.abc import Sequence
from functools import partial

import jax

from isvs_jax._checks import ArrayLike, as_keys, check_choice, check_number
from isvs_jax._images import as_batch
from isvs_jax.augment.versions import draw_versions, show_in_groups, show_versions
from isvs_jax.augment.views import View, check_strengths, with_numbers
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

    With one key the shares are exact: of B examples round(raw_share·B) stay as they are, and each time is given to as
    many of the others as any other time, to one example. These shares belong to the batch, so what becomes of an
    example depends on the key and on the size of the batch.

    With a key for each example every example draws for itself, with probability raw_share to stay as it is, and depends
    on its own key and pixels alone, however the batch is divided.

    Only those that are shown smoothed are followed, in groups of one time, so that none waits for a later time of
    another.

    Args:
        key: A PRNG key for the batch, or one for each example, [B]; others for every batch.
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
    images, times = as_batch(images), check_strengths("times", times, "time")
    keys = as_keys(key, len(images))
    check_choice("output", output, OUTPUTS)
    check_number("raw_share", raw_share, "[0, 1]")
    return _along_path(keys, images, times, float(raw_share), with_numbers(solver), output)


@partial(jax.jit, static_argnames=("times", "raw_share", "solver", "output"))
def _along_path(
    keys: jax.Array, images: jax.Array, times: tuple[float, ...], raw_share: float, solver: SplitLBI, output: Output
) -> jax.Array:
    count, views = len(images), tuple(View(time, output) for time in times)
    versions = draw_versions(keys, count, len(times), raw_share)
    # As many as a time is expected to have.
    followed = count - round(raw_share * count)
    size = -(-followed // len(times))
    if keys.shape:
        return show_versions(images, versions, views, solver, group_size=max(1, size // 2))
    # As many groups as times are enough, as the shares are exact.
    return show_in_groups(images, versions, views, solver, size, followed, len(times))
