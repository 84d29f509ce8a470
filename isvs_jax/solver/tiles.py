"""Large images in tiles: the path of each tile with a border of its neighbours, and the tiles joined.

What a pixel does far away weighs little in the path of another: the weights of the solve (I + DᵀD/ν)⁻¹ fall by the
factor e^(−r) a pixel with 2 cosh r = 2 + ν, and so does, on photographs, what a path misses that sees its image only up
to a border. A tile that is followed with such a border stays in the caches from the first step to the last, where a
large image goes through memory at every step. Tiles lie within the image: at its edge they end with it, as the flow
does.
"""

import dataclasses
from functools import partial
from math import ceil, log
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.solver.batching import map_blocks
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.flow import Flow, FlowState
from isvs_jax.solver.plan import DEFAULT_TOLERANCE
from isvs_jax.solver.stabilised import Stabilised

# The largest difference at a border of no width, over the energy of x − mean: on photographs from 2% (ν = 3) to 8%
# (ν = 0.02), see benchmarks/tiles.py. A border is wide enough that a third of the tolerance is left of it.
_AT_NO_BORDER = 0.08
_SHARE = 1 / 3
# From so many pixels on, a pixel of a whole image costs so many times what one of a tile does, which stays in the
# caches of a CPU (benchmarks/tiles.py).
_LARGE, _WHOLE_COST = 2**19, 1.4
# The sides that tiles have, of no prime factor above 7: at 178 = 2·89 an FFT takes four times as long as at 180
# (benchmarks/transforms.py). An image of no longer sides than the longest is not divided.
_SIDES = tuple(side for side in range(64, 257) if 210**8 % side == 0)


class Cuts(NamedTuple):
    """How an axis is covered: tiles of one length that overlap, and which of them each pixel is taken from.

    Attributes:
        starts: Where the tiles begin, [n].
        length: The length of each.
        owners: The tile that each pixel is taken from, that in which it lies deepest, [size].
    """

    starts: np.ndarray
    length: int
    owners: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """The pixels of each tile, [n, length]."""
        return self.starts[:, None] + np.arange(self.length)

    def places(self, length: int) -> np.ndarray:
        """Where each pixel is found when tiles of `length` entries lie one after another, [size]."""
        return self.owners * length + np.arange(self.owners.size) - self.starts[self.owners]


def cut(size: int, border: int, longest: int) -> Cuts:
    """Cover an axis by the fewest tiles up to a length, in which each pixel has its neighbours or the image's edge.

    Args:
        size: The number of pixels.
        border: The number of neighbours that a pixel has in its tile on either side, at least.
        longest: The greatest length of a tile, more than twice the border.
    """
    count = 1 if size <= longest else ceil((size - 2 * border) / (longest - 2 * border))
    least = ceil((size + 2 * border * (count - 1)) / count)
    length = size if count == 1 else next((side for side in _SIDES if least <= side <= longest), least)
    starts = np.rint(np.linspace(0, size - length, count)).astype(int)
    # Between two tiles, the middle of what both hold parts their pixels.
    parts = (starts[1:] + starts[:-1] + length + 1) // 2
    return Cuts(starts, length, np.searchsorted(parts, np.arange(size), side="right"))


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["steps", "border", "longest"])
@dataclasses.dataclass(frozen=True)
class Tiled:
    """Stabilised steps of an image in tiles.

    Attributes:
        steps: The steps of each tile, from its own first entry; static.
        border: The neighbours that a pixel has in its tile on either side, where the image has them; static.
        longest: The longest side of a tile; static.
    """

    steps: Stabilised
    border: int
    longest: int

    def reaches(self, flow: Flow, times: jax.Array) -> jax.Array:
        """Whether each time can be trusted; see `Stabilised.reaches`."""
        return self.steps.reaches(flow, times)

    def state(self, flow: Flow, planar: jax.Array, time: jax.Array) -> FlowState:
        """The state at a time, a scalar or one per image."""
        return jax.tree.map(lambda leaf: leaf[0], self.states(flow, planar, time[None]))

    def states(self, flow: Flow, planar: jax.Array, times: jax.Array) -> FlowState:
        """The states at some times; see `Stabilised.states`.

        The tiles are followed some at a time; what is held of all of them is what is recorded.
        """
        rows, columns = self.cuts(*planar.shape[-2:])
        tiles = tiles_of(planar, rows, columns)
        leading = tiles.shape[:-3]
        times = times.reshape(*times.shape, *(1 for _ in range(len(leading) + 1 - times.ndim)))
        each = jnp.moveaxis(jnp.broadcast_to(times, (times.shape[0], *leading)), 0, -1)

        def of_block(tiles: jax.Array, *each: jax.Array) -> tuple[jax.Array, Edges]:
            states = self.steps.states(flow, tiles, jnp.stack(each))
            return states.u, states.z

        moments = (each[..., index] for index in range(times.shape[0]))
        u, z = map_blocks(of_block, tiles, *moments, axis=1, copies=times.shape[0])
        moments_of_images = jnp.broadcast_to(times[..., 0], (times.shape[0], *planar.shape[:-3]))
        return FlowState(moments_of_images, joined(u, rows, columns), joined_edges(z, rows, columns))

    def solves(self, num_times: int = 1) -> int:
        """The number of solves of a path, at most."""
        return self.steps.solves(num_times)

    def cuts(self, height: int, width: int) -> tuple[Cuts, Cuts]:
        """How the rows and the columns of an image are covered."""
        return cut(height, self.border, self.longest), cut(width, self.border, self.longest)


