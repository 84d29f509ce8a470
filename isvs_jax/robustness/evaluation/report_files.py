"""A report in a folder, as JSON, Markdown and HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isvs_jax._files import write_atomically
from isvs_jax.robustness.evaluation._markdown import markdown
from isvs_jax.robustness.evaluation._summary import summary
from isvs_jax.robustness.evaluation.classes import class_figures, class_names
from isvs_jax.robustness.evaluation.html_report import HTML, html_page
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import DERIVED, Report
from isvs_jax.robustness.evaluation.store import REPORT

MARKDOWN = "report.md"


def write_report(
    report: Report, folder: Path, normaliser: Normaliser | None = None, pictures: Sequence[tuple[str, str]] = ()
) -> None:
    """Write report.json, report.md and report.html.

    Args:
        report: The report.
        folder: The folder, made where it is not there.
        normaliser: The network whose errors mCE divides by.
        pictures: Titles and files of the pictures that the Markdown is to show.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = report.to_dict() | _derived(report, normaliser)
    texts = {
        REPORT: json.dumps(values, indent=1, ensure_ascii=False) + "\n",
        MARKDOWN: markdown(report, normaliser, pictures),
        HTML: html_page(report, normaliser),
    }
    for file, text in texts.items():
        # Names of folders need not be UTF-8; what Python has in their place is written as an escape.
        write_atomically(folder / file, text.encode("utf-8", "backslashreplace").decode())


def _derived(report: Report, normaliser: Normaliser | None) -> dict[str, Any]:
    """The figures and the classes for readers of the file, who need not compute them from the cells."""
    figures, names = [asdict(figure) for figure in summary(report, normaliser)], class_names(report)
    return dict(zip(DERIVED, (figures, [entry.as_dict(names) for entry in class_figures(report)]), strict=True))
