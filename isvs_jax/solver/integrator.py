"""Who integrates a path: the one place where it is decided, from the solver, the times and the images.

An integrator has `state(flow, planar, time)`, the state at a time, `states(flow, planar, times)`, those at several, and
`reaches(flow, times)`, whether these can be trusted. There are four: `Euler`, `Stabilised`, `OnChip`, which is
`Stabilised` as one GPU program an image, and `Tiled`, which is `Stabilised` on the tiles of large images.
"""

from math import ceil, prod

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, brief, check_integer, check_number, check_scalar, check_times, concrete
from isvs_jax._images import compute_dtype
from isvs_jax.solver.euler import SLACK, Euler
from isvs_jax.solver.plan import count_long_steps, plan_path
from isvs_jax.solver.split_lbi import SplitLBI
from isvs_jax.solver.stabilised import Stabilised
from isvs_jax.solver.tiles import Tiled, border_width, longest_side

Integrator = Euler | Stabilised | Tiled

# The images that the GPU program takes.
MAX_SIDE = 64
MAX_CHANNELS = 4


def choose_integrator(
    solver: SplitLBI,
    image: jax.Array,
    times: ArrayLike,
    num_steps: int | None,
    name: str = "times",
    max_time: float | None = None,
) -> Integrator:
    """Who takes the path of an image to some times.

    - `num_steps` is given: Euler steps of time / num_steps, or of `solver.step_size` where that is set.
    - The scheme is "explicit" or has a step size: Euler steps of that size, or the default one.
    - Else stabilised steps, on the chip where `solver.on_chip` and the images say so, and in tiles where `solver.tiles`
      and the size of the images do.

    Args:
        solver: The flow and how it is integrated.
        image: x, [..., H, W, C]; only its shape and dtype are looked at.
        times: A time, or one per image; the last where several are recorded.
        num_steps: As in `smooth`.
        name: What a sentence calls the times.
        max_time: A bound of the times, from which the number of steps is derived in their place, so that they may be
            traced; None derives it from the times themselves.

    Raises:
        TypeError: `solver` is no `SplitLBI`, or `num_steps` no integer.
        ValueError: num_steps is None and something it would be derived from is traced; a visible time is negative, not
            finite or past `max_time`; a visible step size is past the stability bound; the steps visibly end before the
            time; `num_steps` and `max_time` are both given.
    """
    _check(solver, times, num_steps, name)
    _check_max_time(max_time, times, num_steps, name)
    bound = times if max_time is None else max_time
    if num_steps is not None or solver.scheme == "explicit" or solver.step_size is not None:
        return euler_steps(solver, bound, num_steps, name)
    _require_seen({name: bound, "kappa": solver.kappa, "nu": solver.nu})
    plan = plan_path(solver.tolerance)
    num_long = count_long_steps(plan, _last(bound), float(solver.kappa), float(solver.nu))
    steps = Stabilised(plan, num_long, max_time)
    if not _is_on_chip(solver.on_chip, image):
        return _in_tiles(solver, steps, image.shape[-3], image.shape[-2])
    # Only here: where no kernel is taken, Pallas is not even imported.
    from isvs_jax.solver.on_chip import OnChip

    return OnChip(plan, num_long, max_time, interpret=bool(solver.on_chip))


def _in_tiles(solver: SplitLBI, steps: Stabilised, height: int, width: int) -> Stabilised | Tiled:
    """The steps in tiles, where these are asked for or take less time."""
    if solver.tiles is False or (solver.tiles is None and jax.default_backend() != "cpu"):
        return steps
    border = border_width(float(solver.nu), solver.tolerance)
    longest = longest_side(height, width, border, at_any_cost=bool(solver.tiles))
    return steps if longest is None else Tiled(steps, border, longest)


def choose_euler(solver: SplitLBI, times: ArrayLike, num_steps: int | None, name: str) -> Euler:
    """Euler steps to some times, whatever the scheme: for paths that stop at any step."""
    _check(solver, times, num_steps, name)
    return euler_steps(solver, times, num_steps, name)


