"""Noise: Gaussian, shot, impulse and speckle.

Every function takes images [B, H, W, C] in [0, 1], a key an image, a traced level 0..4 and the
parameter table [5, number of parameters]; the caller clips to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import draw, select


def gaussian_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Additive: x + c·n, n standard normal."""
    (deviation,) = select(table, level, images.dtype)
    return images + deviation * draw(jax.random.normal, keys, images.shape[1:], images.dtype)


def speckle_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Multiplicative: x + c·x·n, n standard normal."""
    (deviation,) = select(table, level, images.dtype)
    return images * (1 + deviation * draw(jax.random.normal, keys, images.shape[1:], images.dtype))


def shot_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Poisson(c·x)/c."""
    (photons,) = select(table, level, images.dtype)
    counts = jax.vmap(jax.random.poisson)(keys, (photons * images).astype(jnp.float32))
    return counts.astype(images.dtype) / photons


def impulse_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Each value becomes 0 with probability c/2 and 1 with probability c/2.

    One uniform number decides both, so there is as much salt as pepper.
    """
    (amount,) = select(table, level, images.dtype)
    uniform = draw(jax.random.uniform, keys, images.shape[1:], images.dtype)
    salted = jnp.where(uniform < amount, 1, images)
    return jnp.where(uniform < amount / 2, 0, salted).astype(images.dtype)
