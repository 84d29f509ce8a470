"""Figures of several trainings and differences between two entrants, with 95% intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import mean_interval, share_interval, student_interval, summary
from isvs_jax.robustness.evaluation._summary import corruption_groups, robust_label


@dataclass(frozen=True)
class Estimate:
    """A figure of one training or several, or the difference of two such figures.

    Attributes:
        mean: The mean over the trainings.
        low: The lower end of the 95% interval: Student's over trainings, or over test images where there is one
            training. None where there is no interval.
        high: Its upper end.
        values: The value of each training.
        warnings: Why the figure may be too high.
    """

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    warnings: tuple[str, ...] = ()

    @property
    def reach(self) -> tuple[float, float]:
        """How far the interval goes below the mean and above it; nowhere where there is none."""
        if self.low is None or self.high is None:
            return 0.0, 0.0
        # An end that is the mean may lie beyond it by rounding.
        return max(self.mean - self.low, 0.0), max(self.high - self.mean, 0.0)

    def percent(self, digits: int = 1) -> str:
        """As text: mean ± half the interval in per cent, its longer side where it is cut, and a mark for a warning."""
        text = f"{100 * self.mean:.{digits}f}"
        if self.low is not None and self.high is not None:
            text += f" ± {100 * max(self.reach):.{digits}f}"
        return text + ("*" if self.warnings else "")


def estimate(
    values: Sequence[float], interval: tuple[float, float] | None = None, warnings: Sequence[str] = ()
) -> Estimate:
    """The estimate of shares of some trainings; `interval` is that of a single one over test images.

    >>> estimate([0.6, 0.62, 0.61]).percent()
    '61.0 ± 2.5'
    """
    ends = student_interval(values, 0.0, 1.0) if len(values) > 1 else interval
    low, high = (None, None) if ends is None else ends
    return Estimate(float(np.mean(values)), low, high, tuple(values), tuple(dict.fromkeys(warnings)))


def estimate_of_shares(each: Sequence[np.ndarray], cells: int = 1) -> Estimate:
    """The estimate of a mean over test images, for one training with Wilson's interval, which is never a point.

    Args:
        each: For every training a share in [0, 1] for each test image, [N].
        cells: The number of cells that a share is of.
    """
    interval = share_interval(np.asarray(each[0], np.float64), cells)
    return estimate([float(shares.mean()) for shares in each], interval)


def figures(reports: Sequence[Report]) -> dict[str, Estimate]:
    """Every figure of `summary` that all reports of one entrant have, by its label."""
    tables = [{figure.label: figure for figure in summary(report)} for report in reports]
    labels = [label for label in tables[0] if all(label in table for table in tables)]
    columns = [[table[label] for table in tables] for label in labels]
    return {
        column[0].label: estimate(
            [figure.value for figure in column],
            column[0].interval,
            [text for figure in column for text in figure.warnings],
        )
        for column in columns
    }


def shares(report: Report, column: str) -> np.ndarray:
    """For each test image the share of the cells of a column in which it is classified correctly, float64 [N].

    Args:
        report: The report of one training.
        column: A label of `isvs_jax.robustness.evaluation._summary` that is an accuracy: "clean", "all corruptions", a
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
        raise ValueError(f"column must be one of {', '.join(map(repr, known))} for this report; got {column!r}.")
    return np.mean([cell.mask for cell in cells[column]], axis=0)


def difference(reports: Sequence[Report], base: Sequence[Report], column: str) -> Estimate:
    """Mean accuracy less that of the base, with a 95% interval: Student's over the trainings, compared seed by seed.

    Where there is one training, the interval is over test images, compared image by image.

    Args:
        reports: One report a seed.
        base: The reports of the same seeds, in the same order.
        column: A column as for `shares`.

    Raises:
        ValueError: There are not as many of both.
    """
    if len(reports) != len(base) or not base:
        raise ValueError(f"reports must be one or more, as many as base; got {len(reports)} and {len(base)}.")
    each = [shares(one, column) - shares(other, column) for one, other in zip(reports, base, strict=True)]
    means = tuple(float(values.mean()) for values in each)
    low, high = student_interval(means, -1.0, 1.0) if len(means) > 1 else mean_interval(each[0], -1.0, 1.0)
    return Estimate(float(np.mean(means)), low, high, means)


def differences(
    reports: Mapping[int, Report], base: Mapping[int, Report], columns: Iterable[str]
) -> dict[str, Estimate]:
    """By column the `difference` over the seeds that both have; nothing where they have none together.

    Args:
        reports: The reports of an entrant by seed.
        base: The reports of the base by seed.
        columns: Columns as for `shares`.
    """
    seeds = [seed for seed in reports if seed in base]
    ours, theirs = [reports[seed] for seed in seeds], [base[seed] for seed in seeds]
    return {column: difference(ours, theirs, column) for column in columns} if seeds else {}
