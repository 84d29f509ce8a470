"""Which class the model gives each of many noisy versions of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_integer, check_key, check_number
from isvs_jax.robustness._batches import Layout, filled
from isvs_jax.robustness._inputs import check_concrete, check_images
from isvs_jax.robustness.adapters.host import USE_ADAPT, check_function, returned
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree
from isvs_jax.robustness.defences import Defence, check_shapes, defended

_BATCH = 512

NO_CLASS = -1
"""What is drawn where logits are not finite."""


class Drawn(NamedTuple):
    """The rows of the images in a batch of draws [b], and the class of each [b], `NO_CLASS` where there is none."""

    rows: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Sampler:
    """Draws classes of noisy images.

    The noise of a draw follows from the key, the row of the image and the number of the draw alone: neither the size of
    a batch, nor the devices, nor a stop in between changes it, and two models with one key see the same noise.

    Attributes:
        model: From images to logits, its arrays on every device.
        images: float32 [N, H, W, C], on the host.
        sigma: The standard deviation of the noise, on the scale of [0, 1].
        layout: How batches lie on the devices.
        fewest: The least number of draws that are ever made of an image; it bounds the images in a batch.
    """

    model: LogitsFn
    images: np.ndarray
    sigma: float
    layout: Layout
    fewest: int

    def draws(self, key: jax.Array, rows: np.ndarray, count: int, done: int = 0) -> Iterator[Drawn]:
        """The classes of `count` draws of each of the rows, image by image, but for the first `done` of all draws."""
        size, total = self.layout.batch_size, len(rows) * count
        waiting: tuple[np.ndarray, jax.Array] | None = None
        for begin in range(done, total, size):
            places, real = filled(np.arange(begin, min(begin + size, total)), size)
            classes = self._classes(key, rows, places, count)
            # A batch is read while the next one is at work.
            if waiting is not None:
                yield _read(*waiting)
            waiting = rows[places[:real] // count], classes
        if waiting is not None:
            yield _read(*waiting)

    def _classes(self, key: jax.Array, rows: np.ndarray, places: np.ndarray, count: int) -> jax.Array:
        images = places // count
        # The few images that a batch is of, always as many, so that one shape is compiled.
        first, most = images[0], (len(places) - 1) // self.fewest + 2
        window = rows[np.minimum(np.arange(first, first + most), len(rows) - 1)]
        batch = (images - first, rows[images], places % count)
        put = self.layout.put
        return _classified(
            self.model,
            self.layout.everywhere(self.images[window]),
            *(put(part.astype(np.int32)) for part in batch),
            key,
            self.sigma,
        )


def _read(rows: np.ndarray, classes: jax.Array) -> Drawn:
    return Drawn(rows, np.asarray(classes)[: len(rows)])


@jax.jit
def _classified(
    model: LogitsFn,
    window: jax.Array,
    places: jax.Array,
    rows: jax.Array,
    draws: jax.Array,
    key: jax.Array,
    sigma: jax.Array,
) -> jax.Array:
    """The classes [B] of the images window[places] with noise."""

    def noise(row: jax.Array, draw: jax.Array) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, row), draw), window.shape[1:], window.dtype)

    # Not clipped: the bound is that of a Gaussian.
    logits = model(window[places] + sigma * jax.vmap(noise)(rows, draws))
    finite = jnp.isfinite(logits).all(axis=1)
    return jnp.where(finite, jnp.argmax(logits, axis=1), NO_CLASS).astype(jnp.int32)


def make_sampler(
    logits_fn: LogitsFn,
    images: np.ndarray | jax.Array,
    key: jax.Array,
    sigma: float,
    defence: Defence | None,
    batch_size: int | None,
    devices: Sequence[jax.Device] | None,
    draws: tuple[int, ...],
) -> tuple[Sampler, int]:
    """What draws classes, of an image so many at a time, and the number of classes."""
    check_concrete("certify", images, key)
    check_key(key)
    check_function("logits_fn", logits_fn)
    sigma = check_number("sigma", sigma, "(0, inf)", unit="standard deviation on the scale of [0, 1]")
    found = np.asarray(check_images(images), np.float32)
    if defence is not None:
        check_shapes(defence, found[:1])
    places = tuple(jax.devices() if devices is None else devices)
    usual = -(-_BATCH // len(places)) * len(places)
    layout = Layout.over(places, usual if batch_size is None else check_integer("batch_size", batch_size))
    layout = layout.fitted(len(found) * max(draws))
    network = as_pytree(logits_fn)
    model = network if defence is None else as_pytree(defended(network, defence))
    leaves, structure = jax.tree.flatten(model)
    moved = [layout.everywhere(leaf) if isinstance(leaf, jax.Array | np.ndarray) else leaf for leaf in leaves]
    model = jax.tree.unflatten(structure, moved)
    batch = jax.ShapeDtypeStruct((layout.batch_size, *found.shape[1:]), jnp.float32)
    num_classes = _number_of_classes(jax.eval_shape(model, batch), layout.batch_size)
    return Sampler(model, found, sigma, layout, min(draws)), num_classes


def _number_of_classes(logits: Any, count: int) -> int:
    what = f"logits_fn must return one array of floats [{count}, K], K at least 2"
    if not (hasattr(logits, "dtype") and jnp.issubdtype(logits.dtype, jnp.floating)):
        raise TypeError(f"{what}; got {returned(logits)}. {USE_ADAPT}")
    if logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
        raise ValueError(f"{what}; got shape {logits.shape}.")
    return int(logits.shape[1])
