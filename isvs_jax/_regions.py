"""Regions of an image: the connected components outside a support, and the projection onto images constant on them."""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, as_image, compute_dtype
from isvs_jax._edges import Edges, check_edge_shapes

# Pixels whose sum float32 holds to a few parts in a million.
_BLOCK = 1 << 19


def piecewise_constant(image: ArrayLike, support: Edges) -> jax.Array:
    """The orthogonal projection of an image onto {u : (Du)ₑ = 0 for every edge e outside the support}.

    The edges outside the support join pixels into connected components; every pixel takes the mean of its component.
    Linear and self-adjoint in the image, so its derivative is the same averaging.

    Args:
        image: x, float [..., H, W, C].
        support: Bool edges [..., H, W-1, K] and [..., H-1, W, K]; K is 1 (all channels share the components) or C.
            Leading axes broadcast against those of `image`.

    Returns:
        The projection, shape [..., H, W, C] with the broadcast leading axes, dtype of `image`.

    Raises:
        TypeError: `image` is not of a floating dtype, or `support` not of bool.
        ValueError: `support` does not fit `image`.

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.array([0.0, 0.2, 0.9, 1.1]).reshape(1, 4, 1)
        >>> support = Edges(jnp.array([False, True, False]).reshape(1, 3, 1), jnp.zeros((0, 4, 1), bool))
        >>> print(piecewise_constant(image, support)[0, :, 0])
        [0.1 0.1 1.  1. ]
    """
    image = as_image(image)
    leading = _check_support(image, support)
    support = Edges(jnp.asarray(support[0]), jnp.asarray(support[1]))
    return _project(image, support, leading=leading)


@partial(jax.jit, static_argnames="leading")
def _project(image: jax.Array, support: Edges, *, leading: tuple[int, ...]) -> jax.Array:
    number = prod(leading)
    full = jnp.broadcast_to(image, (*leading, *image.shape[-3:]))
    values = full.astype(compute_dtype(image.dtype)).reshape(number, *image.shape[-3:])
    joined = [
        jnp.broadcast_to(~edge, (*leading, *edge.shape[-3:])).reshape(number, *edge.shape[-3:]) for edge in support
    ]
    if support.horizontal.shape[-1] == 1:
        means = jax.vmap(_component_means)(values, joined[0][..., 0], joined[1][..., 0])
    else:
        per_channel = jax.vmap(_component_means, in_axes=-1, out_axes=-1)
        means = jax.vmap(per_channel)(values[..., None, :], *joined)[..., 0, :]
    return means.reshape(full.shape).astype(image.dtype)


