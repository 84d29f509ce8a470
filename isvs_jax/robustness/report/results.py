"""What an evaluation found, as plain data that goes to JSON and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isvs_jax.robustness.corruptions import CATEGORIES, CORRUPTIONS
from isvs_jax.robustness.report.metrics import mean_interval, wilson

FORMAT = 1
"""Version of the JSON form."""


def packed(mask: np.ndarray) -> str:
    """A mask of examples as hexadecimal digits, four examples a digit.

    >>> packed(np.array([True, False, False, False, True]))
    '88'
    """
    return np.packbits(np.asarray(mask, bool)).tobytes().hex()


def unpacked(text: str, count: int) -> np.ndarray:
    """The mask of `count` examples that `packed` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)


@dataclass(frozen=True)
class Cell:
    """One test of one set of images.

    Attributes:
        correct: which examples were classified as their label, packed (`mask` unpacks).
        count: how many examples.
        ece: expected calibration error, over the examples with finite logits; None where there is none.
        not_finite: examples whose logits were not finite; they count as wrong.
        seconds: what the test took.
    """

    correct: str
    count: int
    ece: float | None = None
    not_finite: int = 0
    seconds: float = 0.0

    @property
    def mask(self) -> np.ndarray:
        """Bool [count], true where the classification was right."""
        return unpacked(self.correct, self.count)

    @property
    def accuracy(self) -> float:
        """Share of the examples that were classified right."""
        return float(self.mask.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the accuracy, over examples."""
        return wilson(int(self.mask.sum()), self.count)


@dataclass(frozen=True)
class ResolutionCell:
    """One setting of low resolution."""

    factor: int
    down: str
    up: str
    jpeg_quality: int | None
    cell: Cell


@dataclass(frozen=True)
class AttackResult:
    """Attacks within one ball.

    Attributes:
        norm: "linf" or "l2".
        epsilon: radius.
        count: how many examples were attacked (the first of the images, those misclassified without attack included).
        masks: examples still right, by name: "clean", then each attack's, packed.
        robust: examples right after all of them, packed.
        cumulative: whether an attack saw only what those before it had left, so that its mask is theirs too.
        kind: "attacks", or "defence" for the worst case over the ways of attacking a defence before the network.
        warnings: sentences on why the figure may be too high.
        seconds: what the attacks took.
    """

    norm: str
    epsilon: float
    count: int
    masks: dict[str, str]
    robust: str
    cumulative: bool = True
    kind: str = "attacks"
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def accuracies(self) -> dict[str, float]:
        """Accuracy by attack, "clean" first."""
        return {name: float(unpacked(mask, self.count).mean()) for name, mask in self.masks.items()}

    @property
    def worst(self) -> Cell:
        """The worst case, example by example."""
        return Cell(self.robust, self.count, seconds=self.seconds)


@dataclass(frozen=True)
class Curve:
    """Accuracy under one attack at growing radii, and what is wrong with it as sentences."""

    norm: str
    attack: str
    num_steps: int
    epsilons: tuple[float, ...]
    cells: tuple[Cell, ...]
    chance: float
    full_radius: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doubling:
    """Accuracy under an attack with num_steps and with twice as many."""

    norm: str
    attack: str
    epsilon: float
    num_steps: int
    count: int
    accuracy: float
    accuracy_doubled: float
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


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
        made: versions, machine, command, date, seeds and hashes.
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
                "clean": Cell(**given["clean"]),
                "corruptions": {
                    name: {int(severity): Cell(**cell) for severity, cell in row.items()}
                    for name, row in given["corruptions"].items()
                },
                "resolutions": tuple(
                    ResolutionCell(**entry | {"cell": Cell(**entry["cell"])}) for entry in given["resolutions"]
                ),
                "attacks": tuple(AttackResult(**_with_tuples(entry)) for entry in given["attacks"]),
                "curves": tuple(
                    Curve(**_with_tuples(entry) | {"cells": tuple(Cell(**cell) for cell in entry["cells"])})
                    for entry in given["curves"]
                ),
                "doublings": tuple(Doubling(**_with_tuples(entry)) for entry in given["doublings"]),
                "warnings": tuple(given["warnings"]),
            }
        )


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
