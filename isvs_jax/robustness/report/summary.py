"""The figures of a report, one after another, and their means over several trainings of one method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness.report.metrics import (
    mean_corruption_error,
    relative_corruption_error,
    student_interval,
)
from isvs_jax.robustness.report.normaliser import Normaliser
from isvs_jax.robustness.report.results import Report
from isvs_jax.robustness.resolution import chance_corrected

ALL = "all corruptions"
SHOWN_BESIDE = ("fog", "contrast")
"""The corruptions that smoothing and adversarial training usually lose, shown beside every mean."""


@dataclass(frozen=True)
class Statistic:
    """One figure of a summary, with a 95% interval where there is one."""

    label: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Combined:
    """Means over several trainings of one method.

    Attributes:
        name: of the method.
        count: how many trainings.
        reports: the names of their reports.
        figures: means, with Student's intervals over the trainings.
    """

    name: str
    count: int
    reports: tuple[str, ...]
    figures: tuple[Statistic, ...]


def corruption_means(report: Report) -> tuple[Statistic, ...]:
    """Mean accuracy over all corruptions and over each category, then fog and contrast."""
    if not report.corruptions:
        return ()
    groups = {ALL: list(report.corruptions)} | report.groups()
    groups |= {name: [name] for name in SHOWN_BESIDE if name in report.corruptions}
    return tuple(
        Statistic(label, report.mean_accuracy(names), report.mean_accuracy_interval(names))
        for label, names in groups.items()
    )


def relative_errors(report: Report, normaliser: Normaliser | None) -> tuple[tuple[Statistic, ...], tuple[str, ...]]:
    """MCE and relative mCE, and why one of them is left out, as sentences."""
    if not report.corruptions:
        return (), ()
    if normaliser is None:
        return (), ("mCE is left out: it is relative to the errors of a reference network, and none was given.",)
    if normaliser.severities != report.severities:
        return (), (
            f"mCE is left out: the normaliser {normaliser.name} is of severities {_listed(normaliser.severities)}, "
            f"this report of {_listed(report.severities)}.",
        )
    missing = [name for name in report.corruptions if name not in normaliser.errors]
    if missing:
        return (), (f"mCE is left out: the normaliser {normaliser.name} lacks {', '.join(missing)}.",)
    errors = report.corruption_errors()
    figures = [Statistic("mCE", mean_corruption_error(errors, normaliser.errors))]
    if normaliser.clean_error is None:
        why = f"Relative mCE is left out: the clean error of the normaliser {normaliser.name} is not known."
        return tuple(figures), (why,)
    relative = relative_corruption_error(errors, 1 - report.clean.accuracy, normaliser.errors, normaliser.clean_error)
    return (*figures, Statistic("relative mCE", relative)), ()


def calibration(report: Report) -> tuple[Statistic, ...]:
    """Expected calibration error on clean images, and its mean over the corrupted cells."""
    figures = [] if report.clean.ece is None else [Statistic("ECE, clean", report.clean.ece)]
    corrupted = [cell.ece for row in report.corruptions.values() for cell in row.values()]
    known = [value for value in corrupted if value is not None]
    if known and len(known) == len(corrupted):
        figures.append(Statistic("ECE, mean over the corrupted cells", float(np.mean(known))))
    return tuple(figures)


def summary(report: Report, normaliser: Normaliser | None = None) -> tuple[Statistic, ...]:
    """Every figure of a report that stands for many cells or for the whole; accuracies and ECE in [0, 1]."""
    figures = [Statistic("clean", report.clean.accuracy, report.clean.interval), *corruption_means(report)]
    figures += [*relative_errors(report, normaliser)[0], *calibration(report)]
    for attack in report.attacks:
        label = f"robust, {norm_name(attack.norm)}, ε = {radius(attack.epsilon)}"
        figures.append(Statistic(label, attack.worst.accuracy, attack.worst.interval))
    if report.resolutions:
        accuracies = np.array([entry.cell.accuracy for entry in report.resolutions])
        figures.append(Statistic("low resolution, mean", float(accuracies.mean())))
        corrected = np.array([float(chance_corrected(value, report.num_classes)) for value in accuracies])
        figures.append(Statistic("low resolution, chance-corrected", float(corrected.mean())))
    return tuple(figures)


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
    for report in reports[1:]:
        for what, ours, first in _compared(report, reports[0]):
            if ours != first:
                raise ValueError(
                    f"the reports {reports[0].name!r} and {report.name!r} differ in {what}: {first} and {ours}."
                )
    hashes = [report.made.get("parameters") for report in reports]
    known = [value for value in hashes if value is not None]
    if len(set(known)) != len(known):
        raise ValueError("two of the reports are of the same parameters; each may be of a training of its own.")
    tables = [[*summary(report, normaliser), *_by_corruption(report)] for report in reports]
    figures = []
    for column in zip(*tables, strict=True):
        values = [figure.value for figure in column]
        figures.append(Statistic(column[0].label, float(np.mean(values)), student_interval(values)))
    return Combined(name, len(reports), tuple(report.name for report in reports), tuple(figures))


def _by_corruption(report: Report) -> list[Statistic]:
    rest = [name for name in report.corruptions if name not in SHOWN_BESIDE]
    return [Statistic(name, report.mean_accuracy([name])) for name in rest]


def _compared(report: Report, first: Report) -> list[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("the data", report.made.get("data"), first.made.get("data")),
        ("the source of the corrupted images", report.source, first.source),
        ("the images", (report.count, report.image_shape), (first.count, first.image_shape)),
    ]
    names = sorted(set(report.settings) | set(first.settings))
    return pairs + [(f"the setting {name}", report.settings.get(name), first.settings.get(name)) for name in names]


def norm_name(norm: str) -> str:
    """The sign of a norm."""
    return {"linf": "L∞", "l2": "L2"}[norm]


def radius(epsilon: float) -> str:
    """A radius as people write it: in 255ths where it is a round number of quarters of them.

    >>> radius(0.5 / 255), radius(0.03)
    ('0.5/255', '0.03')
    """
    levels = 255 * epsilon
    if 0 < levels <= 64 and abs(4 * levels - round(4 * levels)) < 1e-6:
        return f"{round(4 * levels) / 4:g}/255"
    return f"{epsilon:g}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
