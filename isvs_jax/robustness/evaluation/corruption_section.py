"""Corruptions in a report's Markdown: the full table first, then what is made of it."""

from __future__ import annotations

import numpy as np

from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.evaluation.metrics import CALIBRATION_BINS, wilson
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.summary import (
    SHOWN_BESIDE,
    Statistic,
    calibration,
    corruption_means,
    relative_errors,
)
from isvs_jax.robustness.evaluation.text import NOTHING, capital, interval, percent, shape, table


def corruption_sections(report: Report, normaliser: Normaliser | None) -> list[str]:
    """The table, the means, relative errors, calibration, and warnings."""
    clean = f"{percent(report.clean.accuracy)} ({interval(report.clean.interval)})"
    if not report.corruptions:
        text = f"Clean accuracy: {clean}% of {report.count} images."
        return [text, "Corruptions were not evaluated.", *_ece(report), *_warnings(report)]
    counts = sorted({cell.count for row in report.corruptions.values() for cell in row.values()})
    which = (
        f"The {len(CORRUPTIONS)} corruptions of the benchmark at five severities"
        if report.is_complete
        else f"{len(report.corruptions)} corruptions at severities {', '.join(map(str, report.severities))}: not the "
        "benchmark's 15 × 5, with whose means these must not be compared"
    )
    made = {"regenerated": "corrupted here by `isvs_jax.robustness.corrupt`, not the published files"}.get(
        report.source, f"read from files (source: {report.source})"
    )
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
        f"Accuracy in %; clean: {clean}, {report.count} images {shape(report)}.",
        "## Corruptions",
        f"{which}. Source: **{report.source}**, {made}.",
        table(["corruption", *severities, "mean"], rows),
        f"A cell's 95% interval (Wilson, over examples) reaches at most {reach} to either side.",
        *_means(report),
        *_errors(report, normaliser),
        *_ece(report),
        *_warnings(report),
    ]


def _warnings(report: Report) -> list[str]:
    return [f"**Warning**: {sentence}" for sentence in report.warnings]


def _means(report: Report) -> list[str]:
    figures = corruption_means(report)
    beside = {figure.label: figure for figure in figures if figure.label in SHOWN_BESIDE}
    shown = [percent(beside[name].value) if name in beside else NOTHING for name in SHOWN_BESIDE]
    rows = [
        [figure.label, percent(figure.value), interval(figure.interval), *shown]
        for figure in figures
        if figure.label not in SHOWN_BESIDE
    ]
    return [
        "## Means",
        table(["mean over", "accuracy in %", "95% interval", *SHOWN_BESIDE], rows),
        "Intervals are over examples (the same images are in every cell). Fog and contrast, which smoothing and "
        "adversarial training usually lose, stand beside every mean.",
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
