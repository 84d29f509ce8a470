"""Noise: Gaussian, shot, impulse and speckle.

Every function takes images [B, H, W, C] in [0, 1], one key for each image, a traced level from 0 to 4 and the table
[5, number of parameters] of the corruption; the caller clips what comes out to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import draw, select


def gaussian_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """X + c·n with standard normal n."""
    (deviation,) = select(table, level, images.dtype)
    return images + deviation * draw(jax.random.normal, keys, images.shape[1:], images.dtype)


def speckle_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """X + c·x·n with standard normal n."""
    (deviation,) = select(table, level, images.dtype)
    return images * (1 + deviation * draw(jax.random.normal, keys, images.shape[1:], images.dtype))


def _poisson_tables(photons: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The distribution functions of Poisson variables at the 256 grey levels.

    Args:
        photons: The mean at white.
        length: The entries of each table.

    Returns:
        The first count of each table, int64 [256], and the probabilities of that count or fewer, of one more or fewer,
        and so on, float64 [256, length]. Seven deviations to both sides are covered.
    """
    means = photons * np.arange(256) / 255
    first = np.maximum(np.floor(means - 7 * np.sqrt(means)) - 8, 0).astype(np.int64)
    counts = np.arange(first.max() + length)
    log_factorials = np.concatenate([[0], np.cumsum(np.log(counts[1:]))])
    logarithms = counts * np.log(np.maximum(means, 1e-300))[:, None] - log_factorials
    distribution = np.cumsum(np.exp(logarithms - means[:, None]), 1)
    return first, np.stack([row[k : k + length] for row, k in zip(distribution, first, strict=True)])


def _small_poisson(uniform: jax.Array, mean: jax.Array, terms: int) -> jax.Array:
    """Poisson counts of small means, drawn by inversion, of at most `terms`."""
    probability = jnp.exp(-mean)
    total, counts = probability, jnp.zeros_like(mean)
    for count in range(1, terms + 1):
        counts = counts + (uniform >= total).astype(counts.dtype)
        probability = probability * mean / count
        total = total + probability
    return counts


def shot_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """The noise of counting photons, Poisson(c·x)/c.

    The sum of two Poisson variables is a Poisson variable, so the count at a pixel is drawn as that of the grey level
    below it, by a search in a table, plus that of the small rest, by inversion. Each inverts a uniform number of 23
    bits and is right to that.
    """
    photons = table[:, 0]
    # A power of two, for the search, over 14 deviations and the 8 counts left over on each side.
    length = 1 << int(np.ceil(np.log2(14 * np.sqrt(photons.max()) + 24)))
    tables = [_poisson_tables(value, length) for value in photons]
    first = select(np.stack([row for row, _ in tables]), level, jnp.int32)
    distribution = select(np.stack([row for _, row in tables]), level, jnp.float32).ravel()
    (scale,) = select(table, level, jnp.float32)

    uniform = draw(jax.random.uniform, keys, (2, *images.shape[1:]), jnp.float32)
    values = images.astype(jnp.float32)
    grey = jnp.clip(jnp.floor(255 * values), 0, 255)
    row = grey.astype(jnp.int32) * length
    position = jnp.zeros_like(row)
    step = length // 2
    while step:  # how many entries of the row are at most the uniform number
        passed = distribution[row + position + step - 1] <= uniform[:, 0]
        position = position + jnp.where(passed, step, 0)
        step //= 2
    counts = first[grey.astype(jnp.int32)] + position
    rest = jnp.maximum(scale * (values - grey / 255), 0)
    # P(more than 13) of a mean of 500/255 is under 2^-23.
    total = counts.astype(jnp.float32) + _small_poisson(uniform[:, 1], rest, 13)
    return total.astype(images.dtype) / scale.astype(images.dtype)


def impulse_noise(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Set each value to 0 with probability c/2 and to 1 with probability c/2.

    One uniform number decides both, so there is as much salt as pepper.
    """
    (amount,) = select(table, level, images.dtype)
    uniform = draw(jax.random.uniform, keys, images.shape[1:], images.dtype)
    salted = jnp.where(uniform < amount, 1, images)
    return jnp.where(uniform < amount / 2, 0, salted).astype(images.dtype)
