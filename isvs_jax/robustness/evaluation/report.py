"""The evaluation of one model, as plain data that goes to JSON and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.evaluation.metrics import mean_interval
from isvs_jax.robustness.evaluation.results import AttackResult, Cell, Curve, Doubling, ResolutionCell, StepReach

FORMAT = 2
"""Version of the JSON form."""


@dataclass(frozen=True)
class Report:
    """The evaluation of one model on one set of images.

    Attributes:
        name: of the model.
        preprocessing: what the model does to images in [0, 1] before its first layer, in words.
        source: where the corrupted images come from: "regenerated", or what their loader says ("official", "tfds").
        count: how many clean images.
        image_shape: (H, W, C).
        num_classes: K.
        clean: on the images as they are.
        corruptions: cells by corruption and severity.
        resolutions: low resolution.
        attacks: robust accuracies.
        curves: ε-curves.
        doublings: checks of convergence.
        settings: the arguments, as numbers and strings.
        made: versions, seeds, hashes, and the sessions in which cells were made: machine, command, commit and date.
        warnings: sentences on the figures other than the attacks'.
    """

    name: str
    preprocessing: str
    source: str
    count: int
    image_shape: tuple[int, ...]
    num_classes: int
    clean: Cell
    corruptions: dict[str, dict[int, Cell]] = field(default_factory=dict)
    resolutions: tuple[ResolutionCell, ...] = ()
    attacks: tuple[AttackResult, ...] = ()
    curves: tuple[Curve, ...] = ()
    doublings: tuple[Doubling, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities of the table."""
        return tuple(sorted({severity for row in self.corruptions.values() for severity in row}))

    @property
    def is_complete(self) -> bool:
        """Whether the table is the benchmark's: the fifteen corruptions at five severities."""
        return tuple(self.corruptions) == CORRUPTIONS and self.severities == (1, 2, 3, 4, 5)

    def corruption_errors(self) -> dict[str, float]:
        """Mean error over the severities by corruption."""
        return {
            name: 1 - float(np.mean([cell.accuracy for cell in row.values()])) for name, row in self.corruptions.items()
        }

    def mean_accuracy(self, names: Sequence[str]) -> float:
        """Mean accuracy over corruptions and severities, each cell weighing the same."""
        return float(np.mean([cell.accuracy for name in names for cell in self.corruptions[name].values()]))

    def mean_accuracy_interval(self, names: Sequence[str]) -> tuple[float, float] | None:
        """95% interval of that mean over examples; None where the cells are not of the same examples."""
        cells = [cell for name in names for cell in self.corruptions[name].values()]
        if len({cell.count for cell in cells}) != 1 or cells[0].count < 2:
            return None
        return mean_interval(np.mean([cell.mask for cell in cells], axis=0))

    def attack_warnings(self, attack: AttackResult) -> tuple[str, ...]:
        """Every sentence on why a robust accuracy may be too high: the attacks', the ε-curve's, the doubling's."""
        curves = [f"ε-curve: {text}" for curve in self.curves if curve.norm == attack.norm for text in curve.warnings]
        return tuple(dict.fromkeys([*attack.warnings, *self.doubling_warnings(attack), *curves]))

    def doubling_warnings(self, attack: AttackResult) -> tuple[str, ...]:
        """What twice the steps say of one ball."""
        ball = (attack.norm, attack.epsilon)
        found = [doubling for doubling in self.doublings if (doubling.norm, doubling.epsilon) == ball]
        return tuple(f"twice the steps: {text}" for doubling in found for text in doubling.warnings)

    def groups(self) -> dict[str, list[str]]:
        """The corruptions of the table by category, in the order noise, blur, weather, digital."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.corruptions, key=list(CATEGORIES).index):
            found.setdefault(CATEGORIES[name], []).append(name)
        return {category: found[category] for category in ("noise", "blur", "weather", "digital") if category in found}

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, strings and numbers, fit for JSON."""
        return {"format": FORMAT} | dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Report:
        """The report that `to_dict` gave, whether or not it went through JSON since.

        Raises:
            ValueError: not such a dictionary.
        """
        if values.get("format") != FORMAT:
            raise ValueError(f"format is {values.get('format')!r}; a report of this version has format {FORMAT}.")
        given = {name: value for name, value in values.items() if name != "format"}
        known = {entry.name for entry in dataclasses.fields(cls)}
        if set(given) != known:
            raise ValueError(f"these keys are missing or unknown in a report: {sorted(set(given) ^ known)}.")
        return cls(
            **given
            | {
                "image_shape": tuple(given["image_shape"]),
                "clean": _cell(given["clean"]),
                "corruptions": {
                    name: {int(severity): _cell(cell) for severity, cell in row.items()}
                    for name, row in given["corruptions"].items()
                },
                "resolutions": tuple(
                    ResolutionCell(**entry | {"cell": _cell(entry["cell"])}) for entry in given["resolutions"]
                ),
                "attacks": tuple(AttackResult(**_attacked(entry)) for entry in given["attacks"]),
                "curves": tuple(
                    Curve(**_attacked(entry) | {"cells": tuple(_cell(cell) for cell in entry["cells"])})
                    for entry in given["curves"]
                ),
                "doublings": tuple(Doubling(**_attacked(entry)) for entry in given["doublings"]),
                "warnings": tuple(given["warnings"]),
            }
        )


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}


def _cell(entry: dict[str, Any]) -> Cell:
    return Cell(**_with_tuples(entry))


def _attacked(entry: dict[str, Any]) -> dict[str, Any]:
    return _with_tuples(entry) | {"reaches": tuple(StepReach(**_with_tuples(reach)) for reach in entry["reaches"])}
