"""The bounds and radii against statsmodels, SciPy's own tests and closed forms."""

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binomtest

from isvs_jax.robustness import Certificate, mixed
from isvs_jax.robustness.certification import (
    certified_radius,
    implied_linf,
    leading_classes,
    lower_bound,
    soft_mixture_radius,
)
from isvs_jax.robustness.certification.bounds import check_draws


def test_the_bound_is_that_of_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is not installed")
    for n in (10, 1000, 100_000):
        counts = np.unique(np.linspace(0, n, 9).astype(int))
        # Theirs has two sides: the lower one of level 2α is ours.
        theirs = proportion.proportion_confint(counts, n, alpha=0.002, method="beta")[0]
        np.testing.assert_allclose(lower_bound(counts, n, 0.001), theirs, rtol=1e-12)


def test_the_bound_of_a_class_that_won_every_draw_is_in_closed_form():
    n = np.array([10, 100, 1000, 10_000, 100_000])
    np.testing.assert_allclose(lower_bound(n, n, 0.001), 0.001 ** (1 / n), rtol=1e-13)
    radii = certified_radius(n, n, sigma=1.0, alpha=0.001)
    assert radii[1:].round(2).tolist() == [1.50, 2.46, 3.20, 3.81]
    # In float32 it would be 3.81197.
    assert radii[-1] == pytest.approx(3.81146, abs=1e-5)


def test_the_bound_covers_the_true_probability_as_often_as_it_says():
    rng = np.random.default_rng(0)
    counts = rng.binomial(200, 0.8, 20_000)
    missed = (lower_bound(counts, 200, 0.05) > 0.8).mean()
    # Four standard deviations of a share of 20,000.
    assert missed <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 20_000)
    assert missed > 0.02


def test_nothing_is_certified_at_one_half_or_below():
    assert certified_radius(np.array([0, 50, 60, 66]), 100, sigma=0.5, alpha=0.001)[:3].tolist() == [0, 0, 0]
    assert certified_radius(np.array([66]), 100, sigma=0.5, alpha=0.001) > 0


def test_the_two_sided_test_is_that_of_scipy():
    rng = np.random.default_rng(1)
    votes = rng.multinomial(60, [0.45, 0.35, 0.2], 50)
    ours = leading_classes(votes, 0.05)
    for row, answer in zip(votes, ours, strict=True):
        first, second = np.sort(row)[::-1][:2]
        sure = binomtest(int(first), int(first + second), 0.5).pvalue <= 0.05
        assert answer == (row.argmax() if sure else -1)
    assert (ours == -1).any()
    assert (ours == 0).any()


def test_draws_of_no_class_are_answered_by_none():
    assert leading_classes(np.zeros((2, 3), int), 0.5).tolist() == [-1, -1]


@pytest.mark.parametrize(("n", "tested"), [(10, False), (11, True)])
def test_the_least_number_of_draws_decides_and_one_less_does_not(n, tested):
    check_draws(n, 0.001, tested=tested)
    with pytest.raises(ValueError, match=rf"n must be at least {n} for alpha = 0.001, or every example abstains; got"):
        check_draws(n - 1, 0.001, tested=tested)
    outcomes = [
        leading_classes(np.array([[count, 0]]), 0.001)[0] == 0
        if tested
        else certified_radius(np.array(count), count, sigma=1.0, alpha=0.001) > 0
        for count in (n - 1, n)
    ]
    assert outcomes == [False, True]


def test_the_implied_cube_lies_in_the_ball():
    assert (255 * implied_linf(0.25, (32, 32, 3))).round(2) == 1.15
    corner = np.full((4, 4, 3), implied_linf(0.7, (4, 4, 3)))
    assert np.linalg.norm(corner) == pytest.approx(0.7)


def test_the_radius_of_a_mixture_follows_from_the_counts():
    counts, drawn = np.array([1000, 900, 700, 0]), np.array([1000, 1000, 1000, 0])
    prediction, radius = np.array([2, 1, 3, -1]), certified_radius(counts, 1000, sigma=0.5, alpha=0.001)
    whole = Certificate(prediction, radius, counts, drawn, 0 * drawn, 0.5, 0.001, 100, 1000, (8, 8, 1))
    half, share = mixed(whole, 0.7), 0.7 * lower_bound(counts, 1000, 0.001)
    expected = np.where(share > 0.5, 0.5 * ndtri(share), 0)
    np.testing.assert_allclose(half.radius, expected, rtol=1e-12)
    assert half.prediction.tolist() == [2, 1, -1, -1]
    assert (half.radius[:2] < whole.radius[:2]).all()
    np.testing.assert_array_equal(mixed(whole, 1.0).radius, radius)
    # The weight of a mixture in a mixture is the product.
    np.testing.assert_allclose(mixed(mixed(whole, 0.9), 0.8).radius, mixed(whole, 0.72).radius)
    assert not mixed(whole, 0.5).radius.any()


def test_no_accurate_classifier_turns_the_mixture_within_its_radius():
    """h is a half-space, smoothed in closed form; g gives all to the other class everywhere, the worst there is."""
    sigma, weight = 0.5, 0.8
    distance = np.linspace(0.3, 2.0, 12)

    def share(moved):
        return np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))((distance - moved) / sigma)

    shares = np.stack([share(0), 1 - share(0)], axis=1)
    radius = soft_mixture_radius(shares, sigma=sigma, weight=weight)
    # The mixture turns where weight · h falls below one half.
    turns = np.maximum(distance - sigma * ndtri(0.5 / weight), 0)
    assert (radius <= turns + 1e-9).all()
    np.testing.assert_allclose(radius, np.maximum(sigma * ndtri(weight * share(0)), 0), atol=1e-9)
    # Runners-up that share what is left let the radius grow.
    several = soft_mixture_radius(np.array([0.8, 0.1, 0.1]), sigma=sigma, weight=weight)
    assert several > soft_mixture_radius(np.array([0.8, 0.2, 0.0]), sigma=sigma, weight=weight)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lower_bound(np.array([5]), 4, 0.1), "counts must be from 0 to their numbers of draws"),
        (lambda: lower_bound(np.array([5]), 10, 1.0), r"alpha must be a number in \(0, 1\); got 1.0."),
        (
            lambda: certified_radius(np.array([5]), 10, sigma=-1, alpha=0.1),
            "sigma must be a finite number > 0",
        ),
        (lambda: soft_mixture_radius(np.array([0.5]), sigma=1, weight=1), "shares must be"),
    ],
)
def test_what_is_out_of_range_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
