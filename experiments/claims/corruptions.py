"""Claim 1: trained along the path, a network resists natural corruptions."""

from dataclasses import dataclass, field

import numpy as np

from experiments.accuracies import accuracy_columns, accuracy_table
from experiments.entrants import chosen_entrants
from experiments.judging import judged
from experiments.remarks import common_remarks
from experiments.section import Section
from experiments.study import Study
from isvs_jax.robustness import Report

_COLUMNS = ("clean", "all corruptions", "noise", "blur", "weather", "digital", "fog", "contrast")

_USUAL = ("raw", "noise", "path", "mixed_noise", "noise_contrast", "mixed_noise_contrast", "augmix", "path_augmix")
_SMOKE = ("raw", "noise", "path", "mixed_noise")


@dataclass(frozen=True)
class Corruptions:
    """Natural corruptions: clean images and the corruptions of the benchmark, at every severity.

    Attributes:
        study: Size, data, seeds, folder.
        entrants: Who is compared, "TRAINING" or "TRAINING@BEFORE"; () for the usual ones.
    """

    study: Study = field(default_factory=Study)
    entrants: tuple[str, ...] = ()


def run(claim: Corruptions) -> Section:
    """Train and judge what is missing; tables and pictures."""
    from isvs_jax.plotting import accuracy_by_severity

    entrants = chosen_entrants(claim.entrants, claim.study.size, _USUAL, _SMOKE)
    reports = judged(entrants, claim.study)
    first = next(iter(reports.values()))[0]
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
        common_remarks(reports, claim.study.scale, entrants),
    )


def _mean_at(report: Report, severity: int) -> float:
    return float(np.mean([row[severity].accuracy for row in report.corruptions.values()]))
