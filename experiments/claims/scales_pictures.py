"""Pictures of hybrids, of whose class networks see in them, and of the times at which squares enter."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.estimates import Estimate
from experiments.measures.cue_conflict import Hybrids, Pairs
from experiments.measures.entry_order import SquareEntries, straight_entry
from isvs_jax.augment import View
from isvs_jax.plotting.axes import COLOURS, as_shown, look, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_PAIRS = 4
_NAMES = {
    "blur": "Gaussians",
    "lowpass": "ideal low pass",
    "rof": "total variation",
    "dense": "the path",
    "sparse": "the path, sparse",
}


def pictures(
    of: Pairs,
    made: Mapping[str, Hybrids],
    shares: Mapping[str, Mapping[str, Estimate | str]],
    squares: SquareEntries,
    sides: Sequence[int],
    heights: Sequence[float],
) -> dict[str, tuple["Figure", str]]:
    """All pictures of the claim by the name of their file, with captions."""
    return {
        "hybrids": (hybrids_figure(of, made), "Large scales of A with small scales of B, by what large scales are."),
        "shape_share": (
            shape_share_figure(shares, made),
            "The share of decisions for the class of the large scales, against the energy that these hold. A "
            "panel for each way to split; bars: 95% intervals.",
        ),
        "entry": (
            entry_figure(squares, sides, heights),
            "When squares enter against their side. Lines: t₁ as predicted; points: the first edge as measured; "
            "crosses: the last edge; dotted: a straight edge between wide regions.",
        ),
    }


def hybrids_figure(of: Pairs, made: Mapping[str, Hybrids]) -> "Figure":
    """A few pairs and their hybrids, a pair a row."""
    count = min(_PAIRS, len(of.large))
    columns = {"A": of.large, "B": of.small} | {text: hybrid.images for text, hybrid in made.items()}
    figure = new_figure((1.2 * len(columns), 1.3 * count))
    axes = figure.subplots(count, len(columns), squeeze=False)
    for column, (title, images) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(title, fontsize=8)
        for ax, image in zip(column, images, strict=False):
            ax.imshow(**as_shown(image, (0.0, 1.0), "image"), interpolation="nearest")
            ax.set_axis_off()
    return figure


def shape_share_figure(shares: Mapping[str, Mapping[str, Estimate | str]], made: Mapping[str, Hybrids]) -> "Figure":
    """Shape share against the energy of the large scales, a panel for each way to split."""
    kinds = tuple(dict.fromkeys(View.parse(text).kind for text in made))
    figure = new_figure((4.6 * len(kinds), 3.8))
    axes = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    for ax, kind in zip(axes, kinds, strict=True):
        splits = [text for text in made if View.parse(text).kind == kind]
        splits.sort(key=lambda text: made[text].large_share)
        for number, (name, row) in enumerate(shares.items()):
            found = [(100 * made[text].large_share, row[text]) for text in splits]
            known = [(place, cell) for place, cell in found if isinstance(cell, Estimate)]
            _line(ax, known, look(number) | {"label": name})
        for text in splits:
            ax.annotate(text, (100 * made[text].large_share, 1), fontsize=7, rotation=90, ha="center", va="bottom")
        ax.axhline(50, color="0.6", linewidth=0.8)
        ax.set(title=f"split by {_NAMES[kind]}", xlabel="energy of A in its large scales, %", ylim=(0, 100))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("decisions for the large scales, %")
    axes[0].legend(fontsize=8)
    return figure


def entry_figure(squares: SquareEntries, sides: Sequence[int], heights: Sequence[float]) -> "Figure":
    """Time of entry against side, a panel for each ν and a colour for each height."""
    figure = new_figure((3.4 * len(squares.first), 3.6))
    axes = figure.subplots(1, len(squares.first), squeeze=False, sharey=True)[0]
    for ax, nu in zip(axes, squares.first, strict=True):
        for column, height in enumerate(heights):
            colour = COLOURS[column % len(COLOURS)]
            ax.loglog(sides, squares.predicted[nu][:, column], color=colour, label=f"height {height:g}")
            ax.loglog(sides, squares.first[nu][:, column], "o", color=colour, markersize=4)
            ax.loglog(sides, squares.whole[nu][:, column], "x", color=colour, markersize=5)
            ax.axhline(straight_entry(height, nu), color=colour, linestyle=":", linewidth=0.9)
        ax.set_xticks(sides, [str(side) for side in sides])
        ax.set_xticks([], minor=True)
        ax.set(title=f"ν = {nu:g}", xlabel="side in pixels")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("time of entry")
    axes[0].legend(fontsize=8)
    return figure


def _line(ax: "Axes", found: Sequence[tuple[float, Estimate]], style: dict) -> None:
    if not found:
        return
    heights = 100 * np.array([cell.mean for _, cell in found])
    reach = 100 * np.array([cell.reach for _, cell in found]).T
    ax.errorbar([place for place, _ in found], heights, reach, capsize=2, elinewidth=0.8, **style)
