"""What Square Attack draws: windows of a falling size, stripes and bumps, and the moves made of them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# The queries after which the share of pixels in the window is halved, for a budget of 10,000: early windows move much
# at once and are soon refused, and the smaller ones mend what they left.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Schedule(NamedTuple):
    """How many windows are tried and when they shrink; traced, so that another budget compiles nothing anew.

    Attributes:
        num_queries: The budget, a 0-d int32 array.
        halvings: The queries from which on the share of pixels in the window is halved once more, int32 [9].
    """

    num_queries: jax.Array
    halvings: jax.Array

    def level(self, query: jax.Array) -> jax.Array:
        """How often the share has been halved at a query."""
        return jnp.sum(query >= self.halvings, dtype=jnp.int32)


def schedule_of(num_queries: int, rescale: bool) -> Schedule:
    """The published schedule, or that stretched to the budget."""
    queries = np.arange(num_queries)
    if rescale:
        queries = (queries / num_queries * 10000).astype(int)
    halvings = np.searchsorted(queries, _HALVINGS, side="right")
    return Schedule(jnp.asarray(num_queries, jnp.int32), jnp.asarray(halvings, jnp.int32))


def window_sides(height: int, width: int, norm: str, share: float) -> np.ndarray:
    """The side of the square window after no halving of its share, one, and so on, integers [10]."""
    shares = share / 2.0 ** np.arange(len(_HALVINGS) + 1)
    sides = np.round(np.sqrt(shares * height * width)).astype(int)
    if norm == "l2":
        # The sides are odd and three at least, so that a bump has a middle.
        sides = np.maximum(sides, 3)
        sides += 1 - sides % 2
    return np.clip(sides, 1, min(height, width)).astype(np.int32)


def _bump_half(rows: int, columns: int) -> np.ndarray:
    """The sum of nested boxes around the middle, of which the k-th has the weight 1/k²."""
    middle_row, middle_column = rows // 2, columns // 2
    layers = max(middle_row, middle_column) + 1
    i, j = np.mgrid[:rows, :columns]
    ring = np.maximum(np.abs(i - middle_row), np.abs(j - middle_column))
    weights = 1.0 / np.arange(1, layers + 1) ** 2
    # A pixel of ring r lies in the boxes r, r + 1, and so on.
    inside = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
    return inside[np.minimum(ring, layers)]


def bump(side: int) -> np.ndarray:
    """Two opposite bumps side by side, [side, side], of L2 norm one."""
    first, second = _bump_half(side // 2, side), _bump_half(side - side // 2, side)
    halves = [h / max(float(np.linalg.norm(h)), 1e-12) for h in (first, second)]
    both = np.concatenate([halves[0], -halves[1]])
    return both / np.linalg.norm(both)


def bump_table(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bumps of all sides, padded to the largest, and the row of the table for each side."""
    distinct, rows = np.unique(sides, return_inverse=True)
    table = np.zeros((len(distinct), int(distinct[-1]), int(distinct[-1])))
    for row, side in enumerate(distinct):
        table[row, :side, :side] = bump(int(side))
    return table, rows.astype(np.int32)


def _window(corner: jax.Array, side: jax.Array, height: int, width: int) -> jax.Array:
    """The mask [H, W, 1] of the square of that side below and to the right of the corner."""
    rows = jnp.arange(height, dtype=jnp.int32)[:, None]
    columns = jnp.arange(width, dtype=jnp.int32)[None, :]
    inside_rows = (rows >= corner[0]) & (rows < corner[0] + side)
    return (inside_rows & (columns >= corner[1]) & (columns < corner[1] + side))[..., None]


def _corner(key: jax.Array, side: jax.Array, height: int, width: int) -> jax.Array:
    return jax.random.randint(key, (2,), 0, jnp.array([height, width], jnp.int32) - side + 1, jnp.int32)


def _signs(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    return jax.random.rademacher(key, shape, jnp.int8).astype(dtype)


def stripes(key: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    """The start in L∞: every column of every channel goes up or down by epsilon."""
    signs = _signs(key, (1, *image.shape[1:]), image.dtype)
    return jnp.clip(image + epsilon * signs, 0.0, 1.0)


def propose_linf(
    key: jax.Array, current: jax.Array, image: jax.Array, epsilon: jax.Array, side: jax.Array
) -> jax.Array:
    """Move all of a window to one corner of the cube, the same for each of its pixels."""
    place_key, sign_key = jax.random.split(key)
    height, width, channels = image.shape
    window = _window(_corner(place_key, side, height, width), side, height, width)
    # Twice epsilon reaches the far side of the cube from wherever the window was; clipping brings it back to the side.
    step = 2 * epsilon * _signs(sign_key, (1, 1, channels), image.dtype)
    moved = jnp.where(window, current + step, current)
    return jnp.clip(jnp.clip(moved, image - epsilon, image + epsilon), 0.0, 1.0)


def _to_sphere(delta: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    length = jnp.sqrt(jnp.sum(delta**2))
    return jnp.clip(image + delta * (epsilon / jnp.where(length > 0, length, 1.0)), 0.0, 1.0)


def grid_of_bumps(key: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    """The start in L2: a grid of bumps of random sign."""
    height, width, channels = image.shape
    side = max(min(height, width) // 5, 1)
    down, across = height // side, width // side
    sign_key, turn_key = jax.random.split(key)
    signs = _signs(sign_key, (down, 1, across, 1, channels), image.dtype)
    tile = jnp.asarray(bump(side), image.dtype)
    turned = jax.random.bernoulli(turn_key, 0.5, (down, 1, across, 1))
    tiles = jnp.where(turned, tile.T[None, :, None, :], tile[None, :, None, :])
    grid = (tiles[..., None] * signs).reshape(down * side, across * side, channels)
    delta = jnp.zeros_like(image).at[: down * side, : across * side].set(grid)
    return _to_sphere(delta, image, epsilon)


def propose_l2(
    key: jax.Array,
    current: jax.Array,
    image: jax.Array,
    epsilon: jax.Array,
    side: jax.Array,
    tile: jax.Array,
) -> jax.Array:
    """Take the energy of one window and put it, with a bump, into another, so that the length stays epsilon."""
    place_key, other_key, sign_key, turn_key = jax.random.split(key, 4)
    height, width, channels = image.shape
    delta = current - image
    place = _corner(place_key, side, height, width)
    window = _window(place, side, height, width)
    emptied = _window(_corner(other_key, side, height, width), side, height, width)

    tile = jnp.where(jax.random.bernoulli(turn_key), tile.T, tile)
    canvas = jnp.zeros((height + tile.shape[0], width + tile.shape[1]), image.dtype)
    # Beyond its side the padded tile is zero, so that what hangs over the window adds nothing.
    shape = jax.lax.dynamic_update_slice(canvas, tile, (place[0], place[1]))[:height, :width, None]

    def channel_norm(values: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(values**2, axis=(0, 1), keepdims=True))

    tiny = jnp.asarray(1e-12, image.dtype)
    old = jnp.where(window, delta, 0.0)
    new = shape * _signs(sign_key, (1, 1, channels), image.dtype) + old / (channel_norm(old) + tiny)
    # What clipping to the box has cost is given back, in equal parts to the channels.
    spare = jnp.maximum(epsilon**2 - jnp.sum(delta**2), 0.0) / channels
    taken = channel_norm(jnp.where(window | emptied, delta, 0.0))
    new = new / (channel_norm(new) + tiny) * jnp.sqrt(spare + taken**2)
    delta = jnp.where(window, new, jnp.where(emptied, 0.0, delta))
    return _to_sphere(delta, image, epsilon)
