"""AutoAttack: four attacks one after another on what is still robust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._checks import (
    check_ball,
    check_choice,
    check_classes,
    check_count,
    check_problem,
    check_targets,
    is_concrete,
)
from isvs_jax.robustness.attacks._ensemble import (
    APGD_LOSS,
    ATTACKS,
    Judge,
    Progress,
    Settings,
    attack_all,
    clean_mask,
)
from isvs_jax.robustness.attacks._gradient_masking import model_warnings, square_warning
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.attacks._square import check_square_size

VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "rand": ("apgd-ce", "apgd-dlr"),
}


class AutoAttackResult(NamedTuple):
    """What AutoAttack found.

    Attributes:
        images: adversarial images, those of examples that stayed robust being the clean ones.
        robust: bool [B], correct on the clean image and after every attack.
        per_attack: robust masks by name: "clean" (correct on the clean image), then each attack's,
            cumulative in the order of the attacks, or each attack's own with individually=True.
        warnings: sentences on why the figures may be too high.
    """

    images: jax.Array
    robust: np.ndarray
    per_attack: dict[str, np.ndarray]
    warnings: tuple[str, ...]


def _checked_attacks(attacks: Sequence[str] | None, version: str, num_classes: int) -> tuple[str, ...]:
    if attacks is None:
        chosen = VERSIONS[version]
    else:
        chosen = tuple(attacks)
        for attack in chosen:
            check_choice("attacks", attack, ATTACKS)
        if len(set(chosen)) != len(chosen) or not chosen:
            raise ValueError(f"attacks is {chosen}; it must name at least one, each once.")
    if version == "rand" and not set(chosen) <= set(APGD_LOSS):
        raise ValueError(
            f"attacks is {chosen}; with version='rand' only the APGD attacks are defined: "
            f"{', '.join(map(repr, APGD_LOSS))}."
        )
    for attack in chosen:
        if attack in APGD_LOSS:
            try:
                check_classes(APGD_LOSS[attack], num_classes)
            except ValueError as error:
                raise ValueError(
                    f"{attack} cannot run: {error} For AutoAttack with so few classes say "
                    "attacks=('apgd-ce', 'apgd-margin', 'fab-t', 'square')."
                ) from None
    return chosen


def autoattack_report(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    version: str = "standard",
    attacks: Sequence[str] | None = None,
    individually: bool = False,
    batch_size: int = 128,
    num_steps: int = 100,
    num_queries: int = 5000,
    num_targets: int | None = None,
    gradient_fn: LogitsFn | None = None,
    eot_samples: int = 20,
    progress: Progress | None = None,
) -> AutoAttackResult:
    """`autoattack`, with the robust mask after every attack and warnings.

    Args:
        logits_fn: as in `autoattack`.
        images: as in `autoattack`.
        labels: as in `autoattack`.
        key: as in `autoattack`.
        epsilon: as in `autoattack`.
        norm: "linf" or "l2".
        version: "standard" or "rand".
        attacks: names out of ATTACKS instead of the version's own.
        individually: run every attack on all correctly classified images, to compare the attacks;
            by default each sees only what those before it left.
        batch_size: images attacked at a time, which bounds the memory.
        num_steps: steps of a run of APGD and FAB.
        num_queries: budget of Square.
        num_targets: targets of APGD-T and FAB-T; default 9, or K − 1 where that is less.
        gradient_fn: as in `autoattack`.
        eot_samples: draws of a random model for a gradient; used with version="rand".
        progress: called after every run with the attack, the runs done, all its runs, and how many
            examples are still robust.

    Returns:
        AutoAttackResult(images, robust, per_attack, warnings).

    Raises:
        ValueError: for values, shapes or choices that are not as said, and for too few classes.
        TypeError: for integer images, and under jit: the work is cut to size on the host.
        AssertionError: should any attack leave the ball or the box.

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
    >>> images, labels = jnp.full((2, 4, 4, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
    >>> result = autoattack_report(
    ...     logits_fn, images, labels, jax.random.key(0), epsilon=0.1, attacks=["apgd-ce"]
    ... )
    >>> result.robust.tolist(), {k: v.tolist() for k, v in result.per_attack.items()}
    ([False, True], {'clean': [True, True], 'apgd-ce': [False, True]})

    References:
        Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks", ICML 2020.
    """
    if not is_concrete(images, labels, epsilon) or not is_concrete(*jax.tree.leaves(key)):
        raise TypeError(
            "autoattack decides on the host what to attack next and cannot be traced; call it "
            "outside of jit (its attacks are compiled)."
        )
    check_choice("version", version, VERSIONS)
    for name, value in (
        ("batch_size", batch_size),
        ("num_steps", num_steps),
        ("num_queries", num_queries),
        ("eot_samples", eot_samples),
    ):
        check_count(name, value)
    eot = eot_samples if version == "rand" else None
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot)
    chosen = _checked_attacks(attacks, version, problem.num_classes)
    if "square" in chosen:
        check_square_size(problem.images, norm)
    targets = check_targets(num_targets, problem.num_classes)
    settings = Settings(norm, num_steps, num_queries, targets, eot)
    batch_size = min(batch_size, len(problem.labels))

    judge = Judge(problem, jax.random.fold_in(key, 1), eot is not None)
    clean = clean_mask(problem, judge, batch_size)
    masks, robust = {"clean": clean}, clean
    adversarial = np.array(problem.images)
    for attack in chosen:
        attack_key = jax.random.fold_in(key, 2 + ATTACKS.index(attack))
        before = clean if individually else robust
        masks[attack] = attack_all(
            attack, before, adversarial, problem, judge, attack_key, batch_size, settings, progress
        )
        robust = robust & masks[attack]
    check_ball(problem.images, adversarial, problem.epsilon, norm)
    warnings = model_warnings(problem, batch_size, jax.random.fold_in(key, 0), eot)
    warnings += square_warning(masks)
    return AutoAttackResult(jnp.asarray(adversarial), robust, masks, tuple(warnings))


def autoattack(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    version: str = "standard",
    batch_size: int = 128,
    gradient_fn: LogitsFn | None = None,
    eot_samples: int = 20,
) -> jax.Array:
    """AutoAttack of Croce and Hein: APGD-CE, APGD-T, FAB-T and Square, each on what is left.

    The settings are those of the published standard version: 100 steps of APGD-CE, 100 steps
    towards each of 9 targets of APGD-T and FAB-T, 5,000 queries of Square. Examples are taken out
    once an attack, or a target of it, has broken them: the rest is cut into chunks of batch_size,
    so that a run compiles one shape for each attack and pays for what is still robust only.

    Args:
        logits_fn: the model, from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides
            what fools it. With version="rand" it takes (images, key). Pass the same function
            object, or a `jax.tree_util.Partial` of it with its arrays, and nothing compiles twice.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: integers [B] in 0 to K − 1.
        key: a PRNG key; each image draws from its own, by its place in images.
        epsilon: radius of the ball, at least 0.
        norm: "linf" or "l2".
        version: "standard", or "rand" for a random model: APGD-CE and APGD-DLR whose gradients are
            means over eot_samples keys; whether an image is broken is asked with one fresh key.
        batch_size: images attacked at a time, which bounds the memory; no result depends on it
            (but the draws of a random model).
        gradient_fn: differentiable function of the same arguments as logits_fn to take gradients
            from; default logits_fn. Square does not use it.
        eot_samples: draws of a random model for a gradient.

    Returns:
        Adversarial images, shape and dtype of images; the clean image where nothing was found.

    Raises:
        ValueError: for values, shapes or choices that are not as said above, and for fewer than
            four classes (three for "rand"), where the DLR losses are not defined.
        TypeError: for integer images, and under jit: the work is cut to size on the host.
        AssertionError: should any attack leave the ball or the box.

    >>> import jax, jax.numpy as jnp
    >>> weights = jnp.eye(4)[:, :4]
    >>> logits_fn = lambda x: x.reshape(-1, 4) @ weights
    >>> image = jnp.array([0.8, 0.5, 0.4, 0.3]).reshape(1, 2, 2, 1)
    >>> moved = autoattack(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.2)
    >>> bool(logits_fn(moved).argmax() == 0)
    False

    References:
        Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks", ICML 2020.
    """
    return autoattack_report(
        logits_fn,
        images,
        labels,
        key,
        epsilon=epsilon,
        norm=norm,
        version=version,
        batch_size=batch_size,
        gradient_fn=gradient_fn,
        eot_samples=eot_samples,
    ).images
