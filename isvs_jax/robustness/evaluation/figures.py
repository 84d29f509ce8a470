"""Pictures of reports (they need matplotlib); every function returns a Figure and writes nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isvs_jax._extras import optional
from isvs_jax.robustness.evaluation._summary import summary
from isvs_jax.robustness.evaluation.comparison import check_curves, check_side_by_side, remarks
from isvs_jax.robustness.evaluation.report import Report, check_report, check_reports
from isvs_jax.robustness.text import grouped, norm_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that people with colour-blindness tell apart (Okabe and Ito).
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
_LINES = ("-", "--", ":", "-.")
_TITLE: dict[str, Any] = {"fontsize": 10, "loc": "left"}


def heat_map(report: Report) -> Figure:
    """Accuracy by corruption and severity, with the numbers in the cells.

    Raises:
        ValueError: The report holds no corruptions.
    """
    check_report(report)
    if not report.corruptions:
        raise ValueError(f"report must hold corruptions, which a heat map shows; got none in {report.name!r}.")
    names, severities = list(report.corruptions), report.severities
    values = np.full((len(names), len(severities)), np.nan)
    for row, name in enumerate(names):
        for severity, cell in report.corruptions[name].items():
            values[row, severities.index(severity)] = 100 * cell.accuracy
    figure = _figure((1.2 + 0.75 * len(severities) + 1.6, 1.3 + 0.3 * len(names)))
    axes = figure.subplots()
    shown = axes.imshow(values, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", color="black" if value > 55 else "white", size=8
        )
    axes.set_xticks(range(len(severities)), [str(severity) for severity in severities])
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=9)
    axes.set_xlabel("severity")
    means = f"clean {100 * report.clean.accuracy:.1f}, mean {100 * report.mean_accuracy(names):.1f}"
    # Over the whole figure: a long name is wider than the map.
    figure.suptitle(f"{textwrap.fill(report.name, 60)}\n{report.source} corruptions; {means}", fontsize=10)
    figure.colorbar(shown, ax=axes, label="accuracy in %")
    return figure


def epsilon_curves(reports: Sequence[Report], norm: str = "linf") -> Figure:
    """Accuracy under attack against ε, a line a model, with 95% intervals and the level of chance.

    The warnings of a curve stand below it.

    Raises:
        ValueError: None of the reports holds a curve in this norm, or their curves are of different images or steps.
    """
    reports = check_reports(reports)
    found = [(report, curve) for report in reports for curve in report.curves if curve.norm == norm]
    if not found:
        raise ValueError(f"reports must hold an ε-curve in the norm {norm!r}; got none in {len(reports)} reports.")
    check_curves([report for report, _ in found])
    figure = _figure((6.0, 3.8))
    axes = figure.subplots()
    unit, label = (255.0, "ε in 255ths") if norm == "linf" else (1.0, "ε")
    for number, ((report, curve), colour) in enumerate(zip(found, _cycled(len(found)), strict=True)):
        heights = 100 * np.array([cell.accuracy for cell in curve.cells])
        ends = 100 * np.array([cell.interval for cell in curve.cells])
        reach = np.abs(ends.T - heights)
        name = f"{report.name} ({curve.attack}, {curve.cells[0].count} images)"
        places = unit * np.array(curve.epsilons)
        # Lines of their own, so that equal curves are seen to be two.
        look: dict[str, Any] = {"linestyle": _LINES[number % len(_LINES)], "color": colour, "marker": "o"}
        axes.errorbar(places, heights, reach, markersize=4, capsize=3, label=name, **look)
    smallest = min(curve.epsilons[1] for _, curve in found if len(curve.epsilons) > 1)
    axes.set_xscale("symlog", linthresh=unit * smallest)
    ticks = sorted({unit * epsilon for _, curve in found for epsilon in curve.epsilons})
    axes.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    axes.minorticks_off()
    axes.axhline(100 * found[0][1].chance, color="0.5", linestyle="--", linewidth=1, label="chance")
    axes.set(xlabel=label, ylabel="accuracy in %", ylim=(0, 100))
    axes.set_title(f"Accuracy under attack, {norm_name(norm)}", **_TITLE)
    figure.legend(fontsize=8, loc="outside upper left")
    axes.grid(alpha=0.3)
    _footnotes(figure, [f"Warning, {report.name}: {text}" for report, curve in found for text in curve.warnings], 100)
    return figure


def bars(reports: Sequence[Report]) -> Figure:
    """Models side by side: clean, the means, fog, contrast and whatever robust accuracies all of them have.

    A bar whose figure has warnings is hatched and starred, and the warnings stand below, as does what else differs.

    Raises:
        ValueError: There are no reports, or they are of different tests, which are no comparison.
    """
    reports = check_reports(reports)
    if not reports:
        raise ValueError("reports must be one or more; got none.")
    check_side_by_side(reports)
    figures = [{figure.label: figure for figure in summary(report) if "ECE" not in figure.label} for report in reports]
    labels = [label for label in figures[0] if all(label in other for other in figures)]
    figure = _figure((max(6.0, 0.28 * len(labels) * (len(reports) + 1)), 4.2))
    axes = figure.subplots()
    width = 0.84 / len(reports)
    for index, (report, entries, colour) in enumerate(zip(reports, figures, _cycled(len(reports)), strict=True)):
        places = np.arange(len(labels)) + (index - (len(reports) - 1) / 2) * width
        heights = 100 * np.array([entries[label].value for label in labels])
        ends = 100 * np.array([entries[label].interval or (np.nan, np.nan) for label in labels])
        reach = np.abs(ends.T - heights)
        errors = {"elinewidth": 0.8, "capsize": 2}
        drawn = axes.bar(places, heights, width, yerr=reach, error_kw=errors, color=colour, label=report.name)
        for bar, label, top in zip(drawn, labels, np.nanmax([ends[:, 1], heights], axis=0), strict=True):
            if entries[label].warnings:
                bar.set_hatch("///")
                axes.text(bar.get_x() + width / 2, top, "*", ha="center", va="bottom")
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", fontsize=8)
    lowest = min(100 * entries[label].value for entries in figures for label in labels)
    axes.set(ylabel="accuracy in %", ylim=(min(0.0, lowest), 100))
    axes.set_title(f"{reports[0].source} corruptions, {reports[0].count} images; 95% intervals over examples", **_TITLE)
    figure.legend(fontsize=8, loc="outside upper left", ncols=4)
    axes.grid(axis="y", alpha=0.3)
    said: list[str] = []
    for report, entries in zip(reports, figures, strict=True):
        of_report = grouped((label, text) for label in labels for text in entries[label].warnings)
        said += [f"* {report.name} ({where}): {text}" for where, text in of_report]
    _footnotes(figure, [*said, *remarks(reports)], 170)
    return figure


def _footnotes(figure: Figure, sentences: Sequence[str], width: int) -> None:
    """Sentences below a picture, which grows by their lines."""
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, width, subsequent_indent="   ")]
    if lines:
        figure.set_figheight(figure.get_figheight() + 0.14 * len(lines))
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7)


def _figure(size: tuple[float, float]) -> Figure:
    return optional("matplotlib.figure").Figure(figsize=size, layout="constrained")


def _cycled(count: int) -> list[str]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(count)]
