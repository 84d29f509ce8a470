"""The whole path of a small image in one GPU program: a Pallas kernel, lowered by Triton.

XLA runs a path stage by stage: each reads and writes the state of the whole batch and starts a dozen device kernels.
Here every program takes one image to one time. Its state stays in a workspace that the caches of a GPU hold, its
differences are loads at neighbouring addresses, its cosine transforms products with a matrix, in full float32.
"""

import dataclasses
from collections.abc import Callable
from functools import partial, reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.experimental import pallas as pl

from isvs_jax.solver.cosine import dct_matrix, eigenvalues
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import Flow, FlowState
from isvs_jax.solver.plan import Plan
from isvs_jax.solver.shrinkage import Penalty, shrinkage_factor
from isvs_jax.solver.stabilised import Course, Stabilised, set_out

# Products of tiles smaller than that are not compiled.
_MIN_SIDE = 16
# Pixels of a plane that are updated at once: few enough to stay in registers.
_TILE = 512
# Columns before a plane in the workspace: one neighbour, and the alignment of the rest.
_MARGIN = 4


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["plan", "num_long", "max_time", "interpret"])
@dataclasses.dataclass(frozen=True)
class OnChip(Stabilised):
    """Stabilised steps by the kernel where no derivative is taken.

    The kernel gives what XLA gives to rounding. Derivatives of every kind are those of the XLA version, which computes
    the path again for them.

    Attributes:
        interpret: Whether an interpreter runs the kernel where there is no such GPU, instead of XLA the path; static.
    """

    interpret: bool = False

    def states(self, flow: Flow, planar: jax.Array, times: jax.Array) -> FlowState:
        """As `Stabilised.states`."""
        return _by_platform(flow, planar, times, self)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _by_platform(flow: Flow, planar: jax.Array, times: jax.Array, way: OnChip) -> FlowState:
    kernel = partial(kernel_states, plan=way.plan, num_long=way.num_long)
    default = partial(kernel, interpret=True) if way.interpret else Stabilised(way.plan, way.num_long).states
    return jax.lax.platform_dependent(flow, planar, times, cuda=kernel, default=default)


@partial(_by_platform.defjvp, symbolic_zeros=True)
def _derivative(way: OnChip, primals: Any, tangents: Any) -> Any:
    values, tree = jax.tree.flatten(primals)
    slopes = jax.tree.leaves(tangents)
    moving = [index for index, slope in enumerate(slopes) if not isinstance(slope, SymbolicZero)]

    def xla(some: list[jax.Array]) -> FlowState:
        given = dict(zip(moving, some, strict=True))
        flow, planar, times = jax.tree.unflatten(tree, [given.get(i, value) for i, value in enumerate(values)])
        return Stabilised(way.plan, way.num_long).states(flow, planar, times)

    return jax.jvp(xla, ([values[index] for index in moving],), ([slopes[index] for index in moving],))


def kernel_states(
    flow: Flow,
    planar: jax.Array,
    times: jax.Array,
    plan: Plan,
    num_long: int,
    *,
    interpret: bool = False,
) -> FlowState:
    """The states by the kernel: a program for each image and time; as plain JAX, on any platform, by `interpret`."""
    course = set_out(flow, planar, times, plan)
    leading, (channels, height, width) = course.times.shape, planar.shape[-3:]
    side = max(_MIN_SIDE, pl.next_power_of_2(max(height, width)))
    steps, counts = _steps(flow, plan, num_long, course)

    def padded(array: jax.Array) -> jax.Array:
        missing = [(0, 0), (0, 0), (0, side - array.shape[-2]), (0, side - array.shape[-1])]
        return jnp.pad(array.reshape(prod(array.shape[:-3]), *array.shape[-3:]), missing)

    z = jnp.concatenate([padded(course.z.horizontal), padded(course.z.vertical)], axis=1)
    u, z = _call_kernel(flow, (height, width), steps, counts, padded(planar), z, interpret)
    u = u[:, :, 1 : height + 1, _MARGIN : width + _MARGIN].reshape(*leading, channels, height, width)
    horizontal = z[:, :channels, :height, : width - 1].reshape(*leading, channels, height, width - 1)
    vertical = z[:, channels:, : height - 1, :width].reshape(*leading, channels, height - 1, width)
    return FlowState(course.times, u, Edges(horizontal, vertical))


