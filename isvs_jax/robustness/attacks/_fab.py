"""Fast adaptive boundary attack, targeted: the nearest image that is classified otherwise."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._checks import (
    Problem,
    check_count,
    check_problem,
    check_targets,
    held_in_ball,
)
from isvs_jax.robustness.attacks._linearised_boundary import towards_boundary
from isvs_jax.robustness.attacks._loops import DEVICE, HOST, Loops, belongs_on_host
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct
from isvs_jax.robustness.attacks._norms import project, size, start_of_run, uniform_on_sphere

# How far a step goes back towards the clean image after a success.
_BACKWARD = 0.9


class FabResult(NamedTuple):
    """The nearest misclassified images [B, H, W, C] found and their distances [B].

    The distance is 0 where the clean image is misclassified and infinite where nothing was found
    (the image is then the clean one).
    """

    images: jax.Array
    distance: jax.Array


class Settings(NamedTuple):
    """What is static: changing any of it compiles again."""

    norm: str
    num_steps: int
    restarts: int


class Setup(NamedTuple):
    """What all runs share; order: the classes of each clean image by falling logit, [B, K]."""

    model: Model
    images: jax.Array
    labels: jax.Array
    keys: jax.Array
    epsilon: jax.Array
    stop_at: jax.Array
    active: jax.Array
    order: jax.Array


class Context(NamedTuple):
    """What the steps of one run share."""

    setup: Setup
    targets: jax.Array


class State(NamedTuple):
    """What a run carries: the iterate, the nearest success and its distance [B]."""

    step: jax.Array
    current: jax.Array
    nearest: jax.Array
    distance: jax.Array


def _advance(state: State, context: Context, settings: Settings) -> State:
    """Make one step of every example; after a success go back towards the clean image."""
    setup = context.setup
    x, norm = state.current, settings.norm
    moved = towards_boundary(setup.model, x, setup.images, setup.labels, context.targets, norm)
    fooled = ~is_correct(setup.model.judge(moved), setup.labels)
    distance = size(moved - setup.images, settings.norm)
    nearer = fooled & (distance < state.distance)
    backward = setup.images + _BACKWARD * (moved - setup.images)
    return State(
        state.step + 1,
        jnp.where(fooled[:, None, None, None], backward, moved),
        jnp.where(nearer[:, None, None, None], moved, state.nearest),
        jnp.where(nearer, distance, state.distance),
    )


def _unfinished(state: State, context: Context, settings: Settings) -> jax.Array:
    setup = context.setup
    return (state.step < settings.num_steps) & jnp.any(setup.active & (state.distance > setup.stop_at))


@jax.jit
def _prepare(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    stop_at: jax.Array,
    active: jax.Array,
) -> tuple[Setup, FabResult]:
    logits = model.judge(images)
    order = jnp.argsort(-logits, axis=1)
    distance = jnp.where(is_correct(logits, labels), jnp.inf, 0.0).astype(images.dtype)
    setup = Setup(model, images, labels, keys, epsilon, stop_at, active, order)
    return setup, FabResult(images, distance)


def _begin(run: jax.Array, best: FabResult, setup: Setup, settings: Settings) -> tuple[State, Context]:
    """The first restart of a target starts at the image, the others at random within epsilon / 2."""
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
        state = loops.steps(_advance, _unfinished, state, context, settings)
        return FabResult(state.nearest, state.distance)

    return loops.repeat(first, runs, one, best)


_runs_on_device = jax.jit(functools.partial(_runs, DEVICE), static_argnums=(2, 3))


def fab_runs(
    problem: tuple[Model, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array],
    first: jax.Array | int,
    runs: int,
    settings: Settings,
) -> FabResult:
    """Runs first, first + 1, ..., until every active example is no farther than stop_at.

    Run r is restart r mod restarts towards the class of rank r // restarts + 2 among the logits of
    the clean image.

    Args:
        problem: model, images, labels, one key an image, epsilon, stop_at, active.
        first: number of the first run.
        runs: how many.
        settings: what is static.
    """
    if belongs_on_host(problem, first):
        return _runs(HOST, problem, first, runs, settings)
    return _runs_on_device(problem, first, runs, settings)


def _run(
    problem: Problem,
    stop_at: Any,
    norm: str,
    num_steps: int,
    restarts: int,
    num_targets: int | None,
) -> FabResult:
    check_count("num_steps", num_steps)
    check_count("restarts", restarts)
    runs = restarts * check_targets(num_targets, problem.num_classes)
    given = (problem.model, problem.images, problem.labels, problem.keys, problem.epsilon)
    stop, active = jnp.asarray(stop_at, problem.images.dtype), jnp.ones(problem.labels.shape, bool)
    return fab_runs((*given, stop, active), 0, runs, Settings(norm, num_steps, restarts))


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
        logits_fn: as in `fab`.
        images: as in `fab`.
        labels: as in `fab`.
        key: as in `fab`.
        epsilon: twice the distance from which the second and later restarts start; nothing else.
        norm: "linf" or "l2".
        num_steps: steps of a run (static).
        restarts: starts of each target (static).
        num_targets: default 9, or K − 1 where that is less.
        gradient_fn: as in `fab`.

    Returns:
        FabResult(images, distance). The images may lie outside every ball that an attack is held to.

    Raises:
        ValueError: as in `fab`.
        TypeError: as in `fab`.

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.8 - x.mean((1, 2, 3))], axis=1)
    >>> image = jnp.full((1, 4, 4, 1), 0.5)
    >>> found = fab_minimal(logits_fn, image, jnp.array([0]), jax.random.key(0))
    >>> round(float(found.distance[0]), 2)
    0.1

    References:
        Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
        attack", ICML 2020.
    """
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn)
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
    {z : (f_t − f_y)(x) + ⟨∇(f_t − f_y)(x), z − x⟩ = 0}. The iterate x and the clean image x₀ are
    projected onto it within the box, overshot by 5% and mixed, with a weight of x₀ of at most 0.1;
    after a success the iterate goes 10% of the way back to x₀. The nearest success counts. It
    minimises the distance, so that it does not need ε but to know when to stop.

    Args:
        logits_fn: the model, from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides
            what fools it. The same function object compiles once; the arrays of a
            `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: integers [B] in 0 to K − 1.
        key: a PRNG key; only restarts beyond the first draw from it.
        epsilon: radius of the ball, at least 0; may be traced.
        norm: "linf" or "l2".
        num_steps: steps of a run (static).
        restarts: starts of each target (static).
        num_targets: classes to try, in the order of the clean logits; default 9, or K − 1 where
            that is less.
        gradient_fn: differentiable function from images to logits to take gradients from; default
            logits_fn.

    Returns:
        Adversarial images, shape and dtype of images: the nearest misclassified image, projected
        into the ball where it lies outside (it then may not fool the model); the clean image where
        it is misclassified already or nothing was found. Logits that are not finite count as
        misclassified.

    Raises:
        ValueError: for values, shapes or choices that are not as said above.
        TypeError: for integer images or labels that are not integers.
        AssertionError: should the result leave the ball or the box (under jit such an image is NaN).

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.8 - x.mean((1, 2, 3))], axis=1)
    >>> image = jnp.full((1, 4, 4, 1), 0.5)
    >>> moved = fab(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.12)
    >>> bool(logits_fn(moved).argmax() == 1)
    True

    References:
        Croce, Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
        attack", ICML 2020.
    """
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm, gradient_fn)
    found = _run(problem, problem.epsilon, norm, num_steps, restarts, num_targets)
    result = project(found.images, problem.images, problem.epsilon, norm)
    return held_in_ball(problem.images, result, problem.epsilon, norm)
