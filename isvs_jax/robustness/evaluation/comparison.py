"""Several reports: whether they are of one test, and the means over trainings of one method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation._summary import SHOWN_BESIDE, Statistic, relative_errors, summary
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report, check_reports
from isvs_jax.robustness.evaluation.statistics import student_interval
from isvs_jax.robustness.text import listed, sides

# What each kind of figure depends on, among the settings.
_CORRUPTED = ("corruptions",)
_ATTACKED = ("attacks.names", "attacks.count", "attacks.num_steps", "attacks.num_queries", "attacks.individually")
_CURVED = ("checks.count", "checks.num_steps")


@dataclass(frozen=True)
class Combined:
    """Means over several trainings of one method.

    Attributes:
        name: The name of the method.
        count: The number of trainings.
        reports: The names of their reports.
        figures: Means with Student's intervals over the trainings; their warnings are those of each report, by name.
        remarks: What the trainings were tested on, and in what they differ that does not forbid the mean.
    """

    name: str
    count: int
    reports: tuple[str, ...]
    figures: tuple[Statistic, ...]
    remarks: tuple[str, ...] = ()


def combine(reports: Sequence[Report], name: str, normaliser: Normaliser | None = None) -> Combined:
    """Average the figures of trainings of one method that differ in their seed, with Student's 95% intervals.

    Args:
        reports: Two or more, of the same data, images and settings.
        name: The name of the method.
        normaliser: The network whose errors mCE divides by.

    Returns:
        The means of the figures of `summary` and of each corruption.

    Raises:
        ValueError: There are fewer than two reports, they are of different tests, or two are of the same network.
    """
    reports = check_reports(reports)
    if len(reports) < 2:
        raise ValueError(f"reports must be two or more, for an interval over trainings; got {len(reports)}.")
    check_same_test(reports)
    hashes = [report.made.get("parameters") for report in reports]
    known = [value for value in hashes if value is not None]
    if len(set(known)) != len(known):
        raise ValueError("reports must each be of a training of its own; got two of the same parameters.")
    tables = [[*summary(report, normaliser), *_by_corruption(report)] for report in reports]
    labels = [[figure.label for figure in table] for table in tables]
    if any(other != labels[0] for other in labels):
        lacking = sorted({label for other in labels for label in other} - set(labels[0]).intersection(*labels[1:]))
        raise ValueError(f"reports must have the same figures; got some without {', '.join(lacking)}.")
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
    found = [f"each training was tested on {report.count} images {sides(report.image_shape)}."]
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
            f"robust accuracies are of the first {attack.worst.count} images, the worst case over "
            f"{listed(name for name in attack.worst.masks if name != 'clean')}."
        )
    return found


def _by_corruption(report: Report) -> list[Statistic]:
    rest = [name for name in report.corruptions if name not in SHOWN_BESIDE]
    return [Statistic(name, report.mean_accuracy([name])) for name in rest]


def check_same_test(reports: Sequence[Report]) -> None:
    """Refuse trainings of one method that were not tested alike, in everything that a figure depends on.

    Raises:
        ValueError: They differ; the first difference is named.
    """
    _check(reports, ("",))
    _refuse(reports, "the defence", [report.made.get("defence") for report in reports])


def check_side_by_side(reports: Sequence[Report]) -> None:
    """Refuse models side by side whose images, corruptions, attacks or low resolutions differ.

    Settings count where two reports hold figures that depend on them. A defence may differ: it is part of the model,
    and `remarks` says so.

    Raises:
        ValueError: They differ; the first difference is named.
    """
    for having, places in (
        ([report for report in reports if report.corruptions], _CORRUPTED),
        ([report for report in reports if report.resolutions], ("resolutions",)),
        ([report for report in reports if report.attacks], _ATTACKED),
    ):
        _check(having, places)
    _check(reports, ())


def check_curves(reports: Sequence[Report]) -> None:
    """Refuse ε-curves of different images, or of different steps.

    Raises:
        ValueError: They differ; the first difference is named.
    """
    _check(reports, _CURVED, sources=False)


def setting_leaves(settings: dict[str, Any], place: str = "") -> dict[str, Any]:
    """The settings of a report by their place.

    Example:
        >>> setting_leaves({"attacks": {"count": 3}, "resolutions": []})
        {'attacks.count': 3, 'resolutions': []}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        here = f"{place}{name}"
        found |= setting_leaves(value, f"{here}.") if isinstance(value, dict) else {here: value}
    return found


def remarks(reports: Sequence[Report]) -> tuple[str, ...]:
    """In what reports differ that does not forbid comparing them, as sentences."""
    found = []
    kinds = {report.made.get("defence") for report in reports}
    if len(kinds) > 1 and any(report.attacks or report.curves for report in reports):
        found += [f"{report.name}: {_kind(report)}." for report in reports]
    loaders = sorted({str(report.made.get("corrupted")) for report in reports if report.corruptions})
    if len(loaders) > 1:
        found.append(f"the corrupted images were read by different loaders: {' and '.join(loaders)}.")
    versions = [report.made.get("versions", {}) for report in reports]
    for package in sorted({package for entry in versions for package in entry}):
        numbers = sorted({str(entry.get(package, "unknown")) for entry in versions})
        if len(numbers) > 1:
            found.append(f"made with different versions of {package}: {' and '.join(numbers)}.")
    return tuple(found)


def _kind(report: Report) -> str:
    defence = report.made.get("defence")
    if defence is None:
        return "no defence; robust figures are of attacks by its own gradient"
    return (
        f"behind {defence or 'a defence'}; robust figures are the worst case over the six ways of attacking a defence"
    )


def _check(reports: Sequence[Report], places: Sequence[str], sources: bool = True) -> None:
    """Refuse reports of different data, or with different settings at or below some places."""
    _refuse(reports, "the data", [report.made.get("data") for report in reports])
    if sources:
        corrupted = [report for report in reports if report.corruptions]
        _refuse(corrupted, "the source of the corrupted images", [report.source for report in corrupted])
    _refuse(reports, "the images", [(report.count, report.image_shape) for report in reports])
    _refuse(reports, "the number of classes", [report.num_classes for report in reports])
    settings = [setting_leaves(report.settings) for report in reports]
    for name in sorted({name for entry in settings for name in entry}):
        if any(f"{name}.".startswith(f"{place}." if place else "") for place in places):
            _refuse(reports, f"the setting {name}", [entry.get(name) for entry in settings])


def _refuse(reports: Sequence[Report], what: str, values: Sequence[object]) -> None:
    for report, value in zip(reports, values, strict=True):
        if value != values[0]:
            raise ValueError(
                f"reports must agree in {what}; got {values[0]} in {reports[0].name!r} and {value} in {report.name!r}."
            )
