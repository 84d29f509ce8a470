"""Square Attack: random search with square windows, without gradients."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.attacks._checks import check_ball, check_count, check_problem
from isvs_jax.robustness.attacks._losses import margin
from isvs_jax.robustness.attacks._model import LogitsFn, Model, is_correct
from isvs_jax.robustness.attacks._norms import project

# Queries after which the share of pixels in the window is halved, for a budget of 10,000.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def window_sides(num_queries: int, height: int, width: int, norm: str, share: float, rescale: bool) -> np.ndarray:
    """Side of the square window of each query, integers [num_queries]."""
    queries = np.arange(num_queries)
    if rescale:
        queries = (queries / num_queries * 10000).astype(int)
    shares = share / 2.0 ** np.searchsorted(_HALVINGS, queries, side="left")
    sides = np.round(np.sqrt(shares * height * width)).astype(int)
    if norm == "l2":
        # Odd sides of three and more: the bump has a middle.
        sides = np.maximum(sides, 3)
        sides += 1 - sides % 2
    return np.clip(sides, 1, min(height, width)).astype(np.int32)


def _bump_half(rows: int, columns: int) -> np.ndarray:
    """Sum of nested boxes around the middle, the k-th of weight 1/k²."""
    middle_row, middle_column = rows // 2, columns // 2
    layers = max(middle_row, middle_column) + 1
    i, j = np.mgrid[:rows, :columns]
    ring = np.maximum(np.abs(i - middle_row), np.abs(j - middle_column))
    weights = 1.0 / np.arange(1, layers + 1) ** 2
    # A pixel of ring r lies in the boxes r, r + 1, ...
    inside = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
    return inside[np.minimum(ring, layers)]


def bump(side: int) -> np.ndarray:
    """Two opposite bumps side by side, [side, side], of L2 norm one."""
    first, second = _bump_half(side // 2, side), _bump_half(side - side // 2, side)
    halves = [h / max(float(np.linalg.norm(h)), 1e-12) for h in (first, second)]
    both = np.concatenate([halves[0], -halves[1]])
    return both / np.linalg.norm(both)


def _bump_table(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bumps of all sides, padded to the largest, and the row of the table for each query."""
    distinct, rows = np.unique(sides, return_inverse=True)
    table = np.zeros((len(distinct), int(distinct[-1]), int(distinct[-1])))
    for row, side in enumerate(distinct):
        table[row, :side, :side] = bump(int(side))
    return table, rows.astype(np.int32)


class State(NamedTuple):
    """What the search carries: the accepted image and its margin loss [B] (positive: correct)."""

    query: jax.Array
    images: jax.Array
    loss: jax.Array


def _window(corner: jax.Array, side: jax.Array, height: int, width: int) -> jax.Array:
    """Mask [H, W, 1] of the square of that side below and right of the corner."""
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    inside_rows = (rows >= corner[0]) & (rows < corner[0] + side)
    return (inside_rows & (columns >= corner[1]) & (columns < corner[1] + side))[..., None]


def _corner(key: jax.Array, side: jax.Array, height: int, width: int) -> jax.Array:
    return jax.random.randint(key, (2,), 0, jnp.array([height, width]) - side + 1)


