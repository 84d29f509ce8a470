"""The work behind each cell of a report: ask the network about one set of images, or attack it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from isvs_jax.robustness.adaptive import attack_defence
from isvs_jax.robustness.attacks import autoattack_report, pgd
from isvs_jax.robustness.attacks._model import LogitsFn
from isvs_jax.robustness.corruptions import corrupt
from isvs_jax.robustness.defences import Defence
from isvs_jax.robustness.official import CorruptedImages
from isvs_jax.robustness.report.devices import Answers, Layout, ask
from isvs_jax.robustness.report.metrics import expected_calibration_error
from isvs_jax.robustness.report.results import AttackResult, Cell, packed
from isvs_jax.robustness.report.settings import Settings
from isvs_jax.robustness.resolution import Resolution, low_resolution

Told = Callable[[str], None]
"""Is told how far a cell is."""

# `corrupt` folds the place of a corruption, below 19, into the key; the attacks' numbers keep clear of those.
_ATTACK_KEY, _CURVE_KEY = 101, 102
ATTACK_CHUNK = 512
"""Images attacked between two writes to disk."""


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


def attack_cell(work: Work, norm: str, epsilon: float, chunk: int, told: Told) -> dict[str, Any]:
    """All attacks within one ball on one chunk of the images."""
    settings, begun = work.settings, time.perf_counter()
    rows = slice(chunk * ATTACK_CHUNK, min((chunk + 1) * ATTACK_CHUNK, settings.attack_count))
    images, labels = work.examples.images[rows], work.examples.labels[rows]
    key = jax.random.fold_in(jax.random.fold_in(work.key, _ATTACK_KEY), chunk)
    masks, robust, warnings = _attack(
        work, images, labels, key, norm, epsilon, settings.attack_steps, settings.attack_queries, told
    )
    result = AttackResult(
        norm=norm,
        epsilon=epsilon,
        count=len(labels),
        masks={name: packed(mask) for name, mask in masks.items()},
        robust=packed(robust),
        cumulative=work.defence is not None or not settings.individually,
        kind="attacks" if work.defence is None else "defence",
        warnings=warnings,
        seconds=time.perf_counter() - begun,
    )
    return asdict(result)


def curve_cell(work: Work, norm: str, epsilon: float, num_steps: int, told: Told) -> dict[str, Any]:
    """Accuracy under PGD at one radius, or with a defence under the worst case over its six ways."""
    begun, examples = time.perf_counter(), work.first(work.settings.curve_count)
    key, count = jax.random.fold_in(work.key, _CURVE_KEY), len(examples.labels)
    if work.defence is not None:
        queries = work.settings.attack_queries
        arguments = (examples.images, examples.labels, key, norm, epsilon, num_steps, queries, told)
        robust = _attack(work, *arguments)[1]
        return asdict(Cell(packed(robust), count, seconds=time.perf_counter() - begun))
    layout, parts = work.layout.fitted(count), []
    for number, (rows, real) in enumerate(layout.batches(count)):
        told(f"{number * layout.batch_size}/{count}")
        images, labels = layout.put(examples.images[rows]), layout.put(examples.labels[rows])
        batch_key = jax.random.fold_in(key, number)
        moved = pgd(work.model, images, labels, batch_key, epsilon=epsilon, norm=norm, num_steps=num_steps)
        parts.append(ask(work.model, moved, labels, real))
    return asdict(Cell(packed(Answers.joined(parts).correct), count, seconds=time.perf_counter() - begun))


def _attack(
    work: Work,
    images: np.ndarray,
    labels: np.ndarray,
    key: jax.Array,
    norm: str,
    epsilon: float,
    num_steps: int,
    num_queries: int,
    told: Told,
) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...]]:
    """Masks by attack, the robust mask and warnings."""
    layout, settings = work.layout, work.settings
    batch_size = layout.filled(len(labels))
    placed = layout.everywhere((images, labels))
    options: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "batch_size": batch_size}
    options |= {"num_steps": num_steps, "num_queries": num_queries, "attacks": settings.attacks}
    if work.defence is None:
        result = autoattack_report(
            layout.sharded(work.model, batch_size),
            placed[0],
            placed[1],
            key,
            individually=settings.individually,
            progress=lambda attack, run, runs, left: told(f"{attack} {run}/{runs}, {left} robust"),
            **options,
        )
        return result.per_attack, result.robust, result.warnings
    # Square is one of the six ways itself; the gradient attacks run in four of them.
    options["attacks"] = tuple(attack for attack in settings.attacks if attack != "square")
    found = attack_defence(
        layout.sharded(work.network, batch_size),
        work.defence,
        placed[0],
        placed[1],
        key,
        progress=lambda way, left: told(f"{way}, {left} robust"),
        **options,
    )
    return found.per_attack, found.robust, found.warnings


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
