"""A NumPy function as a function to logits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from isvs_jax._checks import brief
from isvs_jax.robustness.adapters.host import HostModel, Output, is_torch_module, picked, returned

_HINT = "isvs_jax.robustness.adapt(from_host(function), output=...) takes the logits out of it by key, field or place."


def from_host(function: Callable[[np.ndarray], Any]) -> HostModel:
    """A function of NumPy arrays as a function to logits, such as a model of scikit-learn, ONNX or an endpoint.

    It has no gradient: corruptions, low resolution, Square and certification take it. `evaluate` and the attacks that
    follow a gradient refuse it before any work; with a differentiable stand-in as `gradient_fn` the attacks take it.

    Args:
        function: From float32 images [B, H, W, C] (float64 where such come) to what NumPy takes as numbers [B, K], each
            image for itself and the same each time. It gets arrays of its own and may write into them.

    Returns:
        A function from images [B, H, W, C] to logits [B, K], float32, or float64 for such images. It may be called
        under jit and vmap.

    Raises:
        TypeError: It is no function. What it returns is looked at when it is called or traced first.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def brightness(images):
        ...     mean = images.mean(axis=(1, 2, 3))
        ...     return np.stack([mean, 1 - mean], axis=1)
        >>> jax.jit(from_host(brightness))(jnp.full((1, 4, 4, 3), 0.25)).tolist()
        [[0.25, 0.75]]
    """
    if is_torch_module(function):
        raise TypeError(
            f"function must take NumPy arrays; got the PyTorch module {type(function).__name__}. "
            "isvs_jax.robustness.from_torch(module) takes it, with its gradient."
        )
    if not callable(function):
        raise TypeError(f"function must be a function from NumPy images to logits; got {brief(function)}.")
    return HostModel(functools.partial(_values, function))


def _values(function: Callable[[np.ndarray], Any], images: np.ndarray, output: Output) -> np.ndarray:
    found = function(images)
    if output is None and isinstance(found, list):
        found = np.asarray(found)
    logits = picked(found, output, "function", _HINT)
    try:
        array = np.asarray(logits)
        numeric = array.dtype.kind in "fiu"
    except (TypeError, ValueError):
        numeric = False
    if not numeric or array.ndim != 2 or len(array) != len(images):
        raise ValueError(f"function must return numbers [B, K], here [{len(images)}, K]; got {returned(logits)}.")
    return array.astype(images.dtype, copy=False)
