"""The model under attack: a function that decides success, and one that gives the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax.robustness.attacks._losses import LOSSES, Loss

LogitsFn = Callable[..., jax.Array]


@dataclasses.dataclass(frozen=True)
class _CallRebuilt:
    """Rebuild a callable pytree from its arrays, then call it; hashable, so static under jit."""

    treedef: Any
    others: tuple[Any, ...]

    def __call__(self, arrays: list[jax.Array], *args: Any) -> jax.Array:
        given = iter(arrays)
        leaves = [next(given) if other is _ARRAY else other for other in self.others]
        return jax.tree.unflatten(self.treedef, leaves)(*args)


_ARRAY = "<array>"


def as_pytree(function: LogitsFn) -> LogitsFn:
    """Make of any callable a pytree that jit accepts as an argument.

    A plain function becomes static (the same function object compiles once). The arrays of a
    `jax.tree_util.Partial` or of another callable pytree, such as an Equinox module, are traced,
    so that changing weights do not compile again.
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
    """What an attack asks: `judge` decides success, `surrogate` (None: judge) gives gradients."""

    judge: LogitsFn
    surrogate: LogitsFn | None = None


class Verdict(NamedTuple):
    """Of each image: its loss [B], whether it is classified as its label [B], the gradient."""

    loss: jax.Array
    correct: jax.Array
    gradient: jax.Array


def is_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest logit is the label's; logits that are not finite predict nothing."""
    finite = jnp.all(jnp.isfinite(logits), axis=1)
    return finite & (jnp.argmax(logits, axis=1) == labels)


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
    """One look at the model. One forward and one backward pass, or two forward with a surrogate."""
    loss = LOSSES[loss_name]

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = (model.surrogate or model.judge)(x, *extra)
        return jnp.sum(loss(logits, labels, targets)), logits

    gradient, logits = jax.grad(total, has_aux=True)(images)
    if model.surrogate is not None:
        logits = model.judge(images, *extra)
    # One example's overflow must neither stop its own attack for good nor touch its neighbours.
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
    """Loss, success and gradient of every image; means over draws of a random model.

    With eot_samples an integer the model takes (images, key); loss and gradient are means over
    that many keys, and an image counts as correct where most of the draws are.
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
    """Logits of a batch, compiled once a function and shape."""
    return judge(images, *extra)
