"""Corruptions, low resolution and classes in a report's Markdown."""

from __future__ import annotations

import numpy as np

from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.evaluation._summary import (
    Statistic,
    calibration,
    corruption_means,
    relative_errors,
    resolution_means,
)
from isvs_jax.robustness.evaluation.classes import class_figures, class_names
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.statistics import CALIBRATION_BINS, wilson
from isvs_jax.robustness.resolution import chance_corrected
from isvs_jax.robustness.text import NOTHING, capital, interval, percent, table

SOURCES = {
    "regenerated": "corrupted here by `isvs_jax.robustness.corrupt`, not the published files",
    "official": "read from files whose checksums are those of the published ones",
    "tfds": "read from TFDS, which compares the published archive with its checksum when it prepares a set",
    "unverified": "read from files that are not verified as the published ones, so that figures on them are not "
    "official",
}
"""What each source of corrupted images means."""


def corruption_sections(report: Report, normaliser: Normaliser | None) -> list[str]:
    """The table, the means, relative errors and calibration."""
    if not report.corruptions:
        return ["Corruptions were not evaluated.", *_ece(report)]
    counts = sorted({cell.count for row in report.corruptions.values() for cell in row.values()})
    which = (
        f"The {len(CORRUPTIONS)} corruptions of the benchmark at five severities"
        if report.is_complete
        else f"{len(report.corruptions)} corruptions at severities {', '.join(map(str, report.severities))}: not the "
        "benchmark's 15 × 5, with whose means these must not be compared"
    )
    made = SOURCES.get(report.source, "as the function says that read the images")
    severities = [str(severity) for severity in report.severities]
    rows = [
        [f"{name} ({CATEGORIES[name]})"]
        + [percent(row[severity].accuracy) if severity in row else NOTHING for severity in report.severities]
        + [percent(report.mean_accuracy([name]))]
        for name, row in report.corruptions.items()
    ]
    rows.append(
        ["**mean**"]
        + [
            percent(float(np.mean([row[s].accuracy for row in report.corruptions.values() if s in row])))
            for s in report.severities
        ]
        + [f"**{percent(report.mean_accuracy(list(report.corruptions)))}**"]
    )
    widest = [wilson(count // 2, count) for count in counts]
    reach = ", ".join(
        f"{50 * (high - low):.1f} points on {count} images" for count, (low, high) in zip(counts, widest, strict=True)
    )
    return [
        "## Corruptions",
        f"{which}. Source: **{report.source}**, {made}.",
        table(["corruption", *severities, "mean"], rows),
        f"A cell's 95% interval (Wilson, over examples) reaches at most {reach} to either side.",
        *_means(report),
        *_errors(report, normaliser),
        *_ece(report),
    ]


def resolution_sections(report: Report) -> list[str]:
    """The settings of low resolution and their means."""
    if not report.resolutions:
        return ["## Low resolution", "Low resolution was not evaluated."]
    rows = []
    for entry in report.resolutions:
        over_chance = float(chance_corrected(entry.cell.accuracy, report.num_classes))
        jpeg = "no" if entry.jpeg_quality is None else f"quality {entry.jpeg_quality}"
        label = f"{entry.factor}×, {entry.down} down, {entry.up} up"
        rows.append([label, jpeg, percent(entry.cell.accuracy), interval(entry.cell.interval), percent(over_chance)])
    means = resolution_means(report)
    return [
        "## Low resolution",
        table(["factor and interpolations", "JPEG", "accuracy in %", "95% interval", "over chance in %"], rows),
        f"Over chance: (a − 1/K)/(1 − 1/K) with K = {report.num_classes} classes, 0 for guessing and 100 for perfect.",
        capital(
            "; ".join(f"{figure.label}: {percent(figure.value)}% ({interval(figure.interval)})" for figure in means)
        )
        + ".",
    ]


def class_sections(report: Report) -> list[str]:
    """The worst class of each part of the report."""
    found, names = class_figures(report), class_names(report)
    if not found:
        return []
    rows = [
        [
            entry.label,
            percent(entry.accuracy),
            names[entry.worst],
            percent(entry.classes[entry.worst] or 0.0),
            interval(entry.interval),
            str(entry.count[entry.worst]),
            percent(entry.gap),
            names[entry.best],
        ]
        for entry in found
    ]
    header = ["part", "accuracy in %", "worst class", "its accuracy", "95% interval", "its images", "gap", "best class"]
    return [
        "## Classes",
        table(header, rows),
        "The gap is what the worst class is behind the accuracy over all images, in points. The interval is Wilson's "
        "over the images of that class; of few images, the least of many accuracies is low by accident too. "
        "`report.json` has the accuracy of every class in every cell.",
    ]


def _means(report: Report) -> list[str]:
    rows = [[entry.label, percent(entry.value), interval(entry.interval)] for entry in corruption_means(report)]
    return [
        "## Means",
        table(["mean over", "accuracy in %", "95% interval"], rows),
        "Intervals are Wilson's over examples (the same images are in every cell). Fog and contrast, which smoothing "
        "and adversarial training usually lose, stand below the means.",
    ]


def _errors(report: Report, normaliser: Normaliser | None) -> list[str]:
    figures, why = relative_errors(report, normaliser)
    shown = "; ".join(f"{figure.label}: **{100 * figure.value:.1f}%**{_ends(figure)}" for figure in figures)
    sentences = [f"{shown}."] if figures else []
    if figures and normaliser is not None:
        sentences.append(f"Normalised by the errors of {normaliser.name}, taken as exact; intervals are over examples.")
        if not report.is_complete:
            sentences.append("Over the corruptions of this table only.")
    text = " ".join([*sentences, *why])
    return [capital(text)] if text else []


def _ece(report: Report) -> list[str]:
    figures = calibration(report)
    if not figures:
        return []
    text = "; ".join(f"{figure.label}: {100 * figure.value:.2f}%" for figure in figures)
    return [f"Expected calibration error ({CALIBRATION_BINS} bins of equal width): {text}."]


def _ends(figure: Statistic) -> str:
    return "" if figure.interval is None else f" ({interval(figure.interval)})"
