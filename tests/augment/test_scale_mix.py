"""Weighted bands: the sum of NumPy with SciPy's blurs and the images of `smooth`, and the distributions asked for."""

import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from scipy import ndimage, stats

from isvs_jax import SplitLBI, smooth
from isvs_jax.augment import scale_mix

module = importlib.import_module("isvs_jax.augment._scale_mix")
TIMES, SIGMAS = (0.5, 1.0), (1.5, 0.7)
SOLVER = SplitLBI(kappa=1.0)
RANGES = module._Ranges(0.4, (0.5, 1.2), (0.3, 1.2), 0.1, 0.9, 0.8, 0.7, 0.5, 0.6)
KEYS = jax.random.split(jax.random.key(0), 16)
IMAGES = jax.random.uniform(jax.random.key(1), (16, 6, 5, 2))
mixed = partial(scale_mix, times=TIMES, sigmas=SIGMAS, solver=SOLVER, bands="either", **RANGES._asdict())


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def draw(keys, shape=(1, 1, 1), num_details=2, bands="either", ranges=RANGES):
    return jax.vmap(lambda key: module._draw(key, shape, num_details, bands, ranges))(keys)


def test_it_is_the_weighted_sum_of_the_bands(strict) -> None:
    """Against float64, of the path for some and of Gaussians for the others."""
    drawn = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), draw(KEYS, IMAGES.shape[1:]))
    images = np.asarray(IMAGES, np.float64)
    path = np.stack([smooth(IMAGES, time, SOLVER) for time in TIMES])
    blur = np.stack([ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="reflect") for sigma in SIGMAS])
    levels = np.where(drawn.is_path[:, None, None, None] == 1, path, blur)
    mean = images.mean((1, 2), keepdims=True)
    bands = [levels[0] - mean, levels[1] - levels[0], images - levels[1]]
    assert 0 < (drawn.is_path * drawn.is_banded).sum() < 16
    total = sum(weight[:, None, None, None] * band for weight, band in zip(drawn.weights.T, bands, strict=True))
    expected = np.clip(mean + drawn.contrast[:, None, None, None] * total + drawn.noise, 0, 1)
    np.testing.assert_allclose(mixed(KEYS, IMAGES), expected, atol=1e-5)


def test_what_is_drawn_has_the_ranges_and_probabilities_asked_for() -> None:
    drawn = jax.device_get(draw(jax.random.split(jax.random.key(2), 4000), (1, 1, 1), 3))
    coarse, details = drawn.weights[:, 0], drawn.weights[:, 1:]

    def has_share(happened, probability):
        assert abs(happened.mean() - probability) < 4.5 * np.sqrt(probability * (1 - probability) / len(happened))

    has_share(coarse != 1, 0.8)
    assert stats.kstest(coarse[coarse != 1], stats.uniform(0.5, 0.7).cdf).pvalue > 1e-4
    contrast = np.asarray(drawn.contrast)
    has_share(contrast != 1, 0.7)
    assert stats.kstest(contrast[contrast != 1], stats.uniform(0.3, 0.9).cdf).pvalue > 1e-4
    kept = (details > 0).sum(1)
    assert all((details[kept == count, :count] > 0).all() for count in range(4))
    has_share(kept < 3, 0.5)
    for count in range(3):
        has_share(kept[kept < 3] == count, 1 / 3)
    logarithms = np.log(details[kept == 3])
    has_share((logarithms != 0).any(1), 0.9)
    gained = logarithms[(logarithms != 0).any(1)]
    assert stats.kstest(gained.ravel(), stats.norm(0, 0.4).cdf).pvalue > 1e-4
    assert np.abs(np.corrcoef(gained.T) - np.eye(3)).max() < 5 / np.sqrt(len(gained))
    has_share(np.asarray(drawn.is_path), 0.5)
    noise = np.asarray(drawn.noise).ravel()
    has_share(noise != 0, 0.6)
    # Uniform in [0, 0.1], times a Gaussian number.
    assert abs(noise[noise != 0].std() - 0.1 / np.sqrt(3)) < 0.003


def test_noise_has_one_level_for_all_pixels_of_an_image() -> None:
    noise = np.asarray(draw(KEYS, (16, 16, 1)).noise)
    noise = noise[(noise != 0).any((1, 2, 3))]
    levels = noise.std((1, 2, 3), keepdims=True)
    assert levels.max() < 0.115
    assert np.ptp(levels) > 0.03
    assert stats.kstest((noise / levels).ravel(), stats.norm.cdf).pvalue > 1e-4


