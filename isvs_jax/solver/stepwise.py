"""The path by long steps, a solve a call: for images so large that someone waits for it, and memory is short."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import floor

import jax
import numpy as np

from isvs_jax.solver.chebyshev import Stage, planar_stage
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import FlowState, SplitLBI, planar_dense
from isvs_jax.solver.plan import SLACK, Plan, count_long_steps
from isvs_jax.solver.stabilised import Course, set_out


def stepwise_states(
    solver: SplitLBI, planar: jax.Array, times: Sequence[float], plan: Plan, moved: Callable[[], object]
) -> Iterator[FlowState]:
    """The states that `path_states` gives, one after another: only one of them and the long path are held.

    Args:
        solver: The flow, scheme "spectral", its numbers visible.
        planar: x, [C, H, W].
        times: Not decreasing.
        plan: The steps.
        moved: Called after every solve, at most `count_stepwise` times.
    """
    length = plan.long_length * float(solver.nu) / float(solver.kappa)
    rows, finish_rows = plan.long_rows(1), plan.finish_rows()

    def through(z: Edges, rows: np.ndarray, sizes: np.ndarray) -> Edges:
        stage = Stage(z, z)
        for row, size in zip(rows, sizes.astype(planar.dtype), strict=True):
            if size > 0:
                after = _after(solver, planar, stage, row[:3].astype(planar.dtype), size)
                stage = Stage(jax.block_until_ready(after), stage.z)
                moved()
        return stage.z

    far, taken = None, 0
    for time in times:
        course = _set_out(solver, planar, np.array([time], planar.dtype), plan)
        moved()
        z, left = _only(course.z), float(course.left[0])
        count = floor(left / length + SLACK)
        while taken < count:
            far, taken = through(z if far is None else far, rows, np.full(len(rows), length)), taken + 1
        z = through(z if far is None else far, rows, np.full(len(rows), max(0.0, left - count * length)))
        z = through(z, finish_rows, finish_rows[:, 4] * (float(course.finish[0]) / plan.finish_length))
        state = FlowState(course.times[0], _dense(solver, planar, z), z)
        moved()
        yield state


def count_stepwise(solver: SplitLBI, times: Sequence[float], plan: Plan) -> int:
    """Solves at most."""
    num_long = count_long_steps(plan, max(times), float(solver.kappa), float(solver.nu))
    return num_long * plan.long[0] + len(times) * (plan.finish_solves + 2)


def _only(edges: Edges) -> Edges:
    return jax.tree.map(lambda edge: edge[0], edges)


@jax.jit
def _after(solver: SplitLBI, planar: jax.Array, stage: Stage, coefficients: jax.Array, size: jax.Array) -> Edges:
    return planar_stage(solver, planar, stage, coefficients, size).z


@partial(jax.jit, static_argnames="plan")
def _set_out(solver: SplitLBI, planar: jax.Array, times: jax.Array, plan: Plan) -> Course:
    return set_out(solver, planar, times, plan)


_dense = jax.jit(planar_dense)
