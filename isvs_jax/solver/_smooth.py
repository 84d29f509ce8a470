"""The smoothed image: one image of the path, dense or sparse, stopped by time or by content."""

from functools import partial
from math import prod
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, as_numbers, brief_numbers, check_choice, concrete
from isvs_jax._images import as_image, check_per_image, compute_dtype
from isvs_jax.solver.batching import left_to_compiler, map_blocks
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.euler import Euler
from isvs_jax.solver.flow import FlowState, to_planar
from isvs_jax.solver.integrator import Integrator, choose_euler, choose_integrator
from isvs_jax.solver.regions import component_means
from isvs_jax.solver.shrinkage import support
from isvs_jax.solver.split_lbi import SplitLBI

Output = Literal["dense", "sparse"]
OUTPUTS: tuple[str, ...] = get_args(Output)


class Stopped(NamedTuple):
    """An image smoothed until a fraction of its edges had entered; every field has the leading axes of the image.

    Attributes:
        image: The smoothed image [..., H, W, C], the dtype of the image.
        time: When its path was stopped, shape [...].
        fraction: The fraction of its edges in the support then, shape [...].
        reached: Whether that is the fraction asked for; false where the path ended first, or its steps were past the
            stability bound. Shape [...], bool.
    """

    image: jax.Array
    time: jax.Array
    fraction: jax.Array
    reached: jax.Array

    def __repr__(self) -> str:
        """Numbers, and the shape of the image in place of its pixels."""
        return (
            f"Stopped(image={self.image.dtype}{list(self.image.shape)}, time={brief_numbers(self.time)},\n"
            f"        fraction={brief_numbers(self.fraction)}, reached={brief_numbers(self.reached)})"
        )


def smooth(
    image: ArrayLike,
    time: ArrayLike,
    solver: SplitLBI = SplitLBI(),
    output: Output = "dense",
    *,
    max_time: float | None = None,
    num_steps: int | None = None,
) -> jax.Array:
    """The image at one time of its inverse scale space path.

    "dense" is u(t). "sparse" is the orthogonal projection of x onto {u : (Du)ₑ = 0 outside the support at t}:
    piecewise constant, contours exactly sharp; its derivative holds the support fixed.

    Args:
        image: x, float [..., H, W, C] in [0, 1]; noise and filters may leave it. Images on another scale s are
            divided by it before and multiplied after: path(s·x; κs, t/s) = s·path(x; κ, t).
        time: t ≥ 0, a scalar or one per image (shape [...]).
        solver: The flow and its scheme.
        output: "dense" or "sparse".
        max_time: A bound for the times, a static number. With it the time may be traced: `jit` and `vmap` over it and
            its gradient need no count of steps, and all times up to the bound share one compiled program.
        num_steps: None takes the long steps of the scheme "spectral" (see `SplitLBI`), as many as the time, kappa and
            nu ask for. Given, a static number of equal Euler steps; it must be given where kappa or nu is traced.

    Returns:
        The smoothed image, shape and dtype of `image`. Where values are traced and so cannot be refused, an image whose
        time is negative, not finite or past `max_time`, or whose steps are past the stability bound, comes back as NaN.

    Raises:
        TypeError: `image` is not of a floating dtype.
        ValueError: A shape, a value, the time, the number of steps, the step size or the output is out of its range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> image = jnp.zeros((16, 16, 1)).at[4:12, 4:12].set(1.0)
        >>> noisy = image + 0.1 * jax.random.normal(jax.random.key(0), image.shape)
        >>> smoothed = smooth(noisy, 2.0, output="sparse")
        >>> bool(jnp.abs(smoothed - image).mean() < jnp.abs(noisy - image).mean())
        True
        >>> slope = jax.grad(lambda time: smooth(noisy, time, max_time=4.0).var())(2.0)  # a learned time
        >>> bool(slope > 0)
        True

    References:
        Huang, Sun, Xiong, Yao, "Split LBI: an iterative regularization path with structural sparsity", NeurIPS 2016.
    """
    image = as_image(image)
    check_choice("output", output, OUTPUTS)
    time = as_numbers(time, "time")
    check_per_image("time", time, image.shape[:-3])
    integrator = choose_integrator(solver, image, time, num_steps, "time", max_time)
    return _smooth(image, time, solver, integrator, output=output)


