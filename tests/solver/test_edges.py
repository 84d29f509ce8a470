import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isvs_jax
from tests.reference import difference_matrices

pytestmark = pytest.mark.usefixtures("strict")

shapes = st.sampled_from([(1, 1, 1), (1, 6, 3), (7, 1, 4), (6, 5, 2)])
leading = st.sampled_from([(), (2, 3)])


@settings(max_examples=20, deadline=None)
@given(leading=leading, shape=shapes, seed=st.integers(0, 2**16))
def test_difference_is_numpys_and_has_its_adjoint(leading, shape, seed):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        image = rng.normal(size=leading + shape)
        forward = jax.jit(isvs_jax.difference)(image)
        np.testing.assert_array_equal(forward.horizontal, np.diff(image, axis=-2))
        np.testing.assert_array_equal(forward.vertical, np.diff(image, axis=-3))
        edges = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), forward)
        product = sum(np.vdot(a, b) for a, b in zip(forward, edges, strict=True))
        backward = np.vdot(image, jax.jit(isvs_jax.difference_adjoint)(edges))
        np.testing.assert_allclose(product, backward, rtol=1e-12, atol=1e-12)


def test_squared_norm_is_just_under_8(x64):
    horizontal, vertical = difference_matrices(9, 12)
    laplacian = (horizontal.T @ horizontal + vertical.T @ vertical).toarray()
    image = np.random.default_rng(0).normal(size=(9, 12, 1))
    ours = isvs_jax.difference_adjoint(isvs_jax.difference(image))
    np.testing.assert_allclose(ours[..., 0].ravel(), laplacian @ image.ravel(), atol=1e-12)
    assert 7.5 < np.linalg.eigvalsh(laplacian).max() < 8


def test_vmap_and_jit_change_nothing():
    images = jnp.asarray(np.random.default_rng(0).random((3, 5, 6, 2), np.float32))
    batch = isvs_jax.difference(images)
    mapped = jax.jit(jax.vmap(isvs_jax.difference))(images)
    jax.tree.map(np.testing.assert_array_equal, batch, mapped)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"image must be \[\.\.\., H, W, C\]; got shape \(4, 4\)"):
        isvs_jax.difference(np.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match=r"edges must be .*; got horizontal shape"):
        isvs_jax.difference_adjoint(isvs_jax.Edges(np.zeros((4, 4, 1)), np.zeros((4, 4, 1))))
