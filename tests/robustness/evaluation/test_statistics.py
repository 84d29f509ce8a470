"""The formulas against numbers worked out by hand, against SciPy and against scikit-learn-free loops."""

import numpy as np
import pytest
from scipy import stats

from isvs_jax.robustness.evaluation import statistics


@pytest.mark.parametrize(("correct", "count"), [(0, 7), (7, 7), (450, 500), (1, 3)])
def test_wilson_is_scipy_s(correct: int, count: int) -> None:
    ours = statistics.wilson(correct, count)
    theirs = stats.binomtest(correct, count).proportion_ci(0.95, "wilson")
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 31, 1002])
def test_student_interval_is_scipy_s(count: int) -> None:
    values = np.random.default_rng(count).uniform(0.7, 0.9, count)
    theirs = stats.t.interval(0.95, count - 1, np.mean(values), stats.sem(values))
    np.testing.assert_allclose(statistics.student_interval(values), theirs, rtol=1e-9)


def test_one_training_has_no_interval() -> None:
    with pytest.raises(ValueError, match=r"values must have the shape \(N,\) with N at least 2; got \(1,\)"):
        statistics.student_interval([0.5])


def test_mean_interval_by_hand() -> None:
    # Mean ½, variance (¼ + 0 + ¼)/2 = ¼, standard error ½/√3, which reaches 0.566 and is cut at 0 and 1.
    assert statistics.mean_interval(np.array([0.0, 0.5, 1.0])) == (0.0, 1.0)
    low, high = statistics.mean_interval(np.tile([0.0, 0.5, 1.0], 100))
    np.testing.assert_allclose([low, high], 0.5 + 1.959963984540054 * np.sqrt(50 / 299 / 300) * np.array([-1, 1]))


def test_calibration_error_by_hand() -> None:
    # Bins (12/15, 13/15], (14/15, 1] and (4/15, 5/15]: gaps |1 − 1.65|, |1 − 1| and |0 − ⅓| of four examples.
    confidence = np.array([0.82, 0.83, 1.0, 1 / 3])
    correct = np.array([True, False, True, False])
    expected = (0.65 + 0.0 + 1 / 3) / 4
    assert statistics.expected_calibration_error(confidence, correct) == pytest.approx(expected)


def test_calibration_error_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500), rng.random(500) < 0.5
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() / 500 * abs(correct[inside].mean() - confidence[inside].mean())
    assert statistics.expected_calibration_error(confidence, correct) == pytest.approx(total, abs=1e-12)


def test_relative_errors_by_hand() -> None:
    errors, normaliser = {"fog": 0.3, "snow": 0.5}, {"fog": 0.6, "snow": 0.4, "frost": 0.9}
    assert statistics.mean_corruption_error(errors, normaliser) == pytest.approx((0.5 + 1.25) / 2)
    # (0.3 − 0.1)/(0.6 − 0.2) and (0.5 − 0.1)/(0.4 − 0.2).
    assert statistics.relative_corruption_error(errors, 0.1, normaliser, 0.2) == pytest.approx((0.5 + 2.0) / 2)


def test_a_normaliser_that_cannot_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="got none for snow"):
        statistics.mean_corruption_error({"snow": 0.1}, {"fog": 0.1})
    with pytest.raises(ValueError, match="got 0 for fog"):
        statistics.mean_corruption_error({"fog": 0.1}, {"fog": 0.0})
    with pytest.raises(ValueError, match=r"must have errors above its clean error, 0\.1000.*; got 0\.1000 for fog"):
        statistics.relative_corruption_error({"fog": 0.1}, 0.1, {"fog": 0.1}, 0.1)


@pytest.mark.parametrize("confidence", [[0.5, 1.5], [[0.5]], []])
def test_confidences_outside_are_refused(confidence: list) -> None:
    with pytest.raises(ValueError, match="confidence"):
        statistics.expected_calibration_error(np.array(confidence), np.ones(len(confidence), bool))


def test_the_interval_of_a_mean_over_cells_is_wilson_s() -> None:
    # All cells alike: one answer an example, whatever the number of cells.
    shares = np.repeat([1.0, 0.0], [90, 10])
    np.testing.assert_allclose(statistics.share_interval(shares, 15), statistics.wilson(90, 100), rtol=1e-12)
    # Cells that have nothing to do with one another: as many answers as there are examples and cells.
    rng = np.random.default_rng(0)
    independent = (rng.random((400, 25)) < 0.3).mean(axis=1)
    low, high = statistics.share_interval(independent, 25)
    expected = statistics.wilson(round(independent.sum() * 25), 400 * 25)
    np.testing.assert_allclose((low, high), expected, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_no_interval_of_shares_is_a_point_or_leaves_0_to_1(value: float) -> None:
    low, high = statistics.share_interval(np.full(20, value), 6)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 0.05
    if value in (0.0, 1.0):
        assert (low, high) == statistics.wilson(round(20 * value), 20)


def test_shares_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shares must be in \[0, 1\]; got values from 0.0 to 90.0"):
        statistics.share_interval(np.array([0.0, 90.0]), 2)
    with pytest.raises(ValueError, match="cells must be an integer of at least 1; got 0"):
        statistics.share_interval(np.array([0.0, 1.0]), 0)
