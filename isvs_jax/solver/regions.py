"""Regions of an image: the connected components outside a support, and the projection onto images constant on them."""

from functools import partial, reduce
from math import prod

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, brief
from isvs_jax._images import as_image, compute_dtype
from isvs_jax.solver.batching import left_to_compiler
from isvs_jax.solver.edges import Edges, check_edge_shapes

# Leading bits of the values that are added up exactly.
_EXACT_BITS = 14
# Pointer jumps a round: on a CPU 3 was level with or faster than 2.
_JUMPS = 3


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
    image = as_image(image, any_range=True)
    leading = _check_support(image, support)
    support = Edges(jnp.asarray(support[0]), jnp.asarray(support[1]))
    image = jnp.expand_dims(image, tuple(range(len(leading) + 3 - image.ndim)))
    return component_means(image, support, leading=leading)


@partial(jax.jit, static_argnames="leading")
@left_to_compiler(lambda leading: leading)
def component_means(image: jax.Array, support: Edges, *, leading: tuple[int, ...]) -> jax.Array:
    """`piecewise_constant` of an image and a support that fit, with the broadcast leading axes of both."""
    height, width, channels = image.shape[-3:]
    shared = support.horizontal.shape[-1]

    def in_groups(array: jax.Array) -> jax.Array:
        """[..., h, w, K] to [N, h, w, channels that share a labelling]: separate channels become images."""
        array = jnp.broadcast_to(array, (*leading, *array.shape[-3:]))
        if shared == 1:
            return array.reshape(prod(leading), *array.shape[-3:])
        return jnp.moveaxis(array, -1, -3).reshape(prod(leading) * channels, *array.shape[-3:-1], 1)

    values = in_groups(image.astype(compute_dtype(image.dtype)))
    labels = components(*(in_groups(~edge)[..., 0] for edge in support))
    pixels = height * width
    means = _means(values.reshape(-1, pixels, values.shape[-1]), labels.reshape(-1, pixels))
    if shared != 1:
        means = jnp.moveaxis(means.reshape(*leading, channels, pixels), -2, -1)
    return means.reshape(*leading, height, width, channels).astype(image.dtype)


def components(horizontal: jax.Array, vertical: jax.Array) -> jax.Array:
    """Connected components of the pixel graph, of a batch of images at once.

    Every pixel points at one of its component, itself at first, and never at a later one. A round hooks what a pixel
    points at to the lowest label around that pixel, and then lets every pixel point three times to where its target
    points. It ends when joined pixels agree. Rounds grow with the logarithm of the longest component: of a million
    pixels a photograph takes five, a snake over all rows eight.

    Args:
        horizontal: Whether an edge between columns joins its pixels, bool [..., H, W-1].
        vertical: Whether an edge between rows joins its pixels, bool [..., H-1, W].

    Returns:
        Labels int32 [..., H, W]: the smallest row-major pixel number of the component.

    References:
        Shiloach, Vishkin, "An O(log n) parallel connectivity algorithm", J. Algorithms 3 (1982).
        Liu, Tarjan, "Simple concurrent connected components algorithms", ACM Trans. Parallel Comput. 9 (2022).
    """
    shape = (*horizontal.shape[:-1], vertical.shape[-1])
    width, pixels = shape[-1], shape[-2] * shape[-1]
    joined = tuple(edge.reshape(-1, pixels) for edge in _joined_neighbours(horizontal, vertical))

    def lowest(labels: jax.Array) -> jax.Array:
        return _lowest_neighbour(labels, joined, width)

    def jump(labels: jax.Array) -> jax.Array:
        # A loop, for unrolled gathers are fused into one that looks up every step of a chain again.
        return jax.lax.fori_loop(0, _JUMPS, lambda _, labels: _look_up(labels, labels), labels)

    def hook_and_jump(labels: jax.Array) -> jax.Array:
        low = lowest(labels)
        return jump(jax.vmap(lambda low, at: low.at[at].min(low, mode="promise_in_bounds"))(low, labels))

    # From the edges, so that under shard_map the labels vary over the mesh as the edges do.
    own = jnp.arange(pixels, dtype=jnp.int32)[None] + 0 * (joined[0] | joined[2]).astype(jnp.int32)
    # The first round hooks every pixel by itself, which takes no scatter.
    labels = jax.lax.while_loop(lambda labels: jnp.any(lowest(labels) != labels), hook_and_jump, jump(lowest(own)))
    return labels.reshape(shape)


