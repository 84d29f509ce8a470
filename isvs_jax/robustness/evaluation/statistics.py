"""What is computed from right and wrong answers: intervals, calibration, errors against those of a normaliser.

Everything here is NumPy or plain Python in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from isvs_jax._checks import check_integer

CALIBRATION_BINS = 15
"""The bins of equal width of the expected calibration error."""

_NORMAL_QUANTILE = 1.959963984540054  # of 97.5%, for intervals of 95%


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion over independent examples.

    With p = correct/count and z the normal quantile of 97.5%:
    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).

    Args:
        correct: The number of right examples.
        count: The number of examples, n ≥ 1.

    Returns:
        The ends of the interval, in [0, 1].

    Raises:
        TypeError: One of them is not an integer.
        ValueError: One of them is out of range.

    Example:
        >>> [round(end, 3) for end in wilson(90, 100)]
        [0.826, 0.945]

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    count = check_integer("count", count)
    correct = check_integer("correct", correct, 0, count)
    return score_interval(correct / count, count)


def score_interval(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share in [0, 1] of `count` independent examples, which need be no whole numbers."""
    z = _NORMAL_QUANTILE
    centre = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # At 0 and 1 the formula ends there, but for its rounding.
    low = 0.0 if share == 0 else (centre - reach) / scale
    high = 1.0 if share == 1 else (centre + reach) / scale
    return max(0.0, low), min(1.0, high)


