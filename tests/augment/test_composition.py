"""Chains and mixtures of augmentations: their keys, their shares, and that each sees its own examples alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import AxisType, PartitionSpec

from isvs_jax import SplitLBI
from isvs_jax.augment import along_path, chain, mix, per_example
from isvs_jax.augment.composition import exact_shares

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 16)
IMAGES = jax.random.uniform(jax.random.key(1), (16, 4, 3, 2))


def added(amount):
    return lambda key, images: images + amount


noisy = per_example(lambda key, image: image + jax.random.uniform(key, image.shape))


def test_a_chain_applies_one_after_another_each_with_a_key_of_its_own(strict) -> None:
    both = chain(noisy, lambda key, images: images * 2, noisy)
    for keys, fold in ((KEY, jax.random.fold_in), (KEYS, jax.vmap(jax.random.fold_in, (0, None)))):
        expected = noisy(fold(keys, 2), 2 * noisy(fold(keys, 0), IMAGES))
        np.testing.assert_allclose(both(keys, IMAGES), expected, atol=1e-6)
        np.testing.assert_allclose(jax.jit(both)(keys, IMAGES), expected, atol=1e-6)


def test_per_example_is_vmap_over_the_keys_given_or_split_off() -> None:
    expected = jax.vmap(lambda key, image: image + jax.random.uniform(key, image.shape))(KEYS, IMAGES)
    np.testing.assert_array_equal(noisy(KEYS, IMAGES), expected)
    np.testing.assert_array_equal(noisy(KEY, IMAGES), expected)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5), st.integers(0, 60), st.integers(1, 300))
def test_exact_shares_are_those_asked_for_to_one_example(weights, rest, count) -> None:
    total = sum(weights) + rest
    parts = np.array(weights) / max(total, 1)
    sizes = np.array(exact_shares(parts, count))
    assert (np.abs(sizes - parts * count) < 1).all()
    assert sizes.sum() <= count
    if rest == 0 and total:
        assert sizes.sum() == count
    # Equal shares differ by at most one.
    assert np.ptp(exact_shares(np.full(len(weights), 1 / len(weights)), count)) <= 1


def test_shares_are_exact_and_who_gets_what_is_drawn(strict) -> None:
    """Over 200 keys, in one program; the bound holds for fair draws but for one run in ten thousand."""
    traced = []
    mixture = mix((added(1), added(2), added(4)), (0.25, 0.5, 0.0))

    @jax.jit
    def kinds(key):
        traced.append(key)
        return (mixture(key, IMAGES[:13]) - IMAGES[:13]).mean((1, 2, 3)).round()

    found = np.stack([kinds(key) for key in jax.random.split(KEY, 200)])
    assert len(traced) == 1
    # 3.25, 6.5 and the rest, 3.25: the largest remainder has the one left over.
    assert all(np.bincount(row.astype(int), minlength=5).tolist() == [3, 3, 7, 0, 0] for row in found)
    assert np.abs((found == 2).mean(0) - 7 / 13).max() < 5 * np.sqrt(7 / 13 * 6 / 13 / 200)


def test_a_function_sees_its_own_examples_alone_and_no_work_is_done_for_others() -> None:
    seen: list[tuple[int, int]] = []

    def watched(number):
        def function(key, images):
            jax.debug.callback(lambda: seen.append((number, len(images))))
            return images + number

        return function

    mixture = mix([watched(1), watched(2)], (0.25, 0.5))
    jax.block_until_ready(mixture(KEY, IMAGES))
    jax.effects_barrier()
    assert seen == [(1, 4), (2, 8)]
    seen.clear()
    grouped = mix([watched(1), watched(2), watched(3)], (0.3, 0.5, 0.0), group_size=4)
    kinds = np.asarray((grouped(KEYS, IMAGES) - IMAGES).mean((1, 2, 3)).round()).astype(int)
    jax.effects_barrier()
    groups = -(-np.bincount(kinds, minlength=4)[1:] // 4)
    assert groups[:2].min() > 0
    assert sorted(seen) == [(1, 4)] * groups[0] + [(2, 4)] * groups[1]


@pytest.fixture(scope="module")
def pipeline():
    """With a key for each example: one of three, none, or the path; then noise."""
    path = partial(along_path, times=(0.5, 1.0), solver=SplitLBI(kappa=1.0))
    return chain(mix((added(1), path, noisy), (0.25, 0.25, 0.25)), noisy)


def test_with_a_key_for_each_example_it_depends_on_its_own_key_and_pixels_alone(pipeline) -> None:
    compiled = jax.jit(pipeline)
    together = np.asarray(compiled(KEYS, IMAGES))
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_allclose(compiled(KEYS[order], IMAGES[order]), together[order], atol=1e-6)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("batch")
    divided = jax.jit(jax.shard_map(pipeline, mesh=mesh, in_specs=spec, out_specs=spec))(KEYS, IMAGES)
    np.testing.assert_allclose(divided, together, atol=1e-6)
    bad = np.asarray(compiled(KEYS, IMAGES.at[3, 0, 0, 0].set(jnp.nan)))
    others = np.arange(16) != 3
    np.testing.assert_allclose(bad[others], together[others], atol=1e-6)
    assert np.isnan(bad[3]).any()


def test_shares_by_chance_have_their_probabilities_and_the_functions_the_keys_of_their_examples(strict) -> None:
    keys = jax.random.split(jax.random.key(5), 1000)
    mixture = mix((added(2.0), noisy), (0.2, 0.5))
    changed = np.asarray(mixture(keys, jnp.zeros((1000, 1, 1, 1))))[:, 0, 0, 0]
    for share, count in ((0.2, (changed == 2).sum()), (0.3, (changed == 0).sum())):
        assert abs(count - 1000 * share) < 4.5 * np.sqrt(1000 * share * (1 - share))
    own = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    expected = noisy(own, jnp.zeros((1000, 1, 1, 1)))[:, 0, 0, 0]
    is_noisy = (changed != 0) & (changed != 2)
    np.testing.assert_array_equal(changed[is_noisy], np.asarray(expected)[is_noisy])
    assert (mix((added(1.0),))(keys, jnp.zeros((1000, 1, 1, 1))) == 1).all()


def test_it_has_a_gradient() -> None:
    for keys in (KEY, KEYS):
        slope = jax.grad(lambda images, keys=keys: mix((added(1), lambda _, x: 2 * x))(keys, images).sum())(IMAGES)
        assert set(np.unique(slope)) == {1, 2}


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: chain(), ValueError, r"functions must be one or more of \(key, images\); got \(\)"),
        (lambda: mix(noisy), ValueError, "functions must be one or more of .*; got <function"),
        (lambda: chain(noisy, 3), TypeError, r"function 1 must be a function of \(key, images\); got 3"),
        (lambda: mix((noisy,), (0.5, 0.5)), ValueError, r"shares must be as many as functions, 1; got \(0.5, 0.5\)"),
        (lambda: mix((noisy, noisy), (0.5, 0.6)), ValueError, r"shares must sum to at most 1; got 1.1"),
        (lambda: mix((noisy,), (-0.1,)), ValueError, r"each of shares must be a number in \[0, 1\]; got -0.1"),
        (lambda: mix((noisy,), group_size=0), ValueError, "group_size must be an integer of at least 1; got 0"),
        (lambda: chain(noisy)(KEYS[:3], IMAGES), ValueError, r"key must be one PRNG key, .* or 16 of them"),
        (lambda: chain(noisy)(KEY, IMAGES[0]), ValueError, r"images must be \[B, H, W, C\]"),
        (lambda: chain(lambda key, x: x[0])(KEY, IMAGES), ValueError, r"function 0 must give images of shape .*; got"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        call()
