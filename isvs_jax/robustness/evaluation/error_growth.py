"""Two signs beside the hard stop rule: how the error grows with ε, and how sure the network is of clean images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from isvs_jax.robustness.evaluation.hard_stop_rule import check_radii

LEAST_ENTROPY = 0.01
"""The mean entropy in nats below which gradients of the cross-entropy are close to nothing."""

# Errors from here on, as shares of the clean accuracy, have begun to saturate.
_SATURATED = 0.5


class PowerLaw(NamedTuple):
    """The error that an attack adds, factor · ε^exponent, fitted to `num_radii` radii."""

    factor: float
    exponent: float
    num_radii: int


def power_law(epsilons: Sequence[float], accuracy: Sequence[float]) -> PowerLaw | None:
    """Fit A ε^γ to the error that an attack adds before it saturates, by least squares of the logarithms.

    Small perturbations move the margin of an image by an amount in proportion to ε, so that for networks of many kinds
    the added error grows about linearly, γ ≈ 1. Where an attack finds little in small balls and all in larger ones, as
    behind masked gradients, it grows faster.

    Args:
        epsilons: Increasing radii, the first of them 0.
        accuracy: The robust accuracy at each, in [0, 1].

    Returns:
        The fit over the radii at which the added error is above 0 and below half of the clean accuracy; None where
        these are fewer than two, or the first radius is not 0.

    Raises:
        ValueError: The radii do not increase, or there are not as many accuracies.

    Example:
        >>> radii = [0.0, 0.01, 0.02, 0.04, 0.5]
        >>> law = power_law(radii, [0.9, 0.85, 0.8, 0.7, 0.0])
        >>> round(law.factor, 2), round(law.exponent, 2), law.num_radii
        (5.0, 1.0, 3)

    References:
        Cubuk, Zoph, Schoenholz, Le, "Intriguing properties of adversarial examples", arXiv 1711.02846.
    """
    check_radii("epsilons", epsilons)
    radii, values = np.asarray(epsilons, np.float64), np.asarray(accuracy, np.float64)
    if values.shape != radii.shape:
        raise ValueError(f"accuracy must have a value for each of {len(radii)} radii; got {values.size}.")
    added = values[0] - values
    used = (added > 0) & (added < _SATURATED * values[0]) & (radii > 0)
    if radii[0] != 0 or used.sum() < 2:
        return None
    exponent, intercept = np.polyfit(np.log(radii[used]), np.log(added[used]), 1)
    return PowerLaw(float(np.exp(intercept)), float(exponent), int(used.sum()))


def growth_sentence(epsilons: Sequence[float], accuracy: Sequence[float]) -> str:
    """What the power law of an ε-curve says, or why it says nothing."""
    law = power_law(epsilons, accuracy)
    if law is None:
        return (
            "Fewer than two radii lie before the error saturates, so that nothing is said of how it grows; smaller "
            "radii would show it."
        )
    return (
        f"The added error grows as ε^{law.exponent:.2f}, from {law.num_radii} radii before it saturates. About 1 is "
        "usual; much more says that little is found in small balls, as behind masked gradients."
    )


def certainty_warnings(entropy: float | None) -> tuple[str, ...]:
    """What a network that is too sure of clean images means for attacks; () where it is not.

    Args:
        entropy: The mean entropy of its probabilities on clean images, in nats; None where it is not known.

    Example:
        >>> certainty_warnings(0.3), len(certainty_warnings(0.001))
        ((), 1)
    """
    if entropy is None or entropy >= LEAST_ENTROPY:
        return ()
    return (
        f"the probabilities of clean images have a mean entropy of {entropy:.2g} nats: the gradient of the "
        "cross-entropy is close to nothing, and an attack along it (PGD, APGD-CE, the ε-curve) can fail without a "
        "sign. The losses of margins and the attacks without gradients do not depend on it.",
    )
