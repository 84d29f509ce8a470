"""The hard stop rule: signs, after Carlini et al., that an attack fails rather than a model holds.

An attack of unlimited strength takes every model to chance, a larger ball never helps the defence,
and an attack that has converged finds nothing more with twice its steps. Where one of these does
not hold the robust accuracy that the attack reports is not that of the model, and must not be
published.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._checks import (
    check_choice,
    check_count,
    check_epsilon,
    check_problem,
)
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct, logits_of
from isvs_jax.robustness.attacks._norms import NORMS
from isvs_jax.robustness.attacks.pgd import pgd

Attack = Callable[..., jax.Array]


class EpsilonCurve(NamedTuple):
    """Accuracy under attack at each radius, the level of chance 1 / K, and sentences."""

    epsilons: tuple[float, ...]
    accuracy: tuple[float, ...]
    chance: float
    warnings: tuple[str, ...]


class DoublingCheck(NamedTuple):
    """Accuracy under an attack with num_steps and with twice as many, and sentences."""

    num_steps: int
    accuracy: float
    accuracy_doubled: float
    warnings: tuple[str, ...]


class Reach(NamedTuple):
    """How far the steps of an attack add up, as a multiple of epsilon, and sentences."""

    ratio: float
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
        if accuracy[i] > accuracy[i - 1] + tolerance:
            warnings.append(
                f"accuracy rises with epsilon, from {accuracy[i - 1]:.1%} at {epsilons[i - 1]:g} "
                f"to {accuracy[i]:.1%} at {epsilons[i]:g}: the attack does not find what lies in "
                "the smaller ball."
            )
    if accuracy[-1] > chance + tolerance:
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


def _accuracy_under(
    attack: Attack,
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    batch_size: int,
    options: dict[str, Any],
) -> float:
    """Accuracy on attacked images, batch by batch of one shape; the last is filled up."""
    judge, total = as_pytree(logits_fn), len(labels)
    random_model = options.get("eot_samples") is not None
    size, correct = min(batch_size, total), 0
    for begin in range(0, total, size):
        rows = np.minimum(np.arange(begin, begin + size), total - 1)
        attack_key, judge_key = jax.random.split(jax.random.fold_in(key, begin))
        moved = attack(logits_fn, images[rows], labels[rows], attack_key, **options)
        logits = logits_of(judge, moved, *((judge_key,) if random_model else ()))
        correct += int(np.asarray(is_correct(logits, labels[rows]))[: total - begin].sum())
    return correct / total


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
        _accuracy_under(
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


def doubling_check(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float,
    norm: str = "linf",
    attack: Attack = pgd,
    num_steps: int = 100,
    steps_name: str = "num_steps",
    batch_size: int = 128,
    tolerance: float = 0.01,
    **options: Any,
) -> DoublingCheck:
    """Whether twice the steps still lower the accuracy: then the attack has not converged.

    Args:
        logits_fn: the model, as the attack takes it.
        images: float [B, H, W, C] in [0, 1].
        labels: integers [B].
        key: a PRNG key; both runs use the same draws.
        epsilon: radius of the ball.
        norm: "linf" or "l2".
        attack: called as attack(logits_fn, images, labels, key, epsilon=, norm=, <steps_name>=,
            **options).
        num_steps: the smaller number of steps.
        steps_name: name of that argument of the attack; "num_queries" for `square`.
        batch_size: images attacked at a time.
        tolerance: fall in accuracy that is let pass.
        **options: further arguments of the attack.

    Returns:
        DoublingCheck(num_steps, accuracy, accuracy_doubled, warnings).

    Raises:
        ValueError: whatever the attack refuses.
        TypeError: whatever the attack refuses.

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
    >>> image = jnp.full((2, 4, 4, 1), 0.7)
    >>> check = doubling_check(
    ...     logits_fn, image, jnp.array([0, 0]), jax.random.key(0), epsilon=0.1, num_steps=10
    ... )
    >>> check.accuracy_doubled, check.warnings
    (1.0, ())

    References:
        Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
    """
    check_count("num_steps", num_steps)
    check_count("batch_size", batch_size)
    eot = options.get("eot_samples")
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, None, eot)

    def accuracy_with(steps: int) -> float:
        settings = {"epsilon": epsilon, "norm": norm, steps_name: steps, **options}
        return _accuracy_under(attack, logits_fn, problem.images, problem.labels, key, batch_size, settings)

    accuracy, doubled = accuracy_with(num_steps), accuracy_with(2 * num_steps)
    warnings: tuple[str, ...] = ()
    if doubled < accuracy - tolerance:
        warnings = (
            f"twice the steps ({2 * num_steps} for {num_steps}) lower the accuracy from "
            f"{accuracy:.1%} to {doubled:.1%}: the attack has not converged.",
        )
    return DoublingCheck(num_steps, accuracy, doubled, warnings)


def step_reach(num_steps: int, step_size: float, epsilon: float, random_start: bool = True) -> Reach:
    """How far num_steps × step_size goes, measured in epsilon.

    Below 1 the boundary of the ball is out of reach (`pgd` refuses that). From a random start the
    far side is up to 2ε away.

    >>> step_reach(10, 0.01, 0.04).ratio
    2.5

    Raises:
        ValueError: for numbers that are not positive.
    """
    check_count("num_steps", num_steps)
    for name, value in (("step_size", step_size), ("epsilon", epsilon)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}; it must be a finite number greater than 0.")
    ratio = num_steps * step_size / epsilon
    warnings: tuple[str, ...] = ()
    if ratio < 1:
        warnings = (f"num_steps × step_size is {ratio:.2f} × epsilon: the run cannot reach the boundary of its ball.",)
    elif random_start and ratio < 2:
        warnings = (
            f"num_steps × step_size is {ratio:.2f} × epsilon: from a random start the far side of "
            "the ball, up to 2 × epsilon away, is out of reach.",
        )
    return Reach(ratio, warnings)
