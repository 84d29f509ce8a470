"""Spatter: drops of water (severities 1 to 3) or mud (4 and 5) on the lens.

The relief of the water drops goes through the integer stages of OpenCV (Canny edges, chamfer distance, histogram
equalisation, a bump filter), written here for whole batches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import draw, gaussian_filter, select
from isvs_jax.robustness.corruptions.weather import GREY_WEIGHTS

WATER = np.array([175, 238, 238]) / 255
MUD = np.array([63, 42, 20]) / 255
BUMP = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
LARGEST_DISTANCE = 20


def _shift(planes: jax.Array, down: int, right: int, mode: str, fill: float = 0) -> jax.Array:
    """The value at (row + down, column + right) of planes [B, H, W]; beyond the border `mode` says what it is."""
    _, height, width = planes.shape
    reach = max(abs(down), abs(right))
    pads = ((0, 0), (reach, reach), (reach, reach))
    filled = {"constant_values": fill} if mode == "constant" else {}
    padded = jnp.pad(planes, pads, mode=mode, **filled)
    return jax.lax.slice(
        padded,
        (0, reach + down, reach + right),
        (planes.shape[0], reach + down + height, reach + right + width),
    )


def _filter(planes: jax.Array, kernel: tuple[tuple[float, ...], ...], mode: str) -> jax.Array:
    """Correlate planes [B, H, W] with a 3×3 kernel."""
    return sum(
        weight * _shift(planes, row - 1, column - 1, mode)
        for row, line in enumerate(kernel)
        for column, weight in enumerate(line)
        if weight
    )  # type: ignore[return-value]


def canny(levels: jax.Array, low: float, high: float) -> jax.Array:
    """The Canny edges of OpenCV, with Sobel gradients of 3×3 pixels and |gx| + |gy| as their magnitude.

    Args:
        levels: Whole grey levels from 0 to 255, [B, H, W].
        low: The threshold of an edge that continues another.
        high: The threshold of an edge by itself.

    Returns:
        bool [B, H, W].
    """
    gx = _filter(levels, ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), "edge")
    gy = _filter(levels, ((-1, -2, -1), (0, 0, 0), (1, 2, 1)), "edge")
    magnitude = jnp.abs(gx) + jnp.abs(gy)

    def near(down: int, right: int) -> jax.Array:
        return _shift(magnitude, down, right, "constant")

    tangent = float(np.sqrt(2)) - 1  # of 22.5°, between two of the four directions
    flat = jnp.abs(gy) < tangent * jnp.abs(gx)
    steep = jnp.abs(gy) > (tangent + 2) * jnp.abs(gx)
    across = (magnitude > near(0, -1)) & (magnitude >= near(0, 1))
    along = (magnitude > near(-1, 0)) & (magnitude >= near(1, 0))
    falling = (magnitude > near(-1, -1)) & (magnitude > near(1, 1))
    rising = (magnitude > near(-1, 1)) & (magnitude > near(1, -1))
    diagonal = jnp.where((gx < 0) ^ (gy < 0), rising, falling)
    ridge = jnp.where(flat, across, jnp.where(steep, along, diagonal))

    weak = ridge & (magnitude > low)
    strong = ridge & (magnitude > high)

    def grow(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        edges, _ = state
        around = [_shift(edges, i, j, "constant", False) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        grown = weak & jnp.any(jnp.stack(around), 0)
        return grown, jnp.any(grown != edges)

    return jax.lax.while_loop(lambda state: state[1], grow, (strong, jnp.any(strong)))[0]


def chamfer_distance(edges: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The 5×5 chamfer distance of OpenCV to the nearest edge, cut at LARGEST_DISTANCE: [B, H, W]."""
    steps = [(0, 1, 1.0), (1, 1, 1.4), (1, 2, 2.1969)]
    moves = {
        (a * down, b * right): length
        for i, j, length in steps
        for down, right in ((i, j), (j, i))
        for a in (-1, 1)
        for b in (-1, 1)
    }
    far = jnp.asarray(LARGEST_DISTANCE, dtype)

    def relax(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        distance, _ = state
        shorter = distance
        for (down, right), length in moves.items():
            moved = _shift(distance, down, right, "constant", LARGEST_DISTANCE)
            shorter = jnp.minimum(shorter, moved + length)
        return shorter, jnp.any(shorter != distance)

    start = (jnp.where(edges, jnp.zeros_like(far), far), jnp.any(edges))
    return jax.lax.while_loop(lambda state: state[1], relax, start)[0]


def equalise(levels: jax.Array) -> jax.Array:
    """Equalise the histogram of whole levels from 0 to LARGEST_DISTANCE as OpenCV does: [B, H, W] from 0 to 255."""
    values = jnp.arange(LARGEST_DISTANCE + 1, dtype=levels.dtype)
    equal = levels[..., None] == values.reshape(1, 1, 1, -1)
    counts = equal.sum((1, 2)).astype(levels.dtype)
    lowest = levels.min((1, 2))
    first = jnp.where(values[None] == lowest[:, None], counts, 0).sum(1)
    total = levels.shape[1] * levels.shape[2]
    cumulative = jnp.cumsum(counts, 1) - first[:, None]
    scale = 255 / jnp.where(total > first, total - first, 1)
    mapping = jnp.floor(cumulative * scale[:, None] + 0.5)
    mapped = jnp.where(equal, mapping[:, None, None], 0).sum(-1)
    return jnp.where((total > first)[:, None, None], mapped, levels)


def water_relief(liquid: jax.Array) -> jax.Array:
    """The brightness of the drops, the largest of each image being 1.

    Args:
        liquid: The thickness of the liquid, 0 where there is none, [B, H, W] in [0, 1].

    Returns:
        Planes of the same shape, in [0, 1].
    """
    levels = jnp.floor(255 * liquid)
    distance = chamfer_distance(canny(levels, 50, 150), liquid.dtype)
    box = ((1, 1, 1),) * 3
    distance = jnp.floor(_filter(distance, box, "reflect") / 9)
    bump = jnp.clip(_filter(equalise(distance), BUMP, "reflect"), 0, 255)
    relief = levels * jnp.floor(_filter(bump, box, "reflect") / 9 + 0.5)
    largest = relief.max((1, 2), keepdims=True)
    return relief / jnp.where(largest > 0, largest, 1)


def spatter(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Put drops where smoothed noise is above a threshold.

    Water is added, x + c₄·relief·turquoise; mud covers, (1 − m)·x + m·brown, with m the smoothed drops where they are
    above 0.8.
    """
    _, height, width, channels = images.shape
    mean, deviation, _, threshold, strength, mud = select(table, level, images.dtype)
    layer = draw(jax.random.normal, keys, (height, width, 1), images.dtype)
    layer = gaussian_filter(mean + deviation * layer, level, table[:, 2])

    def colour(shade: np.ndarray) -> jax.Array:
        grey = np.array([shade @ np.array(GREY_WEIGHTS)])
        return jnp.asarray(shade if channels == 3 else grey, images.dtype).reshape(1, 1, 1, channels)

    def water() -> jax.Array:
        liquid = jnp.where(layer < threshold, 0, jnp.clip(layer, 0, 1))
        return images + strength * water_relief(liquid[..., 0])[..., None] * colour(WATER)

    def cover() -> jax.Array:
        drops = (layer > threshold).astype(images.dtype)
        drops = gaussian_filter(drops, level, np.where(table[:, 5] > 0, table[:, 4], 0))
        drops = jnp.where(drops < 0.8, 0, drops)
        return (1 - drops) * images + drops * colour(MUD)

    return jax.lax.cond(mud > 0, cover, water)
