"""An image of any size, on the host: its path by bands of tiles, of which one at a time is on the device."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from isvs_jax.solver._scale_space import scale_space
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.split_lbi import SplitLBI
from isvs_jax.solver.tiles import Cuts, border_width, cut, longest_side


class Band(NamedTuple):
    """The path of some neighbouring rows of an image.

    Attributes:
        start: The number of the first row.
        dense: The dense images, [T, h, W, C].
        support: Whether the edges from these rows on have entered, bool [T, h, W − 1, K] and [T, h, W, K]; from the
            last row of the image no edge goes down, and the second has a row less.
    """

    start: int
    dense: np.ndarray
    support: Edges


def divide(height: int, width: int, solver: SplitLBI) -> tuple[Cuts, Cuts]:
    """How the rows and the columns of an image are covered by tiles; by one where it is small."""
    border = border_width(float(solver.nu), solver.tolerance)
    longest = longest_side(height, width, border, at_any_cost=True) or max(height, width)
    return cut(height, border, longest), cut(width, border, longest)


def bands(image: np.ndarray, times: Sequence[float], solver: SplitLBI = SplitLBI()) -> Iterator[Band]:
    """Follow the path of an image band by band, from the top down.

    What is held at a time is of one band: about thirty times its pixels. The images differ from those of `scale_space`
    as `SplitLBI.tiles` says.

    Args:
        image: x, float [H, W, C], usually in [0, 1], or uint8 in 0..255, of which a band at a time becomes floats.
        times: Strictly increasing times ≥ 0.
        solver: The flow and its scheme.

    Yields:
        As many bands as there are rows of tiles, each when it is computed.

    Raises:
        TypeError: `image` is neither of a floating dtype nor uint8.
        ValueError: A shape, a time or a number of the solver is out of its range.

    Example:
        >>> image = np.random.default_rng(0).random((260, 40, 1), np.float32)
        >>> path = list(bands(image, [1.0, 2.0], SplitLBI(nu=1.0)))
        >>> [band.start for band in path], np.concatenate([band.dense for band in path], axis=1).shape
        ([0, 130], (2, 260, 40, 1))
    """
    rows, columns = divide(image.shape[0], image.shape[1], solver)
    solver, last = dataclasses.replace(solver, tiles=False), image.shape[0] - 1
    for number, start in enumerate(rows.starts):
        mine = np.flatnonzero(rows.owners == number)
        tiles = np.moveaxis(image[start : start + rows.length][:, columns.inside], 1, 0)
        path = scale_space(tiles / np.float32(255) if tiles.dtype == np.uint8 else tiles, times, solver)
        within = slice(mine[0] - start, mine[-1] + 1 - start)
        # Edges down from the last row of an image do not exist.
        down = slice(within.start, within.stop - (mine[-1] == last))
        dense, *edges = (
            _side_by_side(np.asarray(field)[:, :, kept], columns)
            for field, kept in ((path.dense, within), (path.support.horizontal, within), (path.support.vertical, down))
        )
        yield Band(int(mine[0]), dense, Edges(*map(jnp.asarray, edges)))


def _side_by_side(tiles: np.ndarray, columns: Cuts) -> np.ndarray:
    """Join [T, N, h, w, K] along the columns to [T, h, W, K]; of edges, w and W are one less."""
    length = tiles.shape[3]
    lines = np.moveaxis(tiles, 1, 2)
    lines = lines.reshape(*lines.shape[:2], -1, lines.shape[-1])
    return lines[:, :, columns.places(length)[: columns.owners.size - (columns.length - length)]]
