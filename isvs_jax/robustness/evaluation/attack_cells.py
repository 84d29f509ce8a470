"""Cells of a report that attack the model: within a ball, along the ε-curve, with twice the steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import jax
import numpy as np

from isvs_jax.robustness.adaptive import attack_defence, filled
from isvs_jax.robustness.attacks import autoattack_report, pgd
from isvs_jax.robustness.attacks._gradient_masking import square_warning
from isvs_jax.robustness.evaluation.cells import Told, Work
from isvs_jax.robustness.evaluation.devices import Answers, ask
from isvs_jax.robustness.evaluation.reach import NUM_DRAWS
from isvs_jax.robustness.evaluation.results import Cell, packed
from isvs_jax.robustness.masking import masking_warnings

# `corrupt` folds the place of a corruption, below 19, into the key; the attacks' numbers keep clear of those.
_ATTACK_KEY, _CURVE_KEY, _DOUBLING_KEY = 101, 102, 103
ATTACK_CHUNK = 512
"""Images attacked between two writes to disk."""


class Attacked(NamedTuple):
    """What attacks within one ball found: masks by attack, what all leave, and warnings other than of the masks."""

    masks: dict[str, np.ndarray]
    robust: np.ndarray
    warnings: tuple[str, ...]


def attack_cell(work: Work, norm: str, epsilon: float, chunk: int, told: Told) -> dict[str, Any]:
    """All attacks within one ball on one chunk of the images.

    What the masks say of masked gradients is left to `mask_warnings` of all chunks together.
    """
    settings, begun = work.settings, time.perf_counter()
    rows = np.arange(chunk * ATTACK_CHUNK, min((chunk + 1) * ATTACK_CHUNK, settings.attack_count))
    key = jax.random.fold_in(jax.random.fold_in(work.key, _ATTACK_KEY), chunk)
    found = _attack(work, rows, key, norm, epsilon, settings.attack_steps, settings.attack_queries, told)
    return {
        "count": len(rows),
        "masks": {name: packed(mask) for name, mask in found.masks.items()},
        "robust": packed(found.robust),
        "warnings": list(found.warnings),
        "seconds": time.perf_counter() - begun,
    }


def curve_cell(work: Work, norm: str, epsilon: float, num_steps: int, told: Told) -> dict[str, Any]:
    """Accuracy under PGD at one radius, or with a defence under the worst case over its six ways."""
    begun, count = time.perf_counter(), work.settings.curve_count
    key = jax.random.fold_in(work.key, _CURVE_KEY)
    if work.defence is not None:
        queries = work.settings.attack_queries
        found = _attack(work, np.arange(count), key, norm, epsilon, num_steps, queries, told)
        warnings = (*found.warnings, *mask_warnings(work, found.masks))
        return asdict(Cell(packed(found.robust), count, seconds=time.perf_counter() - begun, warnings=warnings))
    examples, layout, parts = work.first(count), work.layout.fitted(count), []
    for number, (rows, real) in enumerate(layout.batches(count)):
        told(f"{number * layout.batch_size}/{count}")
        images, labels = layout.put(examples.images[rows]), layout.put(examples.labels[rows])
        batch_key = jax.random.fold_in(key, number)
        moved = pgd(work.model, images, labels, batch_key, epsilon=epsilon, norm=norm, num_steps=num_steps)
        parts.append(ask(work.model, moved, labels, real))
    return asdict(Cell(packed(Answers.joined(parts).correct), count, seconds=time.perf_counter() - begun))


def doubling_cell(
    work: Work, norm: str, epsilon: float, robust: Callable[[], np.ndarray], told: Told
) -> dict[str, Any]:
    """What the attacks of a ball with twice the steps and queries leave of the first examples that held.

    `robust` gives what held against the attacks themselves, bool [count]: only these are attacked again.
    """
    settings, begun, held = work.settings, time.perf_counter(), robust()
    left = np.flatnonzero(held)
    warnings: tuple[str, ...] = ()
    if left.size:
        full = work.layout.filled(len(held))
        # The shape of the figure's own attack is compiled already; a half of it or less costs less, compiled anew.
        rows, real = (left, left.size) if 2 * left.size <= full else filled(left, full)
        key = jax.random.fold_in(work.key, _DOUBLING_KEY)
        effort = (2 * settings.attack_steps, 2 * settings.attack_queries)
        found = _attack(work, rows, key, norm, epsilon, *effort, told)
        masks = {name: _scattered(mask[:real], left, len(held)) for name, mask in found.masks.items()}
        held = _scattered(found.robust[:real], left, len(held))
        warnings = (*found.warnings, *mask_warnings(work, masks))
    return asdict(Cell(packed(held), len(held), seconds=time.perf_counter() - begun, warnings=warnings))


def mask_warnings(work: Work, masks: dict[str, np.ndarray]) -> list[str]:
    """What the masks of attacks say of masked gradients, as sentences."""
    if work.defence is not None:
        return masking_warnings(masks)
    return square_warning(masks)


def attacks_of(work: Work) -> tuple[str, ...]:
    """The attacks that run within a ball; with a defence, those of its gradients, Square and noise."""
    if work.defence is None:
        return work.settings.attacks
    # Square is one of the six ways itself; the gradient attacks run in four of them.
    return (*(attack for attack in work.settings.attacks if attack != "square"), "square", "noise")


def _attack(
    work: Work,
    rows: np.ndarray,
    key: jax.Array,
    norm: str,
    epsilon: float,
    num_steps: int,
    num_queries: int,
    told: Told,
) -> Attacked:
    """Attack some of the images, no more of them on the devices at a time than a chunk."""
    effort = (num_steps, num_queries)
    parts = [
        _attack_chunk(work, rows[begin:][:ATTACK_CHUNK], jax.random.fold_in(key, number), norm, epsilon, *effort, told)
        for number, begin in enumerate(range(0, len(rows), ATTACK_CHUNK))
    ]
    masks = {name: np.concatenate([part.masks[name] for part in parts]) for name in parts[0].masks}
    warnings = dict.fromkeys(sentence for part in parts for sentence in part.warnings)
    return Attacked(masks, np.concatenate([part.robust for part in parts]), tuple(warnings))


def _attack_chunk(
    work: Work,
    rows: np.ndarray,
    key: jax.Array,
    norm: str,
    epsilon: float,
    num_steps: int,
    num_queries: int,
    told: Told,
) -> Attacked:
    layout, settings = work.layout, work.settings
    batch_size = layout.filled(len(rows))
    images, labels = layout.everywhere((work.examples.images[rows], work.examples.labels[rows]))
    options: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "batch_size": batch_size}
    options |= {"num_steps": num_steps, "num_queries": num_queries}
    if work.defence is None:
        result = autoattack_report(
            layout.sharded(work.model, batch_size),
            images,
            labels,
            key,
            attacks=settings.attacks,
            individually=settings.individually,
            progress=lambda attack, run, runs, left: told(f"{attack} {run}/{runs}, {left} robust"),
            **options,
        )
        masks, robust, warnings = result.per_attack, result.robust, result.warnings
    else:
        found = attack_defence(
            layout.sharded(work.network, batch_size),
            work.defence,
            images,
            labels,
            key,
            attacks=attacks_of(work)[:-2],
            num_draws=NUM_DRAWS,
            progress=lambda way, left: told(f"{way}, {left} robust"),
            **options,
        )
        masks, robust, warnings = found.per_attack, found.robust, found.warnings
    of_masks = mask_warnings(work, masks)
    return Attacked(masks, robust, tuple(sentence for sentence in warnings if sentence not in of_masks))


def _scattered(mask: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The mask of some rows as one of all, false elsewhere."""
    whole = np.zeros(count, bool)
    whole[rows] = mask
    return whole
