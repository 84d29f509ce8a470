"""The hard stop rule for a model behind a defence: signs that the attacks failed rather than that the defence held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from isvs_jax.robustness.adaptive import DefenceResult, attack_defence
from isvs_jax.robustness.attacks._checks import check_count
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, logits_of
from isvs_jax.robustness.attacks.convergence import DoublingCheck, doubling_warnings
from isvs_jax.robustness.attacks.curve import EpsilonCurve, curve_warnings, full_radius
from isvs_jax.robustness.defences import Defence, defended


class HardStop(NamedTuple):
    """The ε-curve, what twice the steps change, and the warnings of both.

    The warnings are those of the rule itself and those that `attack_defence` gave at each radius, masked gradients
    among them, each with its radius.
    """

    curve: EpsilonCurve
    doubling: DoublingCheck
    warnings: tuple[str, ...]


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
        epsilon: The radius at which a figure is to be published.
        norm: "linf" or "l2".
        epsilons: Radii of the curve; None is ε/2, ε, 2ε and the radius at which no model can hold.
        num_steps: Steps of a gradient attack; the doubling takes twice as many.
        num_queries: Budget of Square; the doubling takes twice as much.
        batch_size: Images attacked at a time.
        **options: Further arguments of `attack_defence`.

    Returns:
        A `HardStop`.

    Raises:
        ValueError: For values that `attack_defence` or `curve_warnings` refuse.

    References:
        Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
    """
    full = full_radius(images.shape[1:], norm)
    if epsilons is None:
        epsilons = sorted({radius for radius in (epsilon / 2, epsilon, 2 * epsilon) if 0 < radius < full} | {full})
    check_count("num_steps", num_steps)
    check_count("num_queries", num_queries)
    radii = tuple(float(radius) for radius in epsilons)
    # Before any attack runs: radii that do not increase are refused.
    curve_warnings(radii, [0.0] * len(radii), 0.0, full)
    options = {"norm": norm, "batch_size": batch_size, **options}

    def attacked(radius: float, times: int = 1) -> DefenceResult:
        effort: dict[str, Any] = {"num_steps": times * num_steps, "num_queries": times * num_queries}
        return attack_defence(network_fn, defence, images, labels, key, epsilon=radius, **effort, **options)

    epsilon = float(epsilon)
    found = {radius: attacked(radius) for radius in radii}
    once = found[epsilon] if epsilon in found else attacked(epsilon)
    twice = attacked(epsilon, 2)
    chance = 1 / _num_classes(network_fn, defence, images)
    accuracies = tuple(float(result.robust.mean()) for result in found.values())
    curve = EpsilonCurve(
        radii,
        accuracies,
        chance,
        (*curve_warnings(radii, accuracies, chance, full), *_said({f"ε = {r:g}": found[r] for r in radii})),
    )
    accuracy, doubled = float(once.robust.mean()), float((once.robust & twice.robust).mean())
    runs = {f"ε = {epsilon:g}, {2 * num_steps} steps": twice}
    runs |= {} if epsilon in found else {f"ε = {epsilon:g}": once}
    doubling = DoublingCheck(
        num_steps,
        accuracy,
        doubled,
        (*doubling_warnings(num_steps, accuracy, doubled), *_said(runs)),
    )
    return HardStop(curve, doubling, curve.warnings + doubling.warnings)


def _said(runs: dict[str, DefenceResult]) -> list[str]:
    """The warnings of the attacks themselves, with where they were raised."""
    return [f"{place}: {sentence}" for place, result in runs.items() for sentence in result.warnings]


def _num_classes(network_fn: LogitsFn, defence: Defence, images: jax.Array) -> int:
    model = as_pytree(defended(network_fn, defence))
    return logits_of.eval_shape(model, jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)).shape[1]
