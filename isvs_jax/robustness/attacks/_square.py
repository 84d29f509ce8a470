"""Square Attack: random search over square windows, without gradients."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_integer, check_number
from isvs_jax.robustness.attacks._ball import held_in_ball, project
from isvs_jax.robustness.attacks._checks import check_problem
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct, margin
from isvs_jax.robustness.attacks._square_moves import (
    Schedule,
    bump_table,
    grid_of_bumps,
    propose_l2,
    propose_linf,
    schedule_of,
    stripes,
    window_sides,
)


class State(NamedTuple):
    """What the search carries: the accepted images and their margins [B], positive where the label is predicted."""

    query: jax.Array
    images: jax.Array
    loss: jax.Array


def _judged(model: Model, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The lead of the label over the best other logit, [B]; it is not positive where the image is misclassified."""
    logits = model.judge(images)
    lead = -margin(logits, labels, labels)
    # A tie that argmax gives to the label counts as correct, as everywhere else: its lead is the least above zero.
    lead = jnp.where(is_correct(logits, labels), jnp.maximum(lead, jnp.finfo(lead.dtype).tiny), lead)
    return jnp.where(jnp.all(jnp.isfinite(logits), axis=1), lead, -jnp.inf)


@functools.partial(jax.jit, static_argnames=("norm", "share"))
def square_run(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    active: jax.Array,
    schedule: Schedule,
    norm: str,
    share: float,
) -> tuple[jax.Array, jax.Array]:
    """Search from one start; the accepted images and their margins [B] come back."""
    height, width = images.shape[1:3]
    sides = window_sides(height, width, norm, share)
    table, rows = bump_table(sides) if norm == "l2" else (np.zeros((1, 1, 1)), sides * 0)
    tiles, tile_of = jnp.asarray(table, images.dtype), jnp.asarray(rows)
    side_of = jnp.asarray(sides)

    # The draws of a query come from its number and the key of the image, so that a smaller budget is the beginning of a
    # larger one and no image depends on its neighbours.
    def propose(query: jax.Array, current: jax.Array) -> jax.Array:
        query_keys = jax.vmap(lambda k: jax.random.fold_in(k, query + 1))(keys)
        level = schedule.level(query)
        side = side_of[level]
        if norm == "linf":
            make = functools.partial(propose_linf, epsilon=epsilon, side=side)
        else:
            tile = tiles[tile_of[level]]
            make = functools.partial(propose_l2, epsilon=epsilon, side=side, tile=tile)
        proposed = jax.vmap(make)(query_keys, current, images)
        return project(proposed, images, epsilon, norm)

    def advance(state: State) -> State:
        proposed = propose(state.query, state.images)
        loss = _judged(model, proposed, labels)
        # An image that is solved is frozen.
        accepted = (loss < state.loss) & (state.loss > 0)
        return State(
            state.query + 1,
            jnp.where(accepted[:, None, None, None], proposed, state.images),
            jnp.where(accepted, loss, state.loss),
        )

    clean_loss = _judged(model, images, labels)
    start_keys = jax.vmap(lambda k: jax.random.fold_in(k, 0))(keys)
    start = functools.partial(stripes if norm == "linf" else grid_of_bumps, epsilon=epsilon)
    begin = project(jax.vmap(start)(start_keys, images), images, epsilon, norm)
    # A clean image that is misclassified already stays as it is.
    begin = jnp.where((clean_loss > 0)[:, None, None, None], begin, images)
    state = State(jnp.zeros((), jnp.int32), begin, _judged(model, begin, labels))
    state = jax.lax.while_loop(
        lambda s: (s.query < schedule.num_queries) & jnp.any(active & (s.loss > 0)), advance, state
    )
    return state.images, state.loss


def square(
    logits_fn: LogitsFn,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    *,
    epsilon: float | jax.Array,
    norm: str = "linf",
    num_queries: int = 5000,
    share: float = 0.8,
    rescale_schedule: bool = False,
) -> jax.Array:
    """Square Attack of Andriushchenko et al.: accept a random window whenever it lowers the margin.

    The loss is the margin f_y(x) − max_{j≠y} f_j(x). Each query changes a square window of the perturbation: for L∞ to
    ±ε in each channel, for L2 by moving energy from one window to another. It is kept where the loss falls. The window
    starts with 80% of the pixels and is halved on a fixed schedule. No gradient is asked for, so masked or shattered
    gradients do not help.

    An example that is solved is frozen, and the search ends when all are. The batch keeps its shape, so a query costs
    the same while one example is left.

    Args:
        logits_fn: The model, a function from images [B, H, W, C] in [0, 1] to logits [B, K]; it need not be
            differentiable. The same function object compiles once; the arrays of a `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: Integers [B] from 0 to K − 1.
        key: A PRNG key; each image draws from its own, by its place in the batch.
        epsilon: The radius of the ball, at least 0; it may be traced.
        norm: "linf" or "l2", which needs images of at least 3×3 pixels.
        num_queries: How many windows are tried; the start is one query more. Another number compiles nothing anew.
        share: The share of the pixels in the first windows, in (0, 1] (static).
        rescale_schedule: Whether to stretch the schedule, made for 10,000 queries, to num_queries. False, as in
            AutoAttack, keeps it and stops early in it.

    Returns:
        Adversarial images of the shape and dtype of `images`, the last that were accepted. Logits that are not finite
        count as misclassified.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: A value, a shape or a choice is not as said above.
        AssertionError: The result leaves the ball or the box; under jit such an image is NaN instead.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
        >>> image = jnp.full((1, 4, 4, 1), 0.5)
        >>> moved = square(logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.1, num_queries=200)
        >>> bool(logits_fn(moved).argmax() == 1)
        True

    References:
        Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a query-efficient black-box adversarial attack via
        random search", ECCV 2020.
    """
    check_integer("num_queries", num_queries)
    share = check_number("share", share, "(0, 1]")
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm)
    check_square_size(problem.images, norm)
    result, _ = square_run(
        problem.model,
        problem.images,
        problem.labels,
        problem.keys,
        problem.epsilon,
        jnp.ones(problem.labels.shape, bool),
        schedule_of(num_queries, bool(rescale_schedule)),
        norm,
        share,
    )
    return held_in_ball(problem.images, result, problem.epsilon, norm)


def check_square_size(images: jax.Array, norm: str) -> None:
    """Refuse images that the windows of the L2 search do not fit into."""
    height, width = images.shape[1:3]
    if norm == "l2" and min(height, width) < 3:
        raise ValueError(f"images must have at least 3×3 pixels for Square Attack in L2; got {height}×{width}.")