def components(horizontal: jax.Array, vertical: jax.Array) -> jax.Array:
    """Connected components of the pixel graph.

    Each round hooks the root of every pixel's tree to the smallest label among its neighbours and halves the depth of
    the trees twice, so the number of rounds grows with the logarithm of the longest component.

    Args:
        horizontal: Whether an edge between columns joins its pixels, bool [H, W-1].
        vertical: Whether an edge between rows joins its pixels, bool [H-1, W].

    Returns:
        Labels int32 [H, W]: the smallest row-major pixel number of the component.

    References:
        Shiloach, Vishkin, "An O(log n) parallel connectivity algorithm", J. Algorithms 3 (1982).
    """
    height, width = horizontal.shape[0], vertical.shape[1]
    # From the edges, so that under shard_map the labels vary over the mesh as the edges do.
    zero = 0 * (horizontal.sum(dtype=jnp.int32) + vertical.sum(dtype=jnp.int32))
    own = zero + jnp.arange(height * width, dtype=jnp.int32)

    def hook_and_jump(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        labels, _ = carry
        lowest = _lowest_neighbour(labels.reshape(height, width), horizontal, vertical).ravel()
        roots = labels.at[labels].min(lowest)
        roots = jnp.minimum(roots, lowest)
        roots = roots[roots]
        roots = roots[roots]
        return roots, jnp.any(roots != labels)

    labels, _ = jax.lax.while_loop(lambda carry: carry[1], hook_and_jump, (own, zero == 0))
    return labels.reshape(height, width)


def _lowest_neighbour(labels: jax.Array, horizontal: jax.Array, vertical: jax.Array) -> jax.Array:
    """The smallest label among a pixel and the neighbours it is joined to."""
    none = labels.size
    right = jnp.pad(jnp.where(horizontal, labels[:, 1:], none), ((0, 0), (0, 1)), constant_values=none)
    left = jnp.pad(jnp.where(horizontal, labels[:, :-1], none), ((0, 0), (1, 0)), constant_values=none)
    below = jnp.pad(jnp.where(vertical, labels[1:], none), ((0, 1), (0, 0)), constant_values=none)
    above = jnp.pad(jnp.where(vertical, labels[:-1], none), ((1, 0), (0, 0)), constant_values=none)
    across = jnp.minimum(jnp.minimum(left, right), jnp.minimum(above, below))
    return jnp.minimum(labels, across)


def _component_means(image: jax.Array, horizontal: jax.Array, vertical: jax.Array) -> jax.Array:
    """Every pixel's component mean; image [H, W, K], joined edges [H, W-1] and [H-1, W]."""
    labels = components(horizontal, vertical).ravel()
    values = image.reshape(labels.size, -1)
    # Counted in integers: float32 cannot count beyond 2²⁴.
    counts = jnp.zeros(labels.size, jnp.int32).at[labels].add(1)
    sizes = jnp.maximum(counts, 1).astype(values.dtype)[:, None]

    def mean(values: jax.Array) -> jax.Array:
        return (_sums(values, labels) / sizes)[labels]

    # A sum over many pixels in float32 loses digits; the mean of what is left over brings them back.
    first = mean(values)
    return (first + mean(values - first)).reshape(image.shape)


def _sums(values: jax.Array, labels: jax.Array) -> jax.Array:
    """The sum of the values [P, K] of each label [P], added up in blocks so that no running sum outgrows its terms."""
    blocks = -(-labels.size // _BLOCK)
    if blocks == 1:
        return jnp.zeros_like(values).at[labels].add(values)
    missing = blocks * _BLOCK - labels.size
    values_in_blocks = jnp.pad(values, ((0, missing), (0, 0))).reshape(blocks, _BLOCK, -1)
    labels_in_blocks = jnp.pad(labels, (0, missing)).reshape(blocks, _BLOCK)

    def add(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        return total + jnp.zeros_like(total).at[block[1]].add(block[0]), None

    return jax.lax.scan(add, jnp.zeros_like(values), (values_in_blocks, labels_in_blocks))[0]


def _check_support(image: jax.Array, support: Edges) -> tuple[int, ...]:
    """The broadcast leading axes of image and support."""
    if not (isinstance(support, tuple) and len(support) == 2 and all(hasattr(edge, "dtype") for edge in support)):
        raise TypeError(f"support is {type(support).__name__}; it may be Edges of two bool arrays.")
    horizontal, vertical = support
    if horizontal.dtype != bool or vertical.dtype != bool:
        raise TypeError(f"support has dtypes {horizontal.dtype} and {vertical.dtype}; both may be bool only.")
    check_edge_shapes(horizontal.shape, vertical.shape, "support")
    height, width, channels = image.shape[-3:]
    edges = horizontal.shape[-3], vertical.shape[-2], horizontal.shape[-1]
    if edges[:2] != (height, width) or edges[2] not in (1, channels):
        raise ValueError(
            f"support has horizontal shape {horizontal.shape} and image {image.shape}; support may be "
            "[..., H, W-1, K] and [..., H-1, W, K] of that image with K = 1 or C."
        )
    try:
        return jnp.broadcast_shapes(image.shape[:-3], horizontal.shape[:-3])
    except ValueError:
        raise ValueError(
            f"support has leading axes {horizontal.shape[:-3]} and image {image.shape[:-3]}; they may broadcast."
        ) from None
