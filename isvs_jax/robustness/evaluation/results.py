"""What the parts of an evaluation found, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isvs_jax.robustness.evaluation.metrics import wilson


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
        warnings: sentences on why the accuracy may be too high, where the test is an attack.
    """

    correct: str
    count: int
    ece: float | None = None
    not_finite: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

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
class StepReach:
    """How far the steps of an attack add up, against ε.

    Attributes:
        attack: its name.
        num_steps: steps, queries or draws.
        step_size: length of the first step as a multiple of ε; None where steps have no length of their own.
        ratio: num_steps × step_size as a multiple of ε, or None.
        note: how long the steps are, in words.
        warnings: what is wrong where they do not reach.
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
        epsilon: radius.
        count: how many examples were attacked (the first of the images, those misclassified without attack included).
        masks: examples still right, by name: "clean", then each attack's, packed.
        robust: examples right after all of them, packed.
        cumulative: whether an attack saw only what those before it had left, so that its mask is theirs too.
        kind: "attacks", or "defence" for the worst case over the ways of attacking a defence before the network.
        reaches: how far the steps of each attack go, against ε.
        warnings: sentences on why the figure may be too high; `Report.attack_warnings` adds those of the checks.
        seconds: what the attacks took.
    """

    norm: str
    epsilon: float
    count: int
    masks: dict[str, str]
    robust: str
    cumulative: bool = True
    kind: str = "attacks"
    reaches: tuple[StepReach, ...] = ()
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
    reaches: tuple[StepReach, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doubling:
    """Accuracy under an attack with num_steps, and under that and one of twice as many steps and queries.

    `num_queries` is None where the attack asks none.
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
