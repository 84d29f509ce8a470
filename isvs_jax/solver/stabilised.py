"""The path by long steps: a jump to the first entry, Chebyshev steps, and a finish of ever shorter steps.

What a long step gets wrong are mostly the groups that entered during it: they overshoot, and settle at rates near κ/ν
afterwards. So the long steps run on the grid t₁, t₁ + h, t₁ + 2h, ... of each image, t₁ its first entry, and from there
each recorded time is approached on its own: a shorter step, a few middle ones and some Euler steps in which everything
settles. What is recorded, and who shares the batch, changes neither; nor does u jump where one long step more fits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.solver.chebyshev import Stage, planar_stage
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import FlowState, SplitLBI, planar_dense, planar_init, planar_slope
from isvs_jax.solver.plan import SLACK, Plan
from isvs_jax.solver.schedule import scan_steps
from isvs_jax.solver.shrinkage import squared_norm


class Course(NamedTuple):
    """Where a path stands at its first entry, and how far it is from there to each time.

    Attributes:
        times: Shape [T, ...].
        z: At the first entry, or at the time where that comes first; stacked along the times.
        finish: Length of the finish before each time.
        left: Length of the long steps before that.
    """

    times: jax.Array
    z: Edges
    finish: jax.Array
    left: jax.Array


def path_states(solver: SplitLBI, planar: jax.Array, times: jax.Array, plan: Plan, num_long: int) -> FlowState:
    """The states at some times.

    Args:
        solver: The flow, scheme "spectral".
        planar: x, [..., C, H, W].
        times: Not decreasing along the leading axis, shape [T] or [T, ...].
        plan: The steps.
        num_long: From `count_long_steps` for the last time.

    Returns:
        States stacked along a leading axis T.
    """
    course = set_out(solver, planar, times, plan)
    z = course.z
    if times.shape[0] > 1:
        # The long steps are shared by all times, up to the last shorter one.
        length = plan.long_length * _unit(solver, planar)
        counts = jnp.clip(jnp.floor(course.left / length + SLACK), 0, num_long)
        z = _long_steps(solver, planar, z, counts, length, plan, num_long)
        course, num_long = course._replace(left=course.left - counts * length), 0

    def size(offset: jax.Array, length: jax.Array) -> jax.Array:
        return row_size(solver, plan, course, offset, length)

    z = _all_stages(solver, planar, z, plan.rows(num_long + 1), size)
    return FlowState(course.times, planar_dense(solver, planar, z), z)


def set_out(solver: SplitLBI, planar: jax.Array, times: jax.Array, plan: Plan) -> Course:
    """The first entries, and what is left to go from there."""
    leading = planar.shape[:-3]
    if times.ndim == 1:
        times = jnp.broadcast_to(times.reshape(-1, *(1 for _ in leading)), (times.size, *leading))
    moments, z = _until_first_entry(solver, planar, times)
    # A finish fits between the first entry and its time; before come long steps, the last of them shorter.
    finish = jnp.minimum(plan.finish_length * _unit(solver, planar), times - moments)
    return Course(times, z, finish, times - finish - moments)


def row_size(solver: SplitLBI, plan: Plan, course: Course, offset: jax.Array, length: jax.Array) -> jax.Array:
    """The size of the step that a row of a plan belongs to."""
    unit = _unit(solver, offset)
    long = jnp.clip(course.left - offset * unit, 0, length * unit)
    return jnp.where(offset >= 0, long, length * course.finish / plan.finish_length)


def _unit(solver: SplitLBI, like: jax.Array) -> jax.Array:
    return jnp.asarray(solver.nu / solver.kappa).astype(like.dtype)


def _until_first_entry(solver: SplitLBI, planar: jax.Array, times: jax.Array) -> tuple[jax.Array, Edges]:
    """The z at each time, or at t₁ = 1/max|Du₀/ν| where that comes first: until then z = t·Du₀/ν exactly."""
    start = planar_init(solver, planar)
    rate = planar_slope(solver, start.u, start.z)
    axes = (-3, -2, -1)
    square = jnp.maximum(*(edge.max(axes, initial=0) for edge in squared_norm(rate, solver.penalty)))
    enters = square * times[-1] ** 2 > 1
    first = jnp.where(enters, jax.lax.rsqrt(jnp.where(enters, square, 1)), times[-1])
    moments = jnp.minimum(times, first)
    z = jax.tree.map(lambda edge: edge * moments[..., None, None, None], rate)
    return moments, z


def _long_steps(
    solver: SplitLBI,
    planar: jax.Array,
    starts: Edges,
    counts: jax.Array,
    length: jax.Array,
    plan: Plan,
    num_long: int,
) -> Edges:
    """For each time the z after its number of long steps; `starts` and `counts` are stacked along the times."""
    per_step, last = plan.long[0], counts[-1]
    coefficients = jnp.asarray(plan.long_rows(1)[:, :3], planar.dtype)

    def keep(kept: Edges, value: tuple[Edges, jax.Array]) -> Edges:
        z, reached = value
        return jax.tree.map(lambda new, old: jnp.where(reached[..., None, None, None], new, old), z, kept)

    def advance(carry: tuple[Stage, Edges], index: jax.Array) -> tuple[Stage, Edges]:
        stage, kept = carry
        number, within = jnp.floor(index / per_step), (index % per_step).astype(jnp.int32)
        size = jnp.where(number < last, length, 0)
        stage = planar_stage(solver, planar, stage, coefficients[within], size)
        reached = (within == per_step - 1) & (number == counts - 1)
        return stage, _if_any(reached, keep, kept, (stage.z, reached))

    def body(carry: tuple[Stage, Edges], index: jax.Array) -> tuple[Stage, Edges]:
        return _if_any(index < per_step * last, advance, carry, index)

    last_start = jax.tree.map(lambda edge: edge[-1], starts)
    start = Stage(last_start, last_start)
    return scan_steps(body, (start, starts), (0, num_long * per_step), planar.dtype)[1]


def _all_stages(
    solver: SplitLBI,
    planar: jax.Array,
    z: Edges,
    rows: np.ndarray,
    size_of: Callable[[jax.Array, jax.Array], jax.Array],
) -> Edges:
    """Through the rows of a plan; `size_of` gives the size of a step by its offset and length."""
    table = jnp.asarray(rows, planar.dtype)

    def body(stage: Stage, index: jax.Array) -> Stage:
        row = table[jnp.minimum(index, len(rows) - 1).astype(jnp.int32)]
        size = jnp.where(index < len(rows), size_of(row[3], row[4]), 0)

        def advance(stage: Stage, size: jax.Array) -> Stage:
            return planar_stage(solver, planar, stage, row[:3], size)

        return _if_any(size > 0, advance, stage, size)

    return scan_steps(body, Stage(z, z), (0, len(rows)), planar.dtype).z


def _if_any(needed: jax.Array, advance: Callable[[Any, Any], Any], carry: Any, value: Any) -> Any:
    """`advance` where an image of the batch needs it: images enter at different times, some are asked for early."""
    return jax.lax.cond(jnp.any(needed), advance, lambda carry, _: carry, carry, value)
