"""Differences between neighbouring pixels: the pixel graph, D and its adjoint.

The pixel grid is a graph with four neighbours a pixel and no wrap-around. A field on its edges is an `Edges`: one array
for the edges between columns, one for those between rows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike
from isvs_jax._images import as_image


class Edges(NamedTuple):
    """A field on the edges of the pixel graph.

    Attributes:
        horizontal: Edges from column j to j + 1, shape [..., H, W-1, C].
        vertical: Edges from row i to i + 1, shape [..., H-1, W, C].
    """

    horizontal: jax.Array
    vertical: jax.Array


def difference(image: ArrayLike) -> Edges:
    """Forward differences D of an image.

    (Du)ₑ = u(head of e) − u(tail of e); ‖D‖² ≤ 8.

    Args:
        image: Array [..., H, W, C] of a floating dtype.

    Returns:
        Edges of shapes [..., H, W-1, C] and [..., H-1, W, C], the dtype of `image`.

    Raises:
        TypeError: `image` is not of a floating dtype.
        ValueError: `image` is not [..., H, W, C].

    Example:
        >>> import jax.numpy as jnp
        >>> edges = difference(jnp.arange(6.0).reshape(2, 3, 1))
        >>> edges.horizontal[..., 0].tolist(), edges.vertical[..., 0].tolist()
        ([[1.0, 1.0], [1.0, 1.0]], [[3.0, 3.0, 3.0]])
    """
    return forward_differences(as_image(image, any_range=True), row_axis=-3, column_axis=-2)


def difference_adjoint(edges: Edges) -> jax.Array:
    """The adjoint Dᵀ of `difference`.

    (Dᵀe)ᵢ = (sum of e over the edges that end at pixel i) − (sum over those that start there), so that
    ⟨Du, e⟩ = ⟨u, Dᵀe⟩ for every u and e.

    Args:
        edges: `Edges` of shapes [..., H, W-1, C] and [..., H-1, W, C].

    Returns:
        Array [..., H, W, C].

    Raises:
        ValueError: The two fields do not belong to one image.

    Example:
        >>> import jax.numpy as jnp
        >>> edges = Edges(horizontal=jnp.ones((1, 2, 1)), vertical=jnp.ones((0, 3, 1)))
        >>> difference_adjoint(edges)[0, :, 0].tolist()
        [-1.0, 0.0, 1.0]
    """
    horizontal, vertical = jnp.asarray(edges[0]), jnp.asarray(edges[1])
    check_edge_shapes(horizontal.shape, vertical.shape, "edges")
    return forward_differences_adjoint(Edges(horizontal, vertical), row_axis=-3, column_axis=-2)


def check_edge_shapes(horizontal: tuple[int, ...], vertical: tuple[int, ...], name: str) -> None:
    """Raise a ValueError unless the shapes are [..., H, W-1, C] and [..., H-1, W, C]."""
    fits = (
        len(horizontal) >= 3
        and len(horizontal) == len(vertical)
        and horizontal[:-3] == vertical[:-3]
        and horizontal[-3] == vertical[-3] + 1
        and horizontal[-2] + 1 == vertical[-2]
        and horizontal[-1] == vertical[-1]
    )
    if not fits:
        raise ValueError(
            f"{name} must be [..., H, W-1, C] and [..., H-1, W, C] of one image; got horizontal shape {horizontal} and "
            f"vertical shape {vertical}."
        )


def forward_differences(image: jax.Array, row_axis: int, column_axis: int) -> Edges:
    """D of an image whose pixel axes are `row_axis` and `column_axis`."""
    # Slices, never convolutions: a GPU may run those in TF32.
    return Edges(jnp.diff(image, axis=column_axis), jnp.diff(image, axis=row_axis))


def forward_differences_adjoint(edges: Edges, row_axis: int, column_axis: int) -> jax.Array:
    """Dᵀ of a field on the edges of an image whose pixel axes are `row_axis` and `column_axis`."""
    return _forward_adjoint(edges.horizontal, column_axis) + _forward_adjoint(edges.vertical, row_axis)


def _forward_adjoint(edge: jax.Array, axis: int) -> jax.Array:
    widths = [(0, 0)] * edge.ndim
    widths[axis] = (1, 1)
    padded, size = jnp.pad(edge, widths), edge.shape[axis] + 2
    return jax.lax.slice_in_dim(padded, 0, size - 1, axis=axis) - jax.lax.slice_in_dim(padded, 1, size, axis=axis)
