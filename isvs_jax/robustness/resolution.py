"""Low resolution: images shrunk and shown at their own size again, and accuracy over chance."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_choice, check_integer
from isvs_jax._images import compute_dtype
from isvs_jax.robustness._inputs import ROUNDING, check_images
from isvs_jax.robustness.corruptions._operators import HIGHEST
from isvs_jax.robustness.corruptions.jpeg import code, quantisation_tables

INTERPOLATIONS: tuple[str, ...] = ("area", "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
"""The interpolations: "area" is the mean of whole blocks, the others are those of `jax.image.resize`."""

_RESIZE_METHODS = {"bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5"}


class Resolution(NamedTuple):
    """One setting of `low_resolution`, whose arguments say what each number is."""

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
"""The standard settings: two factors, three pairs of interpolations, each without and with JPEG."""


def low_resolution(
    images: jax.Array,
    factor: int,
    *,
    down: str = "area",
    up: str = "bilinear",
    jpeg_quality: int | None = None,
) -> jax.Array:
    """Shrink images by a whole factor, code them as JPEG if asked, and enlarge them to their own size.

    Shrinking is anti-aliased for every interpolation but "nearest": the kernel is widened by the factor, as Pillow and
    `jax.image.resize(antialias=True)` do, so that detail which the small image cannot hold is averaged away and does
    not come back as false detail. "area" takes the mean of each factor × factor block. "nearest" keeps the pixel whose
    centre is nearest to the centre of the block, the later of two at the same distance, and so aliases, which is its
    use. Enlarging has no aliasing to avoid; "area" and "nearest" both repeat pixels. Where "bicubic" and "lanczos"
    overshoot, the values are clipped to [0, 1] after shrinking and after enlarging, as storing an image would.

    Args:
        images: float [B, H, W, C] in [0, 1] with C = 1 or 3. The dtype is kept; bfloat16 and float16 are computed in
            float32. B may be 0.
        factor: An integer that divides H and W; 1 leaves the size.
        down: The interpolation for shrinking, one of INTERPOLATIONS.
        up: The interpolation for enlarging, one of INTERPOLATIONS.
        jpeg_quality: The quality from 1 to 100 with which the small image is coded; None leaves the coding out.

    Returns:
        Images of the shape and dtype of `images`, in [0, 1].

    Raises:
        TypeError: The images are not of a floating dtype, or the factor or the quality is no integer.
        ValueError: The images have another shape, a pixel is NaN or outside of [0, 1], or a factor, an interpolation or
            a quality does not exist.

    Example:
        >>> import jax.numpy as jnp
        >>> stripes = jnp.tile(jnp.array([0.0, 1.0]), 4).reshape(1, 1, 8, 1) * jnp.ones((1, 8, 8, 1))
        >>> float(low_resolution(stripes, 2).std())
        0.0
    """
    images = check_images(images, channels=(1, 3), rounding=ROUNDING, may_be_empty=True)
    factor = check_integer("factor", factor)
    height, width = images.shape[1:3]
    if height % factor or width % factor:
        raise ValueError(f"factor must divide the {height}×{width} pixels of the images; got {factor}.")
    check_choice("down", down, INTERPOLATIONS)
    check_choice("up", up, INTERPOLATIONS)
    if jpeg_quality is not None:
        jpeg_quality = check_integer("jpeg_quality", jpeg_quality, 1, 100)
    return _low_resolution(images, factor, down, up, jpeg_quality)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _low_resolution(images: jax.Array, factor: int, down: str, up: str, jpeg_quality: int | None) -> jax.Array:
    wide = images.astype(compute_dtype(images.dtype))
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
    """Accuracy over chance, (a − 1/K)/(1 − 1/K): 1 is perfect, 0 is guessing, below 0 is worse than that.

    Args:
        accuracy: Numbers in [0, 1], of any shape.
        num_classes: The number of classes K, at least 2.

    Returns:
        Numbers of the shape of `accuracy`.

    Raises:
        TypeError: The number of classes is no integer.
        ValueError: There are fewer than two classes, or an accuracy is outside of [0, 1], as a percentage is.

    Example:
        >>> round(float(chance_corrected(0.55, 10)), 3)
        0.5
    """
    check_integer("num_classes", num_classes, 2)
    if not isinstance(accuracy, jax.core.Tracer):
        values = np.asarray(accuracy)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"accuracy must be in [0, 1]; got values from {values.min()} to {values.max()}.")
    return (jnp.asarray(accuracy) - 1 / num_classes) / (1 - 1 / num_classes)
