"""Versions: each image of a batch as it is or in a view of its own, of which no other is computed.

Version 0 of an image is the image itself, version k the k-th of some views.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, as_keys, check_integer, check_number
from isvs_jax._images import as_batch
from isvs_jax.augment.groups import FEWEST, Branch, in_groups, most_groups
from isvs_jax.augment.views import View
from isvs_jax.filters.matching import FILTERS
from isvs_jax.solver._smooth import Output, smooth
from isvs_jax.solver.split_lbi import SplitLBI

Shown = Callable[[jax.Array, jax.Array], jax.Array]


def draw_versions(key: jax.Array, count: int, num_views: int, raw_share: float = 0.5) -> jax.Array:
    """Draw who of a batch is shown as it is, and who in which view.

    With one key the shares are exact: of B examples round(raw_share·B) are shown as they are, and each view is given to
    as many of the others as any other view, to one example. What an example gets then depends on the key, on its place
    and on the size of the batch. Where a batch is divided among devices, each draws for the whole of it from one key
    and takes what belongs to its own examples, so that the number of devices changes nothing.

    With a key for each example the shares are probabilities, and what an example gets depends on its own key alone.

    Args:
        key: A PRNG key for the batch, or one for each example, [B]; others for every batch.
        count: The number B of examples in the batch (static).
        num_views: The number V of views, at least 1 (static).
        raw_share: The share of examples that stay as they are, in [0, 1] (static).

    Returns:
        int32 [B], each from 0 to V.

    Raises:
        TypeError: `key` is no PRNG key, or a number is not of its kind.
        ValueError: A number is out of its range.

    Example:
        >>> versions = draw_versions(jax.random.key(0), 8, num_views=2)
        >>> jnp.bincount(versions, length=3).tolist()
        [4, 2, 2]
    """
    keys = as_keys(key, check_integer("count", count))
    check_integer("num_views", num_views)
    check_number("raw_share", raw_share, "[0, 1]")
    if keys.shape:
        return jax.vmap(partial(_draw_one, num_views=num_views, raw_share=raw_share))(keys)
    num_raw = round(raw_share * count)
    views_key, order_key = jax.random.split(keys)
    # The first views of a random order get an example more, so none is favoured from batch to batch.
    views = 1 + jax.random.permutation(views_key, num_views)[np.arange(count - num_raw) % num_views]
    return jax.random.permutation(order_key, jnp.pad(views.astype(jnp.int32), (num_raw, 0)))


def _draw_one(key: jax.Array, num_views: int, raw_share: float) -> jax.Array:
    raw_key, view_key = jax.random.split(key)
    view = jax.random.randint(view_key, (), 1, 1 + num_views, jnp.int32)
    return jnp.where(jax.random.bernoulli(raw_key, raw_share), 0, view)


def show_versions(
    images: ArrayLike,
    versions: ArrayLike,
    views: Sequence[View],
    solver: SplitLBI = SplitLBI(),
    *,
    group_size: int | None = None,
) -> jax.Array:
    """Show each image of a batch in a version of its own; no other version of it is computed.

    The images of a view are followed in groups of one size, so that none waits for another view; where a view has fewer
    than four, those of several times of the path share a group, each still followed to its own time. How many groups a
    view needs may be traced; those that no view needs cost next to nothing.

    Args:
        images: float [B, H, W, C] in [0, 1].
        versions: int [B], for each image 0 to show it as it is, or k for the k-th view; may be traced.
        views: The V views (static).
        solver: The flow; kappa and nu may not be traced.
        group_size: The number of images in a group (static), best the number that a view is expected to show, and at
            least four. None divides the batch by the number of views.

    Returns:
        Images of the same shape and dtype, differentiable. An image with a NaN is NaN, and changes no other.

    Raises:
        TypeError: `images` is not of a floating dtype, or `versions` not of integers.
        ValueError: A shape does not fit, or there is no view.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> shown = show_versions(images, jnp.array([0, 2, 0]), (View(2.0), View(0.8, "blur")))
        >>> (shown == images).all((1, 2, 3)).tolist()
        [True, False, True]
    """
    images, versions = as_batch(images), jnp.asarray(versions)
    if not jnp.issubdtype(versions.dtype, jnp.integer):
        raise TypeError(f"versions must be integers; got dtype {versions.dtype}.")
    if versions.shape != images.shape[:1]:
        raise ValueError(
            f"versions must have shape {images.shape[:1]}, one for each image; got shape {versions.shape}."
        )
    if not views:
        raise ValueError("views must hold at least one view; got none.")
    count, views = len(images), tuple(views)
    size = -(-count // len(views)) if group_size is None else check_integer("group_size", group_size)
    return show_in_groups(images, versions, views, solver, size, count)


def show_in_groups(
    images: jax.Array,
    versions: jax.Array,
    views: tuple[View, ...],
    solver: SplitLBI,
    size: int,
    most: int,
    groups: int | None = None,
) -> jax.Array:
    """`show_versions` where at most so many images are not shown as they are, in groups known to be enough for each."""
    strengths = jnp.asarray([0.0, *(view.strength for view in views)], jnp.float32)[versions]
    programs, program_of = _programs(views, solver)

    def branch(program: Shown) -> Branch[jax.Array]:
        return lambda examples: program(images[examples], strengths[examples])

    branches = [branch(program) for program in programs]
    if size >= FEWEST:
        groups = most_groups(most, len(views), size) if groups is None else groups
        return in_groups(branches, versions, images, size, branch_of=program_of, groups=groups)
    # So few of a view that those of several times share a group, in the order of their times.
    kinds, size = jnp.asarray([0, *(1 + place for place in program_of)])[versions], max(1, min(FEWEST, most))
    groups = most_groups(most, len(programs), size)
    return in_groups(branches, kinds, images, size, rank=strengths, groups=groups)


def _programs(views: tuple[View, ...], solver: SplitLBI) -> tuple[list[Shown], list[int]]:
    """What can be done to a group, and the place of what makes each view: all times of the path share one program."""

    def on_path(kind: str) -> Shown:
        latest = max(view.strength for view in views if view.kind == kind)
        return lambda images, times: smooth(images, times, solver, cast(Output, kind), max_time=latest)

    def filtered(view: View) -> Shown:
        return lambda images, _: FILTERS[view.kind](images, view.strength)

    names = [view.kind if view.is_path else str(view) for view in views]
    programs = {
        name: on_path(view.kind) if view.is_path else filtered(view) for name, view in zip(names, views, strict=True)
    }
    places = {name: place for place, name in enumerate(programs)}
    return list(programs.values()), [places[name] for name in names]
