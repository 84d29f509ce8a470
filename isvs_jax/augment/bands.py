"""Bands: an image as a sum, from its large-scale features to its finest detail, by the path or by Gaussians."""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax._images import as_image
from isvs_jax.augment.views import check_strengths
from isvs_jax.filters.linear import gaussian_blur
from isvs_jax.filters.matching import matched_strength
from isvs_jax.solver._scale_space import scale_space
from isvs_jax.solver.split_lbi import SplitLBI


def path_bands(images: ArrayLike, times: ArrayLike, solver: SplitLBI = SplitLBI()) -> jax.Array:
    """The bands of images along their paths: x = u(t₁) + [u(t₂) − u(t₁)] + ... + [x − u(t_K)].

    Each band holds what enters between two times; the first one the large-scale features, with the mean of every
    channel, the last one what has not entered yet. A path is followed once, to the last time.

    Args:
        images: x, float [..., H, W, C], usually in [0, 1].
        times: t₁, ..., t_K, strictly increasing times ≥ 0.
        solver: The flow and how it is integrated.

    Returns:
        The K + 1 bands [K + 1, ..., H, W, C], in the dtype of `images`, differentiable; their sum is x to rounding.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: A shape or a time is out of its range.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
        >>> bands = path_bands(images, (1.0, 2.0, 4.0))
        >>> bands.shape, bool(jnp.allclose(bands.sum(0), images, atol=1e-6))
        ((4, 2, 8, 8, 3), True)
    """
    images = as_image(images, "images")
    return between(scale_space(images, times, solver).dense, images)


def blur_bands(images: ArrayLike, sigmas: Sequence[float]) -> jax.Array:
    """The bands of images between Gaussian blurs, what `path_bands` is compared with.

    Args:
        images: x, float [..., H, W, C], usually in [0, 1].
        sigmas: The K standard deviations in pixels, strictly falling, > 0 (static); see `matched_sigmas`.

    Returns:
        The K + 1 bands [K + 1, ..., H, W, C], coarsest first, in the dtype of `images`; their sum is x to rounding.

    Raises:
        TypeError: `images` is not of a floating dtype, or a width is no number.
        ValueError: The widths do not fall, or one is out of its range.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
        >>> blur_bands(images, (2.0, 1.0)).shape
        (3, 2, 8, 8, 3)
    """
    images = as_image(images, "images")
    widths = check_sigmas(sigmas)
    return between(jnp.stack([gaussian_blur(images, sigma) for sigma in widths]), images)


def matched_sigmas(images: ArrayLike, times: Sequence[float], solver: SplitLBI = SplitLBI()) -> tuple[float, ...]:
    """The widths at which Gaussian blurs move images as far as the path does at some times.

    Equal is the residual energy, mean |x − u(t)|² over all pixels and channels (see `filters.matched_strength`).

    Args:
        images: float [..., H, W, C] in [0, 1], on which energies are measured.
        times: Strictly increasing times.
        solver: The flow and how it is integrated.

    Returns:
        A standard deviation in pixels for each time.

    Raises:
        TypeError: `images` is not of a floating dtype.
        ValueError: A shape or a time is out of its range, or no blur removes as much.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
        >>> wide, narrow = matched_sigmas(images, (1.0, 4.0))
        >>> wide > narrow
        True
    """
    images = as_image(images, "images")
    residuals = np.asarray(images, np.float64) - np.asarray(scale_space(images, times, solver).dense, np.float64)
    energies = np.mean(residuals**2, axis=tuple(range(1, residuals.ndim)))
    return tuple(matched_strength("blur", images, float(energy)) for energy in energies)


def between(levels: jax.Array, images: jax.Array) -> jax.Array:
    """The bands [K + 1, ...] between levels [K, ...], coarsest first, and the images."""
    ends = jnp.concatenate([levels, images[None]])
    return jnp.concatenate([ends[:1], jnp.diff(ends, axis=0)])


def check_sigmas(sigmas: Sequence[float]) -> tuple[float, ...]:
    """The widths as floats, positive and strictly falling."""
    widths = check_strengths("sigmas", sigmas, "number of pixels")
    if any(narrow >= wide for wide, narrow in pairwise(widths)):
        raise ValueError(f"sigmas must be strictly falling; got {widths}.")
    return widths
