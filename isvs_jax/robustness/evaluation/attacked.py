"""The cells that attack the model: within a ball, along the ε-curve, with twice the steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from isvs_jax.robustness._batches import filled
from isvs_jax.robustness.adaptive import DefenceResult, attack_defence, masking_warnings
from isvs_jax.robustness.attacks import AutoAttackResult, autoattack_report, pgd
from isvs_jax.robustness.attacks._ensemble import square_warning
from isvs_jax.robustness.evaluation.cells import Cell, cell_of, packed, unpacked
from isvs_jax.robustness.evaluation.engine import Examples, Told, Work, ask
from isvs_jax.robustness.evaluation.hard_stop_rule import NUM_DRAWS

# `corrupt` folds the place of a corruption, below 19, into the key; the attacks' numbers keep clear of those.
_ATTACK_KEY, _CURVE_KEY, _DOUBLING_KEY = 101, 102, 103
ATTACK_CHUNK = 512
"""The images attacked between two writes to disk."""


class Attack(NamedTuple):
    """A ball, and what the attacks within it may spend."""

    norm: str
    epsilon: float
    num_steps: int
    num_queries: int


class Found(NamedTuple):
    """What attacks found: masks by attack, what all of them leave, and warnings other than those of the masks."""

    masks: dict[str, np.ndarray]
    robust: np.ndarray
    warnings: tuple[str, ...]


def num_chunks(work: Work) -> int:
    """How many chunks the attacked images are cut into."""
    return -(-work.settings.attacks.count // ATTACK_CHUNK)


def attack_cell(work: Work, norm: str, epsilon: float, chunk: int, told: Told) -> Cell:
    """All attacks within one ball on one chunk of the images.

    What the masks say of masked gradients is left to `joined`, which sees all chunks.
    """
    settings, begun = work.settings.attacks, time.perf_counter()
    rows = np.arange(chunk * ATTACK_CHUNK, min((chunk + 1) * ATTACK_CHUNK, settings.count))
    examples = Examples(work.examples.images[rows], work.examples.labels[rows])
    key = jax.random.fold_in(jax.random.fold_in(work.key, _ATTACK_KEY), chunk)
    how = Attack(norm, epsilon, settings.num_steps, settings.num_queries)
    return _cell(work, _attack(work, examples, key, how, told), examples.labels, begun)


def joined(work: Work, chunks: Sequence[Cell]) -> Cell:
    """The chunks of one ball as one cell, with what their masks say together."""
    every = [text for text in chunks[0].warnings if all(text in cell.warnings for cell in chunks)]
    said, first = list(every), 0
    for cell in chunks:
        place = f"images {first} to {first + cell.count - 1}: "
        said += [place + text for text in cell.warnings if text not in every]
        first += cell.count
    masks = {
        name: np.concatenate([unpacked(cell.masks[name], cell.count) for cell in chunks]) for name in chunks[0].masks
    }
    robust = np.concatenate([cell.mask for cell in chunks])
    return cell_of(
        robust,
        work.examples.labels[:first],
        work.num_classes,
        seconds=sum(cell.seconds for cell in chunks),
        warnings=(*said, *mask_warnings(work, masks)),
        masks={name: packed(mask) for name, mask in masks.items()},
    )


def curve_cell(work: Work, norm: str, epsilon: float, num_steps: int, told: Told) -> Cell:
    """Accuracy under PGD at one radius, or with a defence under the worst case over its six ways."""
    begun, examples = time.perf_counter(), work.examples.first(work.settings.checks.count)
    if work.defence is not None:
        key = jax.random.fold_in(work.key, _CURVE_KEY)
        how = Attack(norm, epsilon, num_steps, work.settings.attacks.num_queries)
        found = _attack(work, examples, key, how, told)
        return _cell(work, _with_mask_warnings(work, found), examples.labels, begun)

    def change(images: jax.Array, labels: jax.Array, rows: np.ndarray, number: int) -> jax.Array:
        batch_key = curve_key(work, number)
        return pgd(work.model, images, labels, batch_key, epsilon=epsilon, norm=norm, num_steps=num_steps)

    answers = ask(work, examples, change, work.layout.fitted(len(examples.labels)), told)
    return cell_of(answers.correct, examples.labels, work.num_classes, seconds=time.perf_counter() - begun)


def curve_key(work: Work, number: int) -> jax.Array:
    """The key of a batch of an ε-curve without a defence: the same at every radius."""
    return jax.random.fold_in(jax.random.fold_in(work.key, _CURVE_KEY), number)


def doubling_cell(work: Work, norm: str, epsilon: float, robust: Callable[[], np.ndarray], told: Told) -> Cell:
    """What the attacks of a ball with twice the steps and queries leave of the first examples that held.

    Args:
        work: The model and the images.
        norm: "linf" or "l2".
        epsilon: The radius.
        robust: A function that returns what held against the attacks themselves, bool [count]: only these are attacked
            again.
        told: Is told how far it is.

    Returns:
        The cell of all `count` examples.
    """
    settings, begun, held = work.settings.attacks, time.perf_counter(), robust()
    left, count = np.flatnonzero(held), len(held)
    first = work.examples.labels[:count]
    if not left.size:
        return cell_of(held, first, work.num_classes, seconds=time.perf_counter() - begun)
    # However many held, the attack is one of the shape of all, so that the second radius compiles nothing. What fills
    # it up has a label that the model does not give: attacks leave alone what is wrong already.
    size = work.layout.whole_size(count)
    rows, real = filled(left, -(-count // size) * size)
    labels = work.examples.labels[rows]
    labels[real:] = (labels[real:] + 1) % work.num_classes
    key = jax.random.fold_in(work.key, _DOUBLING_KEY)
    how = Attack(norm, epsilon, 2 * settings.num_steps, 2 * settings.num_queries)
    found = _attack(work, Examples(work.examples.images[rows], labels), key, how, told)
    masks = {name: _scattered(mask[:real], left, count) for name, mask in found.masks.items()}
    found = Found(masks, _scattered(found.robust[:real], left, count), found.warnings)
    return _cell(work, _with_mask_warnings(work, found), first, begun)


def mask_warnings(work: Work, masks: dict[str, np.ndarray]) -> list[str]:
    """What the masks of attacks say of masked gradients, as sentences."""
    return square_warning(masks) if work.defence is None else masking_warnings(masks)


def attacks_of(work: Work) -> tuple[str, ...]:
    """The attacks that run within a ball; with a defence, those of its gradients, Square and noise."""
    names = work.settings.attacks.names
    if work.defence is None:
        return names
    # Square is one of the six ways itself; the gradient attacks run in four of them.
    return (*(name for name in names if name != "square"), "square", "noise")


def _attack(work: Work, examples: Examples, key: jax.Array, how: Attack, told: Told) -> Found:
    """Attack examples, no more of them on the devices at a time than a chunk."""
    count, parts = len(examples.labels), []
    for number, begin in enumerate(range(0, count, ATTACK_CHUNK)):
        chunk = Examples(*(array[begin : begin + ATTACK_CHUNK] for array in examples))
        parts.append(_attack_chunk(work, chunk, jax.random.fold_in(key, number), how, told))
    masks = {name: np.concatenate([part.masks[name] for part in parts]) for name in parts[0].masks}
    warnings = dict.fromkeys(sentence for part in parts for sentence in part.warnings)
    return Found(masks, np.concatenate([part.robust for part in parts]), tuple(warnings))


def _attack_chunk(work: Work, examples: Examples, key: jax.Array, how: Attack, told: Told) -> Found:
    layout, settings = work.layout, work.settings.attacks
    batch_size = layout.whole_size(len(examples.labels))
    images, labels = layout.everywhere(tuple(examples))
    options: dict[str, Any] = how._asdict() | {"batch_size": batch_size}
    result: AutoAttackResult | DefenceResult
    if work.defence is None:
        result = autoattack_report(
            layout.sharded(work.model, batch_size),
            images,
            labels,
            key,
            attacks=settings.names,
            individually=settings.individually,
            progress=lambda attack, run, runs, left: told(f"{attack} {run}/{runs}, {left} robust"),
            **options,
        )
    else:
        result = attack_defence(
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
    of_masks = mask_warnings(work, result.per_attack)
    own = tuple(sentence for sentence in result.warnings if sentence not in of_masks)
    return Found(result.per_attack, result.robust, own)


def _with_mask_warnings(work: Work, found: Found) -> Found:
    return found._replace(warnings=(*found.warnings, *mask_warnings(work, found.masks)))


def _cell(work: Work, found: Found, labels: np.ndarray, begun: float) -> Cell:
    return cell_of(
        found.robust,
        labels,
        work.num_classes,
        seconds=time.perf_counter() - begun,
        warnings=found.warnings,
        masks={name: packed(mask) for name, mask in found.masks.items()},
    )


def _scattered(mask: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The mask of some rows as one of all, false elsewhere."""
    whole = np.zeros(count, bool)
    whole[rows] = mask
    return whole
