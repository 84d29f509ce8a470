"""Divergences between the distributions that logits stand for."""

import jax
import jax.numpy as jnp

# The mixture of a Jensen-Shannon divergence is kept from 0, as AugMix does.
_LEAST_PROBABILITY = 1e-7


def kullback_leibler(logits: jax.Array, other: jax.Array) -> jax.Array:
    """KL(softmax(logits) ‖ softmax(other)), the mean of log p − log q under p.

    Args:
        logits: float [..., classes].
        other: float [..., classes].

    Returns:
        [...], ≥ 0 up to rounding.

    Example:
        >>> kullback_leibler(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75]))).round(4).item() < 0.1439
        True
    """
    log_p, log_q = jax.nn.log_softmax(logits), jax.nn.log_softmax(other)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def jensen_shannon(logits: jax.Array) -> jax.Array:
    """The mean over K distributions of their KL to the mixture of all, (1/K) Σₖ KL(pₖ ‖ (1/K) Σⱼ pⱼ).

    The mixture is cut off at 1e-7 and 1 before its logarithm is taken, as AugMix does.

    Args:
        logits: float [B, K, classes].

    Returns:
        [B], in [0, log K] up to rounding.

    Example:
        >>> jensen_shannon(jnp.array([[[100.0, 0.0], [0.0, 100.0]]])).round(4) == jnp.log(2.0).round(4)
        Array([ True], dtype=bool)

    References:
        Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", ICLR 2020.
    """
    log_p = jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    log_mixture = jnp.log(jnp.clip(p.mean(axis=1, keepdims=True), _LEAST_PROBABILITY, 1))
    return jnp.sum(p * (log_p - log_mixture), axis=-1).mean(axis=1)
