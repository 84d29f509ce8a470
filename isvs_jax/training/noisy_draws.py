"""Noise of a fixed deviation in training, for certificates: draws of an image, and what asks them to agree."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from isvs_jax import SplitLBI
from isvs_jax._checks import check_integer, check_number, example_keys
from isvs_jax._images import as_image
from isvs_jax.augment.views import View, show_views


@dataclass(frozen=True)
class NoisyDraws:
    """How noisy an image is shown in training.

    Attributes:
        sigma: The standard deviation of the Gaussian noise on the scale of [0, 1], > 0: that of the certificate to
            come.
        draws: How many noisy versions of an image a step sees, at least 1.
        entropy_weight: The weight η of the entropy of their mean probabilities, ≥ 0.
        view: What the noisy versions are smoothed to, such as dense:3.2 at σ = 0.25; None for nothing. It is the
            defence that is certified afterwards.
        kappa: The κ of the path of that view.

    Raises:
        TypeError: A number is none, or `draws` is not an integer.
        ValueError: A number is out of range.
    """

    sigma: float = 0.25
    draws: int = 2
    entropy_weight: float = 0.5
    view: View | None = None
    kappa: float = 1.0

    def __post_init__(self) -> None:
        check_number("sigma", self.sigma, "(0, inf)", unit="standard deviation")
        check_integer("draws", self.draws)
        check_number("entropy_weight", self.entropy_weight, "[0, inf)")
        check_number("kappa", self.kappa, "(0, inf)")


def show_noisy(keys: jax.Array, images: jax.Array, noise: NoisyDraws) -> jax.Array:
    """Show each image in several draws of noise, x + σεᵢ, not clipped, and smoothed where a view is asked for.

    Args:
        keys: A PRNG key for each image, [B].
        images: float [B, H, W, C] in [0, 1].
        noise: What is shown (static).

    Returns:
        Images [B, draws, H, W, C] with the dtype of `images`.

    Raises:
        TypeError: `keys` holds no PRNG keys, or `images` is not of a floating dtype.
        ValueError: The shapes do not fit.

    Example:
        >>> images, keys = jnp.full((2, 8, 8, 1), 0.5), jax.random.split(jax.random.key(0), 2)
        >>> shown = show_noisy(keys, images, NoisyDraws(sigma=0.5))
        >>> shown.shape, bool(shown.min() < 0)
        ((2, 2, 8, 8, 1), True)
    """
    images = as_image(images, "images")
    if images.ndim != 4:
        raise ValueError(f"images must be [B, H, W, C]; got shape {images.shape}.")
    keys = example_keys(keys, len(images))

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        return image + noise.sigma * jax.random.normal(key, (noise.draws, *image.shape), image.dtype)

    noisy = jax.vmap(one)(keys, images)
    if noise.view is None:
        return noisy
    flat = noisy.reshape(-1, *images.shape[1:])
    return show_views(flat, (noise.view,), SplitLBI(kappa=noise.kappa))[0].reshape(noisy.shape)


def agreement(logits: jax.Array, weight: float, entropy_weight: float) -> jax.Array:
    """λ · mean over i of KL(F̂ ‖ Fᵢ) + η · H(F̂), with F̂ the mean of the m probabilities Fᵢ.

    The divergence is that of the mean from each draw, and not the other way round as in the Jensen-Shannon divergence:
    a draw that gives a likely class no probability costs without bound. The entropy makes the mean sure of itself.

    Args:
        logits: float [B, m, classes].
        weight: λ.
        entropy_weight: η.

    Returns:
        [B], ≥ 0 up to rounding.

    Example:
        >>> agreement(jnp.array([[[1.0, 0.0], [0.0, 1.0]]]), 10.0, 0.0).round(2).tolist()
        [1.1999999284744263]

    References:
        Jeong, Shin, "Consistency regularization for certified robustness of smoothed classifiers", NeurIPS 2020.
    """
    log_each = jax.nn.log_softmax(logits)
    # In logarithms, so that neither a probability of 0 nor its gradient is undefined.
    log_mean = jax.nn.logsumexp(log_each, axis=1) - jnp.log(logits.shape[1])
    mean = jnp.exp(log_mean)
    divergence = jnp.sum(mean[:, None] * (log_mean[:, None] - log_each), axis=-1).mean(axis=1)
    entropy = -jnp.sum(mean * log_mean, axis=-1)
    return weight * divergence + entropy_weight * entropy


def energy_weights(logits: jax.Array, *, normalised: bool = False) -> jax.Array:
    """Weights of examples by their energy E = −log Σ exp f(x): 1/log(1 + exp |E|), without a gradient.

    An example of large |E|, on which the network is sure, weighs about 1/|E|: the weights also make the steps of the
    whole batch smaller. `normalised` divides them by their mean, which leaves the step alone: what it gives then is due
    to the weighting.

    Args:
        logits: float [B, classes], of the images as they are.
        normalised: Whether the weights have the mean 1 over these B examples.

    Returns:
        [B], > 0.

    Example:
        >>> energy_weights(jnp.array([[9.0, 0.0], [0.0, 0.0]])).round(3).tolist()
        [0.11100000888109207, 0.9100000262260437]
    """
    energy = -jax.nn.logsumexp(jax.lax.stop_gradient(logits), axis=-1)
    weights = 1 / jax.nn.softplus(jnp.abs(energy))
    return weights / weights.mean() if normalised else weights
