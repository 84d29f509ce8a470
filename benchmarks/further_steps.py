"""More ways with fewer solves: momentum, extrapolation, a coarse start, exponential steps, shorter finishes.

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
from isvs_jax.solver.shrinkage import shrink, squared_norm
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


@partial(jax.jit, static_argnames=("num_steps", "dimension", "corrected"))
def run_exponential(
    planar: jax.Array, start: float, final: float, *, num_steps: int, dimension: int, corrected: bool
) -> jax.Array:
    """Exponential Rosenbrock-Euler steps: exact for a fixed support, φ of the Jacobian in a Krylov space.

    `corrected`: a group that enters during a step gets what is left of its excess after relaxing at half of κ/ν.
    """
    first, rate = steps.first_entries(planar)
    first = jnp.minimum(first, final)
    z = jax.tree.map(lambda edge: edge * first[:, None, None, None], rate)
    size = (final - start) / num_steps

    def each(value):
        return value[:, None, None, None]

    def dot(a, b):
        return sum((x * y).sum((1, 2, 3)) for x, y in zip(a, b, strict=True))

    def step(z, index):
        a = start + index * size
        h = jnp.clip(a + size - jnp.maximum(a, first), 0)

        def slope_of(z):
            return SOLVER.flow.slope(SOLVER.flow.dense(planar, z), z)

        def weigh(w):  # The derivative of v, symmetric: the inner product in which the Jacobian is self-adjoint.
            shrunk = jax.vjp(lambda z: shrink(z, SOLVER.penalty), z)[1](isvs_jax.Edges(*w))[0]
            return tuple(shrunk)

        slope, apply = jax.linearize(slope_of, z)
        norm = jnp.sqrt(dot(slope, weigh(slope)))
        vector, basis, images = tuple(e / each(jnp.maximum(norm, 1e-30)) for e in slope), [], []
        for _ in range(dimension):
            basis.append(vector)
            images.append(tuple(-e for e in apply(isvs_jax.Edges(*vector))))
            rest = images[-1]
            for old in basis:
                rest = tuple(r - each(dot(rest, weigh(old))) * o for r, o in zip(rest, old, strict=True))
            length = jnp.sqrt(jnp.maximum(dot(rest, weigh(rest)), 0))
            vector = tuple(jnp.where(each(length) > 1e-8, e / each(jnp.maximum(length, 1e-30)), 0) for e in rest)
        small = jnp.stack([jnp.stack([dot(image, weigh(old)) for image in images], -1) for old in basis], -2)
        values, vectors = jnp.linalg.eigh((small + jnp.swapaxes(small, 1, 2)) / 2)
        x = jnp.maximum(h[:, None] * values, 1e-4)
        weights = jnp.einsum("bij,bj,bj->bi", vectors, (x + jnp.expm1(-x)) / x**2, vectors[:, 0]) * norm[:, None]
        change = [sum(each(weights[:, j]) * images[j][i] for j in range(dimension)) for i in range(2)]
        after = [e + each(h) * f - each(h**2) * c for e, f, c in zip(z, slope, change, strict=True)]
        after = isvs_jax.Edges(*after)
        return (_relaxed(z, after, each(h)) if corrected else after), None

    z, _ = jax.lax.scan(step, z, jnp.arange(num_steps, dtype=planar.dtype))
    return SOLVER.flow.dense(planar, z)


def _relaxed(z: isvs_jax.Edges, after: isvs_jax.Edges, h: jax.Array) -> isvs_jax.Edges:
    norms = [jax.tree.map(jnp.sqrt, squared_norm(edges, SOLVER.penalty)) for edges in (z, after)]
    edges = []
    for edge, was, now in zip(after, *norms, strict=True):
        enters = (was <= 1) & (now > 1)
        x = jnp.where(enters, (now - 1) / jnp.where(enters, now - was, 1), 0) * h * KAPPA / NU / 2 + 1e-6
        edges.append(jnp.where(enters, edge * (1 - (now - 1) * jnp.expm1(-x) / x) / jnp.where(enters, now, 1), edge))
    return isvs_jax.Edges(*edges)


def by_exponential(size: float, dimension: int, corrected: bool) -> Callable:
    """A solve for the slope and one for each dimension of the Krylov space."""

    def run(planar: jax.Array, earliest: float, moment: float) -> tuple[int, np.ndarray]:
        count = max(1, int(np.ceil((moment - earliest) / size)))
        options = {"num_steps": count, "dimension": dimension, "corrected": corrected}
        dense = run_exponential(planar, earliest, moment, **options)
        return count * (dimension + 1), np.moveaxis(np.asarray(dense), -3, -1)

    return run


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
    for size, dimension, corrected in (
        (0.038, 6, False),
        (0.076, 6, False),
        (0.076, 6, True),
        (0.076, 2, False),
        (0.076, 1, False),
        (0.152, 6, False),
    ):
        name = f"exponential, steps of {size}, Krylov {dimension}" + (", entries corrected" if corrected else "")
        found += [(name, by_exponential(size, dimension, corrected))]
    found += [("`SplitLBI()`", by_library())]
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    images = cifar_images(32)[0] / 255.0
    for moment in (2.0, 4.0, 8.0):
        print(needed(images, moment))
    steps.main(ways, "results/further_steps", __doc__)
