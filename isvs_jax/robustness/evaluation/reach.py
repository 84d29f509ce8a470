"""How far the steps of each attack of an evaluation go, against ε."""

from __future__ import annotations

from collections.abc import Sequence

from isvs_jax.robustness.attacks.convergence import step_reach
from isvs_jax.robustness.evaluation.results import StepReach

NUM_DRAWS = 100
"""Random points with which a defence is attacked."""

# First steps as multiples of ε: 2.5·ε/num_steps of `pgd`, and the diameter of the ball of APGD.
_PGD_TOTAL, _APGD_STEP = 2.5, 2.0


def pgd_reach(num_steps: int) -> StepReach:
    """The steps of `pgd`.

    >>> pgd_reach(40).ratio
    2.5
    """
    reach = step_reach(num_steps, _PGD_TOTAL / num_steps, 1.0)
    return StepReach("pgd", num_steps, _PGD_TOTAL / num_steps, reach.ratio, "of one length", reach.warnings)


def attack_reaches(attacks: Sequence[str], num_steps: int, num_queries: int) -> tuple[StepReach, ...]:
    """The steps of attacks of `autoattack_report`, and of "noise".

    >>> [reach.ratio for reach in attack_reaches(("apgd-ce", "square"), 100, 5000)]
    [200.0, None]
    """
    return tuple(_of(attack, num_steps, num_queries) for attack in attacks)


def _of(attack: str, num_steps: int, num_queries: int) -> StepReach:
    if attack == "square":
        return StepReach(attack, num_queries, None, None, "queries, each of a point on the boundary of the ball")
    if attack == "noise":
        return StepReach(attack, NUM_DRAWS, None, None, "random points, half of them on the boundary of the ball")
    if attack == "fab-t":
        note = "steps a target, each as long as the decision boundary is far; what it finds is projected into the ball"
        return StepReach(attack, num_steps, None, None, note)
    reach = step_reach(num_steps, _APGD_STEP, 1.0)
    note = "halved where the loss stalls; the first alone crosses the ball"
    return StepReach(attack, num_steps, _APGD_STEP, reach.ratio, note, reach.warnings)
