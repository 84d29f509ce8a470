"""Motion blur as ImageMagick does it: a one-sided Gaussian along a line of whole pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def motion_weights(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Taps of all severities.

    Args:
        table: [5, 2], radius in pixels and sigma in pixels.

    Returns:
        Weights float64 [5, T], each row of sum 1 and zero past its own taps, and the numbers of
        taps int64 [5], 2·radius + 1.
    """
    counts = 2 * table[:, 0].astype(np.int64) + 1
    taps = np.arange(counts.max())
    weights = np.exp(-0.5 * (taps / table[:, 1:]) ** 2) * (taps < counts[:, None])
    return weights / weights.sum(1, keepdims=True), counts


def motion(images: jax.Array, angles: jax.Array, weights: jax.Array, count: jax.Array) -> jax.Array:
    """y(p) = Σ_i w_i x(p + round(i·(cos a, sin a))), the edge pixels repeated.

    Args:
        images: [B, H, W, C].
        angles: degrees, [B].
        weights: [T].
        count: scalar int, how many of the taps are used.

    Returns:
        [B, H, W, C].
    """
    _, height, width, channels = images.shape
    reach = weights.shape[0] - 1
    sine, cosine = jnp.sin(jnp.deg2rad(angles)), jnp.cos(jnp.deg2rad(angles))
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")

    def window(image: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
        start = (reach + down, reach + right, jnp.zeros_like(down))
        return jax.lax.dynamic_slice(image, start, (height, width, channels))

    def add_tap(tap: jax.Array, total: jax.Array) -> jax.Array:
        down = jnp.ceil(tap * sine - 0.5).astype(jnp.int32)
        right = jnp.ceil(tap * cosine - 0.5).astype(jnp.int32)
        return total + weights[tap] * jax.vmap(window)(padded, down, right)

    return jax.lax.fori_loop(0, count, add_tap, jnp.zeros_like(images))
