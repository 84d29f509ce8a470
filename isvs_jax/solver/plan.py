"""Which steps a path takes for a wanted error, and how many solves they are."""

from math import floor
from typing import NamedTuple

import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax.solver.chebyshev import chebyshev_stages
from isvs_jax.solver.flow import DEFAULT_TOLERANCE, tolerance_share

# A part of a long step this small is rounding.
SLACK = 1e-5


class Plan(NamedTuple):
    """Which steps a path takes; lengths are in units of ν/κ, all of them times `scale`.

    Attributes:
        long: Stages and damping of the long steps.
        middle: Stages and damping of the middle steps.
        num_middle: How many of them.
        settling: Lengths of the Euler steps at the end.
        scale: 1, or less for a smaller error.
    """

    long: tuple[int, float]
    middle: tuple[int, float]
    num_middle: int
    settling: tuple[float, ...]
    scale: float = 1.0

    @property
    def long_length(self) -> float:
        """Of a long step."""
        return self.scale * chebyshev_stages(*self.long).bound

    @property
    def middle_length(self) -> float:
        """Of a middle step."""
        return self.scale * chebyshev_stages(*self.middle).bound

    @property
    def finish_length(self) -> float:
        """Of all steps after the long ones, the shorter long step left out."""
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
        """Solves after the long steps, for each recorded time."""
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
    """The steps for a relative error."""
    if tolerance is not None and tolerance >= 2 * DEFAULT_TOLERANCE:
        return _COARSE
    return _DEFAULT._replace(scale=_DEFAULT.scale * tolerance_share(tolerance) ** _POWER)


def count_long_steps(plan: Plan, time: float, kappa: float, nu: float) -> int:
    """Long steps that fit before the finish towards a time, t₁ ≥ 0 being unknown."""
    return max(0, floor((time * kappa / nu - plan.finish_length) / plan.long_length + SLACK))


def count_solves(plan: Plan, num_long: int, num_times: int = 1) -> int:
    """Solves of a path at most: u(0), the long steps if an image enters at once, each time's finish and its u."""
    return 1 + num_times + num_long * plan.long[0] + num_times * plan.finish_solves
