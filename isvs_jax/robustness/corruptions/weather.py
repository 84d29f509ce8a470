"""Weather: snow, frost, fog and brightness. Spatter has its own file.

Every function takes images [B, H, W, C] in [0, 1], one key for each image, a traced level from 0 to 4 and the table
[5, number of parameters] of the corruption; the caller clips what comes out to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.filters.linear import separable
from isvs_jax.robustness.corruptions._operators import (
    draw,
    linear_interpolation,
    motion,
    motion_weights,
    select,
    zoom_coordinates,
)

GREY_WEIGHTS = (0.299, 0.587, 0.114)

# The originals cut their frost from five photographs, two of them the same. Here textures made of noise stand in their
# place, with their statistics. One row for each photograph: the mean red, green and blue, the standard deviation within
# an image and that of the mean between images, all in grey levels.
PHOTOGRAPHS = np.array(
    [
        [78, 149, 166, 14, 10],
        [201, 205, 214, 18, 8],
        [201, 205, 214, 18, 8],
        [138, 153, 165, 26, 9],
        [112, 123, 135, 34, 10],
    ]
)
# The exponent β of the spectrum of each, set so that a ResNet-20 loses about as much accuracy as under the photographs
# with the table of 32 pixels (docs/notes/corruptions.md has both). The originals shrink the photographs for small
# images without smoothing, which leaves more of the fine detail.
EXPONENTS = {
    32: np.array([1.85, 2.1, 2.1, 1.65, 1.85]),
    64: np.array([2.3, 2.3, 2.3, 1.8, 2.1]),
    224: np.array([2.6, 2.3, 2.3, 1.9, 2.3]),
}


def grey(images: jax.Array) -> jax.Array:
    """The luminance [..., 1] of images [..., C]; that of a grey image is the image."""
    if images.shape[-1] == 1:
        return images
    weights = jnp.asarray(GREY_WEIGHTS, images.dtype).reshape((1,) * (images.ndim - 1) + (3,))
    return (images * weights).sum(-1, keepdims=True)


def brightness(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """V + c in place of the value v of HSV, cut at 1; hue and saturation stay."""
    del keys
    (added,) = select(table, level, images.dtype)
    value = images.max(-1, keepdims=True)
    brighter = jnp.minimum(value + added, 1)
    # Black has no hue: it becomes grey.
    return jnp.where(value > 0, images * (brighter / jnp.where(value > 0, value, 1)), brighter)


def plasma(key: jax.Array, size: int, decay: jax.Array) -> jax.Array:
    """A plasma fractal by the diamond-square algorithm, periodic and scaled to [0, 1].

    At every level the centres of the squares, then of the diamonds, become the mean of their four neighbours plus
    w²·U(−1, 1), where w = 100·decay^(−level).

    Args:
        key: A PRNG key.
        size: The side in pixels, a power of two.
        decay: The factor by which w falls from a level to the next.

    Returns:
        float32 [size, size].
    """
    # One draw for all levels: every draw is compiled by itself.
    uniform = jax.random.uniform(key, (size * size - 1,), jnp.float32, minval=-1.0)
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
    """(x + c₀·plasma)·m/(m + c₀) with the largest value m of the image."""
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
    """Whiten the image and add zoomed, thresholded and motion-blurred noise, once as it is and once turned around."""
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


def texture(keys: jax.Array, height: int, width: int, exponent: jax.Array) -> jax.Array:
    """Fractal noise with creases: the sum of octaves, each the fold |n| of smooth noise n.

    An octave of wavelength 2^o has the amplitude 2^(o(β − 2)/2), which would give the spectrum |k|^−β if octaves were
    narrow; since they are not, it falls somewhat slower.

    Args:
        keys: One PRNG key for each image, [B].
        height: The height in pixels.
        width: The width in pixels.
        exponent: The exponent β of each image, [B].

    Returns:
        float32 [B, H, W, 1] of mean 0 and standard deviation 1 in each image.
    """
    octaves = range(max(min(height, width).bit_length() - 1, 1))
    grids = [(height // 2**octave + 2, width // 2**octave + 2) for octave in octaves]
    # One draw for all octaves: every draw is compiled by itself.
    ends = np.cumsum([rows * columns for rows, columns in grids])
    normal = draw(jax.random.normal, keys, (int(ends[-1]),), jnp.float32)
    total = jnp.zeros((keys.shape[0], height, width, 1), jnp.float32)
    for octave, grid, end in zip(octaves, grids, ends, strict=True):
        spacing = 2**octave
        nodes = normal[:, end - grid[0] * grid[1] : end].reshape(-1, *grid, 1)
        smooth = separable(
            nodes,
            linear_interpolation(jnp.arange(height, dtype=jnp.float32) / spacing, grid[0]),
            linear_interpolation(jnp.arange(width, dtype=jnp.float32) / spacing, grid[1]),
        )
        amplitude = 2.0 ** (octave * (exponent.astype(jnp.float32) - 2) / 2)
        total = total - amplitude[:, None, None, None] * jnp.abs(smooth)
    total = total - total.mean((1, 2, 3), keepdims=True)
    spread = total.std((1, 2, 3), keepdims=True)
    return total / jnp.where(spread > 0, spread, 1)


def frost(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray, *, table_size: int) -> jax.Array:
    """c₀·x + c₁·frost, where the frost is a bluish texture like one of five photographs."""
    _, height, width, _ = images.shape
    weight, frost_weight = select(table, level, images.dtype)
    kind_keys, drift_keys, texture_keys = jax.vmap(lambda key: jax.random.split(key, 3), 0, 1)(keys)
    kind = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(PHOTOGRAPHS)))(kind_keys)
    look = jnp.asarray(PHOTOGRAPHS / 255, images.dtype)[kind][:, None, None, :]
    exponent = jnp.asarray(EXPONENTS[table_size], images.dtype)[kind]
    drift = draw(jax.random.normal, drift_keys, (1, 1, 1), images.dtype)
    relief = texture(texture_keys, height, width, exponent).astype(images.dtype)
    layer = jnp.clip(look[..., :3] + look[..., 4:] * drift + look[..., 3:4] * relief, 0, 1)
    return weight * images + frost_weight * (layer if images.shape[-1] == 3 else grey(layer))
