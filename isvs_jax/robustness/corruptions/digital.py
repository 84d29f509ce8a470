"""Digital: contrast, saturation, elastic transform and pixelation.

Every function takes images [B, H, W, C] in [0, 1], one key for each image, a traced level from 0 to 4 and the table
[5, number of parameters] of the corruption; the caller clips what comes out to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.filters.linear import separable
from isvs_jax.robustness.corruptions._operators import HIGHEST, draw, gaussian_matrices, select


def contrast(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """c·(x − m) + m with the mean m of each channel."""
    del keys
    (factor,) = select(table, level, images.dtype)
    means = images.mean((1, 2), keepdims=True)
    return (images - means) * factor + means


def saturate(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """c₀·s + c₁ in place of the saturation s of HSV; value and hue stay.

    A channel is v·(1 − s·f), where f in [0, 1] says how far it is from the largest channel. A grey pixel of a colour
    image has the hue 0, red, for which f is (0, 1, 1). A grey image has no saturation and is left alone.
    """
    del keys
    if images.shape[-1] == 1:
        return images
    factor, offset = select(table, level, images.dtype)
    value = images.max(-1, keepdims=True)
    chroma = value - images.min(-1, keepdims=True)
    saturation = chroma / jnp.where(value > 0, value, 1)
    red = jnp.asarray([0, 1, 1], images.dtype)
    fraction = jnp.where(chroma > 0, (value - images) / jnp.where(chroma > 0, chroma, 1), red)
    return value * (1 - jnp.clip(saturation * factor + offset, 0, 1) * fraction)


def pixelate_bounds(size: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels whose mean each pixel shows: the first and one past the last, int64 [size] each.

    This is the box filter of Pillow: a small pixel, one of int(size·share), is the mean of the pixels whose centres lie
    within half a step of its own; it is then shown by the pixels whose centres it covers. There is at least one
    small pixel: an image of one pixel stays as it is.
    """
    small = max(int(size * share), 1)
    step = size / small
    centre = (np.arange(small) + 0.5) * step
    distance = np.arange(size)[None, :] + 0.5 - centre[:, None]
    inside = (distance > -step / 2) & (distance <= step / 2)
    first = inside.argmax(1)
    # Pillow truncates the sum of both, so a centre on a boundary goes to the later small pixel.
    shown_by = np.floor((np.arange(size) + 0.5) / step).astype(np.int64)
    return first[shown_by], (first + inside.sum(1))[shown_by]


def pixelate(
    images: jax.Array,
    keys: jax.Array,
    level: jax.Array,
    table: np.ndarray,
    *,
    quantize: bool = False,
) -> jax.Array:
    """Average over boxes and show the means at the size of the image."""
    del keys
    _, height, width, _ = images.shape

    def box(size: int) -> jax.Array:
        bounds = np.array([pixelate_bounds(size, share) for share in table[:, 0]])
        first, stop = select(bounds, level, jnp.int32)
        pixels = jnp.arange(size, dtype=jnp.int32)[None, :]
        inside = (pixels >= first[:, None]) & (pixels < stop[:, None])
        return inside.astype(images.dtype) / (stop - first)[:, None].astype(images.dtype)

    if not quantize:
        return separable(images, box(height), box(width))
    # Pillow goes along the rows first, then along the columns, and rounds after each.
    along = jnp.einsum("jw,bhwc->bhjc", box(width), images, precision=HIGHEST)
    along = jnp.floor(255 * along + 0.5) / 255
    both = jnp.einsum("ih,bhwc->biwc", box(height), along, precision=HIGHEST)
    return jnp.floor(255 * both + 0.5) / 255


def bilinear(images: jax.Array, rows: jax.Array, columns: jax.Array, mode: str) -> jax.Array:
    """Read images at any positions by bilinear interpolation.

    Args:
        images: float [B, H, W, C].
        rows: The vertical positions, [B, H, W].
        columns: The horizontal positions, [B, H, W].
        mode: The border, "reflect" or "mirror" as in `isvs_jax.filters.linear.border_index`.

    Returns:
        Images of the same shape.
    """
    _, height, width, channels = images.shape
    flat = images.reshape(images.shape[0], height * width, channels)

    def fold(position: jax.Array, size: int) -> jax.Array:
        if size == 1:
            return jnp.zeros_like(position)
        period = 2 * size if mode == "reflect" else 2 * size - 2
        folded = jnp.mod(position, period)
        return jnp.minimum(folded, (period - 1 if mode == "reflect" else period) - folded)

    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    top, left = top.astype(jnp.int32), left.astype(jnp.int32)

    def read(row: jax.Array, column: jax.Array) -> jax.Array:
        index = (fold(row, height) * width + fold(column, width)).reshape(images.shape[0], -1, 1)
        return jnp.take_along_axis(flat, index, 1).reshape(images.shape)

    upper = (1 - right) * read(top, left) + right * read(top, left + 1)
    lower = (1 - right) * read(top + 1, left) + right * read(top + 1, left + 1)
    return (1 - down) * upper + down * lower


def affine_triangle(height: int, width: int) -> np.ndarray:
    """The corners (x, y) of the triangle that the random affine map moves, float64 [3, 2]."""
    centre = np.array([height // 2, width // 2], np.float64)
    # Corners that fall together, as a third of one or two pixels would have them, determine no affine map.
    side = max(min(height, width) // 3, 1)
    return np.array([centre + side, [centre[0] + side, centre[1] - side], centre - side])


def elastic_transform(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Apply a random affine map, then displace every pixel smoothly at random; both read bilinearly."""
    _, height, width, _ = images.shape
    amplitude, _, reach = select(table, level, images.dtype)
    # One draw for the corners and both displacements: every draw is compiled by itself.
    uniform = draw(jax.random.uniform, keys, (6 + 2 * height * width,), images.dtype, minval=-1.0)
    moves = uniform[:, :6].reshape(-1, 3, 2)
    fields = uniform[:, 6:].reshape(-1, height, width, 2)

    corners = affine_triangle(height, width)
    moved = jnp.asarray(corners, images.dtype)[None] + reach * moves
    # Rows (x, y, 1) of the corners times A are the moved corners; pixels are read through A⁻¹.
    homogeneous = np.linalg.inv(np.concatenate([corners, np.ones((3, 1))], 1))
    forward = jnp.einsum("ij,bjk->bik", jnp.asarray(homogeneous, images.dtype), moved, precision=HIGHEST)
    lines = (jnp.arange(size, dtype=images.dtype) for size in (height, width))
    row, column = (grid[None] for grid in jnp.meshgrid(*lines, indexing="ij"))
    a, b, c, d, shift_x, shift_y = (
        forward[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1))
    )
    determinant = a * d - b * c
    x, y = column - shift_x, row - shift_y
    warped = bilinear(images, (a * y - b * x) / determinant, (d * x - c * y) / determinant, "mirror")

    blur_rows, blur_columns = (
        select(gaussian_matrices(table[:, 1], n, truncate=3.0, border="reflect"), level, images.dtype)
        for n in (height, width)
    )

    displacement = amplitude * separable(fields, blur_rows, blur_columns)
    return bilinear(warped, row + displacement[..., 0], column + displacement[..., 1], "reflect")
