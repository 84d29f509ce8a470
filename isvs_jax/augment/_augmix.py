"""AugMix on the device: chains of simple operations, mixed with one another and with the image."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, brief, check_integer, check_number, example_keys
from isvs_jax._images import as_batch, compute_dtype
from isvs_jax.augment.groups import in_groups
from isvs_jax.augment.operations import OPERATIONS, apply_operation
from isvs_jax.augment.views import View, show_views, with_numbers
from isvs_jax.solver.split_lbi import SplitLBI

# A chain of random depth has 1 to 3 operations.
_DEEPEST = 3
# Levels are drawn from here to the severity.
_LEAST_LEVEL = 0.1
# A batch of which a part is smoothed is divided into so many groups.
_GROUPS = 8


@dataclass(frozen=True)
class AugMixConfig:
    """The parameters of AugMix.

    Attributes:
        severity: The strength of the operations, in [1, 10].
        width: The number of chains, ≥ 1.
        depth: The number of operations in a chain, ≥ 1; -1 draws 1, 2 or 3 for each chain.
        alpha: The parameter > 0 of the Dirichlet distribution of the chains' weights and of the Beta distribution of
            the share that the chains have beside the image.
        views: Smoothed images as one more operation, such as (View(2.0), View(4.0)) of the path or (View(1.0, "blur"),)
            as its control; none by default.

    Raises:
        TypeError: `width` or `depth` is no integer, `severity` or `alpha` no number.
        ValueError: A value is out of its range.
    """

    severity: float = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    views: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        check_number("severity", self.severity, "[1, 10]")
        check_integer("width", self.width)
        if self.depth != -1:
            check_integer("depth", self.depth)
        check_number("alpha", self.alpha, "(0, inf)")
        if not (isinstance(self.views, tuple) and all(isinstance(view, View) for view in self.views)):
            raise TypeError(f"views must be a tuple of View; got {brief(self.views)}.")


def augmix(
    key: ArrayLike, images: ArrayLike, config: AugMixConfig = AugMixConfig(), *, solver: SplitLBI = SplitLBI()
) -> jax.Array:
    """Mix every image with randomly augmented versions of it.

    The result is (1 − m)·x + m·Σᵢ wᵢ·chainᵢ(x), with w from Dirichlet(alpha, ..., alpha), m from Beta(alpha, alpha) and
    chains of random operations: autocontrast, equalize, posterize, rotate, solarize, shear and translate along x and y.
    None of them is one of the corruptions that robustness is measured with. The operations are those of Pillow, on
    images rounded to grey levels.

    Views, where there are some, are one more operation, as likely as each of the others: it shows the image in one of
    them, along its path or blurred. What is smoothed is the image itself, before the other operations of the chain and
    once in a chain. Only examples with such a chain are smoothed, and each path is followed once.

    All is drawn for each example: an image's mixture depends on its own key and pixels alone, not on its batch.

    Args:
        key: A PRNG key for each example, [B], or one, of which they are split off.
        images: float [B, H, W, C] in [0, 1].
        config: The parameters (static).
        solver: The flow of the views of the path; kappa and nu may not be traced.

    Returns:
        Images of the same shape and dtype, in [0, 1]. No gradient passes through the chains.

    Raises:
        TypeError: `key` is no PRNG key, or `images` is not of a floating dtype.
        ValueError: The shapes do not fit.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
        >>> mixed = augmix(jax.random.key(1), images)
        >>> mixed.shape, bool((mixed >= 0).all() & (mixed <= 1).all())
        ((2, 8, 8, 3), True)

    References:
        Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan, "AugMix: a simple data processing method to improve
        robustness and uncertainty", ICLR 2020.
    """
    images = as_batch(images)
    keys = example_keys(key, len(images))
    return _augmix(keys, images, config, with_numbers(solver))


@partial(jax.jit, static_argnames=("config", "solver"))
def _augmix(keys: jax.Array, images: jax.Array, config: AugMixConfig, solver: SplitLBI) -> jax.Array:
    drawn = jax.vmap(partial(_draw, config=config))(keys)
    levels = _levels(images, drawn.starts, config, solver)
    return jax.vmap(partial(_mix, config=config))(drawn, images, levels)


class _Drawn(NamedTuple):
    """What was drawn for each example.

    Attributes:
        weights: The weights of the chains, float32 [B, width].
        share: The share of the chains, float32 [B].
        numbers: Of each chain a number for its depth and three for each operation, float32 [B, width, 1 + 3 · longest].
        starts: What each chain starts from, int32 [B, width]: 0 for the image, k for the k-th view.
    """

    weights: jax.Array
    share: jax.Array
    numbers: jax.Array
    starts: jax.Array


def _draw(key: jax.Array, config: AugMixConfig) -> _Drawn:
    weights_key, chains_key = jax.random.split(key)
    weights, share = _random_weights(weights_key, config)
    longest = _DEEPEST if config.depth == -1 else config.depth
    # Of each chain one number for its depth, and for each of its operations three. Drawn at once: compiles faster.
    numbers = jax.random.uniform(chains_key, (config.width, 1 + 3 * longest), jnp.float32)
    return _Drawn(weights, share, numbers, jax.vmap(partial(_start, config=config))(numbers))


def _start(numbers: jax.Array, config: AugMixConfig) -> jax.Array:
    """The view that a chain starts from: that of its first operation that shows one."""
    if not config.views:
        return jnp.zeros((), jnp.int32)
    operation, strength, _ = _steps(numbers, config)
    shows = (operation == len(OPERATIONS)) & (jnp.arange(len(operation)) < _depth(numbers, config))
    first = jnp.argmax(shows)
    return jnp.where(shows[first], 1 + jnp.floor(len(config.views) * strength[first]).astype(jnp.int32), 0)


def _steps(numbers: jax.Array, config: AugMixConfig) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of each operation of a chain its number, and a uniform number each for its strength and its side."""
    choice, strength, side = numbers[1:].reshape(-1, 3).T
    return jnp.floor((len(OPERATIONS) + bool(config.views)) * choice).astype(jnp.int32), strength, side


