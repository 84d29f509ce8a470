"""A report as Markdown, and on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.report.metrics import CALIBRATION_BINS, wilson
from isvs_jax.robustness.report.normaliser import Normaliser
from isvs_jax.robustness.report.results import AttackResult, Curve, Doubling, Report
from isvs_jax.robustness.report.store import REPORT, write_atomically
from isvs_jax.robustness.report.summary import (
    SHOWN_BESIDE,
    Combined,
    Statistic,
    calibration,
    corruption_means,
    norm_name,
    radius,
    relative_errors,
)
from isvs_jax.robustness.resolution import chance_corrected

MARKDOWN = "report.md"
_NOTHING = "–"


def write_report(
    report: Report, folder: Path, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()
) -> None:
    """Write report.json and report.md; pictures are (title, file) that the Markdown is to show."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / REPORT, json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / MARKDOWN, markdown(report, normaliser, pictures))


def read_report(path: str | Path) -> Report:
    """The report of a report.json, or of the folder that it is in.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not of this format.
    """
    file = Path(path)
    file = file / REPORT if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"There is no report {file}; path may be a report.json or the folder that it is in.")
    return Report.from_dict(json.loads(file.read_text()))


def markdown(report: Report, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The whole report: the table of corruptions first, how it was made last. Accuracies are in percent."""
    sections = [
        f"# Robustness of {report.name}",
        *_corruption_sections(report, normaliser),
        *_attack_sections(report),
        *_resolution_sections(report),
        *[f"![{title}]({file})" for title, file in pictures],
        "## How it was made",
        _made(report),
    ]
    return "\n\n".join(sections) + "\n"


def combined_markdown(combined: Combined) -> str:
    """Means over several trainings as Markdown."""
    rows = [[entry.label, _value(entry), _interval(entry.interval)] for entry in combined.figures]
    return (
        "\n\n".join(
            [
                f"# Robustness of {combined.name}: {combined.count} trainings",
                f"Means over the {combined.count} trainings {', '.join(combined.reports)}, with Student's 95% "
                f"intervals ({combined.count - 1} degrees of freedom): what another training would move.",
                table(["", "mean in %", "95% interval"], rows),
            ]
        )
        + "\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns lined up."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *padded]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def _corruption_sections(report: Report, normaliser: Normaliser | None) -> list[str]:
    clean = f"{_percent(report.clean.accuracy)} ({_interval(report.clean.interval)})"
    if not report.corruptions:
        return [f"Clean accuracy: {clean}% of {report.count} images.", "Corruptions were not evaluated.", *_ece(report)]
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
        + [_percent(row[severity].accuracy) if severity in row else _NOTHING for severity in report.severities]
        + [_percent(report.mean_accuracy([name]))]
        for name, row in report.corruptions.items()
    ]
    rows.append(
        ["**mean**"]
        + [
            _percent(float(np.mean([row[s].accuracy for row in report.corruptions.values() if s in row])))
            for s in report.severities
        ]
        + [f"**{_percent(report.mean_accuracy(list(report.corruptions)))}**"]
    )
    widest = [wilson(count // 2, count) for count in counts]
    reach = ", ".join(
        f"{50 * (high - low):.1f} points on {count} images" for count, (low, high) in zip(counts, widest, strict=True)
    )
    return [
        f"Accuracy in %; clean: {clean}, {report.count} images {_shape(report)}.",
        "## Corruptions",
        f"{which}. Source: **{report.source}**, {made}.",
        table(["corruption", *severities, "mean"], rows),
        f"A cell's 95% interval (Wilson, over examples) reaches at most {reach} to either side.",
        *_means(report),
        *_errors(report, normaliser),
        *_ece(report),
        *[f"**Warning**: {sentence}" for sentence in report.warnings],
    ]


def _means(report: Report) -> list[str]:
    figures = corruption_means(report)
    beside = {figure.label: figure for figure in figures if figure.label in SHOWN_BESIDE}
    shown = [_percent(beside[name].value) if name in beside else _NOTHING for name in SHOWN_BESIDE]
    rows = [
        [figure.label, _value(figure), _interval(figure.interval), *shown]
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
    shown = "; ".join(f"{figure.label}: **{100 * figure.value:.1f}%**" for figure in figures)
    sentences = [f"{shown}."] if figures else []
    if figures and normaliser is not None:
        sentences.append(f"Normalised by the errors of {normaliser.name}.")
        if not report.is_complete:
            sentences.append("Over the corruptions of this table only.")
    text = " ".join([*sentences, *why])
    return [text if text.startswith("mCE") else _capital(text)] if text else []


def _ece(report: Report) -> list[str]:
    figures = calibration(report)
    if not figures:
        return []
    text = "; ".join(f"{figure.label}: {100 * figure.value:.2f}%" for figure in figures)
    return [f"Expected calibration error ({CALIBRATION_BINS} bins of equal width): {text}."]


def _attack_sections(report: Report) -> list[str]:
    if not report.attacks and not report.curves:
        return ["## Attacks", "Attacks were not evaluated."]
    sections = ["## Attacks"]
    for kind in ("attacks", "defence"):
        found = [attack for attack in report.attacks if attack.kind == kind]
        if found:
            sections += _attack_table(report, found)
    for curve in report.curves:
        sections += _curve(curve)
    for doubling in report.doublings:
        sections += _doubling(doubling)
    return sections


def _attack_table(report: Report, found: list[AttackResult]) -> list[str]:
    names = list(found[0].masks)
    rows = []
    for attack in found:
        accuracies = attack.accuracies
        label = f"{norm_name(attack.norm)}, ε = {radius(attack.epsilon)}"
        shown = [_percent(accuracies[name]) if name in accuracies else _NOTHING for name in names]
        warned = str(len(attack.warnings)) if attack.warnings else "none"
        rows.append([label, *shown, f"**{_percent(attack.worst.accuracy)}**", _interval(attack.worst.interval), warned])
    counts = sorted({attack.count for attack in found})
    order = "each on what those before it had left" if found[0].cumulative else "each on every image"
    what = (
        f"Accuracy in % on the first {' or '.join(map(str, counts))} images after the attacks, {order}; the worst case "
        "is over all of them, example by example."
    )
    if found[0].kind == "defence":
        what += " The model is a network behind a defence: the columns are the six ways of attacking one."
    steps, queries = report.settings.get("attack_steps"), report.settings.get("attack_queries")
    what += f" {steps} steps of APGD and FAB, {queries} queries of Square."
    warnings = [
        f"**Warning** ({norm_name(attack.norm)}, ε = {radius(attack.epsilon)}, {_percent(attack.worst.accuracy)}%): "
        f"{sentence}"
        for attack in found
        for sentence in attack.warnings
    ]
    header = ["ball", *names, "worst case", "95% interval", "warnings"]
    return [what, table(header, rows), *warnings]


def _curve(curve: Curve) -> list[str]:
    rows = [
        [radius(epsilon), _percent(cell.accuracy), _interval(cell.interval)]
        for epsilon, cell in zip(curve.epsilons, curve.cells, strict=True)
    ]
    label = f"ε-curve, {norm_name(curve.norm)}"
    verdict = [f"**Warning** ({label}): {sentence}" for sentence in curve.warnings] or [
        f"No warning: the accuracy never rises with ε and falls to chance ({_percent(curve.chance)}%)."
    ]
    return [
        f"### {label}",
        f"{_capital(curve.attack)}, {curve.num_steps} steps, on the first {curve.cells[0].count} images. At "
        f"{radius(curve.full_radius)} every image can be turned into plain grey, so that no model can hold.",
        table(["ε", "accuracy in %", "95% interval"], rows),
        *verdict,
    ]


def _doubling(doubling: Doubling) -> list[str]:
    twice = (
        f"Twice the steps ({doubling.attack}, {norm_name(doubling.norm)}, ε = {radius(doubling.epsilon)}, "
        f"{doubling.count} images): {_percent(doubling.accuracy)}% with {doubling.num_steps}, "
        f"{_percent(doubling.accuracy_doubled)}% with {2 * doubling.num_steps}."
    )
    return [twice, *[f"**Warning**: {sentence}" for sentence in doubling.warnings]]


def _resolution_sections(report: Report) -> list[str]:
    if not report.resolutions:
        return ["## Low resolution", "Low resolution was not evaluated."]
    rows = []
    for entry in report.resolutions:
        over_chance = float(chance_corrected(entry.cell.accuracy, report.num_classes))
        jpeg = "no" if entry.jpeg_quality is None else f"quality {entry.jpeg_quality}"
        label = f"{entry.factor}×, {entry.down} down, {entry.up} up"
        rows.append([label, jpeg, _percent(entry.cell.accuracy), _interval(entry.cell.interval), _percent(over_chance)])
    return [
        "## Low resolution",
        table(["factor and interpolations", "JPEG", "accuracy in %", "95% interval", "over chance in %"], rows),
        f"Over chance: (a − 1/K)/(1 − 1/K) with K = {report.num_classes} classes, 0 for guessing and 100 for perfect.",
    ]


def _made(report: Report) -> str:
    made, hardware = report.made, report.made.get("hardware", {})
    versions = ", ".join(f"{name} {number}" for name, number in made.get("versions", {}).items())
    parts = {"corruption": "corruptions", "resolution": "low resolution", "attack": "attacks", "curve": "ε-curves"}
    seconds = made.get("seconds", {})
    times = ", ".join(f"{parts.get(part, part)} {value:.0f} s" for part, value in seconds.items())
    settings = ", ".join(f"{name} = {_setting(value)}" for name, value in report.settings.items())
    lines = [
        f"Command: `{made.get('command', 'unknown')}`",
        f"Date: {made.get('date', 'unknown')}; commit {made.get('commit', 'unknown')}",
        f"Time: {sum(seconds.values()):.0f} s ({times})",
        f"Machine: {hardware.get('processor', 'unknown')}, {hardware.get('cores', '?')} cores; "
        f"{hardware.get('device_count', '?')} device(s) of platform {hardware.get('platform', '?')}, kind "
        f"{hardware.get('device_kind', '?')}; {hardware.get('system', '?')}; batches of {made.get('batch_size', '?')}",
        f"Versions: {versions}",
        f"Preprocessing inside the model, of images in [0, 1]: {report.preprocessing or 'not said'}",
        f"Data: {report.count} images {_shape(report)}, {report.num_classes} classes, SHA-256 {made.get('data')}",
        f"Parameters: SHA-256 {made.get('parameters') or 'not given'}",
        f"Random key: {made.get('key')}",
        f"Settings: {settings}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{norm} {' '.join(radius(epsilon) for epsilon in radii)}" for norm, radii in value.items())
    if isinstance(value, list | tuple):
        return f"{len(value)} of them" if len(value) > 5 else " ".join(map(str, value)) or "none"
    return str(value)


def _shape(report: Report) -> str:
    return "×".join(map(str, report.image_shape))


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _value(figure: Statistic) -> str:
    return _percent(figure.value)


def _interval(interval: tuple[float, float] | None) -> str:
    return _NOTHING if interval is None else f"{_percent(interval[0])} to {_percent(interval[1])}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
