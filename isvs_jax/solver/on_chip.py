"""Where the path of a small image is taken by the kernel of `_path_kernel`, and where by XLA."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from isvs_jax.solver import stabilised
from isvs_jax.solver.flow import FlowState, SplitLBI
from isvs_jax.solver.plan import Plan

MAX_SIDE = 64
MAX_CHANNELS = 4


def path_states(solver: SplitLBI, planar: jax.Array, times: jax.Array, plan: Plan, num_long: int) -> FlowState:
    """`stabilised.path_states`, by the kernel where it is chosen and no derivative is taken; arguments as there.

    The kernel gives what XLA gives to rounding. Derivatives of every kind are those of the XLA version, which computes
    the path again for them.
    """
    if _is_chosen(solver, planar):
        return _by_platform(solver, planar, times, plan, num_long)
    return stabilised.path_states(solver, planar, times, plan, num_long)


def _is_chosen(solver: SplitLBI, planar: jax.Array) -> bool:
    channels, *sides = planar.shape[-3:]
    fits = planar.dtype == jnp.float32 and max(sides) <= MAX_SIDE and channels <= MAX_CHANNELS
    if solver.on_chip and not fits:
        raise ValueError(
            f"on_chip is True and an image has height and width {tuple(sides)}, {channels} channels and is computed in "
            f"{planar.dtype}; it may have up to {MAX_SIDE} pixels a side and {MAX_CHANNELS} channels, in float32."
        )
    if solver.on_chip is not None:
        return solver.on_chip and planar.size > 0
    return fits and planar.size > 0 and jax.default_backend() == "gpu" and (jax.device_count() == 1 or _is_one_share())


def _is_one_share() -> bool:
    """Whether what is traced is for one device, by shard_map or pmap.

    A batch that XLA divides over devices by itself would be gathered for the kernel.
    """
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and set(mesh.manual_axes) == set(mesh.axis_names)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _by_platform(solver: SplitLBI, planar: jax.Array, times: jax.Array, plan: Plan, num_long: int) -> FlowState:
    # Only here: where no kernel is taken, Pallas is not even imported.
    from isvs_jax.solver.path_kernel import kernel_states

    kernel = partial(kernel_states, plan=plan, num_long=num_long)
    xla = partial(stabilised.path_states, plan=plan, num_long=num_long)
    default = partial(kernel, interpret=True) if solver.on_chip else xla
    return jax.lax.platform_dependent(solver, planar, times, cuda=kernel, default=default)


@partial(_by_platform.defjvp, symbolic_zeros=True)
def _derivative(plan: Plan, num_long: int, primals: Any, tangents: Any) -> Any:
    values, tree = jax.tree.flatten(primals)
    slopes = jax.tree.leaves(tangents)
    moving = [index for index, slope in enumerate(slopes) if not isinstance(slope, SymbolicZero)]

    def xla(some: list[jax.Array]) -> FlowState:
        given = dict(zip(moving, some, strict=True))
        solver, planar, times = jax.tree.unflatten(tree, [given.get(i, value) for i, value in enumerate(values)])
        return stabilised.path_states(solver, planar, times, plan, num_long)

    return jax.jvp(xla, ([values[index] for index in moving],), ([slopes[index] for index in moving],))
