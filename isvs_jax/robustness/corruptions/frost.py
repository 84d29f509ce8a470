"""Frost over an image, with textures made of noise in place of photographs.

The originals cut their frost from five photographs (two of them the same). What is kept of those
here is their statistics: mean colour, contrast within an image, and how much the mean differs from
place to place. The decay of the spectrum was set so that a ResNet-20 loses about as much accuracy as
under the photographs at the 32-pixel table; docs/notes/corruptions.md has both.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import draw, linear_interpolation, select, separable
from isvs_jax.robustness.corruptions.weather import grey

# One row a photograph of the originals: mean red, green, blue; standard deviation within an image
# and of the mean between images, all in grey levels.
PHOTOGRAPHS = np.array(
    [
        [78, 149, 166, 14, 10],
        [201, 205, 214, 18, 8],
        [201, 205, 214, 18, 8],
        [138, 153, 165, 26, 9],
        [112, 123, 135, 34, 10],
    ]
)
# Exponent β of each. The originals shrink the photographs for small images without smoothing, which
# leaves more of the fine detail.
EXPONENTS = {
    32: np.array([1.85, 2.1, 2.1, 1.65, 1.85]),
    64: np.array([2.3, 2.3, 2.3, 1.8, 2.1]),
    224: np.array([2.6, 2.3, 2.3, 1.9, 2.3]),
}


def texture(keys: jax.Array, height: int, width: int, exponent: jax.Array) -> jax.Array:
    """Fractal noise with creases: octaves of which every one is a fold, |n|, of smooth noise.

    An octave of wavelength 2^o has the amplitude 2^(o(β − 2)/2), which would give the spectrum
    |k|^−β if octaves were narrow; as they are, it falls somewhat slower.

    Args:
        keys: one PRNG key an image, [B].
        height: in pixels.
        width: in pixels.
        exponent: β, [B].

    Returns:
        float32 [B, H, W, 1], mean 0 and standard deviation 1 in each image.
    """
    octaves = range(max(min(height, width).bit_length() - 1, 1))
    grids = [(height // 2**octave + 2, width // 2**octave + 2) for octave in octaves]
    # One draw for all octaves: every draw is compiled by itself.
    ends = np.cumsum([rows * columns for rows, columns in grids])
    normal = draw(jax.random.normal, keys, (int(ends[-1]),), jnp.float32)
    total = jnp.zeros((keys.shape[0], height, width, 1), jnp.float32)
    for octave, grid, end in zip(octaves, grids, ends, strict=True):
        spacing = 2**octave
        nodes = normal[:, end - grid[0] * grid[1] : end].reshape(-1, *grid, 1)
        smooth = separable(
            nodes,
            linear_interpolation(jnp.arange(height, dtype=jnp.float32) / spacing, grid[0]),
            linear_interpolation(jnp.arange(width, dtype=jnp.float32) / spacing, grid[1]),
        )
        amplitude = 2.0 ** (octave * (exponent.astype(jnp.float32) - 2) / 2)
        total = total - amplitude[:, None, None, None] * jnp.abs(smooth)
    total = total - total.mean((1, 2, 3), keepdims=True)
    spread = total.std((1, 2, 3), keepdims=True)
    return total / jnp.where(spread > 0, spread, 1)


def frost(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray, *, table_size: int) -> jax.Array:
    """c₀·x + c₁·frost, the frost a bluish texture like one of five photographs."""
    _, height, width, _ = images.shape
    weight, frost_weight = select(table, level, images.dtype)
    kind_keys, drift_keys, texture_keys = jax.vmap(lambda key: jax.random.split(key, 3), 0, 1)(keys)
    kind = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(PHOTOGRAPHS)))(kind_keys)
    look = jnp.asarray(PHOTOGRAPHS / 255, images.dtype)[kind][:, None, None, :]
    exponent = jnp.asarray(EXPONENTS[table_size], images.dtype)[kind]
    drift = draw(jax.random.normal, drift_keys, (1, 1, 1), images.dtype)
    relief = texture(texture_keys, height, width, exponent).astype(images.dtype)
    layer = jnp.clip(look[..., :3] + look[..., 4:] * drift + look[..., 3:4] * relief, 0, 1)
    return weight * images + frost_weight * (layer if images.shape[-1] == 3 else grey(layer))
