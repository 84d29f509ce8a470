"""`corrupt`: the one entry to the nineteen corruptions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.corruptions import blur, digital, frost, jpeg, noise, spatter, weather
from isvs_jax.robustness.corruptions._checks import check_images
from isvs_jax.robustness.corruptions._operators import floor_to_grey_level
from isvs_jax.robustness.corruptions._tables import (
    CATEGORIES,
    NUM_SEVERITIES,
    TABLE_SIZES,
    nearest_table_size,
)
from isvs_jax.robustness.corruptions._tables import (
    parameters as parameter_table,
)

# Those of the second mapping have integer stages of their own, so they are told about `quantize`.
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
    "spatter": spatter.spatter,
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
    parameters: str | int = "auto",
    indices: jax.Array | None = None,
    quantize: bool = False,
) -> jax.Array:
    """Corrupt images as ImageNet-C, TinyImageNet-C and CIFAR-10-C do.

    The key of an image is

        fold_in(fold_in(fold_in(key, position of the name in CATEGORIES), severity), index)

    so what happens to an image depends on its index and not on the batch that it is in. The name is
    static and the severity is traced: one compilation serves the five severities of a corruption.

    A grey image gets what the originals do to it as a colour picture, in one channel.

    Args:
        images: float [B, H, W, C] in [0, 1], C = 1 or 3, any floating dtype, which is kept;
            bfloat16 and float16 are computed in float32.
        name: one of CORRUPTIONS or VALIDATION_CORRUPTIONS.
        severity: 1 to 5, an integer or a traced one; a traced severity outside that range gives
            images of NaN.
        key: a PRNG key, typed or of the uint32 kind.
        parameters: the originals' table: 32 (CIFAR-10-C), 64 (TinyImageNet-C), 224 (ImageNet-C) or
            "auto", the one nearest to the images' shorter side as a ratio.
        indices: integers [B] that tell the images of a data set apart; 0..B-1 by default.
        quantize: whether to round as the originals do, which compute and store uint8: a pixel is
            truncated to a multiple of 1/255, and so are the stages between. The images are then
            expected to be multiples of 1/255 themselves.

    Returns:
        [B, H, W, C] in [0, 1], of the images' dtype.

    Raises:
        TypeError: an argument of a wrong type or dtype.
        ValueError: an unknown name, a severity, shape, range or table that does not exist.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> images = jnp.full((2, 32, 32, 3), 0.5)
        >>> noisy = corrupt(images, "gaussian_noise", 3, jax.random.key(0))
        >>> noisy.shape, round(float(noisy.std()), 2)
        ((2, 32, 32, 3), 0.08)

    References:
        Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
        Perturbations, ICLR 2019.
    """
    images, severity, indices = _check(images, name, severity, indices)
    table_size = _table_size(parameters, images.shape)
    return _corrupt(
        images,
        severity,
        _typed_key(key),
        indices,
        name=name,
        table_size=table_size,
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
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    table = parameter_table(name, table_size)
    level = severity - 1
    if name in _QUANTIZING:
        corrupted = _QUANTIZING[name](wide, keys, level, table, quantize=quantize)
    elif name == "frost":  # the spectrum of its textures depends on the table
        corrupted = frost.frost(wide, keys, level, table, table_size=table_size)
    else:
        corrupted = _PLAIN[name](wide, keys, level, table)
    corrupted = jnp.clip(corrupted, 0, 1)
    if quantize:
        corrupted = floor_to_grey_level(corrupted)
    known = (severity >= 1) & (severity <= NUM_SEVERITIES)
    return jnp.where(known, corrupted, jnp.nan).astype(images.dtype)


def _check(
    images: jax.Array, name: str, severity: int | jax.Array, indices: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Refuse what cannot be corrupted; the severity and the indices as int32 arrays."""
    if name not in CATEGORIES:
        raise ValueError(f"name must be one of {', '.join(CATEGORIES)}; got {name!r}")
    images = check_images(images)
    level = severity if isinstance(severity, jax.core.Tracer) else np.asarray(severity)
    if not jnp.issubdtype(level.dtype, jnp.integer) or level.ndim:
        raise TypeError(f"severity must be one integer 1 to {NUM_SEVERITIES}; got {level.dtype} of shape {level.shape}")
    if not isinstance(level, jax.core.Tracer) and not 1 <= int(level) <= NUM_SEVERITIES:
        raise ValueError(f"severity must be 1 to {NUM_SEVERITIES}; got {int(level)}")
    indices = jnp.arange(images.shape[0]) if indices is None else jnp.asarray(indices)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"indices must be integers; got {indices.dtype}")
    if indices.shape != images.shape[:1]:
        raise ValueError(
            f"indices must have one number for each of the {images.shape[0]} images; got shape {tuple(indices.shape)}"
        )
    return images, jnp.asarray(level, jnp.int32), indices.astype(jnp.int32)


def _typed_key(key: jax.Array) -> jax.Array:
    if not isinstance(key, (jax.Array, np.ndarray)):
        raise TypeError(f"key must be a PRNG key, as of jax.random.key(0); got {type(key).__name__}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != np.uint32:
            raise TypeError(f"key must be a PRNG key, as of jax.random.key(0); got an array of {key.dtype}")
        key = jax.random.wrap_key_data(key)
    if key.shape:
        raise ValueError(f"key must be one PRNG key; got keys of shape {tuple(key.shape)}")
    return key


def _table_size(parameters: str | int, shape: tuple[int, ...]) -> int:
    if isinstance(parameters, str) and parameters == "auto":
        return nearest_table_size(shape[1], shape[2])
    if isinstance(parameters, (int, np.integer)) and int(parameters) in TABLE_SIZES:
        return int(parameters)
    raise ValueError(f"parameters must be 'auto' or the image size of a table, 32, 64 or 224; got {parameters!r}")
