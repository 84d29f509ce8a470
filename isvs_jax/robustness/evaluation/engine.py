"""What the cells of an evaluation are made from, and how those that ask the network are made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import brief, check_integer
from isvs_jax.data import as_float
from isvs_jax.robustness._batches import Layout
from isvs_jax.robustness.attacks._model import LogitsFn, as_pytree, is_correct
from isvs_jax.robustness.corruptions import corrupt
from isvs_jax.robustness.defences import Defence, defended
from isvs_jax.robustness.evaluation.cells import Cell, cell_of
from isvs_jax.robustness.evaluation.fit import Settings
from isvs_jax.robustness.evaluation.statistics import expected_calibration_error
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import Resolution, low_resolution

Told = Callable[[str], None]
"""A function that is told how far a cell is."""


class Examples(NamedTuple):
    """Images [N, H, W, C], float32 in [0, 1] or uint8, and labels int32 [N], on the host."""

    images: np.ndarray
    labels: np.ndarray

    def first(self, count: int | None) -> Examples:
        """The first of them; None for all.

        Raises:
            TypeError: The count is no integer.
            ValueError: There are none.
        """
        if count is not None:
            count = check_integer("count", count)
        return Examples(self.images[:count], self.labels[:count])


class Answers(NamedTuple):
    """What a model answers, arrays [N].

    Attributes:
        correct: Whether it is right.
        confidence: The largest probability.
        entropy: The entropy of the probabilities, in nats.
        finite: Whether the logits are finite.
    """

    correct: Any
    confidence: Any
    entropy: Any
    finite: Any


@dataclass(frozen=True)
class Work:
    """Everything that a cell is made from.

    Attributes:
        network: From images to logits, its arrays on every device.
        defence: What stands before it, or None.
        model: The network behind the defence, or the network.
        examples: The images and labels of the test.
        key: The PRNG key.
        layout: How batches lie on the devices.
        settings: What is tested.
        num_classes: The number of logits.
    """

    network: LogitsFn
    defence: Defence | None
    model: LogitsFn
    examples: Examples
    key: jax.Array
    layout: Layout
    settings: Settings
    num_classes: int


def on_devices(logits_fn: LogitsFn, defence: Defence | None, layout: Layout) -> tuple[LogitsFn, LogitsFn]:
    """The network as a pytree whose arrays are on every device, and the model that it is behind a defence."""
    leaves, structure = jax.tree.flatten(as_pytree(logits_fn))
    moved = [layout.everywhere(leaf) if isinstance(leaf, jax.Array | np.ndarray) else leaf for leaf in leaves]
    network = jax.tree.unflatten(structure, moved)
    return network, network if defence is None else as_pytree(defended(network, defence))


@jax.jit
def _ask(model: LogitsFn, images: jax.Array, labels: jax.Array) -> Answers:
    logits = model(images).astype(jnp.float32)
    log_p = jax.nn.log_softmax(logits)
    # A probability of 0 adds nothing, whatever its logarithm is.
    entropy = -jnp.sum(jnp.where(log_p > -jnp.inf, jnp.exp(log_p) * log_p, 0.0), axis=1)
    return Answers(is_correct(logits, labels), jnp.exp(log_p).max(axis=1), entropy, jnp.isfinite(logits).all(axis=1))


def ask(
    work: Work,
    examples: Examples,
    change: Callable[[jax.Array, jax.Array, np.ndarray, int], jax.Array],
    layout: Layout,
    told: Told,
) -> Answers:
    """Ask the model about changed images, batch by batch of one shape.

    Args:
        work: The model.
        examples: The images and labels.
        change: A function of images and labels on the devices, their rows and the number of the batch; it returns the
            images that are asked about.
        layout: How batches lie on the devices.
        told: Is told how far it is.

    Returns:
        The answers, on the host.
    """
    parts, count = [], len(examples.labels)
    for number, (rows, real) in enumerate(layout.batches(count)):
        told(f"{number * layout.batch_size}/{count}")
        images, labels = layout.put(as_float(examples.images[rows])), layout.put(examples.labels[rows])
        answers = _ask(work.model, change(images, labels, rows, number), labels)
        parts.append([np.asarray(part)[:real] for part in answers])
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def clean_cell(work: Work, told: Told) -> Cell:
    """The images as they are."""
    return _question(work, work.examples, lambda images, rows: images, told)


def corruption_cell(work: Work, name: str, severity: int, told: Told) -> Cell:
    """One corruption and severity, made from the images or read, with its source."""
    settings = work.settings.corruptions
    if settings.read is not None:
        read = settings.read(name, severity)
        check_read(read, f"{name} {severity}", work.examples, work.num_classes)
        # Kept in uint8: the images of ImageNet-C would fill the memory as floats.
        examples = Examples(read.images, read.labels.astype(np.int32))
        return _question(work, examples, lambda images, rows: images, told, read.source)

    def change(images: jax.Array, rows: np.ndarray) -> jax.Array:
        return corrupt(images, name, severity, work.key, indices=work.layout.put(rows), **corruption_options(work))

    return _question(work, work.examples, change, told, "regenerated")


def corruption_options(work: Work) -> dict[str, Any]:
    """How `corrupt` is called beside the image, the corruption and the key."""
    return {"table": work.settings.corruptions.table, "quantize": work.settings.corruptions.quantize}


def resolution_cell(work: Work, setting: Resolution, told: Told) -> Cell:
    """One setting of low resolution."""
    factor, down, up, quality = setting

    def change(images: jax.Array, rows: np.ndarray) -> jax.Array:
        return low_resolution(images, factor, down=down, up=up, jpeg_quality=quality)

    return _question(work, work.examples, change, told)


def _question(
    work: Work,
    examples: Examples,
    change: Callable[[jax.Array, np.ndarray], jax.Array],
    told: Told,
    source: str = "",
) -> Cell:
    begun = time.perf_counter()
    correct, confidence, entropy, finite = ask(
        work, examples, lambda images, labels, rows, number: change(images, rows), work.layout, told
    )
    ece = expected_calibration_error(confidence[finite], correct[finite]) if finite.any() else None
    mean_entropy = float(entropy[finite].mean()) if finite.any() else None
    seconds = time.perf_counter() - begun
    found: dict[str, Any] = {"ece": ece, "entropy": mean_entropy, "not_finite": int((~finite).sum())}
    found |= {"seconds": seconds, "source": source}
    return cell_of(correct, examples.labels, work.num_classes, **found)


def check_read(read: CorruptedImages, place: str, examples: Examples, num_classes: int) -> None:
    """Refuse what a loader returned that is not of this model's test.

    Raises:
        TypeError: It is no `CorruptedImages`.
        ValueError: The images have another shape or dtype, or the labels are not one of the classes for each.
    """
    if not isinstance(read, CorruptedImages):
        raise TypeError(f"corruptions.read must return CorruptedImages; got {brief(read)} for {place}.")
    images, labels = read.images, read.labels
    shape, classes = examples.images.shape[1:], num_classes
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images) or images.shape[1:] != shape:
        raise ValueError(
            f"corruptions.read must return uint8 images [N, H, W, C] of the clean images' shape {shape}; got "
            f"{images.dtype} {images.shape} for {place}."
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"corruptions.read must return one integer label an image, {images.shape[:1]}; got {labels.dtype} "
            f"{labels.shape} for {place}."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"corruptions.read must return labels from 0 to {classes - 1}, as the model has {classes} logits; got "
            f"{low} to {high} for {place}. Are the files of another data set?"
        )
