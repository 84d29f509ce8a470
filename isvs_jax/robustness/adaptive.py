"""Adaptive attacks on a defence: the worst case, example by example, over the six ways of attacking it.

A defence that transforms its input can hide the gradient without resisting anything. A robust accuracy of a model
behind one is therefore that of the examples that hold against every way:

    unrolled    the gradient through the defence as it is, every step of it
    identity    the defence forwards, the identity backwards
    low_pass    the defence forwards, its linear low-pass part backwards
    transfer    the gradient of the network without the defence
    square      no gradient at all
    noise       random points of the ball and of its boundary
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from isvs_jax._checks import brief, check_integer, check_names
from isvs_jax.robustness._batches import batches, filled
from isvs_jax.robustness._inputs import check_concrete
from isvs_jax.robustness.adapters.host import check_gradient
from isvs_jax.robustness.attacks._autoattack import AutoAttackResult, autoattack_report, check_attacks
from isvs_jax.robustness.attacks._ball import check_ball
from isvs_jax.robustness.attacks._checks import check_problem, check_targets
from isvs_jax.robustness.attacks._model import LogitsFn, is_correct
from isvs_jax.robustness.attacks._square import check_square_size
from isvs_jax.robustness.attacks.noise import NoiseResult, noise_report
from isvs_jax.robustness.defences import Defence, ImageFn, check_shapes, defended

WAYS = ("unrolled", "identity", "low_pass", "transfer", "square", "noise")
_GRADIENT_FREE = ("square", "noise")
# The share of the examples that a way may break after the plain gradient has failed on them without being remarked on.
_HIDDEN_SHARE = 0.01
Progress = Callable[[str, int], None]


class DefenceResult(NamedTuple):
    """What the six ways found.

    Attributes:
        images: Adversarial images; those of examples that held are the clean ones.
        robust: Whether the label is predicted for the clean image and after every way, bool [B].
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
    """Attack a network behind a defence in six ways; what holds against all of them is robust.

    The result is the worst case, example by example. Each way sees only what the ways before it left. The first is the
    attack that sees nothing but the gradient of the whole model; what the others break after it had been hidden by that
    gradient, and a warning says so.

    Args:
        network_fn: The network without the defence, a function from images [B, H, W, C] to logits [B, K].
        defence: What stands before it, such as `smoothing_defence`.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key.
        epsilon: The radius of the ball, at least 0.
        norm: "linf" or "l2".
        ways: Which of `WAYS` to try. Their order is that of `WAYS`, so that the first shows what its gradient hides.
        attacks: The gradient attacks of `autoattack_report` that run in each of the first four ways. With fewer than
            four classes say ("apgd-ce", "apgd-margin").
        num_steps: The steps of a gradient attack.
        num_targets: The targets of a targeted attack; None is 9, or K − 1 where that is less.
        num_queries: The budget of Square.
        num_draws: How many random points are drawn for each image, half of them on the boundary.
        batch_size: How many images are attacked at a time.
        progress: A function that is called after each way with its name and how many examples are still robust.

    Returns:
        A `DefenceResult`.

    Raises:
        TypeError: An argument has a wrong type or dtype, or is traced.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: An attack leaves the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from isvs_jax.robustness import rounding_defence
        >>> network = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
        >>> result = attack_defence(
        ...     network, rounding_defence(8), images, labels, jax.random.key(0), epsilon=0.1,
        ...     ways=["unrolled", "identity"], attacks=["apgd-ce"], num_steps=10)
        >>> {name: mask.tolist() for name, mask in result.per_attack.items()}
        {'clean': [True, True], 'unrolled': [True, True], 'identity': [False, True]}

    References:
        Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
        Tramer, Carlini, Brendel, Madry, "On adaptive attacks to adversarial example defenses", NeurIPS 2020.
    """
    check_concrete("attack_defence", images, labels, key, epsilon)
    ordered = _checked_ways(ways, attacks)
    for name, count in (("num_steps", num_steps), ("num_queries", num_queries), ("num_draws", num_draws)):
        check_integer(name, count)
    batch_size = check_integer("batch_size", batch_size)
    check_shapes(defence, images)
    model = defended(network_fn, defence)
    if set(ordered) - set(_GRADIENT_FREE):
        check_gradient(network_fn, name="network_fn")
    problem = check_problem(model, images, labels, key, epsilon, norm)
    chosen = check_attacks(attacks, problem.num_classes) if set(ordered) - set(_GRADIENT_FREE) else ()
    check_targets(num_targets, problem.num_classes)
    if "square" in (*ordered, *chosen):
        check_square_size(problem.images, norm)

    images, labels, key = np.asarray(problem.images), np.asarray(problem.labels), problem.key
    batch_size = min(batch_size, len(images))
    ball: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "batch_size": batch_size}
    effort: dict[str, Any] = {"num_steps": num_steps, "num_targets": num_targets, "num_queries": num_queries}
    adversarial: np.ndarray = images.copy()
    warnings: list[str] = []
    masks = {"clean": _correct(problem.model.judge, images, labels, batch_size)}
    robust = masks["clean"].copy()
    for way in ordered:
        left = np.flatnonzero(robust)
        if left.size:
            rows, real = filled(left, batch_size)
            given = (images[rows], labels[rows], jax.random.fold_in(key, WAYS.index(way)))
            found: AutoAttackResult | NoiseResult
            if way == "noise":
                found = noise_report(model, *given, num_draws=num_draws, **ball)
            else:
                how = ball | effort | {"attacks": ("square",) if way == "square" else chosen}
                gradient_fn = surrogate(way, network_fn, defence)
                found = autoattack_report(model, *given, gradient_fn=gradient_fn, **how)
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
    ways = check_names("ways", ways, WAYS)
    check_gradient_attacks(attacks, ways)
    return sorted(ways, key=WAYS.index)


