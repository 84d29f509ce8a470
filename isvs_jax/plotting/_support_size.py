"""How much of an image has entered, against time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isvs_jax.plotting._axes import check_names, figure_of, flat_support, look, one_axes
from isvs_jax.solver._scale_space import ScaleSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def support_size(
    path: ScaleSpace, *, names: Sequence[str] | None = None, share: bool = False, ax: "Axes | None" = None
) -> "Figure":
    """The number of entered edges against time, a line for each image.

    |S(t)|, the edges with |z(t)| > 1. An edge whose channels are coupled counts once, not once a channel.

    Args:
        path: `scale_space(image, times)`; the leading axes of its images are N lines.
        names: One for each image; they go to a legend.
        share: Draw |S(t)| over the number of all edges, in per cent.
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
        raise ValueError(f"path.dense has shape {path.dense.shape}: images of one pixel have no edges to count.")
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
