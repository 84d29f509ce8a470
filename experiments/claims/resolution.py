"""Claim 3: trained along the path, a network copes with images of low resolution."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.claims.comparison import Comparison, Reports, common_remarks, first_report
from experiments.estimates import estimate_of_shares, figures
from experiments.section import Section, Table
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import ResolutionCell


@dataclass(frozen=True)
class Resolution(Comparison):
    """Low resolution: images shrunk and enlarged again, by factor, interpolation and JPEG."""

    usual: ClassVar = ("raw", "noise", "blur", "lowpass", "path", "mixed_noise", "mixed_noise_contrast")
    few: ClassVar = ("raw", "blur", "path", "mixed_noise")


def run(claim: Resolution) -> Section:
    """Train and judge what is missing; tables and pictures."""
    from isvs_jax.plotting import accuracy_by_severity

    reports = claim.reports()
    first = first_report(reports)
    factors = sorted({entry.factor for entry in first.resolutions})
    lines = {
        str(entrant): [
            [report.clean.accuracy, *(float(_shares(report, _of_factor(factor)).mean()) for factor in factors)]
            for report in several
        ]
        for entrant, several in reports.items()
    }
    picture = accuracy_by_severity(lines, (1, *factors), chance=1 / first.num_classes)
    picture.axes[0].set_xlabel("factor")
    return Section(
        "resolution",
        "Low resolution",
        "Trained along the path, a network keeps more of its accuracy on images of low resolution.",
        (resolution_table(reports),),
        {
            "factor": (
                picture,
                "Accuracy against the factor by which images are shrunk, the mean over interpolations and JPEG; "
                "1: images as they are. Mean over trainings, bars from the least to the greatest.",
            )
        },
        (
            *common_remarks(reports, claim.study, claim.chosen),
            "Images are shrunk by the factor and enlarged to their size again; each column is the mean over all "
            'settings that it names. "down, up" are the interpolations; JPEG is of the small image.',
        ),
    )


def resolution_table(reports: Reports) -> Table:
    """Mean over the settings of low resolution, by factor, by interpolation, and with and without JPEG."""
    entries = first_report(reports).resolutions
    columns: dict[str, Callable[[ResolutionCell], bool]] = {"mean": lambda _: True}
    columns |= {f"factor {factor}": _of_factor(factor) for factor in sorted({entry.factor for entry in entries})}
    for pair in dict.fromkeys((entry.down, entry.up) for entry in entries):
        columns[", ".join(pair)] = _of_interpolation(*pair)
    for quality in dict.fromkeys(entry.jpeg_quality for entry in entries):
        columns["no JPEG" if quality is None else f"JPEG {quality}"] = _of_jpeg(quality)
    rows = {
        str(entrant): (
            figures(several)["clean"],
            *(
                estimate_of_shares(
                    [_shares(report, chosen) for report in several], sum(map(chosen, several[0].resolutions))
                )
                for chosen in columns.values()
            ),
        )
        for entrant, several in reports.items()
    }
    return Table("accuracy in %", ("clean", *columns), rows, best=(1,) * (1 + len(columns)))


def _shares(report: Report, chosen: Callable[[ResolutionCell], bool]) -> np.ndarray:
    """For each image the share of the chosen settings in which it is classified correctly."""
    return np.mean([entry.cell.mask for entry in report.resolutions if chosen(entry)], axis=0)


def _of_factor(factor: int) -> Callable[[ResolutionCell], bool]:
    return lambda entry: entry.factor == factor


def _of_interpolation(down: str, up: str) -> Callable[[ResolutionCell], bool]:
    return lambda entry: (entry.down, entry.up) == (down, up)


def _of_jpeg(quality: int | None) -> Callable[[ResolutionCell], bool]:
    return lambda entry: entry.jpeg_quality == quality
