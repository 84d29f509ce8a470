"""The operations of AugMix on grey levels, the integers 0 to 255, as those of Pillow.

An operation is one look-up followed by one bilinear sampling, of which one does nothing, so that a choice among nine
costs one of each.
"""

import jax
import jax.numpy as jnp
import numpy as np

TABLES = ("autocontrast", "equalize", "posterize", "solarize")
MAPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = TABLES + MAPS

_LEVELS = 256
_TOP_LEVEL = 10


def apply_operation(image: jax.Array, operation: jax.Array, level: jax.Array, sign: jax.Array) -> jax.Array:
    """Apply an operation to grey levels.

    Args:
        image: Grey levels, float32 [H, W, C] holding integers 0 to 255.
        operation: The number of the operation in `OPERATIONS`; may be traced.
        level: The strength in (0, 10]; autocontrast and equalize have none.
        sign: The direction of a rotation, a shear or a translation, 1 or -1.

    Returns:
        Grey levels of the same shape.
    """
    is_table = operation < len(TABLES)
    pixels = image.astype(jnp.int32)
    counts = jax.vmap(_histogram, in_axes=-1)(pixels)
    identity = jnp.broadcast_to(jnp.arange(_LEVELS), counts.shape)
    candidates = jnp.stack(
        [
            jax.vmap(autocontrast_table)(counts),
            jax.vmap(equalize_table)(counts),
            jnp.broadcast_to(posterize_table(4 - _whole(level, 4)), counts.shape),
            jnp.broadcast_to(solarize_table(_LEVELS - _whole(level, _LEVELS)), counts.shape),
        ]
    )
    table = jnp.where(is_table, candidates[jnp.minimum(operation, len(TABLES) - 1)], identity)
    looked_up = jax.vmap(lambda entries, plane: entries[plane], in_axes=(0, -1), out_axes=-1)(table, pixels)
    matrices = affine_maps(level, sign, image.shape[0], image.shape[1])
    matrix = jnp.where(
        is_table, jnp.eye(2, 3, dtype=jnp.float32), matrices[jnp.clip(operation - len(TABLES), 0, len(MAPS) - 1)]
    )
    return sample(looked_up.astype(jnp.float32), matrix)


def _whole(level: jax.Array, top: float) -> jax.Array:
    """The whole part of the strength that a level stands for, `top` at level 10."""
    return jnp.floor(level * top / _TOP_LEVEL).astype(jnp.int32)


def _histogram(plane: jax.Array) -> jax.Array:
    # From the pixels, so that under shard_map the counts vary over the mesh as they do.
    empty = jnp.zeros(_LEVELS, jnp.int32) + 0 * plane.ravel()[0]
    return empty.at[plane.ravel()].add(1)


def autocontrast_table(counts: jax.Array) -> jax.Array:
    """Stretch the grey levels that occur to 0..255; the table is int32 [256], as are the counts."""
    levels, occurs = jnp.arange(_LEVELS), counts > 0
    low = jnp.min(jnp.where(occurs, levels, _LEVELS - 1))
    high = jnp.max(jnp.where(occurs, levels, 0))
    stretched = (levels - low) * 255 // jnp.maximum(high - low, 1)
    return jnp.where(high > low, jnp.clip(stretched, 0, 255), levels)


def equalize_table(counts: jax.Array) -> jax.Array:
    """Make the distribution of grey levels as even as a table can, with Pillow's rounding."""
    levels = jnp.arange(_LEVELS)
    last = counts[jnp.max(jnp.where(counts > 0, levels, 0))]
    step = (counts.sum() - last) // 255
    below = jnp.cumsum(counts) - counts
    even = jnp.clip((step // 2 + below) // jnp.maximum(step, 1), 0, 255)
    # One grey level, or so few pixels that the step is 0: as it was.
    return jnp.where(step > 0, even, levels)


def posterize_table(bits: jax.Array) -> jax.Array:
    """Keep the `bits` highest of the eight bits."""
    kept = 255 - (jnp.left_shift(1, 8 - bits) - 1)
    return jnp.bitwise_and(jnp.arange(_LEVELS), kept)


def solarize_table(threshold: jax.Array) -> jax.Array:
    """Invert grey levels from `threshold` on."""
    levels = jnp.arange(_LEVELS)
    return jnp.where(levels < threshold, levels, 255 - levels)


def affine_maps(level: jax.Array, sign: jax.Array, height: int, width: int) -> jax.Array:
    """Compute the maps of `MAPS` as matrices [5, 2, 3] from (x, y, 1) of the result to (x, y) of the source.

    Coordinates are those of Pillow: x to the right, y down, the centre of the first pixel at (½, ½).
    """

    def steps(top: float) -> jax.Array:
        return sign * _whole(level, top).astype(sign.dtype)

    angle = jnp.deg2rad(steps(30))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    centre_x, centre_y = width / 2, height / 2
    shear = sign * level * 0.3 / _TOP_LEVEL
    across, down = steps(width / 3), steps(height / 3)
    zero, one = jnp.zeros_like(shear), jnp.ones_like(shear)
    rows = [
        [cosine, -sine, centre_x - cosine * centre_x + sine * centre_y],
        [sine, cosine, centre_y - sine * centre_x - cosine * centre_y],
        [one, shear, zero],
        [zero, one, zero],
        [one, zero, zero],
        [shear, one, zero],
        [one, zero, across],
        [zero, one, zero],
        [one, zero, zero],
        [zero, one, down],
    ]
    return jnp.stack([jnp.stack(row) for row in rows]).reshape(len(MAPS), 2, 3)


def sample(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Sample grey levels [H, W, C] bilinearly under an affine map; what comes from outside is 0, as in Pillow."""
    height, width = image.shape[:2]
    x = jnp.asarray(np.arange(width)[None, :] + 0.5, jnp.float32)
    y = jnp.asarray(np.arange(height)[:, None] + 0.5, jnp.float32)
    source_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    source_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    left, top = jnp.floor(source_x - 0.5), jnp.floor(source_y - 0.5)
    along, down = (source_x - 0.5 - left)[..., None], (source_y - 0.5 - top)[..., None]

    def at(row: jax.Array, column: jax.Array) -> jax.Array:
        row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
        return image[row.astype(jnp.int32), column.astype(jnp.int32)]

    upper = at(top, left) * (1 - along) + at(top, left + 1) * along
    lower = at(top + 1, left) * (1 - along) + at(top + 1, left + 1) * along
    value = jnp.floor(upper * (1 - down) + lower * down)
    return jnp.where(inside[..., None], value, 0)
