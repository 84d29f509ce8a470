"""The inverse scale space of an image: its path recorded at given times."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from isvs_jax._checks import ArrayLike, as_numbers, brief_numbers, check_times, concrete
from isvs_jax._images import as_image, compute_dtype
from isvs_jax.solver.batching import left_to_compiler, map_blocks
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import to_planar
from isvs_jax.solver.integrator import Integrator, choose_integrator
from isvs_jax.solver.split_lbi import SplitLBI


class ScaleSpace(NamedTuple):
    """A path recorded at T times; every field has a leading axis T.

    Attributes:
        times: The times, shape [T].
        dense: u(t), shape [T, ..., H, W, C], the dtype of the image.
        support: {|z(t)| > 1} as bool edges [T, ..., H, W-1, C] and [T, ..., H-1, W, C]; the channel axis is 1 where
            the penalty couples channels.
        stable: Whether the entry can be trusted, shape [T], bool: its time is finite, not negative, later than the one
            before, and was reached by steps within the stability bound. Always true where the values could be seen,
            since those are refused with an error otherwise.
    """

    times: jax.Array
    dense: jax.Array
    support: Edges
    stable: jax.Array

    def __repr__(self) -> str:
        """Shapes and times in place of pixels."""
        dense, horizontal, vertical = (
            f"{array.dtype}{list(array.shape)}"
            for array in (self.dense, self.support.horizontal, self.support.vertical)
        )
        return (
            f"ScaleSpace(times={brief_numbers(self.times)}, dense={dense},\n"
            f"           support=Edges(horizontal={horizontal}, vertical={vertical}),\n"
            f"           stable={brief_numbers(self.stable)})"
        )


def scale_space(
    image: ArrayLike,
    times: ArrayLike,
    solver: SplitLBI = SplitLBI(),
    *,
    max_time: float | None = None,
    num_steps: int | None = None,
) -> ScaleSpace:
    """The inverse scale space of an image, recorded at the given times.

    ż = (Du − v)/ν, v = κ·shrink(z), u = (I + DᵀD/ν)⁻¹(x + Dᵀv/ν), z(0) = 0: differences between neighbouring pixels
    enter one after another, large-scale features first. The path is a `lax.scan`; only the recorded times are stored,
    and what is recorded does not change the path. The memory of a gradient grows with the number of times: about 85
    images for one time, 160 for two, 540 for eight; by Euler steps (`step_size`) 80, 90 and 210.

    Args:
        image: x, float [..., H, W, C] in [0, 1], as in `smooth`; each image follows its own path. float16 and bfloat16
            are computed in float32 and given back as they came.
        times: Strictly increasing times ≥ 0, shape [T].
        solver: The flow and its scheme.
        max_time: A bound for the times, a static number; with it they may be traced (see `smooth`).
        num_steps: None takes the long steps of the scheme "spectral" (see `SplitLBI`), as many as the times, kappa and
            nu ask for: few solves for a few times where t·kappa/nu is well above 40. Given, a static number of equal
            Euler steps to the last time; it must be given where kappa or nu is traced.

    Returns:
        A `ScaleSpace`.

    Raises:
        TypeError: `image` is not of a floating dtype.
        ValueError: A shape, a value, a time, the number of steps or the step size is out of its range.

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.zeros((16, 16, 1)).at[4:12, 4:12].set(1.0)
        >>> path = scale_space(image, [0.5, 1.0, 2.0])
        >>> path.dense.shape, path.support.horizontal.shape
        ((3, 16, 16, 1), (3, 16, 15, 1))

    References:
        Huang, Sun, Xiong, Yao, "Split LBI: an iterative regularization path with structural sparsity", NeurIPS 2016.
        Burger, Gilboa, Osher, Xu, "Nonlinear inverse scale space methods", Commun. Math. Sci. 4 (2006).
    """
    image = as_image(image)
    times = as_numbers(times, "times")
    _check_shape_and_order(times, compute_dtype(image.dtype))
    integrator = choose_integrator(solver, image, times[-1], num_steps, max_time=max_time)
    return _record(image, times, solver, integrator)


def _check_shape_and_order(times: ArrayLike, dtype: jnp.dtype) -> None:
    shape = jnp.shape(times)
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"times must have shape [T] with T ≥ 1; got shape {shape}.")
    seen = concrete(times)
    if seen is None:
        return
    check_times("times", seen)
    if not (seen[1:] > seen[:-1]).all():
        raise ValueError(f"times must be strictly increasing; got {seen.tolist()}.")
    rounded = seen.astype(dtype)
    equal = np.flatnonzero(rounded[1:] == rounded[:-1])
    if equal.size:
        pair = seen[equal[0] : equal[0] + 2].tolist()
        raise ValueError(
            f"times must differ in {dtype}, in which the image is computed; got {pair[0]!r} and {pair[1]!r}, which are "
            "equal there."
        )


def _specs(leading: PartitionSpec) -> ScaleSpace:
    """Of a path, from those of the leading axes of the image."""
    recorded = PartitionSpec(None, *leading)
    return ScaleSpace._make([PartitionSpec(), recorded, Edges._make([recorded] * 2), PartitionSpec()])


@jax.jit
@left_to_compiler(_specs)
def _record(image: jax.Array, times: jax.Array, solver: SplitLBI, integrator: Integrator) -> ScaleSpace:
    dtype = compute_dtype(image.dtype)
    times = times.astype(dtype)
    stable = (jnp.diff(times, prepend=-jnp.ones((), dtype)) > 0) & integrator.reaches(solver.flow, times)

    def of_block(image: jax.Array) -> tuple[jax.Array, Edges]:
        states = integrator.states(solver.flow, to_planar(image), times)
        return jax.vmap(lambda state: (solver.dense(state).astype(image.dtype), solver.support(state)))(states)

    dense, support = map_blocks(of_block, image, axis=1, copies=times.size)
    return ScaleSpace(times, dense, support, stable)
