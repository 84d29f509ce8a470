"""Checks of what a caller gives: values where they can be seen, shapes and dtypes always."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ArrayLike = Any


def concrete(value: ArrayLike) -> np.ndarray | None:
    """The value as float64, or None where it is traced (or stands for a leaf in a tree) and cannot be seen."""
    if isinstance(value, jax.core.Tracer):
        return None
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None


def check_choice(value: object, choices: tuple[str, ...], name: str) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}; it may be one of {allowed}.")


def check_positive(value: ArrayLike, name: str) -> None:
    """Raise unless `value` is a positive finite number (or an array of them), or cannot be seen."""
    if isinstance(value, (str, bytes, bool, list, tuple, dict, set, complex)) or value is None:
        raise TypeError(f"{name} is {value!r}; it may be a positive finite number.")
    seen = concrete(value)
    if seen is not None and not (np.isfinite(seen).all() and (seen > 0).all()):
        raise ValueError(f"{name} is {_brief(seen)}; it may be a positive finite number.")


def check_scalar(value: ArrayLike, name: str) -> None:
    """Raise a ValueError unless `value` has no axes."""
    if jnp.shape(value) != ():
        raise ValueError(
            f"{name} has shape {jnp.shape(value)}; it may be a scalar. For several values, map with jax.vmap."
        )


def as_image(image: ArrayLike, name: str = "image") -> jax.Array:
    """`image` as an array [..., H, W, C] of a floating dtype.

    Raises:
        TypeError: The dtype is not a floating one.
        ValueError: Fewer than three axes, or no pixels or channels.
    """
    if not hasattr(image, "dtype"):
        image = np.asarray(image)
    dtype = image.dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        hint = ": divide by 255 first" if jnp.issubdtype(dtype, jnp.integer) else ""
        raise TypeError(
            f"{name} has dtype {dtype}; it may be float16, bfloat16, float32 or float64, usually in [0, 1]{hint}."
        )
    if image.ndim < 3:
        hint = ": add the channel axis with image[..., None]" if image.ndim == 2 else ""
        raise ValueError(f"{name} has shape {image.shape}; it may be [..., H, W, C]{hint}.")
    if 0 in image.shape[-3:]:
        raise ValueError(f"{name} has shape {image.shape}; height, width and channels may be 1 or more, not 0.")
    return jnp.asarray(image)


def as_numbers(value: ArrayLike, name: str) -> jax.Array | np.ndarray:
    """`value` as an array: of float64 NumPy where it can be seen, as a JAX array where some of it is traced.

    Raises:
        TypeError: It holds something that is no real number.
    """
    if isinstance(value, (jax.Array, np.ndarray)):
        numeric = jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)
        if not numeric:
            raise TypeError(f"{name} has dtype {value.dtype}; it may hold real numbers.")
        return value if isinstance(value, jax.core.Tracer) else np.asarray(value, np.float64)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        return jnp.asarray(value)
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise TypeError(f"{name} is {value!r}; it may hold real numbers.")
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; it may hold real numbers.") from None


def compute_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype in which an image is computed: float64 where it came so, else float32."""
    return jnp.dtype(jnp.float64 if dtype == jnp.float64 else jnp.float32)


def check_num_steps(num_steps: object) -> None:
    """Raise unless `num_steps` is None or a positive Python integer."""
    if num_steps is None:
        return
    if isinstance(num_steps, jax.core.Tracer):
        raise TypeError("num_steps is traced; it may be a Python integer: mark it static, or close over it.")
    if isinstance(num_steps, bool) or not isinstance(num_steps, (int, np.integer)):
        raise TypeError(f"num_steps is {num_steps!r}; it may be None or a positive integer.")
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}; it may be None or a positive integer.")


def check_times(times: np.ndarray, name: str) -> None:
    """Raise a ValueError unless every time is finite and not negative."""
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise ValueError(f"{name} is {_brief(times)}; it may hold finite times ≥ 0.")


def _brief(value: np.ndarray) -> str:
    return np.array2string(value, threshold=8, precision=6)
