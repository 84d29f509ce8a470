"""When squares and stripes enter."""

import numpy as np
import pytest

from experiments.claims.scales import Scales, crossing, squares_table, stripes, stripes_table
from experiments.claims.scales_pictures import entry_figure
from experiments.measures.entry_order import (
    entries,
    first_entry,
    square,
    square_entries,
    straight_entry,
    stripe,
    total_variation_entry,
)
from isvs_jax import SplitLBI, scale_space

SIZE = 16


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.stack([square(side, height, 24) for side in (2, 4, 8) for height in (0.5, 1.0)])


def test_squares_and_stripes_are_where_they_should_be(squares: np.ndarray) -> None:
    assert squares.sum((1, 2, 3)).tolist() == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    assert squares[0].argmax() == 11 * 24 + 11
    assert stripe(5, 1.0, 32).shape == (1, 32, 1)
    assert stripe(5, 1.0, 32).sum() == 5
    with pytest.raises(ValueError, match="side must be an integer from 1 to 22; got 23"):
        square(23, 1.0, 24)


@pytest.mark.parametrize("nu", [0.03, 1.0])
def test_the_first_edge_enters_when_predicted(squares: np.ndarray, nu: float) -> None:
    predicted = first_entry(squares, nu)
    first, whole = entries(squares, nu, 2 * predicted.max())
    np.testing.assert_allclose(first, predicted, rtol=1e-3)
    assert (whole >= first).all()
    assert np.isfinite(whole).all()
    # (side 2, 4, 8) × (height 0.5, 1): twice the height in half the time, and never later for a larger side.
    np.testing.assert_allclose(predicted[0::2], 2 * predicted[1::2], rtol=1e-4)
    assert (np.diff(first[0::2]) < 0).all()


def test_size_counts_at_a_small_nu_only(squares: np.ndarray) -> None:
    small, large = (first_entry(squares, nu)[1::2] for nu in (1e-3, 10.0))
    assert small[0] / small[2] > 3
    assert large[0] / large[2] < 1.15
    # A square of 8 pixels is wide against a reach of one pixel.
    assert first_entry(squares, 1.0)[5] == pytest.approx(straight_entry(1.0, 1.0), rel=0.02)


def test_as_nu_vanishes_squares_and_stripes_are_whole_when_total_variation_says() -> None:
    stripes = np.stack([stripe(4, 0.5, 32), stripe(8, 1.0, 32)])
    limit = np.array([total_variation_entry(one) for one in stripes])
    np.testing.assert_allclose(limit, [2 / (0.5 * 4 * (1 - 4 / 32)), 2 / (8 * (1 - 8 / 32))], rtol=1e-12)
    np.testing.assert_allclose(first_entry(stripes, 1e-5), limit, rtol=5e-3)
    one = square(4, 1.0, 16)[None]
    whole = entries(one, 0.002, 2.0)[1][0]
    # Above it by what is left of √ν.
    assert 1 < whole / total_variation_entry(one[0]) < 1.04


def test_entries_agree_with_the_recorded_path(squares: np.ndarray) -> None:
    nu = 1.0
    first, whole = entries(squares[2:3], nu, 12.0)
    times = np.array([0.98 * first[0], 1.02 * first[0], 0.97 * whole[0], 1.03 * whole[0]])
    support = scale_space(squares[2], times, SplitLBI(nu=nu, step_size=0.01)).support
    image = squares[2]
    contour = [np.diff(image, axis=1) != 0, np.diff(image, axis=0) != 0]
    entered = [sum(int((np.asarray(f[i]) & c).sum()) for f, c in zip(support, contour, strict=True)) for i in range(4)]
    total = sum(int(c.sum()) for c in contour)
    assert entered[0] == 0
    assert entered[1] > 0
    assert entered[2] < total
    assert entered[3] == total


def test_a_path_that_ends_early_says_later(squares: np.ndarray) -> None:
    first, whole = entries(squares[:2], 1.0, 4.0)
    assert first[0] == whole[0] == np.inf
    assert first[1] < 4


def test_wide_and_low_comes_first_below_a_nu_and_last_above() -> None:
    at = crossing()
    wide, narrow = stripes()
    # h(1 − ρʷ) alike: 0.5(1 − ρ⁵⁰) = 1 − ρ⁵, ρ = 1 + ν/2 − √(ν + ν²/4).
    decay = 1 + at / 2 - np.sqrt(at + at**2 / 4)
    assert 0.5 * (1 - decay**50) == pytest.approx(1 - decay**5, rel=1e-4)
    for nu, order in ((0.5 * at, "wide, low"), (2 * at, "narrow, high")):
        assert (first_entry(np.stack([wide, narrow]), nu).argmin() == 0) == (order == "wide, low")
    assert stripes_table((1.0,)).rows["ν = 1"][-1] == "narrow, high"


def test_table_and_picture_of_squares() -> None:
    claim = Scales(nus=(1.0,), sides=(2, 4), heights=(0.5,), ground=12)
    found = square_entries(claim.nus, claim.sides, claim.heights, claim.ground)
    table = squares_table(found, claim)
    assert list(table.rows) == ["2 px × 0.5", "4 px × 0.5"]
    cell = table.rows["2 px × 0.5"][0]
    assert isinstance(cell, str)
    assert cell.startswith(f"{found.first[1.0][0, 0]:.3f} … ")
    (ax,) = entry_figure(found, claim.sides, claim.heights).axes
    assert ax.get_title() == "ν = 1"
    assert ax.lines[1].get_ydata().tolist() == found.first[1.0][:, 0].tolist()