def _steps(flow: Flow, plan: Plan, num_long: int, course: Course) -> tuple[jax.Array, jax.Array]:
    """Per program its stages as (μ, ν, μ̃·h), those of size 0 left out, [N, R + 1, 3], and their number, [N, 1]."""
    rows = plan.rows(num_long + 1)
    sizes = course.sizes(flow, plan, rows).reshape(len(rows), -1).T
    needed = sizes > 0
    counts = jnp.sum(needed, axis=1, dtype=jnp.int32, keepdims=True)
    order = jnp.argsort(~needed, axis=1, stable=True)
    mu, nu, of_slope = (column[None] for column in jnp.asarray(rows[:, :3].T, sizes.dtype))
    stages = jnp.stack(jnp.broadcast_arrays(mu, nu, of_slope * sizes), axis=-1)
    stages = jnp.take_along_axis(stages, order[..., None], axis=1)
    # After its stages a program solves once more for u, and leaves z as it is.
    stages = jnp.pad(stages, ((0, 0), (0, 1), (0, 0)))
    done = jnp.arange(stages.shape[1], dtype=jnp.int32)[None] >= counts
    return jnp.where(done[..., None], jnp.asarray([1, 0, 0], stages.dtype), stages), counts


def _call_kernel(
    flow: Flow,
    size: tuple[int, int],
    steps: jax.Array,
    counts: jax.Array,
    planar: jax.Array,
    z: jax.Array,
    interpret: bool,
) -> tuple[jax.Array, jax.Array]:
    """The u, with its margins, and z at the end; for images [B, C, P, P] and z to start from, [T · B, 2C, P, P]."""
    (programs, fields, side, _), images, channels = z.shape, planar.shape[0], planar.shape[1]
    dtype = planar.dtype
    kappa, nu = (jnp.asarray(value).astype(dtype) for value in (flow.kappa, flow.nu))
    rows, columns = (np.pad(dct_matrix(length), (0, side - length)) for length in size)
    spectrum = [jnp.asarray(np.pad(eigenvalues(length), (0, side - length)), dtype) for length in size]
    inverse = 1 / (1 + (spectrum[0][:, None] + spectrum[1][None, :]) / nu)
    matrices = jnp.stack([jnp.asarray(matrix, dtype) for matrix in (rows, rows.T, columns, columns.T)])

    def shared(*shape: int) -> pl.BlockSpec:
        return pl.BlockSpec(shape, lambda program: (0,) * len(shape))

    def own(*shape: int) -> pl.BlockSpec:
        return pl.BlockSpec((None, *shape), lambda program: (program, *(0 for _ in shape)))

    of_image = pl.BlockSpec(
        (None, channels, side, side), lambda program: (jax.lax.rem(program, jnp.int32(images)), 0, 0, 0)
    )
    bordered = (side + 2, side + 2 * _MARGIN)
    # u, z, and what else is kept: z of this and of the stage before, v.
    kept = [(channels, *bordered), (fields, side, side), (2, fields, side, side), (fields, *bordered)]
    barrier, params = _for_triton(side, interpret)
    call = pl.pallas_call(
        partial(_kernel, size=size, penalty=flow.penalty, barrier=barrier),
        grid=(programs,),
        in_specs=[
            own(1),
            own(*steps.shape[1:]),
            shared(2),
            shared(4, side, side),
            shared(side, side),
            of_image,
            own(fields, side, side),
        ],
        out_specs=[own(*shape) for shape in kept],
        out_shape=[_like(z, (programs, *shape)) for shape in kept],
        compiler_params=params,
        interpret=interpret,
        name="inverse_scale_space",
    )
    u, z, *_ = call(counts, steps, jnp.stack([kappa, nu]), matrices, inverse, planar, z)
    return u, z


