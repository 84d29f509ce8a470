"""Ways to integrate the flow with fewer solves: relative error of u against the number of solves.

    JAX_PLATFORMS=cpu python benchmarks/steps.py --images 32 --out results/steps

The referee is the flow itself by Euler steps 16 times smaller than the default ones, all in float64. The error of an
image is ‖u − referee‖/‖x − mean x‖; given are the mean and the largest over the images. Solves are those after u(0);
the images jump to their first entry, so steps before the earliest one of the batch are not counted. Everything that was
tried is here and in `benchmarks/further_steps.py`, also what is no use; what the library lacks is written out.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from common import cifar_images

import isvs_jax
from isvs_jax.solver.flow import to_planar
from isvs_jax.solver.plan import chebyshev_stages, plan_path
from isvs_jax.solver.shrinkage import squared_norm

# Rows are stages: μ, ν, 1 − μ − ν, μ̃, γ̃, whether a step begins; a step is its rows and its longest length in ν/κ.
Step = tuple[np.ndarray, float]
SHARE = 0.95


def chebyshev(stages: int, damping: float) -> Step:
    """First order; one stage without damping is an Euler step."""
    rows, bound = chebyshev_stages(stages, damping)
    zero, first = np.zeros(stages), np.eye(stages)[0]
    return np.column_stack([rows[:, 0], rows[:, 1], zero, rows[:, 2], zero, first]), bound


def legendre(stages: int) -> Step:
    """Second order: Meyer, Balsara, Aslam, J. Comput. Phys. 257 (2014)."""
    b = [1 / 3, 1 / 3] + [(j * j + j - 2) / (2 * j * (j + 1)) for j in range(2, stages + 1)]
    w1 = 4 / (stages**2 + stages - 2)
    rows = [(1.0, 0.0, 0.0, b[1] * w1, 0.0, 1.0)]
    for j in range(2, stages + 1):
        mu, nu = (2 * j - 1) / j * b[j] / b[j - 1], -(j - 1) / j * b[j] / b[j - 2]
        rows.append((mu, nu, 1 - mu - nu, mu * w1, -(1 - b[j - 1]) * mu * w1, 0.0))
    return np.array(rows), 2 / w1


EULER = chebyshev(1, 0.0)


def uniform(step: Step, start: float, end: float, settling: Sequence[float] = (), share: float = SHARE) -> list:
    """Steps of one kind from `start`, then Euler steps of the lengths `settling` (in ν/κ) that finish at `end`."""
    rows, bound = step
    length, lengths = share * bound * UNIT, UNIT * np.array(settling)
    stop, moment, steps = end - lengths.sum(), start, []
    while moment < stop - 1e-9:
        steps.append((rows, moment, min(moment + length, stop)))
        moment += length
    for k, size in enumerate(lengths):
        begin = stop + lengths[:k].sum()
        steps.append((EULER[0], begin, begin + size))
    return steps


def cycles(lengths: Sequence[float], start: float, end: float) -> list:
    """Euler steps of varying length, long ones first, over and over ("super time stepping"); the last cycle shrinks."""
    whole, moment, steps = UNIT * sum(lengths), start, []
    while moment < end - 1e-9:
        share = min(1.0, (end - moment) / whole)
        for length in lengths:
            steps.append((EULER[0], moment, moment + share * length * UNIT))
            moment += share * length * UNIT
    return steps


def logarithmic(ratio: float, stages: int, damping: float, start: float, end: float) -> list:
    """Steps in proportion to the time, as far as their stages are stable."""
    (rows, bound), moment, steps = chebyshev(stages, damping), start, []
    while moment < end - 1e-9:
        after = min(end, moment + min(ratio * moment, SHARE * bound * UNIT))
        steps.append((rows, moment, after))
        moment = after
    return steps


KAPPA, NU = 5.0, 0.1
UNIT = NU / KAPPA
SOLVER = isvs_jax.SplitLBI(KAPPA, NU)
FLOW = SOLVER.flow


def first_entries(planar: jax.Array) -> tuple[jax.Array, isvs_jax.Edges]:
    """t₁ of each image and the rate of z until then."""
    start = FLOW.start(planar)
    rate = FLOW.slope(start.u, start.z)
    square = jnp.maximum(*(edge.max((-3, -2, -1)) for edge in squared_norm(rate, SOLVER.penalty)))
    return 1 / jnp.sqrt(square), rate


@jax.jit
def run_steps(planar: jax.Array, rows: jax.Array, begin: jax.Array, end: jax.Array, final: float) -> jax.Array:
    """The dense image after the stages `rows`, each within the step from `begin` to `end`; images start at their t₁."""
    first, rate = first_entries(planar)
    first = jnp.minimum(first, final)
    z = jax.tree.map(lambda edge: edge * first[:, None, None, None], rate)
    return run_from(planar, z, first, rows, begin, end)


def run_from(
    planar: jax.Array, z: isvs_jax.Edges, first: jax.Array, rows: jax.Array, begin: jax.Array, end: jax.Array
) -> jax.Array:
    """`run_steps` from the z at the times `first`."""

    def stage(carry, inputs):
        start, slope0, now, before = carry
        (mu, nu, rest, of_slope, of_first, begins), a, b = inputs
        h = jnp.clip(b - jnp.maximum(a, first), 0)[:, None, None, None]
        slope = FLOW.slope(FLOW.dense(planar, now), now)
        start, slope0 = (
            jax.tree.map(partial(jnp.where, begins > 0), *pair) for pair in ((now, start), (slope, slope0))
        )

        def combine(y, y_before, y0, f, f0):
            return mu * y + nu * y_before + rest * y0 + h * (of_slope * f + of_first * f0)

        return (start, slope0, jax.tree.map(combine, now, before, start, slope, slope0), now), None

    (_, _, z, _), _ = jax.lax.scan(stage, (z, z, z, z), (rows, begin, end))
    return FLOW.dense(planar, z)


def main(found: Callable[[], list[tuple[str, Callable]]], out: str, about: str) -> None:
    """Write the table of the ways that `found` gives as Markdown and, into the folder `out`, as JSON."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--times", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0])
    parser.add_argument("--out", type=Path, default=Path(out))
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    images = cifar_images(arguments.images)[0] / 255.0
    rows = [row for name, run in found() for row in [measure(name, run, images, arguments.times)]]
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, JAX {jax.__version__}",
        "date": date.today().isoformat(),
        "kappa": KAPPA,
        "nu": NU,
        "rows": rows,
    }
    (arguments.out / "steps.json").write_text(json.dumps(result, indent=1))
    print(f"\n{result['command']}; {result['machine']}; {result['date']}")


