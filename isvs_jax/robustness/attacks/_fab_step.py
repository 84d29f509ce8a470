"""One step of FAB: the decision boundary linearised at the iterate, and the projection onto it within the box."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._ball import size
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct

# The constants of the paper: the most weight that the clean image has in a step, the overshoot of the boundary, and how
# far a step goes back towards the clean image after a success.
_MOST_CLEAN, _OVERSHOOT, _BACKWARD = 0.1, 1.05, 0.9


class Settings(NamedTuple):
    """The static settings: changing any of them compiles again."""

    norm: str
    restarts: int


class Setup(NamedTuple):
    """What all runs share; `order` holds the classes of each clean image by falling logit, [B, K]."""

    model: Model
    images: jax.Array
    labels: jax.Array
    keys: jax.Array
    epsilon: jax.Array
    stop_at: jax.Array
    active: jax.Array
    num_steps: jax.Array
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


def advance(state: State, context: Context, settings: Settings) -> State:
    """Make one step of every example; after a success go back towards the clean image."""
    setup = context.setup
    x, norm = state.current, settings.norm
    moved = towards_boundary(setup.model, x, setup.images, setup.labels, context.targets, norm)
    # Any other class than the label counts as a success, not only the target.
    fooled = ~is_correct(setup.model.judge(moved), setup.labels)
    distance = size(moved - setup.images, settings.norm)
    nearer = fooled & (distance < state.distance)
    # A success may lie farther out than it has to: from a point on the way back the next steps look for a nearer one.
    backward = setup.images + _BACKWARD * (moved - setup.images)
    return State(
        state.step + 1,
        jnp.where(fooled[:, None, None, None], backward, moved),
        jnp.where(nearer[:, None, None, None], moved, state.nearest),
        jnp.where(nearer, distance, state.distance),
    )


def unfinished(state: State, context: Context, settings: Settings) -> jax.Array:
    """Whether a run has steps left and an active example that is farther than it has to be."""
    setup = context.setup
    return (state.step < setup.num_steps) & jnp.any(setup.active & (state.distance > setup.stop_at))


def towards_boundary(
    model: Model,
    x: jax.Array,
    images: jax.Array,
    labels: jax.Array,
    targets: jax.Array,
    norm: str,
) -> jax.Array:
    """Project the iterate x and the clean images onto the linearised boundary, and mix both."""
    batch = x.shape[0]
    leads, normal = linearise(model, x, labels, targets)
    flat, clean = x.reshape(batch, -1), images.reshape(batch, -1)
    # Both projections at once; the lead at the clean image is that of the linearisation.
    both = project_onto_hyperplane(
        jnp.concatenate([flat, clean]),
        jnp.concatenate([normal, normal]),
        jnp.concatenate([leads, leads + jnp.sum(normal * (clean - flat), axis=1)]),
        norm,
    )
    # The nearer the clean image is to the boundary, compared with the iterate, the more it draws: the walk stays close.
    lengths = jnp.maximum(size(both, norm), 1e-8)
    share = lengths[:batch] / (lengths[:batch] + lengths[batch:])
    weight = jnp.minimum(share, _MOST_CLEAN)[:, None]
    # A step exactly onto the linearised boundary would leave the decision to rounding and curvature.
    moved = (1 - weight) * (flat + _OVERSHOOT * both[:batch])
    moved = moved + weight * (clean + _OVERSHOOT * both[batch:])
    return jnp.clip(moved, 0.0, 1.0).reshape(x.shape)


def linearise(model: Model, x: jax.Array, labels: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lead of the target over the label at x, [B], and its gradient, [B, N]; zero where they are not finite."""
    rows = jnp.arange(x.shape[0])

    def lead(x: jax.Array, function: LogitsFn) -> tuple[jax.Array, jax.Array]:
        logits = function(x)
        leads = logits[rows, targets] - logits[rows, labels]
        return jnp.sum(leads), leads

    gradient, leads = jax.grad(lead, has_aux=True)(x, model.surrogate or model.judge)
    if model.surrogate is not None:
        leads = lead(x, model.judge)[1]
    usable = jnp.isfinite(leads) & jnp.all(jnp.isfinite(gradient), axis=(1, 2, 3))
    normal = jnp.where(usable[:, None], gradient.reshape(x.shape[0], -1), 0.0)
    return jnp.where(usable, leads, 0.0), normal


def project_onto_hyperplane(points: jax.Array, normals: jax.Array, offsets: jax.Array, norm: str) -> jax.Array:
    """The shortest d with ⟨normal, d⟩ = −offset and point + d in [0, 1]; as far as the box allows where none reaches.

    Towards the hyperplane entry i moves by min(λ uᵢ, roomᵢ), u = 1 for L∞ and |w| for L2, where λ ≥ 0 solves
    Σ |wᵢ| min(λ uᵢ, roomᵢ) = |offset|. The left side is concave and piecewise linear in λ, so Newton's method from 0
    climbs to the root in a few steps, without sorting.

    Args:
        points: float [B, N] in [0, 1].
        normals: The normals w, [B, N].
        offsets: The values ⟨w, z⟩ − b at the points, [B].
        norm: "linf" or "l2".

    Returns:
        The moves d, [B, N].
    """
    largest = jnp.max(jnp.abs(normals), axis=1)
    scale = jnp.where(largest > 0, largest, 1.0)
    # The sign makes every offset one that is to be lowered: entries move against w.
    w = normals / scale[:, None] * jnp.where(offsets >= 0, 1.0, -1.0)[:, None]
    goal = jnp.abs(offsets) / scale
    weight = jnp.abs(w)
    room = jnp.where(w > 0, points, jnp.where(w < 0, 1 - points, 0.0))
    rate = (weight > 0).astype(w.dtype) if norm == "linf" else weight

    def newton(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        level, _, count = state
        # Entries that have reached a wall of the box move no further; the others share what is left of the goal.
        free = level[:, None] * rate < room
        slope = jnp.sum(jnp.where(free, weight * rate, 0.0), axis=1)
        filled = jnp.sum(jnp.where(free, 0.0, weight * room), axis=1)
        new = jnp.where(slope > 0, (goal - filled) / jnp.where(slope > 0, slope, 1.0), level)
        new = jnp.maximum(new, level)
        return new, jnp.any(new > level), count + 1

    begin = (jnp.zeros_like(goal), jnp.array(True), jnp.zeros((), jnp.int32))
    # Ten steps are usual; the bound of fifty is for rounding that never settles.
    level = jax.lax.while_loop(lambda s: s[1] & (s[2] < 50), newton, begin)[0]
    out_of_reach = jnp.sum(weight * room, axis=1) <= goal
    length = jnp.where(out_of_reach[:, None], room, jnp.minimum(level[:, None] * rate, room))
    return -jnp.sign(w) * length
