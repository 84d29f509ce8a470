"""The hard stop rule for a model behind a defence: signs that the attacks failed rather than that the defence held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.attacks.sanity import (
    DoublingCheck,
    EpsilonCurve,
    doubling_check,
    epsilon_curve,
    full_radius,
)
from isvs_jax.robustness.defences import Defence, attack_defence, defended


class HardStop(NamedTuple):
    """The ε-curve, what twice the steps change, and the warnings of both."""

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
    batch_size: int = 64,
    **options: Any,
) -> HardStop:
    """Whether the worst case over the six ways behaves as an attack that works must.

    Its accuracy may not rise with ε, must fall to chance where every image can be turned into grey, and may not be
    lowered further by twice the steps. Where one of these fails, the robust accuracy must not be published.

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
        batch_size: Images attacked at a time.
        **options: Further arguments of `attack_defence`.

    Returns:
        A `HardStop`.

    Raises:
        ValueError: For values that `attack_defence` or `epsilon_curve` refuse.

    References:
        Carlini et al., "On evaluating adversarial robustness", arXiv 1902.06705.
    """
    full = full_radius(images.shape[1:], norm)
    if epsilons is None:
        epsilons = sorted({radius for radius in (epsilon / 2, epsilon, 2 * epsilon) if 0 < radius < full} | {full})

    def worst_case(
        model: LogitsFn,
        images: jax.Array,
        labels: jax.Array,
        key: jax.Array,
        *,
        epsilon: float,
        norm: str,
        num_steps: int,
    ) -> jax.Array:
        return attack_defence(
            network_fn,
            defence,
            images,
            labels,
            key,
            epsilon=float(epsilon),
            norm=norm,
            num_steps=num_steps,
            batch_size=batch_size,
            **options,
        ).images

    shared: dict[str, Any] = {"norm": norm, "attack": worst_case, "num_steps": num_steps, "batch_size": batch_size}
    model = defended(network_fn, defence)
    curve = epsilon_curve(model, images, labels, key, epsilons=epsilons, **shared)
    doubling = doubling_check(model, images, labels, key, epsilon=epsilon, **shared)
    return HardStop(curve, doubling, curve.warnings + doubling.warnings)
