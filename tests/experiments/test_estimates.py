"""Means and intervals of figures, and of differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.estimates import crossed_estimate, difference, estimate, estimate_of_shares, figures, shares
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
def test_differences_are_paired_by_seed_and_image(column: str) -> None:
    ours, theirs = ([fabricated(name, seed) for seed in range(3)] for name in ("path", "raw"))
    changes = [shares(one, column) - shares(other, column) for one, other in zip(ours, theirs, strict=True)]
    assert difference(ours, theirs, column) == crossed_estimate(np.array(changes))


@settings(deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=6).filter(lambda values: np.std(values) > 1e-3))
def test_where_one_of_both_varies_the_crossed_interval_is_students(values: list[float]) -> None:
    ends = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    for axis in (0, 1):
        found = crossed_estimate(np.repeat(np.expand_dims(values, axis), 5, axis))
        assert (found.low, found.high) == pytest.approx(np.clip(ends, -1, 1), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("of_trainings", "of_images", "of_both"), [(0.01, 0.2, 0.2), (0, 0.05, 0.1), (0.05, 0, 0.1)])
def test_the_crossed_interval_holds_the_mean_as_often_as_it_says(
    of_trainings: float, of_images: float, of_both: float
) -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(2000):
        values = (
            rng.normal(0, of_trainings, (3, 1)) + rng.normal(0, of_images, (1, 60)) + rng.normal(0, of_both, (3, 60))
        )
        found = crossed_estimate(values)
        hits += found.low <= 0 <= found.high
    # Three standard deviations of 2000 draws, 1.5 points; Satterthwaite's degrees of freedom err on the wide side.
    assert 0.935 <= hits / 2000 <= 0.98


def test_differences_that_are_all_equal_have_no_interval() -> None:
    found = crossed_estimate(np.full((3, 4), 0.25))
    assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)
