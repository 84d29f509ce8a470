"""The inverse scale space of an image: its path recorded at given times."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from isvs_jax._checks import ArrayLike, as_image, as_numbers, check_times, compute_dtype, concrete
from isvs_jax.solver.batching import map_blocks
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.explicit_axes import left_to_compiler
from isvs_jax.solver.flow import FlowState, SplitLBI, planar_init, planar_step, to_planar
from isvs_jax.solver.on_chip import path_states
from isvs_jax.solver.plan import Plan
from isvs_jax.solver.schedule import Schedule, scan_steps, schedule, within_bound


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


def scale_space(
    image: ArrayLike,
    times: ArrayLike,
    solver: SplitLBI = SplitLBI(),
    *,
    num_steps: int | None = None,
) -> ScaleSpace:
    """The inverse scale space of an image, recorded at the given times.

    ż = (Du − v)/ν, v = κ·shrink(z), u = (I + DᵀD/ν)⁻¹(x + Dᵀv/ν), z(0) = 0: differences between neighbouring pixels
    enter one after another, large-scale features first. The path is a `lax.scan`; only the recorded times are stored,
    and what is recorded does not change the path. The memory of a gradient grows with the number of times: about 85
    images for one time, 160 for two, 540 for eight; by Euler steps (`step_size`) 80, 90 and 210.

    Args:
        image: x, float [..., H, W, C], usually in [0, 1]; each image follows its own path. float16 and bfloat16 are
            computed in float32 and given back as they came.
        times: Strictly increasing times ≥ 0, shape [T].
        solver: The flow and its scheme.
        num_steps: None takes the long steps of the scheme "spectral" (see `SplitLBI`), as many as the times, kappa and
            nu ask for: few solves for a few times where t·kappa/nu is well above 40. Given, a static number of equal
            Euler steps to the last time; it must be given where times, kappa or nu are traced.

    Returns:
        A `ScaleSpace`.

    Raises:
        TypeError: `image` is not of a floating dtype.
        ValueError: A shape, time, number of steps or step size cannot be.

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
    steps = schedule(times[-1], solver, num_steps)
    return _record(image, times, solver, steps.step_size, num_steps=steps.num_steps, plan=steps.plan)


def _check_shape_and_order(times: ArrayLike, dtype: jnp.dtype) -> None:
    shape = jnp.shape(times)
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"times has shape {shape}; it may be [T] with T ≥ 1.")
    seen = concrete(times)
    if seen is None:
        return
    check_times("times", seen)
    if not (seen[1:] > seen[:-1]).all():
        raise ValueError(f"times is {seen.tolist()}; it may hold strictly increasing times.")
    rounded = seen.astype(dtype)
    equal = np.flatnonzero(rounded[1:] == rounded[:-1])
    if equal.size:
        pair = seen[equal[0] : equal[0] + 2].tolist()
        raise ValueError(
            f"times holds {pair[0]!r} and {pair[1]!r}, which are equal in {dtype}, in which the image is computed; "
            "it may hold times that differ there."
        )


def _specs(leading: PartitionSpec) -> ScaleSpace:
    """Of a path, from those of the leading axes of the image."""
    recorded = PartitionSpec(None, *leading)
    return ScaleSpace._make([PartitionSpec(), recorded, Edges._make([recorded] * 2), PartitionSpec()])


@partial(jax.jit, static_argnames=("num_steps", "plan"))
@left_to_compiler(_specs)
def _record(
    image: jax.Array,
    times: jax.Array,
    solver: SplitLBI,
    step_size: ArrayLike,
    *,
    num_steps: int,
    plan: Plan | None,
) -> ScaleSpace:
    dtype = compute_dtype(image.dtype)
    times, alpha = times.astype(dtype), jnp.asarray(step_size).astype(dtype)
    stable = jnp.diff(times, prepend=-jnp.ones((), dtype)) > 0
    if plan is None:
        stable &= within_bound(times, Schedule(num_steps, alpha), solver)

    def of_block(image: jax.Array) -> tuple[jax.Array, Edges]:
        planar = to_planar(image)
        if plan is None:
            states = _euler_states(solver, planar, times, alpha, num_steps)
        else:
            states = path_states(solver, planar, times, plan, num_steps)
        return jax.vmap(lambda state: (solver.dense(state).astype(image.dtype), solver.support(state)))(states)

    dense, support = map_blocks(of_block, image, axis=1, copies=times.size)
    return ScaleSpace(times, dense, support, stable)


def _euler_states(solver: SplitLBI, planar: jax.Array, times: jax.Array, alpha: jax.Array, num_steps: int) -> FlowState:
    """The states at the times by Euler steps, stacked."""
    start = planar_init(solver, planar)
    # Each time is reached from the last grid point before it, in one shorter step.
    grid = jnp.arange(num_steps, dtype=planar.dtype) * alpha
    before = jnp.maximum(jnp.sum(grid < times[:, None], axis=1, dtype=jnp.int32) - 1, 0)
    kept = _grid_states(solver, planar, start, times, alpha, before, num_steps)
    remaining = jnp.maximum(times - grid[before], 0)
    slots = jnp.minimum(jnp.arange(times.size, dtype=jnp.int32), _slot(times, grid[before]))
    return jax.vmap(lambda slot, size: planar_step(solver, planar, _at(kept, slot), size))(slots, remaining)


def _grid_states(
    solver: SplitLBI,
    planar: jax.Array,
    start: FlowState,
    times: jax.Array,
    alpha: jax.Array,
    before: jax.Array,
    num_steps: int,
) -> FlowState:
    """For every time the state at the last grid point before it, stacked; an entry may serve several times.

    Every step writes its state into the slot of the first time still ahead, so that the last writer is the grid point
    just before that time. Slots never written keep the start.
    """
    kept = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], times.size, axis=0), start)

    def advance(state: FlowState, index: jax.Array) -> FlowState:
        last = before[-1].astype(index.dtype)
        return planar_step(solver, planar, state, jnp.where(index <= last, alpha, 0))

    if times.size == 1:
        # The state at the end is the only one asked for.
        state = scan_steps(advance, start, (1, num_steps), planar.dtype)
        return jax.tree.map(lambda leaf: leaf[None], state)

    def body(carry: tuple[FlowState, FlowState], index: jax.Array) -> tuple[FlowState, FlowState]:
        state, kept = carry
        state = advance(state, index)
        slot = jnp.minimum(_slot(times, index * alpha), times.size - 1)
        kept = jax.tree.map(
            lambda stack, leaf: jax.lax.dynamic_update_index_in_dim(stack, leaf, slot, 0),
            kept,
            state,
        )
        return state, kept

    return scan_steps(body, (start, kept), (1, num_steps), planar.dtype)[1]


def _slot(times: jax.Array, moment: jax.Array) -> jax.Array:
    """How many of the times have come at a moment (or moments)."""
    return jnp.sum(times <= jnp.asarray(moment)[..., None], axis=-1, dtype=jnp.int32)


def _at(stack: FlowState, index: jax.Array) -> FlowState:
    return jax.tree.map(lambda leaf: leaf[index], stack)