_REFEREES: dict[float, np.ndarray] = {}


def measure(name: str, run: Callable, images: np.ndarray, times: Sequence[float]) -> dict:
    """One row: solves, mean and largest error in percent at each time."""
    planar = to_planar(jnp.asarray(images))
    earliest = float(first_entries(planar)[0].min())
    norms = np.linalg.norm((images - images.mean((1, 2), keepdims=True)).reshape(len(images), -1), axis=1)
    row: dict = {"name": name}
    for moment in times:
        if moment not in _REFEREES:
            small = isvs_jax.SplitLBI(KAPPA, NU, step_size=SHARE * 2 * UNIT / 16)
            _REFEREES[moment] = np.asarray(isvs_jax.smooth(images, moment, small))
        solves, dense = run(planar, earliest, moment)
        errors = np.linalg.norm((dense - _REFEREES[moment]).reshape(len(images), -1), axis=1) / norms * 100
        row[f"{moment:g}"] = [int(solves), round(float(errors.mean()), 3), round(float(errors.max()), 3)]
    cells = (f"{solves} · {mean:.2f} ({most:.2f})" for solves, mean, most in list(row.values())[1:])
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return row


def by_steps(make: Callable[[float, float], list]) -> Callable:
    """A way that is a list of steps, made from the earliest entry of the batch and the time."""

    def run(planar: jax.Array, earliest: float, moment: float) -> tuple[int, np.ndarray]:
        count, stages = as_stages([step for step in make(earliest, moment) if step[2] > earliest])
        return count, np.moveaxis(np.asarray(run_steps(planar, *stages, moment)), -3, -1)

    return run


