"""Means and intervals of figures, and of differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.estimates import difference, estimate, estimate_of_shares, figures, shares
from isvs_jax.robustness.evaluation import summary, wilson
from tests.experiments.reports import ATTACKED, COUNT, WARNING, fabricated


@settings(deadline=None)
@given(st.lists(st.floats(0.3, 0.7), min_size=2, max_size=6).filter(lambda values: np.std(values) > 1e-6))
def test_intervals_over_trainings_are_students(values: list[float]) -> None:
    found = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low == pytest.approx(max(low, 0), abs=1e-9)
    assert found.high == pytest.approx(min(high, 1), abs=1e-9)


def test_a_single_training_has_the_interval_over_images() -> None:
    report = fabricated("raw", 0)
    found = figures([report])
    right = int(report.clean.mask.sum())
    assert (found["clean"].low, found["clean"].high) == wilson(right, COUNT)
    assert found["clean"].values == (right / COUNT,)
    assert [*found] == [figure.label for figure in summary(report)]


def test_figures_of_several_trainings_are_their_means_and_keep_every_warning_once() -> None:
    reports = [fabricated("raw", seed, warnings=(WARNING,) if seed else ()) for seed in range(3)]
    found = figures(reports)
    tables = [{figure.label: figure.value for figure in summary(report)} for report in reports]
    for label, cell in found.items():
        assert cell.values == tuple(table[label] for table in tables)
        assert cell.mean == pytest.approx(np.mean(cell.values))
        assert cell.warnings == ((WARNING,) if label.startswith("robust") else ())


def test_text_has_half_the_interval_and_a_mark_for_warnings() -> None:
    assert estimate([0.5], (0.4, 0.6)).percent() == "50.0 ± 10.0"
    assert estimate([0.5]).percent() == "50.0"
    assert estimate([0.5], None, ["It rises."]).percent(0) == "50*"


def test_shares_over_images_have_the_interval_of_wilson() -> None:
    right = np.array([True, False, True, True, True])
    found = estimate_of_shares([right])
    expected = stats.binomtest(4, 5).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert estimate_of_shares([np.zeros(64)]).percent() == "0.0 ± 5.7"
    assert estimate_of_shares([right, ~right]).values == (0.8, pytest.approx(0.2))


def test_columns_of_a_report_are_those_of_its_summary() -> None:
    report = fabricated("raw", 0)
    for label, cell in figures([report]).items():
        if "ECE" in label or "chance" in label:
            with pytest.raises(ValueError, match=f"got '{label}'"):
                shares(report, label)
        else:
            found = shares(report, label)
            assert found.shape == (ATTACKED if label.startswith("robust") else COUNT,)
            assert found.mean() == pytest.approx(cell.mean)


@pytest.mark.parametrize("column", ["clean", "noise", "fog", "robust, L∞, ε = 2/255"])
def test_differences_are_paired_by_seed(column: str) -> None:
    ours, theirs = ([fabricated(name, seed) for seed in range(3)] for name in ("path", "raw"))
    found = difference(ours, theirs, column)
    one, other = ([shares(report, column).mean() for report in several] for several in (ours, theirs))
    ends = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.mean == pytest.approx(np.mean(one) - np.mean(other))