def check_gradient_attacks(attacks: Sequence[str], ways: Sequence[str] = WAYS) -> None:
    """Refuse attacks of which none follows a gradient, where a way needs one."""
    following = [way for way in ways if way not in _GRADIENT_FREE]
    if following and not set(attacks) - {"square"}:
        raise ValueError(
            f"attacks must have one that follows a gradient, such as 'apgd-ce', for the ways {', '.join(following)}; "
            f"got {brief(tuple(attacks))}."
        )


def surrogate(way: str, network_fn: LogitsFn, defence: Defence) -> LogitsFn | None:
    """The function from which a way takes its gradient; None is the model itself.

    For "identity" and "low_pass" it is the defence forwards and a stand-in backwards (the backward pass differentiable
    approximation), so that its value is that of the model.

    References:
        Athalye, Carlini, Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
    """
    if way == "identity":
        return Partial(_straight_through, network_fn, defence.forward, None)
    if way == "low_pass":
        return Partial(_straight_through, network_fn, defence.forward, defence.low_pass)
    return network_fn if way == "transfer" else None


def _straight_through(network_fn: LogitsFn, forward: ImageFn, backward: ImageFn | None, images: jax.Array) -> jax.Array:
    """The defence forwards; `backward`, or the identity, in the backward pass."""
    stand_in = images if backward is None else backward(images)
    return network_fn(stand_in + jax.lax.stop_gradient(forward(images) - stand_in))


@jax.jit
def _judge(model: LogitsFn, images: jax.Array, labels: jax.Array) -> jax.Array:
    return is_correct(model(images), labels)


def _correct(model: LogitsFn, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    cut = batches(np.arange(len(images)), batch_size)
    return np.concatenate([np.asarray(_judge(model, images[rows], labels[rows]))[:real] for rows, real in cut])


def masking_warnings(masks: dict[str, np.ndarray]) -> list[str]:
    """What the masks of `attack_defence` say of hidden gradients, as sentences.

    Example:
        >>> masks = {"clean": np.ones(4, bool), "unrolled": np.ones(4, bool), "identity": np.zeros(4, bool)}
        >>> [sentence.split(":")[0] for sentence in masking_warnings(masks)]
        ['the gradient through the defence is masked', 'the figure is no worst case']
    """
    names = [name for name in masks if name in WAYS]
    if "unrolled" not in names:
        return ["the gradient through the defence itself was not tried: the figure is no worst case."]
    warnings = []
    plain, worst = masks["unrolled"].mean(), masks[names[-1]].mean()
    hidden = masks["clean"].mean() > 0 and plain - worst > _HIDDEN_SHARE + 1e-9
    if hidden:
        warnings.append(
            f"the gradient through the defence is masked: {plain:.1%} hold against it, {worst:.1%} against all ways. "
            "An attack that uses that gradient alone overstates the robustness."
        )
    before = "clean"
    for name in names:
        gained = masks[before].mean() - masks[name].mean()
        if name in _GRADIENT_FREE and gained > _HIDDEN_SHARE + 1e-9:
            warnings.append(
                f"{name}, which asks for no gradient, broke {gained:.1%} of all examples after the ways before it had "
                "failed: the gradient attacks are too weak here, and the figure may still be too high."
            )
        before = name
    missing = [way for way in WAYS if way not in names]
    if missing:
        warnings.append(f"the figure is no worst case: {', '.join(missing)} left out.")
    return warnings
