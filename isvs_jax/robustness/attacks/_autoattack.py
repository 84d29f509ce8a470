"""AutoAttack: four attacks one after another on what is still robust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_choice, check_integer, check_names
from isvs_jax.robustness._inputs import check_concrete
from isvs_jax.robustness.adapters.host import check_gradient
from isvs_jax.robustness.attacks._ball import check_ball
from isvs_jax.robustness.attacks._checks import check_classes, check_problem, check_targets
from isvs_jax.robustness.attacks._ensemble import (
    APGD_LOSS,
    ATTACKS,
    Judge,
    Progress,
    Settings,
    attack_all,
    clean_mask,
    model_warnings,
    square_warning,
)
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.attacks._square import check_square_size

VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "rand": ("apgd-ce", "apgd-dlr"),
}


class AutoAttackResult(NamedTuple):
    """What AutoAttack found.

    Attributes:
        images: Adversarial images; those of examples that stayed robust are the clean ones.
        robust: Whether the label is predicted for the clean image and after every attack, bool [B].
        per_attack: Robust masks by name: "clean" for the clean images, then those of the attacks, cumulative in the
            order of the attacks, or each for itself with individually=True.
        warnings: Sentences on why the figures may be too high.
    """

    images: jax.Array
    robust: np.ndarray
    per_attack: dict[str, np.ndarray]
    warnings: tuple[str, ...]


def check_attacks(attacks: Sequence[str], num_classes: int) -> tuple[str, ...]:
    """The attacks, each once; refused where a loss is not defined for so few classes."""
    chosen = check_names("attacks", attacks, ATTACKS)
    for attack in chosen:
        if attack in APGD_LOSS:
            try:
                check_classes(APGD_LOSS[attack], num_classes)
            except ValueError as error:
                raise ValueError(
                    f"attacks must be such as 'apgd-ce', 'apgd-margin', 'fab-t' and 'square' for a model of "
                    f"{num_classes} classes; got {attack!r}, for which {error}"
                ) from None
    return chosen


def _chosen(attacks: Sequence[str] | None, version: str, num_classes: int) -> tuple[str, ...]:
    chosen = check_attacks(VERSIONS[version] if attacks is None else attacks, num_classes)
    if version == "rand" and not set(chosen) <= set(APGD_LOSS):
        raise ValueError(
            f"attacks must be of {', '.join(map(repr, APGD_LOSS))} with version='rand', for which only the APGD "
            f"attacks are defined; got {chosen}."
        )
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
        logits_fn: The model, as in `autoattack`.
        images: The images, as in `autoattack`.
        labels: The labels, as in `autoattack`.
        key: A PRNG key, as in `autoattack`.
        epsilon: The radius of the ball, at least 0.
        norm: "linf" or "l2".
        version: "standard" or "rand".
        attacks: The attacks to run in place of those of the version: names of ATTACKS.
        individually: Whether to run every attack on all correctly classified images, to compare the attacks; by default
            each sees only what those before it left.
        batch_size: How many images are attacked at a time, which bounds the memory.
        num_steps: The steps of a run of APGD and FAB.
        num_queries: The budget of Square.
        num_targets: The targets of APGD-T and FAB-T; None is 9, or K − 1 where that is less.
        gradient_fn: The function that gives the gradients, as in `autoattack`.
        eot_samples: The draws of a random model for a gradient, with version="rand".
        progress: A function that is called after every run with the attack, the runs done, all its runs, and how many
            examples are still robust.

    Returns:
        An `AutoAttackResult`.

    Raises:
        TypeError: An argument has a wrong type or dtype, or is traced: the work is cut to size on the host.
        ValueError: A value, a shape or a choice is not as said, or there are too few classes.
        AssertionError: An attack leaves the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 4, 4, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
        >>> result = autoattack_report(
        ...     logits_fn, images, labels, jax.random.key(0), epsilon=0.1, attacks=["apgd-ce"]
        ... )
        >>> result.robust.tolist(), {name: mask.tolist() for name, mask in result.per_attack.items()}
        ([False, True], {'clean': [True, True], 'apgd-ce': [False, True]})

    References:
        Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
        ICML 2020.
    """
    check_concrete("autoattack", images, labels, key, epsilon)
    check_choice("version", version, VERSIONS)
    batch_size = check_integer("batch_size", batch_size)
    num_steps = check_integer("num_steps", num_steps)
    num_queries = check_integer("num_queries", num_queries)
    eot = check_integer("eot_samples", eot_samples) if version == "rand" else None
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot)
    chosen = _chosen(attacks, version, problem.num_classes)
    if "square" in chosen:
        check_square_size(problem.images, norm)
    following = set(chosen) != {"square"}
    if following:
        check_gradient(logits_fn, gradient_fn)
    targets = check_targets(num_targets, problem.num_classes)
    settings = Settings(norm, num_steps, num_queries, targets, eot)
    batch_size, key = min(batch_size, len(problem.labels)), problem.key

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
    warnings = model_warnings(problem, batch_size, jax.random.fold_in(key, 0), eot, following)
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

    The settings are those of the published standard version: 100 steps of APGD-CE, 100 steps towards each of 9 targets
    of APGD-T and FAB-T, 5,000 queries of Square. Examples are taken out once an attack, or a target of it, has broken
    them: the rest is cut into chunks of batch_size, so that a run compiles one shape for each attack and pays only for
    what is still robust.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides what
            fools it. With version="rand" it takes (images, key). Pass the same function object, or a
            `jax.tree_util.Partial` of it with its arrays, and nothing compiles twice.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; each image draws from its own, by its place in `images`.
        epsilon: The radius of the ball, at least 0.
        norm: "linf" or "l2".
        version: "standard", or "rand" for a random model: APGD-CE and APGD-DLR with gradients that are means over
            eot_samples keys; whether an image is broken is asked with one fresh key.
        batch_size: How many images are attacked at a time, which bounds the memory; no result depends on it but the
            draws of a random model.
        gradient_fn: A differentiable function of the same arguments as logits_fn that gives the gradients; None is
            logits_fn. Square does not use it.
        eot_samples: The draws of a random model for a gradient.

    Returns:
        Adversarial images of the shape and dtype of `images`; the clean image where nothing was found.

    Raises:
        TypeError: An argument has a wrong type or dtype, or is traced: the work is cut to size on the host.
        ValueError: A value, a shape or a choice is not as said above, or there are fewer than four classes (three for
            "rand"), for which the DLR losses are not defined.
        AssertionError: An attack leaves the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> weights = jnp.eye(4)[:, :4]
        >>> logits_fn = lambda x: x.reshape(-1, 4) @ weights
        >>> image = jnp.array([0.8, 0.5, 0.4, 0.3]).reshape(1, 2, 2, 1)
        >>> moved = autoattack(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.2)
        >>> bool(logits_fn(moved).argmax() == 0)
        False

    References:
        Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
        ICML 2020.
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
