"""Augmentation of a batch on the device: crops, mirror images, contrast, Gaussian noise; a key for each example."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a batch, each example for itself.

    Attributes:
        crop: The image is shifted by up to so many pixels in each direction, its border repeated; 0 for none.
        flip: Whether half of the images are mirrored left to right. Only where a mirror image keeps its class. None
            leaves it to what the data set says where that is known, else none are.
        contrast: The contrast is lowered to a share uniform in [1 − contrast, 1], about each channel's mean; in [0, 1),
            0 for none.
        noise: Gaussian noise whose standard deviation is uniform in [0, noise], on the scale of [0, 1]; 0 for none.

    Raises:
        TypeError: `crop` is not an integer.
        ValueError: A value that cannot be.
    """

    crop: int = 0
    flip: bool | None = None
    contrast: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.crop, bool) or not isinstance(self.crop, int):
            raise TypeError(f"crop is {self.crop!r}; it may be 0 or a positive number of pixels.")
        if self.crop < 0:
            raise ValueError(f"crop is {self.crop}; it may be 0 or a positive number of pixels.")
        if not 0 <= self.contrast < 1:
            raise ValueError(f"contrast is {self.contrast}; it may be in [0, 1).")
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise is {self.noise}; it may be a finite standard deviation ≥ 0.")


def augment(keys: jax.Array, images: jax.Array, augmentation: Augmentation) -> jax.Array:
    """A batch with its augmentation.

    What becomes of an example depends on its key and its images alone, so how a batch is divided among devices changes
    nothing. The K versions of an example are shifted, mirrored and lowered in contrast as one; noise is drawn for each.
    Noise comes last, and is the only part after which values are cut off at 0 and 1, as a camera does.

    Args:
        keys: A PRNG key for each example, [B].
        images: float [B, K, H, W, C] in [0, 1].
        augmentation: What to do (static).

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> images = jnp.full((4, 1, 8, 8, 1), 0.5)
        >>> keys = jax.random.split(jax.random.key(0), 4)
        >>> bool((augment(keys, images, Augmentation(crop=2, flip=True)) == 0.5).all())
        True
    """
    if images.ndim != 5:
        raise ValueError(f"images has shape {images.shape}; it may be [B, K, H, W, C].")
    if keys.shape != images.shape[:1]:
        raise ValueError(f"keys has shape {keys.shape}; it may be {images.shape[:1]}, a key for each example.")
    return jax.vmap(partial(_augment_example, augmentation=augmentation))(keys, images)


def _augment_example(key: jax.Array, versions: jax.Array, augmentation: Augmentation) -> jax.Array:
    crop_key, flip_key, contrast_key, noise_key, level_key = jax.random.split(key, 5)
    if augmentation.crop:
        versions = _shifted(crop_key, versions, augmentation.crop)
    if augmentation.flip:
        versions = jnp.where(jax.random.bernoulli(flip_key), versions[:, :, ::-1], versions)
    if augmentation.contrast:
        share = jax.random.uniform(contrast_key, (), versions.dtype, minval=1 - augmentation.contrast)
        mean = versions.mean((1, 2), keepdims=True)
        versions = mean + share * (versions - mean)
    if augmentation.noise:
        shape = (len(versions), 1, 1, 1)
        level = jax.random.uniform(level_key, shape, versions.dtype, maxval=augmentation.noise)
        noise = jax.random.normal(noise_key, versions.shape, versions.dtype)
        versions = jnp.clip(versions + level * noise, 0, 1)
    return versions


def _shifted(key: jax.Array, versions: jax.Array, reach: int) -> jax.Array:
    """One window for all versions, of the images with their border repeated."""
    wide = jnp.pad(versions, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    row, column = jax.random.randint(key, (2,), 0, 2 * reach + 1)
    return jax.lax.dynamic_slice(wide, (0, row, column, 0), versions.shape)
