"""Which stabilised steps a path takes for a wanted error: their stages, their lengths, how many solves they are.

The steps are Runge-Kutta-Chebyshev steps of first order: s solves go up to s² times as far as the longest stable Euler
step. The flow relaxes at real rates between 0 and κ/ν (a product of symmetric positive matrices), so the stages can
follow a polynomial that stays small on that whole interval.
"""

from functools import lru_cache
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev

from isvs_jax._checks import ArrayLike

# What no tolerance stands for.
DEFAULT_TOLERANCE = 0.003
# A part of a long step this small is rounding.
SLACK = 1e-5


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
        damping: A number ≥ 0.

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


class Plan(NamedTuple):
    """Which steps a path takes; lengths are in units of ν/κ, all of them times `scale`.

    Attributes:
        long: The stages and the damping of a long step.
        middle: The stages and the damping of a middle step.
        num_middle: The number of middle steps.
        settling: The lengths of the Euler steps at the end.
        scale: 1, or less for a smaller error.
    """

    long: tuple[int, float]
    middle: tuple[int, float]
    num_middle: int
    settling: tuple[float, ...]
    scale: float = 1.0

    @property
    def long_length(self) -> float:
        """The length of a long step."""
        return self.scale * chebyshev_stages(*self.long).bound

    @property
    def middle_length(self) -> float:
        """The length of a middle step."""
        return self.scale * chebyshev_stages(*self.middle).bound

    @property
    def finish_length(self) -> float:
        """The length of all steps after the long ones, the shorter long step left out."""
        return self.num_middle * self.middle_length + self.scale * sum(self.settling)

    def long_rows(self, count: int) -> np.ndarray:
        """The stages of some long steps: μ, ν, μ̃, the offset of the step from the first, its length; [count · s, 5]."""
        return _rows(self.long, np.arange(count) * self.long_length, self.long_length)

    def finish_rows(self) -> np.ndarray:
        """The stages of the finish, with the offset -1."""
        middle = _rows(self.middle, np.full(self.num_middle, -1), self.middle_length)
        settling = self.scale * np.array(self.settling)
        return np.concatenate([middle, _rows((1, 0.0), np.full(settling.size, -1), settling)])

    def rows(self, num_long: int) -> np.ndarray:
        """The stages of some long steps and of the finish."""
        return np.concatenate([self.long_rows(num_long), self.finish_rows()])

    @property
    def finish_solves(self) -> int:
        """The number of solves after the long steps, for each recorded time."""
        return self.long[0] + self.num_middle * self.middle[0] + len(self.settling)


def _rows(method: tuple[int, float], offsets: np.ndarray, lengths: ArrayLike) -> np.ndarray:
    """The stages of some steps of one kind, one after another."""
    coefficients = chebyshev_stages(*method).coefficients
    steps = np.column_stack([offsets, np.broadcast_to(lengths, offsets.shape)])
    return np.column_stack([np.tile(coefficients, (len(steps), 1)), np.repeat(steps, len(coefficients), axis=0)])


# From benchmarks/steps.py. A settling step may be longer than 2, the bound of a single Euler step: what it makes grow,
# to less than twice as much, the steps after it shrink, so that all of them together make no mode grow.
_DEFAULT = Plan((3, 0.7), (2, 1.0), 2, (1.9, 1.9, 1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5), scale=0.95)
_COARSE = Plan((4, 0.8), (2, 1.0), 3, (3.0, 1.9, 1.2, 1.0), scale=0.99)

# The error goes about with the 0.6th power of the scale, down from 0.003.
_POWER = 1.6


def plan_path(tolerance: float | None) -> Plan:
    """The steps for a relative error; None stands for `DEFAULT_TOLERANCE`."""
    if tolerance is not None and tolerance >= 2 * DEFAULT_TOLERANCE:
        return _COARSE
    return _DEFAULT._replace(scale=_DEFAULT.scale * tolerance_share(tolerance) ** _POWER)


def tolerance_share(tolerance: float | None) -> float:
    """The tolerance as a share of what no tolerance stands for, at most 1: how much shorter Euler steps are for it."""
    return 1.0 if tolerance is None else min(1.0, tolerance / DEFAULT_TOLERANCE)


def count_long_steps(plan: Plan, time: float, kappa: float, nu: float) -> int:
    """The number of long steps that fit before the finish towards a time, t₁ ≥ 0 being unknown."""
    return max(0, floor((time * kappa / nu - plan.finish_length) / plan.long_length + SLACK))
