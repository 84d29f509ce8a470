"""The filters that the path is compared with: Gaussian blur, ideal low-pass and total variation.

None wraps around: the image is continued by its mirror image at every border, or, for total variation, has no
differences across it. The linear ones are products with small matrices, which are made in NumPy from the static
strength and run in full precision on every device.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike, as_image, check_num_steps, compute_dtype
from isvs_jax._cosine import dct_matrix
from isvs_jax._edges import Edges, difference, difference_adjoint

# A Gaussian is cut off after so many standard deviations.
_TRUNCATE = 4.0
# ‖D‖² ≤ 8: the step of gradient descent on the dual of total variation.
_STEP = 1 / 8


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


def rof(images: jax.Array, weight: float, *, iterations: int = 100) -> jax.Array:
    """Total variation denoising of Rudin, Osher and Fatemi, each channel for itself.

    u = argmin ½‖u − x‖² + weight·Σ |∇u|, with |∇u| of a pixel the Euclidean norm of its two forward differences: the
    minimiser that scikit-image's `denoise_tv_chambolle` approaches as its eps goes to 0. Computed on the dual problem,
    u = x − Dᵀq with |q| ≤ weight, by accelerated projected gradient descent; the distance to the minimiser falls
    about as 1/iterations², and after 100 it is a grey level or less for weights up to 0.1.

    Args:
        images: float [..., H, W, C].
        weight: > 0.
        iterations: Of the accelerated descent (static).

    Returns:
        Shape and dtype of `images`.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: `weight` is not positive and finite, or `iterations` is not a positive integer.

    Example:
        >>> step = jnp.zeros((4, 8, 1)).at[:, 4:].set(1.0)
        >>> rof(step, 0.1)[0, :, 0].round(3).tolist()[3:5]  # each half moves by weight / its width
        [0.02500000037252903, 0.9750000238418579]

    References:
        Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60 (1992).
        Chambolle, "An algorithm for total variation minimization and applications", JMIV 20 (2004).
        Beck, Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and deblurring
        problems", IEEE Trans. Image Process. 18 (2009).
    """
    images = as_image(images, "images")
    if not 0 < weight < float("inf"):
        raise ValueError(f"weight is {weight}; it may be finite and > 0.")
    check_num_steps(iterations)
    return _rof(images, jnp.asarray(weight), iterations=iterations)


def radii(height: int, width: int) -> np.ndarray:
    """Radial frequencies of the DCT-II as shares of the Nyquist frequency, float64 [H, W]."""
    rows, columns = np.arange(height) / height, np.arange(width) / width
    # 3/5 and 4/5 are to make 1: half a rounding error is taken off.
    return np.hypot(rows[:, None], columns[None, :]) * (1 - 1e-12)


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


@partial(jax.jit, static_argnames="iterations")
def _rof(images: jax.Array, weight: jax.Array, *, iterations: int) -> jax.Array:
    values = images.astype(compute_dtype(images.dtype))
    weight = weight.astype(values.dtype)

    def descend(carry: tuple[Edges, Edges], momentum: jax.Array) -> tuple[tuple[Edges, Edges], None]:
        dual, ahead = carry
        slope = difference(values - difference_adjoint(ahead))
        moved = _into_ball(jax.tree.map(lambda q, d: q + _STEP * d, ahead, slope), weight)
        ahead = jax.tree.map(lambda new, old: new + momentum * (new - old), moved, dual)
        return (moved, ahead), None

    # From the images, so that under shard_map the dual varies over the mesh as they do.
    start = jax.tree.map(lambda edges: 0 * edges, difference(values))
    (dual, _), _ = jax.lax.scan(descend, (start, start), jnp.asarray(_momenta(iterations), values.dtype))
    return (values - difference_adjoint(dual)).astype(images.dtype)


def _momenta(iterations: int) -> np.ndarray:
    momenta, t = np.empty(iterations), 1.0
    for k in range(iterations):
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momenta[k], t = (t - 1) / following, following
    return momenta


def _into_ball(dual: Edges, weight: jax.Array) -> Edges:
    """The nearest field in which the two forward edges of a pixel together have norm `weight` at most."""
    none = [(0, 0)] * (dual.horizontal.ndim - 3)
    horizontal = jnp.pad(dual.horizontal, [*none, (0, 0), (0, 1), (0, 0)])
    vertical = jnp.pad(dual.vertical, [*none, (0, 1), (0, 0), (0, 0)])
    excess = jnp.maximum(jnp.sqrt(horizontal**2 + vertical**2) / weight, 1)
    return Edges(dual.horizontal / excess[..., :-1, :], dual.vertical / excess[..., :-1, :, :])
