import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.sparse as sp
import scipy.sparse.linalg

from isvs_jax import _cosine
from tests.reference import difference_matrices

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.mark.parametrize("size", [1, 2, 5, 32])
def test_matrix_is_scipys_transform(size):
    np.testing.assert_allclose(_cosine.dct_matrix(size), scipy.fft.dct(np.eye(size), norm="ortho", axis=0), atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (12, 9)])
@pytest.mark.parametrize("nu", [1e-3, 0.1, 10.0])
def test_solve_inverts_the_sparse_matrix(x64, shape, nu):
    horizontal, vertical = difference_matrices(*shape)
    system = sp.eye_array(shape[0] * shape[1]) + (horizontal.T @ horizontal + vertical.T @ vertical) / nu
    right = np.random.default_rng(0).normal(size=(2, 3, *shape))
    expected = scipy.sparse.linalg.spsolve(sp.csc_array(system), right.reshape(6, -1).T).reshape(-1, 6).T
    solved = _cosine.solve(jnp.asarray(right), jnp.asarray(nu))
    np.testing.assert_allclose(solved, expected.reshape(right.shape), atol=1e-11)


@pytest.mark.parametrize(
    "shape", [(_cosine.MATRIX_SIDE, 3), (_cosine.MATRIX_SIDE + 1, 3), (3, _cosine.MATRIX_SIDE + 8)]
)
def test_both_transforms_on_either_side_of_the_switch(shape):
    right = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    eigenvalues = np.add.outer(_cosine.eigenvalues(shape[0]), _cosine.eigenvalues(shape[1]))
    spectrum = scipy.fft.dctn(right.astype(np.float64), axes=(-2, -1), norm="ortho") / (1 + eigenvalues / 0.1)
    expected = scipy.fft.idctn(spectrum, axes=(-2, -1), norm="ortho")
    solved = _cosine.solve(jnp.asarray(right), jnp.float32(0.1))
    assert solved.dtype == jnp.float32
    np.testing.assert_allclose(solved, expected, atol=2e-6)
