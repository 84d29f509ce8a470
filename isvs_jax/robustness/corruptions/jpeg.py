"""JPEG compression: the baseline codec without its entropy coding, which loses nothing.

The steps, their order and their roundings are those of libjpeg with the defaults of Pillow, in 32-bit integers
throughout: YCbCr of JFIF, colour at half size in both directions (4:2:0), the accurate integer cosine transforms of
Loeffler, Ligtenberg and Moschytz, the quantisation tables of Annex K scaled by the quality, and the triangular
("fancy") upsampling of the colour.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._operators import select

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
    """The luminance and chrominance steps of a quality from 1 to 100: int64 [2, 8, 8], each from 1 to 255."""
    scale = int(5000 / quality) if quality < 50 else int(200 - 2 * quality)
    return np.clip((np.stack([LUMINANCE, CHROMINANCE]) * scale + 50) // 100, 1, 255)


def _descale(values: jax.Array, bits: int) -> jax.Array:
    """The nearest integer to values / 2^bits; halves are rounded up."""
    return (values + (1 << bits >> 1)) >> bits


def _fixed(value: float) -> int:
    """A constant of the cosine transforms in 13 fractional bits."""
    return round(value * (1 << 13))


def _odd_part(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    """The rotations of the four odd frequencies, the same in both directions."""
    shared = (a + b + c + d) * _fixed(1.175875602)
    ac = (a + c) * -_fixed(1.961570560) + shared
    bd = (b + d) * -_fixed(0.390180644) + shared
    ad = (a + d) * -_fixed(0.899976223)
    bc = (b + c) * -_fixed(2.562915447)
    return (
        a * _fixed(0.298631336) + ad + ac,
        b * _fixed(2.053119869) + bc + bd,
        c * _fixed(3.072711026) + bc + ac,
        d * _fixed(1.501321110) + ad + bd,
    )


def _forward(lines: jax.Array, bits: int, first: bool) -> jax.Array:
    """The cosine transform over the leading axis of eight, with so many bits taken off."""
    sums = lines[:4] + lines[:3:-1]
    differences = lines[:4] - lines[:3:-1]
    even, odd = sums[:2] + sums[:1:-1], sums[:2] - sums[:1:-1]
    low, high = even[0] + even[1], even[0] - even[1]
    if first:
        low, high = low << 2, high << 2
    else:
        low, high = _descale(low, 2), _descale(high, 2)
    shared = (odd[0] + odd[1]) * _fixed(0.541196100)
    two = shared + odd[0] * _fixed(0.765366865)
    six = shared - odd[1] * _fixed(1.847759065)
    seven, five, three, one = _odd_part(*differences[::-1])
    one, two, three, five, six, seven = (_descale(value, bits) for value in (one, two, three, five, six, seven))
    return jnp.stack([low, one, two, three, high, five, six, seven])


def _inverse(lines: jax.Array, bits: int) -> jax.Array:
    """The inverse cosine transform over the leading axis of eight, with so many bits taken off."""
    zero, one, two, three, four, five, six, seven = lines
    shared = (two + six) * _fixed(0.541196100)
    rotated_six = shared - six * _fixed(1.847759065)
    rotated_two = shared + two * _fixed(0.765366865)
    low, high = (zero + four) << 13, (zero - four) << 13
    even = jnp.stack([low + rotated_two, high + rotated_six, high - rotated_six, low - rotated_two])
    odd = jnp.stack(_odd_part(seven, five, three, one)[::-1])
    return _descale(jnp.concatenate([even + odd, (even - odd)[::-1]]), bits)


def _pad(plane: jax.Array, multiple: int) -> jax.Array:
    """Repeat the last row and column of [B, H, W] up to a multiple."""
    down, right = (-plane.shape[1] % multiple, -plane.shape[2] % multiple)
    return jnp.pad(plane, ((0, 0), (0, down), (0, right)), mode="edge")


def _code_plane(plane: jax.Array, steps: jax.Array) -> jax.Array:
    """Code and decode one plane of grey levels [B, H, W] with quantisation steps [8, 8]."""
    batch, height, width = plane.shape
    padded = _pad(plane, 8)
    down, across = padded.shape[1] // 8, padded.shape[2] // 8
    # The axes of a block lead: [column, row, B, blocks down, blocks across].
    blocks = padded.reshape(batch, down, 8, across, 8).transpose(4, 2, 0, 1, 3) - 128
    columns = _forward(blocks, 13 - 2, first=True).swapaxes(0, 1)
    coefficients = _forward(columns, 13 + 2, first=False)  # [row, column, ...], 8 times too large
    steps = steps[:, :, None, None, None]
    quantised = jnp.sign(coefficients) * ((jnp.abs(coefficients) + 4 * steps) // (8 * steps))
    rows = _inverse(quantised * steps, 13 - 2).swapaxes(0, 1)
    decoded = jnp.clip(_inverse(rows, 13 + 2 + 3) + 128, 0, 255)
    return decoded.transpose(2, 3, 1, 4, 0).reshape(padded.shape)[:, :height, :width]


def _halve(plane: jax.Array) -> jax.Array:
    """The means of 2×2 pixels; libjpeg rounds them down and up by turns along a row."""
    # Rows: the last one is repeated; columns: up to whole blocks, so a block holds no other value.
    down, right = plane.shape[1] % 2, -plane.shape[2] % 16
    plane = jnp.pad(plane, ((0, 0), (0, down), (0, right)), mode="edge")
    total = plane[:, 0::2, 0::2] + plane[:, 0::2, 1::2] + plane[:, 1::2, 0::2] + plane[:, 1::2, 1::2]
    bias = 1 + np.arange(total.shape[2], dtype=np.int32)[None, None] % 2
    return (total + bias) >> 2


def _double(plane: jax.Array) -> jax.Array:
    """Double the size: each new pixel is 9/16, 3/16, 3/16 and 1/16 of its four nearest."""
    batch, height, width = plane.shape
    tall = jnp.pad(plane, ((0, 0), (1, 1), (0, 0)), mode="edge")
    near = 3 * plane
    rows = jnp.stack([near + tall[:, :-2], near + tall[:, 2:]], 2).reshape(batch, 2 * height, width)
    wide = jnp.pad(rows, ((0, 0), (0, 0), (1, 1)), mode="edge")
    left = (3 * rows + wide[:, :, :-2] + 8) >> 4
    right = (3 * rows + wide[:, :, 2:] + 7) >> 4
    return jnp.stack([left, right], 3).reshape(batch, 2 * height, 2 * width)


def code(images: jax.Array, steps: jax.Array) -> jax.Array:
    """JPEG-code and decode images with given quantisation steps.

    Args:
        images: float [B, H, W, C] in [0, 1] with C = 1 (luminance only) or 3; they are rounded to grey levels.
        steps: The luminance and chrominance steps, [2, 8, 8].

    Returns:
        Images of the same shape, multiples of 1/255 in [0, 1].
    """
    levels = jnp.floor(255 * images + 0.5).astype(jnp.int32)
    if images.shape[-1] == 1:
        coded = _code_plane(levels[..., 0], steps[0])[..., None]
        return coded.astype(images.dtype) / 255
    _, height, width, _ = images.shape
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    luma = _descale(19595 * red + 38470 * green + 7471 * blue, 16)
    half = (128 << 16) + (1 << 15) - 1  # one less than a half: halves go down here
    cb = (-11059 * red - 21709 * green + 32768 * blue + half) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + half) >> 16

    luma = _code_plane(luma, steps[0])
    # The decoder upsamples the real pixels, not the padding.
    real = (slice(None), slice(0, (height + 1) // 2), slice(0, (width + 1) // 2))
    cb, cr = (_double(_code_plane(_halve(plane), steps[1])[real])[:, :height, :width] - 128 for plane in (cb, cr))
    red = luma + _descale(91881 * cr, 16)
    green = luma + _descale(-22554 * cb - 46802 * cr, 16)
    blue = luma + _descale(116130 * cb, 16)
    return jnp.clip(jnp.stack([red, green, blue], -1), 0, 255).astype(images.dtype) / 255


def jpeg_compression(images: jax.Array, keys: jax.Array, level: jax.Array, table: np.ndarray) -> jax.Array:
    """Code and decode the image as JPEG of quality c."""
    del keys
    steps = np.stack([quantisation_tables(quality) for quality in table[:, 0]])
    return code(images, select(steps, level, jnp.int32))
