"""Euler steps along the flow, spectral and explicit: the integrator for those who count their steps.

Paths run on the grid 0, α, 2α, ... and end with one shorter step, so that what else is recorded or shares the batch
changes nothing.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from isvs_jax._checks import ArrayLike
from isvs_jax.solver.batching import scan_steps
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import Flow, FlowState, adjoint, cast, per_image

Scheme = Literal["spectral", "explicit"]
SCHEMES: tuple[str, ...] = get_args(Scheme)

# ‖D‖² ≤ 8 on a grid of four neighbours.
_SQUARED_NORM_OF_D = 8.0
# A time this close (relative) to a grid point counts as reached: rounding, not a step.
SLACK = 1e-5


def stability_bound(flow: Flow, scheme: Scheme) -> ArrayLike:
    """The step size beyond which the scheme does not converge."""
    if scheme == "spectral":
        return 2 * flow.nu / flow.kappa
    return 2 * flow.nu / (flow.kappa * (1 + flow.nu + _SQUARED_NORM_OF_D))


def euler_step(flow: Flow, scheme: Scheme, planar: jax.Array, state: FlowState, step_size: jax.Array) -> FlowState:
    """One step z⁺ = z + α(Du − v)/ν, then the u of z⁺ ("spectral") or a descent of u in Jacobi order ("explicit").

    Args:
        flow: The flow.
        scheme: "spectral" or "explicit".
        planar: x, [..., C, H, W].
        state: Where the flow stands.
        step_size: α ≥ 0, a scalar or one per image (shape [...]).
    """
    alpha = per_image(step_size)
    slope = flow.slope(state.u, state.z)
    z = jax.tree.map(lambda edge, rate: edge + alpha * rate, state.z, slope)
    if scheme == "explicit":
        # Dᵀ of the slope of before the step: u and z move at once, from the same state.
        u = state.u - cast(flow.kappa, planar) * alpha * (state.u - planar + adjoint(slope))
    else:
        u = flow.dense(planar, z)
    return FlowState(state.time + step_size, u, z)


@partial(jax.tree_util.register_dataclass, data_fields=["step_size"], meta_fields=["num_steps", "scheme"])
@dataclasses.dataclass(frozen=True)
class Euler:
    """A number of Euler steps of one size.

    Attributes:
        step_size: α > 0, a scalar; a leaf, which may be traced. None divides the last time by the number of steps.
        num_steps: The number of steps to the last time; static.
        scheme: "spectral" or "explicit"; static.
    """

    step_size: ArrayLike | None
    num_steps: int
    scheme: Scheme

    def reaches(self, flow: Flow, times: jax.Array) -> jax.Array:
        """Whether each time is finite, ≥ 0 and reached by steps within the stability bound.

        Args:
            flow: The flow.
            times: As in `states`.

        Returns:
            bool, the shape of `times`.
        """
        alpha, bound = self._step_size(times)[None], cast(stability_bound(flow, self.scheme), times)
        positive = jnp.asarray(flow.kappa > 0) & jnp.isfinite(flow.kappa)
        positive &= jnp.asarray(flow.nu > 0) & jnp.isfinite(flow.nu) & (alpha >= 0)
        reached = self.num_steps * alpha * (1 + SLACK) >= times
        return (times >= 0) & jnp.isfinite(times) & (alpha <= bound * (1 + SLACK)) & positive & reached

    def step(self, flow: Flow, planar: jax.Array, state: FlowState, size: jax.Array) -> FlowState:
        """One step of a size."""
        return euler_step(flow, self.scheme, planar, state, size)

    def state(self, flow: Flow, planar: jax.Array, time: jax.Array) -> FlowState:
        """The state at a time, a scalar or one per image."""
        sizes = self._sizes(time, self._step_size(time[None]))
        return scan_steps(Partial(Euler.step, self, flow, planar), flow.start(planar), sizes)

    def states(self, flow: Flow, planar: jax.Array, times: jax.Array) -> FlowState:
        """The states at some times.

        Args:
            flow: The flow.
            planar: x, [..., C, H, W].
            times: Not decreasing along the leading axis, shape [T], or [1, ...] for a time an image.

        Returns:
            States stacked along a leading axis T.
        """
        if times.shape[0] == 1:
            return jax.tree.map(lambda leaf: leaf[None], self.state(flow, planar, times[0]))
        return self._recorded(flow, planar, flow.start(planar), times, self._step_size(times))

    def until(
        self, flow: Flow, planar: jax.Array, max_time: jax.Array, is_ahead: Callable[[Edges], jax.Array]
    ) -> FlowState:
        """The state of each image at its first grid point that is not ahead any more, or at `max_time`.

        Args:
            flow: The flow.
            planar: x, [..., C, H, W].
            max_time: A scalar.
            is_ahead: From z to whether an image goes on, bool [...].
        """

        def advance(carry: tuple[FlowState, jax.Array], size: jax.Array) -> tuple[FlowState, jax.Array]:
            state, ahead = carry
            state = self.step(flow, planar, state, jnp.where(ahead, size, 0))
            return state, is_ahead(state.z)

        def body(carry: tuple[FlowState, jax.Array], size: jax.Array) -> tuple[FlowState, jax.Array]:
            # Not a while loop, which has no gradient: the steps after the last image has stopped do nothing.
            return jax.lax.cond(jnp.any(carry[1]), advance, lambda carry, _: carry, carry, size)

        start = flow.start(planar)
        sizes = self._sizes(max_time, self._step_size(max_time[None]))
        return scan_steps(body, (start, is_ahead(start.z)), sizes)[0]

    def solves(self, num_times: int = 1) -> int:
        """The number of solves of a path, at most: u(0), every step, and the shorter steps to several times."""
        return 1 + self.num_steps + (num_times if num_times > 1 else 0)

    def _step_size(self, times: jax.Array) -> jax.Array:
        """α, a scalar, or one per image where the times are."""
        return times[-1] / self.num_steps if self.step_size is None else cast(self.step_size, times)

    def _sizes(self, time: jax.Array, alpha: jax.Array) -> jax.Array:
        """The sizes of all steps to a time, [N] or, where time or α are per image, [N, ...]: α, and one shorter."""
        leading = jnp.broadcast_shapes(time.shape, alpha.shape)
        numbers = jnp.arange(self.num_steps, dtype=alpha.dtype).reshape(-1, *(1 for _ in leading))
        time, alpha = (jnp.broadcast_to(value, leading)[None] for value in (time, alpha))
        return jnp.clip(time - numbers * alpha, 0, alpha)

    def _recorded(
        self, flow: Flow, planar: jax.Array, start: FlowState, times: jax.Array, alpha: jax.Array
    ) -> FlowState:
        """Each time is reached from the last grid point before it, in one shorter step; [T] times, scalar α."""
        grid = jnp.arange(self.num_steps, dtype=planar.dtype) * alpha
        before = jnp.maximum(jnp.sum(grid[None, :] < times[:, None], axis=1, dtype=jnp.int32) - 1, 0)
        # Every step writes its state into the slot of the first time still ahead, so that the last writer is the grid
        # point just before that time. Slots are counted from the last, for steps of size 0 that fill up a chunk.
        numbers = jnp.arange(1, self.num_steps, dtype=planar.dtype)
        sizes = jnp.where(numbers <= before[-1].astype(planar.dtype), alpha, 0)
        from_last = jnp.maximum(times.size - 1 - _slot(times, numbers * alpha), 0)
        kept = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], times.size, axis=0), start)

        def body(carry: tuple[FlowState, FlowState], step: tuple[jax.Array, jax.Array]) -> tuple[FlowState, FlowState]:
            state, kept = carry
            state = self.step(flow, planar, state, step[0])
            slot = times.size - 1 - step[1]
            return state, jax.tree.map(
                lambda stack, leaf: jax.lax.dynamic_update_index_in_dim(stack, leaf, slot, 0), kept, state
            )

        kept = scan_steps(body, (start, kept), (sizes, from_last))[1]
        # A grid point may serve several times; slots never written keep the start.
        slots = jnp.minimum(jnp.arange(times.size, dtype=jnp.int32), _slot(times, grid[before]))
        remaining = jnp.maximum(times - grid[before], 0)

        def last_step(slot: jax.Array, size: jax.Array) -> FlowState:
            return self.step(flow, planar, jax.tree.map(lambda leaf: leaf[slot], kept), size)

        return jax.vmap(last_step)(slots, remaining)


def _slot(times: jax.Array, moments: jax.Array) -> jax.Array:
    """How many of the times have come at some moments."""
    return jnp.sum(times[None, :] <= moments[:, None], axis=-1, dtype=jnp.int32)
