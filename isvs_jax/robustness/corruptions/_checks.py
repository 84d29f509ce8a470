"""What images must be, for corruptions and low resolution alike."""

from __future__ import annotations

import jax
import jax.numpy as jnp

TOLERANCE = 1e-6  # what rounding may leave outside [0, 1]


def check_images(images: jax.Array) -> jax.Array:
    """Images as an array, refused unless float [B, H, W, C] with C = 1 or 3 and, where known, in [0, 1]."""
    images = jnp.asarray(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images must be floating-point in [0, 1]; got {images.dtype} (divide uint8 by 255)")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:]:
        raise ValueError(f"images must have shape [B, H, W, C] with C = 1 or 3; got {tuple(images.shape)}")
    if not isinstance(images, jax.core.Tracer) and images.size:
        with jax.ensure_compile_time_eval():  # the images may be known while a caller is traced
            low, high = float(images.min()), float(images.max())
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise ValueError(f"images must lie in [0, 1]; got values from {low} to {high}")
    return images