def _depth(numbers: jax.Array, config: AugMixConfig) -> jax.Array | int:
    return config.depth if config.depth != -1 else 1 + jnp.floor(_DEEPEST * numbers[0]).astype(jnp.int32)


def _levels(images: jax.Array, starts: jax.Array, config: AugMixConfig, solver: SplitLBI) -> jax.Array:
    """The grey levels that chains may start from, float32 [B, 1 + V, H, W, C]: of the image, and of its views."""
    images = jax.lax.stop_gradient(images)
    versions = jnp.broadcast_to(images[:, None], (len(images), 1 + len(config.views), *images.shape[1:]))

    def viewed(examples: jax.Array) -> jax.Array:
        views = show_views(images[examples], config.views, solver)
        return jnp.concatenate([images[examples][:, None], jnp.moveaxis(views, 0, 1)], axis=1)

    if config.views:
        is_viewed = (starts > 0).any(1).astype(jnp.int32)
        versions = in_groups([viewed], is_viewed, versions, -(-len(images) // _GROUPS))
    return jnp.floor(jnp.clip(versions.astype(jnp.float32), 0, 1) * 255 + 0.5)


def _mix(drawn: _Drawn, image: jax.Array, levels: jax.Array, config: AugMixConfig) -> jax.Array:
    chain = jax.vmap(lambda numbers, start: _chain(numbers, levels[start], config))
    chains = chain(drawn.numbers, drawn.starts) / 255
    mixed = jnp.einsum("i,ihwc->hwc", drawn.weights, chains, precision=jax.lax.Precision.HIGHEST)
    # Convex up to rounding.
    dtype = compute_dtype(image.dtype)
    share = drawn.share.astype(dtype)
    return jnp.clip((1 - share) * image.astype(dtype) + share * mixed.astype(dtype), 0, 1).astype(image.dtype)


def _random_weights(key: jax.Array, config: AugMixConfig) -> tuple[jax.Array, jax.Array]:
    """Weights [width] from a symmetric Dirichlet and a share from a symmetric Beta distribution, both from gammas."""
    logs = jax.random.loggamma(key, config.alpha, (config.width + 2,), jnp.float32)
    return jax.nn.softmax(logs[2:]), jax.nn.sigmoid(logs[0] - logs[1])


def _chain(numbers: jax.Array, image: jax.Array, config: AugMixConfig) -> jax.Array:
    operation, strength, side = _steps(numbers, config)
    # A view is what the chain started from: nothing is left to do in its place.
    index = jnp.arange(len(operation))
    does = (index < _depth(numbers, config)) & (operation < len(OPERATIONS))

    def step(image: jax.Array, one: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        operation, strength, side, does = one
        level = _LEAST_LEVEL + (config.severity - _LEAST_LEVEL) * strength
        changed = apply_operation(image, operation, level, jnp.where(side < 0.5, -jnp.ones_like(side), 1))
        return jnp.where(does, changed, image), None

    return jax.lax.scan(step, image, (operation, strength, side, does))[0]
