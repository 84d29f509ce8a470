"""The accuracy of every class in the parts of a report: the worst class, and how far it is behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation._summary import ALL, corruption_groups, robust_label
from isvs_jax.robustness.evaluation.cells import Cell
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.statistics import score_interval


@dataclass(frozen=True)
class ClassFigures:
    """The accuracies of the classes in one part of a report.

    Attributes:
        label: The name of the part, as in `summary`.
        accuracy: The accuracy over all examples.
        classes: The accuracy of each class; None where there is no example of it.
        count: The number of examples of each class.
        worst: The number of the class with the least accuracy.
        best: The number of the class with the greatest accuracy.
        interval: Wilson's 95% interval of the accuracy of the worst class, over its examples. Of a mean over cells it
            is that of examples which are right in all cells or in none, and so not too short.
        gap: The accuracy over all examples minus that of the worst class.
    """

    label: str
    accuracy: float
    classes: tuple[float | None, ...]
    count: tuple[int, ...]
    worst: int
    best: int
    interval: tuple[float, float]
    gap: float

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """What report.json says of it, the classes by their names."""
        return {
            "label": self.label,
            "accuracy": self.accuracy,
            "worst": names[self.worst],
            "worst_accuracy": self.classes[self.worst],
            "worst_interval": list(self.interval),
            "best": names[self.best],
            "gap": self.gap,
            "classes": dict(zip(names, self.classes, strict=True)),
        }


def class_names(report: Report) -> tuple[str, ...]:
    """The names of the classes, or their numbers where a report has no names."""
    return report.class_names or tuple(str(number) for number in range(report.num_classes))


def class_figures(report: Report) -> tuple[ClassFigures, ...]:
    """The classes on clean images, under corruptions and each category of them, at low resolution, in every ball."""
    parts: list[tuple[str, list[Cell]]] = [("clean", [report.clean])]
    groups = corruption_groups(report) if report.corruptions else {}
    parts += [
        (label, [cell for name in names for cell in report.corruptions[name].values()])
        for label, names in groups.items()
        if label == ALL or len(names) > 1
    ]
    parts += [(robust_label(attack), [attack.worst]) for attack in report.attacks]
    parts += [("low resolution, mean", [entry.cell for entry in report.resolutions])] if report.resolutions else []
    found = [figures_of(label, cells) for label, cells in parts]
    return tuple(entry for entry in found if entry is not None)


def figures_of(label: str, cells: Sequence[Cell]) -> ClassFigures | None:
    """The accuracies of the classes over cells, each cell weighing the same; None where cells do not count classes."""
    if not all(cell.class_count for cell in cells):
        return None
    counts = np.array([cell.class_count for cell in cells])
    shares = np.array([cell.class_correct for cell in cells]) / np.maximum(counts, 1)
    means = np.where(counts.min(axis=0) > 0, shares.mean(axis=0), np.nan)
    if np.isnan(means).all():
        return None
    worst, best = int(np.nanargmin(means)), int(np.nanargmax(means))
    accuracy, examples = float(np.mean([cell.accuracy for cell in cells])), counts.min(axis=0)
    return ClassFigures(
        label,
        accuracy,
        tuple(None if np.isnan(mean) else float(mean) for mean in means),
        tuple(examples.tolist()),
        worst,
        best,
        score_interval(float(means[worst]), int(examples[worst])),
        accuracy - float(means[worst]),
    )
