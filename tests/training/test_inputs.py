from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.augment import Augmentation, View, along_path, augment, show_views
from isvs_jax.filters import gaussian_matrix
from isvs_jax.training import inputs as inputs_module
from isvs_jax.training.inputs import Inputs, choose, noisy_last, show

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
# It shows what it is given.
IDENTITY = View(0.0, "blur")


def of_its_own(keys: jax.Array, images: jax.Array, **options: object) -> jax.Array:
    """In the place of what draws: each image brighter by a number of its own key."""
    return images + 1 + jax.vmap(jax.random.uniform)(keys)[:, None, None, None]


def noisy_by_hand(key: jax.Array, image: jax.Array, most: float) -> np.ndarray:
    noise_key, level_key = jax.random.split(key)
    level = jax.random.uniform(level_key, (1, 1, 1, 1), maxval=most)
    noise = jax.random.normal(noise_key, (1, *image.shape))
    return np.clip(image + np.asarray(level * noise)[0], 0, 1)


@pytest.mark.parametrize(
    ("inputs", "step", "group"),
    [
        (Inputs("random", BLURS, raw_share=0.25), 0, 2),
        (Inputs("scale_mix", BLURS, raw_share=0.25), 0, 2),
        (Inputs("several", BLURS, draws=2), 0, 8),
        (Inputs("coarse_to_fine", BLURS), 29, 8),
        (Inputs(), 0, 8),
    ],
    ids=lambda value: getattr(value, "way", None),
)
def test_those_in_no_view_are_mixed_and_nobody_else(
    inputs: Inputs, step: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def mixed(keys: jax.Array, images: jax.Array) -> jax.Array:
        sizes.append(len(images))
        return of_its_own(keys, images)

    monkeypatch.setattr(inputs_module, "scale_mix", partial(of_its_own, brighter=2))
    monkeypatch.setattr(inputs_module, "augmix", mixed)
    versions = choose(inputs, jax.random.key(1), 8, step, 30)
    plain = show(inputs, IMAGES, versions, KEYS)
    assert not sizes
    shown = show(replace(inputs, unsmoothed="augmix"), IMAGES, versions, KEYS)
    # No more than are shown in no view: the rest of the batch is not mixed and thrown away.
    assert sizes == [group]
    assert (np.asarray(versions) == 0).sum() == group
    is_plain = np.asarray(versions)[..., None, None, None] == 0
    np.testing.assert_allclose(shown, np.where(is_plain, of_its_own(KEYS, IMAGES)[:, None], plain), rtol=1e-6)


def test_noise_comes_before_the_smoothing_where_it_is_first() -> None:
    inputs = Inputs("random", (IDENTITY, BLURS[1]), raw_share=0.25, noise_place="first")
    versions = choose(inputs, jax.random.key(1), 8, 0, None)
    shown = np.asarray(show(inputs, IMAGES, versions, KEYS, noise=0.3))[:, 0]
    noisy = [noisy_by_hand(jax.random.split(key)[1], image, 0.3) for key, image in zip(KEYS, IMAGES, strict=True)]
    rows, columns = (np.asarray(gaussian_matrix(size, 0.7)) for size in (6, 5))
    blurred = np.einsum("ij,bjkc,lk->bilc", rows, np.stack(noisy), columns)
    expected = np.stack([IMAGES, noisy, blurred])[np.asarray(versions)[:, 0], np.arange(8)]
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert np.bincount(np.asarray(versions)[:, 0]).tolist() == [2, 3, 3]


def test_each_version_has_noise_of_its_own() -> None:
    inputs = Inputs("several", (IDENTITY, View(1e-3, "blur")), draws=3, noise_place="first")
    versions = choose(inputs, jax.random.key(1), 8, 0, None)
    shown = np.asarray(show(inputs, IMAGES, versions, KEYS, noise=0.3))
    np.testing.assert_array_equal(shown[:, 0], IMAGES)
    one, two = (shown[:, 1:] - np.asarray(IMAGES)[:, None]).swapaxes(0, 1)
    assert min(np.abs(one).max((1, 2, 3)).min(), np.abs(two).max((1, 2, 3)).min()) > 1e-3
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 5 / np.sqrt(one.size)


def test_the_bands_are_those_of_the_noisy_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "scale_mix", of_its_own)
    inputs = Inputs("scale_mix", BLURS, raw_share=0.0, noise_place="first")
    shown = show(inputs, IMAGES, jnp.ones((8, 1), jnp.int32), KEYS, noise=0.3)[:, 0]
    bands_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(KEYS)
    noisy = [noisy_by_hand(key, image, 0.3) for key, image in zip(noise_keys, IMAGES, strict=True)]
    np.testing.assert_allclose(shown, of_its_own(bands_keys, jnp.stack(noisy)), atol=1e-6)


def test_noise_comes_last_on_all_or_on_those_in_no_view() -> None:
    versions = jnp.array([[0], [2], [1], [0]])
    assert noisy_last(RANDOM, versions) is None
    for place in ("first", "unsmoothed"):
        found = noisy_last(replace(RANDOM, noise_place=place), versions)
        np.testing.assert_array_equal(found, [[True], [False], [False], [True]])


def test_a_batch_on_eight_devices_is_shown_as_on_one(
    shared: Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixtures and both noises, on devices that have examples of any view or of none."""
    monkeypatch.setattr(inputs_module, "augmix", of_its_own)
    inputs = Inputs("random", BLURS, unsmoothed="augmix", noise_place="first")
    images = jax.random.uniform(jax.random.key(5), (16, 6, 5, 2))
    keys = jax.random.split(jax.random.key(6), 16)

    def seen(images: jax.Array, versions: jax.Array, keys: jax.Array) -> jax.Array:
        shown = show(inputs, images, versions, keys, noise=0.2)
        return augment(keys, shown, Augmentation(crop=1, noise=0.2), noisy=noisy_last(inputs, versions))

    given = (images, choose(inputs, jax.random.key(7), 16, 0, None), keys)
    np.testing.assert_allclose(shared(seen)(*given), jax.jit(seen)(*given), atol=1e-6)


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


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"unsmoothed": "mixed"}, "unsmoothed for way 'raw' must be one of 'raw', 'augmix'; got 'mixed'"),
        ({"noise_place": "first"}, "noise_place for way 'raw' must be one of 'last'; got 'first'"),
        (
            {"way": "fixed", "views": VIEWS[:1], "unsmoothed": "augmix"},
            "unsmoothed for way 'fixed' must be one of 'raw'",
        ),
        (
            {"way": "fixed", "views": VIEWS[:1], "noise_place": "unsmoothed"},
            "noise_place for way 'fixed' must be one of 'last', 'first'; got 'unsmoothed'",
        ),
        (
            {"way": "random", "views": VIEWS, "noise_place": "then"},
            "noise_place for way 'random' must be one of 'last', 'first', 'unsmoothed'; got 'then'",
        ),
    ],
)
def test_mixtures_and_places_of_noise_that_do_not_fit_are_refused(choices: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Inputs(**choices)
