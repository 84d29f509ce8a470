"""Images with the large scales of one picture and the small scales of another, and whose class a network sees in them.

As shape against texture in the cue-conflict images of Geirhos et al., with scales in the place of style transfer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.measures.smoothing import shown
from isvs_jax import SplitLBI
from isvs_jax.augment import View
from isvs_jax.models import LogitsFn
from isvs_jax.training.trained import as_partial, in_batches

_BATCH = 100


@dataclass(frozen=True)
class Pairs:
    """Pairs of images of different classes.

    Attributes:
        large: A, whose large scales are shown, float32 [N, H, W, C].
        small: B, whose small scales are shown.
        large_labels: The classes of A, int [N].
        small_labels: The classes of B, int [N].
    """

    large: np.ndarray
    small: np.ndarray
    large_labels: np.ndarray
    small_labels: np.ndarray


@dataclass(frozen=True)
class Hybrids:
    """Images with the large scales of A and the small scales of B.

    Attributes:
        images: The hybrids, float32 [N, H, W, C] in [0, 1].
        clipped: The share of their energy, without their means, that was cut off at 0 and 1.
        large_share: The part of the energy of A, without its mean, that its large scales hold.
    """

    images: np.ndarray
    clipped: float
    large_share: float


@dataclass(frozen=True)
class Decisions:
    """Whose class was seen, for one network.

    Attributes:
        large: The number of decisions for the class of A.
        small: The number of decisions for the class of B.
        count: The number of hybrids.
    """

    large: int
    small: int
    count: int

    @property
    def either(self) -> int:
        """The number of decisions for the class of A or that of B."""
        return self.large + self.small

    @property
    def shape_share(self) -> float:
        """The share of decisions for A's class among those for A's or B's; NaN where there were none."""
        return self.large / self.either if self.either else float("nan")


def pairs(images: np.ndarray, labels: np.ndarray, seed: int = 0) -> Pairs:
    """Each image as A once, with another one of another class as B, drawn at random.

    Args:
        images: float32 [N, H, W, C] in [0, 1].
        labels: int [N], of two classes or more.
        seed: The seed of the draw.

    Raises:
        ValueError: All images are of one class.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(f"labels must be of two classes or more; got {labels[0]} only.")
    rng = np.random.default_rng(seed)
    partners = np.array([rng.choice(np.flatnonzero(labels != label)) for label in labels])
    return Pairs(images, images[partners], labels, labels[partners])


def split(images: np.ndarray, views: Sequence[View], solver: SplitLBI) -> tuple[np.ndarray, np.ndarray]:
    """Large scales, what each view shows, and small scales, the rest, [V, N, H, W, C]: they add up to the images."""
    large = shown(images, views, solver)
    return large, images - large


def hybrids(of: Pairs, views: Sequence[View], solver: SplitLBI) -> tuple[Hybrids, ...]:
    """The large scales of A with the small scales of B, clipped to [0, 1].

    Args:
        of: The pairs.
        views: What large scales are, such as "blur:2" (a Gaussian low pass; the rest is its high pass) or "dense:4".
        solver: The flow, for views of the path.

    Returns:
        One for each view.
    """
    parts = zip(split(of.large, views, solver)[0], split(of.small, views, solver)[1], strict=True)
    return tuple(_hybrids(of, large, small) for large, small in parts)


def _hybrids(of: Pairs, large: np.ndarray, small: np.ndarray) -> Hybrids:
    sums = large + small
    images = np.clip(sums, 0, 1)
    cut_off = float(np.square(sums - images).sum()) / _energy(sums)
    return Hybrids(images, cut_off, _energy(large) / _energy(of.large))


def decisions(logits_fn: LogitsFn, images: np.ndarray, of: Pairs) -> Decisions:
    """Whose class a network sees in hybrids.

    Args:
        logits_fn: A function from images [B, H, W, C] in [0, 1] to logits [B, K].
        images: The hybrids [N, H, W, C].
        of: The pairs that the hybrids were made of.
    """
    chosen = in_batches(partial(_predicted, as_partial(logits_fn)), (images,), _BATCH)
    return Decisions(int((chosen == of.large_labels).sum()), int((chosen == of.small_labels).sum()), len(images))


def _energy(images: np.ndarray) -> float:
    """The energy of images without their means."""
    return float(np.square(images - images.mean((1, 2), keepdims=True)).sum())


@jax.jit
def _predicted(logits_fn: LogitsFn, images: jax.Array) -> jax.Array:
    return jnp.argmax(logits_fn(images), -1)
