"""Projected gradient descent in L∞ and L2: many steps with restarts, or one, the fast gradient sign method."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from isvs_jax._checks import check_choice, check_integer, check_positive
from isvs_jax.robustness._inputs import is_concrete
from isvs_jax.robustness.attacks._ball import check_ball, held_in_ball, project, steepest
from isvs_jax.robustness.attacks._checks import Problem, check_classes, check_problem
from isvs_jax.robustness.attacks._loops import HOST, belongs_on_host
from isvs_jax.robustness.attacks._model import LogitsFn, Model, look
from isvs_jax.robustness.attacks._pgd_step import Settings, Setup, restarts_on_device, run_restarts

LOSSES = ("cross_entropy", "margin", "dlr")
KEEP = ("best", "last")


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
    """Take one step of length epsilon along the gradient of the loss.

    With g = ∇ₓ L(f(x), y) the result is x + ε·sign(g) for L∞ and x + ε·g/‖g‖₂ for L2, clipped into [0, 1]. Every image
    takes that step, whether it fools the model or not.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]. The same function object
            compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; only a random model (eot_samples) draws from it.
        epsilon: The radius of the ball, at least 0; it may be traced.
        norm: "linf" or "l2".
        loss: "cross_entropy", "margin" or "dlr".
        gradient_fn: A differentiable function from images to logits that gives the gradient; None is logits_fn.
        eot_samples: None for a deterministic model. With an integer the functions take (images, key), and the gradient
            is the mean over that many keys.

    Returns:
        Adversarial images of the shape and dtype of `images`.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: The result leaves the ball or the box; under jit such an image is NaN instead.

    Example:
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
    problem = check_problem(
        logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot_samples, follows_gradient=True
    )
    check_classes(loss, problem.num_classes)
    model, images, labels = problem.model, problem.images, problem.labels
    result = _fgsm(model, images, labels, problem.key, problem.epsilon, norm, loss, eot_samples)
    return held_in_ball(images, result, problem.epsilon, norm)


def _checked_step(num_steps: int, step_size: Any, epsilon: Any) -> Any:
    """The step size, by default 2.5·ε/num_steps; refused where the steps together are shorter than epsilon."""
    if step_size is None:
        return 2.5 * epsilon / num_steps
    if not is_concrete(step_size, epsilon):
        return step_size
    radius = float(epsilon)
    if radius > 0:
        check_positive("step_size", step_size)
    length = float(step_size)
    # The allowance lets step_size = epsilon / num_steps pass whatever way it was rounded.
    if num_steps * length < radius * (1 - 1e-5):
        raise ValueError(
            f"num_steps × step_size must be at least epsilon = {radius:g}, or a run cannot reach the boundary of its "
            f"ball; got {num_steps} × {length:g} = {num_steps * length:g}. None takes 2.5 × epsilon / num_steps."
        )
    return step_size


def _checked_start(problem: Problem, start: Any, random_start: bool, restarts: int, norm: str) -> jax.Array | None:
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts must be 1 with random_start=False, or every run is the same; got {restarts}.")
    if start is None:
        return None
    if random_start:
        raise ValueError("start must be None with random_start=True; got images. Say random_start=False.")
    start = jnp.asarray(start, problem.images.dtype)
    if start.shape != problem.images.shape:
        raise ValueError(f"start must be of the shape {problem.images.shape} of images; got shape {start.shape}.")
    try:
        check_ball(problem.images, start, problem.epsilon, norm)
    except AssertionError as error:
        raise ValueError(f"start must lie in the ball and the box: {error}") from None
    return start


def pgd(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    loss: str = "cross_entropy",
    num_steps: int = 40,
    step_size: float | jax.Array | None = None,
    restarts: int = 1,
    random_start: bool = True,
    start: jax.Array | None = None,
    keep: str = "best",
    gradient_fn: LogitsFn | None = None,
    eot_samples: int | None = None,
) -> jax.Array:
    """Climb the loss by projected gradient steps, and keep the worst image over all steps and restarts.

        x⁺ = Π(x + α·s(∇ₓ L(f(x), y)))

    with s the sign (L∞) or the unit vector (L2) and Π the projection onto the ball of radius ε around the image, then
    the box [0, 1]. Among the clean image and all iterates, one that fools the model is kept before one that does not,
    and a larger loss before a smaller one.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides what
            fools it. The same function object compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; each image draws from its own, by its place in the batch.
        epsilon: The radius of the ball, at least 0; it may be traced.
        norm: "linf" or "l2".
        loss: "cross_entropy", "margin" or "dlr".
        num_steps: The steps of a restart; another number compiles nothing anew.
        step_size: The length α of a step; None is 2.5·ε/num_steps. From a random start the far side of the ball is 2ε
            away, so that num_steps × step_size should be 2ε or more; less than ε is refused.
        restarts: The number of independent random starts (static).
        random_start: Whether a run starts uniformly in the ball, rather than at the image.
        start: Images of the ball from which to start, with random_start=False.
        keep: "best" as above, or "last" for the last iterate of the last restart, as in adversarial training and in
            other libraries.
        gradient_fn: A differentiable function from images to logits that gives the gradients; None is logits_fn.
        eot_samples: None for a deterministic model. With an integer the functions take (images, key), the loss and the
            gradient are means over that many keys, and an image fools the model where at least half of the draws are
            wrong.

    Returns:
        Adversarial images of the shape and dtype of `images`. An example whose logits are not finite counts as
        misclassified.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: The result leaves the ball or the box; under jit such an image is NaN instead.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((1, 4, 4, 1), 0.5)
        >>> moved = pgd(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.1, num_steps=10)
        >>> round(float(moved.mean()), 3)
        0.4

    References:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018.
    """
    check_choice("loss", loss, LOSSES)
    check_choice("keep", keep, KEEP)
    check_integer("num_steps", num_steps)
    check_integer("restarts", restarts)
    problem = check_problem(
        logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot_samples, follows_gradient=True
    )
    check_classes(loss, problem.num_classes)
    model, images, labels, key, keys, radius, _ = problem
    start = _checked_start(problem, start, random_start, restarts, norm)
    length = _checked_step(num_steps, step_size, radius if step_size is None else epsilon)
    of_step, steps = jnp.asarray(length, images.dtype), jnp.asarray(num_steps, jnp.int32)
    setup = Setup(model, images, labels, keys, key, radius, of_step, steps, start)
    settings = Settings(norm, loss, random_start, eot_samples)
    if belongs_on_host(setup):
        state = run_restarts(HOST, setup, restarts, settings)
    else:
        state = restarts_on_device(setup, restarts, settings)
    result = state.images if keep == "last" else state.best.images
    return held_in_ball(images, result, radius, norm)