def smooth_until(
    image: ArrayLike,
    fraction: ArrayLike,
    max_time: ArrayLike = 64.0,
    solver: SplitLBI = SplitLBI(),
    output: Output = "dense",
    *,
    num_steps: int | None = None,
) -> Stopped:
    """The image at the first step of its path at which a fraction of its edges is in the support.

    Stopping by content instead of time: each image stops for itself on the grid 0, α, 2α, ... of Euler steps
    (`solver.default_step_size`), short ones, so that it stops soon after it has the fraction.

    Args:
        image: x, float [..., H, W, C] in [0, 1], as in `smooth`.
        fraction: Wanted share of edges in the support, in [0, 1], a scalar or one per image (shape [...]). An edge of a
            coupled group counts once, not once a channel; an image of one pixel has no edges and stops at time 0.
        max_time: A path that has not reached the fraction stops here.
        solver: The flow and its scheme.
        output: "dense" or "sparse".
        num_steps: Static number of equal Euler steps to `max_time`; None derives it from `max_time`, kappa, nu and the
            stability bound; it must be given where one of these is traced.

    Returns:
        A `Stopped`.

    Raises:
        TypeError: `image` is not of a floating dtype.
        ValueError: A shape, a value, a number or the output is out of its range.

    Example:
        >>> import jax
        >>> images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
        >>> stopped = smooth_until(images, 0.25, max_time=32.0)
        >>> bool((stopped.fraction >= 0.25).all()), stopped.time.shape
        (True, (2,))
    """
    image = as_image(image)
    check_choice("output", output, OUTPUTS)
    fraction, max_time = as_numbers(fraction, "fraction"), as_numbers(max_time, "max_time")
    check_per_image("fraction", fraction, image.shape[:-3])
    seen = concrete(fraction)
    if seen is not None and not ((seen >= 0) & (seen <= 1)).all():
        raise ValueError(f"fraction must be in [0, 1]; got {seen.tolist()}.")
    if jnp.shape(max_time) != ():
        raise ValueError(f"max_time must be a scalar; got shape {jnp.shape(max_time)}.")
    integrator = choose_euler(solver, max_time, num_steps, "max_time")
    return _smooth_until(image, fraction, max_time, solver, integrator, output=output)


@partial(jax.jit, static_argnames="output")
@left_to_compiler(lambda leading: leading)
def _smooth(
    image: jax.Array, time: jax.Array, solver: SplitLBI, integrator: Integrator, *, output: Output
) -> jax.Array:
    time = time.astype(compute_dtype(image.dtype))

    def of_block(image: jax.Array, time: jax.Array, reached: jax.Array) -> jax.Array:
        planar = _path_source(image, output)
        state = integrator.state(solver.flow, planar, time)
        return jnp.where(reached[..., None, None, None], _output(image, solver, state, output), jnp.nan)

    return map_blocks(of_block, image, time, integrator.reaches(solver.flow, time[None])[0])


@partial(jax.jit, static_argnames="output")
@left_to_compiler(lambda leading: Stopped._make([leading] * 4))
def _smooth_until(
    image: jax.Array,
    fraction: jax.Array,
    max_time: jax.Array,
    solver: SplitLBI,
    integrator: Euler,
    *,
    output: Output,
) -> Stopped:
    dtype = compute_dtype(image.dtype)
    max_time = max_time.astype(dtype)
    reached = integrator.reaches(solver.flow, max_time[None])[0]

    def of_block(image: jax.Array, wanted: jax.Array) -> Stopped:
        def is_ahead(z: Edges) -> jax.Array:
            return support_fraction(support(z, solver.penalty), dtype) < wanted

        state = integrator.until(solver.flow, _path_source(image, output), max_time, is_ahead)
        share = support_fraction(solver.support(state), dtype)
        return Stopped(_output(image, solver, state, output), state.time, share, (share >= wanted) & reached)

    return map_blocks(of_block, image, fraction.astype(dtype))


def support_fraction(support: Edges, dtype: jnp.dtype) -> jax.Array:
    """The share of edges in a support, per image; 1 where an image has no edges."""
    axes = (-3, -2, -1)
    entered = support.horizontal.sum(axes, dtype=jnp.int32) + support.vertical.sum(axes, dtype=jnp.int32)
    total = prod(support.horizontal.shape[-3:]) + prod(support.vertical.shape[-3:])
    return entered.astype(dtype) / total if total else jnp.ones_like(entered, dtype=dtype)


def _path_source(image: jax.Array, output: Output) -> jax.Array:
    """The planar image whose path is followed.

    With the support held fixed the sparse image does not depend on the path: its gradient needs no step of it.
    """
    return to_planar(image if output == "dense" else jax.lax.stop_gradient(image))


def _output(image: jax.Array, solver: SplitLBI, state: FlowState, output: Output) -> jax.Array:
    if output == "sparse":
        return component_means(image, solver.support(state), leading=image.shape[:-3])
    return solver.dense(state).astype(image.dtype)
