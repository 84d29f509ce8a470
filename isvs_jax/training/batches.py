"""Batches drawn on the device from all versions of all training images, which lie there whole."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.data import Split, as_float
from isvs_jax.training.augmentation import augment
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.inputs import choose
from isvs_jax.training.smoothing import STORED_DTYPE, smoothed_views
from isvs_jax.training.state import Batch


class Samples(NamedTuple):
    """Training images on the device.

    Attributes:
        versions: float16 [1 + V, N, H, W, C], the images themselves and then the views.
        labels: int32 [N].
    """

    versions: jax.Array
    labels: jax.Array


def load_samples(split: Split, config: TrainConfig, *, progress: bool = True) -> Samples:
    """The images of a split with the views that a run uses, computed and put on the device."""
    inputs = config.inputs
    views = smoothed_views(split.images, inputs.views, inputs.solver, progress=progress)
    raw = as_float(split.images).astype(STORED_DTYPE)[None]
    return Samples(*jax.device_put((np.concatenate([raw, views]), split.labels)))


@functools.partial(jax.jit, static_argnames="num_examples")
def epoch_order(key: jax.Array, epoch: jax.Array, num_examples: int) -> jax.Array:
    """The order of the examples in an epoch, int32 [N]; a function of (key, epoch)."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), num_examples)


def draw_batch(samples: Samples, order: jax.Array, key: jax.Array, step: jax.Array, config: TrainConfig) -> Batch:
    """The batch of a step: its place in the epoch's order, the version chosen for each example, augmented.

    Args:
        samples: What is drawn from.
        order: The order of the current epoch, int32 [N].
        key: The key of the run; the step is folded in.
        step: int32, counted from the start of the run.
        config: The run (static).
    """
    size = config.batch_size
    per_epoch = config.steps_per_epoch(len(samples.labels))
    chosen = jax.lax.dynamic_slice_in_dim(order, (step % per_epoch) * size, size)
    version_key, augment_key = jax.random.split(jax.random.fold_in(key, step))
    progress = step / (per_epoch * config.epochs)
    version = choose(config.inputs, version_key, size, progress)
    images = samples.versions[version, chosen].astype(jnp.float32)
    return Batch(augment(augment_key, images, config.augmentation), samples.labels[chosen])
