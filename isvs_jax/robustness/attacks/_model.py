"""The model under attack, and the losses that an attack makes large, one number for each example.

One function decides success, and one gives the gradient. With logits z, the label y, a target t and the logits in
falling order z_(1) ≥ z_(2) ≥ ..., the losses are:

    cross_entropy   log Σ_j exp(z_j) − z_y
    margin          max_{j≠y} z_j − z_y
    dlr             (max_{j≠y} z_j − z_y) / (z_(1) − z_(3))
    targeted_dlr    (z_t − z_y) / (z_(1) − ½(z_(3) + z_(4)))

The last two are the difference of logits ratio of Croce and Hein (2020): scaling or shifting the logits does not change
them, so that no model hides its gradient by being very confident.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

LogitsFn = Callable[..., jax.Array]
Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

# Keeps the ratio finite where the leading logits are equal.
_TINY = 1e-12


def _pick(logits: jax.Array, classes: jax.Array) -> jax.Array:
    return jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def cross_entropy(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """The cross-entropy of the label, [B]."""
    del targets
    return jax.nn.logsumexp(logits, axis=1) - _pick(logits, labels)


def margin(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """The best wrong logit minus that of the label, [B]; positive means misclassified."""
    del targets
    is_label = jax.nn.one_hot(labels, logits.shape[1], dtype=bool)
    return jnp.max(jnp.where(is_label, -jnp.inf, logits), axis=1) - _pick(logits, labels)


def dlr(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """The difference of logits ratio, [B]; it needs three classes."""
    top = jax.lax.top_k(logits, 3)[0]
    return margin(logits, labels, targets) / (top[:, 0] - top[:, 2] + _TINY)


def targeted_dlr(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """The difference of logits ratio towards the class in `targets`, [B]; it needs four classes."""
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


@dataclasses.dataclass(frozen=True)
class _CallRebuilt:
    """Rebuilds a callable pytree from its arrays and calls it; it is hashable, and so static under jit."""

    treedef: Any
    others: tuple[Any, ...]

    def __call__(self, arrays: list[jax.Array], *args: Any) -> jax.Array:
        given = iter(arrays)
        leaves = [next(given) if other is _ARRAY else other for other in self.others]
        return jax.tree.unflatten(self.treedef, leaves)(*args)


_ARRAY = "<array>"


def as_pytree(function: LogitsFn) -> LogitsFn:
    """Make of any callable a pytree that jit accepts as an argument.

    A plain function becomes static: the same function object compiles once. The arrays of a `jax.tree_util.Partial` or
    of another callable pytree, such as an Equinox module, are traced, so that changed weights do not compile again.
    """
    leaves, treedef = jax.tree.flatten(function)
    if len(leaves) == 1 and leaves[0] is function:
        return Partial(function)
    is_array = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]
    if all(is_array):
        return function
    others = tuple(_ARRAY if a else leaf for leaf, a in zip(leaves, is_array, strict=True))
    arrays = [leaf for leaf, a in zip(leaves, is_array, strict=True) if a]
    return Partial(_CallRebuilt(treedef, others), arrays)


class Model(NamedTuple):
    """What an attack asks: `judge` decides success, and `surrogate`, or `judge` where it is None, gives gradients."""

    judge: LogitsFn
    surrogate: LogitsFn | None = None


class Verdict(NamedTuple):
    """What one look at the model says of each image: the loss [B], whether the label is predicted [B], the gradient."""

    loss: jax.Array
    correct: jax.Array
    gradient: jax.Array


def is_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest logit is that of the label; logits that are not finite predict nothing."""
    finite = jnp.all(jnp.isfinite(logits), axis=1)
    return finite & (jnp.argmax(logits, axis=1).astype(labels.dtype) == labels)


def _safe_loss(loss: Loss, logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    finite = jnp.all(jnp.isfinite(logits), axis=1)
    return jnp.where(finite, loss(jnp.where(finite[:, None], logits, 0.0), labels, targets), jnp.inf)


def _once(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    targets: jax.Array,
    loss_name: str,
    extra: tuple[jax.Array, ...],
) -> Verdict:
    """Look at the model once: one forward and one backward pass, and a second forward pass with a surrogate."""
    loss = LOSSES[loss_name]

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = (model.surrogate or model.judge)(x, *extra)
        return jnp.sum(loss(logits, labels, targets)), logits

    gradient, logits = jax.grad(total, has_aux=True)(images)
    if model.surrogate is not None:
        logits = model.judge(images, *extra)
    # The overflow of one example must neither stop its own attack for good nor touch its neighbours.
    gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
    return Verdict(_safe_loss(loss, logits, labels, targets), is_correct(logits, labels), gradient)


def look(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    targets: jax.Array,
    loss_name: str,
    key: jax.Array,
    eot_samples: int | None,
) -> Verdict:
    """The loss, the success and the gradient of every image; for a random model they are means over its draws.

    With an integer `eot_samples` the model takes (images, key): the loss and the gradient are means over that many
    keys, and an image counts as correct where most of the draws are.
    """
    if eot_samples is None:
        return _once(model, images, labels, targets, loss_name, ())

    def add(total: Verdict, sample_key: jax.Array) -> tuple[Verdict, None]:
        verdict = _once(model, images, labels, targets, loss_name, (sample_key,))
        counted = verdict._replace(correct=verdict.correct.astype(images.dtype))
        return jax.tree.map(jnp.add, total, counted), None

    zeros = jnp.zeros(labels.shape, images.dtype)
    start = Verdict(zeros, zeros, jnp.zeros_like(images))
    summed = jax.lax.scan(add, start, jax.random.split(key, eot_samples))[0]
    mean = jax.tree.map(lambda a: a / eot_samples, summed)
    return mean._replace(correct=mean.correct > 0.5)


@jax.jit
def logits_of(judge: LogitsFn, images: jax.Array, *extra: jax.Array) -> jax.Array:
    """The logits of a batch, compiled once for each function and shape."""
    return judge(images, *extra)
