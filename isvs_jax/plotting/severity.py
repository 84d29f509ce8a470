"""Accuracy against the severity of what was done to the images."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from isvs_jax._checks import ArrayLike
from isvs_jax.plotting._axes import as_values, figure_of, look, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CHANCE = "chance"


def accuracy_by_severity(
    accuracies: Mapping[str, ArrayLike],
    severities: ArrayLike = (1, 2, 3, 4, 5),
    *,
    intervals: Mapping[str, ArrayLike] | None = None,
    chance: float | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Accuracy against severity, a line for each model.

    Args:
        accuracies: By the name of the model, shares in [0, 1]: [S], or [R, S] of R trainings, whose mean is the line
            and whose least and greatest are the ends of the bars.
        severities: Strictly increasing numbers [S]; 0 may stand for the images as they are.
        intervals: By the name of the model, the lower and upper ends [S, 2] of the bars; for accuracies [S].
        chance: The accuracy of guessing, drawn as a dashed line.
        ax: The matplotlib Axes to draw on; None makes a figure.

    Returns:
        The Figure; its axis of accuracy goes from 0 to 100 per cent.

    Raises:
        TypeError: `accuracies` or `intervals` is no mapping to numbers, or `ax` no Axes.
        ValueError: Shapes do not fit, or an accuracy is not in [0, 1].
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> figure = accuracy_by_severity({"raw": [0.9, 0.7, 0.4], "path": [0.88, 0.8, 0.7]}, [1, 3, 5], chance=0.1)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['raw', 'path', 'chance']
    """
    places = as_values(severities, "severities")
    if places.ndim != 1 or places.size == 0 or not np.isfinite(places).all() or (np.diff(places) <= 0).any():
        raise ValueError(f"severities is {places.tolist()}; it may hold strictly increasing numbers.")
    if not isinstance(accuracies, Mapping):
        raise TypeError(f"accuracies is {type(accuracies).__name__}; it may be a mapping from names to accuracies.")
    if not accuracies:
        raise ValueError("accuracies is empty; it may name one model or more.")
    if intervals is not None and not isinstance(intervals, Mapping):
        raise TypeError(f"intervals is {type(intervals).__name__}; it may be a mapping from names to ends [S, 2].")
    unknown = [name for name in intervals or {} if name not in accuracies]
    if unknown:
        raise ValueError(f"intervals names {unknown}, which accuracies does not; it may name {list(accuracies)}.")
    lines = {name: _line(name, values, (intervals or {}).get(name), places.size) for name, values in accuracies.items()}
    if chance is not None:
        _check_shares(as_values(chance, "chance"), "chance")
        if np.ndim(chance) > 0:
            raise ValueError(f"chance has shape {np.shape(chance)}; it may be one number.")
    ax = one_axes(ax, (5.0, 3.4))
    # Lines that other calls left on these axes keep their looks.
    number = len(ax.get_legend_handles_labels()[1])
    for index, (name, (heights, reach)) in enumerate(lines.items()):
        bars = None if reach is None else 100 * reach
        ax.errorbar(places, 100 * heights, bars, label=name, capsize=3, elinewidth=1, **look(number + index))
    if chance is not None:
        ax.axhline(100 * chance, color="0.4", linestyle="--", linewidth=1, label=_CHANCE)
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.set(xlabel="severity", ylabel="accuracy in %", ylim=(0, 100))
    ax.grid(alpha=0.3)
    # matplotlib lists lines before bars: guessing goes to the end.
    entries = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] == _CHANCE)
    ax.legend(*zip(*entries, strict=True), fontsize=8)
    return figure_of(ax)


def _line(name: str, values: ArrayLike, interval: ArrayLike, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The line [S] of one model, and how far its bars reach down and up, [2, S]."""
    shares = as_values(values, f"accuracies[{name!r}]")
    if shares.ndim not in (1, 2) or shares.shape[-1] != count or shares.size == 0:
        raise ValueError(
            f"accuracies[{name!r}] has shape {shares.shape}; it may be [{count}], one for each severity, or "
            f"[R, {count}] of R trainings."
        )
    _check_shares(shares, f"accuracies[{name!r}]")
    if interval is None:
        if shares.ndim == 1:
            return shares, None
        mean = shares.mean(axis=0)
        return mean, np.stack([mean - shares.min(axis=0), shares.max(axis=0) - mean])
    ends = as_values(interval, f"intervals[{name!r}]")
    if shares.ndim == 2 or ends.shape != (count, 2):
        raise ValueError(
            f"intervals[{name!r}] has shape {ends.shape} and accuracies[{name!r}] {shares.shape}; they may be "
            f"[{count}, 2] and [{count}]."
        )
    _check_shares(ends, f"intervals[{name!r}]")
    reach = np.stack([shares - ends[:, 0], ends[:, 1] - shares])
    if (reach < 0).any():
        raise ValueError(f"intervals[{name!r}] is {ends.tolist()}; each may hold the accuracy between its two ends.")
    return shares, reach


def _check_shares(values: np.ndarray, name: str) -> None:
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} is {values.tolist()}; it may hold shares in [0, 1], not per cent.")
