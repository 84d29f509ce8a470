"""Crops, mirror images, lower contrast and Gaussian noise on the device, with a key for each example."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, check_integer, check_number, example_keys
from isvs_jax._images import as_image


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a batch, each example for itself.

    Attributes:
        crop: The most pixels by which an image is shifted in each direction, its border repeated; 0 for no shift.
        flip: Whether half of the images are mirrored left to right, which suits data whose mirror images keep their
            class. None follows the data set in a training, and mirrors nothing elsewhere.
        contrast: The most by which contrast is lowered, in [0, 1): its share is uniform in [1 − contrast, 1], about the
            mean of each channel; 0 keeps it.
        noise: The largest standard deviation of Gaussian noise, on the scale of [0, 1]; that of each image is uniform
            in [0, noise]; 0 for no noise.

    Raises:
        TypeError: `crop` is no integer, `contrast` or `noise` no number.
        ValueError: A value is out of its range.
    """

    crop: int = 0
    flip: bool | None = None
    contrast: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_integer("crop", self.crop, 0)
        check_number("contrast", self.contrast, "[0, 1)")
        check_number("noise", self.noise, "[0, inf)", unit="standard deviation")


def augment(
    key: jax.Array, images: jax.Array, augmentation: Augmentation, *, noisy: ArrayLike | None = None
) -> jax.Array:
    """Shift, mirror, lower the contrast of, and add noise to the images of a batch.

    All is drawn for each example: what becomes of it depends on its own key and images alone, so how a batch is divided
    among devices changes nothing. The K versions of an example are shifted, mirrored and lowered in contrast as one;
    noise is drawn for each version. Noise comes last, and is the only part after which values are clipped to [0, 1], as
    a camera does.

    Args:
        key: A PRNG key for each example, [B], or one, of which they are split off.
        images: float [B, H, W, C] in [0, 1], or [B, K, H, W, C] with K versions of each example.
        augmentation: What is done (static).
        noisy: Who gets noise, bool [B] or [B, K], one for each image; None for all.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: `key` is no PRNG key, `images` is not of a floating dtype, or `noisy` not of bool.
        ValueError: The shapes do not fit.

    Example:
        >>> images = jnp.full((4, 8, 8, 1), 0.5)
        >>> bool((augment(jax.random.key(0), images, Augmentation(crop=2, flip=True)) == 0.5).all())
        True
    """
    images = as_image(images, "images")
    if images.ndim not in (4, 5):
        raise ValueError(f"images must be [B, H, W, C] or [B, K, H, W, C]; got shape {images.shape}.")
    versions = images if images.ndim == 5 else images[:, None]
    keys = example_keys(key, len(images))
    if noisy is not None:
        noisy = _checked_noisy(noisy, images.shape[:-3]).reshape(versions.shape[:2])
    return jax.vmap(partial(_augment_example, augmentation=augmentation))(keys, versions, noisy).reshape(images.shape)


def _checked_noisy(noisy: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    flags = jnp.asarray(noisy)
    if flags.dtype != jnp.bool_:
        raise TypeError(f"noisy must be bool; got dtype {flags.dtype}.")
    if flags.shape != shape:
        raise ValueError(f"noisy must have shape {shape}, one for each image; got shape {flags.shape}.")
    return flags


def _augment_example(
    key: jax.Array, versions: jax.Array, noisy: jax.Array | None, augmentation: Augmentation
) -> jax.Array:
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
        with_noise = add_noise(noise_key, level_key, versions, augmentation.noise)
        versions = with_noise if noisy is None else jnp.where(noisy[:, None, None, None], with_noise, versions)
    return versions


def add_noise(noise_key: jax.Array, level_key: jax.Array, versions: jax.Array, most: float) -> jax.Array:
    """Add Gaussian noise to images [K, H, W, C], to each its own at a deviation uniform in [0, most], and clip."""
    level = jax.random.uniform(level_key, (len(versions), 1, 1, 1), versions.dtype, maxval=most)
    noise = jax.random.normal(noise_key, versions.shape, versions.dtype)
    return jnp.clip(versions + level * noise, 0, 1)


def _shifted(key: jax.Array, versions: jax.Array, reach: int) -> jax.Array:
    """Take one window for all versions out of the images with their border repeated."""
    wide = jnp.pad(versions, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    row, column = jax.random.randint(key, (2,), 0, 2 * reach + 1)
    return jax.lax.dynamic_slice(wide, (0, row, column, 0), versions.shape)
