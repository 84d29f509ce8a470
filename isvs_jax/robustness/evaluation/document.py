"""A report as Markdown, and on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from isvs_jax._files import write_atomically
from isvs_jax.robustness.evaluation.attack_section import attack_sections
from isvs_jax.robustness.evaluation.corruption_section import corruption_sections
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.provenance import provenance
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.store import REPORT
from isvs_jax.robustness.evaluation.summary import resolution_means
from isvs_jax.robustness.evaluation.text import NOTHING, capital, grouped, interval, percent, table
from isvs_jax.robustness.evaluation.trainings import Combined
from isvs_jax.robustness.resolution import chance_corrected

MARKDOWN = "report.md"


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
        *corruption_sections(report, normaliser),
        *attack_sections(report),
        *_resolution_sections(report),
        *[f"![{title}]({file})" for title, file in pictures],
        "## How it was made",
        provenance(report),
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
