"""The linear filters that the path is compared with: Gaussian blur and ideal low-pass.

Neither wraps around: beyond a border the image goes on as its mirror image. Both are products with small matrices,
which are made in NumPy from the static strength and multiplied in full precision on every device.
"""

from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, check_choice, check_number
from isvs_jax._images import as_image, compute_dtype
from isvs_jax.solver.cosine import dct_matrix

Border = Literal["nearest", "reflect", "mirror"]


def gaussian_blur(images: jax.Array, sigma: float) -> jax.Array:
    """Convolve with a Gaussian, each channel for itself.

    The kernel exp(−j²/2σ²), |j| ≤ ⌊4σ + ½⌋, divided by its sum, runs along rows and columns; beyond a border the image
    goes on as its mirror image (d c b a | a b c d | d c b a), as often as the kernel needs.

    Args:
        images: float [..., H, W, C].
        sigma: The standard deviation in pixels, ≥ 0 (static); 0 gives the image back.

    Returns:
        Images with the shape and dtype of `images`.

    Raises:
        TypeError: `images` is not of a floating dtype, or `sigma` is no number.
        ValueError: `sigma` is negative or not finite.

    Example:
        >>> gaussian_blur(jnp.eye(3)[..., None], 0.5)[1, 1, 0].round(2).item() < 1
        True
    """
    images = as_image(images, "images", any_range=True)
    sigma = check_number("sigma", sigma, "[0, inf)", unit="number of pixels")
    return _blur(images, *(gaussian_matrix(size, sigma) for size in images.shape[-3:-1]))


def low_pass(images: jax.Array, cutoff: float) -> jax.Array:
    """Keep low frequencies as they are and remove the others, each channel for itself.

    Keeps the orthonormal DCT-II coefficients (k, l) with (k/H)² + (l/W)² ≤ cutoff²; the others become zero. This is the
    ideal radial low-pass of the FFT on the image continued by its mirror images, k/H and l/W being shares of the
    Nyquist frequency. The corners of the spectrum lie beyond 1, so a cut-off of 1 still removes them.

    Args:
        images: float [..., H, W, C].
        cutoff: A share of the Nyquist frequency in (0, 1] (static).

    Returns:
        Images with the shape and dtype of `images`; values may leave [0, 1] beside edges.

    Raises:
        TypeError: `images` is not of a floating dtype, or `cutoff` is no number.
        ValueError: `cutoff` is not in (0, 1].

    Example:
        >>> wave = jnp.cos(jnp.pi * (jnp.arange(8) + 0.5) / 2)  # k = 4 of 8: half of the Nyquist frequency
        >>> images = jnp.broadcast_to(wave, (8, 8))[..., None]
        >>> bool(jnp.allclose(low_pass(images, 0.6), images, atol=1e-6)), float(abs(low_pass(images, 0.4)).max()) < 1e-6
        (True, True)
    """
    images = as_image(images, "images", any_range=True)
    cutoff = check_number("cutoff", cutoff, "(0, 1]", unit="share of the Nyquist frequency")
    return _masked(images, radii(*images.shape[-3:-1]) <= cutoff)


def radii(height: int, width: int) -> np.ndarray:
    """Radial frequencies of the DCT-II as shares of the Nyquist frequency, float64 [H, W]."""
    rows, columns = np.arange(height) / height, np.arange(width) / width
    # The radius of 3/5 and 4/5 must count as 1: half a rounding error is taken off.
    return np.hypot(rows[:, None], columns[None, :]) * (1 - 1e-12)


def gaussian_matrix(size: int, sigma: float, *, truncate: float = 4.0, border: Border = "reflect") -> np.ndarray:
    """The Gaussian blur of a line of pixels as a matrix, that of `scipy.ndimage.gaussian_filter1d`.

    Args:
        size: The number of pixels.
        sigma: The standard deviation in pixels, ≥ 0; 0 gives the identity.
        truncate: The number of standard deviations after which the kernel is cut off.
        border: What lies beyond the ends of the line, as in `border_index`.

    Returns:
        float64 [size, size], whose rows sum to 1.

    Example:
        >>> gaussian_matrix(3, 0.5, border="nearest").round(2).tolist()
        [[0.89, 0.11, 0.0], [0.11, 0.79, 0.11], [0.0, 0.11, 0.89]]
    """
    radius = int(truncate * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if radius else np.ones(1)
    pixels = np.arange(size)[:, None]
    matrix = np.zeros((size, size))
    np.add.at(matrix, (pixels, border_index(pixels + offsets, size, border)), kernel / kernel.sum())
    return matrix


def border_index(position: np.ndarray, size: int, border: Border) -> np.ndarray:
    """The pixels that stand for positions on a line that goes on beyond its ends.

    Args:
        position: Integers of any shape, inside or outside of [0, size).
        size: The number of pixels of the line.
        border: "nearest" (a a | a b c | c c), "reflect" (b a | a b c | c b) or "mirror" (c b | a b c | b a), which
            OpenCV calls REFLECT_101; all as in `scipy.ndimage`.

    Returns:
        Integers in [0, size).

    Raises:
        ValueError: `border` is none of these.

    Example:
        >>> [border_index(np.arange(-2, 5), 3, border).tolist() for border in ("reflect", "mirror")]
        [[1, 0, 0, 1, 2, 2, 1], [2, 1, 0, 1, 2, 1, 0]]
    """
    check_choice("border", border, get_args(Border))
    if border == "nearest" or size == 1:
        return np.clip(position, 0, size - 1)
    # Of a mirrored line each end is there twice ("reflect") or once ("mirror").
    last = 2 * size - 1 if border == "reflect" else 2 * size - 2
    folded = position % (2 * size if border == "reflect" else last)
    return np.minimum(folded, last - folded)


@jax.jit
def _blur(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    return separable(images.astype(compute_dtype(images.dtype)), rows, columns).astype(images.dtype)


@jax.jit
def _masked(images: jax.Array, keep: jax.Array) -> jax.Array:
    values = images.astype(compute_dtype(images.dtype))
    rows, columns = (dct_matrix(size) for size in images.shape[-3:-1])
    kept = jnp.broadcast_to(keep[..., None], images.shape)
    coefficients = jnp.where(kept, separable(values, rows, columns), 0)
    return separable(coefficients, rows.T, columns.T).astype(images.dtype)


def separable(images: jax.Array, rows: ArrayLike, columns: ArrayLike) -> jax.Array:
    """Multiply images [..., H, W, C] by one matrix along their height and one along their width, in full precision."""
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    down = product("ij,...jwc->...iwc", jnp.asarray(rows, images.dtype), images)
    return product("ij,...hjc->...hic", jnp.asarray(columns, images.dtype), down)
