"""The exact solve of (I + DᵀD/ν) u = b by cosine transforms.

With no wrap-around, DᵀD is diagonal in the orthonormal DCT-II: its eigenvalue at frequency (k, l) is
(2 − 2 cos πk/H) + (2 − 2 cos πl/W). Arrays are planar here: [..., H, W].
"""

import jax
import jax.numpy as jnp
import jax.scipy.fft
import numpy as np

# Up to this side a transform is a product with its matrix, beyond it an FFT: on a CPU the two cost the same between
# 512 and 768 pixels a side, and below that the product is up to ten times faster.
MATRIX_SIDE = 512


def solve(right_side: jax.Array, nu: jax.Array) -> jax.Array:
    """Solve (I + DᵀD/ν) u = b for planar arrays.

    Args:
        right_side: b, shape [..., H, W], float32 or float64.
        nu: ν > 0, a scalar.

    Returns:
        u, shape [..., H, W].

    References:
        Strang, "The discrete cosine transform", SIAM Review 41 (1999).
    """
    height, width = right_side.shape[-2:]
    dtype = right_side.dtype
    rows = jnp.asarray(eigenvalues(height), dtype)[:, None]
    columns = jnp.asarray(eigenvalues(width), dtype)[None, :]
    coefficients = _transform(_transform(right_side, axis=-2), axis=-1)
    coefficients = coefficients / (1 + (rows + columns) / nu)
    return _inverse(_inverse(coefficients, axis=-1), axis=-2)


def eigenvalues(size: int) -> np.ndarray:
    """Eigenvalues of the one-dimensional DᵀD on `size` pixels, in the order of the DCT-II."""
    return 2 - 2 * np.cos(np.pi * np.arange(size) / size)


def dct_matrix(size: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix [size, size]: row k is the k-th cosine."""
    frequency, position = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (2 * position + 1) * frequency / (2 * size))
    matrix[0] = np.sqrt(1 / size)
    return matrix


def _transform(array: jax.Array, axis: int) -> jax.Array:
    size = array.shape[axis]
    if size > MATRIX_SIDE:
        return jax.scipy.fft.dct(array, axis=axis, norm="ortho")
    return _apply(jnp.asarray(dct_matrix(size), array.dtype), array, axis)


def _inverse(array: jax.Array, axis: int) -> jax.Array:
    size = array.shape[axis]
    if size > MATRIX_SIDE:
        return jax.scipy.fft.idct(array, axis=axis, norm="ortho")
    return _apply(jnp.asarray(dct_matrix(size).T, array.dtype), array, axis)


def _apply(matrix: jax.Array, array: jax.Array, axis: int) -> jax.Array:
    """The product with a matrix along one pixel axis, in full precision on every device."""
    if axis == -1:
        return jnp.matmul(array, matrix.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.matmul(matrix, array, precision=jax.lax.Precision.HIGHEST)
