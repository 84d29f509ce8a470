"""Accuracy of any function from images to logits."""

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.data import as_float
from isvs_jax.models import LogitsFn
from isvs_jax.training.smoothing import padded


@jax.jit
def _predicted(logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
    logits = logits_fn(images)
    # Of logits that are not finite no class can be said to be the largest.
    return jnp.where(jnp.isfinite(logits).all(-1), jnp.argmax(logits, -1), -1)


def correct(
    logits_fn: LogitsFn, images: np.ndarray | jax.Array, labels: np.ndarray | jax.Array, *, batch_size: int = 500
) -> np.ndarray:
    """Which images are classified correctly.

    Args:
        logits_fn: From images [B, H, W, C] in [0, 1] to logits [B, K]; each image for itself.
        images: uint8 [N, H, W, C], or floats in [0, 1].
        labels: Integers [N].
        batch_size: Images at once.

    Returns:
        bool [N]; false where the logits are not finite.

    Raises:
        ValueError: There are no images, or not one label an image.

    Example:
        >>> correct(lambda x: x.mean((1, 2)), np.eye(3, dtype=np.float32)[:, None, None], [0, 1, 1]).tolist()
        [True, True, False]
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if not len(images) or labels.shape != images.shape[:1]:
        raise ValueError(
            f"images has shape {images.shape} and labels {labels.shape}; there may be one label an image, and one or "
            "more images."
        )
    function = logits_fn if isinstance(logits_fn, jax.tree_util.Partial) else jax.tree_util.Partial(logits_fn)
    batch_size = min(batch_size, len(images))
    found = []
    for start in range(0, len(images), batch_size):
        batch = as_float(images[start : start + batch_size])
        found.append(np.asarray(_predicted(function, padded(batch, batch_size)))[: len(batch)])
    return np.concatenate(found) == labels


def evaluate(
    logits_fn: LogitsFn, images: np.ndarray | jax.Array, labels: np.ndarray | jax.Array, *, batch_size: int = 500
) -> float:
    """The share of images that are classified correctly; arguments as of `correct`."""
    return float(correct(logits_fn, images, labels, batch_size=batch_size).mean())
