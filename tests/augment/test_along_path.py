"""Half raw, half along the path: exact shares, the images of `smooth`, one program."""

import importlib
from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import isvs_jax
from isvs_jax.augment import along_path, draw_versions

TIMES = (2.0, 4.0, 8.0)
SOLVER = isvs_jax.SplitLBI(kappa=2.0)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(0), (13, 6, 5, 2))


@pytest.fixture(scope="module")
def versions(images):
    """Each image as it is and at each time, [4, B, ...]."""
    return np.stack([images, *(isvs_jax.smooth(images, time, SOLVER) for time in TIMES)])


def shown(views, versions):
    """Which version each example is shown in; that it is one of them to rounding."""
    distance = np.abs(versions - np.asarray(views)).max((2, 3, 4))
    assert distance.min(0).max() < 5e-6
    return distance.argmin(0)


@pytest.mark.parametrize(("count", "raw_share"), [(13, 0.5), (12, 0.5), (13, 0.0), (2, 0.0), (1, 0.4), (5, 0.9)])
def test_shares_are_exact_and_images_are_those_of_smooth(strict, images, versions, count, raw_share):
    views = along_path(jax.random.key(1), images[:count], times=TIMES, raw_share=raw_share, solver=SOLVER)
    assert (views.shape, views.dtype) == (images[:count].shape, images.dtype)
    counts = np.bincount(shown(views, versions[:, :count]), minlength=4)
    assert counts[0] == round(raw_share * count)
    assert counts[1:].max() - counts[1:].min() <= 1


def test_everything_raw_is_the_batch(images):
    np.testing.assert_array_equal(along_path(jax.random.key(1), images, raw_share=1.0), images)


def test_who_gets_what_is_drawn_and_no_example_or_time_is_favoured(images, versions):
    """Over 200 keys, in one program; the bounds hold for fair draws but for one run in ten thousand."""
    traced = []

    @jax.jit
    def views(key):
        traced.append(key)
        return along_path(key, images, times=TIMES, solver=SOLVER)

    found = np.stack([shown(views(key), versions) for key in jax.random.split(jax.random.key(2), 200)])
    assert len(traced) == 1
    assert len(np.unique(found, axis=0)) > 190
    # 6 of 13 raw; the other 7 are 3, 2 and 2, and which time has 3 is drawn.
    assert (found == 0).sum(1).tolist() == [6] * 200
    per_example = (found == 0).mean(0)
    assert np.abs(per_example - 6 / 13).max() < 5 * np.sqrt(6 / 13 * 7 / 13 / 200)
    favoured = Counter(np.argmax([(found == k).sum(1) for k in (1, 2, 3)], axis=0).tolist())
    assert min(favoured.values()) > 200 / 3 - 4.5 * np.sqrt(200 * 2 / 9)


def test_with_a_key_for_each_example_it_draws_for_itself(strict, images, versions):
    keys = jax.random.split(jax.random.key(5), 13)
    views = np.asarray(along_path(keys, images, times=TIMES, solver=SOLVER))
    drawn = jax.jit(draw_versions, static_argnums=(1, 2, 3))
    chosen = np.asarray(drawn(keys, 13, len(TIMES)))
    np.testing.assert_array_equal(shown(views, versions), chosen)
    order = np.random.default_rng(0).permutation(13)
    np.testing.assert_allclose(
        along_path(keys[order], images[order], times=TIMES, solver=SOLVER), views[order], atol=5e-6
    )
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    spec = PartitionSpec("batch")
    share = jax.shard_map(partial(along_path, times=TIMES, solver=SOLVER), mesh=mesh, in_specs=spec, out_specs=spec)
    np.testing.assert_allclose(jax.jit(share)(keys[:12], images[:12]), views[:12], atol=5e-6)
    many = np.bincount(drawn(jax.random.split(jax.random.key(6), 2000), 2000, 3, 0.4), minlength=4) / 2000
    np.testing.assert_allclose(many, [0.4, 0.2, 0.2, 0.2], atol=4.5 * np.sqrt(0.24 / 2000))


def test_a_second_key_compiles_nothing_outside_of_jit_either(images):
    module = importlib.import_module("isvs_jax.augment._along_path")
    along_path(jax.random.key(0), images, times=TIMES, solver=SOLVER)
    compiled = module._along_path._cache_size()
    along_path(jax.random.key(1), images, times=list(TIMES), solver=isvs_jax.SplitLBI(kappa=jnp.float32(2)))
    assert module._along_path._cache_size() == compiled


def test_one_bad_example_spoils_no_other(images):
    views = along_path(jax.random.key(3), images, times=TIMES, solver=SOLVER, output="sparse")
    bad = along_path(jax.random.key(3), images.at[4, 0, 0, 0].set(jnp.nan), times=TIMES, solver=SOLVER, output="sparse")
    others = np.arange(13) != 4
    np.testing.assert_array_equal(bad[others], views[others])
    assert jnp.isnan(bad[4]).any()


def test_it_has_a_gradient_and_maps_over_keys(images):
    keys = jax.random.split(jax.random.key(4), 2)
    mapped = jax.vmap(lambda key: along_path(key, images, times=(1.0,), solver=SOLVER))(keys)
    for key, views in zip(keys, mapped, strict=True):
        np.testing.assert_allclose(views, along_path(key, images, times=(1.0,), solver=SOLVER), atol=5e-6)
    # The mean of an image stays along the path.
    total = jax.jit(lambda key, images: along_path(key, images, times=(1.0,), solver=SOLVER).sum())
    slope = jax.jit(jax.grad(total, argnums=1))(keys[0], images)
    np.testing.assert_allclose(slope, 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"key": 0}, TypeError, "key must be one PRNG key"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, TypeError, "images must .*; got dtype uint8. Divide by 255"),
        ({"images": np.zeros((4, 4, 3), np.float32)}, ValueError, r"images must be \[B, H, W, C\]"),
        ({"images": np.zeros((0, 4, 4, 3), np.float32)}, ValueError, r"one .* image; got shape \(0, 4, 4, 3\)"),
        ({"times": ()}, ValueError, r"times must be one or more positive numbers; got \(\)"),
        ({"times": 2.0}, ValueError, "times must be one or more positive numbers; got 2.0"),
        ({"times": (1.0, -1.0)}, ValueError, "each of times must be a finite time > 0; got -1"),
        ({"raw_share": 1.5}, ValueError, r"raw_share must be a number in \[0, 1\]; got 1.5"),
        ({"output": "soft"}, ValueError, "output must be one of 'dense', 'sparse'; got 'soft'"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(change, error, sentence):
    given = {"key": jax.random.key(0), "images": np.zeros((2, 4, 4, 3), np.float32)} | change
    with pytest.raises(error, match=sentence):
        along_path(given.pop("key"), given.pop("images"), **given)
