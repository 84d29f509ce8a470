"""A report as Markdown and on disk: the table of corruptions first, how it was made last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isvs_jax.robustness.certification import certified_markdown
from isvs_jax.robustness.evaluation._summary import summary
from isvs_jax.robustness.evaluation.attack_markdown import attack_sections
from isvs_jax.robustness.evaluation.comparison import Combined, setting_leaves
from isvs_jax.robustness.evaluation.corruption_markdown import class_sections, corruption_sections, resolution_sections
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.protocol import left_out, protocol_name
from isvs_jax.robustness.evaluation.report import Report, check_report
from isvs_jax.robustness.text import NOTHING, capital, grouped, interval, listed, percent, radius, sides, table


def markdown(report: Report, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The whole report as Markdown, accuracies in percent; the arguments are those of `write_report`."""
    check_report(report)
    sections = [
        f"# Robustness of {report.name}",
        *sections_of(report, normaliser),
        *[f"![{title}]({file})" for title, file in pictures],
        *provenance_sections(report),
    ]
    return "\n\n".join(sections) + "\n"


def sections_of(report: Report, normaliser: Normaliser | None) -> list[str]:
    """What was found, as headings, paragraphs and tables of Markdown."""
    clean = f"{percent(report.clean.accuracy)} ({interval(report.clean.interval)})"
    return [
        f"Accuracy in %; clean: {clean}, {report.count} images {sides(report.image_shape)}.",
        _protocol(report),
        *[f"**Warning**: {sentence}" for sentence in report.other_warnings()],
        *corruption_sections(report, normaliser),
        *attack_sections(report),
        *_certified_sections(report),
        *resolution_sections(report),
        *class_sections(report),
    ]


def _certified_sections(report: Report) -> list[str]:
    """What is certified, in tables of its own: it is of a smoothed classifier, in L2, and of no attack."""
    found = [part for summary in report.certified for part in certified_markdown(summary).split("\n\n")]
    return ["## Certified accuracy", *found] if found else []


def provenance_sections(report: Report) -> list[str]:
    """How the report was made."""
    return ["## How it was made", _provenance(report)]


def summary_table(report: Report, normaliser: Normaliser | None = None) -> str:
    """The figures of a report with their intervals and how many warnings they have, as a table for a terminal."""
    rows = []
    for figure in summary(report, normaliser):
        digits = f"{100 * figure.value:.2f}" if "ECE" in figure.label else percent(figure.value)
        rows.append([figure.label, digits, interval(figure.interval), str(len(figure.warnings) or NOTHING)])
    return table([report.name, "in %", "95% interval", "warnings"], rows)


def _protocol(report: Report) -> str:
    name = protocol_name(report.settings, report.count)
    missing = left_out(report.settings, report.count, report.made.get("images_given"))
    said = f"Protocol: **{name or 'chosen by hand'}**."
    if name == "quick":
        said += " A quick look: its attacks are weak, so that a robust accuracy is far too high rather than too low."
    return said + (f" Less than the standard protocol: {listed(missing)}." if missing else "")


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
