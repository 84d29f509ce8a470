"""Tridiagonal systems along the rows of planar arrays: (a + L) u = b with the path graph's Laplacian L.

L is the one-dimensional DᵀD, with no wrap-around. Gaussian elimination without pivoting, from the first row down and
from the last row up, each a loop in which one row of all systems is updated at once.
"""

import jax
import jax.numpy as jnp


def solve_rows(right_side: jax.Array, shift: jax.Array) -> jax.Array:
    """Solve (aₖ + L) u = b for each column k, L along the rows.

    With the pivots dᵢ, yᵢ = bᵢ + yᵢ₋₁/dᵢ₋₁ goes down and uᵢ = (yᵢ + uᵢ₊₁)/dᵢ up. The matrices are symmetric and
    positive, so that no pivot is smaller than the eigenvalue aₖ. It has no derivative of its own in reverse mode:
    `cosine.solve` gives it that of a linear solve.

    Args:
        right_side: b, [..., H, W].
        shift: a > 0, [W].

    Returns:
        u, [..., H, W].

    References:
        Golub, Van Loan, "Matrix computations", 4th edition, section 4.3.6 (2013).
    """
    height = right_side.shape[-2]
    inverse = jnp.expand_dims(inverse_pivots(shift, height), tuple(range(right_side.ndim - 2)))
    # What goes down past a row; nothing comes to the first.
    passed = jnp.concatenate([jnp.zeros_like(inverse[..., :1, :]), inverse[..., :-1, :]], axis=-2)
    nothing = jnp.zeros_like(right_side[..., :1, :])

    def down(row: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        above, rows = carry
        now = _row(right_side, row) + above * _row(passed, row)
        return now, jax.lax.dynamic_update_slice_in_dim(rows, now, row, axis=-2)

    # A carry beside the rows, which are written in place only if nothing reads them.
    reduced = jax.lax.fori_loop(0, height, down, (nothing, jnp.zeros_like(right_side)))[1]

    def up(count: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        below, rows = carry
        row = height - 1 - count
        now = (_row(reduced, row) + below) * _row(inverse, row)
        return now, jax.lax.dynamic_update_slice_in_dim(rows, now, row, axis=-2)

    return jax.lax.fori_loop(0, height, up, (nothing, jnp.zeros_like(right_side)))[1]


def inverse_pivots(shift: jax.Array, height: int) -> jax.Array:
    """1/dᵢ of the elimination of a + L from the first row down, [H, W].

    With 2 cosh r = 2 + a, dᵢ = cosh((i + ½)r)/cosh((i − ½)r) for i = 1, ..., H − 1, and the last is smaller by 1,
    2 sinh(Hr) sinh(r/2)/cosh((H − ½)r).
    """
    root = jnp.sqrt(shift)[None]
    rate = 2 * jnp.arcsinh(root / 2)
    rows = jnp.arange(1, height, dtype=shift.dtype)[:, None]
    decay, square = jnp.exp(-(2 * rows - 1) * rate), jnp.exp(-2 * rate)
    inner = jnp.exp(-rate) * (1 + decay) / (1 + decay * square)
    end = jnp.exp(-rate / 2) * (1 + jnp.exp(-(2 * height - 1) * rate)) / (-jnp.expm1(-2 * height * rate) * root)
    return jnp.concatenate([inner, end])


def _row(rows: jax.Array, number: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(rows, number, 1, axis=-2)
