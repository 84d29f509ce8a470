"""The filters that the path is compared with: Gaussian blur, ideal low-pass and (in its own file) total variation.

None wraps around: beyond a border the image goes on as its mirror image. The two linear ones are products with small
matrices, which are made in NumPy from the static strength and multiplied in full precision on every device.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, as_image, compute_dtype
from isvs_jax.filters.total_variation import rof
from isvs_jax.solver.cosine import dct_matrix

FilterKind = Literal["blur", "lowpass", "rof"]

# A Gaussian is cut off after so many standard deviations.
_TRUNCATE = 4.0
# The search for a strength ends at this relative difference of energies.
_TOLERANCE = 1e-4
_LONGEST_SEARCH = 40


def gaussian_blur(images: jax.Array, sigma: float) -> jax.Array:
    """Convolution with a Gaussian, each channel for itself.

    The kernel exp(−j²/2σ²), |j| ≤ ⌊4σ + ½⌋, divided by its sum, along rows and columns; beyond a border the image goes
    on as its mirror image (d c b a | a b c d | d c b a), as often as the kernel needs.

    Args:
        images: float [..., H, W, C].
        sigma: The standard deviation in pixels ≥ 0 (static); 0 gives the image back.

    Returns:
        Shape and dtype of `images`.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: `sigma` is negative or not finite.

    Example:
        >>> gaussian_blur(jnp.eye(3)[..., None], 0.5)[1, 1, 0].round(2).item() < 1
        True
    """
    images = as_image(images, "images")
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma is {sigma}; it may be a finite number of pixels ≥ 0.")
    return _blur(images, *(_gaussian_matrix(size, sigma) for size in images.shape[-3:-1]))


def low_pass(images: jax.Array, cutoff: float) -> jax.Array:
    """The ideal low-pass filter, each channel for itself.

    Keeps the orthonormal DCT-II coefficients (k, l) with (k/H)² + (l/W)² ≤ cutoff², the others become zero: the ideal
    radial low-pass of the FFT on the image continued by its mirror images, k/H and l/W being shares of the Nyquist
    frequency. The corners of the spectrum lie beyond 1, so a cut-off of 1 still takes them away.

    Args:
        images: float [..., H, W, C].
        cutoff: In (0, 1], a share of the Nyquist frequency (static).

    Returns:
        Shape and dtype of `images`; values may leave [0, 1] beside edges.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: `cutoff` is not in (0, 1].

    Example:
        >>> wave = jnp.cos(jnp.pi * (jnp.arange(8) + 0.5) / 2)  # k = 4 of 8: half of the Nyquist frequency
        >>> images = jnp.broadcast_to(wave, (8, 8))[..., None]
        >>> bool(jnp.allclose(low_pass(images, 0.6), images, atol=1e-6)), float(abs(low_pass(images, 0.4)).max()) < 1e-6
        (True, True)
    """
    images = as_image(images, "images")
    if not 0 < cutoff <= 1:
        raise ValueError(f"cutoff is {cutoff}; it may be a share of the Nyquist frequency in (0, 1].")
    return _masked(images, radii(*images.shape[-3:-1]) <= cutoff)


def radii(height: int, width: int) -> np.ndarray:
    """Radial frequencies of the DCT-II as shares of the Nyquist frequency, float64 [H, W]."""
    rows, columns = np.arange(height) / height, np.arange(width) / width
    # 3/5 and 4/5 are to make 1: half a rounding error is taken off.
    return np.hypot(rows[:, None], columns[None, :]) * (1 - 1e-12)


def matched_strength(kind: FilterKind, images: ArrayLike, energy: float) -> float:
    """The strength at which a filter takes away a given energy: mean |x − filtered x|² over all pixels and channels.

    Filters of equal residual energy move the images equally far; what differs is what they take away. Found by
    bisection, to one part in ten thousand of the energy; for "lowpass", whose energies are finitely many, it is the
    cut-off of the nearest, half-way between two frequencies.

    Args:
        kind: "blur", "lowpass" or "rof".
        images: float [..., H, W, C] in [0, 1], on which energies are measured.
        energy: > 0, that of the view to be matched.

    Returns:
        sigma, cut-off or weight, with six digits.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: No strength takes away that energy, or an argument cannot be.

    Example:
        >>> import jax
        >>> images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
        >>> taken = float(((images - gaussian_blur(images, 0.8)) ** 2).mean())
        >>> abs(matched_strength("blur", images, taken) - 0.8) < 1e-3
        True
    """
    if kind not in get_args(FilterKind):
        raise ValueError(f"kind is {kind!r}; it may be one of {', '.join(map(repr, get_args(FilterKind)))}.")
    if not 0 < energy < float("inf"):
        raise ValueError(f"energy is {energy}; it may be finite and > 0.")
    images = as_image(images, "images")
    height, width = images.shape[-3:-1]
    filter_ = {"blur": gaussian_blur, "lowpass": low_pass, "rof": rof}[kind]

    def taken(strength: float) -> float:
        residual = np.asarray(images, np.float64) - np.asarray(filter_(images, strength), np.float64)
        return float(np.mean(residual**2))

    if kind == "lowpass":
        strength = _nearest_cutoff(taken, energy, height, width)
    elif kind == "blur":
        # From a kernel of one pixel to one so wide that it leaves the mean alone.
        strength = _bisected(taken, energy, kind, 0.1, 4.0 * max(height, width))
    else:
        # From no change to be seen to a weight that leaves the mean alone.
        strength = _bisected(taken, energy, kind, 1e-6, float(height * width))
    return float(f"{strength:.6g}")


def _gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """Blur along one axis as a matrix [size, size] in float64, the mirror images folded in."""
    radius = int(_TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / max(sigma, 1e-30)) ** 2)
    kernel /= kernel.sum()
    source = (np.arange(size)[:, None] + offsets) % (2 * size)
    source = np.where(source < size, source, 2 * size - 1 - source)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], source), kernel)
    return matrix


@jax.jit
def _blur(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    return _along_both(images.astype(compute_dtype(images.dtype)), rows, columns).astype(images.dtype)


@jax.jit
def _masked(images: jax.Array, keep: jax.Array) -> jax.Array:
    values = images.astype(compute_dtype(images.dtype))
    rows, columns = (dct_matrix(size) for size in images.shape[-3:-1])
    coefficients = jnp.where(keep[..., None], _along_both(values, rows, columns), 0)
    return _along_both(coefficients, rows.T, columns.T).astype(images.dtype)


def _along_both(images: jax.Array, rows: ArrayLike, columns: ArrayLike) -> jax.Array:
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    down = product("ij,...jwc->...iwc", jnp.asarray(rows, images.dtype), images)
    return product("ij,...hjc->...hic", jnp.asarray(columns, images.dtype), down)


def _bisected(taken: Callable[[float], float], energy: float, kind: str, low: float, high: float) -> float:
    """The strength in (low, high) at which the energy taken away, which grows with it, is the one given."""
    least, most = taken(low), taken(high)
    if not least <= energy <= most:
        raise _unreachable(energy, kind, least, most)
    for step in range(_LONGEST_SEARCH):
        # Energies are nearly powers of the strength: every other step interpolates between the logarithms.
        share = np.log(energy / least) / np.log(most / least) if step % 2 and least > 0 else 0.5
        middle = low ** (1 - share) * high**share
        found = taken(middle)
        if abs(found - energy) <= _TOLERANCE * energy:
            break
        if found < energy:
            low, least = middle, found
        else:
            high, most = middle, found
    return middle


def _nearest_cutoff(taken: Callable[[float], float], energy: float, height: int, width: int) -> float:
    radius = np.unique(radii(height, width).round(9))
    inside = np.append(radius[radius < 1], 1)
    cutoffs = (inside[1:] + inside[:-1]) / 2
    least, most = taken(cutoffs[-1]), taken(cutoffs[0])
    if not least <= energy <= most:
        raise _unreachable(energy, "lowpass", least, most)
    # Energies fall along the cut-offs: `low` takes as much or more, `high` as much or less.
    low, high = 0, len(cutoffs) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(cutoffs[middle]) >= energy else (low, middle)
    return min((cutoffs[low], cutoffs[high]), key=lambda cutoff: abs(taken(cutoff) - energy))


def _unreachable(energy: float, kind: str, least: float, most: float) -> ValueError:
    return ValueError(
        f"energy is {energy:.6g}; {kind!r} takes away between {least:.6g} and {most:.6g} of these images, "
        "so no strength matches it."
    )
