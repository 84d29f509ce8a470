"""Curves of what a path or a model reaches: error against time, accuracy against severity."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from isvs_jax._checks import ArrayLike, check_choice
from isvs_jax.plotting.axes import (
    as_numpy,
    as_values,
    concrete_image,
    figure_of,
    flat_path,
    look,
    one_axes,
    outputs_along,
)
from isvs_jax.solver._scale_space import ScaleSpace
from isvs_jax.solver._smooth import Output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Measure = Literal["psnr", "rmse"]
_LABELS = {"psnr": "PSNR in dB", "rmse": "root mean square error"}
_CHANCE = "chance"


def denoising_curves(
    noisy: ArrayLike,
    clean: ArrayLike,
    path: ScaleSpace,
    outputs: Sequence[Output] = ("dense", "sparse"),
    *,
    measure: Measure = "psnr",
    name: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw how near the path of a noisy image comes to the clean one, against time.

    "rmse" is the root of the mean of (u − clean)², "psnr" is −20 log₁₀ of that: the peak is 1. Of several images the
    line is the mean of the measure, and the band goes from the least to the greatest. A cross marks the best recorded
    time; the horizontal line is the noisy image itself.

    Args:
        noisy: The images that the path was made of, float [..., H, W, C].
        clean: The same images without noise, of the same shape.
        path: The path `scale_space(noisy, times)`.
        outputs: "dense", "sparse" or both, a line each.
        measure: The measure, "psnr" or "rmse".
        name: A name that goes before those of the lines in the legend, for several calls on one Axes.
        ax: The matplotlib Axes to draw on; None makes a figure.

    Returns:
        The Figure.

    Raises:
        TypeError: `noisy` or `clean` is not of a floating dtype, `path` no `ScaleSpace`, or `ax` no Axes.
        ValueError: Shapes do not fit, a choice is unknown, `path` is that of other images (seen by their means), or a
            PSNR is infinite because images are equal.
        ModuleNotFoundError: matplotlib is not installed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from isvs_jax import scale_space
        >>> clean = jnp.zeros((8, 8, 1)).at[2:6, 2:6].set(1.0)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> figure = denoising_curves(noisy, clean, scale_space(noisy, [1.0, 4.0]))
        >>> [text.get_text().split(",")[0] for text in figure.axes[0].get_legend().get_texts()]
        ['noisy', 'dense', 'sparse']
    """
    check_choice("measure", measure, get_args(Measure))
    noisy, clean = concrete_image(noisy, "noisy"), concrete_image(clean, "clean")
    if clean.shape != noisy.shape:
        raise ValueError(f"clean must have the shape of noisy, {noisy.shape}; got shape {clean.shape}.")
    noisy, path = flat_path(noisy, path, "noisy")
    reference = as_numpy(clean.reshape(noisy.shape)).astype(np.float64)
    along = outputs_along(noisy, path, outputs)
    untouched = _distances(as_numpy(noisy), reference, measure).mean()
    curves = {output: _distances(images, reference, measure) for output, images in along.items()}
    times = np.asarray(path.times)
    before = f"{name}, " if name else ""
    ax = one_axes(ax, (5.0, 3.4))
    # Lines that other calls left on these axes keep their looks.
    number = len(ax.lines)
    ax.axhline(untouched, label=f"{before}noisy, {_number(untouched, measure)}", **look(number) | {"marker": ""})
    for index, (output, values) in enumerate(curves.items()):
        mean = values.mean(axis=1)
        best = int(mean.argmax() if measure == "psnr" else mean.argmin())
        style = look(number + 1 + index)
        label = f"{before}{output}, {_number(mean[best], measure)} at t = {times[best]:g}"
        ax.plot(times, mean, label=label, **style)
        ax.scatter(times[best], mean[best], s=90, marker="x", color=style["color"], linewidths=2, zorder=3)
        if values.shape[1] > 1:
            ax.fill_between(
                times, values.min(axis=1), values.max(axis=1), color=style["color"], alpha=0.15, linewidth=0
            )
    ax.set(xlabel="time t", ylabel=_LABELS[measure])
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure_of(ax)


def _distances(images: np.ndarray, reference: np.ndarray, measure: Measure) -> np.ndarray:
    """The measure of every image [..., N, H, W, C] against [N, H, W, C], in float64."""
    error = np.sqrt(np.square(images - reference).mean(axis=(-3, -2, -1)))
    if measure == "rmse":
        return error
    if not error.all():
        raise ValueError(
            "noisy must differ from clean, or the PSNR is infinite; got equal images. measure='rmse' draws them."
        )
    return -20 * np.log10(error)


def _number(value: float, measure: Measure) -> str:
    return f"{value:.1f} dB" if measure == "psnr" else f"{value:.3g}"


def accuracy_by_severity(
    accuracies: Mapping[str, ArrayLike],
    severities: ArrayLike = (1, 2, 3, 4, 5),
    *,
    intervals: Mapping[str, ArrayLike] | None = None,
    chance: float | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw accuracy against severity, a line for each model.

    Args:
        accuracies: The accuracies by the name of the model, shares in [0, 1]: [S], or [R, S] of R trainings, whose mean
            is the line and whose least and greatest are the ends of the bars.
        severities: Strictly increasing numbers [S]; 0 may stand for the images as they are.
        intervals: The lower and upper ends [S, 2] of the bars by the name of the model, for accuracies [S].
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
        raise ValueError(f"severities must hold strictly increasing numbers; got {places.tolist()}.")
    if not isinstance(accuracies, Mapping):
        raise TypeError(f"accuracies must be a mapping from names to accuracies; got {type(accuracies).__name__}.")
    if not accuracies:
        raise ValueError("accuracies must name one model or more; got none.")
    if intervals is not None and not isinstance(intervals, Mapping):
        raise TypeError(f"intervals must be a mapping from names to ends [S, 2]; got {type(intervals).__name__}.")
    unknown = [name for name in intervals or {} if name not in accuracies]
    if unknown:
        raise ValueError(f"intervals must name models of accuracies, {list(accuracies)}; got {unknown}.")
    lines = {name: _line(name, values, (intervals or {}).get(name), places.size) for name, values in accuracies.items()}
    if chance is not None:
        _check_shares(as_values(chance, "chance"), "chance")
        if np.ndim(chance) > 0:
            raise ValueError(f"chance must be one number; got shape {np.shape(chance)}.")
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
            f"accuracies[{name!r}] must be [{count}], one for each severity, or [R, {count}] of R trainings; got shape "
            f"{shares.shape}."
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
            f"intervals[{name!r}] must be [{count}, 2] for accuracies [{count}]; got shapes {ends.shape} and "
            f"{shares.shape}."
        )
    _check_shares(ends, f"intervals[{name!r}]")
    reach = np.stack([shares - ends[:, 0], ends[:, 1] - shares])
    if (reach < 0).any():
        raise ValueError(f"intervals[{name!r}] must hold the accuracy between its two ends; got {ends.tolist()}.")
    return shares, reach


def _check_shares(values: np.ndarray, name: str) -> None:
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} must hold shares in [0, 1], not per cent; got {values.tolist()}.")
