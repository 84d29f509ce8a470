"""Large work in parts: a batch block by block, a path in chunks of steps, and images split over devices.

What a path holds besides its images is held for one block at a time, and what its gradient holds for about √N steps.
"""

from collections.abc import Callable
from functools import partial, wraps
from math import gcd, isqrt, prod
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

Tree = TypeVar("Tree")
Carry = TypeVar("Carry")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Pixels times channels of a block, enough to keep all cores or the device busy. Measured on a CPU:
# benchmarks/blocks.py.
_CPU_BLOCK = 1 << 19
_BLOCK = 1 << 23
# Images of a block at least: single ones of 224 × 224 pixels keep two cores less busy than four.
_FEWEST = 4


def map_blocks(
    function: Callable[..., Tree],
    image: jax.Array,
    *per_image: jax.Array,
    axis: int = 0,
    copies: int = 1,
    most: int | None = None,
) -> Tree:
    """`function` of a batch, called with one block of its images after another where the batch is large.

    Args:
        function: Of images [..., H, W, C] and of `per_image`, [...] each, image by image; to a pytree of arrays.
        image: [..., H, W, C].
        per_image: Numbers that broadcast against the leading axes of `image`.
        axis: Where in what the function returns the leading axes of the images begin.
        copies: How many states of an image are held at a time; a block has so many fewer images.
        most: Images of a block; None is chosen by their size and the platform.

    Returns:
        What the function returns.
    """
    leading = image.shape[:-3]
    count = prod(leading)
    if most is None:
        block = _CPU_BLOCK if jax.default_backend() == "cpu" else _BLOCK
        most = max(_FEWEST, block // (copies * prod(image.shape[-3:])))
    devices = gcd(count, jax.device_count())
    number, size = _blocks(count // devices, max(1, most // devices))
    arrays = (image, *(jnp.broadcast_to(value, leading) for value in per_image))
    if number == 1:
        return function(*arrays)
    flat = (array.reshape(count, *array.shape[len(leading) :]) for array in arrays)
    split = tuple(_split(array, number, size, devices) for array in flat)

    def joined(leaf: jax.Array) -> jax.Array:
        leaf = _joined(leaf, axis, count, devices)
        return leaf.reshape(*leaf.shape[:axis], *leading, *leaf.shape[axis + 1 :])

    return jax.tree.map(joined, jax.lax.map(lambda block: function(*block), split))


def _blocks(count: int, most: int) -> tuple[int, int]:
    """Number and size of equal blocks; more but smaller ones, down to half, where they fill without a rest."""
    fewest = -(-count // most) if count else 1
    highest = max(fewest, min(2 * fewest - 1, count // _FEWEST))
    number = next((number for number in range(fewest, highest + 1) if count % number == 0), fewest)
    return number, -(-count // number)


def _split(array: jax.Array, number: int, size: int, devices: int) -> jax.Array:
    """[N, ...] to [number, devices · size, ...]: a block takes every number-th image of each device's share.

    Not neighbouring images of the batch: where it is split over devices, each has its share of every block and nothing
    is gathered. Zeros fill the last images of a share.
    """
    array = array.reshape(devices, -1, *array.shape[1:])
    missing = number * size - array.shape[1]
    if missing:
        array = jnp.pad(array, ((0, 0), (0, missing), *((0, 0) for _ in array.shape[2:])))
    array = jnp.moveaxis(array.reshape(devices, size, number, *array.shape[2:]), 2, 0)
    return array.reshape(number, devices * size, *array.shape[3:])


def _joined(leaf: jax.Array, axis: int, count: int, devices: int) -> jax.Array:
    """The inverse of `_split`: of [number, ..., devices · size, ...], `axis` that of the images in what came back."""
    leaf = jnp.moveaxis(leaf, 0, axis + 1)
    leaf = leaf.reshape(*leaf.shape[:axis], devices, -1, *leaf.shape[axis + 2 :])
    leaf = jax.lax.slice_in_dim(leaf, 0, count // devices, axis=axis + 1)
    return leaf.reshape(*leaf.shape[:axis], count, *leaf.shape[axis + 2 :])


def scan_steps(body: Callable[[Carry, Any], Carry], carry: Carry, steps: Any) -> Carry:
    """`lax.scan` over steps that keeps about 2√N carries for the gradient.

    The steps go in about √N chunks; a chunk, and each step within it, is computed again in the backward pass. Steps of
    zeros may be added to fill the last chunk: `body` must take them as steps of size 0, which change nothing.

    Args:
        body: (carry, step) to carry.
        carry: A pytree of arrays.
        steps: A pytree of arrays with a leading axis of N steps.
    """
    length = jax.tree.leaves(steps)[0].shape[0]
    if length == 0:
        return carry
    chunk, chunks = _chunks(length)

    @jax.checkpoint
    def one_step(carry: Carry, step: Any) -> tuple[Carry, None]:
        return body(carry, step), None

    @jax.checkpoint
    def one_chunk(carry: Carry, steps: Any) -> tuple[Carry, None]:
        return jax.lax.scan(one_step, carry, steps)

    def chunked(leaf: jax.Array) -> jax.Array:
        filled = jnp.pad(leaf, ((0, chunk * chunks - length), *((0, 0) for _ in leaf.shape[1:])))
        return filled.reshape(chunks, chunk, *leaf.shape[1:])

    return jax.lax.scan(one_chunk, carry, jax.tree.map(chunked, steps))[0]


def _chunks(length: int) -> tuple[int, int]:
    """Chunk size near √length and number of chunks, with the fewest steps added."""
    root = isqrt(length)
    sizes = range(max(1, root - root // 3), root + root // 3 + 2)
    chunk = min(sizes, key=lambda size: (-length % size, abs(size - root)))
    return chunk, -(-length // chunk)


def left_to_compiler(
    out_specs: Callable[[PartitionSpec], object],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Make a function of images leave its sharding to the compiler, which splits a path image by image.

    On meshes with explicit axes the sharding is part of the type of an array, and every operation must say its own.
    Without a mesh, and on one without explicit axes, the function stays as it is.

    Args:
        out_specs: From the specification of the leading axes of the image, the first argument of the function, to
            those of what the function returns: a pytree of the same structure. Keyword arguments are static.
    """

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def called(*args: Arguments.args, **static: Arguments.kwargs) -> Result:
            if AxisType.Explicit not in jax.sharding.get_abstract_mesh().axis_types:
                return function(*args, **static)
            spec = jax.typeof(args[0]).sharding.spec
            leading = PartitionSpec(*spec[:-3])
            return jax.sharding.auto_axes(partial(function, **static), out_sharding=out_specs(leading))(*args)

        return called

    return decorated
