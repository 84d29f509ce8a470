"""A model that wants or returns something else as a function from images [B, H, W, C] to logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax._checks import brief
from isvs_jax.robustness.adapters.host import USE_ADAPT, HostModel, Output, check_function, picked


@dataclass(frozen=True)
class _Adapted:
    """Calls a model with what it wants; it is hashable, and so static under jit."""

    channels_first: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    output: Output

    def __call__(self, model: Callable[..., Any], images: jax.Array, *extra: Any) -> jax.Array:
        if self.mean is not None:
            images = images - _spread("mean", self.mean, images)
        if self.std is not None:
            images = images / _spread("std", self.std, images)
        if self.channels_first:
            images = jnp.moveaxis(images, -1, -3)
        return picked(model(images, *extra), self.output, "model", USE_ADAPT)


def adapt(
    model: Callable[..., Any],
    *,
    channels_first: bool = False,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: Output = None,
) -> Callable[..., jax.Array]:
    """Make of a model a function from images [B, H, W, C] in [0, 1] to logits.

        f(x) = output(model(transpose((x − mean) / std)))

    Args:
        model: A function of JAX arrays, such as a `jax.tree_util.Partial` or an Equinox module, whose arrays stay
            traced; or what `from_torch` and `from_host` return.
        channels_first: Whether the model takes images [B, C, H, W]. For a PyTorch module `from_torch` says so.
        mean: What is taken from the images, a number or one for each channel; None for nothing.
        std: What they are divided by then, positive; None for nothing.
        output: Where the logits are in what the model returns: None where it returns them alone, the place in a tuple,
            the key of a dictionary or the name of a field, such as "logits", or a function of what it returns. With
            `from_torch` that is a function of tensors, and with `from_host` one of what the NumPy function returns.

    Returns:
        The function; arguments after the images, such as the key of a random model, are handed on.

    Raises:
        TypeError: An argument is of another kind. What the model returns is looked at when it is called or traced.
        ValueError: A std is not positive, a number is not finite, or the channels of a PyTorch module are given twice;
            when it is called, mean or std are not one for each channel.

    Example:
        >>> def model(images):
        ...     return {"logits": images.mean((2, 3)), "hidden": images}
        >>> logits_fn = adapt(model, channels_first=True, mean=0.5, std=(0.5, 0.25, 0.125), output="logits")
        >>> logits_fn(jnp.ones((1, 4, 4, 3))).tolist()
        [[1.0, 2.0, 4.0]]
    """
    check_function("model", model)
    if not isinstance(channels_first, bool):
        raise TypeError(f"channels_first must be True or False; got {brief(channels_first)}.")
    whole = isinstance(output, int) and not isinstance(output, bool)
    if not (output is None or whole or isinstance(output, str) or callable(output)):
        raise TypeError(f"output must be None, a place, a key, the name of a field or a function; got {brief(output)}.")
    if isinstance(model, HostModel):
        if channels_first and model.pullback is not None:
            raise ValueError(
                "channels_first must be False for a model of from_torch, which has it as an argument of its own; got "
                "True."
            )
        if output is not None:
            model, output = dataclasses.replace(model, output=output), None
    adapted = _Adapted(channels_first, _numbers("mean", mean), _numbers("std", std), output)
    return Partial(adapted, model)


def _spread(name: str, numbers: tuple[float, ...], images: jax.Array) -> jax.Array:
    """A number for all channels, or one for each, as an array of the shape of the images."""
    if len(numbers) not in (1, images.shape[-1]):
        raise ValueError(
            f"{name} must be a number, or one for each of the {images.shape[-1]} channels of images; got {numbers}."
        )
    return jnp.broadcast_to(jnp.asarray(numbers, images.dtype), images.shape)


def _numbers(name: str, given: Any) -> tuple[float, ...] | None:
    """A number for all channels, or one for each, as a tuple that is hashable."""
    if given is None:
        return None
    what = f"{name} must be a {'positive ' * (name == 'std')}finite number, or one for each channel"
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{what}; got {brief(given)}.") from None
    if numbers.ndim > 1 or not numbers.size or not np.isfinite(numbers).all() or (name == "std" and numbers.min() <= 0):
        raise ValueError(f"{what}; got {brief(given)}.")
    return tuple(float(number) for number in numbers.ravel())
