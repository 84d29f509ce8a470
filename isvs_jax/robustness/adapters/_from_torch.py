"""A PyTorch module as a function to logits."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from isvs_jax._checks import brief
from isvs_jax.robustness.adapters.host import HostModel, NoGradientError, Output, picked, returned

_HINT = "isvs_jax.robustness.adapt(from_torch(module), output=...) takes the logits out of it by key, field or place."


def from_torch(module: Any, *, channels_first: bool = True) -> HostModel:
    """A PyTorch module as a function from images to logits, with gradients by torch.autograd.

    All of the referee takes the result: corruptions, low resolution, attacks, defences, which are JAX functions before
    it, and certification. The weights are read at every call. A call computes in evaluation mode and leaves the module
    as it was: its training flags, what requires a gradient, and the gradients that its parameters hold. PyTorch works
    where the parameters lie and in their precision.

    Args:
        module: A torch.nn.Module in evaluation mode, from images in [0, 1] to logits [B, K], each image for itself. Its
            own preprocessing, if it needs any, is part of it, or of `adapt`.
        channels_first: Whether it takes images [B, C, H, W], as PyTorch's layers do, or [B, H, W, C].

    Returns:
        A function from images [B, H, W, C] to logits [B, K], float32, or float64 for such images. It may be called
        under jit, grad and vmap.

    Raises:
        ModuleNotFoundError: PyTorch is not installed.
        TypeError: It is no module.
        ValueError: It is in training mode, or its parameters lie on several devices, or on none. What it returns, and
            the images that it takes, are looked at when it is called or traced first.

    Example:
        >>> import jax, jax.numpy as jnp, torch
        >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).eval()
        >>> jax.jit(from_torch(module))(jnp.ones((3, 2, 2, 3))).shape
        (3, 5)
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "from_torch needs PyTorch, which is not installed: pip install torch (its CPU version will do)",
            name="torch",
        ) from error
    if not isinstance(module, torch.nn.Module):
        hint = " isvs_jax.robustness.from_host takes functions of NumPy arrays." if callable(module) else ""
        raise TypeError(f"module must be a torch.nn.Module; got {brief(module)}.{hint}")
    if not isinstance(channels_first, bool):
        raise TypeError(f"channels_first must be True or False; got {brief(channels_first)}.")
    training = [name or "the module itself" for name, part in module.named_modules() if part.training]
    if training:
        raise ValueError(
            f"module must be in evaluation mode; got training mode of {', '.join(training[:3])}"
            f"{f' and {len(training) - 3} more' * (len(training) > 3)}. Call module.eval()."
        )
    devices = {str(tensor.device) for tensor in (*module.parameters(), *module.buffers())}
    if len(devices) > 1 or "meta" in devices:
        raise ValueError(f"module must have all of its parameters on one device; got {', '.join(sorted(devices))}.")
    return HostModel(
        functools.partial(_values, module, channels_first), functools.partial(_pullback, module, channels_first)
    )


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Put a module in evaluation mode, and back."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _values(module: Any, channels_first: bool, images: np.ndarray, output: Output) -> np.ndarray:
    import torch

    with torch.no_grad(), _evaluating(module):
        logits = _logits(module, channels_first, _placed(module, images), output)
    return logits.cpu().numpy().astype(images.dtype, copy=False)


def _pullback(
    module: Any, channels_first: bool, images: np.ndarray, cotangents: np.ndarray, output: Output
) -> np.ndarray:
    """The product of the cotangents with the Jacobian, without a gradient of any parameter."""
    import torch

    with torch.enable_grad(), _evaluating(module):
        placed = _placed(module, images).requires_grad_()
        logits = _logits(module, channels_first, placed, output)
        if not logits.requires_grad:
            raise NoGradientError(
                "module must be differentiable by torch.autograd for attacks that follow a gradient; got logits "
                "without one. Is there torch.no_grad, detach or NumPy in it?"
            )
        weights = torch.from_numpy(cotangents).to(logits)
        (gradient,) = torch.autograd.grad((logits * weights).sum(), placed, allow_unused=True)
    if gradient is None:
        return np.zeros_like(images)
    return gradient.float().cpu().numpy().astype(images.dtype, copy=False)


def _placed(module: Any, images: np.ndarray) -> Any:
    """The images on the device and in the precision of the module's parameters."""
    import torch

    tensors = (*module.parameters(), *module.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), None)
    placed = torch.from_numpy(images)
    return placed if like is None else placed.to(like.device, like.dtype)


def _logits(module: Any, channels_first: bool, images: Any, output: Output) -> Any:
    """The logits of images [B, H, W, C], in float32 where they come in a lower precision."""
    import torch

    given = images.permute(0, 3, 1, 2).contiguous() if channels_first else images
    try:
        found = module(given)
    except RuntimeError as error:
        # PyTorch's errors of shapes are RuntimeErrors that name none of what the caller gave.
        raise ValueError(
            f"module must take images of shape {tuple(given.shape)}, as channels_first={channels_first} gives them; "
            f"got an error of PyTorch: {error}"
        ) from error
    logits = picked(found, output, "module", _HINT)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        got = returned(logits) if not isinstance(logits, torch.Tensor) else f"a tensor of shape {tuple(logits.shape)}"
        raise ValueError(f"module must return logits [B, K], here [{len(images)}, K]; got {got}.")
    if not logits.is_floating_point():
        raise TypeError(f"module must return logits of a floating dtype; got {logits.dtype}.")
    return logits.float() if logits.itemsize < 4 else logits