def _joined_neighbours(horizontal: jax.Array, vertical: jax.Array) -> tuple[jax.Array, ...]:
    """Whether a pixel is joined to that on its right, on its left, below and above; bool [..., H, W] each."""
    leading = ((0, 0),) * (horizontal.ndim - 2)
    return (
        jnp.pad(horizontal, (*leading, (0, 0), (0, 1))),
        jnp.pad(horizontal, (*leading, (0, 0), (1, 0))),
        jnp.pad(vertical, (*leading, (0, 1), (0, 0))),
        jnp.pad(vertical, (*leading, (1, 0), (0, 0))),
    )


def _lowest_neighbour(labels: jax.Array, joined: tuple[jax.Array, ...], width: int) -> jax.Array:
    """The smallest label [N, P] among a pixel and the neighbours it is joined to."""
    lowest = labels
    # Rows in one line: the masks are false where a shift would cross a border.
    for neighbour, shift in zip(joined, (-1, 1, -width, width), strict=True):
        lowest = jnp.where(neighbour, jnp.minimum(lowest, jnp.roll(labels, shift, axis=1)), lowest)
    return lowest


def _look_up(table: jax.Array, labels: jax.Array) -> jax.Array:
    """table[labels] image by image; table [N, P, ...], labels [N, P]."""
    return jax.vmap(lambda table, at: table.at[at].get(mode="promise_in_bounds"))(table, labels)


def _means(values: jax.Array, labels: jax.Array) -> jax.Array:
    """Every pixel's component mean [N, P, K]; values [N, P, K], labels [N, P]."""
    # Counted in integers: float32 cannot count beyond 2²⁴.
    counts = jax.vmap(lambda at: jnp.zeros_like(at).at[at].add(1, mode="promise_in_bounds"))(labels)
    sizes = jnp.maximum(counts, 1).astype(values.dtype)[..., None]

    # Divided one by one: a compiler may add up the small terms of a sum of sums on top of the large ones.
    return _look_up(reduce(jnp.add, (part / sizes for part in jax.vmap(_sums)(values, labels))), labels)


def _sums(values: jax.Array, labels: jax.Array) -> tuple[jax.Array, ...]:
    """The sum of the values [P, K] of each label [P], in parts, from the largest to the smallest.

    A running sum of many pixels loses digits in float32, the more so the more it outgrows its terms: of two halves of
    0.3 and 0.8, a million pixels, three digits are left. So the leading bits are added up as integers, which is exact,
    and only what is left over as floats. Its derivative is that of the sum: what is taken away is constant.
    """
    bits = 30 - labels.size.bit_length()
    finite = jnp.where(jnp.isfinite(values), jax.lax.stop_gradient(values), 0)
    exponent = jnp.frexp(jnp.abs(finite).max(initial=0))[1]
    parts, left = [], values
    for covered in range(bits, _EXACT_BITS + bits, bits):
        scale = jnp.ldexp(jnp.ones((), values.dtype), covered - exponent)
        whole = jnp.round(jax.lax.stop_gradient(left) * scale).astype(jnp.int32)
        parts.append(jnp.zeros_like(whole).at[labels].add(whole).astype(values.dtype) / scale)
        left -= whole.astype(values.dtype) / scale
    return *parts, jnp.zeros_like(values).at[labels].add(left)


def _check_support(image: jax.Array, support: Edges) -> tuple[int, ...]:
    """The broadcast leading axes of image and support."""
    if not (isinstance(support, tuple) and len(support) == 2 and all(hasattr(edge, "dtype") for edge in support)):
        raise TypeError(f"support must be Edges of two bool arrays; got {brief(support)}.")
    horizontal, vertical = support
    if horizontal.dtype != bool or vertical.dtype != bool:
        raise TypeError(f"support must be of dtype bool; got {horizontal.dtype} and {vertical.dtype}.")
    check_edge_shapes(horizontal.shape, vertical.shape, "support")
    height, width, channels = image.shape[-3:]
    edges = horizontal.shape[-3], vertical.shape[-2], horizontal.shape[-1]
    if edges[:2] != (height, width) or edges[2] not in (1, channels):
        raise ValueError(
            f"support must be [..., H, W-1, K] and [..., H-1, W, K] of image {image.shape} with K = 1 or C; got "
            f"horizontal shape {horizontal.shape}."
        )
    try:
        return jnp.broadcast_shapes(image.shape[:-3], horizontal.shape[:-3])
    except ValueError:
        raise ValueError(
            f"support must have leading axes that broadcast with those of image, {image.shape[:-3]}; got "
            f"{horizontal.shape[:-3]}."
        ) from None
