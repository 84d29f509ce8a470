"""What evidence networks use: how far the class loses when a patch of the image is covered, and what lay in the patch.

As the occlusion maps of Zeiler and Fergus (2014), put into numbers.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from experiments.measures.smoothing import contours, differences
from isvs_jax._checks import check_integer
from isvs_jax.models import LogitsFn
from isvs_jax.training.trained import as_partial, in_batches

_BATCH = 50


@dataclass(frozen=True)
class Evidence:
    """How evidence goes with what lies in the patches, a value for each image: float64 [N].

    Attributes:
        contours: The rank correlation of the drops with the energy of the contours in a patch.
        texture: That with the energy of all weaker differences.
    """

    contours: np.ndarray
    texture: np.ndarray


def occlusion_drops(logits_fn: LogitsFn, images: np.ndarray, labels: np.ndarray, patches: int = 8) -> np.ndarray:
    """Log p_y(x) − log p_y(x with a patch covered by the mean colour of x), for each patch.

    Args:
        logits_fn: The network, from images in [0, 1] to logits.
        images: x, float32 [N, H, W, C] in [0, 1]; H and W are multiples of `patches`.
        labels: y, int [N].
        patches: The number P of patches along a side.

    Returns:
        float32 [N, P, P]; positive where the patch spoke for the class.

    Raises:
        ValueError: The patches do not divide the sides.

    Example:
        >>> corner = lambda images: jnp.stack((images[:, 0, 0, 0], images[:, -1, -1, 0]), 1)
        >>> images = np.zeros((1, 4, 4, 1), np.float32)
        >>> images[0, 0, 0] = 1
        >>> (occlusion_drops(corner, images, np.array([0]), 2) > 0).tolist()
        [[[True, False], [False, True]]]
    """
    check_integer("patches", patches)
    height, width = images.shape[1:3]
    if height % patches or width % patches:
        raise ValueError(f"patches must divide the sides of the images, {height} and {width}; got {patches}.")
    function = as_partial(logits_fn)
    drops = in_batches(lambda *batch: _drops(function, *batch, patches), (images, labels), _BATCH)
    return drops.reshape(-1, patches, patches)


def evidence(drops: np.ndarray, images: np.ndarray) -> Evidence:
    """Spearman's correlation over the patches of an image, of the drops with the energy of contours and of texture.

    Contours are the strongest tenth of the differences of the image, texture is the rest of them. Where
    either, or the drop, is the same in all patches of an image, the correlation is 0.

    Args:
        drops: As of `occlusion_drops`, [N, P, P].
        images: The images that they are of, [N, H, W, C].
    """
    patches = drops.shape[1]
    parts = [_energies(images, patches, of_contours=of_contours) for of_contours in (True, False)]
    ranks = stats.rankdata(np.stack([drops, *parts]).reshape(3, len(drops), -1), axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=-1, keepdims=True)
    ranks /= np.where(lengths > 0, lengths, 1)
    return Evidence((ranks[0] * ranks[1]).sum(-1), (ranks[0] * ranks[2]).sum(-1))


@partial(jax.jit, static_argnums=3)
def _drops(logits_fn: LogitsFn, images: jax.Array, labels: jax.Array, patches: int) -> jax.Array:
    """[N, P²]: one patch after another, so that memory holds the batch once more and not P² times."""
    height, width = images.shape[1:3]
    rows, columns = np.arange(height) * patches // height, np.arange(width) * patches // width
    number = jnp.asarray(rows[:, None] * patches + columns)[..., None]
    mean = images.mean((1, 2), keepdims=True)

    def log_p(shown: jax.Array) -> jax.Array:
        return jax.nn.log_softmax(logits_fn(shown))[jnp.arange(len(labels)), labels]

    covered = jax.lax.map(lambda patch: log_p(jnp.where(number == patch, mean, images)), jnp.arange(patches**2))
    return (log_p(images) - covered).T


def _energies(images: np.ndarray, patches: int, *, of_contours: bool) -> np.ndarray:
    """The energy of differences in each patch, float64 [N, P, P]; a difference belongs to its first pixel."""
    count, height, width = images.shape[:3]
    energy = np.zeros((count, height, width))
    for field, at in zip(differences(images), contours(images), strict=True):
        chosen = np.where(at if of_contours else ~at, field, 0)
        energy[:, : field.shape[1], : field.shape[2]] += (chosen**2).sum(-1)
    blocks = energy.reshape(count, patches, height // patches, patches, width // patches)
    return blocks.sum((2, 4))
