"""Linear operators on the pixel grid that several corruptions share.

Blurs and zooms are separable, so each is a pair of small matrices, made in NumPy and float64 for
all severities at once; a traced severity then picks its own.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

HIGHEST = jax.lax.Precision.HIGHEST  # no TF32: the formulas hold to one grey level


def border_index(position: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Pixel that stands for a position outside the grid.

    Args:
        position: integers, any shape, inside or outside [0, size).
        size: number of pixels.
        mode: "nearest" (a a | a b c | c c), "reflect" (b a | a b c | c b: SciPy's name) or
            "mirror" (c b | a b c | b a: OpenCV's REFLECT_101).

    Returns:
        Integers in [0, size).
    """
    if mode == "nearest" or size == 1:
        return np.clip(position, 0, size - 1)
    if mode == "reflect":
        folded = np.mod(position, 2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    folded = np.mod(position, 2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)


def gaussian_weights(sigma: float, truncate: float) -> np.ndarray:
    """Normalised samples of a Gaussian up to `truncate` sigmas, as SciPy cuts them."""
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    if radius == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()


def gaussian_matrices(sigmas: np.ndarray, size: int, *, truncate: float = 4.0, mode: str = "nearest") -> np.ndarray:
    """Gaussian blur of a line of pixels, one matrix a sigma.

    Args:
        sigmas: widths in pixels; 0 is the identity.
        size: pixels of the line.
        truncate: reach of the kernel in sigmas.
        mode: border, as in `border_index`.

    Returns:
        float64 [len(sigmas), size, size].
    """
    matrices = np.zeros((len(sigmas), size, size))
    pixels = np.arange(size)
    for matrix, sigma in zip(matrices, sigmas, strict=True):
        weights = gaussian_weights(float(sigma), truncate)
        radius = len(weights) // 2
        index = border_index(pixels[:, None] + np.arange(-radius, radius + 1), size, mode)
        np.add.at(matrix, (pixels[:, None], index), weights)
    return matrices


def zoom_coordinates(size: int, factor: float) -> np.ndarray:
    """Where each pixel of a centred zoom is read, as `scipy.ndimage.zoom` places it.

    The middle ceil(size / factor) pixels are stretched to round(that · factor) pixels, the ends on
    the ends, and the middle `size` of those are kept.

    Returns:
        float64 [size], in [0, size - 1].
    """
    cropped = int(np.ceil(size / factor))
    first = (size - cropped) // 2
    zoomed = round(cropped * factor)
    trim = (zoomed - size) // 2
    # One pixel has no two ends to put on each other.
    step = (cropped - 1) / (zoomed - 1) if zoomed > 1 else 0.0
    return first + (np.arange(size) + trim) * step


def linear_interpolation(coordinates: jax.Array, size: int) -> jax.Array:
    """Matrix of linear interpolation: [n] coordinates in [0, size - 1] -> [n, size]."""
    pixels = jnp.arange(size, dtype=coordinates.dtype)
    return jnp.maximum(1 - jnp.abs(coordinates[:, None] - pixels), 0)


def separable(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """`rows` over the vertical axis and `columns` over the horizontal one of [B, H, W, C]."""
    along_rows = jnp.einsum("ih,bhwc->biwc", rows, images, precision=HIGHEST)
    return jnp.einsum("jw,biwc->bijc", columns, along_rows, precision=HIGHEST)


def select(table: np.ndarray, level: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Row of a table for a traced level 0..4, in the images' dtype."""
    return jnp.asarray(table, dtype)[level]


def gaussian_filter(images: jax.Array, level: jax.Array, sigmas: np.ndarray) -> jax.Array:
    """Blur of [B, H, W, C] as `skimage.filters.gaussian` does it (edge pixels repeated)."""
    _, height, width, _ = images.shape
    rows = select(gaussian_matrices(sigmas, height), level, images.dtype)
    columns = select(gaussian_matrices(sigmas, width), level, images.dtype)
    return separable(images, rows, columns)


def floor_to_grey_level(images: jax.Array) -> jax.Array:
    """The originals' conversion to uint8, which truncates: [0, 1] -> multiples of 1/255.

    A value that rounding left just under a grey level (1/255 · 255 = 0.99999…) stays on it.
    """
    return jnp.floor(255 * images + 2**-10) / 255


def draw(
    sample: Callable[..., jax.Array],
    keys: jax.Array,
    shape: tuple[int, ...],
    dtype: jnp.dtype,
    **limits: float,
) -> jax.Array:
    """One random array an image: [B] keys -> [B, *shape].

    Drawn in float32 whatever `dtype` is, so that float64 runs see the same noise as float32 ones.
    """
    drawn = jax.vmap(lambda key: sample(key, shape, jnp.float32, **limits))(keys)
    return drawn.astype(dtype)
