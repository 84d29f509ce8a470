"""From times to steps: how many, how long, and whether they stay within the stability bound.

Unless a step size or a number of steps is given, paths take the steps of a `Plan`. Else they run on the grid
0, α, 2α, ... and end with one shorter step. Neither depends on what else is recorded or shares the batch.
"""

from collections.abc import Callable
from math import ceil, isqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, check_integer, check_scalar, check_times, concrete
from isvs_jax.solver.flow import SplitLBI, check_step_size
from isvs_jax.solver.plan import Plan, count_long_steps, plan_path

# A time this close (relative) to a grid point counts as reached: rounding, not a step.
_SLACK = 1e-5


class Schedule(NamedTuple):
    """The steps of a path.

    Attributes:
        num_steps: Static number of Euler steps, or, with a plan, of long steps.
        step_size: Of an Euler step, a scalar or one per image.
        plan: Static; None for Euler steps.
    """

    num_steps: int
    step_size: ArrayLike
    plan: Plan | None = None


def schedule(
    times: ArrayLike, solver: SplitLBI, num_steps: int | None, name: str = "times", *, equal_steps: bool = False
) -> Schedule:
    """The steps in which a path reaches `times`, one path an entry.

    `num_steps` None: those of a plan, for the scheme "spectral" with neither `solver.step_size` nor `equal_steps`; else
    Euler steps of `solver.default_step_size`, as many as the largest time takes. Given: Euler steps of
    time / num_steps, or of `solver.step_size` where that is set.

    Raises:
        ValueError: num_steps is None and something it would be derived from is traced; a visible time is negative or
            not finite; a visible step size is past the stability bound; the steps visibly end before the time.
    """
    if num_steps is not None:
        check_integer("num_steps", num_steps)
    if not isinstance(solver, SplitLBI):
        raise TypeError(f"solver is {solver!r}; it may be an isvs_jax.SplitLBI.")
    solver.check_numbers()
    if solver.on_chip and (num_steps is not None or equal_steps):
        raise ValueError(
            "on_chip is True with Euler steps (num_steps is given, or smooth_until); it may be with stabilised steps."
        )
    for field in ("kappa", "nu") + (() if solver.step_size is None else ("step_size",)):
        check_scalar(field, getattr(solver, field))
    seen = concrete(times)
    if seen is not None:
        check_times(name, seen)
    if num_steps is None:
        alpha = solver.default_step_size
        _require_seen({name: times, "kappa": solver.kappa, "nu": solver.nu, "step_size": alpha})
        check_step_size(solver, alpha, "step_size")
        last = 0.0 if seen is None else float(seen.max(initial=0))
        if solver.scheme == "spectral" and solver.step_size is None and not equal_steps:
            plan = plan_path(solver.tolerance)
            return Schedule(count_long_steps(plan, last, float(solver.kappa), float(solver.nu)), alpha, plan)
        num_steps = max(1, ceil(last / float(alpha) - _SLACK))
        return Schedule(num_steps, alpha)
    if solver.tolerance is not None:
        raise ValueError(
            f"num_steps is {num_steps} and the solver has tolerance={solver.tolerance}; one of them may be given."
        )
    if solver.step_size is None:
        alpha = (times if seen is None else seen) / num_steps
        check_step_size(solver, alpha, f"num_steps={num_steps}")
        return Schedule(num_steps, alpha)
    check_step_size(solver, solver.step_size, "step_size")
    alpha = concrete(solver.step_size)
    if seen is not None and alpha is not None:
        _require_reached(float(seen.max(initial=0)), float(alpha), num_steps, name)
    return Schedule(num_steps, solver.step_size)


def within_bound(times: jax.Array, steps: Schedule, solver: SplitLBI) -> jax.Array:
    """Whether a time is finite, ≥ 0 and reached by steps within the stability bound: bool, the shape of `times`."""
    alpha = jnp.asarray(steps.step_size).astype(times.dtype)
    bound = jnp.asarray(solver.stability_bound).astype(times.dtype)
    positive = jnp.asarray(solver.kappa > 0) & jnp.isfinite(solver.kappa)
    positive &= jnp.asarray(solver.nu > 0) & jnp.isfinite(solver.nu) & (alpha >= 0)
    reached = steps.num_steps * alpha * (1 + _SLACK) >= times
    return (times >= 0) & jnp.isfinite(times) & (alpha <= bound * (1 + _SLACK)) & positive & reached


def scan_steps(body: Callable[[Any, jax.Array], Any], carry: Any, indices: tuple[int, int], dtype: Any) -> Any:
    """`lax.scan` over the step numbers of `range(*indices)` that keeps about 2√N carries for the gradient.

    The steps go in about √N chunks; a chunk, and each step within it, is computed again in the backward pass. Numbers
    past the end may be added to fill the last chunk: `body` makes them steps of size 0.

    Args:
        body: (carry, step number as a float) to carry.
        carry: A pytree of arrays.
        indices: First step number, and one past the last.
        dtype: Of the step numbers.
    """
    first, end = indices
    length = end - first
    if length <= 0:
        return carry
    chunk, chunks = _chunks(length)

    @jax.checkpoint
    def one_step(carry: Any, index: jax.Array) -> tuple[Any, None]:
        return body(carry, index), None

    @jax.checkpoint
    def one_chunk(carry: Any, numbers: jax.Array) -> tuple[Any, None]:
        return jax.lax.scan(one_step, carry, numbers)

    numbers = jnp.arange(first, first + chunk * chunks, dtype=dtype).reshape(chunks, chunk)
    return jax.lax.scan(one_chunk, carry, numbers)[0]


def _chunks(length: int) -> tuple[int, int]:
    """Chunk size near √length and number of chunks, with the fewest steps added."""
    root = isqrt(length)
    sizes = range(max(1, root - root // 3), root + root // 3 + 2)
    chunk = min(sizes, key=lambda size: (-length % size, abs(size - root)))
    return chunk, -(-length // chunk)


def _require_seen(values: dict[str, ArrayLike]) -> None:
    hidden = [name for name, value in values.items() if concrete(value) is None]
    if hidden:
        raise ValueError(
            f"num_steps is None, but {' and '.join(hidden)} is traced (inside jit, vmap or grad), so the number of "
            "steps cannot be derived: give num_steps as a Python integer."
        )


def _require_reached(time: float, alpha: float, num_steps: int, name: str) -> None:
    if num_steps * alpha * (1 + _SLACK) < time:
        raise ValueError(
            f"num_steps={num_steps} steps of step_size={alpha:.6g} end at {num_steps * alpha:.6g}, before {name} "
            f"{time:.6g}; num_steps may be {ceil(time / alpha)} or more."
        )
