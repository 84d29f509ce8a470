"""More ways to integrate the flow with fewer solves: momentum, extrapolation, a coarse start, shorter finishes.

    JAX_PLATFORMS=cpu python benchmarks/further_steps.py --images 32 --times 2 4 --out results/further_steps

Rows of the table that `benchmarks/steps.py` writes, measured in the same way. None of them is in the library. Before
the table comes how much of a batch's work is done for images that need it.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import steps
from common import cifar_images
from steps import EULER, KAPPA, NU, SHARE, SOLVER, UNIT, as_stages, by_library, by_steps, chebyshev, uniform

import isvs_jax
from isvs_jax.solver.plan import count_long_steps, plan_path
from isvs_jax.solver.stabilised import Stabilised

SETTLE = (1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5)


def momentum(beta: float) -> steps.Step:
    """Heavy-ball steps z⁺ = z + β(z − z⁻) + h(1 − β)ż: of size h in time, stable up to 2(1 + β)/(1 − β) ν/κ."""
    return np.array([[1 + beta, -beta, 0.0, 1 - beta, 0.0, 1.0]]), 2 * (1 + beta) / (1 - beta)


def extrapolated(coarse: Callable, fine: Callable, order: int = 1) -> Callable:
    """Richardson: what two runs give, the steps of `fine` half as long, without the error of that order."""

    def run(planar: jax.Array, earliest: float, moment: float) -> tuple[int, np.ndarray]:
        (solves, rough), (more, better) = (way(planar, earliest, moment) for way in (coarse, fine))
        return solves + more, better + (better - rough) / (2**order - 1)

    return run


def coarse_start(share: float) -> Callable:
    """From 0 to share·t on images of half the side, then long steps on the images themselves.

    What an area has to lose per pixel of its border is halved on the coarse grid, so that its time runs twice as fast;
    with 4ν there the smoothing reaches as far. The fluxes z are prolonged linearly between the borders of coarse
    pixels; what the coarse images lack is added as if none of it had entered. A coarse solve counts as a quarter.
    """

    def run(planar: jax.Array, earliest: float, moment: float) -> tuple[int, np.ndarray]:
        start = share * moment
        coarse = isvs_jax.SplitLBI(KAPPA, 4 * NU)
        plan = plan_path(None)
        many = count_long_steps(plan, 2 * start, KAPPA, 4 * NU)
        small = planar.reshape(*planar.shape[:2], planar.shape[2] // 2, 2, planar.shape[3] // 2, 2).mean((3, 5))
        z = Stabilised(plan, many).states(coarse.flow, small, jnp.array([2 * start])).z
        z = jax.tree.map(lambda edge: edge[0], z)
        rest = planar - jnp.repeat(jnp.repeat(small, 2, -1), 2, -2)
        state = SOLVER.flow.start(rest)
        rate = SOLVER.flow.slope(state.u, state.z)
        z = isvs_jax.Edges(_prolonged(z.horizontal), jnp.swapaxes(_prolonged(jnp.swapaxes(z.vertical, -1, -2)), -1, -2))
        z = jax.tree.map(lambda edge, slope: edge + start * slope, z, rate)
        count, stages = as_stages(uniform(chebyshev(3, 0.7), start, moment, SETTLE))
        dense = jax.jit(steps.run_from)(planar, z, jnp.full(len(planar), start), *stages)
        solves = count + (many * plan.long[0] + plan.finish_solves) / 4
        return int(np.ceil(solves)), np.moveaxis(np.asarray(dense), -3, -1)

    return run


def _prolonged(flux: jax.Array) -> jax.Array:
    """Fluxes between coarse columns [..., h, w - 1] to those between fine ones [..., 2h, 2w - 1]."""
    flux = jnp.pad(flux, ((0, 0), (0, 0), (0, 0), (1, 1)))
    inner = (flux[..., :-1] + flux[..., 1:]) / 2
    both = jnp.stack([inner, flux[..., 1:]], -1).reshape(*inner.shape[:-1], -1)[..., :-1]
    return jnp.repeat(both, 2, axis=-2)


def finish(long: tuple, middle: list, settling: tuple, start: float, end: float) -> list:
    """Long steps, middle steps of two stages, Euler steps: what a plan does."""
    lengths = SHARE * UNIT * np.array([chebyshev(*method)[1] for method in middle])
    before = end - SHARE * UNIT * sum(settling)
    found = uniform(chebyshev(*long), start, before - lengths.sum())
    for k, method in enumerate(middle):
        begin = before - lengths[k:].sum()
        found.append((chebyshev(*method)[0], begin, begin + lengths[k]))
    return found + uniform(EULER, before, end, SHARE * np.array(settling))


def needed(images: np.ndarray, moment: float) -> str:
    """Long steps that the images of a batch need, of those that are made because one of them needs them."""
    planar = steps.to_planar(jnp.asarray(images))
    plan = plan_path(None)
    first = np.asarray(steps.first_entries(planar)[0])
    own = np.maximum(0, np.ceil(((moment - first) / UNIT - plan.finish_length) / plan.long_length))
    times = np.random.default_rng(0).uniform(0, moment, len(first))
    random = np.maximum(0, np.ceil(((times - first) / UNIT - plan.finish_length) / plan.long_length))
    return (
        f"long steps needed of those made, t = {moment:g}: {own.mean() / own.max():.0%}; "
        f"t uniform in [0, {moment:g}] for each image: {random.mean() / random.max():.0%}"
    )


def ways() -> list[tuple[str, Callable]]:
    """The rows."""
    found: list[tuple[str, Callable]] = []
    for beta in (0.1, 0.2, 0.3, 0.5):
        found += [(f"momentum {beta}", by_steps(partial(uniform, momentum(beta))))]
        found += [(f"momentum {beta}, then 8 Euler", by_steps(partial(uniform, momentum(beta), settling=SETTLE)))]
    euler = [by_steps(partial(uniform, EULER, share=share)) for share in (SHARE, SHARE / 2)]
    found += [("Euler from t₁, 95% and 48%, extrapolated", extrapolated(*euler))]
    long = [by_steps(partial(uniform, chebyshev(3, 0.7), settling=SETTLE, share=share)) for share in (SHARE, SHARE / 2)]
    found += [("Chebyshev, 3 stages, damping 0.7, then 8 Euler, extrapolated", extrapolated(*long))]
    heavy = [by_steps(partial(uniform, momentum(0.2), settling=SETTLE, share=share)) for share in (SHARE, SHARE / 2)]
    found += [("momentum 0.2, then 8 Euler, extrapolated", extrapolated(*heavy))]
    found += [("Chebyshev, 3 stages, damping 0.7, 48%, then 8 Euler", long[1])]
    found += [(f"coarse grid to {share:g} t, then 3 stages, 8 Euler", coarse_start(share)) for share in (0.25, 0.5)]
    for number, settling in (
        (2, (1.9, 1.9, 1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5)),
        (1, (1.9, 1.9, 1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5)),
        (0, (1.9, 1.9, 1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5)),
        (2, (1.9, 1.7, 1.4, 1.1, 0.8, 0.5)),
        (1, (1.9, 1.7, 1.4, 1.1, 0.8, 0.5)),
        (2, (3.0, 2.0, 1.5, 1.1, 0.7)),
        (1, (3.0, 2.0, 1.5, 1.1, 0.7)),
        (1, (1.9, 1.5, 1.0, 0.6)),
        (0, (3.0, 1.9, 1.2, 1.0)),
    ):
        name = f"3 stages, finish of {3 + 2 * number + len(settling)}: {number} middle, Euler {settling}"
        found += [(name, by_steps(partial(finish, (3, 0.7), [(2, 1.0)] * number, settling)))]
    found += [("`SplitLBI()`", by_library())]
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    images = cifar_images(32)[0] / 255.0
    for moment in (2.0, 4.0, 8.0):
        print(needed(images, moment))
    steps.main(ways, "results/further_steps", __doc__)
