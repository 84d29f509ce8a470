"""Signatures, patches and interpolation of weights, against NumPy on the flat vector."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from isvs_jax.models import CNN, init
from isvs_jax.training import weight_arithmetic as arithmetic


@pytest.fixture(scope="module")
def networks():
    """Four sets of variables of one network: start, raw, noise and path."""
    like = jax.eval_shape(lambda: init(CNN(3, width=2), jax.random.key(0), (8, 8, 1)))
    rng = np.random.default_rng(0)
    return [jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), like) for _ in range(4)]


def _flat(params):
    return np.asarray(ravel_pytree(params)[0], np.float64)


def test_a_signature_is_what_is_orthogonal_to_the_raw_training(networks):
    start, raw, noise, _ = networks
    found = arithmetic.signature(start, noise, raw)
    moved, along = (_flat(each["params"]) - _flat(start["params"]) for each in (noise, raw))
    expected = moved - moved @ along / (along @ along) * along
    np.testing.assert_allclose(_flat(found.direction), expected, atol=2e-6)
    assert abs(_flat(found.direction) @ along) < 1e-4 * np.linalg.norm(along)
    assert found.norm == pytest.approx(np.linalg.norm(expected), rel=1e-5)
    assert found.removed == pytest.approx(1 - expected @ expected / (moved @ moved), abs=1e-5)
    # Without a raw training, and patched onto where it started, it is the training itself.
    whole = arithmetic.signature(start, noise)
    assert whole.removed == 0
    again = arithmetic.patched(start, whole.direction)["params"]
    np.testing.assert_allclose(_flat(again), _flat(noise["params"]), atol=1e-6)


def test_a_patch_is_scaled_once_and_only_where_it_is_asked_for(networks):
    start, raw, noise, _ = networks
    direction = arithmetic.signature(start, noise, raw).direction
    half = arithmetic.patched(raw, direction, 0.5)
    np.testing.assert_allclose(_flat(half["params"]), _flat(raw["params"]) + 0.5 * _flat(direction), atol=1e-6)
    first = sorted(raw["params"])[0]
    part = arithmetic.patched(raw, direction, 0.5, layers=[first])
    for name in raw["params"]:
        source = half if name == first else raw
        np.testing.assert_array_equal(_flat(part["params"][name]), _flat(source["params"][name]))
    assert part["batch_stats"] is raw["batch_stats"]


def test_a_patch_takes_the_numbers_of_batch_norm_from_the_network_it_is_of(networks):
    start, raw, noise, _ = networks
    direction = arithmetic.signature(start, noise, raw).direction
    plain = arithmetic.patched(raw, direction)
    found = arithmetic.patched(raw, direction, normalisation=noise)
    np.testing.assert_array_equal(_flat(found["batch_stats"]), _flat(noise["batch_stats"]))
    taken = 0
    for (path, leaf), other, theirs in zip(
        jax.tree_util.tree_leaves_with_path(found["params"]),
        jax.tree.leaves(plain["params"]),
        jax.tree.leaves(noise["params"]),
        strict=True,
    ):
        module = found["batch_stats"]
        for entry in path[:-1]:
            module = module.get(entry.key, {}) if isinstance(module, dict) else {}
        is_norm = any(not isinstance(value, dict) for value in module.values())
        np.testing.assert_array_equal(leaf, theirs if is_norm else other)
        taken += is_norm
    assert taken == len(jax.tree.leaves(noise["batch_stats"]))


def test_interpolation_has_its_ends_and_its_middle(networks):
    start, raw, *_ = networks
    for share, expected in ((0.0, _flat(start)), (1.0, _flat(raw)), (0.5, (_flat(start) + _flat(raw)) / 2)):
        np.testing.assert_allclose(_flat(arithmetic.interpolated(start, raw, share)), expected, atol=1e-6)


def test_cosines_are_those_of_the_flat_vectors(networks):
    start, raw, noise, path = networks
    signatures = {name: arithmetic.signature(start, each, raw) for name, each in (("noise", noise), ("path", path))}
    a, b = (_flat(entry.direction) for entry in signatures.values())
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(arithmetic.cosines(signatures), [[1, expected], [expected, 1]], atol=1e-6)
    still = arithmetic.signature(start, start)
    assert np.isnan(arithmetic.cosines({"still": still})).all()


def test_other_architectures_and_unknown_layers_get_a_sentence(networks):
    start, raw, *_ = networks
    other = {**raw, "params": {**raw["params"], "more": jnp.zeros(2)}}
    with pytest.raises(ValueError, match=r"trained must be of the same architecture, in which .*more.* has shape none"):
        arithmetic.signature(start, other)
    with pytest.raises(ValueError, match=r"layers must be names of .*; got nowhere\."):
        arithmetic.patched(start, start["params"], layers=["nowhere"])
    with pytest.raises(ValueError, match=r"share must be a number in \[0, 1\]; got 1.2\."):
        arithmetic.interpolated(start, raw, 1.2)
