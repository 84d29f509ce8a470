"""Operators on the pixel grid that several corruptions share: blurs, zooms, motion, draws and grey levels.

Blurs and zooms are separable, so each is a pair of small matrices, made in NumPy and float64 for all severities at
once; a traced severity then picks its own.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.filters.linear import Border, gaussian_matrix, separable

HIGHEST = jax.lax.Precision.HIGHEST  # no TF32: the formulas hold to one grey level


def gaussian_matrices(
    sigmas: np.ndarray, size: int, *, truncate: float = 4.0, border: Border = "nearest"
) -> np.ndarray:
    """Gaussian blur of a line of pixels, one matrix for each sigma: float64 [len(sigmas), size, size]."""
    return np.stack([gaussian_matrix(size, float(sigma), truncate=truncate, border=border) for sigma in sigmas])


def gaussian_filter(images: jax.Array, level: jax.Array, sigmas: np.ndarray) -> jax.Array:
    """Blur [B, H, W, C] as `skimage.filters.gaussian` does, with the edge pixels repeated."""
    rows, columns = (select(gaussian_matrices(sigmas, size), level, images.dtype) for size in images.shape[1:3])
    return separable(images, rows, columns)


def zoom_coordinates(size: int, factor: float) -> np.ndarray:
    """Where each pixel of a centred zoom is read, as `scipy.ndimage.zoom` places it.

    The middle ceil(size / factor) pixels are stretched to round(that · factor) pixels, so that the ends fall on the
    ends, and the middle `size` of those are kept.

    Returns:
        float64 [size] in [0, size − 1].
    """
    cropped = int(np.ceil(size / factor))
    first = (size - cropped) // 2
    zoomed = round(cropped * factor)
    trim = (zoomed - size) // 2
    # One pixel has no two ends to put on each other.
    step = (cropped - 1) / (zoomed - 1) if zoomed > 1 else 0.0
    return first + (np.arange(size) + trim) * step


def linear_interpolation(coordinates: jax.Array, size: int) -> jax.Array:
    """The matrix [n, size] that reads a line of pixels at n coordinates in [0, size − 1] by linear interpolation."""
    pixels = jnp.arange(size, dtype=coordinates.dtype)
    return jnp.maximum(1 - jnp.abs(coordinates[:, None] - pixels[None, :]), 0)


def select(table: np.ndarray, level: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The row of a table at a traced level from 0 to 4, in the dtype of the images."""
    return jnp.asarray(table, dtype)[level]


def motion_weights(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The taps of motion blur, a one-sided Gaussian, for all severities.

    Args:
        table: The radius and the sigma in pixels of each severity, [5, 2].

    Returns:
        The weights float64 [5, T], each row of sum 1 and zero past its own taps, and the numbers of taps int64 [5],
        which are 2·radius + 1.
    """
    counts = 2 * table[:, 0].astype(np.int64) + 1
    taps = np.arange(counts.max())
    weights = np.exp(-0.5 * (taps / table[:, 1:]) ** 2) * (taps < counts[:, None])
    return weights / weights.sum(1, keepdims=True), counts


def motion(images: jax.Array, angles: jax.Array, weights: jax.Array, count: jax.Array) -> jax.Array:
    """Blur along a line of whole pixels, as ImageMagick does: y(p) = Σ_i w_i x(p + round(i·(cos a, sin a))).

    Args:
        images: float [B, H, W, C]; beyond their borders the edge pixels are repeated.
        angles: The angle a of each image in degrees, [B].
        weights: The weights w of the taps, [T].
        count: How many of the taps are used, a scalar integer.

    Returns:
        Images of the same shape.
    """
    _, height, width, channels = images.shape
    reach = weights.shape[0] - 1
    sine, cosine = jnp.sin(jnp.deg2rad(angles)), jnp.cos(jnp.deg2rad(angles))
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")

    def window(image: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
        start = (reach + down, reach + right, jnp.zeros_like(down))
        return jax.lax.dynamic_slice(image, start, (height, width, channels))

    def add_tap(tap: jax.Array, total: jax.Array) -> jax.Array:
        length = tap.astype(sine.dtype)
        down = jnp.ceil(length * sine - 0.5).astype(jnp.int32)
        right = jnp.ceil(length * cosine - 0.5).astype(jnp.int32)
        return total + weights[tap] * jax.vmap(window)(padded, down, right)

    return jax.lax.fori_loop(0, count, add_tap, jnp.zeros_like(images))


def floor_to_grey_level(images: jax.Array) -> jax.Array:
    """Truncate values in [0, 1] to multiples of 1/255, as the originals do on their way to uint8.

    A value that rounding left just below a grey level (1/255 · 255 = 0.99999…) counts as that level.
    """
    return jnp.floor(255 * images + 2**-10) / 255


def draw(
    sample: Callable[..., jax.Array],
    keys: jax.Array,
    shape: tuple[int, ...],
    dtype: jnp.dtype,
    **limits: float,
) -> jax.Array:
    """Draw one random array for each of B keys: [B, *shape].

    The draws are of float32 whatever `dtype` is, so that float64 runs see the same noise as float32 ones.
    """
    drawn = jax.vmap(lambda key: sample(key, shape, jnp.float32, **limits))(keys)
    return drawn.astype(dtype)
