"""AugMix on the device: chains of simple operations, mixed with one another and with the image.

The chains work on grey levels, the integers 0 to 255, as the original does. Four operations are tables of grey levels,
the other five affine maps, so an operation of a chain is one look-up followed by one bilinear sampling, of which one
does nothing.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

# As the original counts severities.
_TOP_SEVERITY = 10
_LEVELS = 256
_DEEPEST = 3

TABLES = ("autocontrast", "equalize", "posterize", "solarize")
MAPS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = TABLES + MAPS


@dataclass(frozen=True)
class AugMixConfig:
    """The parameters of AugMix.

    Attributes:
        severity: Strength of the operations, in [1, 10].
        width: Number of chains, ≥ 1.
        depth: Operations of a chain, ≥ 1; -1 draws 1, 2 or 3 for each chain.
        alpha: Of the Dirichlet distribution of the chains' weights and of the Beta(alpha, alpha) of the share that the
            chains have beside the image, > 0.

    Raises:
        TypeError: `width` or `depth` is not an integer.
        ValueError: A value that cannot be.
    """

    severity: float = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is {value!r}; it may be an integer.")
        if not 1 <= self.severity <= _TOP_SEVERITY:
            raise ValueError(f"severity is {self.severity}; it may be in [1, {_TOP_SEVERITY}].")
        if self.width < 1:
            raise ValueError(f"width is {self.width}; it may be 1 chain or more.")
        if self.depth < 1 and self.depth != -1:
            raise ValueError(f"depth is {self.depth}; it may be 1 or more, or -1 for 1 to {_DEEPEST} at random.")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha is {self.alpha}; it may be finite and > 0.")


def augmix(keys: jax.Array, images: jax.Array, config: AugMixConfig = AugMixConfig()) -> jax.Array:
    """A random mixture of every image with augmented versions of it.

    (1 − m)·x + m·Σᵢ wᵢ·chainᵢ(x), with w from Dirichlet(alpha, ..., alpha), m from Beta(alpha, alpha) and chains of
    random operations: autocontrast, equalize, posterize, rotate, solarize, shear and translate along x and y. None of
    them is one of the corruptions that robustness is measured with. The operations are those of Pillow, on images
    rounded to grey levels.

    Args:
        keys: A PRNG key for each example, [B]; what becomes of an image depends on its key and on it alone.
        images: float [B, H, W, C] in [0, 1].
        config: The parameters (static).

    Returns:
        Images of the same shape and dtype, in [0, 1]. No gradient passes through the chains.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
        >>> mixed = augmix(jax.random.split(jax.random.key(1), 2), images)
        >>> mixed.shape, bool((mixed >= 0).all() & (mixed <= 1).all())
        ((2, 8, 8, 3), True)

    References:
        Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan, "AugMix: a simple data processing method to improve
        robustness and uncertainty", ICLR 2020.
    """
    if images.ndim != 4:
        raise ValueError(f"images has shape {images.shape}; it may be [B, H, W, C].")
    if keys.shape != images.shape[:1]:
        raise ValueError(f"keys has shape {keys.shape}; it may be {images.shape[:1]}, a key for each example.")
    return jax.vmap(partial(_mix, config=config))(keys, images)


def _mix(key: jax.Array, image: jax.Array, config: AugMixConfig) -> jax.Array:
    weights_key, share_key, chains_key = jax.random.split(key, 3)
    weights = jax.random.dirichlet(weights_key, jnp.full(config.width, config.alpha, jnp.float32))
    share = jax.random.beta(share_key, config.alpha, config.alpha, dtype=jnp.float32)
    chain_keys = jax.random.split(chains_key, config.width)
    grey_levels = jnp.floor(jnp.clip(jax.lax.stop_gradient(image).astype(jnp.float32), 0, 1) * 255 + 0.5)
    chains = jax.vmap(partial(_chain, config=config), in_axes=(0, None))(chain_keys, grey_levels) / 255
    mixed = jnp.einsum("i,ihwc->hwc", weights, chains, precision=jax.lax.Precision.HIGHEST)
    # Convex up to rounding.
    return jnp.clip((1 - share) * image + share * mixed, 0, 1).astype(image.dtype)


def _chain(key: jax.Array, image: jax.Array, config: AugMixConfig) -> jax.Array:
    longest = _DEEPEST if config.depth == -1 else config.depth
    depth_key, operations_key = jax.random.split(key)
    depth = longest if config.depth != -1 else jax.random.randint(depth_key, (), 1, _DEEPEST + 1)

    def step(image: jax.Array, key_and_index: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        key, index = key_and_index
        changed = random_operation(key, image, config.severity)
        return jnp.where(index < depth, changed, image), None

    return jax.lax.scan(step, image, (jax.random.split(operations_key, longest), jnp.arange(longest)))[0]


def random_operation(key: jax.Array, image: jax.Array, severity: float) -> jax.Array:
    """One of the nine operations at a random level up to `severity`, on grey levels float32 [H, W, C]."""
    choice_key, level_key, sign_key = jax.random.split(key, 3)
    operation = jax.random.randint(choice_key, (), 0, len(OPERATIONS))
    level = jax.random.uniform(level_key, (), minval=0.1, maxval=severity)
    sign = jnp.where(jax.random.bernoulli(sign_key), 1.0, -1.0)
    return apply_operation(image, operation, level, sign)


def apply_operation(image: jax.Array, operation: jax.Array, level: jax.Array, sign: jax.Array) -> jax.Array:
    """An operation at a level in (0, 10].

    Args:
        image: Grey levels, float32 [H, W, C] holding integers 0 to 255.
        operation: Its number in `OPERATIONS`, may be traced.
        level: Its strength; autocontrast and equalize have none.
        sign: 1 or -1, the direction of a rotation, a shear or a translation.

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
    matrix = jnp.where(is_table, jnp.eye(2, 3), matrices[jnp.clip(operation - len(TABLES), 0, len(MAPS) - 1)])
    return sample(looked_up.astype(jnp.float32), matrix)


