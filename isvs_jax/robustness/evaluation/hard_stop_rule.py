"""The hard stop rule: signs that an attack failed rather than that the model held, read from accuracies alone.

An attack of unlimited strength takes every model to chance, a larger ball never helps a model, steps must reach all of
the ball, and twice as many must find nothing more. Where one of these does not hold, the robust accuracy that the
attack reports is not that of the model and must not be published.

Nothing here runs an attack. `epsilon_curve`, `doubling_check`, `hard_stop` and `evaluate` do, and judge by this.

References:
    Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from isvs_jax._checks import check_choice, check_integer, check_number
from isvs_jax.robustness.attacks._ball import NORMS
from isvs_jax.robustness.evaluation.cells import Cell, DoublingCheck, EpsilonCurve, StepReach
from isvs_jax.robustness.text import grouped, radius

TOLERANCE = 0.01
"""What an accuracy may rise with ε, end above chance, or fall with twice the steps, without a warning."""

NUM_DRAWS = 100
"""The random points with which a defence is attacked."""

# Shares of examples: a difference of just the tolerance is none, however it is rounded.
_ROUNDING = 1e-9
# First steps as multiples of ε: 2.5·ε/num_steps of `pgd`, and the diameter of the ball of APGD.
_PGD_TOTAL, _APGD_STEP = 2.5, 2.0


def full_radius(shape: Sequence[int], norm: str) -> float:
    """The radius at which every image [H, W, C] can be turned into plain grey: the end of any defence.

    Every pixel is within ½ of the middle of [0, 1], so that all images share a point of their balls and no model does
    better there than to name the commonest class.

    Example:
        >>> full_radius((32, 32, 3), "linf")
        0.5
    """
    check_choice("norm", norm, NORMS)
    return 0.5 if norm == "linf" else 0.5 * math.sqrt(math.prod(shape))


def curve_warnings(
    epsilons: Sequence[float],
    accuracy: Sequence[float],
    chance: float,
    full: float,
    tolerance: float = TOLERANCE,
) -> tuple[str, ...]:
    """What is wrong with an ε-curve, as sentences; () if nothing is.

    Args:
        epsilons: Increasing radii, two or more.
        accuracy: The robust accuracy at each, in [0, 1].
        chance: The accuracy of guessing, 1 / K.
        full: The radius at which no defence is possible, see `full_radius`.
        tolerance: What a curve may rise, or end above chance, by accident.

    Returns:
        Warnings of an accuracy that rises with ε, of one above chance at a radius of `full` or more, and of a curve
        that stops before it came down to chance.

    Raises:
        ValueError: The radii do not increase, or there are not as many accuracies.

    Example:
        >>> curve_warnings([0.0, 0.1, 0.5], [0.9, 0.3, 0.0], chance=0.1, full=0.5)
        ()
        >>> len(curve_warnings([0.0, 0.1, 0.5], [0.9, 0.3, 0.6], chance=0.1, full=0.5))
        2
    """
    check_radii("epsilons", epsilons)
    if len(accuracy) != len(epsilons):
        raise ValueError(f"accuracy must have a value for each of {len(epsilons)} radii; got {len(accuracy)}.")
    warnings = [
        f"accuracy rises with epsilon, from {before:.1%} at {smaller:g} to {after:.1%} at {larger:g}: the attack does "
        "not find what lies in the smaller ball."
        for (smaller, before), (larger, after) in itertools.pairwise(zip(epsilons, accuracy, strict=True))
        if after - before > tolerance + _ROUNDING
    ]
    last = f"at epsilon = {epsilons[-1]:g}"
    if accuracy[-1] - chance > tolerance + _ROUNDING:
        warnings.append(
            f"accuracy is {accuracy[-1]:.1%} {last}, where every image can be turned into grey and nothing above "
            f"chance ({chance:.1%}) is possible: the attack fails."
            if epsilons[-1] >= full
            else f"the curve ends {last} with {accuracy[-1]:.1%}, above chance ({chance:.1%}): go on to larger radii "
            f"(at {full:g} no model can hold)."
        )
    return tuple(warnings)


def check_radii(name: str, radii: Sequence[float], least: int = 2) -> None:
    """Raise a ValueError unless there are at least so many radii and each is larger than the one before."""
    if len(radii) < least:
        raise ValueError(f"{name} must have at least {least} radii; got {len(radii)}.")
    if any(after <= before for before, after in itertools.pairwise(radii)):
        raise ValueError(f"{name} must be increasing; got {tuple(radii)}.")


def doubling_warnings(
    num_steps: int, accuracy: float, doubled: float, tolerance: float = TOLERANCE, steps: str = "steps"
) -> tuple[str, ...]:
    """What is wrong where twice the steps lower the accuracy, as sentences; () if nothing is.

    Args:
        num_steps: The smaller number of steps.
        accuracy: The share that it leaves, in [0, 1].
        doubled: The share that twice as many leave.
        tolerance: A fall in accuracy that is let pass.
        steps: What is doubled, in words.

    Returns:
        The warnings.

    Example:
        >>> doubling_warnings(40, 0.07, 0.06)
        ()
        >>> len(doubling_warnings(40, 0.5, 0.3))
        1
    """
    if accuracy - doubled <= tolerance + _ROUNDING:
        return ()
    return (
        f"twice the {steps} ({2 * num_steps} for {num_steps}) lower the accuracy from {accuracy:.1%} to {doubled:.1%}: "
        "the attack has not converged.",
    )


def step_reach(num_steps: int, step_size: float, epsilon: float, random_start: bool = True) -> StepReach:
    """How far num_steps × step_size goes, measured in ε.

    Below 1 the boundary of the ball is out of reach (`pgd` refuses that). From a random start the far side is up to 2ε
    away.

    Args:
        num_steps: The number of steps, ≥ 1.
        step_size: The length of a step, > 0.
        epsilon: The radius of the ball, > 0.
        random_start: Whether the walk begins at a random point of the ball.

    Returns:
        A `StepReach`, its step size as a multiple of ε.

    Raises:
        TypeError: A value is no number.
        ValueError: A value is not positive.

    Example:
        >>> step_reach(10, 0.01, 0.04).ratio
        2.5
    """
    check_integer("num_steps", num_steps)
    for name, value in (("step_size", step_size), ("epsilon", epsilon)):
        check_number(name, value, "(0, inf)")
    ratio = num_steps * step_size / epsilon
    warnings: tuple[str, ...] = ()
    if ratio < 1:
        warnings = (f"num_steps × step_size is {ratio:.2f} × epsilon: the run cannot reach the boundary of its ball.",)
    elif random_start and ratio < 2:
        warnings = (
            f"num_steps × step_size is {ratio:.2f} × epsilon: from a random start the far side of the ball, up to "
            "2 × epsilon away, is out of reach.",
        )
    return StepReach("", num_steps, step_size / epsilon, ratio, "of one length", warnings)


def attack_reaches(attacks: Sequence[str], num_steps: int, num_queries: int) -> tuple[StepReach, ...]:
    """How far the steps of "pgd", of the attacks of `autoattack_report` and of "noise" go.

    Example:
        >>> [reach.ratio for reach in attack_reaches(("pgd", "apgd-ce", "square"), 100, 5000)]
        [2.5, 200.0, None]
    """
    return tuple(_attack_reach(attack, num_steps, num_queries) for attack in attacks)


def _attack_reach(attack: str, num_steps: int, num_queries: int) -> StepReach:
    if attack == "square":
        return StepReach(attack, num_queries, None, None, "queries, each of a point on the boundary of the ball")
    if attack == "noise":
        return StepReach(attack, NUM_DRAWS, None, None, "random points, half of them on the boundary of the ball")
    if attack == "fab-t":
        note = "steps a target, each as long as the decision boundary is far; what it finds is projected into the ball"
        return StepReach(attack, num_steps, None, None, note)
    step_size = _PGD_TOTAL / num_steps if attack == "pgd" else _APGD_STEP
    reach = step_reach(num_steps, step_size, 1.0)
    note = reach.note if attack == "pgd" else "halved where the loss stalls; the first alone crosses the ball"
    return StepReach(attack, num_steps, step_size, reach.ratio, note, reach.warnings)


def judge_curve(
    norm: str,
    attack: str,
    num_steps: int | None,
    radii: Sequence[float],
    cells: Sequence[Cell],
    *,
    chance: float,
    shape: Sequence[int],
    reaches: tuple[StepReach, ...] = (),
    tolerance: float = TOLERANCE,
) -> EpsilonCurve:
    """The ε-curve of cells at growing radii, with the warnings of the rule, of the attacks and of their steps.

    Args:
        norm: "linf" or "l2".
        attack: The name of the attack.
        num_steps: Its number of steps.
        radii: Increasing radii.
        cells: What is left at each.
        chance: The accuracy of guessing, 1 / K.
        shape: The shape of an image, (H, W, C).
        reaches: How far the steps go.
        tolerance: As in `curve_warnings`.

    Returns:
        The curve.

    Raises:
        ValueError: The radii do not increase.
    """
    full = full_radius(shape, norm)
    of_rule = curve_warnings(radii, [cell.accuracy for cell in cells], chance, full, tolerance)
    said = [(radius(epsilon), text) for epsilon, cell in zip(radii, cells, strict=True) for text in cell.warnings]
    of_attacks = [f"ε = {where}: {text}" for where, text in grouped(said)]
    of_steps = [text for reach in reaches for text in reach.warnings]
    warnings = (*of_rule, *of_attacks, *of_steps)
    return EpsilonCurve(norm, attack, num_steps, tuple(radii), tuple(cells), chance, full, reaches, warnings)


def judge_doubling(
    norm: str,
    attack: str,
    epsilon: float,
    num_steps: int,
    num_queries: int | None,
    once: np.ndarray,
    twice: Cell,
    *,
    reaches: tuple[StepReach, ...] = (),
    tolerance: float = TOLERANCE,
    steps: str = "",
) -> DoublingCheck:
    """What twice the steps change, with the warnings of the rule and of the doubled attack.

    Args:
        norm: "linf" or "l2".
        attack: The name of the attack.
        epsilon: The radius.
        num_steps: The smaller number of steps.
        num_queries: The smaller number of queries; None where the attack asks none.
        once: Bool [N], what the smaller number leaves.
        twice: What twice the number leaves; an example that either breaks counts as broken.
        reaches: How far the doubled steps go.
        tolerance: As in `doubling_warnings`.
        steps: What is doubled, in words; by default steps, and queries where there are some.

    Returns:
        The check.
    """
    accuracy, doubled = float(once.mean()), float((once & twice.mask).mean())
    steps = steps or ("steps" if num_queries is None else "steps and queries")
    warnings = (*doubling_warnings(num_steps, accuracy, doubled, tolerance, steps), *twice.warnings)
    return DoublingCheck(
        norm,
        attack,
        epsilon,
        num_steps,
        num_queries,
        len(once),
        accuracy,
        doubled,
        reaches,
        warnings,
        twice.seconds,
    )
