"""Runge-Kutta-Chebyshev steps of first order: s solves go up to s² times as far as the longest stable Euler step.

The flow relaxes at real rates between 0 and κ/ν (a product of symmetric positive matrices), so the stages can follow a
polynomial that stays small on that whole interval.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Chebyshev

from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import SplitLBI, planar_dense, planar_slope


class Stages(NamedTuple):
    """A step of size h as stages, yⱼ = μⱼyⱼ₋₁ + νⱼyⱼ₋₂ + h·μ̃ⱼ·f(yⱼ₋₁).

    Attributes:
        coefficients: Rows of μ, ν, μ̃, shape [s, 3]; the first has ν = 0.
        bound: The longest stable step in units of ν/κ; 2 for an Euler step.
    """

    coefficients: np.ndarray
    bound: float


@lru_cache
def chebyshev_stages(stages: int, damping: float) -> Stages:
    """The stages whose polynomial is Tₛ(w₀ − w₁hλ)/Tₛ(w₀), w₀ = 1 + damping/s², w₁ = Tₛ(w₀)/Tₛ′(w₀).

    A step shrinks the fastest modes at least to 1/Tₛ(w₀). More damping makes that smaller and the step shorter.

    Args:
        stages: s ≥ 1; one stage without damping is an Euler step.
        damping: ≥ 0.

    References:
        Verwer, "Explicit Runge-Kutta methods for parabolic partial differential equations", Appl. Numer. Math. 22
        (1996).
    """
    w0 = 1 + damping / stages**2
    values = [float(Chebyshev.basis(j)(w0)) for j in range(stages + 1)]
    w1 = values[-1] / float(Chebyshev.basis(stages).deriv()(w0))
    rows = [(1.0, 0.0, w1 / w0)]
    for j in range(2, stages + 1):
        ratio = values[j - 1] / values[j]
        rows.append((2 * w0 * ratio, -values[j - 2] / values[j], 2 * w1 * ratio))
    return Stages(np.array(rows), (1 + w0) / w1)


class Stage(NamedTuple):
    """Where a step stands between its stages: yⱼ and yⱼ₋₁, planar."""

    z: Edges
    before: Edges


def planar_stage(solver: SplitLBI, planar: jax.Array, stage: Stage, coefficients: jax.Array, size: jax.Array) -> Stage:
    """The next stage, one solve; an image whose step has size 0 stays as it is.

    Args:
        solver: The flow, scheme "spectral".
        planar: x, [..., C, H, W].
        stage: The stage before.
        coefficients: μ, ν, μ̃, shape [3].
        size: h ≥ 0 in units of time, one per image (shape [...]).
    """
    mu, nu, of_slope = coefficients
    h = size[..., None, None, None]

    def combine(now: jax.Array, before: jax.Array, rate: jax.Array) -> jax.Array:
        return jnp.where(h > 0, mu * now + nu * before + of_slope * h * rate, now)

    # Solved here and not kept from the stage before: an image less in memory.
    slope = planar_slope(solver, planar_dense(solver, planar, stage.z), stage.z)
    return Stage(jax.tree.map(combine, stage.z, stage.before, slope), stage.z)
