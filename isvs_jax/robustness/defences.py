"""Functions that stand before a network: smoothing along the path, and two that resist nothing.

The two serve to test a referee: a sound one takes each to about zero and warns. Both end in a step whose derivative is
zero, so that an attack through their own gradient stands still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax._checks import brief, check_integer, check_number
from isvs_jax.augment.views import View
from isvs_jax.filters import rof
from isvs_jax.filters.matching import FILTERS
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.solver._smooth import Output, smooth
from isvs_jax.solver.split_lbi import SplitLBI

ImageFn = Callable[[jax.Array], jax.Array]


class Defence(NamedTuple):
    """A function before the network, and what stands for it in a backward pass.

    Attributes:
        forward: A function from images [B, H, W, C] in [0, 1] to images of the same shape, which JAX can trace.
        low_pass: A linear map between images of the same shapes that is close to `forward`.
        description: What the defence is, with its numbers; a report tells defences apart by it.
    """

    forward: ImageFn
    low_pass: ImageFn
    description: str = ""


def smoothing_defence(time: float, solver: SplitLBI = SplitLBI(), output: Output = "dense") -> Defence:
    """Smoothing along the inverse scale space path as a defence; its low-pass part is u(0) = (I + DᵀD/ν)⁻¹x.

    Args:
        time: The time t of the path at which it is stopped, ≥ 0.
        solver: The path.
        output: "dense" or "sparse".

    Returns:
        A `Defence`.

    Example:
        >>> import jax.numpy as jnp
        >>> smoothing_defence(2.0).forward(jnp.ones((1, 4, 4, 3))).shape
        (1, 4, 4, 3)
    """

    def forward(images: jax.Array) -> jax.Array:
        return smooth(images, time, solver, output)

    description = (
        f"smoothing, {output}, t = {time}, kappa = {solver.kappa}, nu = {solver.nu}, {solver.penalty}, "
        f"{solver.scheme}, step_size = {solver.step_size}"
    )
    return Defence(forward, _beginning_of_the_path(solver), description)


def view_defence(view: View, solver: SplitLBI = SplitLBI()) -> Defence:
    """One view of an image as a defence: of the path, or of a filter that the path is compared with.

    Args:
        view: The view, such as `View.parse("blur:0.8")`.
        solver: The path, for views of it.

    Returns:
        A `Defence`; the low-pass part of a linear filter is itself, and that of "rof" is (I + DᵀD)⁻¹x.

    Raises:
        TypeError: It is no view.

    Example:
        >>> import jax.numpy as jnp
        >>> view_defence(View.parse("blur:0.8")).forward(jnp.full((1, 4, 4, 3), 0.5)).shape
        (1, 4, 4, 3)
    """
    if not isinstance(view, View):
        raise TypeError(f"view must be a View, such as View.parse('blur:0.8'); got {brief(view)}.")
    if view.kind == "dense" or view.kind == "sparse":
        return smoothing_defence(view.strength, solver, view.kind)

    def forward(images: jax.Array) -> jax.Array:
        return FILTERS[view.kind](images, view.strength)

    low_pass = _beginning_of_the_path(SplitLBI(nu=1.0)) if view.kind == "rof" else forward
    return Defence(forward, low_pass, f"filter, {view}")


def rounding_defence(levels: int = 8) -> Defence:
    """Round the input to a few grey levels.

    Args:
        levels: The number of grey levels, at least 2.

    Returns:
        A `Defence`; its low-pass part is the identity.

    Raises:
        TypeError: The number of levels is no integer.
        ValueError: There are fewer than two levels.

    Example:
        >>> import jax.numpy as jnp
        >>> rounding_defence(3).forward(jnp.array([0.1, 0.4, 0.9]).reshape(1, 1, 3, 1)).ravel().tolist()
        [0.0, 0.5, 1.0]

    References:
        Xu, Evans, Qi, "Feature squeezing", NDSS 2018; broken by He et al., WOOT 2017.
    """
    check_integer("levels", levels, 2)

    def forward(images: jax.Array) -> jax.Array:
        return jnp.round(images * (levels - 1)) / (levels - 1)

    return Defence(forward, lambda images: images, f"rounding to {levels} levels")


def total_variation_defence(weight: float = 0.1, num_steps: int = 50) -> Defence:
    """Total variation minimisation, min ½‖u − x‖² + weight·TV(u), written out in 8 bits as an image file would be.

    Args:
        weight: The weight of the total variation, > 0.
        num_steps: The iterations of `isvs_jax.filters.rof`, which does the minimisation.

    Returns:
        A `Defence`; its low-pass part is (I + DᵀD)⁻¹x.

    Raises:
        TypeError: The weight is no number, or the number of steps no integer.
        ValueError: The weight is not positive and finite, or there are no steps.

    Example:
        >>> import jax.numpy as jnp
        >>> total_variation_defence(0.1, 5).forward(jnp.full((1, 4, 4, 1), 0.2)).round(3).max().item()
        0.20000000298023224

    References:
        Guo, Rana, Cisse, van der Maaten, "Countering adversarial images using input transformations", ICLR 2018;
        broken by Athalye, Carlini, Wagner, ICML 2018.
    """
    weight = check_number("weight", weight, "(0, inf)")
    num_steps = check_integer("num_steps", num_steps)

    def forward(images: jax.Array) -> jax.Array:
        return jnp.round(rof(images, weight, num_steps=num_steps) * 255) / 255

    low_pass = _beginning_of_the_path(SplitLBI(nu=1.0))
    return Defence(forward, low_pass, f"total variation, weight = {weight}, {num_steps} iterations")


def _beginning_of_the_path(solver: SplitLBI) -> ImageFn:
    """The linear low-pass filter (I + DᵀD/ν)⁻¹ with which a path begins."""
    return lambda images: smooth(images, 0.0, solver)


def defended(network_fn: LogitsFn, defence: Defence) -> LogitsFn:
    """The model that is judged: network_fn(defence(images)).

    The result is a pytree of both, so that the attacks compile once for the same two functions.
    """
    return Partial(_composed, network_fn, defence.forward)


def check_shapes(defence: Defence, images: np.ndarray | jax.Array) -> None:
    """Refuse what is no defence, and one that changes the shape of images [B, H, W, C]."""
    if not isinstance(defence, Defence):
        raise TypeError(f"defence must be a Defence, such as smoothing_defence(1.0); got {brief(defence)}.")
    for name in ("forward", "low_pass"):
        shape = jax.eval_shape(getattr(defence, name), jax.ShapeDtypeStruct(np.shape(images), jnp.float32)).shape
        if shape != np.shape(images):
            raise ValueError(f"defence.{name} must keep the shape {np.shape(images)} of images; got shape {shape}.")


def _composed(network_fn: LogitsFn, forward: ImageFn, images: jax.Array) -> jax.Array:
    return network_fn(forward(images))