def tiles_of(planar: jax.Array, rows: Cuts, columns: Cuts) -> jax.Array:
    """The tiles of images [..., C, H, W] as [..., N, C, h, w], row by row."""
    tiles = jnp.take(jnp.take(planar, rows.inside, axis=-2), columns.inside, axis=-1)
    tiles = jnp.moveaxis(tiles, (-4, -2), (-5, -4))
    return tiles.reshape(*planar.shape[:-3], -1, *tiles.shape[-3:])


def joined(tiles: jax.Array, rows: Cuts, columns: Cuts) -> jax.Array:
    """The images [..., C, H, W] of tiles [..., N, C, h, w]: each pixel from the tile in which it lies deepest.

    Edges are joined alike, an edge from the tile of its first pixel: [..., N, C, h, w − 1] to [..., C, H, W − 1].
    """
    height, width = tiles.shape[-2:]
    grid = tiles.reshape(*tiles.shape[:-4], rows.starts.size, columns.starts.size, *tiles.shape[-3:])
    lines = jnp.moveaxis(grid, (-5, -4), (-4, -2))
    lines = lines.reshape(*lines.shape[:-4], rows.starts.size * height, columns.starts.size * width)
    tall, wide = (
        cuts.places(length)[: cuts.owners.size - (cuts.length - length)]
        for cuts, length in ((rows, height), (columns, width))
    )
    return jnp.take(jnp.take(lines, tall, axis=-2), wide, axis=-1)


def joined_edges(tiles: Edges, rows: Cuts, columns: Cuts) -> Edges:
    """The edges of the images of tiles."""
    return Edges(*(joined(edges, rows, columns) for edges in tiles))


def border_width(nu: float, tolerance: float | None) -> int:
    """The border that leaves a third of the tolerance, ln(0.08/(tolerance/3))/r with 2 cosh r = 2 + ν."""
    left = _SHARE * (DEFAULT_TOLERANCE if tolerance is None else tolerance)
    return max(1, ceil(max(0.0, log(_AT_NO_BORDER / left)) / np.arccosh(1 + nu / 2)))


def longest_side(height: int, width: int, border: int, *, at_any_cost: bool = False) -> int | None:
    """The longest side of the tiles that cost least on a CPU.

    None where an image is too small to be divided or the border too wide, or, unless `at_any_cost`, where it costs less
    in one piece.
    """

    def cost(longest: int) -> float:
        rows, columns = cut(height, border, longest), cut(width, border, longest)
        return rows.starts.size * rows.length * columns.starts.size * columns.length / (height * width)

    if max(height, width) <= _SIDES[-1] or (height * width < _LARGE and not at_any_cost):
        return None
    best = min((side for side in _SIDES if side > 2 * border), key=cost, default=None)
    return best if best is not None and (at_any_cost or cost(best) < _WHOLE_COST) else None
