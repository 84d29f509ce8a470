"""Group shrinkage on the edges: which edges stand together, and what of them is in the support.

Arrays are planar here: an image is [..., C, H, W], its edges [..., C, H, W-1] and [..., C, H-1, W].
"""

from functools import reduce
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from isvs_jax.solver.edges import Edges

Penalty = Literal["anisotropic", "color", "isotropic"]
PENALTIES: tuple[str, ...] = get_args(Penalty)

_CHANNEL_AXIS = -3
# Up to so many channels, and from so many pixels on, the channels are added one by one.
_FEW_CHANNELS = 4
_MANY_PIXELS = 96 * 96


def shrink(z: Edges, penalty: Penalty) -> Edges:
    """Group shrinkage, z·max(1 − 1/|z|, 0), |z| the Euclidean norm of a group.

    Args:
        z: Planar edges.
        penalty: What a group is: "anisotropic" one edge of one channel, "color" one edge across channels, "isotropic"
            the two forward edges of a pixel across channels.

    Returns:
        Edges of the same shapes; zero exactly where the group has |z| ≤ 1, with zero derivative there.
    """
    squares = squared_norm(z, penalty)
    return Edges(*(_scaled(edge, shrinkage_factor(square)) for edge, square in zip(z, squares, strict=True)))


def support(z: Edges, penalty: Penalty) -> Edges:
    """The groups with |z| > 1, as edges of bool; the channel axis is 1 where the penalty couples channels."""
    squares = squared_norm(z, penalty)
    return Edges(squares.horizontal > 1, squares.vertical > 1)


def squared_norm(z: Edges, penalty: Penalty) -> Edges:
    """|z|² of the group that each edge belongs to, as edges that broadcast against `z`."""
    squares = Edges(z.horizontal**2, z.vertical**2)
    if penalty == "anisotropic":
        return squares
    squares = Edges(*map(_sum_of_channels, squares))
    if penalty == "color":
        return squares
    return _sum_of_pixel(squares)


def _sum_of_channels(planar: jax.Array) -> jax.Array:
    """The sum over the channels, [..., 1, H, W]."""
    return reduce(jnp.add, (part.sum(_CHANNEL_AXIS, keepdims=True) for part in _parts(planar)))


def _scaled(edges: jax.Array, factor: jax.Array) -> jax.Array:
    """Edges times a factor for each of them or one for all channels; its derivative is a sum over the channels."""
    if factor.shape[_CHANNEL_AXIS] == edges.shape[_CHANNEL_AXIS]:
        return edges * factor
    return jnp.concatenate([part * factor for part in _parts(edges)], _CHANNEL_AXIS)


def _parts(planar: jax.Array) -> list[jax.Array]:
    """Few channels of large images one by one, else all together.

    XLA shares a sum over the channels of fewer than four images among the cores in a way that takes ten times as long
    as sums of slices; small images are faster by the one sum (benchmarks/channels.py).
    """
    count, height, width = planar.shape[_CHANNEL_AXIS:]
    apart = count <= _FEW_CHANNELS and height * width >= _MANY_PIXELS
    return jnp.split(planar, count, _CHANNEL_AXIS) if apart else [planar]


def _sum_of_pixel(squares: Edges) -> Edges:
    """To each edge the sum over the forward edges of its pixel; the last row and column have one edge each."""
    leading = [(0, 0)] * (squares.horizontal.ndim - 2)
    pixel = jnp.pad(squares.horizontal, [*leading, (0, 0), (0, 1)]) + jnp.pad(
        squares.vertical, [*leading, (0, 1), (0, 0)]
    )
    return Edges(pixel[..., :, :-1], pixel[..., :-1, :])


def shrinkage_factor(square: jax.Array) -> jax.Array:
    """max(1 − 1/|z|, 0) of |z|²."""
    # The inner `where` keeps the root away from 0, whose infinite slope would make the unused branch's gradient NaN.
    inside = square > 1
    # 0 · square instead of 0: a NaN makes its whole group NaN, not one channel of it.
    return jnp.where(inside, 1 - 1 / jnp.sqrt(jnp.where(inside, square, 1)), 0 * square)
