"""The fast gradient sign method, and its L2 counterpart."""

from __future__ import annotations

import functools

import jax

from isvs_jax.robustness.attacks._checks import (
    check_choice,
    check_classes,
    check_problem,
    held_in_ball,
)
from isvs_jax.robustness.attacks._model import LogitsFn, Model, look
from isvs_jax.robustness.attacks._norms import project, steepest

LOSSES = ("cross_entropy", "margin", "dlr")


@functools.partial(jax.jit, static_argnames=("norm", "loss", "eot_samples"))
def _fgsm(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    epsilon: jax.Array,
    norm: str,
    loss: str,
    eot_samples: int | None,
) -> jax.Array:
    verdict = look(model, images, labels, labels, loss, key, eot_samples)
    return project(images + epsilon * steepest(verdict.gradient, norm), images, epsilon, norm)


def fgsm(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    loss: str = "cross_entropy",
    gradient_fn: LogitsFn | None = None,
    eot_samples: int | None = None,
) -> jax.Array:
    """One step of length epsilon along the gradient of the loss.

    With g = ∇ₓ L(f(x), y) the result is clip(x + ε·sign(g)) for L∞ and clip(x + ε·g/‖g‖₂) for L2,
    clipped into [0, 1]. It is that step for every image, whether it fools the model or not.

    Args:
        logits_fn: the model, from images [B, H, W, C] in [0, 1] to logits [B, K]. The same function
            object compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: integers [B] in 0 to K − 1.
        key: a PRNG key; only a random model (eot_samples) draws from it.
        epsilon: radius of the ball, at least 0; may be traced.
        norm: "linf" or "l2".
        loss: "cross_entropy", "margin" or "dlr".
        gradient_fn: differentiable function from images to logits to take the gradient from;
            default logits_fn.
        eot_samples: None for a deterministic model. With an integer the functions take
            (images, key) and the gradient is the mean over that many keys.

    Returns:
        Adversarial images, shape and dtype of images.

    Raises:
        ValueError: for values, shapes or choices that are not as said above.
        TypeError: for integer images or labels that are not integers.
        AssertionError: should the result leave the ball or the box (under jit such an image is NaN).

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
    >>> dark = jnp.full((1, 4, 4, 1), 0.5)
    >>> moved = fgsm(logits_fn, dark, jnp.array([0]), jax.random.key(0), epsilon=0.1)
    >>> round(float(moved[0, 0, 0, 0]), 3)
    0.4

    References:
        Goodfellow, Shlens, Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.
    """
    check_choice("loss", loss, LOSSES)
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot_samples)
    check_classes(loss, problem.num_classes)
    result = _fgsm(problem.model, problem.images, problem.labels, key, problem.epsilon, norm, loss, eot_samples)
    return held_in_ball(problem.images, result, problem.epsilon, norm)
