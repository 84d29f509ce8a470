import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.augment import View, along_path, show_views
from isvs_jax.training import inputs as inputs_module
from isvs_jax.training.inputs import Inputs, choose, show

VIEWS = (View(4.0), View(8.0), View(8.0, "sparse"))


RANDOM, SEVERAL = Inputs("random", VIEWS), Inputs("several", VIEWS, solver_kappa=1.0, draws=3)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 6, 5, 2))
KEYS = jax.random.split(jax.random.key(9), 8)


def stages(inputs: Inputs, num_steps: int) -> list[int]:
    found = [np.unique(choose(inputs, jax.random.key(0), 5, step, num_steps)).tolist() for step in range(num_steps)]
    assert all(len(versions) == 1 for versions in found)
    return [versions[0] for versions in found]


def test_ways_that_draw_nothing() -> None:
    assert stages(Inputs(), 2) == [0, 0]
    assert stages(Inputs("fixed", VIEWS[:1]), 2) == [1, 1]
    assert stages(Inputs("coarse_to_fine", VIEWS), 20) == [1] * 5 + [2] * 5 + [3] * 5 + [0] * 5


@pytest.mark.parametrize("draws", [2, 3, 4])
def test_several_shows_the_image_and_distinct_views_alike_often(draws: int) -> None:
    versions = np.asarray(choose(Inputs("several", VIEWS, draws=draws), jax.random.key(0), 40_000, 0, None))
    assert versions.dtype == np.int32
    assert versions.shape == (40_000, draws)
    assert (versions[:, 0] == 0).all()
    assert (np.diff(np.sort(versions, axis=1), axis=1) > 0).all()
    for column in versions[:, 1:].T:
        share = np.bincount(column, minlength=4) / 40_000
        # Five standard deviations of a share among 40,000 draws.
        np.testing.assert_allclose(share, [0, 1 / 3, 1 / 3, 1 / 3], atol=5 * 0.5 / 200)


def test_the_key_decides() -> None:
    for inputs in (RANDOM, SEVERAL):
        one, again, two = (choose(inputs, jax.random.key(seed), 100, 0, None) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert (one != two).any()


def test_the_way_random_is_along_path() -> None:
    """The trainer shows what anybody's loop shows with the same key."""
    inputs = Inputs("random", (View(4.0), View(8.0)), raw_share=0.25, solver_kappa=1.0)
    key = jax.random.key(3)
    shown = show(inputs, IMAGES, choose(inputs, key, 8, 0, None), KEYS)
    expected = along_path(key, IMAGES, times=(4.0, 8.0), raw_share=0.25, solver=inputs.solver)
    np.testing.assert_allclose(shown[:, 0], expected, atol=1e-6)


def test_examples_are_shown_in_the_versions_chosen() -> None:
    versions = choose(SEVERAL, jax.random.key(1), 8, 0, None)
    shown = np.asarray(show(SEVERAL, IMAGES, versions, KEYS))
    assert shown.shape == (8, 3, 6, 5, 2)
    every = np.concatenate([IMAGES[None], show_views(IMAGES, VIEWS, SEVERAL.solver)])
    assert np.abs(np.diff(every, axis=0)).max((1, 2, 3, 4)).min() > 0.02
    np.testing.assert_allclose(shown, every[np.asarray(versions), np.arange(8)[:, None]], atol=5e-6)
    np.testing.assert_array_equal(shown[:, 0], IMAGES)
    np.testing.assert_array_equal(show(Inputs(), IMAGES, jnp.zeros((8, 1), int), KEYS), IMAGES[:, None])


BLURS = (View(1.5, "blur"), View(0.7, "blur"))


@pytest.mark.parametrize(
    ("views", "given"),
    [
        (VIEWS[:2], {"bands": "path", "times": (4.0, 8.0)}),
        (BLURS, {"bands": "blur", "sigmas": (1.5, 0.7)}),
        ((*VIEWS[:2], *BLURS), {"bands": "either", "times": (4.0, 8.0), "sigmas": (1.5, 0.7)}),
    ],
)
def test_the_kind_of_the_views_says_whose_bands_are_weighted(
    views: tuple[View, ...], given: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def brighter(keys: jax.Array, images: jax.Array, **options: object) -> jax.Array:
        asked.append(options)
        return images + 1 + jax.vmap(jax.random.uniform)(keys)[:, None, None, None]

    monkeypatch.setattr(inputs_module, "scale_mix", brighter)
    inputs = Inputs("scale_mix", views, raw_share=0.25)
    versions = choose(inputs, jax.random.key(1), 8, 0, None)
    assert np.bincount(versions[:, 0]).tolist() == [2, 6]
    shown = show(inputs, IMAGES, versions, KEYS)[:, 0]
    assert asked[0] == given | {"solver": inputs.solver}
    # Each of those who are not raw with its own key.
    np.testing.assert_allclose(shown, jnp.where(versions[:, :, None, None] == 0, IMAGES, brighter(KEYS, IMAGES)))


def test_coarse_to_fine_takes_each_kind_from_coarse_to_fine() -> None:
    Inputs("coarse_to_fine", (View(3.0, "blur"), View(0.2, "lowpass"), View(1.0, "blur"), View(0.5, "lowpass")))
    Inputs("coarse_to_fine", (View(1.0, "sparse"), View(2.0, "dense")))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("other",), "way must be one of 'raw', 'fixed', .*; got 'other'"),
        (("raw", VIEWS), "views must be empty for way 'raw'; got dense:4 dense:8 sparse:8"),
        (("fixed", VIEWS), "views must hold one view for way 'fixed'; got dense:4 dense:8 sparse:8"),
        (("fixed",), "views must hold one view for way 'fixed'; got none"),
        (("random",), "views must hold one view or more for way 'random'; got none"),
        (("several",), "views must hold one view or more for way 'several'; got none"),
        (("random", VIEWS, 1.5), r"raw_share must be a number in \[0, 1\]; got 1\.5"),
        (("random", VIEWS, float("nan")), r"raw_share must be a number in \[0, 1\]; got nan"),
        (("coarse_to_fine", VIEWS[::-1]), "views must be in the order of rising times for way 'coarse_to_fine'; got"),
        (("coarse_to_fine", (View(1.0, "blur"), View(2.0, "blur"))), "falling widths of the blur"),
        (
            ("scale_mix", VIEWS),
            "views must be dense, blur, or as many of both for way 'scale_mix'.*; got dense:4 dense:8",
        ),
        (("scale_mix", (*VIEWS[:2], View(1.0, "blur"))), "or as many of both .*; got dense:4 dense:8 blur:1"),
        (("scale_mix", VIEWS[1::-1]), "views must be in the order of rising times for way 'scale_mix'; got"),
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
    with pytest.raises(ValueError, match="views must differ for way 'several'; got dense:4 dense:4"):
        Inputs("several", VIEWS[:1] * 2, draws=2)
