"""Random points of the ball and of its boundary: the attack that knows nothing of the model."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_integer
from isvs_jax.robustness._batches import batches
from isvs_jax.robustness.attacks._ball import check_ball, project, size, uniform_in_ball
from isvs_jax.robustness.attacks._checks import check_problem
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct


class NoiseResult(NamedTuple):
    """What random points found.

    Attributes:
        images: The first point that fools the model, or the clean image where none does.
        robust: Whether the label is predicted at every point, bool [B].
    """

    images: np.ndarray
    robust: np.ndarray


def noise_report(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float,
    norm: str = "linf",
    num_draws: int = 100,
    batch_size: int = 128,
) -> NoiseResult:
    """Ask about random points of the ball, every other one stretched to its boundary.

    The points are uniform in the ball. For L∞ the far end of a direction is a corner, where a linear function is
    largest.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K].
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; each image draws from its own, by its place in `images`.
        epsilon: The radius of the ball, at least 0.
        norm: "linf" or "l2".
        num_draws: How many points are drawn for each image.
        batch_size: How many images are asked about at a time; the last batch is filled up, so that one shape is
            compiled.

    Returns:
        A `NoiseResult`.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: A point leaves the ball or the box.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> images, labels = jnp.full((2, 1, 1, 1), 0.5).at[1].set(0.8), jnp.array([0, 0])
        >>> noise_report(logits_fn, images, labels, jax.random.key(0), epsilon=0.1).robust.tolist()
        [False, True]
    """
    check_integer("num_draws", num_draws)
    check_integer("batch_size", batch_size)
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm)
    total, parts = len(problem.labels), []
    for rows, real in batches(np.arange(total), batch_size):
        given = (problem.images[rows], problem.labels[rows], problem.keys[rows])
        moved, robust = _worst_draw(problem.model, *given, problem.epsilon, norm, num_draws)
        parts.append((np.asarray(moved)[:real], np.asarray(robust)[:real]))
    worst, held = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    check_ball(problem.images, worst, problem.epsilon, norm)
    return NoiseResult(worst, held)


@partial(jax.jit, static_argnames=("norm", "num_draws"))
def _worst_draw(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    norm: str,
    num_draws: int,
) -> tuple[jax.Array, jax.Array]:
    """The first random point that fools the model, or the image itself."""

    def draw(carry: tuple[jax.Array, jax.Array], number: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        worst, robust = carry
        own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        inside = uniform_in_ball(own, images, epsilon, norm)
        point = jnp.where(number % 2 == 0, inside, _stretched(inside, images, epsilon, norm))
        fooled = robust & ~is_correct(model.judge(point), labels)
        return (jnp.where(fooled[:, None, None, None], point, worst), robust & ~fooled), None

    start = (images, jnp.ones(labels.shape, bool))
    return jax.lax.scan(draw, start, jnp.arange(num_draws))[0]


def _stretched(points: jax.Array, centres: jax.Array, epsilon: jax.Array, norm: str) -> jax.Array:
    """The far end of the ball in the direction of each point."""
    edge = points - centres
    if norm == "linf":
        return project(centres + epsilon * jnp.sign(edge), centres, epsilon, norm)
    length = size(edge, norm)[:, None, None, None]
    return project(centres + edge * (epsilon / jnp.maximum(length, 1e-12)), centres, epsilon, norm)
