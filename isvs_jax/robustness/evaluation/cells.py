"""What the tests of a model find, as plain data: the cell of a report, and what cells add up to."""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from isvs_jax._checks import brief
from isvs_jax.robustness.evaluation.statistics import wilson


def packed(mask: np.ndarray) -> str:
    """Write a mask of examples as hexadecimal digits, four examples a digit.

    Example:
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
        correct: Which examples are classified as their label, under attack after every attack; packed, `mask` unpacks.
        count: The number of examples.
        ece: The expected calibration error over the examples with finite logits; None where there is none.
        not_finite: The number of examples whose logits are not finite; they count as wrong.
        seconds: The duration of the test.
        warnings: Sentences on why the accuracy may be too high, where the test is an attack.
        masks: Under attack the examples that are still right, by name: "clean", then each attack's; packed.
        source: Where corrupted images come from, as in `Report.source`.
        class_correct: The number of right examples of each class; () in reports of older formats.
        class_count: The number of examples of each class.
        entropy: The mean entropy of the probabilities over the examples with finite logits, in nats; None where the
            test is an attack, and in older reports.
    """

    correct: str
    count: int
    ece: float | None = None
    not_finite: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    masks: dict[str, str] = field(default_factory=dict)
    source: str = ""
    class_correct: tuple[int, ...] = ()
    class_count: tuple[int, ...] = ()
    entropy: float | None = None

    @property
    def mask(self) -> np.ndarray:
        """Bool [count], true where the classification is right."""
        return unpacked(self.correct, self.count)

    @property
    def accuracy(self) -> float:
        """The share of the examples that are classified right."""
        return float(self.mask.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the accuracy, over examples."""
        return wilson(int(self.mask.sum()), self.count)

    @property
    def accuracies(self) -> dict[str, float]:
        """The accuracy after each attack by its name, "clean" first."""
        return {name: float(unpacked(mask, self.count).mean()) for name, mask in self.masks.items()}


def cell_of(mask: np.ndarray, labels: np.ndarray, num_classes: int, **others: Any) -> Cell:
    """The cell of a mask of right answers bool [N], counted by the classes of labels [N].

    Example:
        >>> cell = cell_of(np.array([True, False, True]), np.array([0, 0, 1]), 3)
        >>> cell.count, cell.class_correct, cell.class_count
        (3, (1, 1, 0), (2, 1, 0))
    """
    correct, count = np.bincount(labels[mask], minlength=num_classes), np.bincount(labels, minlength=num_classes)
    others |= {"class_correct": tuple(correct.tolist()), "class_count": tuple(count.tolist())}
    return Cell(packed(mask), len(mask), **others)


@dataclass(frozen=True)
class ResolutionCell:
    """One setting of low resolution, as in `isvs_jax.robustness.Resolution`, and its cell."""

    factor: int
    down: str
    up: str
    jpeg_quality: int | None
    cell: Cell


@dataclass(frozen=True)
class StepReach:
    """How far the steps of an attack add up, against ε.

    Attributes:
        attack: The name of the attack.
        num_steps: The number of steps, queries or draws.
        step_size: The length of the first step as a multiple of ε; None where steps have no length of their own.
        ratio: num_steps × step_size as a multiple of ε, or None.
        note: How long the steps are, in words.
        warnings: What is wrong where they do not reach.
    """

    attack: str
    num_steps: int
    step_size: float | None
    ratio: float | None
    note: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttackResult:
    """Attacks within one ball.

    Attributes:
        norm: "linf" or "l2".
        epsilon: The radius.
        worst: The worst case, example by example, with the mask after each attack. Its examples are the first of the
            images, those included that are misclassified without attack. `Report.attack_warnings` adds the warnings of
            the checks to its own.
        cumulative: Whether an attack saw only what those before it had left, so that its mask is theirs too.
        kind: "attacks", or "defence" for the worst case over the ways of attacking a defence before the network.
        reaches: How far the steps of each attack go, against ε.
    """

    norm: str
    epsilon: float
    worst: Cell
    cumulative: bool = True
    kind: str = "attacks"
    reaches: tuple[StepReach, ...] = ()


@dataclass(frozen=True)
class EpsilonCurve:
    """Accuracy under one attack at growing radii, and what is wrong with it.

    Attributes:
        norm: "linf" or "l2".
        attack: The name of the attack.
        num_steps: Its number of steps; None where that is its own default.
        epsilons: The radii, increasing.
        cells: What is left at each radius.
        chance: The accuracy of guessing, 1 / K.
        full_radius: The radius at which no model can hold.
        reaches: How far the steps of the attacks go, against ε.
        warnings: Sentences on what is wrong with the curve.
    """

    norm: str
    attack: str
    num_steps: int | None
    epsilons: tuple[float, ...]
    cells: tuple[Cell, ...]
    chance: float
    full_radius: float
    reaches: tuple[StepReach, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def accuracy(self) -> tuple[float, ...]:
        """The accuracy at each radius."""
        return tuple(cell.accuracy for cell in self.cells)


@dataclass(frozen=True)
class DoublingCheck:
    """Accuracy under an attack, and under it and one of twice as many steps and queries.

    Attributes:
        norm: "linf" or "l2".
        attack: The name of the attack.
        epsilon: The radius.
        num_steps: The steps of the smaller attack.
        num_queries: The queries of the smaller attack; None where it asks none.
        count: The number of examples.
        accuracy: The share of the examples that the smaller attack leaves.
        accuracy_doubled: The share that both leave.
        reaches: How far the doubled steps go, against ε.
        warnings: Sentences on what is wrong.
        seconds: The duration of the doubled attack.
    """

    norm: str
    attack: str
    epsilon: float
    num_steps: int
    num_queries: int | None
    count: int
    accuracy: float
    accuracy_doubled: float
    reaches: tuple[StepReach, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


def rebuilt(kind: Any, values: Any, name: str) -> Any:
    """The object that `dataclasses.asdict` wrote, whether or not it went through JSON since.

    Args:
        kind: The type: a dataclass, or a tuple, dictionary or union of such types, or one that JSON keeps.
        values: What was written.
        name: What a sentence calls it.

    Raises:
        ValueError: Keys are missing or unknown.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _rebuilt_dataclass(kind, values, name)
    if origin in (Union, types.UnionType):
        return None if values is None else rebuilt(inner[0], values, name)
    if origin is tuple:
        kinds = inner[:1] * len(values) if inner[-1] is Ellipsis else inner
        return tuple(
            rebuilt(part, value, f"{name}[{i}]") for i, (part, value) in enumerate(zip(kinds, values, strict=True))
        )
    if origin is dict:
        # JSON has made text of the keys.
        return {inner[0](key): rebuilt(inner[1], value, f"{name}.{key}") for key, value in values.items()}
    return values


def _rebuilt_dataclass(kind: Any, values: Any, name: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be a mapping; got {brief(values)}.")
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}
    required = {
        key
        for key, entry in fields.items()
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    }
    wrong = sorted((required - set(values)) | (set(values) - set(fields)))
    if wrong:
        raise ValueError(f"{name} must have the keys {', '.join(fields)}; got others, or none, for {', '.join(wrong)}.")
    hints = get_type_hints(kind)
    return kind(**{key: rebuilt(hints[key], value, f"{name}.{key}") for key, value in values.items()})
