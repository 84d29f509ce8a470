"""The figures of a report, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness.evaluation.cells import AttackResult
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.statistics import (
    mean_corruption_error,
    mean_interval,
    relative_corruption_error,
    share_interval,
)
from isvs_jax.robustness.resolution import chance_corrected
from isvs_jax.robustness.text import ball_name, listed

ALL = "all corruptions"
SHOWN_BESIDE = ("fog", "contrast")
"""The corruptions that smoothing and adversarial training usually lose, shown beside every mean."""


@dataclass(frozen=True)
class Statistic:
    """One figure of a summary.

    Attributes:
        label: The name of the figure.
        value: The figure.
        interval: Its 95% interval, where there is one.
        warnings: Sentences on why it may be too high.
        is_share: Whether it lies in [0, 1], as accuracies do and mCE does not.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    is_share: bool = True


def corruption_means(report: Report) -> tuple[Statistic, ...]:
    """Mean accuracy over all corruptions and over each category, then fog and contrast."""
    if not report.corruptions:
        return ()
    return tuple(
        Statistic(label, report.mean_accuracy(names), report.mean_accuracy_interval(names))
        for label, names in corruption_groups(report).items()
    )


def corruption_groups(report: Report) -> dict[str, list[str]]:
    """The corruptions that each of `corruption_means` is of, by its label."""
    groups = {ALL: list(report.corruptions)} | report.groups()
    return groups | {name: [name] for name in SHOWN_BESIDE if name in report.corruptions}


def robust_label(attack: AttackResult) -> str:
    """The label of the robust accuracy within a ball."""
    return f"robust, {ball_name(attack.norm, attack.epsilon)}"


def relative_errors(report: Report, normaliser: Normaliser | None) -> tuple[tuple[Statistic, ...], tuple[str, ...]]:
    """MCE and relative mCE, and why one of them is left out, as sentences.

    Intervals are over examples; the errors of the normaliser are taken as exact.
    """
    if not report.corruptions:
        return (), ()
    why = _why_no_mce(report, normaliser)
    if why or normaliser is None:
        return (), (why,)
    errors, scale = report.corruption_errors(), {name: normaliser.errors[name] for name in report.corruptions}
    mce = Statistic(
        "mCE", mean_corruption_error(errors, normaliser.errors), _error_interval(report, scale), is_share=False
    )
    clean = normaliser.clean_error
    why = _why_no_relative_mce(report, normaliser)
    if why or clean is None:
        return (mce,), (why,)
    value = relative_corruption_error(errors, 1 - report.clean.accuracy, normaliser.errors, clean)
    above = {name: error - clean for name, error in scale.items()}
    return (mce, Statistic("relative mCE", value, _error_interval(report, above, relative=True), is_share=False)), ()


def _why_no_mce(report: Report, normaliser: Normaliser | None) -> str:
    if normaliser is None:
        return "mCE is left out: it is relative to the errors of another network, the normaliser, and none was given."
    if normaliser.severities != report.severities:
        return (
            f"mCE is left out: the normaliser {normaliser.name} is of severities {listed(normaliser.severities)}, "
            f"this report of {listed(report.severities)}."
        )
    missing = [name for name in report.corruptions if name not in normaliser.errors]
    if missing:
        return f"mCE is left out: the normaliser {normaliser.name} lacks {', '.join(missing)}."
    perfect = [name for name in report.corruptions if normaliser.errors[name] <= 0]
    if perfect:
        return (
            f"mCE is left out: it divides by the errors of {normaliser.name}, which makes none for {listed(perfect)}."
        )
    return ""


def _why_no_relative_mce(report: Report, normaliser: Normaliser) -> str:
    if normaliser.clean_error is None:
        return f"Relative mCE is left out: the clean error of the normaliser {normaliser.name} is not known."
    counts = sorted({cell.count for row in report.corruptions.values() for cell in row.values()})
    if counts != [report.clean.count]:
        return (
            f"Relative mCE is left out: it takes the clean error from those under corruption, but the clean images are "
            f"{report.clean.count} and the corrupted ones {listed(counts)}, not the same ones."
        )
    below = [name for name in report.corruptions if normaliser.errors[name] <= normaliser.clean_error]
    if below:
        return (
            f"Relative mCE is left out: it divides by what the errors of {normaliser.name} have above its clean error, "
            f"which is nothing for {listed(below)}."
        )
    return ""


def _error_interval(report: Report, scale: Mapping[str, float], relative: bool = False) -> tuple[float, float] | None:
    """Interval of the mean over corruptions of errors divided by `scale`, above the clean error where relative."""
    rows = {name: list(report.corruptions[name].values()) for name in scale}
    counts = {cell.count for row in rows.values() for cell in row} | ({report.clean.count} if relative else set())
    if len(counts) != 1 or counts == {1}:
        return None
    clean = ~report.clean.mask if relative else 0.0
    shares = [(np.mean([~cell.mask for cell in row], axis=0) - clean) / scale[name] for name, row in rows.items()]
    return mean_interval(np.mean(shares, axis=0), low=-np.inf, high=np.inf)


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
        worst = attack.worst
        figures.append(Statistic(robust_label(attack), worst.accuracy, worst.interval, report.attack_warnings(attack)))
    return (*figures, *resolution_means(report))


def resolution_means(report: Report) -> tuple[Statistic, ...]:
    """Mean accuracy over the settings of low resolution, and the same over chance."""
    if not report.resolutions:
        return ()
    shares = np.mean([entry.cell.mask for entry in report.resolutions], axis=0)
    value, ends = float(shares.mean()), share_interval(shares, len(report.resolutions))
    corrected, low, high = (float(chance_corrected(share, report.num_classes)) for share in (value, *ends))
    return (
        Statistic("low resolution, mean", value, ends),
        Statistic("low resolution, chance-corrected", corrected, (low, high), is_share=False),
    )
