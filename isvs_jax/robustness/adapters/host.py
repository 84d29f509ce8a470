"""A model that runs outside of JAX, in the place of a function to logits.

Its values and its products of a cotangent with the Jacobian are computed by NumPy functions, which a custom derivative
joins to the chain rule of JAX. Arrays that can be seen are handed over directly. Under jit the functions are called
back. `jax.pure_callback` puts the arguments of a callback on a device again, and on a CPU that waits for the threads
which the waiting callback occupies (jax issues 24255 and 25861): on CPUs the callback therefore works on the buffers
themselves, and no part of it calls JAX.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from isvs_jax._checks import brief

Output = int | str | Callable[[Any], Any] | None
"""Where the logits are in what a model returns: None, the place in a tuple, a key or a field, or a function."""

Values = Callable[[np.ndarray, Output], np.ndarray]
Pullback = Callable[[np.ndarray, np.ndarray, Output], np.ndarray]

_PROBED = 2

USE_ADAPT = "isvs_jax.robustness.adapt(model, output=...) takes the logits out of it by key, field or place."
USE_FROM_HOST = (
    "isvs_jax.robustness.from_host(function) takes NumPy functions, and from_torch(module) takes PyTorch modules, with "
    "their gradients."
)


@dataclass(frozen=True)
class HostModel:
    """A function from images [..., B, H, W, C] to logits [..., B, K] that is computed outside of JAX.

    Attributes:
        values: From float32 or float64 images [B, H, W, C] and `output` to logits [B, K] of the same dtype.
        pullback: From images, cotangents [B, K] and `output` to the gradient [B, H, W, C]; None where there is none.
        output: Where the logits are in what the model returns.
    """

    values: Values
    pullback: Pullback | None = None
    output: Output = None

    def __call__(self, images: jax.Array) -> jax.Array:
        """The logits, float32, or float64 for such images."""
        images = jnp.asarray(images)
        if images.ndim < 4:
            raise ValueError(f"images must be [B, H, W, C]; got shape {images.shape}.")
        return _logits(self, images if images.dtype == jnp.float64 else images.astype(jnp.float32))


def without_gradient(function: Any) -> bool:
    """Whether a function is seen to be a model without a gradient, or to hold one, as behind a defence."""
    if isinstance(function, HostModel):
        return function.pullback is None
    if isinstance(function, functools.partial):
        held = (function.func, *jax.tree.leaves((function.args, function.keywords)))
        return any(without_gradient(part) for part in held if part is not function)
    return False


class NoGradientError(TypeError):
    """A gradient was asked of a model that has none."""


def check_gradient(logits_fn: Any, gradient_fn: Any = None, name: str = "logits_fn") -> None:
    """Refuse a model, or what gives gradients in its place, that is seen to have none.

    Raises:
        NoGradientError: It is one of `from_host`, or holds one.
    """
    name, function = (name, logits_fn) if gradient_fn is None else ("gradient_fn", gradient_fn)
    if without_gradient(function):
        raise NoGradientError(
            f"{name} must have a gradient for attacks that follow one; got a model of from_host, which has none. "
            "Square, corruptions, low resolution and certification ask for values alone; gradient_fn takes a "
            "differentiable stand-in."
        )


def check_function(name: str, function: Any) -> None:
    """Refuse what is no function of JAX arrays.

    Raises:
        TypeError: It cannot be called, or it is a PyTorch module.
    """
    if is_torch_module(function):
        raise TypeError(
            f"{name} must be a function from images to logits; got the PyTorch module {type(function).__name__}. "
            "isvs_jax.robustness.from_torch(module) makes one."
        )
    if not callable(function):
        raise TypeError(f"{name} must be a function from images to logits; got {brief(function)}.")


def is_torch_module(value: Any) -> bool:
    """Whether a value is a PyTorch module; PyTorch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _logits(model: HostModel, images: jax.Array) -> jax.Array:
    num_classes = _number_of_classes(model, images.shape[-3:], images.dtype)
    of_images = functools.partial(_values, model)
    return _on_host(of_images, (*images.shape[:-3], num_classes), images.dtype, images)


