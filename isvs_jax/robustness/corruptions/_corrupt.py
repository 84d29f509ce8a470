"""`corrupt`: the one entry to the nineteen corruptions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import brief, check_choice, check_integer, check_key
from isvs_jax._images import compute_dtype
from isvs_jax.robustness._inputs import ROUNDING, check_images
from isvs_jax.robustness.corruptions import _spatter, blur, digital, jpeg, noise, weather
from isvs_jax.robustness.corruptions._operators import floor_to_grey_level
from isvs_jax.robustness.corruptions._tables import (
    CATEGORIES,
    NUM_SEVERITIES,
    TABLE_SIZES,
    nearest_table_size,
    table_rows,
)

# Those of the second mapping round between their stages, so they are told about `quantize`.
_PLAIN: dict[str, Callable[..., jax.Array]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "defocus_blur": blur.defocus_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "spatter": _spatter.spatter,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "saturate": digital.saturate,
    "jpeg_compression": jpeg.jpeg_compression,
}
_QUANTIZING: dict[str, Callable[..., jax.Array]] = {
    "glass_blur": blur.glass_blur,
    "snow": weather.snow,
    "pixelate": digital.pixelate,
}


def corrupt(
    images: jax.Array,
    name: str,
    severity: int | jax.Array,
    key: jax.Array,
    *,
    table: str | int = "auto",
    indices: jax.Array | None = None,
    quantize: bool = False,
) -> jax.Array:
    """Corrupt images as ImageNet-C, TinyImageNet-C and CIFAR-10-C do.

    The key of an image is

        fold_in(fold_in(fold_in(key, position of the name in CATEGORIES), severity), index)

    so what happens to an image depends on its index and not on the batch that it is in. The name is static and the
    severity may be traced: one compilation serves the five severities of a corruption.

    A grey image is treated as the colour picture that it is, and comes back with its one channel.

    Args:
        images: float [B, H, W, C] in [0, 1] with C = 1 or 3. Any floating dtype may come and is kept; bfloat16 and
            float16 are computed in float32. B may be 0.
        name: One of CORRUPTIONS or VALIDATION_CORRUPTIONS.
        severity: An integer from 1 to 5. It may be traced; a traced severity outside of that range gives images of NaN.
        key: A PRNG key, typed or of uint32.
        table: The parameter table of the originals: 32 (CIFAR-10-C), 64 (TinyImageNet-C) or 224 (ImageNet-C). "auto"
            takes the one whose size is nearest, as a ratio, to the shorter side of the images.
        indices: Integers [B] that tell the images of a data set apart; None is 0 to B − 1.
        quantize: Whether to round as the originals do, which compute and store uint8: a pixel is truncated to a
            multiple of 1/255, and so are the stages between. The images should then be multiples of 1/255 themselves.

    Returns:
        Images of the shape and dtype of `images`, in [0, 1].

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: The name, the severity or the table does not exist, a shape is wrong, or a pixel is NaN or outside
            of [0, 1].

    Example:
        >>> import jax, jax.numpy as jnp
        >>> images = jnp.full((2, 32, 32, 3), 0.5)
        >>> noisy = corrupt(images, "gaussian_noise", 3, jax.random.key(0))
        >>> noisy.shape, round(float(noisy.std()), 2)
        ((2, 32, 32, 3), 0.08)

    References:
        Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
        ICLR 2019.
    """
    check_choice("name", name, CATEGORIES)
    images = check_images(images, channels=(1, 3), rounding=ROUNDING, may_be_empty=True)
    return _corrupt(
        images,
        _checked_severity(severity),
        check_key(key),
        _checked_indices(indices, images.shape[0]),
        name=name,
        table_size=_table_size(table, images.shape),
        quantize=bool(quantize),
    )


@functools.partial(jax.jit, static_argnames=("name", "table_size", "quantize"))
def _corrupt(
    images: jax.Array,
    severity: jax.Array,
    key: jax.Array,
    indices: jax.Array,
    *,
    name: str,
    table_size: int,
    quantize: bool,
) -> jax.Array:
    key = jax.random.fold_in(key, list(CATEGORIES).index(name))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, severity), indices)
    wide = images.astype(compute_dtype(images.dtype))
    table = table_rows(name, table_size)
    level = severity - 1
    if name in _QUANTIZING:
        corrupted = _QUANTIZING[name](wide, keys, level, table, quantize=quantize)
    elif name == "frost":  # the spectrum of its textures depends on the table
        corrupted = weather.frost(wide, keys, level, table, table_size=table_size)
    else:
        corrupted = _PLAIN[name](wide, keys, level, table)
    corrupted = jnp.clip(corrupted, 0, 1)
    if quantize:
        corrupted = floor_to_grey_level(corrupted)
    known = (severity >= 1) & (severity <= NUM_SEVERITIES)
    return jnp.where(known, corrupted, jnp.nan).astype(images.dtype)


def _checked_severity(severity: int | jax.Array) -> jax.Array:
    if isinstance(severity, (jax.Array, np.ndarray)):
        if severity.ndim or not jnp.issubdtype(severity.dtype, jnp.integer):
            what = f"an array of shape {severity.shape} and dtype {severity.dtype}"
            raise TypeError(f"severity must be one integer from 1 to {NUM_SEVERITIES}; got {what}.")
        if not isinstance(severity, jax.core.Tracer):
            severity = int(severity)
    if not isinstance(severity, jax.core.Tracer):
        severity = check_integer("severity", severity, 1, NUM_SEVERITIES)
    return jnp.asarray(severity, jnp.int32)


def _checked_indices(indices: jax.Array | None, count: int) -> jax.Array:
    """The indices as int32 [count]."""
    indices = jnp.arange(count) if indices is None else jnp.asarray(indices)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"indices must be integers; got dtype {indices.dtype}.")
    if indices.shape != (count,):
        raise ValueError(f"indices must be [B], one for each of the {count} images; got shape {indices.shape}.")
    return indices.astype(jnp.int32)


def _table_size(table: str | int, shape: tuple[int, ...]) -> int:
    if isinstance(table, str) and table == "auto":
        return nearest_table_size(shape[1], shape[2])
    if isinstance(table, (int, np.integer)) and table in TABLE_SIZES:
        return int(table)
    raise ValueError(f"table must be 'auto', {', '.join(map(str, TABLE_SIZES))}; got {brief(table)}.")
