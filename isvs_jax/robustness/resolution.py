"""Low resolution: images shrunk and shown at their own size again, and accuracy over chance."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions._checks import check_images
from isvs_jax.robustness.corruptions._operators import HIGHEST
from isvs_jax.robustness.corruptions.jpeg import code, quantisation_tables

INTERPOLATIONS: tuple[str, ...] = ("area", "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
"""Names of the interpolations, "area" for whole-block means, the others as `jax.image.resize`."""

_RESIZE_METHODS = {"bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5"}


class Resolution(NamedTuple):
    """One setting of `low_resolution`."""

    factor: int
    down: str = "area"
    up: str = "bilinear"
    jpeg_quality: int | None = None


RESOLUTIONS: tuple[Resolution, ...] = tuple(
    Resolution(factor, down, up, quality)
    for factor, (down, up), quality in itertools.product(
        (2, 4), (("area", "bilinear"), ("bicubic", "bicubic"), ("nearest", "nearest")), (None, 75)
    )
)
"""The standard settings: factors 2 and 4, three pairs of interpolations, without and with JPEG."""


def low_resolution(
    images: jax.Array,
    factor: int,
    *,
    down: str = "area",
    up: str = "bilinear",
    jpeg_quality: int | None = None,
) -> jax.Array:
    """Shrink images by a whole factor, code them as JPEG if asked, enlarge them to their size.

    Shrinking is anti-aliased for every interpolation but "nearest": the kernel is widened by the
    factor (Pillow's convention, and `jax.image.resize(antialias=True)`), so detail that the small
    image cannot hold is averaged away and does not come back as false detail. "area" takes the
    mean of each factor × factor block. "nearest" keeps the pixel whose centre is nearest the
    block's centre (the later of two at the same distance) and so aliases: that is its use.
    Enlarging has no aliasing to avoid; "area" and "nearest" both repeat pixels. Overshoot of
    "bicubic" and "lanczos" is clipped to [0, 1], after shrinking and after enlarging, as storing
    an image would.

    Args:
        images: float [B, H, W, C] in [0, 1], C = 1 or 3; the dtype is kept, and bfloat16 and
            float16 are computed in float32.
        factor: a whole number that divides H and W; 1 leaves the size.
        down: interpolation for shrinking, one of INTERPOLATIONS.
        up: interpolation for enlarging, one of INTERPOLATIONS.
        jpeg_quality: 1 to 100 codes the small image with that quality, None does not.

    Returns:
        [B, H, W, C] in [0, 1], of the images' dtype.

    Raises:
        TypeError: images that are not floating-point, a factor or quality that is no integer.
        ValueError: images of another shape or range; a factor, interpolation or quality that does not exist.

    Example:
        >>> import jax.numpy as jnp
        >>> stripes = jnp.tile(jnp.array([0.0, 1.0]), 4).reshape(1, 1, 8, 1) * jnp.ones((1, 8, 8, 1))
        >>> float(low_resolution(stripes, 2).std())
        0.0
    """
    images = check_images(images)
    if not isinstance(factor, (int, np.integer)) or isinstance(factor, bool):
        raise TypeError(f"factor must be a whole number; got {factor!r}")
    if factor < 1 or images.shape[1] % factor or images.shape[2] % factor:
        raise ValueError(
            f"factor must be at least 1 and divide the image's {images.shape[1]}×{images.shape[2]} pixels; got {factor}"
        )
    for argument, value in (("down", down), ("up", up)):
        if value not in INTERPOLATIONS:
            raise ValueError(f"{argument} must be one of {', '.join(INTERPOLATIONS)}; got {value!r}")
    if jpeg_quality is not None:
        if not isinstance(jpeg_quality, (int, np.integer)) or isinstance(jpeg_quality, bool):
            raise TypeError(f"jpeg_quality must be an integer 1 to 100 or None; got {jpeg_quality!r}")
        if not 1 <= jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be 1 to 100 or None; got {jpeg_quality}")
    return _low_resolution(images, int(factor), down, up, None if jpeg_quality is None else int(jpeg_quality))


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _low_resolution(images: jax.Array, factor: int, down: str, up: str, jpeg_quality: int | None) -> jax.Array:
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    small = jnp.clip(_shrink(wide, factor, down), 0, 1)
    if jpeg_quality is not None:
        small = code(small, jnp.asarray(quantisation_tables(jpeg_quality), jnp.int32))
    return jnp.clip(_enlarge(small, factor, up), 0, 1).astype(images.dtype)


def _shrink(images: jax.Array, factor: int, method: str) -> jax.Array:
    batch, height, width, channels = images.shape
    if method == "nearest":
        return images[:, factor // 2 :: factor, factor // 2 :: factor]
    small = (height // factor, width // factor)
    if method == "area":
        return images.reshape(batch, small[0], factor, small[1], factor, channels).mean((2, 4))
    return _resize(images, small, method)


def _enlarge(images: jax.Array, factor: int, method: str) -> jax.Array:
    if method in ("area", "nearest"):
        return images.repeat(factor, 1).repeat(factor, 2)
    return _resize(images, (images.shape[1] * factor, images.shape[2] * factor), method)


def _resize(images: jax.Array, size: tuple[int, int], method: str) -> jax.Array:
    shape = (images.shape[0], *size, images.shape[3])
    return jax.image.resize(images, shape, _RESIZE_METHODS[method], antialias=True, precision=HIGHEST)


def chance_corrected(accuracy: jax.Array | float, num_classes: int) -> jax.Array:
    """Accuracy over chance: (a − 1/K)/(1 − 1/K), 1 for perfect, 0 for guessing, below 0 for worse.

    Args:
        accuracy: in [0, 1], any shape.
        num_classes: K, at least 2.

    Returns:
        Same shape as `accuracy`.

    Raises:
        ValueError: fewer than two classes, or an accuracy outside [0, 1] (per cent, say).

    Example:
        >>> round(float(chance_corrected(0.55, 10)), 3)
        0.5
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2; got {num_classes}")
    if not isinstance(accuracy, jax.core.Tracer):
        values = np.asarray(accuracy)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"accuracy must lie in [0, 1]; got values from {values.min()} to {values.max()}")
    return (jnp.asarray(accuracy) - 1 / num_classes) / (1 - 1 / num_classes)
