"""The ε-curve: an attack of unlimited strength takes every model to chance, and a larger ball never helps it.

Where one of these does not hold, the robust accuracy that the attack reports is not that of the model, and must not be
published: half of the hard stop rule after Carlini et al.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._accuracy import Attack, accuracy_under
from isvs_jax.robustness.attacks._checks import check_choice, check_count, check_epsilon, check_problem
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.attacks._norms import NORMS
from isvs_jax.robustness.attacks._pgd import pgd


class EpsilonCurve(NamedTuple):
    """Accuracy under attack at each radius, the level of chance 1 / K, and sentences."""

    epsilons: tuple[float, ...]
    accuracy: tuple[float, ...]
    chance: float
    warnings: tuple[str, ...]


def full_radius(shape: Sequence[int], norm: str) -> float:
    """Radius at which every image [H, W, C] can be turned into plain grey: the end of any defence.

    Every pixel is within ½ of the middle of [0, 1], so that all images share a point of their balls
    and no model does better there than to name the commonest class.

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
    tolerance: float = 0.01,
) -> tuple[str, ...]:
    """What is wrong with an ε-curve, as sentences; () if nothing is.

    Args:
        epsilons: increasing radii.
        accuracy: robust accuracy at each, in [0, 1].
        chance: accuracy of guessing, 1 / K.
        full: radius at which no defence is possible, see `full_radius`.
        tolerance: what a curve may rise, or end above chance, by accident.

    Returns:
        Warnings: accuracy that rises with ε; accuracy above chance at a radius of `full` or more; a
        curve that stops before it came down to chance.

    >>> curve_warnings([0.0, 0.1, 0.5], [0.9, 0.3, 0.0], chance=0.1, full=0.5)
    ()
    >>> len(curve_warnings([0.0, 0.1, 0.5], [0.9, 0.3, 0.6], chance=0.1, full=0.5))
    2
    """
    if len(epsilons) != len(accuracy) or len(epsilons) < 2:
        raise ValueError(
            f"epsilons and accuracy have lengths {len(epsilons)} and {len(accuracy)}; they must "
            "have the same, at least 2."
        )
    if any(b <= a for a, b in itertools.pairwise(epsilons)):
        raise ValueError(f"epsilons is {tuple(epsilons)}; it must increase.")
    warnings = []
    for i in range(1, len(epsilons)):
        if accuracy[i] - accuracy[i - 1] > tolerance + 1e-9:
            warnings.append(
                f"accuracy rises with epsilon, from {accuracy[i - 1]:.1%} at {epsilons[i - 1]:g} "
                f"to {accuracy[i]:.1%} at {epsilons[i]:g}: the attack does not find what lies in "
                "the smaller ball."
            )
    if accuracy[-1] - chance > tolerance + 1e-9:
        if epsilons[-1] >= full:
            warnings.append(
                f"accuracy is {accuracy[-1]:.1%} at epsilon = {epsilons[-1]:g}, where every image "
                f"can be turned into grey and nothing above chance ({chance:.1%}) is possible: the "
                "attack fails."
            )
        else:
            warnings.append(
                f"the curve ends at epsilon = {epsilons[-1]:g} with {accuracy[-1]:.1%}, above "
                f"chance ({chance:.1%}): go on to larger radii (at {full:g} no model can hold)."
            )
    return tuple(warnings)


def epsilon_curve(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilons: Sequence[float],
    norm: str = "linf",
    attack: Attack = pgd,
    batch_size: int = 128,
    tolerance: float = 0.01,
    **options: Any,
) -> EpsilonCurve:
    """Accuracy under attack at growing radii; it must fall to chance.

    Args:
        logits_fn: the model, as the attack takes it.
        images: float [B, H, W, C] in [0, 1].
        labels: integers [B].
        key: a PRNG key; every radius uses the same draws.
        epsilons: increasing radii; let the last be `full_radius(images.shape[1:], norm)`.
        norm: "linf" or "l2".
        attack: called as attack(logits_fn, images, labels, key, epsilon=, norm=, **options).
        batch_size: images attacked at a time.
        tolerance: see `curve_warnings`.
        **options: further arguments of the attack.

    Returns:
        EpsilonCurve(epsilons, accuracy, chance, warnings).

    Raises:
        ValueError: where epsilons do not increase, and whatever the attack refuses.
        TypeError: whatever the attack refuses.

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
    >>> image = jnp.full((2, 4, 4, 1), 0.7)
    >>> curve = epsilon_curve(
    ...     logits_fn, image, jnp.array([0, 0]), jax.random.key(0), epsilons=[0.1, 0.3, 0.5]
    ... )
    >>> curve.accuracy, curve.warnings
    ((1.0, 0.0, 0.0), ())

    References:
        Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
    """
    check_count("batch_size", batch_size)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm)
    radii = tuple(float(epsilon) for epsilon in epsilons)
    eot = options.get("eot_samples")
    problem = check_problem(logits_fn, images, labels, key, 0.0, norm, None, eot)
    accuracy = tuple(
        accuracy_under(
            attack,
            logits_fn,
            problem.images,
            problem.labels,
            key,
            batch_size,
            {"epsilon": jnp.float32(epsilon), "norm": norm, **options},
        )
        for epsilon in radii
    )
    chance = 1.0 / problem.num_classes
    full = full_radius(problem.images.shape[1:], norm)
    warnings = curve_warnings(radii, accuracy, chance, full, tolerance)
    return EpsilonCurve(radii, accuracy, chance, warnings)
