"""AugMix on the device: chains of simple operations, mixed with one another and with the image."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from isvs_jax.augment._augmix_operations import OPERATIONS, TOP_LEVEL, apply_operation

# A chain of random depth has 1 to 3 operations.
_DEEPEST = 3
# Levels are drawn from here to the severity.
_LEAST_LEVEL = 0.1


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
        if not 1 <= self.severity <= TOP_LEVEL:
            raise ValueError(f"severity is {self.severity}; it may be in [1, {TOP_LEVEL}].")
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
    weights_key, chains_key = jax.random.split(key)
    weights, share = _random_weights(weights_key, config)
    longest = _DEEPEST if config.depth == -1 else config.depth
    # Of each chain one number for its depth, and for each of its operations three. Drawn at once: compiles faster.
    numbers = jax.random.uniform(chains_key, (config.width, 1 + 3 * longest), jnp.float32)
    grey_levels = jnp.floor(jnp.clip(jax.lax.stop_gradient(image).astype(jnp.float32), 0, 1) * 255 + 0.5)
    chains = jax.vmap(partial(_chain, config=config), in_axes=(0, None))(numbers, grey_levels) / 255
    mixed = jnp.einsum("i,ihwc->hwc", weights, chains, precision=jax.lax.Precision.HIGHEST)
    # Convex up to rounding.
    return jnp.clip((1 - share) * image + share * mixed, 0, 1).astype(image.dtype)


def _random_weights(key: jax.Array, config: AugMixConfig) -> tuple[jax.Array, jax.Array]:
    """Weights [width] from a symmetric Dirichlet and a share from a symmetric Beta distribution, both from gammas."""
    logs = jax.random.loggamma(key, config.alpha, (config.width + 2,), jnp.float32)
    return jax.nn.softmax(logs[2:]), jax.nn.sigmoid(logs[0] - logs[1])


def _chain(numbers: jax.Array, image: jax.Array, config: AugMixConfig) -> jax.Array:
    depth = config.depth if config.depth != -1 else 1 + jnp.floor(_DEEPEST * numbers[0]).astype(jnp.int32)

    def step(image: jax.Array, numbers_and_index: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        (choice, strength, side), index = numbers_and_index
        operation = jnp.floor(len(OPERATIONS) * choice).astype(jnp.int32)
        level = _LEAST_LEVEL + (config.severity - _LEAST_LEVEL) * strength
        changed = apply_operation(image, operation, level, jnp.where(side < 0.5, -jnp.ones_like(side), 1))
        return jnp.where(index < depth, changed, image), None

    steps = numbers[1:].reshape(-1, 3)
    return jax.lax.scan(step, image, (steps, jnp.arange(len(steps))))[0]
