"""The exact solve of (I + DᵀD/ν) u = b by cosine transforms.

With no wrap-around, DᵀD is diagonal in the orthonormal DCT-II: its eigenvalue at frequency (k, l) is
(2 − 2 cos πk/H) + (2 − 2 cos πl/W). On a CPU large images are transformed along their rows only, and the tridiagonal
systems that are left along the columns are solved by elimination. Arrays are planar here: [..., H, W].
"""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.solver.edges import forward_differences, forward_differences_adjoint
from isvs_jax.solver.tridiagonal import solve_rows

# Up to this side a transform is a product with its matrix, beyond it an FFT. On a CPU, with three channels, the two are
# about level from 64 to 160 pixels (benchmarks/transforms.py). Elsewhere not measured.
CPU_MATRIX_SIDE = 128
MATRIX_SIDE = 512
# On a CPU, from the first to the last of these an even side is transformed by two matrices of a quarter of the size. On
# one core an FFT is level from 160 pixels on, but it uses one core alone, and a product all of them.
HALVED_SIDES = (64, 224)
# On a CPU, elimination takes less time than transforms along the columns from so many rows on, and from so many numbers
# on that stand in one row of all planes: each row is a step of a loop (benchmarks/transforms.py).
SWEPT_ROWS = 64
SWEPT_NUMBERS = 640


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
    if not _is_eliminated(right_side):
        return _by_transforms(right_side, nu)
    # Its derivatives are solves again: the matrix is symmetric.
    return jax.lax.custom_linear_solve(
        lambda u: u + _laplacian(u) / nu, right_side, lambda _, b: _by_elimination(b, nu), symmetric=True
    )


def _is_eliminated(right_side: jax.Array) -> bool:
    """Whether elimination is to be had and takes less time."""
    height, width = right_side.shape[-2:]
    # JAX 0.10 does not take constants in a linear solve whose right side varies over the axes of a shard_map.
    mesh = jax.sharding.get_abstract_mesh()
    if jax.default_backend() != "cpu" or (not mesh.empty and mesh.manual_axes):
        return False
    return height >= SWEPT_ROWS and prod(right_side.shape[:-2]) * width >= SWEPT_NUMBERS


def _by_transforms(right_side: jax.Array, nu: jax.Array) -> jax.Array:
    """Transforms along both axes."""
    height, width = right_side.shape[-2:]
    rows = jnp.asarray(_in_order(eigenvalues(height)), right_side.dtype)[None, :]
    columns = jnp.asarray(_in_order(eigenvalues(width)), right_side.dtype)[:, None]
    # Transforms run along the last axis, where products with a matrix are one large product and FFTs find their
    # numbers in a row: the middle part is turned, once there and once back.
    spectrum = jnp.expand_dims(1 + (columns + rows) / nu, tuple(range(right_side.ndim - 2)))
    coefficients = _transform(jnp.swapaxes(_transform(right_side), -1, -2)) / spectrum
    return _inverse(jnp.swapaxes(_inverse(coefficients), -1, -2))


def _by_elimination(right_side: jax.Array, nu: jax.Array) -> jax.Array:
    """Transforms along the rows, elimination along the columns: (ν + λₖ + L) u = νb for each frequency k."""
    shift = nu + jnp.asarray(_in_order(eigenvalues(right_side.shape[-1])), right_side.dtype)
    return _inverse(solve_rows(nu * _transform(right_side), shift))


def _laplacian(planar: jax.Array) -> jax.Array:
    """DᵀD."""
    axes = {"row_axis": -2, "column_axis": -1}
    return forward_differences_adjoint(forward_differences(planar, **axes), **axes)


def matrix_side() -> int:
    """The longest side that is transformed by a matrix."""
    return CPU_MATRIX_SIDE if jax.default_backend() == "cpu" else MATRIX_SIDE


def eigenvalues(size: int) -> np.ndarray:
    """Eigenvalues of the one-dimensional DᵀD on `size` pixels, in the order of the DCT-II."""
    return 2 - 2 * np.cos(np.pi * np.arange(size) / size)


