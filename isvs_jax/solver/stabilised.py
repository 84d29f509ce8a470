"""The path by long steps: a jump to the first entry, Chebyshev steps, and a finish of ever shorter steps.

What a long step gets wrong are mostly the groups that entered during it: they overshoot, and settle at rates near κ/ν
afterwards. So the long steps run on the grid t₁, t₁ + h, t₁ + 2h, ... of each image, t₁ its first entry, and from there
each recorded time is approached on its own: a shorter step, a few middle ones and some Euler steps in which everything
settles. What is recorded, and who shares the batch, changes neither; nor does u jump where one long step more fits.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax.solver.batching import scan_steps
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import Flow, FlowState, cast, per_image
from isvs_jax.solver.plan import SLACK, Plan
from isvs_jax.solver.shrinkage import squared_norm


class Course(NamedTuple):
    """Where a path stands at its first entry, and how far it is from there to each time.

    Attributes:
        times: The times, shape [T, ...].
        z: The dual variable at the first entry, or at the time where that comes first; stacked along the times.
        finish: The length of the finish before each time.
        left: The length of the long steps before that.
    """

    times: jax.Array
    z: Edges
    finish: jax.Array
    left: jax.Array

    def sizes(self, flow: Flow, plan: Plan, rows: np.ndarray) -> jax.Array:
        """The sizes of the steps that some rows of the plan belong to, [R, T, ...]; 0 for those beyond what is left."""
        after = (1,) * self.left.ndim
        offset, length = (jnp.asarray(column, self.left.dtype).reshape(-1, *after) for column in rows[:, 3:].T)
        unit = _unit(flow, self.left)
        long = jnp.clip(self.left[None] - offset * unit, 0, length * unit)
        return jnp.where(offset >= 0, long, length * self.finish[None] / plan.finish_length)


class Stage(NamedTuple):
    """Where a step stands between its stages: yⱼ and what the last stage changed, yⱼ − yⱼ₋₁, planar."""

    z: Edges
    change: Edges


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["plan", "num_long", "max_time"])
@dataclasses.dataclass(frozen=True)
class Stabilised:
    """The stabilised steps of a plan, scheme "spectral".

    Attributes:
        plan: The steps; static.
        num_long: The number of long steps that fit before the last time, from `count_long_steps`; static.
        max_time: The bound that this number is derived from where the times are traced; None where they were seen.
            Static.
    """

    plan: Plan
    num_long: int
    max_time: float | None = None

    def reaches(self, flow: Flow, times: jax.Array) -> jax.Array:
        """Whether each time is ≥ 0 and within the bound; true where the times were seen. bool, the shape of `times`."""
        if self.max_time is None:
            return jnp.ones_like(times, bool)
        return (times >= 0) & (times <= self.max_time * (1 + SLACK))

    def state(self, flow: Flow, planar: jax.Array, time: jax.Array) -> FlowState:
        """The state at a time, a scalar or one per image."""
        return jax.tree.map(lambda leaf: leaf[0], self.states(flow, planar, time[None]))

    def states(self, flow: Flow, planar: jax.Array, times: jax.Array) -> FlowState:
        """The states at some times.

        Args:
            flow: The flow.
            planar: x, [..., C, H, W].
            times: Not decreasing along the leading axis, shape [T] or [T, ...].

        Returns:
            States stacked along a leading axis T.
        """
        course, num_long = set_out(flow, planar, times, self.plan), self.num_long
        if times.shape[0] > 1:
            # The long steps are shared by all times, up to the last shorter one.
            course, num_long = _after_long_steps(flow, planar, course, self.plan, num_long), 0
        rows = self.plan.rows(num_long + 1)
        steps = jnp.asarray(rows[:, :3], planar.dtype), course.sizes(flow, self.plan, rows)
        z = scan_steps(Partial(_stage_if_any, flow, planar), _at_rest(course.z), steps).z
        return FlowState(course.times, flow.dense(planar, z), z)

    def solves(self, num_times: int = 1) -> int:
        """The number of solves of a path, at most: u(0), the long steps if an image enters at once, finishes, u(t)."""
        return 1 + self.num_long * self.plan.long[0] + num_times * (self.plan.finish_solves + 1)


def set_out(flow: Flow, planar: jax.Array, times: jax.Array, plan: Plan) -> Course:
    """The first entries, and what is left to go from there.

    Nothing enters before t₁ = 1/max|Du₀/ν|, and until then z = t·Du₀/ν exactly: a path jumps there, or to the time
    where that comes first.
    """
    leading = planar.shape[:-3]
    if times.ndim == 1:
        times = jnp.broadcast_to(times.reshape(-1, *(1 for _ in leading)), (times.size, *leading))
    start = flow.start(planar)
    rate = flow.slope(start.u, start.z)
    axes = (-3, -2, -1)
    square = jnp.maximum(*(edge.max(axes, initial=0) for edge in squared_norm(rate, flow.penalty)))
    enters = square * times[-1] ** 2 > 1
    first = jnp.where(enters, jax.lax.rsqrt(jnp.where(enters, square, 1)), times[-1])
    moments = jnp.minimum(times, first[None])
    z = jax.tree.map(lambda edge: edge[None] * moments[..., None, None, None], rate)
    # A finish fits between the first entry and its time; before come long steps, the last of them shorter.
    finish = jnp.minimum(plan.finish_length * _unit(flow, planar), times - moments)
    return Course(times, z, finish, times - finish - moments)


def next_stage(flow: Flow, planar: jax.Array, stage: Stage, step: tuple[jax.Array, jax.Array]) -> Stage:
    """The next stage, one solve; an image whose step has size 0 stays as it is.

    Args:
        flow: The flow.
        planar: x, [..., C, H, W].
        stage: The stage before, with the axes of `planar` or a leading axis of times before them.
        step: The coefficients μ, ν, μ̃, shape [3], and the size h ≥ 0 in units of time, shape [...] or [T, ...].
    """
    (_, nu, of_slope), size = step
    h = per_image(size)

    def changed(change: jax.Array, rate: jax.Array) -> jax.Array:
        return jnp.where(h > 0, of_slope * h * rate - nu * change, 0)

    # Solved here and not kept from the stage before: an image less in memory. As μ + ν = 1, a stage adds to yⱼ₋₁, which
    # is done in place.
    slope = flow.slope(flow.dense(planar, stage.z), stage.z)
    change = jax.tree.map(changed, stage.change, slope)
    return Stage(jax.tree.map(jnp.add, stage.z, change), change)


def _at_rest(z: Edges) -> Stage:
    """The stage before the first of a step."""
    return Stage(z, jax.tree.map(jnp.zeros_like, z))


def _stage_if_any(flow: Flow, planar: jax.Array, stage: Stage, step: tuple[jax.Array, jax.Array]) -> Stage:
    """`next_stage` where an image of the batch needs it: images enter at different times, some are asked for early."""
    advance = partial(next_stage, flow, planar)
    return jax.lax.cond(jnp.any(step[1] > 0), advance, lambda stage, _: stage, stage, step)


def _after_long_steps(flow: Flow, planar: jax.Array, course: Course, plan: Plan, num_long: int) -> Course:
    """The course of each time after the long steps that fit before it, which all times share."""
    length = plan.long_length * _unit(flow, planar)
    counts = jnp.clip(jnp.floor(course.left / length + SLACK), 0, num_long)
    per_step, last = plan.long[0], counts[-1]
    rows = plan.long_rows(num_long)
    # Of each stage: the number of its step, and whether it is the last of that step.
    number, within = np.divmod(np.arange(len(rows)), per_step)
    numbers = jnp.asarray(number, planar.dtype).reshape(-1, *(1 for _ in last.shape))
    ends = jnp.asarray(within == per_step - 1).reshape(-1, *(1 for _ in counts.shape))
    sizes = jnp.where(numbers < last[None], length, 0)
    reached = ends & (numbers[:, None] == counts[None] - 1)

    def keep(kept: Edges, value: tuple[Edges, jax.Array]) -> Edges:
        z, reached = value
        return jax.tree.map(lambda new, old: jnp.where(reached[..., None, None, None], new[None], old), z, kept)

    def body(carry: tuple[Stage, Edges], step: tuple[jax.Array, ...]) -> tuple[Stage, Edges]:
        def advance(carry: tuple[Stage, Edges]) -> tuple[Stage, Edges]:
            stage, kept = carry
            coefficients, size, reached = step
            stage = next_stage(flow, planar, stage, (coefficients, size))
            return stage, jax.lax.cond(jnp.any(reached), keep, lambda kept, _: kept, kept, (stage.z, reached))

        return jax.lax.cond(jnp.any(step[1] > 0), advance, lambda carry: carry, carry)

    first = jax.tree.map(lambda edge: edge[-1], course.z)
    steps = jnp.asarray(rows[:, :3], planar.dtype), sizes, reached
    z = scan_steps(body, (_at_rest(first), course.z), steps)[1]
    return course._replace(z=z, left=course.left - counts * length)


def _unit(flow: Flow, like: jax.Array) -> jax.Array:
    """The unit of the lengths of a plan, ν/κ."""
    return cast(flow.nu / flow.kappa, like)
