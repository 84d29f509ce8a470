"""The steps of projected gradient descent, and the worst image of each example over all of them."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._ball import project, start_of_run, steepest, uniform_in_ball
from isvs_jax.robustness.attacks._loops import DEVICE, Loops
from isvs_jax.robustness.attacks._model import Model, Verdict, look


class Best(NamedTuple):
    """The worst image of each example so far, its loss [B] and whether it is still correct."""

    images: jax.Array
    loss: jax.Array
    correct: jax.Array


def keep_worse(best: Best, images: jax.Array, verdict: Verdict) -> Best:
    """Take over an image that fools where none did, or that raises the loss among equals."""
    fools = best.correct & ~verdict.correct
    better = fools | ((best.correct == verdict.correct) & (verdict.loss > best.loss))
    return Best(
        jnp.where(better[:, None, None, None], images, best.images),
        jnp.where(better, verdict.loss, best.loss),
        jnp.where(better, verdict.correct, best.correct),
    )


class Settings(NamedTuple):
    """The static settings: changing any of them compiles again."""

    norm: str
    loss: str
    random_start: bool
    eot_samples: int | None


class Setup(NamedTuple):
    """What all restarts share; `start` is None where a restart begins at the image or at random."""

    model: Model
    images: jax.Array
    labels: jax.Array
    keys: jax.Array
    key: jax.Array
    epsilon: jax.Array
    step_size: jax.Array
    num_steps: jax.Array
    start: jax.Array | None


class Context(NamedTuple):
    """What the steps of one restart share."""

    setup: Setup
    key: jax.Array


class State(NamedTuple):
    """What a restart carries from step to step."""

    step: jax.Array
    images: jax.Array
    best: Best


def _view(x: jax.Array, step: jax.Array | int, context: Context, settings: Settings) -> Verdict:
    setup, step_key = context.setup, jax.random.fold_in(context.key, step)
    labels = setup.labels
    return look(setup.model, x, labels, labels, settings.loss, step_key, settings.eot_samples)


def _advance(state: State, context: Context, settings: Settings) -> State:
    setup, x = context.setup, state.images
    verdict = _view(x, state.step, context, settings)
    moved = x + setup.step_size * steepest(verdict.gradient, settings.norm)
    return State(
        state.step + 1,
        project(moved, setup.images, setup.epsilon, settings.norm),
        keep_worse(state.best, x, verdict),
    )


def _unfinished(state: State, context: Context, settings: Settings) -> jax.Array:
    return state.step < context.setup.num_steps


@functools.partial(jax.jit, static_argnames="settings")
def _prepare(setup: Setup, settings: Settings) -> State:
    clean = _view(setup.images, 0, Context(setup, setup.key), settings)
    best = Best(setup.images, clean.loss, clean.correct)
    return State(jnp.zeros((), jnp.int32), setup.images, best)


def _begin(restart: jax.Array, state: State, setup: Setup, settings: Settings) -> tuple[State, Context]:
    begin = setup.images if setup.start is None else setup.start
    if settings.random_start:
        begin = start_of_run(uniform_in_ball, setup.keys, restart, setup.images, setup.epsilon, norm=settings.norm)
    context = Context(setup, jax.random.fold_in(setup.key, restart + 1))
    return State(jnp.zeros((), jnp.int32), begin, state.best), context


@functools.partial(jax.jit, static_argnames="settings")
def _finish(state: State, context: Context, settings: Settings) -> State:
    """Look at the last iterate too: a step looks at the image from which it starts."""
    verdict = _view(state.images, context.setup.num_steps, context, settings)
    return state._replace(best=keep_worse(state.best, state.images, verdict))


def run_restarts(loops: Loops, setup: Setup, restarts: int, settings: Settings) -> State:
    """Run all restarts by the loops of the device or of the host, from the clean images on."""

    def one(restart: jax.Array, state: State) -> State:
        state, context = _begin(restart, state, setup, settings)
        state = loops.steps(_advance, _unfinished, state, context, settings)
        return _finish(state, context, settings=settings)

    return loops.repeat(0, restarts, one, _prepare(setup, settings=settings))


restarts_on_device = jax.jit(functools.partial(run_restarts, DEVICE), static_argnums=(1, 2))
