"""The decision boundary of FAB: linearised at a point, and the projection onto it within the box."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from isvs_jax.robustness.attacks._model import LogitsFn, Model
from isvs_jax.robustness.attacks._norms import size

# The constants of the paper: most weight of the clean image in a step, and overshoot of the boundary.
_MOST_CLEAN, _OVERSHOOT = 0.1, 1.05


def linearise(model: Model, x: jax.Array, labels: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The target's lead over the label at x, [B], and its gradient, [B, N]; zero if not finite."""
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
    """Shortest d with ⟨normal, d⟩ = −offset and point + d in [0, 1]; all the way if none reaches.

    Towards the hyperplane entry i moves by min(λ uᵢ, roomᵢ), u = 1 for L∞ and |w| for L2, where
    λ ≥ 0 solves Σ |wᵢ| min(λ uᵢ, roomᵢ) = |offset|. The left side is concave and piecewise linear
    in λ, so Newton's method from 0 climbs to the root in a few steps, without sorting.

    Args:
        points: [B, N] in [0, 1].
        normals: w, [B, N].
        offsets: ⟨w, z⟩ − b at the points, [B].
        norm: "linf" or "l2".

    Returns:
        d, [B, N].
    """
    largest = jnp.max(jnp.abs(normals), axis=1)
    scale = jnp.where(largest > 0, largest, 1.0)
    # Signed so that every offset is to be lowered: entries move against w.
    w = normals / scale[:, None] * jnp.where(offsets >= 0, 1.0, -1.0)[:, None]
    goal = jnp.abs(offsets) / scale
    weight = jnp.abs(w)
    room = jnp.where(w > 0, points, 1 - points) * (weight > 0)
    rate = (weight > 0).astype(w.dtype) if norm == "linf" else weight

    def newton(
        state: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        level, _, count = state
        free = level[:, None] * rate < room
        slope = jnp.sum(jnp.where(free, weight * rate, 0.0), axis=1)
        filled = jnp.sum(jnp.where(free, 0.0, weight * room), axis=1)
        new = jnp.where(slope > 0, (goal - filled) / jnp.where(slope > 0, slope, 1.0), level)
        new = jnp.maximum(new, level)
        return new, jnp.any(new > level), count + 1

    begin = (jnp.zeros_like(goal), jnp.array(True), jnp.zeros((), jnp.int32))
    # Ten steps are usual; the bound is for rounding that never settles.
    level = jax.lax.while_loop(lambda s: s[1] & (s[2] < 50), newton, begin)[0]
    out_of_reach = jnp.sum(weight * room, axis=1) <= goal
    length = jnp.where(out_of_reach[:, None], room, jnp.minimum(level[:, None] * rate, room))
    return -jnp.sign(w) * length


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
    both = project_onto_hyperplane(
        jnp.concatenate([flat, clean]),
        jnp.concatenate([normal, normal]),
        jnp.concatenate([leads, leads + jnp.sum(normal * (clean - flat), axis=1)]),
        norm,
    )
    lengths = jnp.maximum(size(both, norm), 1e-8)
    share = lengths[:batch] / (lengths[:batch] + lengths[batch:])
    weight = jnp.minimum(share, _MOST_CLEAN)[:, None]
    moved = (1 - weight) * (flat + _OVERSHOOT * both[:batch])
    moved = moved + weight * (clean + _OVERSHOOT * both[batch:])
    return jnp.clip(moved, 0.0, 1.0).reshape(x.shape)