def _signs(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    return jax.random.rademacher(key, shape, jnp.int8).astype(dtype)


def _stripes(key: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    """The L∞ start: every column of every channel up or down by epsilon."""
    signs = _signs(key, (1, *image.shape[1:]), image.dtype)
    return jnp.clip(image + epsilon * signs, 0.0, 1.0)


def _propose_linf(
    key: jax.Array, current: jax.Array, image: jax.Array, epsilon: jax.Array, side: jax.Array
) -> jax.Array:
    """Move a window of constant colour to one corner of the cube."""
    place_key, sign_key = jax.random.split(key)
    height, width, channels = image.shape
    window = _window(_corner(place_key, side, height, width), side, height, width)
    step = 2 * epsilon * _signs(sign_key, (1, 1, channels), image.dtype)
    moved = jnp.where(window, current + step, current)
    return jnp.clip(jnp.clip(moved, image - epsilon, image + epsilon), 0.0, 1.0)


def _to_sphere(delta: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    length = jnp.sqrt(jnp.sum(delta**2))
    return jnp.clip(image + delta * (epsilon / jnp.where(length > 0, length, 1.0)), 0.0, 1.0)


def _tiles(key: jax.Array, image: jax.Array, epsilon: jax.Array) -> jax.Array:
    """The L2 start: a grid of bumps of random sign."""
    height, width, channels = image.shape
    side = max(min(height, width) // 5, 1)
    down, across = height // side, width // side
    sign_key, turn_key = jax.random.split(key)
    signs = _signs(sign_key, (down, 1, across, 1, channels), image.dtype)
    tile = jnp.asarray(bump(side), image.dtype)
    turned = jax.random.bernoulli(turn_key, 0.5, (down, 1, across, 1))
    tiles = jnp.where(turned, tile.T[None, :, None, :], tile[None, :, None, :])
    grid = (tiles[..., None] * signs).reshape(down * side, across * side, channels)
    delta = jnp.zeros_like(image).at[: down * side, : across * side].set(grid)
    return _to_sphere(delta, image, epsilon)


def _propose_l2(
    key: jax.Array,
    current: jax.Array,
    image: jax.Array,
    epsilon: jax.Array,
    side: jax.Array,
    tile: jax.Array,
) -> jax.Array:
    """Take the energy of one window and put it, with a bump, into another."""
    place_key, other_key, sign_key, turn_key = jax.random.split(key, 4)
    height, width, channels = image.shape
    delta = current - image
    place = _corner(place_key, side, height, width)
    window = _window(place, side, height, width)
    emptied = _window(_corner(other_key, side, height, width), side, height, width)

    tile = jnp.where(jax.random.bernoulli(turn_key), tile.T, tile)
    canvas = jnp.zeros((height + tile.shape[0], width + tile.shape[1]), image.dtype)
    # Beyond its side the padded tile is zero, so that what hangs over the window adds nothing.
    shape = jax.lax.dynamic_update_slice(canvas, tile, (place[0], place[1]))[:height, :width, None]

    def channel_norm(values: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(values**2, axis=(0, 1), keepdims=True))

    tiny = jnp.asarray(1e-12, image.dtype)
    old = jnp.where(window, delta, 0.0)
    new = shape * _signs(sign_key, (1, 1, channels), image.dtype) + old / (channel_norm(old) + tiny)
    spare = jnp.maximum(epsilon**2 - jnp.sum(delta**2), 0.0) / channels
    taken = channel_norm(jnp.where(window | emptied, delta, 0.0))
    new = new / (channel_norm(new) + tiny) * jnp.sqrt(spare + taken**2)
    delta = jnp.where(window, new, jnp.where(emptied, 0.0, delta))
    return _to_sphere(delta, image, epsilon)


def _judged(model: Model, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Label's lead over the best other logit, [B]; not positive where misclassified."""
    logits = model.judge(images)
    lead = -margin(logits, labels, labels)
    # A tie that argmax gives to the label counts as correct, as everywhere else.
    lead = jnp.where(is_correct(logits, labels), jnp.maximum(lead, jnp.finfo(lead.dtype).tiny), lead)
    return jnp.where(jnp.all(jnp.isfinite(logits), axis=1), lead, -jnp.inf)


_STATIC = ("norm", "num_queries", "share", "rescale")


@functools.partial(jax.jit, static_argnames=_STATIC)
def square_run(
    model: Model,
    images: jax.Array,
    labels: jax.Array,
    keys: jax.Array,
    epsilon: jax.Array,
    active: jax.Array,
    norm: str,
    num_queries: int,
    share: float,
    rescale: bool,
) -> tuple[jax.Array, jax.Array]:
    """One search from one start; returns the accepted images and their losses [B]."""
    height, width = images.shape[1:3]
    sides = window_sides(num_queries, height, width, norm, share, rescale)
    table, rows = _bump_table(sides) if norm == "l2" else (np.zeros((1, 1, 1)), sides * 0)
    tiles, tile_of = jnp.asarray(table, images.dtype), jnp.asarray(rows)
    side_of = jnp.asarray(sides)

    def propose(query: jax.Array, current: jax.Array) -> jax.Array:
        query_keys = jax.vmap(lambda k: jax.random.fold_in(k, query + 1))(keys)
        side = side_of[query]
        if norm == "linf":
            make = functools.partial(_propose_linf, epsilon=epsilon, side=side)
        else:
            tile = tiles[tile_of[query]]
            make = functools.partial(_propose_l2, epsilon=epsilon, side=side, tile=tile)
        proposed = jax.vmap(make)(query_keys, current, images)
        return project(proposed, images, epsilon, norm)

    def advance(state: State) -> State:
        proposed = propose(state.query, state.images)
        loss = _judged(model, proposed, labels)
        accepted = (loss < state.loss) & (state.loss > 0)
        return State(
            state.query + 1,
            jnp.where(accepted[:, None, None, None], proposed, state.images),
            jnp.where(accepted, loss, state.loss),
        )

    clean_loss = _judged(model, images, labels)
    start_keys = jax.vmap(lambda k: jax.random.fold_in(k, 0))(keys)
    start = functools.partial(_stripes if norm == "linf" else _tiles, epsilon=epsilon)
    begin = project(jax.vmap(start)(start_keys, images), images, epsilon, norm)
    # A clean image that is misclassified already stays as it is.
    begin = jnp.where((clean_loss > 0)[:, None, None, None], begin, images)
    state = State(jnp.zeros((), jnp.int32), begin, _judged(model, begin, labels))
    state = jax.lax.while_loop(lambda s: (s.query < num_queries) & jnp.any(active & (s.loss > 0)), advance, state)
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

    The loss is the margin f_y(x) − max_{j≠y} f_j(x). Each query changes a square window of the
    perturbation: for L∞ to ±ε in each channel, for L2 by moving energy from one window to another.
    It is kept where the loss falls. The window starts with 80% of the pixels and is halved on a
    fixed schedule. No gradient is asked for, so masked or shattered gradients do not help.

    An example that is solved is frozen; the search ends when all are. The batch keeps its shape, so
    a query costs the same while one example is left.

    Args:
        logits_fn: the model, from images [B, H, W, C] in [0, 1] to logits [B, K]; it need not be
            differentiable. The same function object compiles once; the arrays of a
            `jax.tree_util.Partial` are traced.
        images: float32 or float64 [B, H, W, C] in [0, 1].
        labels: integers [B] in 0 to K − 1.
        key: a PRNG key; each image draws from its own, by its place in the batch.
        epsilon: radius of the ball, at least 0; may be traced.
        norm: "linf" or "l2" (which needs images of at least 3 × 3 pixels).
        num_queries: windows tried (static); the start is one query more.
        share: share of the pixels in the first windows, in (0, 1] (static).
        rescale_schedule: stretch the schedule, made for 10,000 queries, to num_queries. False, as
            in AutoAttack, keeps it and stops early in it.

    Returns:
        Adversarial images, shape and dtype of images: the last accepted. Logits that are not finite
        count as misclassified.

    Raises:
        ValueError: for values, shapes or choices that are not as said above.
        TypeError: for integer images or labels that are not integers.
        AssertionError: should the result leave the ball or the box.

    >>> import jax, jax.numpy as jnp
    >>> logits_fn = lambda x: jnp.stack([x.mean((1, 2, 3)), 0.9 - x.mean((1, 2, 3))], axis=1)
    >>> image = jnp.full((1, 4, 4, 1), 0.5)
    >>> moved = square(
    ...     logits_fn, image, jnp.array([0]), jax.random.key(0), epsilon=0.1, num_queries=200
    ... )
    >>> bool(logits_fn(moved).argmax() == 1)
    True

    References:
        Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a query-efficient black-box
        adversarial attack via random search", ECCV 2020.
    """
    check_count("num_queries", num_queries)
    if not 0.0 < share <= 1.0 or math.isnan(share):
        raise ValueError(f"share is {share}; it must be greater than 0 and at most 1.")
    problem = check_problem(logits_fn, images, labels, key, epsilon, norm)
    check_square_size(problem.images, norm)
    result, _ = square_run(
        problem.model,
        problem.images,
        problem.labels,
        problem.keys,
        problem.epsilon,
        jnp.ones(problem.labels.shape, bool),
        norm,
        num_queries,
        float(share),
        bool(rescale_schedule),
    )
    check_ball(problem.images, result, problem.epsilon, norm)
    return result


def check_square_size(images: jax.Array, norm: str) -> None:
    """Refuse images that the windows of the L2 search do not fit into."""
    height, width = images.shape[1:3]
    if norm == "l2" and min(height, width) < 3:
        raise ValueError(f"images has {height} × {width} pixels; Square Attack in L2 needs at least 3 × 3.")