def _for_triton(side: int, interpret: bool) -> tuple[Callable[[], None], Any]:
    """What makes the threads of a program wait for each other, and how many there are."""
    if interpret:
        return lambda: None, None
    from jax.experimental.pallas import triton

    # Four pixels of a plane a thread: nothing spills, and of the largest planes one multiprocessor takes one image, as
    # more workspaces would not fit into the L2 cache.
    return triton.debug_barrier, triton.CompilerParams(num_warps=side**2 // 128, num_stages=1)


def _like(array: jax.Array, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """Of the dtype of an array, and varying over the devices of a shard_map as it does."""
    kind = jax.typeof(array)
    for name in ("manual_axis_type", "vma"):
        if hasattr(kind, name):
            return jax.ShapeDtypeStruct(shape, kind.dtype, **{name: getattr(kind, name)})
    return jax.ShapeDtypeStruct(shape, kind.dtype)


def _kernel(
    count: Any,
    steps: Any,
    numbers: Any,
    matrices: Any,
    inverse: Any,
    x: Any,
    start: Any,
    u: Any,
    end: Any,
    z: Any,
    v: Any,
    *,
    size: tuple[int, int],
    penalty: Penalty,
    barrier: Callable[[], None],
) -> None:
    """One path. Planes are padded to a power of two; where they are, u and v are 0.

    u and v lie one row and _MARGIN columns into their planes, so that neighbours are there to load; what is loaded from
    outside is never used.
    """
    channels, side = x.shape[0], x.shape[1]
    height, width = size
    kappa, nu = numbers[0], numbers[1]
    tile = min(side, _TILE // side)
    row, column = (jax.lax.broadcasted_iota(jnp.int32, (side, side), axis) for axis in (0, 1))
    tile_row, tile_column = (jax.lax.broadcasted_iota(jnp.int32, (tile, side), axis) for axis in (0, 1))
    product = partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)

    def at(plane: Any, first: Any, count: int, down: int = 0, right: int = 0) -> Any:
        return plane, pl.ds(first + 1 + down, count), pl.ds(_MARGIN + right, side)

    def in_tiles(update: Callable[[Any], None]) -> None:
        jax.lax.fori_loop(0, side // tile, lambda index, _: update(index * tile), None)
        barrier()

    def write_v(first: Any, fields: list[jax.Array]) -> None:
        for field, shrunk in enumerate(_shrink(fields, penalty)):
            v[at(field, first, tile)] = kappa * shrunk

    def begin(first: Any) -> None:
        fields = [start[field, pl.ds(first, tile), :] for field in range(2 * channels)]
        for field, value in enumerate(fields):
            z[0, field, pl.ds(first, tile), :] = value
        write_v(first, fields)

    def solve(channel: Any, _: None) -> None:
        """Solve (I + DᵀD/ν) u = x + Dᵀv/ν."""
        vertical = channels + channel
        left = jnp.where(column > 0, v[at(channel, 0, side, right=-1)], 0)
        above = jnp.where(row > 0, v[at(vertical, 0, side, down=-1)], 0)
        adjoint = left - v[at(channel, 0, side)] + above - v[at(vertical, 0, side)]
        solved = product(matrices[0], x[channel] + adjoint / nu)
        solved = product(solved, matrices[3]) * inverse[...]
        solved = product(matrices[1], solved)
        u[at(channel, 0, side)] = product(solved, matrices[2])

    def stage(index: Any, _: None) -> None:
        """Put z⁺ = μz + νz⁻ + μ̃h(Du − v)/ν in the place of z⁻, and write its v."""
        jax.lax.fori_loop(0, channels, solve, None)
        barrier()
        current = jax.lax.rem(index, jnp.int32(2))
        of_now, of_before, of_slope = steps[index, 0], steps[index, 1], steps[index, 2] / nu

        def advance(first: Any) -> None:
            place = pl.ds(first, tile)
            fields = [z[current, field, place, :] for field in range(2 * channels)]
            shrunk = _shrink(fields, penalty)
            after = []
            for field in range(2 * channels):
                along, channel = field < channels, field % channels
                inside = tile_column < width - 1 if along else tile_row < height - 1 - first
                head = u[at(channel, first, tile, right=1)] if along else u[at(channel, first, tile, down=1)]
                slope = jnp.where(inside, head - u[at(channel, first, tile)], 0) - kappa * shrunk[field]
                # Nothing has been written there before the first stage, whose ν is 0.
                before = jnp.where(of_before != 0, z[1 - current, field, place, :], 0)
                after.append(of_now * fields[field] + of_before * before + of_slope * slope)
            barrier()
            for field, value in enumerate(after):
                z[1 - current, field, place, :] = value
            write_v(first, after)

        in_tiles(advance)

    def finish(first: Any) -> None:
        for field in range(2 * channels):
            place = pl.ds(first, tile)
            end[field, place, :] = z[jax.lax.rem(count[0] + 1, jnp.int32(2)), field, place, :]

    in_tiles(begin)
    jax.lax.fori_loop(0, count[0] + 1, stage, None)
    in_tiles(finish)


def _shrink(fields: list[jax.Array], penalty: Penalty) -> list[jax.Array]:
    """Group shrinkage of the planes [horizontal, ..., vertical, ...] of an image."""
    half = len(fields) // 2
    squares = [field**2 for field in fields]
    if penalty == "color":
        squares = [_total(squares[:half])] * half + [_total(squares[half:])] * half
    elif penalty == "isotropic":
        squares = [_total(squares)] * len(fields)
    return [field * shrinkage_factor(square) for field, square in zip(fields, squares, strict=True)]


def _total(planes: list[jax.Array]) -> jax.Array:
    return reduce(jnp.add, planes)
