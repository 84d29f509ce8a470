"""The hard stop rule by hand: the ε-curve, twice the steps, and both for a defence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_integer, check_number
from isvs_jax.robustness._batches import batches
from isvs_jax.robustness.adaptive import WAYS, DefenceResult, attack_defence
from isvs_jax.robustness.attacks._checks import Problem, check_epsilon, check_problem
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct, logits_of
from isvs_jax.robustness.attacks._pgd import pgd
from isvs_jax.robustness.defences import Defence, defended
from isvs_jax.robustness.evaluation.cells import Cell, DoublingCheck, EpsilonCurve, packed
from isvs_jax.robustness.evaluation.hard_stop_rule import (
    TOLERANCE,
    check_radii,
    full_radius,
    judge_curve,
    judge_doubling,
)
from isvs_jax.robustness.text import radius

Attack = Callable[..., jax.Array]

SIX_WAYS = "the six ways of attacking a defence"
"""The name of the attack of a defence."""


class HardStop(NamedTuple):
    """The ε-curve, what twice the steps change, and the warnings of both.

    The warnings are those of the rule itself and those that `attack_defence` gave at each radius, masked gradients
    among them, each with its radius.
    """

    curve: EpsilonCurve
    doubling: DoublingCheck
    warnings: tuple[str, ...]


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
    tolerance: float = TOLERANCE,
    **options: Any,
) -> EpsilonCurve:
    """Accuracy under attack at growing radii; it must fall to chance.

    Args:
        logits_fn: The model, as the attack takes it.
        images: Floats [B, H, W, C] in [0, 1].
        labels: Integers [B].
        key: A PRNG key; every radius uses the same draws.
        epsilons: Increasing radii; let the last be `full_radius(images.shape[1:], norm)`.
        norm: "linf" or "l2".
        attack: A function called as attack(logits_fn, images, labels, key, epsilon=, norm=, **options).
        batch_size: The images attacked at a time.
        tolerance: As in `curve_warnings`.
        **options: Further arguments of the attack.

    Returns:
        An `EpsilonCurve`: its `epsilons`, `accuracy` at each, `chance` and `warnings`.

    Raises:
        ValueError: The radii do not increase, or the attack refuses a value.
        TypeError: The attack refuses a type.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((2, 4, 4, 1), 0.7)
        >>> curve = epsilon_curve(
        ...     logits_fn, image, jnp.array([0, 0]), jax.random.key(0), epsilons=[0.1, 0.3, 0.5])
        >>> curve.accuracy, curve.warnings
        ((1.0, 0.0, 0.0), ())
    """
    check_integer("batch_size", batch_size)
    check_radii("epsilons", epsilons)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm)
    radii = tuple(float(epsilon) for epsilon in epsilons)
    problem = check_problem(logits_fn, images, labels, key, 0.0, norm, None, options.get("eot_samples"))
    cells = [
        _left(attack, logits_fn, problem, batch_size, {"epsilon": jnp.float32(epsilon), "norm": norm, **options})
        for epsilon in radii
    ]
    return judge_curve(
        norm,
        _name(attack),
        options.get("num_steps", _default(attack, "num_steps")),
        radii,
        cells,
        chance=1 / problem.num_classes,
        shape=problem.images.shape[1:],
        tolerance=tolerance,
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
    tolerance: float = TOLERANCE,
    **options: Any,
) -> DoublingCheck:
    """Whether twice the steps still lower the accuracy: then the attack has not converged.

    An example that either number of steps breaks counts as broken by twice the steps.

    Args:
        logits_fn: The model, as the attack takes it.
        images: Floats [B, H, W, C] in [0, 1].
        labels: Integers [B].
        key: A PRNG key; both runs use the same draws.
        epsilon: The radius of the ball.
        norm: "linf" or "l2".
        attack: A function called as attack(logits_fn, images, labels, key, epsilon=, norm=, <steps_name>=, **options).
        num_steps: The smaller number of steps.
        steps_name: The name of that argument of the attack; "num_queries" for `square`.
        batch_size: The images attacked at a time.
        tolerance: A fall in accuracy that is let pass.
        **options: Further arguments of the attack.

    Returns:
        A `DoublingCheck`: its `num_steps`, `accuracy`, `accuracy_doubled` and `warnings`.

    Raises:
        ValueError: The attack refuses a value.
        TypeError: The attack refuses a type.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((2, 4, 4, 1), 0.7)
        >>> check = doubling_check(
        ...     logits_fn, image, jnp.array([0, 0]), jax.random.key(0), epsilon=0.1, num_steps=10)
        >>> check.accuracy_doubled, check.warnings
        (1.0, ())
    """
    num_steps, batch_size = check_integer("num_steps", num_steps), check_integer("batch_size", batch_size)
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, None, options.get("eot_samples"))
    once, twice = (
        _left(
            attack,
            logits_fn,
            problem,
            batch_size,
            {"epsilon": epsilon, "norm": norm, steps_name: times * num_steps, **options},
        )
        for times in (1, 2)
    )
    return judge_doubling(
        norm,
        _name(attack),
        float(epsilon),
        num_steps,
        num_steps if steps_name == "num_queries" else None,
        once.mask,
        twice,
        tolerance=tolerance,
        steps=steps_name.removeprefix("num_"),
    )


def _left(attack: Attack, logits_fn: LogitsFn, problem: Problem, batch_size: int, options: dict[str, Any]) -> Cell:
    """What an attack leaves, batch by batch of one shape."""
    judge, count = as_pytree(logits_fn), len(problem.labels)
    random_model = options.get("eot_samples") is not None
    size, parts = min(batch_size, count), []
    for number, (rows, real) in enumerate(batches(np.arange(count), size)):
        attack_key, judge_key = jax.random.split(jax.random.fold_in(problem.key, number * size))
        images, labels = problem.images[rows], problem.labels[rows]
        moved = attack(logits_fn, images, labels, attack_key, **options)
        logits = logits_of(judge, moved, *((judge_key,) if random_model else ()))
        parts.append(np.asarray(is_correct(logits, labels))[:real])
    return Cell(packed(np.concatenate(parts)), count)


def _name(attack: Attack) -> str:
    return getattr(attack, "__name__", type(attack).__name__)


def _default(attack: Attack, argument: str) -> int | None:
    found = inspect.signature(attack).parameters.get(argument)
    return found.default if found is not None and isinstance(found.default, int) else None


def hard_stop(
    network_fn: LogitsFn,
    defence: Defence,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float,
    norm: str = "linf",
    epsilons: Sequence[float] | None = None,
    num_steps: int = 40,
    num_queries: int = 5000,
    batch_size: int = 64,
    **options: Any,
) -> HardStop:
    """Whether the worst case over the six ways behaves as an attack that works must.

    Its accuracy may not rise with ε, must fall to chance where every image can be turned into grey, and may not be
    lowered further by twice the steps. Where one of these fails, the robust accuracy must not be published. An example
    that either number of steps breaks counts as broken by twice the steps.

    Args:
        network_fn: As in `attack_defence`.
        defence: As in `attack_defence`.
        images: As in `attack_defence`; some dozens of examples suffice.
        labels: As in `attack_defence`.
        key: A PRNG key.
        epsilon: The radius at which a figure is to be published, > 0.
        norm: "linf" or "l2".
        epsilons: Increasing radii of the curve; None is ε/2, ε, 2ε and the radius at which no model can hold.
        num_steps: The steps of a gradient attack; the doubling takes twice as many.
        num_queries: The budget of Square; the doubling takes twice as much.
        batch_size: The images attacked at a time.
        **options: Further arguments of `attack_defence`.

    Returns:
        A `HardStop`.

    Raises:
        ValueError: A value that `attack_defence` or `curve_warnings` refuse.
        TypeError: A type that `attack_defence` refuses.

    References:
        Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
    """
    # Everything that can be refused is, before any attack runs.
    num_steps, num_queries = check_integer("num_steps", num_steps), check_integer("num_queries", num_queries)
    check_number("epsilon", epsilon, "(0, inf)")
    problem = check_problem(defended(network_fn, defence), images, labels, key, epsilon, norm)
    shape, epsilon = problem.images.shape[1:], float(epsilon)
    full = full_radius(shape, norm)
    if epsilons is None:
        epsilons = sorted({r for r in (epsilon / 2, epsilon, 2 * epsilon) if r < full} | {full})
    check_radii("epsilons", epsilons)
    radii = tuple(float(r) for r in epsilons)
    options = {"norm": norm, "batch_size": batch_size, **options}

    def attacked(r: float, times: int = 1) -> Cell:
        effort: dict[str, Any] = {"num_steps": times * num_steps, "num_queries": times * num_queries}
        return _cell(attack_defence(network_fn, defence, images, labels, key, epsilon=r, **effort, **options))

    found = {r: attacked(r) for r in radii}
    once = found[epsilon] if epsilon in found else attacked(epsilon)
    twice = attacked(epsilon, 2)
    ways = tuple(options.get("ways", WAYS))
    what = SIX_WAYS if len(ways) == len(WAYS) else ", ".join(ways)
    curve = judge_curve(
        norm, what, num_steps, radii, tuple(found.values()), chance=1 / problem.num_classes, shape=shape
    )
    doubling = judge_doubling(norm, what, epsilon, num_steps, num_queries, once.mask, twice, steps="steps")
    place = f"ε = {radius(epsilon)}"
    of_runs = [f"{place}, {2 * num_steps} steps: {text}" for text in twice.warnings]
    if epsilon not in found:
        of_runs += [f"{place}: {text}" for text in once.warnings]
    of_rule = [text for text in doubling.warnings if text not in twice.warnings]
    return HardStop(curve, doubling, (*curve.warnings, *of_rule, *of_runs))


def _cell(result: DefenceResult) -> Cell:
    masks = {name: packed(mask) for name, mask in result.per_attack.items()}
    return Cell(packed(result.robust), len(result.robust), warnings=result.warnings, masks=masks)