def as_stages(steps: list) -> tuple[int, tuple[np.ndarray, ...]]:
    """How many stages some steps have, and their rows, begins and ends."""
    rows, begin, end = (
        np.concatenate([np.broadcast_to(step[k], (len(step[0]), *np.shape(step[k])[1:])) for step in steps])
        for k in range(3)
    )
    # No stage: so that few numbers of stages are compiled.
    idle = -len(rows) % 32
    rows = np.concatenate([rows, np.broadcast_to([1.0, 0, 0, 0, 0, 1], (idle, 6))])
    return len(rows) - idle, (rows, np.pad(begin, (0, idle)), np.pad(end, (0, idle)))


def by_library(**options: float) -> Callable:
    """What `smooth` does."""

    def run(planar: jax.Array, earliest: float, moment: float) -> tuple[int, np.ndarray]:
        solver = isvs_jax.SplitLBI(KAPPA, NU, **options)
        dense = isvs_jax.smooth(jnp.moveaxis(planar, -3, -1), moment, solver)
        if solver.step_size is not None:
            return int(np.ceil(moment / solver.step_size - 1e-5)), np.asarray(dense)
        plan = plan_path(solver.tolerance)
        left = (moment - earliest) / UNIT - plan.finish_length
        long = max(0, int(np.ceil(left / plan.long_length - 1e-9)))
        # One more than stages: u is not kept between them.
        return (long - 1) * plan.long[0] + plan.finish_solves + 1, np.asarray(dense)

    return run


def ways() -> list[tuple[str, Callable]]:
    """Everything that was tried."""
    settle = (1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5)  # "8 Euler" below
    found: list[tuple[str, Callable]] = [("Euler from 0, 95% of the bound", by_library(step_size=SHARE * 2 * UNIT))]
    found += [("Euler from t₁, 95%", by_steps(partial(uniform, EULER)))]
    found += [("Euler from t₁, 48%", by_steps(partial(uniform, EULER, share=SHARE / 2)))]
    for stages, damping in ((2, 0.05), (2, 0.5), (3, 0.05), (3, 0.7), (4, 0.8), (4, 5.0)):
        step = chebyshev(stages, damping)
        found += [(f"Chebyshev, {stages} stages, damping {damping}", by_steps(partial(uniform, step)))]
    for stages, damping in ((3, 0.7), (4, 0.8), (5, 2.0)):
        step = chebyshev(stages, damping)
        name = f"Chebyshev, {stages} stages, damping {damping}, then 8 Euler"
        found += [(name, by_steps(partial(uniform, step, settling=settle)))]
    for stages in (3, 4, 5, 7):
        found += [(f"Legendre of second order, {stages} stages", by_steps(partial(uniform, legendre(stages))))]
        name = f"Legendre of second order, {stages} stages, then 8 Euler"
        found += [(name, by_steps(partial(uniform, legendre(stages), settling=settle)))]
    for lengths in ((5.98, 1.17), (6.24, 1.82, 1.06), (6.0, 3.0, 2.0, 1.5, 1.1), (10.57, 2.86, 1.41, 1.04)):
        found += [(f"Euler in cycles of {lengths} ν/κ", by_steps(partial(cycles, lengths)))]
    for ratio, stages in ((0.05, 2), (0.1, 4)):
        name = f"Chebyshev, {stages} stages, steps of {ratio} t"
        found += [(name, by_steps(partial(logarithmic, ratio, stages, 0.7)))]
    found += [("`SplitLBI()`", by_library())]
    found += [
        (f"`SplitLBI(tolerance={value})`", by_library(tolerance=value)) for value in (0.006, 0.002, 0.001, 0.0005)
    ]
    return found


if __name__ == "__main__":
    began = time.perf_counter()
    main(ways, "results/steps", __doc__)
    print(f"{time.perf_counter() - began:.0f} s")
