"""Two classifiers mixed into one."""

import jax
import jax.numpy as jnp

from isvs_jax._checks import brief, check_number
from isvs_jax.models.classifier import LogitsFn


def mixture(accurate: LogitsFn, robust: LogitsFn, alpha: float) -> LogitsFn:
    """Mix the probabilities of two classifiers: log[(1 − α) softmax g(x) + α softmax h(x)].

    g is accurate, and h robust: the same network behind the path, or one trained to be. The result is one function with
    one gradient, and is attacked as one model; an attack on g or h alone says nothing about it.

    Where h gives its class at least (1 − α)/α more probability than any other in the whole of a ball, α ≥ ½, so does
    the mixture, whatever g does. Such a margin is rare: for α = 0.6 it is ⅔. With the smoothed h of a certificate,
    which gives each class its share of noisy images, `isvs_jax.robustness.certification.mixed` has the radius; it is of
    that mixture, not of the one with softmax h here.

    Args:
        accurate: g, a function from images [B, H, W, C] to logits [B, K].
        robust: h, likewise.
        alpha: The share α of h, in [0, 1]: 0 is g, 1 is h.

    Returns:
        A function from images to log-probabilities [B, K], a `jax.tree_util.Partial`.

    Raises:
        TypeError: One is no function, or alpha no number.
        ValueError: alpha is out of range; or, when it is called, they do not have the same classes.

    Example:
        >>> g = lambda images: jnp.log(jnp.array([[0.9, 0.1]]))
        >>> h = lambda images: jnp.log(jnp.array([[0.2, 0.8]]))
        >>> jnp.exp(mixture(g, h, 0.5)(jnp.zeros((1, 4, 4, 3)))).round(2).tolist()
        [[0.550000011920929, 0.44999998807907104]]

    References:
        Bai, Anderson, Kim, Sojoudi, "Improving the accuracy-robustness trade-off of classifiers via adaptive
        smoothing", SIAM J. Math. Data Sci. 6 (2024).
    """
    for name, value in (("accurate", accurate), ("robust", robust)):
        if not callable(value):
            raise TypeError(f"{name} must be a function from images to logits; got {brief(value)}.")
    share = check_number("alpha", alpha, "[0, 1]")
    return jax.tree_util.Partial(_mixed, accurate, robust, jnp.float32(share))


def _mixed(accurate: LogitsFn, robust: LogitsFn, alpha: jax.Array, images: jax.Array) -> jax.Array:
    g, h = accurate(images), robust(images)
    if g.shape != h.shape:
        raise ValueError(f"robust must have the classes of accurate, logits {g.shape}; got logits {h.shape}.")
    # Of a share of 0 the logarithm is −∞, which adds nothing and has no gradient.
    return jnp.logaddexp(jnp.log1p(-alpha) + jax.nn.log_softmax(g), jnp.log(alpha) + jax.nn.log_softmax(h))
