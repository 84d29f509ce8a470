"""Means over several trainings of one method, which differ in their seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness.evaluation.comparison import check_same_test, remarks
from isvs_jax.robustness.evaluation.metrics import student_interval
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.summary import SHOWN_BESIDE, Statistic, relative_errors, summary
from isvs_jax.robustness.evaluation.text import listed, shape


@dataclass(frozen=True)
class Combined:
    """Means over several trainings of one method.

    Attributes:
        name: of the method.
        count: how many trainings.
        reports: the names of their reports.
        figures: means, with Student's intervals over the trainings; their warnings are those of each report, by name.
        remarks: what the trainings were tested on, and in what they differ that does not forbid the mean.
    """

    name: str
    count: int
    reports: tuple[str, ...]
    figures: tuple[Statistic, ...]
    remarks: tuple[str, ...] = ()


def combine(reports: Sequence[Report], name: str, normaliser: Normaliser | None = None) -> Combined:
    """Means over trainings of one method that differ in their seed, with Student's 95% intervals.

    Args:
        reports: two or more, of the same data, images and settings.
        name: of the method.
        normaliser: for mCE.

    Returns:
        Combined(name, count, reports, figures): the figures of `summary` and one for each corruption.

    Raises:
        ValueError: fewer than two reports, reports of different tests, or the same network twice.
    """
    if len(reports) < 2:
        raise ValueError(f"reports has {len(reports)}; an interval over trainings takes two or more.")
    check_same_test(reports)
    hashes = [report.made.get("parameters") for report in reports]
    known = [value for value in hashes if value is not None]
    if len(set(known)) != len(known):
        raise ValueError("two of the reports are of the same parameters; each may be of a training of its own.")
    tables = [[*summary(report, normaliser), *_by_corruption(report)] for report in reports]
    labels = [[figure.label for figure in table] for table in tables]
    if any(other != labels[0] for other in labels):
        lacking = sorted({label for other in labels for label in other} - set(labels[0]).intersection(*labels[1:]))
        raise ValueError(f"the reports have different figures; some lack {', '.join(lacking)}.")
    figures = []
    for column in zip(*tables, strict=True):
        values = [figure.value for figure in column]
        said = [
            f"{report.name}: {text}" for report, figure in zip(reports, column, strict=True) for text in figure.warnings
        ]
        ends = student_interval(values, 0.0, 1.0) if column[0].is_share else student_interval(values)
        mean = Statistic(column[0].label, float(np.mean(values)), ends, tuple(said), column[0].is_share)
        figures.append(mean)
    names = tuple(report.name for report in reports)
    return Combined(name, len(reports), names, tuple(figures), (*_test(reports[0], normaliser), *remarks(reports)))


def _test(report: Report, normaliser: Normaliser | None) -> list[str]:
    """What all of the trainings were tested on, as sentences."""
    found = [f"each training was tested on {report.count} images {shape(report)}."]
    if report.corruptions:
        part = "" if report.is_complete else ", which is not the benchmark's table of 15 × 5"
        found.append(
            f"{report.source} corruptions: {listed(list(report.corruptions))} at severities "
            f"{listed(report.severities)}{part}."
        )
        figures, why = relative_errors(report, normaliser)
        if figures and normaliser is not None:
            found.append(
                f"{listed([figure.label for figure in figures])} normalised by the errors of {normaliser.name}."
            )
        found += why
    for attack in report.attacks[:1]:
        found.append(
            f"robust accuracies are of the first {attack.count} images, the worst case over "
            f"{listed([name for name in attack.masks if name != 'clean'])}."
        )
    return found


def _by_corruption(report: Report) -> list[Statistic]:
    rest = [name for name in report.corruptions if name not in SHOWN_BESIDE]
    return [Statistic(name, report.mean_accuracy([name])) for name in rest]
