"""Means over several trainings of one method, which differ in their seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness.report.comparison import check_same_test, remarks
from isvs_jax.robustness.report.metrics import student_interval
from isvs_jax.robustness.report.normaliser import Normaliser
from isvs_jax.robustness.report.report import Report
from isvs_jax.robustness.report.summary import SHOWN_BESIDE, Statistic, summary


@dataclass(frozen=True)
class Combined:
    """Means over several trainings of one method.

    Attributes:
        name: of the method.
        count: how many trainings.
        reports: the names of their reports.
        figures: means, with Student's intervals over the trainings; their warnings are those of each report, by name.
        remarks: in what the reports differ that does not forbid the mean.
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
        figures.append(Statistic(column[0].label, float(np.mean(values)), student_interval(values), tuple(said)))
    return Combined(name, len(reports), tuple(report.name for report in reports), tuple(figures), remarks(reports))


def _by_corruption(report: Report) -> list[Statistic]:
    rest = [name for name in report.corruptions if name not in SHOWN_BESIDE]
    return [Statistic(name, report.mean_accuracy([name])) for name in rest]
