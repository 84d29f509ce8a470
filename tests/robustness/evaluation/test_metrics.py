"""The formulas against numbers worked out by hand, against SciPy and against scikit-learn-free loops."""

import numpy as np
import pytest
from scipy import stats

from isvs_jax.robustness.evaluation import metrics


@pytest.mark.parametrize(("correct", "count"), [(0, 7), (7, 7), (450, 500), (1, 3)])
def test_wilson_is_scipy_s(correct: int, count: int) -> None:
    ours = metrics.wilson(correct, count)
    theirs = stats.binomtest(correct, count).proportion_ci(0.95, "wilson")
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), atol=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 1001])
def test_student_quantile_is_scipy_s(freedom: int) -> None:
    np.testing.assert_allclose(metrics.student_quantile(freedom), stats.t.ppf(0.975, freedom), rtol=1e-9)


def test_student_interval_is_scipy_s() -> None:
    values = [0.81, 0.84, 0.79, 0.86]
    theirs = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    np.testing.assert_allclose(metrics.student_interval(values), theirs, rtol=1e-9)
    with pytest.raises(ValueError, match="two values or more"):
        metrics.student_interval([0.5])


def test_mean_interval_by_hand() -> None:
    # Mean ½, variance (¼ + 0 + ¼)/2 = ¼, standard error ½/√3, which reaches 0.566 and is cut at 0 and 1.
    assert metrics.mean_interval(np.array([0.0, 0.5, 1.0])) == (0.0, 1.0)
    low, high = metrics.mean_interval(np.tile([0.0, 0.5, 1.0], 100))
    np.testing.assert_allclose([low, high], 0.5 + 1.959963984540054 * np.sqrt(50 / 299 / 300) * np.array([-1, 1]))


def test_calibration_error_by_hand() -> None:
    # Bins (12/15, 13/15], (14/15, 1] and (4/15, 5/15]: gaps |1 − 1.65|, |1 − 1| and |0 − ⅓| of four examples.
    confidence = np.array([0.82, 0.83, 1.0, 1 / 3])
    correct = np.array([True, False, True, False])
    expected = (0.65 + 0.0 + 1 / 3) / 4
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx(expected)


def test_calibration_error_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500), rng.random(500) < 0.5
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() / 500 * abs(correct[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx(total, abs=1e-12)


def test_relative_errors_by_hand() -> None:
    errors, reference = {"fog": 0.3, "snow": 0.5}, {"fog": 0.6, "snow": 0.4, "frost": 0.9}
    assert metrics.mean_corruption_error(errors, reference) == pytest.approx((0.5 + 1.25) / 2)
    # (0.3 − 0.1)/(0.6 − 0.2) and (0.5 − 0.1)/(0.4 − 0.2).
    assert metrics.relative_corruption_error(errors, 0.1, reference, 0.2) == pytest.approx((0.5 + 2.0) / 2)


def test_errors_without_a_reference_are_refused() -> None:
    with pytest.raises(ValueError, match="lacks snow"):
        metrics.mean_corruption_error({"snow": 0.1}, {"fog": 0.1})
    with pytest.raises(ValueError, match="makes no error"):
        metrics.mean_corruption_error({"fog": 0.1}, {"fog": 0.0})
    with pytest.raises(ValueError, match="not above its clean error"):
        metrics.relative_corruption_error({"fog": 0.1}, 0.1, {"fog": 0.1}, 0.1)


@pytest.mark.parametrize("confidence", [[0.5, 1.5], [[0.5]], []])
def test_confidences_outside_are_refused(confidence: list) -> None:
    with pytest.raises(ValueError, match="confidence"):
        metrics.expected_calibration_error(np.array(confidence), np.ones(len(confidence), bool))
