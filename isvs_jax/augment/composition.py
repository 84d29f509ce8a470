"""Augmentations made of others: one after another, one of several for each example, one image at a time.

An augmentation is a function (key, images) → images of float images [B, H, W, C], that gives back their shape and
dtype. The key is one for the batch, or one for each example, [B]; the augmentations of this package take either.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, as_keys, brief, check_integer, check_number, example_keys
from isvs_jax._images import as_batch
from isvs_jax.augment.groups import Branch, in_groups

Images = Callable[[ArrayLike, ArrayLike], jax.Array]

# Shares that sum to 1 up to rounding leave nobody as they are.
_ROUNDING = 1e-6


def chain(*functions: Images) -> Images:
    """One augmentation after another.

    Each function gets a key of its own, folded from the one given: a key for the batch from a key for the batch, a key
    for each example from those.

    Args:
        functions: Augmentations (key, images) → images, one or more, in the order in which they are applied.

    Returns:
        Their composition, an augmentation.

    Raises:
        TypeError: One of them is not callable.
        ValueError: There is none.

    Example:
        >>> from functools import partial
        >>> from isvs_jax.augment import Augmentation, along_path, augment
        >>> both = chain(partial(along_path, times=(1.0, 2.0)), partial(augment, augmentation=Augmentation(noise=0.1)))
        >>> images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
        >>> jax.jit(both)(jax.random.key(1), images).shape
        (4, 8, 8, 1)
    """
    _check_functions(functions)

    def chained(key: ArrayLike, images: ArrayLike) -> jax.Array:
        images = as_batch(images)
        keys = as_keys(key, len(images))
        for place, function in enumerate(functions):
            images = _applied(function, place, _folded(keys, place), images)
        return images

    return chained


def mix(functions: Sequence[Images], shares: Sequence[float] | None = None, *, group_size: int | None = None) -> Images:
    """One of several augmentations for each example; what their shares leave over stays as it is.

    With one key the shares are exact: of B examples each function gets ⌊share·B⌋, and where some are left over those
    with the largest remainders get one more, the first listed where remainders are equal. Who gets which is drawn.
    These shares belong to the batch. A function sees its own examples alone and one key for them; its own shares, such
    as those of `along_path`, are exact among them.

    With a key for each example the shares are probabilities, and what becomes of an example depends on its own key and
    pixels alone, however the batch is divided. A function sees groups of one size, with their keys; how many of these
    there are may be traced, and those that are not needed are passed over, except under `vmap`. It must take a key for
    each example (see `per_example`).

    Args:
        functions: Augmentations (key, images) → images, one or more.
        shares: The share of each function, ≥ 0, together at most 1 (static); None gives all of them the same.
        group_size: The number of examples in a group where there is a key for each (static). None takes half of what a
            function is expected to get.

    Returns:
        An augmentation.

    Raises:
        TypeError: A function is not callable, or a share no number.
        ValueError: There is no function, or the shares do not fit.

    Example:
        >>> brighter = lambda key, images: images + 1.0
        >>> images = jnp.zeros((8, 4, 4, 1))
        >>> mixed = mix((brighter,), (0.25,))(jax.random.key(0), images)
        >>> int(mixed.max((1, 2, 3)).sum())
        2
    """
    _check_functions(functions)
    parts = _checked_shares(shares, len(functions))
    if group_size is not None:
        check_integer("group_size", group_size)
    functions = tuple(functions)
    # Compiled once, also where it is called outside of jit.
    by_chance = jax.jit(partial(_by_chance, functions, parts, group_size))

    def mixed(key: ArrayLike, images: ArrayLike) -> jax.Array:
        images = as_batch(images)
        keys = as_keys(key, len(images))
        return by_chance(keys, images) if keys.shape else _by_shares(functions, parts, keys, images)

    return mixed


def per_example(function: Callable[[jax.Array, jax.Array], jax.Array]) -> Images:
    """An augmentation of a batch from a function of one image, mapped by `jax.vmap`.

    Args:
        function: (key, image [H, W, C]) → image of the same shape and dtype.

    Returns:
        An augmentation. Where it is given one key, that of each example is split off it.

    Raises:
        TypeError: `function` is not callable.

    Example:
        >>> mirrored = per_example(lambda key, image: jnp.where(jax.random.bernoulli(key), image[:, ::-1], image))
        >>> mirrored(jax.random.key(0), jnp.zeros((2, 4, 4, 1))).shape
        (2, 4, 4, 1)
    """
    _check_functions((function,))

    def mapped(key: ArrayLike, images: ArrayLike) -> jax.Array:
        images = as_batch(images)
        return jax.vmap(function)(example_keys(key, len(images)), images)

    return mapped


def _by_shares(functions: Sequence[Images], parts: np.ndarray, key: jax.Array, images: jax.Array) -> jax.Array:
    order_key, functions_key = jax.random.split(key)
    order, begin, mixed = jax.random.permutation(order_key, len(images)), 0, images
    for place, (function, size) in enumerate(zip(functions, exact_shares(parts, len(images)), strict=True)):
        own, begin = order[begin : begin + size], begin + size
        if size:
            changed = _applied(function, place, jax.random.fold_in(functions_key, place), images[own])
            mixed = mixed.at[own].set(changed)
    return mixed


def _by_chance(
    functions: Sequence[Images], parts: np.ndarray, group_size: int | None, keys: jax.Array, images: jax.Array
) -> jax.Array:
    size = group_size or max(1, len(images) // (2 * len(functions)))
    draw_keys, own_keys = _folded(keys, 0), _folded(keys, 1)
    drawn = jax.vmap(partial(jax.random.uniform, dtype=jnp.float32))(draw_keys)
    ends = jnp.asarray(np.cumsum(parts), jnp.float32)
    kinds = (1 + (drawn[:, None] >= ends[None]).sum(1)) % (1 + len(functions))

    def of_group(place: int, function: Images) -> Branch[jax.Array]:
        return lambda examples: _applied(function, place, own_keys[examples], images[examples])

    branches = [of_group(place, function) for place, function in enumerate(functions)]
    return in_groups(branches, kinds, images, size)


def exact_shares(parts: np.ndarray, count: int) -> list[int]:
    """How many of `count` examples each function gets, to one example; the rest stays as it is."""
    wanted = np.append(parts, max(0.0, 1 - parts.sum())) * count
    sizes = np.floor(wanted + _ROUNDING).astype(int)
    largest = np.argsort(np.round(sizes - wanted, 6), kind="stable")
    sizes[largest[: count - sizes.sum()]] += 1
    return sizes[:-1].tolist()


def _folded(keys: jax.Array, place: int) -> jax.Array:
    fold = partial(jax.random.fold_in, data=place)
    return jax.vmap(fold)(keys) if keys.shape else fold(keys)


def _applied(function: Images, place: int, keys: jax.Array, images: jax.Array) -> jax.Array:
    changed = function(keys, images)
    shape, dtype = getattr(changed, "shape", None), getattr(changed, "dtype", None)
    if (shape, dtype) != (images.shape, images.dtype):
        raise ValueError(
            f"function {place} must give images of shape {images.shape} and dtype {images.dtype}; got {brief(changed)}."
        )
    return changed


def _check_functions(functions: object) -> None:
    if not isinstance(functions, Sequence) or not len(functions):
        raise ValueError(f"functions must be one or more of (key, images); got {brief(functions)}.")
    for place, function in enumerate(functions):
        if not callable(function):
            raise TypeError(f"function {place} must be a function of (key, images); got {brief(function)}.")


def _checked_shares(shares: Sequence[float] | None, count: int) -> np.ndarray:
    if shares is None:
        return np.full(count, 1 / count)
    if len(shares) != count:
        raise ValueError(f"shares must be as many as functions, {count}; got {brief(shares)}.")
    parts = np.array([check_number("each of shares", share, "[0, 1]") for share in shares])
    if parts.sum() > 1 + _ROUNDING:
        raise ValueError(f"shares must sum to at most 1; got {parts.sum():.6g}.")
    return parts