def share_interval(shares: np.ndarray, cells: int) -> tuple[float, float]:
    """Wilson's 95% interval of an accuracy averaged over cells that are of the same examples.

    The examples are the independent draws, not the cells. With the mean p of the shares and their variance s², the
    interval is Wilson's of p for n p(1 − p)/s² independent answers: n where each example is right in all cells or in
    none, and at most n times the cells, where the cells of an example have nothing to do with one another.

    Args:
        shares: Floats [N] in [0, 1], the share of the cells in which an example is right, N ≥ 1.
        cells: The number of cells.

    Returns:
        The ends of the interval, in [0, 1].

    Raises:
        TypeError: The number of cells is no integer.
        ValueError: The shape is another, a share is outside [0, 1], or there are no cells.

    Example:
        >>> [round(end, 3) for end in share_interval(np.repeat([1.0, 0.0], [90, 10]), 15)]
        [0.826, 0.945]

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    values, cells = _checked_vector("shares", shares, 1), check_integer("cells", cells)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"shares must be in [0, 1]; got values from {values.min()} to {values.max()}.")
    # The mean of exact zeros or ones is exact.
    mean, count = float(values.mean()), len(values)
    binary = mean * (1 - mean)
    effective = count * min(float(cells), binary / float(values.var())) if values.var() > 0 else count * cells
    return score_interval(mean, count if binary == 0 else max(float(count), effective))


def mean_interval(shares: np.ndarray, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """95% interval of the mean of one number in [low, high] an example, by the normal approximation.

    It is for figures that are no shares, such as mCE: the same images are seen in all cells, so that the examples, not
    the cells, are the independent draws. For accuracies there is `share_interval`.

    Args:
        shares: Floats [N], N ≥ 2.
        low: The least value that a number can have.
        high: The greatest value that a number can have.

    Returns:
        The ends of the interval, cut at `low` and `high`.

    Raises:
        ValueError: The shape is another.

    Example:
        >>> [round(end, 3) for end in mean_interval(np.array([0.0, 0.5, 1.0, 0.5]))]
        [0.1, 0.9]
    """
    values = _checked_vector("shares", shares, 2)
    reach = _NORMAL_QUANTILE * float(values.std(ddof=1)) / math.sqrt(len(values))
    return max(low, float(values.mean()) - reach), min(high, float(values.mean()) + reach)


def student_interval(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """Student's 95% interval of a mean over independent trainings: mean ± t s/√n, with n − 1 degrees of freedom.

    Args:
        values: A figure of each training, n ≥ 2.
        low: The least value that the figure can have.
        high: The greatest value that the figure can have.

    Returns:
        The ends of the interval, cut at `low` and `high`.

    Raises:
        ValueError: There are fewer than two values.

    Example:
        >>> [round(end, 2) for end in student_interval([0.80, 0.82, 0.84])]
        [0.77, 0.87]
    """
    array = _checked_vector("values", values, 2)
    quantile = float(stdtrit(len(array) - 1, 0.975))
    reach = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    return max(low, float(array.mean()) - reach), min(high, float(array.mean()) + reach)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over 15 bins of equal width, weighted by their examples.

        ECE = Σ_b n_b/n · |accuracy_b − mean confidence_b|,   bin b = (b/15, (b + 1)/15]

    Args:
        confidence: Floats [N] in [0, 1], the probability of the predicted class.
        correct: Bool [N].

    Returns:
        The error, in [0, 1].

    Raises:
        ValueError: The shapes differ, or a confidence is outside [0, 1].

    Example:
        >>> round(expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 3)
        0.4

    References:
        Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    confidence, correct = _checked_vector("confidence", confidence, 1), np.asarray(correct, np.float64)
    if confidence.shape != correct.shape:
        raise ValueError(f"correct must have the shape of confidence, {confidence.shape}; got {correct.shape}.")
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError(f"confidence must be in [0, 1]; got values from {confidence.min()} to {confidence.max()}.")
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, correct - confidence, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def mean_corruption_error(errors: Mapping[str, float], normaliser: Mapping[str, float]) -> float:
    """mCE: the mean over corruptions of the error relative to that of a network, the normaliser.

        CE_c = Σ_s E_{s,c} / Σ_s E^norm_{s,c},    mCE = mean_c CE_c

    Args:
        errors: The mean error over the severities by corruption, in [0, 1].
        normaliser: The same of the normaliser; it may have more corruptions.

    Returns:
        mCE, 1 for the normaliser itself (often written as 100%).

    Raises:
        ValueError: The normaliser lacks a corruption, or makes no error under one.

    Example:
        >>> round(mean_corruption_error({"fog": 0.2, "snow": 0.3}, {"fog": 0.4, "snow": 0.3}), 3)
        0.75

    References:
        Hendrycks, Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
        ICLR 2019.
    """
    _check_errors(errors, normaliser)
    return float(np.mean([errors[name] / normaliser[name] for name in errors]))


def relative_corruption_error(
    errors: Mapping[str, float], clean_error: float, normaliser: Mapping[str, float], normaliser_clean: float
) -> float:
    """Relative mCE: the same of what the corruptions add to the clean error.

        relative CE_c = Σ_s (E_{s,c} − E_clean) / Σ_s (E^norm_{s,c} − E^norm_clean)

    Args:
        errors: As in `mean_corruption_error`.
        clean_error: The error on clean images, in [0, 1].
        normaliser: As in `mean_corruption_error`.
        normaliser_clean: The error of the normaliser on clean images.

    Returns:
        Relative mCE, 1 for the normaliser itself.

    Raises:
        ValueError: An error of the normaliser is not above its clean error.

    Example:
        >>> errors, normaliser = {"fog": 0.3}, {"fog": 0.5}
        >>> round(relative_corruption_error(errors, 0.1, normaliser, 0.1), 3)
        0.5
    """
    _check_errors(errors, normaliser)
    below = [name for name in errors if normaliser[name] <= normaliser_clean]
    if below:
        raise ValueError(
            f"normaliser must have errors above its clean error, {normaliser_clean:.4f}, by which relative CE divides; "
            f"got {normaliser[below[0]]:.4f} for {below[0]}."
        )
    return float(np.mean([(errors[n] - clean_error) / (normaliser[n] - normaliser_clean) for n in errors]))


def _check_errors(errors: Mapping[str, float], normaliser: Mapping[str, float]) -> None:
    if not errors:
        raise ValueError("errors must have at least one corruption; got none.")
    missing = [name for name in errors if name not in normaliser]
    if missing:
        raise ValueError(f"normaliser must have the corruptions of errors; got none for {', '.join(missing)}.")
    none = [name for name in errors if normaliser[name] <= 0]
    if none:
        raise ValueError(f"normaliser must have errors above 0, by which CE divides; got 0 for {', '.join(none)}.")


def _checked_vector(name: str, values: object, least: int) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"{name} must have the shape (N,) with N at least {least}; got {array.shape}.")
    return array
