"""The difference between two entrants that were tested on the same images."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from experiments.estimates import Estimate
from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import student_interval
from isvs_jax.robustness.evaluation.metrics import mean_interval
from isvs_jax.robustness.evaluation.summary import corruption_groups, robust_label


def shares(report: Report, column: str) -> np.ndarray:
    """For each test image the share of the cells of a column in which it is classified correctly, float64 [N].

    Args:
        report: Of one training.
        column: A label of `isvs_jax.robustness.evaluation.summary` that is an accuracy: "clean", "all corruptions", a
            category of corruptions, "fog", "contrast", "low resolution, mean", or a robust accuracy, which is of the
            images under attack.

    Raises:
        ValueError: The column is none of these, or the report has no such cells.
    """
    cells = {
        "clean": [report.clean],
        **{
            group: [cell for name in names for cell in report.corruptions[name].values()]
            for group, names in corruption_groups(report).items()
        },
        "low resolution, mean": [entry.cell for entry in report.resolutions],
        **{robust_label(attack): [attack.worst] for attack in report.attacks},
    }
    if not cells.get(column):
        known = [name for name, found in cells.items() if found]
        raise ValueError(f"column is {column!r}; for this report it may be one of {', '.join(map(repr, known))}.")
    return np.mean([cell.mask for cell in cells[column]], axis=0)


def difference(reports: Sequence[Report], base: Sequence[Report], column: str) -> Estimate:
    """Mean accuracy less that of the base, with a 95% interval: Student's over the trainings, compared seed by seed.

    Where there is one training, the interval is over test images, compared image by image.

    Args:
        reports: One a seed.
        base: Of the same seeds, in the same order.
        column: As of `shares`.

    Raises:
        ValueError: There are not as many of both.
    """
    if len(reports) != len(base) or not base:
        raise ValueError(f"reports are {len(reports)} and base {len(base)}; there may be as many of both, one or more.")
    each = [shares(one, column) - shares(other, column) for one, other in zip(reports, base, strict=True)]
    means = tuple(float(values.mean()) for values in each)
    low, high = student_interval(means, -1.0, 1.0) if len(means) > 1 else mean_interval(each[0], -1.0, 1.0)
    return Estimate(float(np.mean(means)), low, high, means)


def differences(
    reports: Mapping[int, Report], base: Mapping[int, Report], columns: Iterable[str]
) -> dict[str, Estimate]:
    """By column the `difference` over the seeds that both have; nothing where they have none together.

    Args:
        reports: By seed.
        base: By seed.
        columns: As of `shares`.
    """
    seeds = [seed for seed in reports if seed in base]
    ours, theirs = [reports[seed] for seed in seeds], [base[seed] for seed in seeds]
    return {column: difference(ours, theirs, column) for column in columns} if seeds else {}
