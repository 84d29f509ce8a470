import numpy as np
import pytest

from isvs_jax.augment.views import View
from isvs_jax.training.inputs import Inputs, choose

VIEWS = (View(1.0), View(2.0), View(4.0, "sparse"))


def shares(inputs: Inputs, progress: float = 0.5, count: int = 40_000) -> np.ndarray:
    versions = choose(inputs, np.random.default_rng(0), count, progress)
    assert versions.dtype == np.int32
    assert versions.shape == (count, 1)
    return np.bincount(versions[:, 0], minlength=inputs.versions) / count


def test_raw_and_fixed() -> None:
    np.testing.assert_array_equal(shares(Inputs()), [1])
    np.testing.assert_array_equal(shares(Inputs("fixed", VIEWS[:1])), [0, 1])


@pytest.mark.parametrize("raw_share", [0.0, 0.25, 0.5, 1.0])
def test_random_keeps_the_shares(raw_share: float) -> None:
    expected = [raw_share, *[(1 - raw_share) / 3] * 3]
    # Five standard deviations of a share among 40,000 draws.
    np.testing.assert_allclose(shares(Inputs("random", VIEWS, raw_share)), expected, atol=5 * 0.5 / 200)


def test_coarse_to_fine_goes_through_the_views_in_order_and_ends_raw() -> None:
    inputs = Inputs("coarse_to_fine", VIEWS)
    seen = [int(np.argmax(shares(inputs, progress, 10))) for progress in np.arange(0, 1, 0.05)]
    assert seen == [1] * 5 + [2] * 5 + [3] * 5 + [0] * 5


@pytest.mark.parametrize("draws", [2, 3, 4])
def test_several_shows_the_image_and_distinct_views_alike_often(draws: int) -> None:
    versions = choose(Inputs("several", VIEWS, draws=draws), np.random.default_rng(0), 40_000, 0.5)
    assert versions.dtype == np.int32
    assert versions.shape == (40_000, draws)
    assert (versions[:, 0] == 0).all()
    assert (np.diff(np.sort(versions, axis=1), axis=1) > 0).all()
    for column in versions[:, 1:].T:
        share = np.bincount(column, minlength=4) / 40_000
        np.testing.assert_allclose(share, [0, 1 / 3, 1 / 3, 1 / 3], atol=5 * 0.5 / 200)


@pytest.mark.parametrize("inputs", [Inputs("random", VIEWS), Inputs("several", VIEWS, draws=2)])
def test_the_generator_decides(inputs: Inputs) -> None:
    one, again, two = (choose(inputs, np.random.default_rng(seed), 100, 0.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != two).any()


def test_coarse_to_fine_takes_each_kind_from_coarse_to_fine() -> None:
    Inputs("coarse_to_fine", (View(3.0, "blur"), View(0.2, "lowpass"), View(1.0, "blur"), View(0.5, "lowpass")))
    Inputs("coarse_to_fine", (View(1.0, "sparse"), View(2.0, "dense")))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("other",), "way must be one of 'raw', 'fixed', .*; got 'other'"),
        (("raw", VIEWS), "views must be empty for way 'raw'; got dense:1 dense:2 sparse:4"),
        (("fixed", VIEWS), "views must hold one view for way 'fixed'; got dense:1 dense:2 sparse:4"),
        (("fixed",), "views must hold one view for way 'fixed'; got none"),
        (("random",), "views must hold one view or more for way 'random'; got none"),
        (("several",), "views must hold one view or more for way 'several'; got none"),
        (("random", VIEWS, 1.5), r"raw_share must be a number in \[0, 1\]; got 1\.5"),
        (("random", VIEWS, float("nan")), r"raw_share must be a number in \[0, 1\]; got nan"),
        (("coarse_to_fine", VIEWS[::-1]), "views must be in the order of rising times for way 'coarse_to_fine'; got"),
        (("coarse_to_fine", (View(1.0, "blur"), View(2.0, "blur"))), "falling widths of the blur"),
        (("coarse_to_fine", (View(0.1, "rof"), View(0.2, "rof"))), "falling weights"),
        (("coarse_to_fine", (View(0.5, "lowpass"), View(0.2, "lowpass"))), "rising cut-off frequencies"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Inputs(*arguments)


def test_the_flow_is_of_the_settings() -> None:
    solver = Inputs(solver_kappa=3.0, solver_nu=0.2, solver_penalty="isotropic").solver
    assert (solver.kappa, solver.nu, solver.penalty) == (3.0, 0.2, "isotropic")
    with pytest.raises(ValueError, match=r"penalty must be one of .*; got 'colour'"):
        Inputs(solver_penalty="colour")  # type: ignore[arg-type]


def test_draws_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"draws must be 1 for way 'random'; got 2"):
        Inputs("random", VIEWS, draws=2)
    for draws in (1, 5):
        with pytest.raises(ValueError, match=rf"draws must be an integer from 2 to 4; got {draws}"):
            Inputs("several", VIEWS, draws=draws)
    with pytest.raises(ValueError, match="views must differ for way 'several'; got dense:1 dense:1"):
        Inputs("several", VIEWS[:1] * 2, draws=2)
