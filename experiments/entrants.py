"""Entrants: a training, and what stands before the network when it is tested."""

import re
from dataclasses import dataclass

from experiments.noise_level import noise_level_defence
from isvs_jax import SplitLBI
from isvs_jax.robustness import Defence, smoothing_defence
from isvs_jax.training.views import View

_BY_NOISE = "by-noise"


@dataclass(frozen=True)
class Entrant:
    """A training, and what stands before the network when it is tested.

    Attributes:
        training: A name of `experiments.trainings.trainings`.
        before: None for nothing; a view of the path such as "dense:4"; or "by-noise:4,8", smoothing to one of these
            times, or not at all, by the noise of each image.
    """

    training: str
    before: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Entrant":
        """From "TRAINING" or "TRAINING@BEFORE"; the inverse of `str`.

        >>> Entrant.parse("mixed@dense:4")
        Entrant(training='mixed', before='dense:4')
        """
        training, _, before = text.partition("@")
        return cls(training, before or None)

    def __str__(self) -> str:
        return self.training if self.before is None else f"{self.training}@{self.before}"

    @property
    def folder_name(self) -> str:
        """A name for files."""
        return re.sub(r"[^\w.@-]", "_", str(self))

    def defence(self, solver: SplitLBI) -> Defence | None:
        """What stands before the network.

        Raises:
            ValueError: `before` is of no such form.
        """
        if self.before is None:
            return None
        kind, _, number = self.before.partition(":")
        if kind == _BY_NOISE:
            return noise_level_defence([float(time) for time in number.split(",")], solver)
        view = View.parse(self.before)
        if not view.is_path:
            raise ValueError(f"before is {self.before!r}; it may be dense:TIME, sparse:TIME or {_BY_NOISE}:TIME,TIME.")
        return smoothing_defence(view.strength, solver, "dense" if view.kind == "dense" else "sparse")
