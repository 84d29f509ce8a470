"""Auto-PGD: gradient ascent that chooses its own step size, untargeted and targeted."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import check_choice, check_integer
from isvs_jax.robustness.attacks._apgd_step import (
    Context,
    Point,
    Schedule,
    Settings,
    Setup,
    State,
    Window,
    advance,
    schedule_of,
    unfinished,
    view,
)
from isvs_jax.robustness.attacks._ball import held_in_ball, start_of_run, uniform_on_sphere
from isvs_jax.robustness.attacks._checks import check_classes, check_problem, check_targets
from isvs_jax.robustness.attacks._loops import DEVICE, HOST, Loops, belongs_on_host
from isvs_jax.robustness.attacks._model import LOSSES, LogitsFn, Model, is_correct


class Found(NamedTuple):
    """What the runs found so far: images, which examples [B] are unsolved, and the highest loss [B]."""

    images: jax.Array
    unsolved: jax.Array
    loss: jax.Array


@functools.partial(jax.jit, static_argnames="settings")
def _prepare(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    key: jax.Array,
    epsilon: jax.Array,
    active: jax.Array,
    schedule: Schedule,
    settings: Settings,
) -> tuple[Setup, Found]:
    extra = () if settings.eot_samples is None else (jax.random.fold_in(key, 0),)
    logits = model.judge(images, *extra)
    order = jnp.argsort(-logits, axis=1)
    lowest = jnp.full(labels.shape, -jnp.inf, images.dtype)
    found = Found(images, active & is_correct(logits, labels), lowest)
    return Setup(model, images, labels, keys, key, epsilon, schedule, order), found


@functools.partial(jax.jit, static_argnames="settings")
def _begin(run: jax.Array, begin: jax.Array, found: Found, setup: Setup, settings: Settings) -> tuple[State, Context]:
    """Look at the start of run number `run`, and choose its target where there is one."""
    rank = run // settings.restarts + 1
    targeted = settings.loss == "targeted_dlr"
    targets = jnp.take(setup.order, rank, axis=1) if targeted else setup.labels
    context = Context(setup, targets, jax.random.fold_in(setup.key, run + 1))
    verdict = view(begin, 0, context, settings)
    point, batch = Point(begin, verdict.loss, verdict.gradient), begin.shape[0]
    state = State(
        step=jnp.zeros((), jnp.int32),
        window=Window(setup.schedule.first, setup.schedule.first),
        current=point,
        previous=begin,
        best=point,
        step_size=jnp.full(batch, 2.0, begin.dtype) * setup.epsilon,
        rises=jnp.zeros(batch, jnp.int32),
        # Nothing is stuck at the first checkpoint: there is none before it with which to compare.
        reduced=jnp.ones(batch, bool),
        best_at_check=verdict.loss,
        found=begin,
        solved=~found.unsolved | ~verdict.correct,
    )
    return state, context


@jax.jit
def _finish(state: State, found: Found) -> Found:
    """Take over what the run solved, and where it did not, the image of the highest loss."""
    solved = state.solved & found.unsolved
    better = solved | (found.unsolved & (state.best.loss > found.loss))
    images = jnp.where(solved[:, None, None, None], state.found, state.best.images)
    return Found(
        jnp.where(better[:, None, None, None], images, found.images),
        found.unsolved & ~solved,
        jnp.where(better, state.best.loss, found.loss),
    )


def _runs(loops: Loops, problem: tuple[Any, ...], first: jax.Array | int, runs: int, settings: Settings) -> jax.Array:
    setup, found = _prepare(*problem, settings=settings)

    def one(run: jax.Array, found: Found) -> Found:
        begin = start_of_run(uniform_on_sphere, setup.keys, run, setup.images, setup.epsilon, norm=settings.norm)
        state, context = _begin(run, begin, found, setup, settings=settings)
        return _finish(loops.steps(advance, unfinished, state, context, settings), found)

    return loops.repeat(first, runs, one, found).images


_runs_on_device = jax.jit(functools.partial(_runs, DEVICE), static_argnums=(2, 3))


def apgd_runs(
    problem: tuple[Model, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, Schedule],
    first: jax.Array | int,
    runs: int,
    settings: Settings,
) -> jax.Array:
    """Do the runs first, first + 1, ..., each on the active examples that no run before it solved.

    Run r is restart r mod restarts; with a targeted loss its target is the class of rank r // restarts + 2 among the
    logits of the clean image.

    Args:
        problem: The model, images, labels, one key for each image, one for the batch, epsilon, which are active, and
            the schedule.
        first: The number of the first run.
        runs: How many runs.
        settings: The static settings.

    Returns:
        For each active example the first image that fooled the model, else that of the highest loss.
    """
    if belongs_on_host(problem, first):
        return _runs(HOST, problem, first, runs, settings)
    return _runs_on_device(problem, first, runs, settings)


def apgd(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    loss: str = "cross_entropy",
    num_steps: int = 100,
    restarts: int = 1,
    num_targets: int | None = None,
    gradient_fn: LogitsFn | None = None,
    eot_samples: int | None = None,
) -> jax.Array:
    """Auto-PGD of Croce and Hein: momentum, and a step size that is halved where the loss stalls.

        z = Π(x_k + η s(∇L(x_k)));    x_{k+1} = Π(x_k + ¾(z − x_k) + ¼(x_k − x_{k−1}))

    with s and Π as in `pgd` and η = 2ε at first. At checkpoints, fixed shares of the steps, η is halved and the run
    goes back to its best image, for each example by itself, where the loss rose on no more than 75% of the steps since
    the last checkpoint or where nothing improved. `loss="cross_entropy"` is APGD-CE, `"dlr"` APGD-DLR, `"targeted_dlr"`
    APGD-T: one run for each of the num_targets classes that follow in the logits of the clean image.

    An example that is solved is no longer counted, and a run ends when all are. The batch keeps its shape, so a step
    costs the same while one example is left.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]; it alone decides what
            fools it. The same function object compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; each image draws from its own, by its place in the batch.
        epsilon: The radius of the ball, at least 0; it may be traced.
        norm: "linf" or "l2".
        loss: "cross_entropy", "margin", "dlr" (three classes or more) or "targeted_dlr" (four).
        num_steps: The steps of a run; another number compiles nothing anew.
        restarts: The random starts, of each target where there are targets (static).
        num_targets: The classes to try with "targeted_dlr"; None is 9, or K − 1 where that is less.
        gradient_fn: A differentiable function from images to logits that gives the gradients; None is logits_fn. The
            loss that steers the step size stays that of logits_fn.
        eot_samples: None for a deterministic model. With an integer the functions take (images, key), and the loss and
            the gradient are means over that many keys.

    Returns:
        Adversarial images of the shape and dtype of `images`: the first that fooled the model, else that of the highest
        loss; the clean image where it is misclassified already. Logits that are not finite count as misclassified.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: The result leaves the ball or the box; under jit such an image is NaN instead.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((1, 4, 4, 1), 0.5)
        >>> moved = apgd(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.1)
        >>> bool(logits_fn(moved).argmax() == 1)
        True

    References:
        Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
        ICML 2020.
    """
    check_choice("loss", loss, LOSSES)
    check_integer("num_steps", num_steps)
    check_integer("restarts", restarts)
    problem = check_problem(
        logits_fn, images, labels, key, epsilon, norm, gradient_fn, eot_samples, follows_gradient=True
    )
    check_classes(loss, problem.num_classes)
    runs = restarts
    if loss == "targeted_dlr":
        runs = restarts * check_targets(num_targets, problem.num_classes)
    elif num_targets is not None:
        raise ValueError(f"num_targets must be None for the loss {loss!r}, which has no targets; got {num_targets}.")
    model, images, labels, key, keys, radius, _ = problem
    given = (model, images, labels, keys, key, radius, jnp.ones(labels.shape, bool), schedule_of(num_steps))
    result = apgd_runs(given, 0, runs, Settings(norm, loss, restarts, eot_samples))
    return held_in_ball(images, result, radius, norm)
