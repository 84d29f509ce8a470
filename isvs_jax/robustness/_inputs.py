"""What images, labels and keys must be, for everything in the referee: one sentence before anything runs.

Shapes and dtypes are always looked at, values where they can be seen (under jit they cannot).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import brief

# What rounding may leave outside of [0, 1] where images are only transformed.
ROUNDING = 1e-6


def check_images(
    images: Any,
    *,
    dtypes: Sequence[Any] | None = None,
    channels: tuple[int, ...] | None = None,
    rounding: float = 0.0,
    may_be_empty: bool = False,
) -> jax.Array:
    """The images as an array [B, H, W, C] in [0, 1].

    Args:
        images: A NumPy or JAX array, or what NumPy makes an array of.
        dtypes: The dtypes that may come; None lets all floating ones pass.
        channels: The numbers of channels that may come; None lets all pass.
        rounding: How far values may lie outside of [0, 1].
        may_be_empty: Whether a batch of no images may come.

    Raises:
        TypeError: The dtype is another.
        ValueError: The shape is another, or a value is NaN or outside of [0, 1].
    """
    array = images if isinstance(images, (jax.Array, np.ndarray)) else _as_array("images", images)
    _check_dtype(array.dtype, dtypes)
    counted = "" if channels is None else f" with C = {' or '.join(map(str, channels))}"
    if array.ndim != 4 or (channels is not None and array.shape[3] not in channels):
        hint = " For one image write image[None]." if array.ndim == 3 else ""
        raise ValueError(f"images must be [B, H, W, C]{counted}; got shape {array.shape}.{hint}")
    if 0 in (array.shape[1:] if may_be_empty else array.shape):
        some = "at least one row, column and channel" if may_be_empty else "no axis of length 0"
        raise ValueError(f"images must be [B, H, W, C]{counted} with {some}; got shape {array.shape}.")
    if not isinstance(array, jax.core.Tracer) and array.size:
        _check_range(array, rounding)
    return jnp.asarray(array)


def _check_dtype(dtype: Any, dtypes: Sequence[Any] | None) -> None:
    fits = jnp.issubdtype(dtype, jnp.floating) if dtypes is None else dtype in [jnp.dtype(each) for each in dtypes]
    if not fits:
        what = "of a floating dtype" if dtypes is None else " or ".join(jnp.dtype(each).name for each in dtypes)
        hint = ""
        if jnp.issubdtype(dtype, jnp.integer):
            hint = " Divide integer images by 255."
        elif jnp.issubdtype(dtype, jnp.floating):
            hint = " Half precision cannot hold a perturbation of 1/255."
        raise TypeError(f"images must be {what} with values in [0, 1]; got dtype {dtype}.{hint}")


def _check_range(array: jax.Array | np.ndarray, rounding: float) -> None:
    # The images may be known while a caller is traced.
    with jax.ensure_compile_time_eval():
        inside = bool(_lie_within(array, -rounding, 1 + rounding))
    if not inside:
        values = np.asarray(array)
        raise ValueError(f"images must have values in [0, 1]; got values from {values.min()} to {values.max()}.")


@jax.jit
def _lie_within(values: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    # Comparisons are false for NaN, while JAX's min and max drop it from larger arrays.
    return jnp.all((values >= low) & (values <= high))


def check_labels(labels: Any, count: int, num_classes: int | None = None) -> jax.Array:
    """The labels as an int32 array [count], from 0 to num_classes − 1.

    Raises:
        TypeError: They are not integers.
        ValueError: They are not one for each image, or outside of the classes.
    """
    array = labels if isinstance(labels, (jax.Array, np.ndarray)) else _as_array("labels", labels)
    if array.shape != (count,):
        hint = ""
        if array.ndim == 2 and array.shape[1] == 1:
            hint = " Write labels[:, 0]."
        elif array.ndim == 2 and array.shape[0] == count:
            hint = " For one-hot labels write labels.argmax(1)."
        raise ValueError(f"labels must be [B], one for each of the {count} images; got shape {array.shape}.{hint}")
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"labels must be integers; got dtype {array.dtype}.")
    if num_classes is not None and not isinstance(array, jax.core.Tracer) and count:
        values = np.asarray(array)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= num_classes:
            hint = " Labels count from 0." if low == 1 and high == num_classes else ""
            raise ValueError(
                f"labels must be from 0 to {num_classes - 1}, the {num_classes} classes of the model; "
                f"got values from {low} to {high}.{hint}"
            )
    return jnp.asarray(array, jnp.int32)


def _as_array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype == object:
        raise TypeError(f"{name} must be an array; got {brief(value)}.")
    return array


def is_concrete(*values: Any) -> bool:
    """Whether all values can be looked at, which they cannot while jit traces."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def check_concrete(name: str, *values: Any) -> None:
    """Raise a TypeError where a function that decides on the host what to do next is traced."""
    if not is_concrete(*jax.tree.leaves(values)):
        raise TypeError(
            f"{name} must be called outside of jit, since it decides on the host what to do next; got a traced value. "
            "What it runs is compiled."
        )
