"""When objects of different size and contrast enter the path.

On a flat ground, an object of height h, A of N pixels and P edges around it

- enters first at t₁ = ν/max|Du₀|, u₀ = (I + DᵀD/ν)⁻¹x, whatever ν;
- is whole at t = P/(h A (1 − A/N)) as ν → 0, the inverse scale space of total variation, if no part of it has less
  around it for its size (squares, stripes): size and contrast count alike;
- enters at √(ν(ν + 4))/h if it is wide against the reach of an edge, about 1/√ν pixels: contrast alone counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, sqrt

import jax
import jax.numpy as jnp
import numpy as np

from experiments.measures.smoothing import differences
from isvs_jax import Edges, SplitLBI, difference, smooth
from isvs_jax._checks import check_integer

LONGER = 2.0
"""Paths go on for so many times the latest time at which a first edge enters."""


@dataclass(frozen=True)
class SquareEntries:
    """When squares enter, and when they should: float64 [len(sides), len(heights)] by ν.

    Attributes:
        first: The time at which the first edge of a contour enters.
        whole: The time at which all of them have entered; infinite where that is beyond the end of the path.
        predicted: The time t₁.
        limit: The time at which squares are whole as ν → 0, the same for every ν.
    """

    first: Mapping[float, np.ndarray]
    whole: Mapping[float, np.ndarray]
    predicted: Mapping[float, np.ndarray]
    limit: np.ndarray


def square(side: int, height: float, size: int) -> np.ndarray:
    """A square on a flat ground, in the middle: float32 [size, size, 1]."""
    check_integer("side", side, 1, size - 2)
    image = np.zeros((size, size, 1), np.float32)
    start = (size - side) // 2
    image[start : start + side, start : start + side] = height
    return image


def stripe(width: int, height: float, size: int) -> np.ndarray:
    """A stripe on a flat ground, a one-dimensional object in the middle: float32 [1, size, 1]."""
    return square(width, height, size)[size // 2 : size // 2 + 1]


def first_entry(images: np.ndarray, nu: float) -> np.ndarray:
    """t₁ = ν/max|Du₀|, the time at which the first edge enters: float64 [N].

    Args:
        images: Images of one channel, float [N, H, W, 1].
        nu: The ν of the flow.
    """
    edges = difference(smooth(jnp.asarray(images), 0.0, SplitLBI(nu=nu)))
    largest = np.maximum(*(np.abs(np.asarray(field)).max((1, 2, 3), initial=0) for field in edges))
    return nu / largest.astype(np.float64)


def straight_entry(height: float, nu: float) -> float:
    """√(ν(ν + 4))/h: when a straight edge between wide regions enters."""
    return sqrt(nu * (nu + 4)) / height


def total_variation_entry(image: np.ndarray) -> float:
    """P/(h A (1 − A/N)): when an object on a flat ground is whole as ν → 0.

    Args:
        image: A flat ground at the least value and one object at the greatest, [H, W, 1].
    """
    inside = image > image.min()
    height = float(image.max() - image.min())
    around = sum(int((field != 0).sum()) for field in _outline(image))
    return around / (height * inside.sum() * (1 - inside.mean()))


def entries(images: np.ndarray, nu: float, last: float, kappa: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """When the first edge of each contour is in the support, and when all of them have been.

    By Euler steps at 95% of the stability bound; between two steps |z| is taken to be linear, which it is until the
    first edge enters.

    Args:
        images: Objects of one channel on flat grounds, float [N, H, W, 1].
        nu: The ν of the flow.
        last: The time at which the path ends.
        kappa: The κ of the flow.

    Returns:
        Two times an image, float64 [N]; infinite where they lie beyond `last`.
    """
    solver = SplitLBI(kappa=kappa, nu=nu)
    steps = ceil(last / float(solver.default_step_size))
    times = _entry_times(jnp.asarray(images), solver, last / steps, steps)
    at = _outline(images)
    first, whole = [], []
    for number in range(len(images)):
        found = np.concatenate(
            [np.asarray(field[number], np.float64)[where[number]] for field, where in zip(times, at, strict=True)]
        )
        first.append(found.min())
        whole.append(found.max())
    return np.array(first), np.array(whole)


def square_entries(nus: Sequence[float], sides: Sequence[int], heights: Sequence[float], ground: int) -> SquareEntries:
    """Follow squares of every side and height, for every ν."""
    images = np.stack([square(side, height, ground) for side, height in product(sides, heights)])
    shape = (len(sides), len(heights))
    first, whole, predicted = {}, {}, {}
    for nu in nus:
        expected = first_entry(images, nu)
        predicted[nu] = expected.reshape(shape)
        first[nu], whole[nu] = (times.reshape(shape) for times in entries(images, nu, LONGER * float(expected.max())))
    limit = np.array([total_variation_entry(image) for image in images]).reshape(shape)
    return SquareEntries(first, whole, predicted, limit)


@jax.jit
def _entry_times(images: jax.Array, solver: SplitLBI, step_size: float, steps: int) -> Edges:
    """The first time at which each edge is in the support; infinite where none is."""
    start = solver.init(images)
    never = jax.tree.map(lambda z: jnp.full_like(z, jnp.inf), start.z)

    def advance(_: int, carry: tuple) -> tuple:
        state, found = carry
        after = solver.step(images, state, step_size)

        def enter(found: jax.Array, z: jax.Array, z_after: jax.Array) -> jax.Array:
            before, now = jnp.abs(z), jnp.abs(z_after)
            share = (1 - before) / jnp.where(now > before, now - before, 1)
            time = state.time[:, None, None, None] + share * step_size
            return jnp.where((now > 1) & jnp.isinf(found), time, found)

        return after, jax.tree.map(enter, found, state.z, after.z)

    # The number of steps is traced: another ν compiles nothing.
    _, found = jax.lax.fori_loop(0, steps, advance, (start, never))
    return jax.tree.map(lambda field: jnp.moveaxis(field, -3, -1), found)


def _outline(images: np.ndarray) -> Edges:
    """Edges across which values differ, bool."""
    return Edges(*(field != 0 for field in differences(images)))
