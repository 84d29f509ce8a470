"""Smoothing to a time chosen by the noise of each image: what is clean stays as it is."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI, scale_space, smooth
from isvs_jax.robustness import Defence


def noise_level(images: jax.Array) -> jax.Array:
    """The standard deviation of white noise in images, from what is left of them by a mask blind to planes.

        σ ≈ √(π/2)/6 · mean|N ∗ x|,   N = (1 −2 1; −2 4 −2; 1 −2 1)

    Texture counts as noise, so that the level of a clean photograph is not 0.

    Args:
        images: float [..., H, W, C], at least 3×3.

    Returns:
        σ, shape [...].

    References:
        Immerkær, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996).

    Example:
        >>> noise = 0.1 * jax.random.normal(jax.random.key(0), (64, 64, 3))
        >>> round(float(noise_level(0.5 + noise)), 2)
        0.1
    """
    bent = images[..., 2:, :, :] - 2 * images[..., 1:-1, :, :] + images[..., :-2, :, :]
    left = bent[..., 2:, :] - 2 * bent[..., 1:-1, :] + bent[..., :-2, :]
    return sqrt(jnp.pi / 2) / 6 * jnp.abs(left).mean((-3, -2, -1))


def noise_level_defence(times: Sequence[float], solver: SplitLBI = SplitLBI()) -> Defence:
    """Smooth each image to a time that its noise allows, or not at all.

    Noise of level σ enters from about 0.7/σ on in colour images, 1/σ in grey ones; 1/(√3 σ) is before both. Each image
    is smoothed to the latest of the times before that; where all are later, to the earliest; and an image whose noise
    enters only past twice the latest time stays as it is.

    Args:
        times: The times, increasing and > 0.
        solver: The flow.

    Raises:
        ValueError: `times` is empty, not increasing, or not positive and finite.
    """
    if (
        not times
        or not all(0 < time < float("inf") for time in times)
        or any(late <= early for early, late in pairwise(times))
    ):
        raise ValueError(f"times must be one or more increasing finite numbers > 0; got {tuple(times)}.")

    def forward(images: jax.Array) -> jax.Array:
        entry = 1 / (sqrt(3) * jnp.maximum(jax.lax.stop_gradient(noise_level(images)), 1e-6))
        path = scale_space(images, times, solver)
        later = jnp.sum(path.times[:, None] <= entry, axis=0)
        chosen = jnp.maximum(later - 1, 0)[None, :, None, None, None]
        smoothed = jnp.take_along_axis(path.dense, chosen, axis=0)[0]
        return jnp.where((entry > 2 * times[-1])[:, None, None, None], images, smoothed)

    def low_pass(images: jax.Array) -> jax.Array:
        return smooth(images, 0.0, solver)

    listed = ", ".join(f"{time:g}" for time in times)
    return Defence(forward, low_pass, f"smoothing, dense, t of {listed} by the noise of each image, {solver}")
