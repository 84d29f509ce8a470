"""What may come into an attack, and what must hold of what comes out of it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._losses import CLASSES_NEEDED
from isvs_jax.robustness.attacks._model import LogitsFn, Model, as_pytree, logits_of
from isvs_jax.robustness.attacks._norms import NORMS, size


class Problem(NamedTuple):
    """A checked attack: the model, its inputs as arrays, one key an image, how many classes."""

    model: Model
    images: jax.Array
    labels: jax.Array
    keys: jax.Array
    epsilon: jax.Array
    num_classes: int


def is_concrete(*values: Any) -> bool:
    """Whether all values can be looked at, which they cannot while jit traces."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a string that is not among the choices."""
    allowed = tuple(choices)
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it may be one of {', '.join(map(repr, allowed))}.")


def check_count(name: str, value: int, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; it must be an integer of at least {least}.")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be an integer of at least {least}.")


def _checked_images(images: Any) -> jax.Array:
    array = images if isinstance(images, jax.Array) else np.asarray(images)
    if array.ndim != 4:
        raise ValueError(f"images has shape {array.shape}; it must be [B, H, W, C].")
    if 0 in array.shape:
        raise ValueError(f"images has shape {array.shape}; no axis of it may be empty.")
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"images has dtype {array.dtype}; it must be float32 or float64 with values in [0, 1] "
            "(divide integer images by 255; half precision cannot hold a perturbation of 1/255)."
        )
    if is_concrete(array):
        # NumPy, since under jit even the sum of two concrete JAX arrays is traced.
        values = np.asarray(array)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"images has values from {low} to {high}; they must lie in [0, 1].")
    return jnp.asarray(array)


def _checked_labels(labels: Any, batch: int, num_classes: int) -> jax.Array:
    array = labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if array.shape != (batch,):
        raise ValueError(f"labels has shape {array.shape}; it must be ({batch},), one an image.")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"labels has dtype {array.dtype}; it must be an integer type.")
    if is_concrete(array):
        low, high = (int(v) for v in (np.asarray(array).min(), np.asarray(array).max()))
    else:
        low, high = 0, 0
    if not (low >= 0 and high < num_classes):
        raise ValueError(
            f"labels has values from {low} to {high}; with the "
            f"{num_classes} classes of logits_fn they must lie in 0 to {num_classes - 1}."
        )
    return jnp.asarray(array, jnp.int32)


def check_epsilon(epsilon: Any, norm: str) -> None:
    """Refuse a radius that is negative, not finite, not a number, or in the wrong units."""
    if not is_concrete(epsilon):
        return
    if np.ndim(epsilon) != 0:
        raise ValueError(f"epsilon has shape {np.shape(epsilon)}; it must be one number.")
    value = float(epsilon)
    if not (np.isfinite(value) and value >= 0.0):
        raise ValueError(f"epsilon is {value}; it must be a finite number of at least 0.")
    if norm == "linf" and value > 1.0:
        raise ValueError(
            f"epsilon is {value}; images lie in [0, 1], so an L∞ radius lies there too "
            f"(for {value:g} grey levels write {value:g}/255)."
        )


def _image_keys(key: jax.Array, batch: int) -> jax.Array:
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if (key.shape if typed else key.shape[1:]) != () or (not typed and key.dtype != jnp.uint32):
        raise ValueError(f"key has shape {key.shape} and dtype {key.dtype}; it must be one jax.random.key.")
    return _fold_each(key, batch)


@functools.partial(jax.jit, static_argnames="batch")
def _fold_each(key: jax.Array, batch: int) -> jax.Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(batch))


