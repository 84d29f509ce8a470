"""Functions that stand before a network: what they are, and the model that such a function makes of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.solver._smooth import Output, smooth
from isvs_jax.solver.split_lbi import SplitLBI

ImageFn = Callable[[jax.Array], jax.Array]


class Defence(NamedTuple):
    """A function before the network, and what stands for it in a backward pass.

    Attributes:
        forward: Images [B, H, W, C] in [0, 1] to images of the same shape; any function that traces.
        low_pass: A linear map of the same shapes close to `forward`.
        description: What it is and its numbers, by which a report tells defences apart.
    """

    forward: ImageFn
    low_pass: ImageFn
    description: str = ""


def smoothing_defence(time: float, solver: SplitLBI = SplitLBI(), output: Output = "dense") -> Defence:
    """Smoothing along the inverse scale space path as a defence; its low-pass part is u(0) = (I + DᵀD/ν)⁻¹x.

    >>> import jax.numpy as jnp
    >>> smoothing_defence(2.0).forward(jnp.ones((1, 4, 4, 3))).shape
    (1, 4, 4, 3)
    """

    def forward(images: jax.Array) -> jax.Array:
        return smooth(images, time, solver, output)

    def low_pass(images: jax.Array) -> jax.Array:
        return smooth(images, 0.0, solver)

    description = (
        f"smoothing, {output}, t = {time}, kappa = {solver.kappa}, nu = {solver.nu}, {solver.penalty}, "
        f"{solver.scheme}, step_size = {solver.step_size}"
    )
    return Defence(forward, low_pass, description)


def defended(network_fn: LogitsFn, defence: Defence) -> LogitsFn:
    """The model that is judged: network_fn(defence(images)).

    The result is a pytree of both, so that the attacks compile once for the same two functions.
    """
    return Partial(_composed, network_fn, defence.forward)


def check_shapes(defence: Defence, images: np.ndarray | jax.Array) -> None:
    """Refuse a defence that changes the shape of images [B, H, W, C]."""
    for name in ("forward", "low_pass"):
        shape = jax.eval_shape(getattr(defence, name), jax.ShapeDtypeStruct(np.shape(images), jnp.float32)).shape
        if shape != np.shape(images):
            raise ValueError(
                f"defence.{name} returned shape {shape} for images of shape {np.shape(images)}; it may return the same."
            )


def _composed(network_fn: LogitsFn, forward: ImageFn, images: jax.Array) -> jax.Array:
    return network_fn(forward(images))
