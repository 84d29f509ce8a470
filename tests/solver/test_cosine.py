import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.sparse as sp
import scipy.sparse.linalg

from isvs_jax.solver import cosine
from tests.reference import difference_matrices

pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize("size", [1, 2, 5, 32])
def test_matrix_is_scipys_transform(size):
    np.testing.assert_allclose(cosine.dct_matrix(size), scipy.fft.dct(np.eye(size), norm="ortho", axis=0), atol=1e-14)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 31, 32])
def test_transform_by_a_real_fft_is_scipys(x64, size):
    array = np.random.default_rng(0).normal(size=(2, 3, size))
    expected = scipy.fft.dct(array, norm="ortho")
    there, back = jax.jit(lambda array, spectrum: (cosine.dct(array), cosine.idct(spectrum)))(array, expected)
    np.testing.assert_allclose(there, expected, atol=1e-14)
    np.testing.assert_allclose(back, array, atol=1e-14)


def compiled_solve():
    """A function of its own each time: it is compiled for the side from which FFTs are taken as it is now."""
    return jax.jit(lambda right, nu: cosine.solve(right, nu))


@pytest.mark.parametrize(("side", "halved"), [(0, (0, 0)), (10, (0, 0)), (512, (0, 0)), (0, (2, 6)), (0, (1, 512))])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (12, 9)])
def test_solve_inverts_the_sparse_matrix(monkeypatch, x64, shape, side, halved):
    """By FFTs, by one FFT and one matrix, by matrices, by halves of matrices along one axis or both."""
    monkeypatch.setattr(cosine, "CPU_MATRIX_SIDE", side)
    monkeypatch.setattr(cosine, "HALVED_SIDES", halved)
    solve = compiled_solve()
    horizontal, vertical = difference_matrices(*shape)
    right = np.random.default_rng(0).normal(size=(2, 3, *shape))
    for nu in (1e-3, 0.1, 10.0):
        system = sp.eye_array(shape[0] * shape[1]) + (horizontal.T @ horizontal + vertical.T @ vertical) / nu
        expected = scipy.sparse.linalg.spsolve(sp.csc_array(system), right.reshape(6, -1).T).reshape(-1, 6).T
        np.testing.assert_allclose(solve(right, nu), expected.reshape(right.shape), atol=1e-11)


@pytest.mark.parametrize(
    "shape",
    [
        (cosine.HALVED_SIDES[1] + 2, 3),
        (3, cosine.HALVED_SIDES[1]),
        (cosine.CPU_MATRIX_SIDE + 1, cosine.HALVED_SIDES[0]),
        (cosine.CPU_MATRIX_SIDE - 1, cosine.HALVED_SIDES[0] - 2),
    ],
)
def test_all_transforms_on_either_side_of_the_switches(shape):
    right = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    eigenvalues = np.add.outer(cosine.eigenvalues(shape[0]), cosine.eigenvalues(shape[1]))
    spectrum = scipy.fft.dctn(right.astype(np.float64), axes=(-2, -1), norm="ortho") / (1 + eigenvalues / 0.1)
    expected = scipy.fft.idctn(spectrum, axes=(-2, -1), norm="ortho")
    solved = compiled_solve()(right, np.float32(0.1))
    assert solved.dtype == jnp.float32
    np.testing.assert_allclose(solved, expected, atol=2e-6)


@pytest.mark.parametrize(("side", "halved"), [(0, (0, 0)), (0, (2, 16))])
def test_derivative_by_ffts_and_halves_is_that_by_matrices(monkeypatch, x64, side, halved):
    """Of the image and of ν, forward and reverse."""
    right, weights, direction = np.random.default_rng(0).normal(size=(3, 2, 9, 12))

    def derivatives():
        def loss(right, nu):
            return jnp.vdot(weights, cosine.solve(right, nu))

        point, along = (jnp.asarray(right), jnp.asarray(0.1)), (jnp.asarray(direction), jnp.asarray(1.0))
        return jax.jit(lambda: (jax.grad(loss, argnums=(0, 1))(*point), jax.jvp(loss, point, along)))()

    by_matrices = derivatives()
    monkeypatch.setattr(cosine, "CPU_MATRIX_SIDE", side)
    monkeypatch.setattr(cosine, "HALVED_SIDES", halved)
    jax.tree.map(
        lambda ours, expected: np.testing.assert_allclose(ours, expected, rtol=1e-10), derivatives(), by_matrices
    )


def test_float32_stays_float32_by_ffts(monkeypatch):
    monkeypatch.setattr(cosine, "CPU_MATRIX_SIDE", 0)
    right = jax.ShapeDtypeStruct((3, 4), jnp.float32)
    assert jax.eval_shape(compiled_solve(), right, jnp.float32(0.1)).dtype == jnp.float32