def _whole(level: jax.Array, top: float) -> jax.Array:
    """The whole part of the strength that a level stands for, `top` at level 10."""
    return jnp.floor(level * top / _TOP_SEVERITY).astype(jnp.int32)


def _histogram(plane: jax.Array) -> jax.Array:
    # From the pixels, so that under shard_map the counts vary over the mesh as they do.
    empty = jnp.zeros(_LEVELS, jnp.int32) + 0 * plane.ravel()[0]
    return empty.at[plane.ravel()].add(1)


def autocontrast_table(counts: jax.Array) -> jax.Array:
    """Stretches the grey levels that occur to 0..255; the table is int32 [256], as are the counts."""
    levels, occurs = jnp.arange(_LEVELS), counts > 0
    low = jnp.min(jnp.where(occurs, levels, _LEVELS - 1))
    high = jnp.max(jnp.where(occurs, levels, 0))
    stretched = (levels - low) * 255 // jnp.maximum(high - low, 1)
    return jnp.where(high > low, jnp.clip(stretched, 0, 255), levels)


def equalize_table(counts: jax.Array) -> jax.Array:
    """Makes the distribution of grey levels as even as a table can; Pillow's rounding."""
    levels = jnp.arange(_LEVELS)
    last = counts[jnp.max(jnp.where(counts > 0, levels, 0))]
    step = (counts.sum() - last) // 255
    below = jnp.cumsum(counts) - counts
    even = jnp.clip((step // 2 + below) // jnp.maximum(step, 1), 0, 255)
    # One grey level, or so few pixels that the step is 0: as it was.
    return jnp.where(step > 0, even, levels)


def posterize_table(bits: jax.Array) -> jax.Array:
    """Keeps the `bits` highest of the eight bits."""
    kept = 255 - (jnp.left_shift(1, 8 - bits) - 1)
    return jnp.bitwise_and(jnp.arange(_LEVELS), kept)


def solarize_table(threshold: jax.Array) -> jax.Array:
    """Inverts grey levels from `threshold` on."""
    levels = jnp.arange(_LEVELS)
    return jnp.where(levels < threshold, levels, 255 - levels)


def affine_maps(level: jax.Array, sign: jax.Array, height: int, width: int) -> jax.Array:
    """The maps of `MAPS` as matrices [5, 2, 3]: (x, y, 1) of the result to (x, y) of the source.

    Coordinates are those of Pillow: x to the right, y down, the centre of the first pixel at (½, ½).
    """
    angle = jnp.deg2rad(sign * _whole(level, 30))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    centre_x, centre_y = width / 2, height / 2
    shear = sign * level * 0.3 / _TOP_SEVERITY
    across, down = sign * _whole(level, width / 3), sign * _whole(level, height / 3)
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
    """Bilinear sampling of grey levels [H, W, C] under an affine map; what comes from outside is 0, as in Pillow."""
    height, width = image.shape[:2]
    x, y = jnp.asarray(np.arange(width) + 0.5, jnp.float32), jnp.asarray(np.arange(height) + 0.5, jnp.float32)[:, None]
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
