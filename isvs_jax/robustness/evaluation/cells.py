"""Cells of a report that ask the network about one set of images: clean, corrupted, of low resolution."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.corruptions import corrupt
from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.evaluation.devices import Answers, Layout, ask
from isvs_jax.robustness.evaluation.metrics import expected_calibration_error
from isvs_jax.robustness.evaluation.results import Cell, packed
from isvs_jax.robustness.evaluation.settings import Settings
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.resolution import Resolution, low_resolution

Told = Callable[[str], None]
"""Is told how far a cell is."""


@dataclass(frozen=True)
class Examples:
    """Images float32 [N, H, W, C] and labels int32 [N], on the host."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Work:
    """Everything that a cell is made from. `model` is `network` behind `defence`, where there is one."""

    model: LogitsFn
    network: LogitsFn
    defence: Defence | None
    examples: Examples
    key: jax.Array
    layout: Layout
    settings: Settings
    num_classes: int
    corrupted: Callable[[str, int], CorruptedImages] | None

    def first(self, count: int) -> Examples:
        """The first examples."""
        return Examples(self.examples.images[:count], self.examples.labels[:count])


def clean_cell(work: Work, told: Told) -> dict[str, Any]:
    """The images as they are."""
    return _cell(work, work.examples, told, lambda images, rows: images)


def corruption_cell(work: Work, name: str, severity: int, told: Told) -> dict[str, Any]:
    """One corruption and severity, made from the images or read, with its source."""
    if work.corrupted is not None:
        read = work.corrupted(name, severity)
        _check_read(work, read, f"{name} {severity}")
        examples = Examples(read.images.astype(np.float32) / np.float32(255), read.labels.astype(np.int32))
        return _cell(work, examples, told, lambda images, rows: images) | {"source": read.source}
    settings = work.settings

    def change(images: jax.Array, rows: np.ndarray) -> jax.Array:
        options: dict[str, Any] = {"parameters": settings.parameters, "quantize": settings.quantize}
        return corrupt(images, name, severity, work.key, indices=work.layout.put(rows), **options)

    return _cell(work, work.examples, told, change) | {"source": "regenerated"}


def resolution_cell(work: Work, setting: Resolution, told: Told) -> dict[str, Any]:
    """One setting of low resolution."""
    factor, down, up, quality = setting
    return _cell(
        work,
        work.examples,
        told,
        lambda images, rows: low_resolution(images, factor, down=down, up=up, jpeg_quality=quality),
    )


def _check_read(work: Work, read: CorruptedImages, place: str) -> None:
    """Refuse images and labels of files that are not of this model's test."""
    images, labels = read.images, read.labels
    shape = work.examples.images.shape[1:]
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(f"corrupted gave {images.dtype} {images.shape} for {place}; it may give uint8 [N, H, W, C].")
    if images.shape[1:] != shape:
        raise ValueError(
            f"corrupted gave images of shape {images.shape[1:]} for {place}; the clean images, which the model takes, "
            f"have shape {shape}, and so may these."
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"corrupted gave labels {labels.dtype} {labels.shape} for {len(images)} images of {place}; it may give one "
            "integer an image."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= work.num_classes:
        raise ValueError(
            f"corrupted gave labels from {low} to {high} for {place}; the model has {work.num_classes} logits, with "
            f"which they may go from 0 to {work.num_classes - 1}. Are the files of another data set?"
        )


def _cell(
    work: Work,
    examples: Examples,
    told: Told,
    change: Callable[[jax.Array, np.ndarray], jax.Array],
) -> dict[str, Any]:
    """Ask about changed images, batch by batch."""
    begun, parts, count = time.perf_counter(), [], len(examples.labels)
    for rows, real in work.layout.batches(count):
        told(f"{rows[0]}/{count}")
        images = change(work.layout.put(examples.images[rows]), rows)
        parts.append(ask(work.model, images, work.layout.put(examples.labels[rows]), real))
    answers = Answers.joined(parts)
    finite = answers.finite
    ece = expected_calibration_error(answers.confidence[finite], answers.correct[finite]) if finite.any() else None
    seconds = time.perf_counter() - begun
    return asdict(Cell(packed(answers.correct), count, ece, int((~finite).sum()), seconds))