def _count_classes(name: str, function: LogitsFn, images: jax.Array, extra: tuple[jax.Array, ...]) -> int:
    logits = logits_of.eval_shape(function, images, *extra)
    shape = getattr(logits, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != images.shape[0]:
        raise ValueError(
            f"{name} returned shape {shape} for images of shape {images.shape}; "
            f"it must return logits [B, K], here ({images.shape[0]}, K)."
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"{name} returned dtype {logits.dtype}; logits must be floating point.")
    return int(shape[1])


def check_classes(loss: str, num_classes: int) -> None:
    """Refuse a loss that is not defined for so few classes."""
    if num_classes < CLASSES_NEEDED[loss]:
        raise ValueError(
            f"loss is {loss!r}, which needs at least {CLASSES_NEEDED[loss]} classes; logits_fn has "
            f"{num_classes}. With fewer use 'cross_entropy' or 'margin'."
        )


def check_targets(num_targets: int | None, num_classes: int) -> int:
    """How many target classes a targeted attack tries; by default 9, as AutoAttack does."""
    if num_targets is None:
        return min(9, num_classes - 1)
    check_count("num_targets", num_targets)
    if num_targets > num_classes - 1:
        raise ValueError(
            f"num_targets is {num_targets}; with {num_classes} classes it may be at most {num_classes - 1}."
        )
    return num_targets


def check_problem(
    logits_fn: LogitsFn,
    images: Any,
    labels: Any,
    key: jax.Array,
    epsilon: Any,
    norm: str,
    gradient_fn: LogitsFn | None = None,
    eot_samples: int | None = None,
) -> Problem:
    """Check everything that all attacks share; values are looked at where they are concrete."""
    check_choice("norm", norm, NORMS)
    for name, function in (("logits_fn", logits_fn), ("gradient_fn", gradient_fn)):
        if not callable(function) and not (name == "gradient_fn" and function is None):
            raise TypeError(f"{name} is {function!r}; it must be a function from images to logits.")
    if eot_samples is not None:
        check_count("eot_samples", eot_samples)
    images = _checked_images(images)
    check_epsilon(epsilon, norm)
    keys = _image_keys(key, images.shape[0])
    model = Model(as_pytree(logits_fn), None if gradient_fn is None else as_pytree(gradient_fn))
    extra = () if eot_samples is None else (key,)
    num_classes = _count_classes("logits_fn", model.judge, images, extra)
    check_classes("margin", num_classes)
    if model.surrogate is not None:
        surrogate_classes = _count_classes("gradient_fn", model.surrogate, images, extra)
        if surrogate_classes != num_classes:
            raise ValueError(
                f"gradient_fn has {surrogate_classes} classes and logits_fn {num_classes}; they must have the same."
            )
    labels = _checked_labels(labels, images.shape[0], num_classes)
    return Problem(model, images, labels, keys, jnp.asarray(epsilon, images.dtype), num_classes)


def check_ball(images: Any, adversarial: Any, epsilon: Any, norm: str) -> None:
    """Assert ‖adversarial − images‖ ≤ epsilon and adversarial in [0, 1], image by image.

    The allowance is the rounding of storing an image of values up to 1: two units in the last place
    for L∞, as much in root mean square over the pixels for L2. Traced values are passed over; see
    `held_in_ball`.

    Raises:
        AssertionError: naming the first image that is outside, and by how much.
    """
    if not is_concrete(images, adversarial, epsilon):
        return
    centres, moved = np.asarray(images, np.float64), np.asarray(adversarial, np.float64)
    delta = (moved - centres).reshape(len(centres), -1)
    unit = float(np.finfo(np.asarray(adversarial).dtype).eps)
    if norm == "linf":
        sizes, allowance = np.abs(delta).max(axis=1), 2 * unit
    else:
        sizes, allowance = np.linalg.norm(delta, axis=1), 2 * unit * np.sqrt(delta.shape[1])
    # Written as "not ≤" so that NaN is caught as well.
    bad = ~(sizes <= float(epsilon) * (1 + 4 * unit) + allowance)
    if bad.any():
        first = int(np.argmax(bad))
        raise AssertionError(
            f"the perturbation of image {first} has {norm} norm {sizes[first]!r}, "
            f"more than epsilon = {float(epsilon)!r}."
        )
    if not (moved.min() >= 0.0 and moved.max() <= 1.0):
        raise AssertionError(f"adversarial images have values from {moved.min()} to {moved.max()}, outside [0, 1].")


def held_in_ball(images: jax.Array, adversarial: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """The adversarial images, asserted by `check_ball`; under jit NaN in place of one that is outside.

    A traced program cannot raise, so that there the failure is data: the image that left the ball or
    the box is NaN, which no loss and no later check lets pass. The allowance is that of `check_ball`
    and the rounding of a sum of N squares in the dtype of the images.
    """
    if is_concrete(images, adversarial, epsilon):
        check_ball(images, adversarial, epsilon, norm)
        return adversarial
    unit = float(jnp.finfo(adversarial.dtype).eps)
    root = 1.0 if norm == "linf" else float(np.sqrt(np.prod(images.shape[1:])))
    most = epsilon * (1 + (4 + root) * unit) + 2 * unit * root
    in_box = jnp.all((adversarial >= 0) & (adversarial <= 1), axis=(1, 2, 3))
    inside = in_box & (size(adversarial - images, norm) <= most)
    return jnp.where(inside[:, None, None, None], adversarial, jnp.nan)
