"""Fast adaptive boundary attack, targeted: the nearest image that is classified otherwise."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import check_integer
from isvs_jax.robustness.attacks._ball import held_in_ball, project, start_of_run, uniform_on_sphere
from isvs_jax.robustness.attacks._checks import Problem, check_problem, check_targets
from isvs_jax.robustness.attacks._fab_step import Context, Settings, Setup, State, advance, unfinished
from isvs_jax.robustness.attacks._loops import DEVICE, HOST, Loops, belongs_on_host
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct


class FabResult(NamedTuple):
    """The nearest misclassified images that FAB found.

    Attributes:
        images: Images [B, H, W, C]; the clean one where nothing was found.
        distance: Their distances [B], 0 where the clean image is misclassified and infinite where nothing was found.
    """

    images: jax.Array
    distance: jax.Array


@jax.jit
def _prepare(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    stop_at: jax.Array,
    active: jax.Array,
    num_steps: jax.Array,
) -> tuple[Setup, FabResult]:
    logits = model.judge(images)
    order = jnp.argsort(-logits, axis=1)
    distance = jnp.where(is_correct(logits, labels), jnp.inf, 0.0).astype(images.dtype)
    setup = Setup(model, images, labels, keys, epsilon, stop_at, active, num_steps, order)
    return setup, FabResult(images, distance)


def _begin(run: jax.Array, best: FabResult, setup: Setup, settings: Settings) -> tuple[State, Context]:
    """Start the first restart of a target at the image, and the others at random at a distance of epsilon / 2."""
    targets = jnp.take(setup.order, run // settings.restarts + 1, axis=1)
    begin = setup.images
    if settings.restarts > 1:
        half = setup.epsilon / 2
        aside = start_of_run(uniform_on_sphere, setup.keys, run, begin, half, norm=settings.norm)
        begin = jnp.where(run % settings.restarts == 0, begin, aside)
    return State(jnp.zeros((), jnp.int32), begin, *best), Context(setup, targets)


def _runs(loops: Loops, problem: tuple[Any, ...], first: jax.Array | int, runs: int, settings: Settings) -> FabResult:
    setup, best = _prepare(*problem)

    def one(run: jax.Array, best: FabResult) -> FabResult:
        state, context = _begin(run, best, setup, settings)
        state = loops.steps(advance, unfinished, state, context, settings)
        return FabResult(state.nearest, state.distance)

    return loops.repeat(first, runs, one, best)


_runs_on_device = jax.jit(functools.partial(_runs, DEVICE), static_argnums=(2, 3))


def fab_runs(
    problem: tuple[Model, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array],
    first: jax.Array | int,
    runs: int,
    settings: Settings,
) -> FabResult:
    """Do the runs first, first + 1, ..., until every active example is no farther than stop_at.

    Run r is restart r mod restarts towards the class of rank r // restarts + 2 among the logits of the clean image.

    Args:
        problem: The model, images, labels, one key for each image, epsilon, stop_at, which are active, and the
            number of steps.
        first: The number of the first run.
        runs: How many runs.
        settings: The static settings.

    Returns:
        The nearest misclassified images and their distances.
    """
    if belongs_on_host(problem, first):
        return _runs(HOST, problem, first, runs, settings)
    return _runs_on_device(problem, first, runs, settings)


def _run(
    problem: Problem, stop_at: Any, norm: str, num_steps: int, restarts: int, num_targets: int | None
) -> FabResult:
    check_integer("num_steps", num_steps)
    check_integer("restarts", restarts)
    runs = restarts * check_targets(num_targets, problem.num_classes)
    given = (problem.model, problem.images, problem.labels, problem.keys, problem.epsilon)
    stop, active = jnp.asarray(stop_at, problem.images.dtype), jnp.ones(problem.labels.shape, bool)
    steps = jnp.asarray(num_steps, jnp.int32)
    return fab_runs((*given, stop, active, steps), 0, runs, Settings(norm, restarts))


def fab_minimal(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array = 0.0,
    norm: str = "linf",
    num_steps: int = 100,
    restarts: int = 1,
    num_targets: int | None = None,
    gradient_fn: LogitsFn | None = None,
) -> FabResult:
    """The nearest misclassified image that FAB-T finds, whatever its distance.

    Args:
        logits_fn: The model, as in `fab`.
        images: The images, as in `fab`.
        labels: The labels, as in `fab`.
        key: A PRNG key; only restarts beyond the first draw from it.
        epsilon: Twice the distance from which the second and later restarts start; it has no other use.
        norm: "linf" or "l2".
        num_steps: The steps of a run; another number compiles nothing anew.
        restarts: The starts of each target (static).
        num_targets: The classes to try; None is 9, or K − 1 where that is less.
        gradient_fn: The function that gives the gradients, as in `fab`.

    Returns:
        A `FabResult`. Its images may lie outside of every ball in which an attack is held.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.8 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((1, 4, 4, 1), 0.5)
        >>> found = fab_minimal(logits_fn, image, jnp.array([0]), jax.random.key(0))
        >>> round(float(found.distance[0]), 2)
        0.1

    References:
        Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020.
    """
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn, follows_gradient=True)
    # No distance is below −1: every run goes on to its last step.
    return _run(problem, -1.0, norm, num_steps, restarts, num_targets)


def fab(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    num_steps: int = 100,
    restarts: int = 1,
    num_targets: int | None = None,
    gradient_fn: LogitsFn | None = None,
) -> jax.Array:
    """FAB-T of Croce and Hein: walk along the decision boundary towards the clean image.

    The boundary between the label y and a target t is linearised at the iterate,
    {z : (f_t − f_y)(x) + ⟨∇(f_t − f_y)(x), z − x⟩ = 0}. The iterate x and the clean image x₀ are projected onto it
    within the box, overshot by 5% and mixed, with a weight of x₀ of at most 0.1; after a success the iterate goes 10%
    of the way back to x₀. The nearest success counts. The attack minimises the distance, so that it needs ε only to
    know when to stop.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides what
            fools it. The same function object compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; only restarts beyond the first draw from it.
        epsilon: The radius of the ball, at least 0; it may be traced.
        norm: "linf" or "l2".
        num_steps: The steps of a run; another number compiles nothing anew.
        restarts: The starts of each target (static).
        num_targets: The classes to try, in the order of the clean logits; None is 9, or K − 1 where that is less.
        gradient_fn: A differentiable function from images to logits that gives the gradients; None is logits_fn.

    Returns:
        Adversarial images of the shape and dtype of `images`: the nearest misclassified image, projected into the ball
        where it lies outside, so that it may not fool the model; the clean image where it is misclassified already or
        nothing was found. Logits that are not finite count as misclassified.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: The result leaves the ball or the box; under jit such an image is NaN instead.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.8 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((1, 4, 4, 1), 0.5)
        >>> moved = fab(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.12)
        >>> bool(logits_fn(moved).argmax() == 1)
        True

    References:
        Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020.
    """
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn, follows_gradient=True)
    found = _run(problem, problem.epsilon, norm, num_steps, restarts, num_targets)
    result = project(found.images, problem.images, problem.epsilon, norm)
    return held_in_ball(problem.images, result, problem.epsilon, norm)
