"""Figures of several trainings and differences between two entrants, with 95% intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from isvs_jax.robustness import Report
from isvs_jax.robustness.evaluation import mean_interval, share_interval, student_interval, summary
from isvs_jax.robustness.evaluation._summary import corruption_groups, robust_label


@dataclass(frozen=True)
class Estimate:
    """A figure of one training or several, or the difference of two such figures.

    Attributes:
        mean: The mean over the trainings.
        low: The lower end of the 95% interval: Student's over trainings, for differences over trainings and test
            images, or over test images where there is one training. None where there is no interval.
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
    values: Sequence[float],
    interval: tuple[float, float] | None = None,
    warnings: Sequence[str] = (),
    *,
    least: float = 0.0,
) -> Estimate:
    """The estimate of shares of some trainings; `interval` is that of a single one over test images.

    They are from `least` to 1: −1 for differences of shares.

    >>> estimate([0.6, 0.62, 0.61]).percent()
    '61.0 ± 2.5'
    """
    ends = student_interval(values, least, 1.0) if len(values) > 1 else interval
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


def estimate_over_images(values: np.ndarray, low: float, high: float) -> Estimate:
    """The mean of values [N] of test images, which lie from `low` to `high`, with the 95% interval over images."""
    mean = float(values.mean())
    return Estimate(mean, *mean_interval(values, low, high), (mean,))


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
            category of corruptions, "low resolution, mean", or a robust accuracy, which is of the images under attack;
            or the name of a corruption.

    Raises:
        ValueError: The column is none of these, or the report has no such cells.
    """
    cells = {
        "clean": [report.clean],
        **{name: list(row.values()) for name, row in report.corruptions.items()},
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


def crossed_estimate(values: np.ndarray) -> Estimate:
    """The mean over trainings and test images, with a 95% interval for other trainings and other images.

    Each training has seen each image, v[s, i] = m + a[s] + b[i] + c[s, i]. The variance of the mean is that over
    trainings, plus that over images, less what both count of c:

        V = var_s(mean_i v)/S + var_i(mean_s v)/N − var(c)/(S N),

    at least the larger of the first two. The degrees of freedom of Student's quantile are Satterthwaite's.

    Args:
        values: float [S, N], S trainings and N images, two or more of each.

    References:
        Searle, Casella, McCulloch, "Variance components", Wiley 1992, chapter 4 (the balanced two-way layout).

    >>> crossed_estimate(np.array([[0.2, 0.4, 0.0], [0.3, 0.5, 0.1]])).percent()
    '25.0 ± 43.4'
    """
    trainings, images = values.shape
    of_trainings, of_images = values.mean(1), values.mean(0)
    mean = float(values.mean())
    left = values - of_trainings[:, None] - of_images[None, :] + mean
    freedom = np.array([trainings - 1, images - 1, (trainings - 1) * (images - 1)])
    squares = np.array([images * of_trainings.var() * trainings, trainings * of_images.var() * images, (left**2).sum()])
    parts = squares / freedom / values.size
    variance = max(parts[0] + parts[1] - parts[2], *parts[:2])
    spread = float((parts**2 / freedom).sum())
    reach = float(stdtrit(variance**2 / spread, 0.975) * variance**0.5) if spread else 0.0
    return Estimate(mean, max(-1.0, mean - reach), min(1.0, mean + reach), tuple(map(float, of_trainings)))


def difference(reports: Sequence[Report], base: Sequence[Report], column: str) -> Estimate:
    """Mean accuracy less that of the base, compared seed by seed and image by image, with a 95% interval.

    The interval is over trainings and test images, as of `crossed_estimate`; where there is one training, over test
    images.

    Args:
        reports: One report a seed.
        base: The reports of the same seeds, in the same order.
        column: A column as for `shares`.

    Raises:
        ValueError: There are not as many of both.
    """
    if len(reports) != len(base) or not base:
        raise ValueError(f"reports must be one or more, as many as base; got {len(reports)} and {len(base)}.")
    each = np.array([shares(one, column) - shares(other, column) for one, other in zip(reports, base, strict=True)])
    if len(each) > 1:
        return crossed_estimate(each)
    return estimate_over_images(each[0], -1.0, 1.0)


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
