"""Adaptive attacks on a defence: the worst case, example by example, over the six ways of attacking it.

A defence that transforms its input can hide the gradient without resisting anything. A robust accuracy of a model
behind one is therefore that of the examples that hold against every way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._autoattack import AutoAttackResult, autoattack_report
from isvs_jax.robustness.attacks._checks import check_ball, check_choice, check_count
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct
from isvs_jax.robustness.attacks._norms import NORMS
from isvs_jax.robustness.attacks.noise import NoiseResult, noise_report
from isvs_jax.robustness.batches import batches, filled
from isvs_jax.robustness.defences import Defence, check_shapes, defended
from isvs_jax.robustness.masking import masking_warnings
from isvs_jax.robustness.ways import GRADIENT_FREE, WAYS, surrogate

Progress = Callable[[str, int], None]


class DefenceResult(NamedTuple):
    """What the six ways found.

    Attributes:
        images: Adversarial images, those of examples that held being the clean ones.
        robust: bool [B], correct on the clean image and after every way.
        per_attack: Robust masks by name, "clean" and each way, cumulative in the order of `WAYS`.
        warnings: Sentences on why the figures may be too high.
    """

    images: jax.Array
    robust: np.ndarray
    per_attack: dict[str, np.ndarray]
    warnings: tuple[str, ...]


def attack_defence(
    network_fn: LogitsFn,
    defence: Defence,
    images: np.ndarray | jax.Array,
    labels: np.ndarray | jax.Array,
    key: jax.Array,
    *,
    epsilon: float,
    norm: str = "linf",
    ways: Sequence[str] = WAYS,
    attacks: Sequence[str] = ("apgd-ce", "apgd-t"),
    num_steps: int = 100,
    num_targets: int | None = None,
    num_queries: int = 5000,
    num_draws: int = 100,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> DefenceResult:
    """Attack a network behind a defence in six ways; what holds against all is robust.

    Example by example, the worst case. Each way sees only what the ways before it left. The first is the attack that
    sees nothing but the gradient of the whole model; what the others break after it had been hidden by that gradient,
    and is said in a warning.

    Args:
        network_fn: From images [B, H, W, C] to logits [B, K], without the defence.
        defence: What stands before it. See `smoothing_defence`.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B].
        key: A PRNG key.
        epsilon: Radius of the ball.
        norm: "linf" or "l2".
        ways: Which of `WAYS`; they are tried in the order of `WAYS`, so that the first shows what its gradient hides.
        attacks: Gradient attacks of `autoattack_report` run in each of the first four ways. With fewer than four
            classes say ("apgd-ce", "apgd-margin").
        num_steps: Steps of a gradient attack.
        num_targets: Targets of a targeted attack; default 9, or K − 1 where that is less.
        num_queries: Budget of Square.
        num_draws: Random points, half of them on the boundary.
        batch_size: Images attacked at a time.
        progress: Called after each way with its name and how many examples are still robust.

    Returns:
        A `DefenceResult`.

    Raises:
        ValueError: For values, shapes or choices that are not as said.
        TypeError: For integer images, and under jit.
        AssertionError: Should an attack leave the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from isvs_jax.robustness import smoothing_defence
        >>> network = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
        >>> result = attack_defence(
        ...     network, smoothing_defence(0.5), images, labels, jax.random.key(0), epsilon=0.1, attacks=["apgd-ce"],
        ...     num_steps=10, num_queries=10, num_draws=2)
        >>> result.robust.tolist()
        [False, True]

    References:
        Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
        Tramer, Carlini, Brendel, Madry, "On adaptive attacks to adversarial example defenses", NeurIPS 2020.
    """
    check_choice("norm", norm, NORMS)
    for name, value in (("num_draws", num_draws), ("batch_size", batch_size)):
        check_count(name, value)
    ordered = _checked_ways(ways, attacks)
    check_shapes(defence, images)
    model = defended(network_fn, defence)
    images, labels = np.asarray(images), np.asarray(labels)
    batch_size = min(batch_size, len(images))
    ball: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "batch_size": batch_size}
    effort: dict[str, Any] = {"num_steps": num_steps, "num_targets": num_targets, "num_queries": num_queries}
    adversarial: np.ndarray = images.copy()
    warnings: list[str] = []
    masks = {"clean": _correct(model, images, labels, batch_size)}
    robust = masks["clean"].copy()
    for way in ordered:
        left = np.flatnonzero(robust)
        if left.size:
            rows, real = filled(left, batch_size)
            chosen, their_labels = images[rows], labels[rows]
            way_key = jax.random.fold_in(key, WAYS.index(way))
            found: AutoAttackResult | NoiseResult
            if way == "noise":
                found = noise_report(model, chosen, their_labels, way_key, num_draws=num_draws, **ball)
            else:
                how = ball | effort | {"attacks": ("square",) if way == "square" else tuple(attacks)}
                gradient_fn = surrogate(way, network_fn, defence)
                found = autoattack_report(model, chosen, their_labels, way_key, gradient_fn=gradient_fn, **how)
                if way != "square" or "unrolled" not in ordered:
                    # Of the model itself Square would only repeat what the first way has said.
                    warnings += [f"{way}: {sentence}" for sentence in found.warnings]
            broken = ~found.robust[:real]
            adversarial[left[broken]] = np.asarray(found.images)[:real][broken]
            robust[left[broken]] = False
        masks[way] = robust.copy()
        if progress is not None:
            progress(way, int(robust.sum()))
    check_ball(images, adversarial, epsilon, norm)
    warnings += masking_warnings(masks)
    return DefenceResult(jnp.asarray(adversarial), robust, masks, tuple(dict.fromkeys(warnings)))


def _checked_ways(ways: Sequence[str], attacks: Sequence[str]) -> list[str]:
    """The ways in the order of WAYS."""
    for way in ways:
        check_choice("ways", way, WAYS)
    if not ways or len(set(ways)) != len(ways):
        raise ValueError(f"ways is {tuple(ways)}; it may name {', '.join(WAYS)}, at least one and each once.")
    check_gradient_attacks(attacks, ways)
    return sorted(ways, key=WAYS.index)


def check_gradient_attacks(attacks: Sequence[str], ways: Sequence[str] = WAYS) -> None:
    """Refuse attacks of which none follows a gradient, where a way needs one."""
    following = [way for way in ways if way not in GRADIENT_FREE]
    if following and not set(attacks) - {"square"}:
        raise ValueError(
            f"attacks is {tuple(attacks)}; {', '.join(following)} attack by gradient, so that it may name at "
            "least one attack that follows one, such as 'apgd-ce'."
        )


@jax.jit
def _judge(model: LogitsFn, images: jax.Array, labels: jax.Array) -> jax.Array:
    return is_correct(model(images), labels)


def _correct(model: LogitsFn, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    model = as_pytree(model)
    parts = [
        np.asarray(_judge(model, images[rows], labels[rows]))[:real]
        for rows, real in batches(np.arange(len(images)), batch_size)
    ]
    return np.concatenate(parts)
