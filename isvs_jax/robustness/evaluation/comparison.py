"""Whether reports are of one test, so that their figures may stand side by side or be averaged."""

from __future__ import annotations

from collections.abc import Sequence

from isvs_jax.robustness.evaluation.report import Report

# What each kind of figure depends on, among the settings.
_CORRUPTED = ("corruptions", "severities", "parameters", "quantize")
_ATTACKED = ("attacks", "attack_count", "attack_steps", "attack_queries", "individually")
_CURVED = ("curve_count", "curve_steps")


def check_same_test(reports: Sequence[Report]) -> None:
    """Refuse trainings of one method that were not tested alike: in everything that a figure depends on.

    Raises:
        ValueError: naming the first difference.
    """
    _check(reports, sorted({name for report in reports for name in report.settings}))
    _refuse(reports, "the defence", [report.made.get("defence") for report in reports])


def check_side_by_side(reports: Sequence[Report]) -> None:
    """Refuse models side by side whose images, corruptions, attacks or low resolutions differ.

    Settings count where two reports hold figures that depend on them. A defence may differ: it is part of the model,
    and `remarks` says so.

    Raises:
        ValueError: naming the first difference.
    """
    for having, names in (
        ([report for report in reports if report.corruptions], _CORRUPTED),
        ([report for report in reports if report.resolutions], ("resolutions",)),
        ([report for report in reports if report.attacks], _ATTACKED),
    ):
        _check(having, names)
    _check(reports, ())


def check_curves(reports: Sequence[Report]) -> None:
    """Refuse ε-curves of different images, or of different steps.

    Raises:
        ValueError: naming the first difference.
    """
    _check(reports, _CURVED, sources=False)


def remarks(reports: Sequence[Report]) -> tuple[str, ...]:
    """In what reports differ that does not forbid to compare them, as sentences."""
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


def _check(reports: Sequence[Report], settings: Sequence[str], sources: bool = True) -> None:
    _refuse(reports, "the data", [report.made.get("data") for report in reports])
    if sources:
        corrupted = [report for report in reports if report.corruptions]
        _refuse(corrupted, "the source of the corrupted images", [report.source for report in corrupted])
    _refuse(reports, "the images", [(report.count, report.image_shape) for report in reports])
    _refuse(reports, "the number of classes", [report.num_classes for report in reports])
    for name in settings:
        _refuse(reports, f"the setting {name}", [report.settings.get(name) for report in reports])


def _refuse(reports: Sequence[Report], what: str, values: Sequence[object]) -> None:
    for report, value in zip(reports, values, strict=True):
        if value != values[0]:
            raise ValueError(
                f"the reports {reports[0].name!r} and {report.name!r} differ in {what}: {values[0]} and {value}."
            )
