"""Augmentation of a batch on the device: crops, mirror images, Gaussian noise."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a batch, each image for itself.

    Attributes:
        crop: The image is shifted by up to so many pixels in each direction, its border repeated; 0 for none.
        flip: Whether half of the images are mirrored left to right. Only where a mirror image keeps its class.
        noise: Gaussian noise whose standard deviation is uniform in [0, noise], on the scale of [0, 1]; 0 for none.
    """

    crop: int = 0
    flip: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise ValueError(f"crop is {self.crop}; it may be 0 or a positive number of pixels.")
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise is {self.noise}; it may be a finite standard deviation ≥ 0.")


def augment(key: jax.Array, images: jax.Array, augmentation: Augmentation) -> jax.Array:
    """A batch with its augmentation.

    Noise comes last, and is the only part after which values are cut off at 0 and 1, as a camera does.

    Args:
        key: A PRNG key.
        images: float [B, H, W, C] in [0, 1].
        augmentation: What to do (static).

    Returns:
        Images of the same shape and dtype.

    Example:
        >>> images = jnp.full((4, 8, 8, 1), 0.5)
        >>> bool((augment(jax.random.key(0), images, Augmentation(crop=2, flip=True)) == 0.5).all())
        True
    """
    crop_key, flip_key, noise_key, level_key = jax.random.split(key, 4)
    if augmentation.crop:
        images = _shifted(crop_key, images, augmentation.crop)
    if augmentation.flip:
        mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    if augmentation.noise:
        shape = (len(images), 1, 1, 1)
        level = jax.random.uniform(level_key, shape, images.dtype, maxval=augmentation.noise)
        noise = jax.random.normal(noise_key, images.shape, images.dtype)
        images = jnp.clip(images + level * noise, 0, 1)
    return images


def _shifted(key: jax.Array, images: jax.Array, reach: int) -> jax.Array:
    wide = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * reach + 1)

    def window(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(window)(wide, corners)
