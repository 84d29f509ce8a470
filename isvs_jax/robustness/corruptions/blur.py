"""Blur: Gaussian, defocus, glass, motion and zoom.

Every function takes images [B, H, W, C] in [0, 1], one key for each image, a traced level from 0 to 4 and the table
[5, number of parameters] of the corruption; the caller clips what comes out to [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.filters.linear import border_index, gaussian_matrix, separable
from isvs_jax.robustness.corruptions._operators import (
    HIGHEST,
    draw,
    floor_to_grey_level,
    gaussian_filter,
    linear_interpolation,
    motion,
    motion_weights,
    select,
    zoom_coordinates,
)


def gaussian_blur(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Convolve with a Gaussian, cut off after four sigmas; the edge pixels are repeated."""
    del keys
    return gaussian_filter(images, level, table[:, 0])


def disk_kernel(radius: float, alias_blur: float) -> np.ndarray:
    """The kernel of defocus: a sampled disk, smoothed by a Gaussian of 3 taps, or of 5 for a radius above 8.

    Returns:
        float64 [K, K] with K = 17, or 2·radius + 1 for a radius above 8. Its sum is 1, and a hundredth more where the
        disk touches the border of the grid, at which the originals mirror it.
    """
    reach = 8 if radius <= 8 else int(radius)
    line = np.arange(-reach, reach + 1)
    disk = (line[:, None] ** 2 + line**2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    half = 1 if radius <= 8 else 2
    smooth = gaussian_matrix(len(line), alias_blur, truncate=half / alias_blur, border="mirror")
    return smooth @ disk @ smooth.T


def _disk_kernels(table: np.ndarray) -> np.ndarray:
    """The kernels of all severities, [5, K, K], padded to the largest and cut to what is not zero."""
    kernels = [disk_kernel(radius, alias_blur) for radius, alias_blur in table]
    reach = max(len(kernel) // 2 for kernel in kernels)
    padded = np.stack([np.pad(kernel, reach - len(kernel) // 2) for kernel in kernels])
    used = np.flatnonzero(padded.max((0, 1)) > 1e-9)
    return padded[:, used[0] : used[-1] + 1, used[0] : used[-1] + 1]


def defocus_blur(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Correlate with a disk; the image is mirrored at its edges, which are not repeated."""
    del keys
    batch, height, width, channels = images.shape
    kernels = _disk_kernels(table)
    kernel = select(kernels, level, images.dtype)
    reach = kernels.shape[1] // 2
    planes = images.transpose(0, 3, 1, 2).reshape(batch * channels, 1, height, width)
    rows = border_index(np.arange(-reach, height + reach), height, "mirror")
    columns = border_index(np.arange(-reach, width + reach), width, "mirror")
    padded = planes[:, :, rows][:, :, :, columns]
    blurred = _correlate(padded[:, 0], kernel)
    return blurred.reshape(batch, channels, height, width).transpose(0, 2, 3, 1)


def _correlate(planes: jax.Array, kernel: jax.Array, block: int = 4) -> jax.Array:
    """Correlate planes [N, H + K − 1, W + K − 1] with a kernel [K, K] to [N, H, W].

    A block of pixels is computed at once, as the channels of a strided convolution: with one channel in and out, the
    convolution of XLA on a CPU is ten times slower.
    """
    number, height, width = planes.shape
    height, width = height - kernel.shape[0] + 1, width - kernel.shape[1] + 1
    down, right = -height % block, -width % block
    padded = jnp.pad(planes, ((0, 0), (0, down), (0, right)))[:, None]
    shifts = range(block)
    kernels = [jnp.pad(kernel, ((i, block - 1 - i), (j, block - 1 - j))) for i in shifts for j in shifts]
    blocks = jax.lax.conv_general_dilated(
        padded, jnp.stack(kernels)[:, None], (block, block), "VALID", precision=HIGHEST
    )
    blocks = blocks.reshape(number, block, block, (height + down) // block, (width + right) // block)
    pixels = blocks.transpose(0, 3, 1, 4, 2).reshape(number, height + down, width + right)
    return pixels[:, :height, :width]


def _shuffle_sources(key: jax.Array, height: int, width: int, reach: jax.Array) -> jax.Array:
    """Where each pixel comes from in one round of the loop of pixel copies that the originals run.

    The originals visit the pixels from the last to the first and give each the value, at that moment, of a neighbour at
    a random offset in [−reach, reach). A neighbour before it in raster order still has its old value; one after it has
    been given another. Following those links to their ends gives the result of the loop at once, and doubling the links
    takes a few steps.

    Returns:
        int32 [H·W], the pixel whose old value each pixel gets.
    """
    here = jnp.arange(height * width, dtype=jnp.int32)
    row, column = jnp.divmod(here, width)
    offset = jax.random.randint(key, (2, height * width), -reach, reach, jnp.int32)
    visited = (row > reach) & (row <= height - reach) & (column > reach) & (column <= width - reach)
    # A shift reads no further than the last row and column of the image.
    there = jnp.minimum(row + offset[0], height - 1) * width
    there = there + jnp.minimum(column + offset[1], width - 1)
    source = jnp.where(visited, there, here)
    follow = visited & (source > here) & visited[source]

    def double(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        source, follow = state
        return jnp.where(follow, source[source], source), follow & follow[source]

    source, _ = jax.lax.while_loop(lambda state: jnp.any(state[1]), double, (source, follow))
    return source


def glass_blur(
    images: jax.Array,
    keys: jax.Array,
    level: jax.Array,
    table: np.ndarray,
    *,
    quantize: bool = False,
) -> jax.Array:
    """Blur, copy pixels from random neighbours, and blur again."""
    batch, height, width, channels = images.shape
    blurred = gaussian_filter(images, level, table[:, 0])
    if quantize:
        blurred = floor_to_grey_level(blurred)
    reach = select(table[:, 1], level, jnp.int32)
    rounds = select(table[:, 2], level, jnp.int32)

    def one_round(number: jax.Array, origin: jax.Array) -> jax.Array:
        round_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
        sources = jax.vmap(_shuffle_sources, (0, None, None, None))(round_keys, height, width, reach)
        return jnp.take_along_axis(origin, sources, 1)

    start = jnp.broadcast_to(jnp.arange(height * width), (batch, height * width))
    origin = jax.lax.fori_loop(0, rounds, one_round, start)
    pixels = blurred.reshape(batch, height * width, channels)
    shuffled = jnp.take_along_axis(pixels, origin[..., None], 1).reshape(images.shape)
    return gaussian_filter(shuffled, level, table[:, 0])


def motion_blur(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Blur by a one-sided Gaussian along a line at a random angle in [−45°, 45°]."""
    angles = draw(jax.random.uniform, keys, (), images.dtype, minval=-45.0, maxval=45.0)
    weights, counts = motion_weights(table)
    return motion(images, angles, select(weights, level, images.dtype), select(counts, level, jnp.int32))


def zoom_blur(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """The mean of the image and its centred zooms by the factors of `numpy.arange(1, end, step)`."""
    del keys
    factors = [np.arange(1, end, step) for end, step in table]
    _, height, width, _ = images.shape
    most = max(len(row) for row in factors)

    def coordinates(size: int) -> jax.Array:
        lines = [[zoom_coordinates(size, factor) for factor in row] for row in factors]
        padded = [row + [np.zeros(size)] * (most - len(row)) for row in lines]
        return select(np.array(padded), level, images.dtype)

    rows, columns = coordinates(height), coordinates(width)
    count = select(np.array([len(row) for row in factors]), level, jnp.int32)

    def add_zoom(number: jax.Array, total: jax.Array) -> jax.Array:
        return total + separable(
            images,
            linear_interpolation(rows[number], height),
            linear_interpolation(columns[number], width),
        )

    total = jax.lax.fori_loop(0, count, add_zoom, images)
    return total / (count + 1).astype(images.dtype)
