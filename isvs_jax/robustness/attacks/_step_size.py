"""The step size of Auto-PGD: checkpoints, and what is halved and restarted at them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# The constants of the paper: first window, its decrease and its least length as shares of the
# steps; the share of rising steps below which the step size is halved.
_FIRST_WINDOW, _WINDOW_DECREASE, _LEAST_WINDOW = 0.22, 0.03, 0.06
_RISING_SHARE = 0.75


def checkpoints(num_steps: int) -> np.ndarray:
    """After which steps the step size is looked at, as the length of the window that ends there.

    Returns integers [num_steps]: 0 between checkpoints. The windows shrink from 22% of the steps by
    3% each, down to 6%.
    """
    window = max(int(_FIRST_WINDOW * num_steps), 1)
    lengths = np.zeros(num_steps, np.int32)
    end = window
    while end <= num_steps:
        lengths[end - 1] = window
        window = max(
            window - max(int(_WINDOW_DECREASE * num_steps), 1),
            max(int(_LEAST_WINDOW * num_steps), 1),
        )
        end += window
    return lengths


class Point(NamedTuple):
    """An iterate with its loss [B] and gradient."""

    images: jax.Array
    loss: jax.Array
    gradient: jax.Array


class State(NamedTuple):
    """What a run carries from step to step."""

    step: jax.Array
    current: Point
    previous: jax.Array  # the iterate before the current one, for momentum
    best: Point  # highest loss so far
    step_size: jax.Array  # [B]
    rises: jax.Array  # [B], steps of this window on which the loss rose
    reduced: jax.Array  # [B], whether the last checkpoint halved the step size
    best_at_check: jax.Array  # [B], the highest loss at the last checkpoint
    found: jax.Array  # the first image that fooled the model
    solved: jax.Array  # [B]


def select(mask: jax.Array, yes: Point, no: Point) -> Point:
    """The first point of the examples in mask [B], the second of the others."""
    wide = mask[:, None, None, None]
    return Point(
        jnp.where(wide, yes.images, no.images),
        jnp.where(mask, yes.loss, no.loss),
        jnp.where(wide, yes.gradient, no.gradient),
    )


def adapt(state: State, window: jax.Array) -> State:
    """At a checkpoint halve the step size of examples that stall, and send them to their best.

    An example stalls where the loss rose on no more than 75% of the steps of the window, or where
    neither the step size nor the best loss changed since the last checkpoint.
    """
    at_check = window > 0
    oscillates = state.rises <= _RISING_SHARE * window
    stuck = ~state.reduced & (state.best_at_check >= state.best.loss)
    halve = at_check & (oscillates | stuck)
    # The loss of the last iterate, not of the best one, is what the next step is compared with.
    restarted = select(halve, state.best, state.current)._replace(loss=state.current.loss)
    return state._replace(
        current=restarted,
        step_size=jnp.where(halve, state.step_size / 2, state.step_size),
        rises=jnp.where(at_check, 0, state.rises),
        reduced=jnp.where(at_check, halve, state.reduced),
        best_at_check=jnp.where(at_check, state.best.loss, state.best_at_check),
    )
