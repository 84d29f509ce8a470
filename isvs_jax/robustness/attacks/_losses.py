"""Losses that an attack makes large, one number an example.

With logits z, label y and z_(1) ≥ z_(2) ≥ ... the logits in falling order:

    cross_entropy   log Σ_j exp(z_j) − z_y
    margin          max_{j≠y} z_j − z_y
    dlr             (max_{j≠y} z_j − z_y) / (z_(1) − z_(3))
    targeted_dlr    (z_t − z_y) / (z_(1) − ½(z_(3) + z_(4)))

The last two are the difference of logits ratio of Croce and Hein (2020): scaling or shifting the
logits does not change them, so that no model hides its gradient by being very confident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

# Keeps the ratio finite where the leading logits are equal.
_TINY = 1e-12


def _pick(logits: jax.Array, classes: jax.Array) -> jax.Array:
    return jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def cross_entropy(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross-entropy of the label, [B]."""
    del targets
    return jax.nn.logsumexp(logits, axis=1) - _pick(logits, labels)


def margin(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """Best wrong logit minus the label's, [B]; positive means misclassified."""
    del targets
    is_label = jax.nn.one_hot(labels, logits.shape[1], dtype=bool)
    return jnp.max(jnp.where(is_label, -jnp.inf, logits), axis=1) - _pick(logits, labels)


def dlr(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """Difference of logits ratio, [B]; needs three classes."""
    top = jax.lax.top_k(logits, 3)[0]
    return margin(logits, labels, targets) / (top[:, 0] - top[:, 2] + _TINY)


def targeted_dlr(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """Difference of logits ratio towards the class in targets, [B]; needs four classes."""
    top = jax.lax.top_k(logits, 4)[0]
    spread = top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + _TINY
    return (_pick(logits, targets) - _pick(logits, labels)) / spread


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
    "dlr": dlr,
    "targeted_dlr": targeted_dlr,
}

CLASSES_NEEDED: Mapping[str, int] = {
    "cross_entropy": 2,
    "margin": 2,
    "dlr": 3,
    "targeted_dlr": 4,
}