def dct_matrix(size: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix [size, size]: row k is the k-th cosine."""
    frequency, position = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (2 * position + 1) * frequency / (2 * size))
    matrix[0] = np.sqrt(1 / size)
    return matrix


def dct(array: jax.Array) -> jax.Array:
    """The orthonormal DCT-II along the last axis by one real FFT of the same length.

    With the even pixels forwards and then the odd ones backwards, and V their FFT, X(k) = 2 Re e^(−iπk/2N) V(k) and
    X(N − k) = −2 Im e^(−iπk/2N) V(k).

    References:
        Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. Acoust. Speech Signal Process. 28
        (1980).
    """
    size = array.shape[-1]
    ordered = jnp.concatenate([array[..., ::2], array[..., ::-1][..., size % 2 :: 2]], axis=-1)
    turned = jnp.fft.rfft(ordered) * _twiddles(size, array)
    return jnp.concatenate([turned.real, -turned.imag[..., 1 : (size + 1) // 2][..., ::-1]], axis=-1)


def idct(coefficients: jax.Array) -> jax.Array:
    """The inverse of `dct`."""
    size = coefficients.shape[-1]
    real, rest = coefficients[..., : size // 2 + 1], coefficients[..., size // 2 + 1 :][..., ::-1]
    # X(N) is 0, and for even N the frequency N/2 is its own partner.
    partners = [jnp.zeros_like(real[..., :1]), rest] + ([real[..., -1:]] if size % 2 == 0 else [])
    turned = jax.lax.complex(real, -jnp.concatenate(partners, axis=-1))
    ordered = jnp.fft.irfft(turned / _twiddles(size, coefficients), n=size)
    even, odd = ordered[..., : (size + 1) // 2], ordered[..., (size + 1) // 2 :][..., ::-1]
    odd = jnp.concatenate([odd, even[..., : size % 2]], axis=-1)
    return jnp.stack([even, odd], axis=-1).reshape(*even.shape[:-1], -1)[..., :size]


def _twiddles(size: int, of: jax.Array) -> jax.Array:
    """e^(−iπk/2N) for k ≤ N/2, scaled so that the transform is orthonormal, for an array with as many axes."""
    frequency = np.arange(size // 2 + 1)
    scale = np.where(frequency == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    like = jnp.complex128 if of.dtype == jnp.float64 else jnp.complex64
    factors = jnp.asarray(scale * np.exp(-0.5j * np.pi * frequency / size), like)
    return factors.reshape(*(1 for _ in of.shape[:-1]), -1)


def _transform(array: jax.Array) -> jax.Array:
    """The DCT-II along the last axis, its frequencies as `_in_order` has them."""
    size = array.shape[-1]
    if not _is_halved(size):
        return dct(array) if size > matrix_side() else _product(array, dct_matrix(size).T)
    # Cosines of even frequencies are symmetric about the middle, those of odd ones antisymmetric.
    left, right = jnp.split(array, 2, axis=-1)
    even, odd = _half_matrices(size)
    mirrored = right[..., ::-1]
    return jnp.concatenate([_product(left + mirrored, even.T), _product(left - mirrored, odd.T)], axis=-1)


def _inverse(coefficients: jax.Array) -> jax.Array:
    """The inverse of `_transform`."""
    size = coefficients.shape[-1]
    if not _is_halved(size):
        return idct(coefficients) if size > matrix_side() else _product(coefficients, dct_matrix(size))
    symmetric, antisymmetric = map(_product, jnp.split(coefficients, 2, axis=-1), _half_matrices(size))
    return jnp.concatenate([symmetric + antisymmetric, (symmetric - antisymmetric)[..., ::-1]], axis=-1)


def _is_halved(size: int) -> bool:
    shortest, longest = HALVED_SIDES
    return jax.default_backend() == "cpu" and size % 2 == 0 and shortest <= size <= longest


def _half_matrices(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The left halves of the cosines of even frequencies and of odd ones, [size/2, size/2] each."""
    left = dct_matrix(size)[:, : size // 2]
    return left[::2], left[1::2]


def _in_order(values: np.ndarray) -> np.ndarray:
    """Values of each frequency in the order of `_transform`: the even ones first where a side is halved."""
    return np.concatenate([values[::2], values[1::2]]) if _is_halved(values.size) else values


def _product(array: jax.Array, matrix: np.ndarray) -> jax.Array:
    """In full precision on every device."""
    return jnp.matmul(array, jnp.asarray(matrix, array.dtype), precision=jax.lax.Precision.HIGHEST)
