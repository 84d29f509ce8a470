"""Strips: images along the times of their paths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isvs_jax._checks import ArrayLike
from isvs_jax.plotting._axes import (
    as_numpy,
    as_shown,
    check_limits,
    check_names,
    figure_of,
    flat_path,
    grid_of_axes,
    outputs_along,
)
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import Output

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scale_space_strip(
    image: ArrayLike,
    path: ScaleSpace,
    outputs: Sequence[Output] = ("dense", "sparse"),
    *,
    names: Sequence[str] | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    axes: ArrayLike = None,
) -> "Figure":
    """Images along the recorded times of their paths.

    A row for each image and output: the image, then u(t) ("dense") or the projection onto the support ("sparse") at
    each time. Pixels are drawn as squares.

    Args:
        image: x, float [..., H, W, C] with C = 1 or 3; the leading axes are N images.
        path: `scale_space(image, times)`, recorded at T times.
        outputs: "dense", "sparse" or both, in the order of the rows of an image.
        names: One for each image, written beside its rows.
        limits: The values shown as black and white; values beyond them are shown as these.
        axes: matplotlib Axes, N·len(outputs) rows of 1 + T; None makes a figure.

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
