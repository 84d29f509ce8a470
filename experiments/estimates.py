"""A figure of several trainings: its mean, and a 95% interval over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import student_interval, summary
from isvs_jax.robustness.evaluation.metrics import mean_interval


@dataclass(frozen=True)
class Estimate:
    """A figure of one training or several.

    Attributes:
        mean: Over the trainings.
        low: Of the 95% interval: Student's over trainings, or over test images where there is one training.
        high: Likewise.
        values: One a training.
        warnings: Why it may be too high.
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


def estimate_of_shares(each: Sequence[np.ndarray], warnings: Sequence[str] = ()) -> Estimate:
    """The estimate of a mean over test images.

    Args:
        each: For every training a share in [0, 1] for each test image, [N].
        warnings: Why it may be too high.
    """
    interval = mean_interval(each[0]) if len(each[0]) > 1 else None
    return estimate([float(shares.mean()) for shares in each], interval, warnings)
