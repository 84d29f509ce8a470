"""A few images on which a model fails most, as it saw them: clean, corrupted and attacked."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from isvs_jax._extras import optional
from isvs_jax.robustness._batches import filled
from isvs_jax.robustness.attacks import pgd
from isvs_jax.robustness.attacks._model import logits_of
from isvs_jax.robustness.corruptions import corrupt
from isvs_jax.robustness.evaluation.attacked import curve_key
from isvs_jax.robustness.evaluation.cells import Cell
from isvs_jax.robustness.evaluation.engine import Work, corruption_options
from isvs_jax.robustness.text import ball_name

_MOST, _MOST_LARGE, _LARGE = 6, 4, 64


@dataclass(frozen=True)
class ShownExample:
    """One image of the test, and how the model took it.

    Attributes:
        index: Its place among the images.
        label: Its class.
        failed: In how many of the cells of corruptions it is classified wrong.
        cells: The number of those cells.
        images: PNG files in base64 by what they show: "clean", "corrupted", "attacked", "difference".
        predicted: The class that the model gives to each of them but the difference.
        corruption: The name and severity of the mildest corruption that breaks it; "" where none does.
        attack: The attack, in words; "" where there is none.
        amplification: What the difference of the attacked image is multiplied by, around grey.
    """

    index: int
    label: int
    failed: int
    cells: int
    images: dict[str, str] = field(default_factory=dict)
    predicted: dict[str, int] = field(default_factory=dict)
    corruption: str = ""
    attack: str = ""
    amplification: float = 0.0


def worst_examples(work: Work, table: Mapping[str, Mapping[int, Cell]]) -> tuple[ShownExample, ...]:
    """The images that most corruptions break, out of the first batch of the ε-curve; right ones before wrong ones.

    Corrupted and attacked images are made again as they were in their cells, in batches of the same shape, so that
    nothing is compiled anew. Files of corrupted images are of other images, and are not shown.

    Args:
        work: The evaluation.
        table: The cells of corruptions, by corruption and severity.

    Returns:
        Up to six examples, four of large images; none where Pillow is not installed.
    """
    try:
        optional("PIL.Image")
    except ModuleNotFoundError:
        return ()
    labels, count = work.examples.labels, min(work.settings.checks.count, len(work.examples.labels))
    rows, real = next(work.layout.fitted(count).batches(count))
    masks = _masks(table) if work.settings.corruptions.read is None else {}
    failed = np.sum([~mask[:real] for mask in masks.values()], axis=0) if masks else np.zeros(real, int)
    attack, attacked = _attacked(work, rows)
    correct = _predicted(work, work.examples.images[rows]) == labels[rows]
    moved = np.zeros(len(rows), bool) if attacked is None else _predicted(work, attacked) != labels[rows]
    order = sorted(range(real), key=lambda i: (not correct[i], -int(failed[i]), not moved[i]))
    most = _MOST if max(work.examples.images.shape[1:3]) <= _LARGE else _MOST_LARGE
    found = []
    for index in order[:most]:
        shown = {"clean": work.examples.images[index]}
        broken = min(((severity, name) for (name, severity), mask in masks.items() if not mask[index]), default=None)
        if broken is not None:
            shown["corrupted"] = _corrupted(work, broken[1], broken[0], index)
        if attacked is not None:
            shown["attacked"] = attacked[index]
        corruption = "" if broken is None else f"{broken[1].replace('_', ' ')} {broken[0]}"
        found.append((index, corruption, shown))
    answers = iter(_predicted(work, np.stack([image for *_, shown in found for image in shown.values()])))
    return tuple(
        _example(index, int(labels[index]), int(failed[index]), len(masks), corruption, attack, shown, answers)
        for index, corruption, shown in found
    )


def _masks(table: Mapping[str, Mapping[int, Cell]]) -> dict[tuple[str, int], np.ndarray]:
    return {(name, severity): cell.mask for name, row in table.items() for severity, cell in row.items()}


def _attacked(work: Work, rows: np.ndarray) -> tuple[str, np.ndarray | None]:
    """The first batch of the ε-curve at a middle radius, and what the attack is called."""
    curves = work.settings.checks.curves
    # At the largest radius of a curve every image is grey.
    radii = {norm: [r for r in found if norm != "linf" or r < 0.2] for norm, found in curves.items()}
    choices = [(norm, found) for norm, found in radii.items() if found]
    if not choices or work.defence is not None:
        return "", None
    norm, found = choices[0]
    epsilon, steps = found[len(found) // 2], work.settings.checks.num_steps
    images, labels = work.layout.put(work.examples.images[rows]), work.layout.put(work.examples.labels[rows])
    moved = pgd(work.model, images, labels, curve_key(work, 0), epsilon=epsilon, norm=norm, num_steps=steps)
    return f"PGD, {steps} steps, {ball_name(norm, epsilon)}", np.asarray(moved)


def _example(
    index: int,
    label: int,
    failed: int,
    cells: int,
    corruption: str,
    attack: str,
    shown: Mapping[str, np.ndarray],
    answers: Iterator[np.generic],
) -> ShownExample:
    images, amplification = {what: _png(image) for what, image in shown.items()}, 0.0
    if "attacked" in shown:
        difference = shown["attacked"] - shown["clean"]
        largest = float(np.abs(difference).max())
        amplification = float(f"{0.5 / largest:.2g}") if largest > 0 else 1.0
        images["difference"] = _png(0.5 + amplification * difference)
    predicted = {what: int(next(answers)) for what in shown}
    return ShownExample(index, label, failed, cells, images, predicted, corruption, attack, amplification)


def _corrupted(work: Work, name: str, severity: int, index: int) -> np.ndarray:
    """One image as it was in its cell."""
    rows, _ = filled(np.array([index]), work.layout.batch_size)
    images = work.layout.put(work.examples.images[rows])
    options = corruption_options(work)
    return np.asarray(corrupt(images, name, severity, work.key, indices=work.layout.put(rows), **options)[0])


def _predicted(work: Work, images: np.ndarray) -> np.ndarray:
    """The classes that the model gives to images, in one batch of the shape that was compiled."""
    rows, real = filled(np.arange(len(images)), work.layout.batch_size)
    logits = [
        logits_of(work.model, work.layout.put(images[rows[begin : begin + work.layout.batch_size]]))
        for begin in range(0, len(rows), work.layout.batch_size)
    ]
    return np.concatenate([np.asarray(part) for part in logits])[:real].argmax(1)


def _png(image: np.ndarray) -> str:
    """An image in [0, 1] as a PNG file in base64."""
    levels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    stream = io.BytesIO()
    optional("PIL.Image").fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
