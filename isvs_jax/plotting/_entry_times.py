"""When the edges of an image entered, as a picture."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax.plotting._axes import check_names, figure_of, flat_support, grid_of_axes
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver.edges import Edges

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Lighter than the last colour of the map, and without its hue.
_NOT_ENTERED = "#E8E8E8"
# More labels would cover each other.
_MOST_WRITTEN = 12


def entry_times(path: ScaleSpace, *, names: Sequence[str] | None = None, axes: ArrayLike = None) -> "Figure":
    """The first recorded time at which an edge of each pixel is in the support, as a picture.

    A pixel takes the earlier of its two forward edges (to the right and below; in any channel where these are not
    coupled). Dark entered first, yellow last, light grey has not entered. Between two recorded times nothing is known,
    so the colours are as many as the times; of many times some are written beside the bar.

    Args:
        path: `scale_space(image, times)`; the leading axes of its images are N pictures.
        names: One for each image, written above it.
        axes: N matplotlib Axes, one for each image; None makes a figure.

    Returns:
        The Figure, with a colour bar beside the last image.

    Raises:
        TypeError: `path` is no `ScaleSpace`, or `axes` no Axes.
        ValueError: `names` or `axes` are not as many as images.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> image = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> figure = entry_times(scale_space(image, [1.0, 4.0]))
        >>> picture = figure.axes[0].images[0].get_array()
        >>> int(picture[3, 1]), int(picture[0, 0])  # the place of the time; 2 is none of them
        (1, 2)
    """
    flat = flat_support(path)
    times, images = np.asarray(flat.times, np.float64), flat.dense.shape[1]
    names = check_names(names, images, "image")
    places = _first_places(flat.support)
    height, width = places.shape[1:]
    side = 2.6 / max(height, width)
    grid = grid_of_axes(axes, (1, images), (images * (side * width + 0.1) + 0.8, side * height + 0.3))[0]
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap

    colours = ListedColormap([*colormaps["viridis"](np.linspace(0, 1, len(times))), _NOT_ENTERED])
    norm = BoundaryNorm(np.arange(len(times) + 2) - 0.5, len(times) + 1)
    for name, place, ax in zip(names, places, grid, strict=True):
        shown = ax.imshow(place, cmap=colours, norm=norm, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=9)
    figure = figure_of(grid[0])
    every = math.ceil(len(times) / _MOST_WRITTEN)
    written = range(len(times) % every, len(times), every)
    bar = figure.colorbar(shown, ax=grid[-1], label="entered by time t", ticks=[*written, len(times)])
    bar.ax.set_yticklabels([*(f"{times[place]:.4g}" for place in written), "later"])
    bar.ax.minorticks_off()
    return figure


def _first_places(support: Edges) -> np.ndarray:
    """The index of the first time at which a forward edge of a pixel has entered, [N, H, W]; T where none did."""
    horizontal, vertical = (np.asarray(edge).any(axis=-1) for edge in support)
    count, images, height, width = *horizontal.shape[:3], vertical.shape[-1]
    entered = np.zeros((count + 1, images, height, width), bool)
    entered[:-1, :, :, :-1] |= horizontal
    entered[:-1, :, :-1, :] |= vertical
    entered[-1] = True
    return entered.argmax(axis=0)