def _forward(model: HostModel, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    check_gradient(model)
    _probe_pullback(model, images.shape[-3:], images.dtype)
    return _logits(model, images), images


def _backward(model: HostModel, images: jax.Array, cotangents: jax.Array) -> tuple[jax.Array]:
    of_both = functools.partial(_pulled_back, model)
    return (_on_host(of_both, images.shape, images.dtype, images, cotangents.astype(images.dtype)),)


_logits.defvjp(_forward, _backward)


def _values(model: HostModel, images: np.ndarray) -> np.ndarray:
    """The logits of images with any leading axes, such as vmap puts before a batch."""
    batch = images.shape[:-3]
    found = model.values(images.reshape(-1, *images.shape[-3:]), model.output)
    _check_logits(found, int(np.prod(batch)))
    return found.reshape(*batch, found.shape[1])


def _pulled_back(model: HostModel, images: np.ndarray, cotangents: np.ndarray) -> np.ndarray:
    assert model.pullback is not None
    flat = images.reshape(-1, *images.shape[-3:])
    return model.pullback(flat, cotangents.reshape(len(flat), -1), model.output).reshape(images.shape)


def _check_logits(found: Any, count: int) -> None:
    """Refuse what is not one row of logits for each image."""
    if found.ndim != 2 or len(found) != count:
        raise ValueError(f"logits must be [B, K], here [{count}, K]; got shape {found.shape}.")


@functools.lru_cache(maxsize=256)
def _number_of_classes(model: HostModel, shape: tuple[int, ...], dtype: Any) -> int:
    """K, from black images: what a traced function returns must be known before it is called back."""
    return int(_values(model, np.zeros((_PROBED, *shape), dtype)).shape[-1])


@functools.lru_cache(maxsize=256)
def _probe_pullback(model: HostModel, shape: tuple[int, ...], dtype: Any) -> None:
    """Take a gradient once before any is traced, so that a model that has none says so."""
    images = np.zeros((_PROBED, *shape), dtype)
    _pulled_back(model, images, np.zeros((_PROBED, _number_of_classes(model, shape, dtype)), dtype))


def _on_host(function: Callable[..., np.ndarray], shape: tuple[int, ...], dtype: Any, *arrays: jax.Array) -> jax.Array:
    """Call a NumPy function of arrays: directly where they can be seen, else called back."""
    if not any(isinstance(array, jax.core.Tracer) for array in arrays):
        return jnp.asarray(function(*(np.array(array) for array in arrays)))
    result = jax.ShapeDtypeStruct(shape, dtype)

    def in_place(context: Any, out: Any, *buffers: Any) -> None:
        del context
        # Copied, since the buffers belong to XLA and a model may write into its input or keep it.
        found, place = function(*(np.asarray(buffer).copy() for buffer in buffers)), np.asarray(out)
        if found.shape != place.shape:
            raise ValueError(f"logits must keep the shape {place.shape} of the first call; got {found.shape}.")
        place[...] = found

    def by_copy(*copies: Any) -> np.ndarray:
        return function(*(np.array(copy) for copy in copies))

    return jax.lax.platform_dependent(
        *arrays,
        cpu=buffer_callback(in_place, result, vmap_method="broadcast_all"),
        default=functools.partial(jax.pure_callback, by_copy, result, vmap_method="broadcast_all"),
    )


def picked(found: Any, output: Output, of_model: str, hint: str) -> Any:
    """The logits in what a model returned.

    Args:
        found: What came.
        output: Where the logits are in it.
        of_model: What the sentence calls the model.
        hint: The sentence that follows where there are several.

    Raises:
        TypeError: There are several, or none of that name or place.
    """
    if callable(output):
        return output(found)
    if output is None:
        if hasattr(found, "shape"):
            return found
        raise TypeError(f"{of_model} must return one array of logits [B, K]; got {returned(found)}. {hint}")
    try:
        if isinstance(output, str) and not _has_keys(found):
            return getattr(found, output)
        return found[output]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise TypeError(
            f"output must be the place of the logits in what the model returns; got {output!r} for {returned(found)}."
        ) from error


def _has_keys(found: Any) -> bool:
    return hasattr(found, "keys") and hasattr(found, "__getitem__")


def returned(found: Any) -> str:
    """What a model returned, in a few words.

    Example:
        >>> returned({"logits": 0, "hidden": 0}), returned((1, 2))
        ("a dict of 'logits', 'hidden'", 'a tuple of 2')
    """
    kind = type(found).__name__
    if hasattr(found, "shape"):
        return brief(found)
    if _has_keys(found):
        return f"a {kind} of {', '.join(map(repr, found.keys()))}"
    if isinstance(found, tuple) and hasattr(found, "_fields"):
        return f"a {kind} of {', '.join(map(repr, found._fields))}"
    if isinstance(found, tuple | list):
        return f"a {kind} of {len(found)}"
    fields = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
    return f"a {kind} with the fields {', '.join(map(repr, fields))}" if fields else brief(found)
