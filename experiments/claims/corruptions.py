"""Claim 1: trained along the path, a network resists natural corruptions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.claims.comparison import Comparison, accuracy_columns, accuracy_table, common_remarks, first_report
from experiments.section import Section
from isvs_jax.robustness import Report

_COLUMNS = ("clean", "all corruptions", "noise", "blur", "weather", "digital", "fog", "contrast")


@dataclass(frozen=True)
class Corruptions(Comparison):
    """Natural corruptions: clean images and the corruptions of the benchmark, at every severity."""

    usual: ClassVar = (
        "raw",
        "noise",
        "path",
        "mixed_noise",
        "noise_contrast",
        "mixed_noise_contrast",
        "augmix",
        "path_augmix",
    )
    few: ClassVar = ("raw", "noise", "path", "mixed_noise")


def run(claim: Corruptions) -> Section:
    """Train and judge what is missing; tables and pictures."""
    from isvs_jax.plotting import accuracy_by_severity

    reports = claim.reports()
    first = first_report(reports)
    lines = {
        str(entrant): [
            [report.clean.accuracy, *(_mean_at(report, severity) for severity in first.severities)]
            for report in several
        ]
        for entrant, several in reports.items()
    }
    picture = accuracy_by_severity(lines, (0, *first.severities))
    return Section(
        "corruptions",
        "Natural corruptions",
        "Trained along the path, a network keeps more of its accuracy under natural corruptions.",
        (accuracy_table(reports, accuracy_columns(first, _COLUMNS)),),
        {"severity": (picture, "Accuracy against severity, the mean over corruptions; 0: clean images.")},
        common_remarks(reports, claim.study, claim.chosen),
    )


def _mean_at(report: Report, severity: int) -> float:
    return float(np.mean([row[severity].accuracy for row in report.corruptions.values()]))
