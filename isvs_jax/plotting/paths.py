"""Pictures of paths: the images along their times, when their edges entered, and how many have entered."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax.plotting.axes import (
    as_numpy,
    as_shown,
    check_limits,
    check_names,
    figure_of,
    flat_path,
    flat_support,
    grid_of_axes,
    look,
    one_axes,
    outputs_along,
)
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import Output
from isvs_jax.solver.edges import Edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lighter than the last colour of the map, and without its hue.
_NOT_ENTERED = "#E8E8E8"
# More labels would cover each other.
_MOST_WRITTEN = 12


def scale_space_strip(
    image: ArrayLike,
    path: ScaleSpace,
    outputs: Sequence[Output] = ("dense", "sparse"),
    *,
    names: Sequence[str] | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    axes: ArrayLike = None,
) -> "Figure":
    """Draw images along the recorded times of their paths.

    There is a row for each image and output: the image, then u(t) ("dense") or the projection onto the support
    ("sparse") at each time. Pixels are drawn as squares.

    Args:
        image: The image x, float [..., H, W, C] with C = 1 or 3; the leading axes are N images.
        path: The path `scale_space(image, times)`, recorded at T times.
        outputs: "dense", "sparse" or both, in the order of the rows of an image.
        names: The names of the images, written beside their rows.
        limits: The values shown as black and white; values beyond them are shown as these.
        axes: The matplotlib Axes, N·len(outputs) rows of 1 + T; None makes a figure.

    Returns:
        The Figure.

    Raises:
        TypeError: `image` is not of a floating dtype, `path` no `ScaleSpace`, or `axes` no Axes.
        ValueError: Shapes do not fit, the channels are neither 1 nor 3, the images lie outside of `limits`, or `path`
            is that of other images (seen by their means).
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> image = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> figure = scale_space_strip(image, scale_space(image, [1.0, 4.0]))
        >>> [axes.get_title() for axes in figure.axes[:3]]
        ['original', 't = 1', 't = 4']
    """
    image, path = flat_path(image, path)
    names = check_names(names, image.shape[0], "image")
    along = outputs_along(image, path, outputs)
    originals = as_numpy(image)
    limits = check_limits(limits, originals, "image")
    titles = ["original", *(f"t = {float(time):g}" for time in path.times)]
    rows = [
        (f"{name}\n{output}" if name else output, [original, *along[output][:, number]])
        for number, (name, original) in enumerate(zip(names, originals, strict=True))
        for output in outputs
    ]
    height, width = originals.shape[1:3]
    side = 1.5 / max(height, width)
    size = (len(titles) * (side * width + 0.05) + 0.4, len(rows) * (side * height + 0.05) + 0.3)
    grid = grid_of_axes(axes, (len(rows), len(titles)), size)
    for (label, images), row in zip(rows, grid, strict=True):
        row[0].set_ylabel(label, fontsize=9)
        for shown, ax in zip(images, row, strict=True):
            ax.imshow(**as_shown(shown, limits, "image"), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
    for title, ax in zip(titles, grid[0], strict=True):
        ax.set_title(title, fontsize=9)
    return figure_of(grid[0, 0])


def entry_times(path: ScaleSpace, *, names: Sequence[str] | None = None, axes: ArrayLike = None) -> "Figure":
    """Draw the first recorded time at which an edge of each pixel is in the support.

    A pixel takes the earlier of its two forward edges (to the right and below; in any channel where these are not
    coupled). Dark entered first, yellow last, light grey has not entered. Between two recorded times nothing is known,
    so the colours are as many as the times; of many times some are written beside the bar.

    Args:
        path: The path `scale_space(image, times)`; the leading axes of its images are N pictures.
        names: The names of the images, written above them.
        axes: The N matplotlib Axes, one for each image; None makes a figure.

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


def support_size(
    path: ScaleSpace, *, names: Sequence[str] | None = None, share: bool = False, ax: "Axes | None" = None
) -> "Figure":
    """Draw the number of entered edges |S(t)|, those with |z(t)| > 1, against time, a line for each image.

    An edge whose channels are coupled counts once, not once for each channel.

    Args:
        path: The path `scale_space(image, times)`; the leading axes of its images are N lines.
        names: The names of the images, for a legend.
        share: Whether to draw |S(t)| over the number of all edges, in per cent.
        ax: The matplotlib Axes to draw on; None makes a figure.

    Returns:
        The Figure.

    Raises:
        TypeError: `path` is no `ScaleSpace`, or `ax` no Axes.
        ValueError: `names` are not as many as images, or the path has no edges.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> image = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> figure = support_size(scale_space(image, [1.0, 4.0]))
        >>> figure.axes[0].lines[0].get_ydata().tolist()
        [0, 16]
    """
    flat = flat_support(path)
    images = flat.dense.shape[1]
    shown = check_names(names, images, "image")
    fields = [np.asarray(edge) for edge in flat.support]
    total = sum(edge[0, 0].size for edge in fields)
    if total == 0:
        raise ValueError(
            f"path must be of images with edges, of two pixels or more; got path.dense {path.dense.shape}."
        )
    entered = sum(np.count_nonzero(edge, axis=(-3, -2, -1)) for edge in fields)
    heights = 100 * entered / total if share else entered
    ax = one_axes(ax, (5.0, 3.2))
    # Lines that other calls left on these axes keep their looks.
    first = len(ax.lines)
    for number, name in enumerate(shown):
        ax.plot(np.asarray(flat.times), heights[:, number], label=name or None, **look(first + number))
    ax.set(xlabel="time t", ylabel="entered edges in %" if share else "entered edges")
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    if names is not None:
        ax.legend(fontsize=8)
    return figure_of(ax)
