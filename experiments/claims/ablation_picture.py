"""A dot plot: differences to the base, a row for each choice."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.estimates import Estimate
from isvs_jax.plotting._axes import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dot_plot(rows: Mapping[str, Mapping[str, Estimate]], columns: Sequence[str]) -> "Figure":
    """Differences in points with their intervals, a panel for each column.

    Args:
        rows: By the name of the choice, by column, a difference in [-1, 1].
        columns: Panels, in order.
    """
    figure = new_figure((1.8 + 2.4 * len(columns), 0.9 + 0.24 * len(rows)))
    axes = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    places = np.arange(len(rows))
    for number, (ax, column) in enumerate(zip(axes, columns, strict=True)):
        cells = [row[column] for row in rows.values()]
        means = np.array([cell.mean for cell in cells])
        reach = 100 * np.array([cell.reach for cell in cells]).T
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.errorbar(100 * means, places, xerr=reach, fmt="o", color=COLOURS[number], markersize=4, elinewidth=1)
        ax.set_title(column, fontsize=9)
        ax.set_xlabel("points")
        ax.grid(alpha=0.3)
    axes[0].set_yticks(places, list(rows), fontsize=8)
    axes[0].invert_yaxis()
    return figure