def test_an_example_depends_on_its_own_key_and_pixels_alone() -> None:
    compiled = module._scale_mix._cache_size()
    together = np.asarray(mixed(KEYS, IMAGES))
    first = module._scale_mix._cache_size()
    assert first <= compiled + 1
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_allclose(mixed(KEYS[order], IMAGES[order]), together[order], atol=1e-6)
    np.testing.assert_array_equal(mixed(jax.random.key(0), IMAGES), together)
    bad = mixed(KEYS, IMAGES.at[3, 0, 0, 0].set(jnp.nan))
    others = np.arange(16) != 3
    np.testing.assert_allclose(bad[others], together[others], atol=1e-6)
    assert jnp.isnan(bad[3]).any()
    assert module._scale_mix._cache_size() == first
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    divided = jax.jit(jax.shard_map(mixed, mesh=mesh, in_specs=spec, out_specs=spec))(KEYS, IMAGES)
    np.testing.assert_allclose(divided, together, atol=1e-6)


def test_the_path_alone_has_a_gradient_and_maps_over_keys() -> None:
    quiet = partial(mixed, bands="path", noise=0.0, contrast=(0.4, 0.5))
    keys, images = jax.random.split(jax.random.key(7), 2), np.asarray(IMAGES)[:2]
    slope = np.asarray(jax.jit(jax.grad(lambda images: quiet(keys, images).sum()))(images))
    assert np.isfinite(slope).all()
    assert (slope != 0).any((1, 2, 3)).all()
    mapped = jax.jit(jax.vmap(lambda key: quiet(key, images)))(keys)
    np.testing.assert_allclose(mapped, np.stack([quiet(key, images) for key in keys]), atol=1e-5)


def test_nothing_asked_nothing_done() -> None:
    probabilities = {name: 0.0 for name in RANGES._fields if name.endswith("probability")}
    for bands in ("path", "blur"):
        np.testing.assert_allclose(mixed(KEYS, IMAGES, bands=bands, **probabilities), IMAGES, atol=1e-6)


def test_only_those_that_need_their_path_are_followed(monkeypatch) -> None:
    followed: list[int] = []

    class Path:
        def __init__(self, images):
            self.dense = images[None]

    def counting(images, times, solver):
        jax.debug.callback(lambda: followed.append(len(images)))
        return Path(images)

    monkeypatch.setattr(module, "scale_space", counting)
    drawn, mean = draw(KEYS), IMAGES.mean((1, 2), keepdims=True)
    for share, groups in ((0.5, -(-int((drawn.is_path & drawn.is_banded).sum()) // 2)), (0, 0)):
        module._along_paths(IMAGES, mean, drawn._replace(weights=drawn.weights[:, :2]), IMAGES, (1.0,), SOLVER, share)
        jax.effects_barrier()
        assert followed == [2] * groups
        followed.clear()


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"key": 0}, TypeError, "key must be one PRNG key"),
        ({"key": KEYS[:3]}, ValueError, "key must be one PRNG key, .* or 16 of them"),
        ({"images": IMAGES[0]}, ValueError, r"images must be \[B, H, W, C\]"),
        ({"bands": "both"}, ValueError, "bands must be one of 'path', 'blur', 'either'; got 'both'"),
        ({"times": (2.0, 1.0)}, ValueError, r"times must be strictly increasing; got \(2.0, 1.0\)"),
        ({"sigmas": (1.0,)}, ValueError, r"sigmas must be as many as times, 2, for bands 'either'; got \(1.0,\)"),
        ({"gain": -1.0}, ValueError, "gain must be a finite standard deviation ≥ 0; got -1.0"),
        ({"coarse": (1.2, 0.5)}, ValueError, r"coarse must be two factors, the least and the most; got \(1.2, 0.5\)"),
        ({"contrast": 0.5}, ValueError, "contrast must be two factors, the least and the most; got 0.5"),
        ({"cut_probability": 2}, ValueError, r"cut_probability must be a probability in \[0, 1\]; got 2"),
        ({"solver": None}, TypeError, "solver must be an isvs_jax.SplitLBI; got None"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(change, error, sentence) -> None:
    given = {"key": KEYS, "images": IMAGES} | change
    with pytest.raises(error, match=sentence):
        mixed(given.pop("key"), given.pop("images"), **given)


def test_a_traced_kappa_is_refused_with_a_sentence() -> None:
    with pytest.raises(TypeError, match="kappa must be a number that can be seen; got a traced value"):
        jax.eval_shape(lambda kappa: mixed(KEYS, IMAGES, solver=SplitLBI(kappa=kappa)), 1.0)
