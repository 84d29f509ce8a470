"""Each image in a version of its own: the images of the views, and nothing that nobody asked for."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, PartitionSpec

from isvs_jax import SplitLBI
from isvs_jax.augment import View, draw_versions, show_versions, show_views
from isvs_jax.filters.matching import FILTERS

# Two times of one kind, not in their order, and a filter twice at one strength.
VIEWS = (View(8.0), View(0.8, "blur"), View(4.0), View(0.4, "lowpass"), View(8.0, "sparse"), View(0.8, "blur"))
SOLVER = SplitLBI(kappa=1.0)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 6, 5, 2))
show = jax.jit(lambda versions: show_versions(IMAGES, versions, VIEWS, SOLVER, group_size=2))


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Every image in every version, [1 + V, B, ...]."""
    versions = np.concatenate([IMAGES[None], show_views(IMAGES, VIEWS, SOLVER)])
    # Otherwise the wrong one could be shown unseen.
    assert np.abs(np.diff(versions, axis=0)).max((1, 2, 3, 4)).min() > 0.02
    return versions


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(VIEWS)), min_size=8, max_size=8))
def test_each_image_is_shown_in_its_version(expected: np.ndarray, versions: list[int]) -> None:
    shown = np.asarray(show(np.array(versions)))
    np.testing.assert_allclose(shown, expected[versions, np.arange(8)], atol=5e-6)
    raw = np.array(versions) == 0
    np.testing.assert_array_equal(shown[raw], IMAGES[raw])
    assert show._cache_size() == 1


def test_only_the_groups_that_are_needed_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counting(images: jax.Array, sigma: float) -> jax.Array:
        jax.debug.callback(lambda: seen.append(len(images)))
        return images + sigma

    monkeypatch.setitem(FILTERS, "blur", counting)
    views = (View(1.0, "blur"), View(2.0, "blur"))
    shown = jax.jit(lambda versions: show_versions(IMAGES, versions, views, group_size=4))(
        np.array([2, 0, 1, 1, 2, 2, 2, 2])
    )
    jax.effects_barrier()
    assert seen == [4, 4, 4]  # one group for the first view, two for the five images of the second
    moved = np.asarray(shown) - np.asarray(IMAGES)
    np.testing.assert_allclose(moved.mean((1, 2, 3)), [2, 0, 1, 1, 2, 2, 2, 2], atol=1e-6)
    jax.block_until_ready(jax.jit(lambda versions: show_versions(IMAGES, versions, views))(np.zeros(8, int)))
    jax.effects_barrier()
    assert len(seen) == 3


def test_views_with_few_images_share_groups_in_the_order_of_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []

    def counting(images: jax.Array, times: jax.Array, *_: object, max_time: float) -> jax.Array:
        jax.debug.callback(lambda times: seen.append(times.tolist()), times)
        return images + times[:, None, None, None]

    monkeypatch.setattr(importlib.import_module("isvs_jax.augment.versions"), "smooth", counting)
    views = (View(4.0), View(2.0), View(1.0))
    shown = jax.jit(lambda versions: show_versions(IMAGES, versions, views, group_size=2))(
        np.array([2, 0, 1, 3, 3, 0, 2, 1])
    )
    jax.effects_barrier()
    assert seen == [[1.0, 1.0, 2.0, 2.0], [4.0] * 4]
    moved = np.asarray(shown) - np.asarray(IMAGES)
    np.testing.assert_allclose(moved.mean((1, 2, 3)), [2, 0, 4, 1, 1, 0, 2, 4], atol=1e-6)


@pytest.mark.parametrize(("count", "num_views", "raw_share"), [(13, 3, 0.5), (12, 5, 0.0), (3, 4, 0.4), (5, 2, 1.0)])
def test_shares_are_exact(count: int, num_views: int, raw_share: float) -> None:
    versions = draw_versions(jax.random.key(1), count, num_views, raw_share)
    assert versions.dtype == jnp.int32
    counts = np.bincount(versions, minlength=1 + num_views)
    assert counts[0] == round(raw_share * count)
    assert counts[1:].max() - counts[1:].min() <= 1


def test_eight_devices_show_what_one_shows(strict: None, expected: np.ndarray) -> None:
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")

    def share(images: jax.Array, key: jax.Array) -> jax.Array:
        versions = draw_versions(key, 8, len(VIEWS), 0.25)
        own = jax.lax.axis_index("batch") * len(images) + jnp.arange(len(images))
        return show_versions(images, versions[own], VIEWS, SOLVER)

    divided = jax.jit(jax.shard_map(share, mesh=mesh, in_specs=(spec, PartitionSpec()), out_specs=spec))
    key = jax.random.key(2)
    versions = draw_versions(key, 8, len(VIEWS), 0.25)
    np.testing.assert_allclose(divided(IMAGES, key), expected[versions, np.arange(8)], atol=5e-6)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"images": jnp.zeros((8, 8, 2))}, ValueError, r"images must be \[B, H, W, C\]; got shape \(8, 8, 2\)"),
        ({"versions": jnp.zeros(8)}, TypeError, "versions must be integers; got dtype float32"),
        ({"versions": jnp.zeros(7, int)}, ValueError, r"versions must have shape \(8,\), one for each image; got .*7"),
        ({"views": ()}, ValueError, "views must hold at least one view; got none"),
        ({"group_size": 0}, ValueError, "group_size must be an integer of at least 1; got 0"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, error: type, sentence: str) -> None:
    given = {"images": IMAGES, "versions": jnp.zeros(8, int), "views": VIEWS, "group_size": None} | change
    with pytest.raises(error, match=sentence):
        show_versions(given["images"], given["versions"], given["views"], group_size=given["group_size"])


def test_draws_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"raw_share must be a number in \[0, 1\]; got 1.5"):
        draw_versions(jax.random.key(0), 4, 2, 1.5)
    with pytest.raises(ValueError, match="num_views must be an integer of at least 1; got 0"):
        draw_versions(jax.random.key(0), 4, 0)
