"""What may come into an attack: the problem that all attacks share, checked before anything runs."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import brief, check_choice, check_integer, check_key, check_number
from isvs_jax.robustness._inputs import check_images, check_labels
from isvs_jax.robustness.adapters.host import USE_ADAPT, USE_FROM_HOST, check_function, check_gradient, returned
from isvs_jax.robustness.attacks._ball import NORMS
from isvs_jax.robustness.attacks._model import CLASSES_NEEDED, LogitsFn, Model, as_pytree, logits_of


class Problem(NamedTuple):
    """A checked attack: the model, its inputs as arrays, the key and one for each image, and how many classes."""

    model: Model
    images: jax.Array
    labels: jax.Array
    key: jax.Array
    keys: jax.Array
    epsilon: jax.Array
    num_classes: int


def check_problem(
    logits_fn: LogitsFn,
    images: Any,
    labels: Any,
    key: jax.Array,
    epsilon: Any,
    norm: str,
    gradient_fn: LogitsFn | None = None,
    eot_samples: int | None = None,
    *,
    follows_gradient: bool = False,
) -> Problem:
    """Check everything that all attacks share; values are looked at where they are concrete.

    The functions are traced to find the classes, and nothing is computed. With `follows_gradient` a model that is seen
    to have none is refused.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is wrong.
    """
    check_choice("norm", norm, NORMS)
    check_function("logits_fn", logits_fn)
    if gradient_fn is not None:
        check_function("gradient_fn", gradient_fn)
    if follows_gradient:
        check_gradient(logits_fn, gradient_fn)
    if eot_samples is not None:
        check_integer("eot_samples", eot_samples)
    # Half precision cannot hold a perturbation of 1/255.
    images = check_images(images, dtypes=(jnp.float32, np.float64))
    check_epsilon(epsilon, norm)
    key = check_key(key)
    model = Model(as_pytree(logits_fn), None if gradient_fn is None else as_pytree(gradient_fn))
    extra = () if eot_samples is None else (key,)
    num_classes = _count_classes("logits_fn", model.judge, images, extra)
    if model.surrogate is not None:
        others = _count_classes("gradient_fn", model.surrogate, images, extra)
        if others != num_classes:
            raise ValueError(f"gradient_fn must return the {num_classes} classes of logits_fn; got {others}.")
    labels = check_labels(labels, images.shape[0], num_classes)
    keys = _fold_each(key, images.shape[0])
    return Problem(model, images, labels, key, keys, jnp.asarray(epsilon, images.dtype), num_classes)


@functools.partial(jax.jit, static_argnames="batch")
def _fold_each(key: jax.Array, batch: int) -> jax.Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(batch))


def check_epsilon(epsilon: Any, norm: str, name: str = "epsilon") -> None:
    """Refuse a radius that is no number, negative, not finite, or in the wrong units."""
    if isinstance(epsilon, (jax.Array, np.ndarray)):
        if epsilon.shape != ():
            raise ValueError(f"{name} must be one number; got {brief(epsilon)}.")
        if isinstance(epsilon, jax.core.Tracer):
            return
        epsilon = epsilon.item()
    if norm == "linf" and isinstance(epsilon, (int, float, np.number)) and 1 < epsilon < np.inf:
        raise ValueError(
            f"{name} must be a number in [0, 1], as images are; got {epsilon}. For {epsilon:g} grey levels write "
            f"{epsilon:g}/255."
        )
    check_number(name, epsilon, "[0, 1]" if norm == "linf" else "[0, inf)")


def _count_classes(name: str, function: LogitsFn, images: jax.Array, extra: tuple[jax.Array, ...]) -> int:
    """How many classes a function has, from its trace."""
    batch = images.shape[0]
    what = f"{name} must return logits [B, K], here of shape ({batch}, K)"
    try:
        logits = logits_of.eval_shape(function, images, *extra)
    except TypeError as error:
        # An object with the logits in one of its fields; any other error is the function's own.
        if "not a valid JAX type" in str(error):
            raise TypeError(f"{what}; got an object that is no array. {USE_ADAPT}") from error
        if not isinstance(error, jax.errors.TracerArrayConversionError):
            raise
        raise TypeError(
            f"{name} must be a function that JAX can trace; got one that makes a NumPy array of its images. "
            f"{USE_FROM_HOST}"
        ) from error
    if not isinstance(logits, jax.ShapeDtypeStruct):
        raise TypeError(f"{what}; got {returned(logits)}. {USE_ADAPT}")
    if len(logits.shape) != 2 or logits.shape[0] != batch:
        raise ValueError(f"{what}, for images of shape {images.shape}; got shape {logits.shape}.")
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"{what}, of a floating dtype; got dtype {logits.dtype}.")
    if logits.shape[1] < 2:
        raise ValueError(
            f"{what} with at least 2 classes; got shape {logits.shape}. For one logit z return "
            "jnp.concatenate([0 * z, z], axis=1)."
        )
    return int(logits.shape[1])


def check_classes(loss: str, num_classes: int) -> None:
    """Refuse a loss that is not defined for so few classes."""
    if num_classes < CLASSES_NEEDED[loss]:
        raise ValueError(
            f"loss must be 'cross_entropy' or 'margin' for a model of {num_classes} classes; got {loss!r}, which needs "
            f"at least {CLASSES_NEEDED[loss]}."
        )


def check_targets(num_targets: int | None, num_classes: int) -> int:
    """How many target classes a targeted attack tries; by default 9, as AutoAttack does."""
    if num_targets is None:
        return min(9, num_classes - 1)
    return check_integer("num_targets", num_targets, 1, num_classes - 1)
