"""Whether an attack has gone far enough: its steps reach all of the ball, and twice as many find nothing more.

Half of the hard stop rule after Carlini et al.: an attack that twice its steps improve does not say how robust a
model is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax

from isvs_jax.robustness.attacks._accuracy import Attack, accuracy_under
from isvs_jax.robustness.attacks._checks import check_count, check_problem
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.attacks._pgd import pgd


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


def doubling_warnings(
    num_steps: int, accuracy: float, doubled: float, tolerance: float = 0.01, steps: str = "steps"
) -> tuple[str, ...]:
    """What is wrong where twice the steps lower the accuracy, as sentences; () if nothing is.

    >>> doubling_warnings(40, 0.5, 0.495)
    ()
    >>> doubling_warnings(40, 0.07, 0.06)
    ()
    >>> len(doubling_warnings(40, 0.5, 0.3))
    1
    """
    # Shares of examples: a difference of just the tolerance is none, however it is rounded.
    if accuracy - doubled <= tolerance + 1e-9:
        return ()
    return (
        f"twice the {steps} ({2 * num_steps} for {num_steps}) lower the accuracy from {accuracy:.1%} to {doubled:.1%}: "
        "the attack has not converged.",
    )


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
        return accuracy_under(attack, logits_fn, problem.images, problem.labels, key, batch_size, settings)

    accuracy, doubled = accuracy_with(num_steps), accuracy_with(2 * num_steps)
    what = steps_name.removeprefix("num_")
    return DoublingCheck(num_steps, accuracy, doubled, doubling_warnings(num_steps, accuracy, doubled, tolerance, what))


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
