"""One step of Auto-PGD: a projected gradient step with momentum, and a step size halved where the loss stalls."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._ball import project, steepest
from isvs_jax.robustness.attacks._model import Model, Verdict, look

# The weight of momentum in the paper.
_MOMENTUM = 0.25
# The first window between two checkpoints, its decrease and its least length as shares of the steps, and the share of
# rising steps below which the step size is halved: 0.22, 0.03, 0.06 and ρ = 0.75 of the paper.
_FIRST_WINDOW, _WINDOW_DECREASE, _LEAST_WINDOW = 0.22, 0.03, 0.06
_RISING_SHARE = 0.75


class Settings(NamedTuple):
    """The static settings: changing any of them compiles again."""

    norm: str
    loss: str
    restarts: int
    eot_samples: int | None


class Schedule(NamedTuple):
    """How many steps a run has, and the windows between its checkpoints: 0-d int32 arrays, traced.

    Attributes:
        num_steps: The steps of a run.
        first: The length of the first window.
        decrease: How much shorter the next window is.
        least: The length below which none falls.
    """

    num_steps: jax.Array
    first: jax.Array
    decrease: jax.Array
    least: jax.Array


class Window(NamedTuple):
    """The window between two checkpoints that a step belongs to: its length, and the number of its last step."""

    length: jax.Array
    end: jax.Array


class Setup(NamedTuple):
    """What all runs share; `order` holds the classes of each clean image by falling logit, [B, K]."""

    model: Model
    images: jax.Array
    labels: jax.Array
    keys: jax.Array
    key: jax.Array
    epsilon: jax.Array
    schedule: Schedule
    order: jax.Array


class Context(NamedTuple):
    """What the steps of one run share."""

    setup: Setup
    targets: jax.Array
    key: jax.Array


class Point(NamedTuple):
    """An iterate with its loss [B] and its gradient."""

    images: jax.Array
    loss: jax.Array
    gradient: jax.Array


class State(NamedTuple):
    """What a run carries from step to step."""

    step: jax.Array
    window: Window
    current: Point
    previous: jax.Array  # the iterate before the current one, for momentum
    best: Point  # of the highest loss so far
    step_size: jax.Array  # [B]
    rises: jax.Array  # [B], the steps of this window on which the loss rose
    reduced: jax.Array  # [B], whether the last checkpoint halved the step size
    best_at_check: jax.Array  # [B], the highest loss at the last checkpoint
    found: jax.Array  # the first image that fooled the model
    solved: jax.Array  # [B]


def schedule_of(num_steps: int) -> Schedule:
    """The windows of so many steps: at first 22% of them, each shorter by 3%, down to 6%; a step at least."""
    shares = (_FIRST_WINDOW, _WINDOW_DECREASE, _LEAST_WINDOW)
    lengths = (num_steps, *(max(int(share * num_steps), 1) for share in shares))
    return Schedule(*(jnp.asarray(length, jnp.int32) for length in lengths))


def next_window(window: Window, schedule: Schedule) -> Window:
    """The window after one."""
    length = jnp.maximum(window.length - schedule.decrease, schedule.least)
    return Window(length, window.end + length)


def view(x: jax.Array, step: jax.Array | int, context: Context, settings: Settings) -> Verdict:
    """Look at the iterate of a step."""
    setup, step_key = context.setup, jax.random.fold_in(context.key, step)
    return look(setup.model, x, setup.labels, context.targets, settings.loss, step_key, settings.eot_samples)


def advance(state: State, context: Context, settings: Settings) -> State:
    """Make one step of every example."""
    x = _propose(state, context.setup, settings.norm)
    verdict = view(x, state.step + 1, context, settings)
    new = Point(x, verdict.loss, verdict.gradient)
    # A solved example walks on with the others, but the image that solved it first is kept.
    newly = ~verdict.correct & ~state.solved
    moved = state._replace(
        current=new,
        previous=state.current.images,
        best=_select(new.loss > state.best.loss, new, state.best),
        rises=state.rises + (new.loss > state.current.loss).astype(jnp.int32),
        found=jnp.where(newly[:, None, None, None], x, state.found),
        solved=state.solved | newly,
    )
    step, window = state.step + 1, state.window
    at_check = step == window.end
    following = next_window(window, context.setup.schedule)
    window = jax.tree.map(lambda new, old: jnp.where(at_check, new, old), following, window)
    return _adapt(moved, at_check)._replace(step=step, window=window)


def unfinished(state: State, context: Context, settings: Settings) -> jax.Array:
    """Whether a run has steps left and an example to solve."""
    return (state.step < context.setup.schedule.num_steps) & ~jnp.all(state.solved)


def _propose(state: State, setup: Setup, norm: str) -> jax.Array:
    """Take a projected gradient step, mix it with the last movement, and project again."""
    x = state.current.images
    step = state.step_size[:, None, None, None] * steepest(state.current.gradient, norm)
    target = project(x + step, setup.images, setup.epsilon, norm)
    # The first step has no movement before it to mix with.
    momentum = jnp.where(state.step > 0, _MOMENTUM, 0.0).astype(x.dtype)
    mixed = x + (1 - momentum) * (target - x) + momentum * (x - state.previous)
    return project(mixed, setup.images, setup.epsilon, norm)


def _adapt(state: State, at_check: jax.Array) -> State:
    """At a checkpoint, halve the step size of the examples that stall and send them back to their best images.

    An example stalls where the loss rose on no more than 75% of the steps of the window, or where neither the step size
    nor the best loss changed since the last checkpoint. Between checkpoints nothing changes.
    """
    oscillates = state.rises.astype(jnp.float32) <= _RISING_SHARE * state.window.length.astype(jnp.float32)
    # A step size that was halved at the last checkpoint is given a window to show what it can do.
    stuck = ~state.reduced & (state.best_at_check >= state.best.loss)
    halve = at_check & (oscillates | stuck)
    # The next step is compared with the loss of the last iterate, not with that of the best one from which it starts:
    # the code of the authors counts rises in this way.
    restarted = _select(halve, state.best, state.current)._replace(loss=state.current.loss)
    return state._replace(
        current=restarted,
        step_size=jnp.where(halve, state.step_size / 2, state.step_size),
        rises=jnp.where(at_check, 0, state.rises),
        reduced=jnp.where(at_check, halve, state.reduced),
        best_at_check=jnp.where(at_check, state.best.loss, state.best_at_check),
    )


def _select(mask: jax.Array, yes: Point, no: Point) -> Point:
    """The first point for the examples in the mask [B], the second for the others."""
    wide = mask[:, None, None, None]
    return Point(
        jnp.where(wide, yes.images, no.images),
        jnp.where(mask, yes.loss, no.loss),
        jnp.where(wide, yes.gradient, no.gradient),
    )
