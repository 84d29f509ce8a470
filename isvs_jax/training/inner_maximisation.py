"""The attacks inside adversarial training: steps of signed gradient ascent in an L∞ ball.

They are short, never stop early and run in training mode; to judge a trained network use `isvs_jax.robustness`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

LogitsFn = Callable[[jax.Array], jax.Array]
# Standard deviation of the noise that TRADES starts from: at the image itself its gradient is 0.
_TRADES_START = 0.001


class Ascent(NamedTuple):
    """The steps of an attack, all of it static.

    Attributes:
        epsilon: The radius of the ball.
        steps: The number of steps.
        step_size: The size of a step.
    """

    epsilon: float
    steps: int
    step_size: float


def pgd_images(logits_fn: LogitsFn, images: jax.Array, labels: jax.Array, keys: jax.Array, ascent: Ascent) -> jax.Array:
    """Images that raise the cross-entropy, by PGD from a start drawn evenly from the ball.

    Args:
        logits_fn: A function from images [B, H, W, C] to logits [B, classes].
        images: float [B, H, W, C] in [0, 1].
        labels: int32 [B].
        keys: A PRNG key for each image, [B].
        ascent: The ball and the steps.

    Returns:
        Images within epsilon of `images` and in [0, 1]; no gradient passes through them.

    Example:
        >>> logits_fn = lambda x: jnp.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], axis=-1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.5), jnp.array([0, 1])
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> pgd_images(logits_fn, images, labels, keys, Ascent(0.125, 8, 0.0625))[:, 0, 0, 0].tolist()
        [0.375, 0.625]

    References:
        Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks",
        ICLR 2018.
    """

    def rise(logits: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()

    def uniform(key: jax.Array, image: jax.Array) -> jax.Array:
        return jax.random.uniform(key, image.shape, image.dtype, -1, 1)

    start = jnp.clip(images + ascent.epsilon * jax.vmap(uniform)(keys, images), 0, 1)
    return _ascend(logits_fn, rise, start, images, ascent)


def trades_images(logits_fn: LogitsFn, images: jax.Array, keys: jax.Array, ascent: Ascent) -> jax.Array:
    """Images that raise KL(p(image) ‖ p(attacked image)), from the image and a little normal noise.

    Args:
        logits_fn: A function from images [B, H, W, C] to logits [B, classes].
        images: float [B, H, W, C] in [0, 1].
        keys: A PRNG key for each image, [B].
        ascent: The ball and the steps.

    Returns:
        Images within epsilon of `images` and in [0, 1]; no gradient passes through them.

    Example:
        >>> logits_fn = lambda x: jnp.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], axis=-1)
        >>> images, keys = jnp.full((2, 4, 4, 1), 0.5), jax.random.split(jax.random.key(0), 2)
        >>> abs(trades_images(logits_fn, images, keys, Ascent(0.125, 8, 0.0625)) - images).max().item()
        0.125

    References:
        Zhang, Yu, Jiao, Xing, El Ghaoui, Jordan, "Theoretically principled trade-off between robustness and accuracy",
        ICML 2019.
    """
    clean = jax.lax.stop_gradient(logits_fn(images))

    def rise(logits: jax.Array) -> jax.Array:
        return kullback_leibler(clean, logits).sum()

    def normal(key: jax.Array, image: jax.Array) -> jax.Array:
        return jax.random.normal(key, image.shape, image.dtype)

    start = images + _TRADES_START * jax.vmap(normal)(keys, images)
    return _ascend(logits_fn, rise, start, images, ascent)


def kullback_leibler(logits: jax.Array, other: jax.Array) -> jax.Array:
    """KL(softmax(logits) ‖ softmax(other)) [...] of logits [..., classes], ≥ 0 up to rounding.

    Example:
        >>> kullback_leibler(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75]))).round(4).item() < 0.1439
        True
    """
    return optax.losses.kl_divergence_with_log_targets(jax.nn.log_softmax(other), jax.nn.log_softmax(logits))


def _ascend(
    logits_fn: LogitsFn,
    rise: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    images: jax.Array,
    ascent: Ascent,
) -> jax.Array:
    """Steps along the sign of the gradient, each followed by the projection onto the ball and onto [0, 1]."""
    images, start = jax.lax.stop_gradient((images, start))
    low, high = jnp.maximum(images - ascent.epsilon, 0), jnp.minimum(images + ascent.epsilon, 1)

    def step(attacked: jax.Array, _: None) -> tuple[jax.Array, None]:
        slope = jax.grad(lambda x: rise(logits_fn(x)))(attacked)
        return jnp.clip(attacked + ascent.step_size * jnp.sign(slope), low, high), None

    # On a CPU, XLA takes some thirty times as long for the gradient of a convolution inside a loop: it is written out.
    on_cpu = jax.default_backend() == "cpu"
    return jax.lax.stop_gradient(jax.lax.scan(step, start, None, length=ascent.steps, unroll=on_cpu)[0])
