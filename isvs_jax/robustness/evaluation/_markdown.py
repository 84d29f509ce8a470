"""A report as Markdown and on disk: the table of corruptions first, how it was made last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import write_atomically
from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.evaluation._summary import (
    SHOWN_BESIDE,
    Statistic,
    calibration,
    corruption_means,
    relative_errors,
    resolution_means,
)
from isvs_jax.robustness.evaluation.attack_markdown import attack_sections
from isvs_jax.robustness.evaluation.comparison import Combined, setting_leaves
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.statistics import CALIBRATION_BINS, wilson
from isvs_jax.robustness.evaluation.store import REPORT
from isvs_jax.robustness.resolution import chance_corrected
from isvs_jax.robustness.text import NOTHING, capital, grouped, interval, percent, radius, sides, table

MARKDOWN = "report.md"


def write_report(
    report: Report, folder: Path, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()
) -> None:
    """Write report.json and report.md.

    Args:
        report: The report.
        folder: The folder, made where it is not there.
        normaliser: The network whose errors mCE divides by.
        pictures: Titles and files of the pictures that the Markdown is to show.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / REPORT, json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / MARKDOWN, markdown(report, normaliser, pictures))


def markdown(report: Report, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The whole report as Markdown, accuracies in percent; the arguments are those of `write_report`."""
    sections = [
        f"# Robustness of {report.name}",
        *_corruption_sections(report, normaliser),
        *attack_sections(report),
        *_resolution_sections(report),
        *[f"![{title}]({file})" for title, file in pictures],
        "## How it was made",
        _provenance(report),
    ]
    return "\n\n".join(sections) + "\n"


def combined_markdown(combined: Combined) -> str:
    """Means over several trainings as Markdown."""
    rows = [
        [entry.label, percent(entry.value), interval(entry.interval), str(len(entry.warnings) or NOTHING)]
        for entry in combined.figures
    ]
    said = [(entry.label, text) for entry in combined.figures for text in entry.warnings]
    warnings = [f"**Warning** ({where}) {text}" for where, text in grouped(said)]
    sections = [
        f"# Robustness of {combined.name}: {combined.count} trainings",
        f"Means over the {combined.count} trainings {', '.join(combined.reports)}, with Student's 95% "
        f"intervals ({combined.count - 1} degrees of freedom): what another training would move.",
        table(["", "mean in %", "95% interval", "warnings"], rows),
        *warnings,
        "\n".join(f"- {capital(remark)}" for remark in combined.remarks),
    ]
    return "\n\n".join(sections) + "\n"


def _resolution_sections(report: Report) -> list[str]:
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


def _corruption_sections(report: Report, normaliser: Normaliser | None) -> list[str]:
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
        f"Accuracy in %; clean: {clean}, {report.count} images {sides(report.image_shape)}.",
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


def _provenance(report: Report) -> str:
    """A list of what a report was made with."""
    made = report.made
    versions = ", ".join(f"{name} {number}" for name, number in made.get("versions", {}).items())
    parts = {"corruption": "corruptions", "resolution": "low resolution", "attack": "attacks", "curve": "ε-curves"}
    parts |= {"doubling": "twice the steps"}
    seconds = made.get("seconds", {})
    times = ", ".join(f"{parts.get(part, part)} {value:.0f} s" for part, value in seconds.items())
    leaves = setting_leaves(report.settings)
    settings = ", ".join(f"{place} = {_setting(place, value)}" for place, value in leaves.items())
    lines = [
        *map(_session, made.get("sessions", [])),
        f"Time: {sum(seconds.values()):.0f} s ({times}), in batches of {made.get('batch_size', '?')}",
        f"Versions: {versions}",
        f"Preprocessing inside the model, of images in [0, 1]: {report.preprocessing or 'not said'}",
        f"Data: {report.count} images {sides(report.image_shape)}, {report.num_classes} classes, SHA-256 "
        f"{made.get('data')}",
        f"Parameters: SHA-256 {made.get('parameters') or 'not given'}",
        *([] if made.get("defence") is None else [f"Defence: {made['defence'] or 'not described'}"]),
        *([] if made.get("corrupted") is None else [f"Corrupted images from: {made['corrupted']}"]),
        f"Random key: {made.get('key')}",
        f"Settings: {settings}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _session(session: dict[str, Any]) -> str:
    hardware = session.get("hardware", {})
    return (
        f"Made on {session.get('date', 'unknown')}: {session.get('cells', '?')} cells in "
        f"{session.get('seconds', 0.0):.0f} s, commit {session.get('commit', 'unknown')}, by "
        f"`{session.get('command', 'unknown')}` on "
        f"{hardware.get('processor', 'unknown')}, {hardware.get('cores', '?')} cores; "
        f"{hardware.get('device_count', '?')} device(s) of platform {hardware.get('platform', '?')}, kind "
        f"{hardware.get('device_kind', '?')}; {hardware.get('system', '?')}"
    )


def _setting(place: str, value: object) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    if place in ("attacks.epsilons", "attacks.epsilons_l2", "checks.curve", "checks.curve_l2"):
        value = [radius(epsilon) for epsilon in value]
    return f"{len(value)} of them" if len(value) > 5 else " ".join(map(str, value)) or "none"
