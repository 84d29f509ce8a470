"""JPEG compression: the baseline codec without its entropy coding, which loses nothing.

The steps and roundings are those of libjpeg with Pillow's defaults: YCbCr of JFIF rounded to
integers, colour at half size in both directions (4:2:0), the quantisation tables of Annex K scaled
by the quality, and the triangular ("fancy") upsampling of the colour. The cosine transforms are
floating-point, where libjpeg's are fixed-point, so a coefficient on the border between two
quantisation steps can fall on the other side.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import HIGHEST, select

LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMINANCE = np.array(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
    ]
)


def quantisation_tables(quality: float) -> np.ndarray:
    """Luminance and chrominance steps of a quality 1..100: int64 [2, 8, 8], each 1..255."""
    scale = int(5000 / quality) if quality < 50 else int(200 - 2 * quality)
    return np.clip((np.stack([LUMINANCE, CHROMINANCE]) * scale + 50) // 100, 1, 255)


def cosine_basis() -> np.ndarray:
    """Orthonormal DCT-II of eight points, one frequency a row: float64 [8, 8]."""
    frequency = np.arange(8)[:, None]
    basis = np.cos(np.pi * (np.arange(8) + 0.5) * frequency / 8) / 2
    basis[0] /= np.sqrt(2)
    return basis


def _round(values: jax.Array) -> jax.Array:
    return jnp.floor(values + 0.5)


def _pad(plane: jax.Array, multiple: int) -> jax.Array:
    """Repeat the last row and column of [B, H, W] up to a multiple."""
    down, right = (-plane.shape[1] % multiple, -plane.shape[2] % multiple)
    return jnp.pad(plane, ((0, 0), (0, down), (0, right)), mode="edge")


def _code_plane(plane: jax.Array, steps: jax.Array) -> jax.Array:
    """Code and decode one plane of grey levels [B, H, W] with quantisation steps [8, 8]."""
    batch, height, width = plane.shape
    padded = _pad(plane, 8)
    blocks = padded.reshape(batch, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8) - 128
    basis = jnp.asarray(cosine_basis(), plane.dtype)
    coefficients = jnp.einsum("ui,brisj,vj->brusv", basis, blocks, basis, precision=HIGHEST)
    steps = steps[:, None, :]
    magnitude = jnp.floor(jnp.abs(coefficients) / steps + 0.5)  # halves away from zero
    coefficients = jnp.sign(coefficients) * magnitude * steps
    blocks = jnp.einsum("ui,brusv,vj->brisj", basis, coefficients, basis, precision=HIGHEST)
    decoded = jnp.clip(_round(blocks) + 128, 0, 255).reshape(padded.shape)
    return decoded[:, :height, :width]


def _halve(plane: jax.Array) -> jax.Array:
    """Means of 2×2 pixels; libjpeg rounds them down and up by turns along a row."""
    # Rows: the last one is repeated; columns: up to whole blocks, so a block holds no other value.
    down, right = plane.shape[1] % 2, -plane.shape[2] % 16
    plane = jnp.pad(plane, ((0, 0), (0, down), (0, right)), mode="edge")
    total = plane[:, 0::2, 0::2] + plane[:, 0::2, 1::2] + plane[:, 1::2, 0::2] + plane[:, 1::2, 1::2]
    bias = 1 + np.arange(total.shape[2]) % 2
    return jnp.floor((total + bias) / 4)


def _double(plane: jax.Array) -> jax.Array:
    """Triangular upsampling: each new pixel is 9/16, 3/16, 3/16 and 1/16 of its four nearest."""
    batch, height, width = plane.shape
    tall = jnp.pad(plane, ((0, 0), (1, 1), (0, 0)), mode="edge")
    near = 3 * plane
    rows = jnp.stack([near + tall[:, :-2], near + tall[:, 2:]], 2).reshape(batch, 2 * height, width)
    wide = jnp.pad(rows, ((0, 0), (0, 0), (1, 1)), mode="edge")
    left = jnp.floor((3 * rows + wide[:, :, :-2] + 8) / 16)
    right = jnp.floor((3 * rows + wide[:, :, 2:] + 7) / 16)
    return jnp.stack([left, right], 3).reshape(batch, 2 * height, 2 * width)


def code(images: jax.Array, steps: jax.Array) -> jax.Array:
    """JPEG-code and decode images with given quantisation steps.

    Args:
        images: [B, H, W, C] in [0, 1], C = 1 (luminance only) or 3; rounded to grey levels.
        steps: luminance and chrominance steps, [2, 8, 8].

    Returns:
        [B, H, W, C], multiples of 1/255 in [0, 1].
    """
    levels = _round(255 * images)
    if images.shape[-1] == 1:
        return _code_plane(levels[..., 0], steps[0])[..., None] / 255
    _, height, width, _ = images.shape
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    luma = _round(0.299 * red + 0.587 * green + 0.114 * blue)
    # libjpeg's table rounds the halves of Cb and Cr down, by one part in 65,536.
    half = 128.5 - 2**-16
    cb = jnp.floor(-0.168735892 * red - 0.331264108 * green + 0.5 * blue + half)
    cr = jnp.floor(0.5 * red - 0.418687589 * green - 0.081312411 * blue + half)

    luma = _code_plane(luma, steps[0])
    # The decoder upsamples the real pixels, not the padding.
    real = (slice(None), slice(0, (height + 1) // 2), slice(0, (width + 1) // 2))
    cb, cr = (_double(_code_plane(_halve(plane), steps[1])[real])[:, :height, :width] - 128 for plane in (cb, cr))
    red = luma + _round(1.402 * cr)
    green = luma + _round(-0.344136286 * cb - 0.714136286 * cr)
    blue = luma + _round(1.772 * cb)
    return jnp.clip(jnp.stack([red, green, blue], -1), 0, 255) / 255


def jpeg_compression(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """The image after JPEG of quality c."""
    del keys
    steps = np.stack([quantisation_tables(quality) for quality in table[:, 0]])
    return code(images, select(steps, level, images.dtype))
