"""Certified accuracy against the radius."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax.plotting.axes import as_values, figure_of, look, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def certified_accuracy(radii: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Figure:
    """Draw the share of images that are certified to be classified right at each radius, a line for each model.

    Args:
        radii: By the name of the model the certified radius of every image [N], in L2, NaN or negative where the
            prediction is wrong or missing.
        ax: The matplotlib Axes to draw on; None makes a figure.

    Returns:
        The Figure.

    Raises:
        TypeError: `radii` is no mapping to numbers, or `ax` no Axes.
        ValueError: There is no model, or no image of one.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> figure = certified_accuracy({"path": [0.5, 0.2, -1.0, 0.3]})
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['path']
    """
    if not isinstance(radii, Mapping):
        raise TypeError(f"radii must be a mapping from names to radii; got {type(radii).__name__}.")
    if not radii:
        raise ValueError("radii must name one model or more; got none.")
    lines = {name: _steps(name, values) for name, values in radii.items()}
    ax = one_axes(ax, (5.0, 3.4))
    number = len(ax.lines)
    for index, (name, (places, shares)) in enumerate(lines.items()):
        style: dict[str, Any] = look(number + index) | {"marker": ""}
        ax.plot(places, 100 * shares, drawstyle="steps-pre", label=name, **style)
    ax.set(xlabel="radius in L2, on the scale of [0, 1]", ylabel="certified accuracy in %", ylim=(0, 100))
    ax.set_xlim(left=0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure_of(ax)


def _steps(name: str, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The radii at which the share falls, and the share up to each of them."""
    found = as_values(values, f"radii[{name!r}]")
    if found.ndim != 1 or not found.size:
        raise ValueError(f"radii[{name!r}] must be [N], one for each image; got shape {found.shape}.")
    places = np.sort(found[found >= 0])
    shares = np.arange(places.size, -1, -1) / found.size
    # From 0 on, the share falls beyond each radius, after the last one to none.
    end = places[-1] if places.size else 0.0
    return np.concatenate([[0.0], places, [end]]), np.concatenate([shares[:1], shares[:-1], [0.0]])
