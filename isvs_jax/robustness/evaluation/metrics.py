"""What is computed from right and wrong answers: accuracy, calibration, errors against a reference, intervals.

Everything here is NumPy or plain Python in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

CALIBRATION_BINS = 15
"""Bins of equal width of the expected calibration error."""

_NORMAL_QUANTILE = 1.959963984540054  # of 97.5%, for intervals of 95%


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion over independent examples.

    With p = correct/count and z the normal quantile of 97.5%:
    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).

    >>> [round(end, 3) for end in wilson(90, 100)]
    [0.826, 0.945]

    References:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    if count < 1 or not 0 <= correct <= count:
        raise ValueError(f"correct is {correct} of count {count}; it may be 0 to count, with count 1 or more.")
    share, z = correct / count, _NORMAL_QUANTILE
    centre = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def mean_interval(shares: np.ndarray, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """95% interval of the mean of one number in [low, high] an example, by the normal approximation.

    For an accuracy averaged over corruptions: the same images are seen in all of them, so that the examples, not the
    cells, are the independent draws.

    >>> [round(end, 3) for end in mean_interval(np.array([0.0, 0.5, 1.0, 0.5]))]
    [0.1, 0.9]
    """
    values = np.asarray(shares, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"shares has shape {values.shape}; it may be [N] with N at least 2.")
    reach = _NORMAL_QUANTILE * float(values.std(ddof=1)) / math.sqrt(len(values))
    return max(low, float(values.mean()) - reach), min(high, float(values.mean()) + reach)


def student_interval(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """Student's 95% interval of a mean over independent trainings: mean ± t s/√n, n − 1 degrees of freedom.

    It is cut at `low` and `high`, between which the values are known to lie.

    >>> [round(end, 2) for end in student_interval([0.80, 0.82, 0.84])]
    [0.77, 0.87]
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"values has shape {array.shape}; an interval over seeds takes two values or more.")
    reach = student_quantile(len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return max(low, float(array.mean()) - reach), min(high, float(array.mean()) + reach)


def student_quantile(freedom: int) -> float:
    """The quantile of 97.5% of Student's distribution, by bisection of its finite series.

    >>> round(student_quantile(2), 4)
    4.3027

    References:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    if freedom < 1:
        raise ValueError(f"freedom is {freedom}; it may be 1 or more.")
    low, high = 0.0, 13.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_inside(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _student_inside(t: float, freedom: int) -> float:
    """Probability that |T| < t."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for i in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (i - 1) / i
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over 15 bins of equal width, weighted by their examples.

        ECE = Σ_b n_b/n · |accuracy_b − mean confidence_b|,   bin b = (b/15, (b + 1)/15]

    Args:
        confidence: [N] in [0, 1], the probability of the predicted class.
        correct: bool [N].

    Returns:
        ECE in [0, 1].

    >>> round(expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 3)
    0.4

    References:
        Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if confidence.shape != correct.shape or confidence.ndim != 1 or not len(confidence):
        raise ValueError(
            f"confidence and correct have shapes {confidence.shape} and {correct.shape}; both may be [N], N at least 1."
        )
    if not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError(f"confidence has values from {confidence.min()} to {confidence.max()}; they may be in [0, 1].")
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, correct - confidence, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def mean_corruption_error(errors: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """mCE: the mean over corruptions of the error relative to a reference network's.

        CE_c = Σ_s E_{s,c} / Σ_s E^ref_{s,c},    mCE = mean_c CE_c

    Args:
        errors: mean error over the severities by corruption, in [0, 1].
        reference: the same of the reference network; it may have more corruptions.

    Returns:
        mCE, 1 for the reference network itself (often written as 100%).

    >>> round(mean_corruption_error({"fog": 0.2, "snow": 0.3}, {"fog": 0.4, "snow": 0.3}), 3)
    0.75

    References:
        Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
        ICLR 2019.
    """
    _check_errors(errors, reference)
    return float(np.mean([errors[name] / reference[name] for name in errors]))


def relative_corruption_error(
    errors: Mapping[str, float], clean_error: float, reference: Mapping[str, float], reference_clean: float
) -> float:
    """Relative mCE: the same of what the corruptions add to the clean error.

        relative CE_c = Σ_s (E_{s,c} − E_clean) / Σ_s (E^ref_{s,c} − E^ref_clean)

    >>> errors, reference = {"fog": 0.3}, {"fog": 0.5}
    >>> round(relative_corruption_error(errors, 0.1, reference, 0.1), 3)
    0.5
    """
    _check_errors(errors, reference)
    for name in errors:
        if reference[name] <= reference_clean:
            raise ValueError(
                f"the reference's error under {name}, {reference[name]:.4f}, is not above its clean error "
                f"{reference_clean:.4f}; relative CE divides by what is above."
            )
    return float(np.mean([(errors[n] - clean_error) / (reference[n] - reference_clean) for n in errors]))


def _check_errors(errors: Mapping[str, float], reference: Mapping[str, float]) -> None:
    missing = [name for name in errors if name not in reference]
    if missing or not errors:
        raise ValueError(f"errors has {len(errors)} corruptions; the reference lacks {', '.join(missing) or 'none'}.")
    if any(reference[name] <= 0 for name in errors):
        raise ValueError("the reference makes no error under one of the corruptions; CE divides by its error.")
