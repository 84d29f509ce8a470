"""Weather: snow, frost, fog and brightness. Spatter has its own file.

Every function takes images [B, H, W, C] in [0, 1], a key an image, a traced level 0..4 and the
parameter table [5, number of parameters]; the caller clips to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._motion import motion, motion_weights
from isvs_jax.robustness.corruptions._operators import (
    draw,
    linear_interpolation,
    select,
    separable,
    zoom_coordinates,
)

GREY_WEIGHTS = (0.299, 0.587, 0.114)


def grey(images: jax.Array) -> jax.Array:
    """Luminance of [..., C] images, [..., 1]; a grey image is its own."""
    if images.shape[-1] == 1:
        return images
    weights = jnp.asarray(GREY_WEIGHTS, images.dtype)
    return (images * weights).sum(-1, keepdims=True)


def brightness(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Adds: v + c for the value v of HSV, cut at 1; hue and saturation stay."""
    del keys
    (added,) = select(table, level, images.dtype)
    value = images.max(-1, keepdims=True)
    brighter = jnp.minimum(value + added, 1)
    # Black has no hue: it becomes grey.
    return jnp.where(value > 0, images * (brighter / jnp.where(value > 0, value, 1)), brighter)


def plasma(key: jax.Array, size: int, decay: jax.Array) -> jax.Array:
    """Plasma fractal by the diamond-square algorithm, periodic, scaled to [0, 1].

    At every level the centres of the squares, then of the diamonds, become the mean of their four
    neighbours plus w²·U(−1, 1), w = 100·decay^(−level).

    Args:
        key: a PRNG key.
        size: a power of two.
        decay: of w from a level to the next.

    Returns:
        float32 [size, size].
    """
    # One draw for all levels: every draw is compiled by itself.
    uniform = jax.random.uniform(key, (size * size - 1,), minval=-1.0)
    corners = jnp.zeros((1, 1), jnp.float32)
    wibble = jnp.asarray(100.0, jnp.float32)
    for _ in range(size.bit_length() - 1):  # shapes double, so this loop cannot be a scan
        n = corners.shape[0]
        noise = wibble**2 * uniform[n * n - 1 : 4 * n * n - 1].reshape(3, n, n)
        pairs = corners + jnp.roll(corners, -1, 0)
        centres = (pairs + jnp.roll(pairs, -1, 1)) / 4 + noise[0]
        across = centres + jnp.roll(centres, 1, 0) + corners + jnp.roll(corners, -1, 1)
        down = centres + jnp.roll(centres, 1, 1) + corners + jnp.roll(corners, -1, 0)
        even = jnp.stack([corners, across / 4 + noise[1]], -1).reshape(n, 2 * n)
        odd = jnp.stack([down / 4 + noise[2], centres], -1).reshape(n, 2 * n)
        corners = jnp.stack([even, odd], 1).reshape(2 * n, 2 * n)
        wibble = wibble / decay
    low, high = corners.min(), corners.max()
    return (corners - low) / jnp.where(high > low, high - low, 1)


def fog(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """(x + c₀·plasma)·m/(m + c₀), m the largest value of the image."""
    _, height, width, _ = images.shape
    weight, decay = select(table, level, images.dtype)
    size = 1 << (max(height, width) - 1).bit_length()
    maps = jax.vmap(plasma, (0, None, None))(keys, size, decay.astype(jnp.float32))
    maps = maps[:, :height, :width, None].astype(images.dtype)
    largest = images.max((1, 2, 3), keepdims=True)
    return (images + weight * maps) * largest / (largest + weight)


def snow(
    images: jax.Array,
    keys: jax.Array,
    level: jax.Array,
    table: np.ndarray,
    *,
    quantize: bool = False,
) -> jax.Array:
    """Zoomed, thresholded and motion-blurred noise, added twice, over a whitened image."""
    _, height, width, _ = images.shape
    mean, deviation, _, threshold, _, _, share = select(table, level, images.dtype)
    layer_keys, angle_keys = jax.vmap(jax.random.split, 0, 1)(keys)
    layer = draw(jax.random.normal, layer_keys, (height, width, 1), images.dtype)

    def zoom(size: int) -> jax.Array:
        coordinates = np.array([zoom_coordinates(size, factor) for factor in table[:, 2]])
        return linear_interpolation(select(coordinates, level, images.dtype), size)

    layer = separable(mean + deviation * layer, zoom(height), zoom(width))
    layer = jnp.clip(jnp.where(layer < threshold, 0, layer), 0, 1)
    weights, counts = motion_weights(table[:, 4:6])
    angles = draw(jax.random.uniform, angle_keys, (), images.dtype, minval=-135.0, maxval=-45.0)
    layer = motion(layer, angles, select(weights, level, images.dtype), select(counts, level, jnp.int32))
    if quantize:
        layer = jnp.floor(255 * layer + 0.5) / 255
    white = jnp.maximum(images, 1.5 * grey(images) + 0.5)
    return share * images + (1 - share) * white + layer + layer[:, ::-1, ::-1]