def euler_steps(solver: SplitLBI, times: ArrayLike, num_steps: int | None, name: str) -> Euler:
    """How many Euler steps, and how long."""
    if solver.on_chip:
        raise ValueError(
            "on_chip must be None or False where Euler steps are taken (num_steps is given, or smooth_until); got True."
        )
    if num_steps is None:
        alpha = solver.default_step_size
        _require_seen({name: times, "kappa": solver.kappa, "nu": solver.nu, "step_size": alpha})
        _check_step_size(solver, alpha, "step_size")
        return Euler(alpha, max(1, ceil(_last(times) / float(alpha) - SLACK)), solver.scheme)
    if solver.tolerance is not None:
        raise ValueError(
            f"num_steps must be None where the solver has a tolerance; got {num_steps} with "
            f"tolerance={solver.tolerance}."
        )
    seen = concrete(times)
    if solver.step_size is None:
        _check_step_size(solver, (times if seen is None else seen) / num_steps, f"num_steps={num_steps}")
        return Euler(None, num_steps, solver.scheme)
    _check_step_size(solver, solver.step_size, "step_size")
    size = concrete(solver.step_size)
    if seen is not None and size is not None and num_steps * float(size) * (1 + SLACK) < _last(times):
        raise ValueError(
            f"num_steps must be {ceil(_last(times) / float(size))} or more to reach {name} {_last(times):.6g} in steps "
            f"of step_size={float(size):.6g}; got {num_steps}, which end at {num_steps * float(size):.6g}."
        )
    return Euler(solver.step_size, num_steps, solver.scheme)


def _check(solver: SplitLBI, times: ArrayLike, num_steps: int | None, name: str) -> None:
    if num_steps is not None:
        check_integer("num_steps", num_steps)
    if not isinstance(solver, SplitLBI):
        raise TypeError(f"solver must be an isvs_jax.SplitLBI; got {brief(solver)}.")
    solver.check_numbers()
    for field in ("kappa", "nu") + (() if solver.step_size is None else ("step_size",)):
        check_scalar(field, getattr(solver, field))
    seen = concrete(times)
    if seen is not None:
        check_times(name, seen)


def _check_max_time(max_time: float | None, times: ArrayLike, num_steps: int | None, name: str) -> None:
    if max_time is None:
        return
    check_number("max_time", max_time, "[0, inf)", unit="time")
    if num_steps is not None:
        raise ValueError(f"max_time must be None where num_steps is given; got {max_time} with num_steps={num_steps}.")
    if _last(times) > max_time:
        raise ValueError(f"{name} must be at most max_time={max_time:g}; got {_last(times):g}.")


def _last(times: ArrayLike) -> float:
    seen = concrete(times)
    return 0.0 if seen is None else float(seen.max(initial=0))


def _is_on_chip(asked: bool | None, image: jax.Array) -> bool:
    """Whether the GPU program takes the path: where it is asked for, or left open and it fits and pays."""
    *_, height, width, channels = image.shape
    dtype = compute_dtype(image.dtype)
    fits = dtype == jnp.float32 and max(height, width) <= MAX_SIDE and channels <= MAX_CHANNELS
    if asked and not fits:
        raise ValueError(
            f"on_chip must be None or False for images past {MAX_SIDE} pixels a side, {MAX_CHANNELS} channels or "
            f"float32; got True for height and width {(height, width)}, {channels} channels, computed in {dtype}."
        )
    if asked is not None or not prod(image.shape):
        return bool(asked) and prod(image.shape) > 0
    # A batch that XLA divides over devices by itself would be gathered for the program: one device, or the share of one
    # that shard_map or pmap made.
    mesh = jax.sharding.get_abstract_mesh()
    is_one_share = not mesh.empty and set(mesh.manual_axes) == set(mesh.axis_names)
    return fits and jax.default_backend() == "gpu" and (jax.device_count() == 1 or is_one_share)


def _check_step_size(solver: SplitLBI, step_size: ArrayLike, name: str) -> None:
    """Raise a ValueError where a step size can be seen to be past the stability bound."""
    seen, bound = concrete(step_size), concrete(solver.stability_bound)
    if seen is not None and bound is not None and (seen > bound * (1 + 1e-6)).any():
        raise ValueError(
            f"{name} must give steps of at most {float(bound):.6g}, the stability bound of the {solver.scheme!r} "
            f"scheme at kappa={solver.kappa}, nu={solver.nu}; got {seen.max():.6g}."
        )


def _require_seen(values: dict[str, ArrayLike]) -> None:
    hidden = [name for name, value in values.items() if concrete(value) is None]
    if hidden:
        raise ValueError(
            f"num_steps must be a Python integer where {' and '.join(hidden)} is traced (inside jit, vmap or grad), "
            "since the number of steps cannot be derived; got None. Traced times need max_time instead."
        )
