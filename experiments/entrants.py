"""Entrants: a training, and what stands before the network when it is tested."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.measures.noise_level import noise_level_defence
from isvs_jax import SplitLBI
from isvs_jax.augment.views import View
from isvs_jax.robustness import Defence, smoothing_defence

_BY_NOISE = "by-noise"
_FORMS = f"dense:TIME, sparse:TIME or {_BY_NOISE}:TIME,TIME with increasing times"


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
        training, at, before = text.partition("@")
        if not training or bool(at) != bool(before):
            raise ValueError(f"entrant is {text!r}; it may be TRAINING or TRAINING@BEFORE, such as mixed@dense:4.")
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
        try:
            if kind == _BY_NOISE:
                return noise_level_defence([float(time) for time in number.split(",")], solver)
            view = View.parse(self.before)
        except ValueError as error:
            raise ValueError(f"before is {self.before!r}; it may be {_FORMS} ({error})") from None
        if not view.is_path:
            raise ValueError(f"before is {self.before!r}; it may be {_FORMS}.")
        return smoothing_defence(view.strength, solver, "dense" if view.kind == "dense" else "sparse")


def chosen_entrants(given: Sequence[str], size: str, usual: Sequence[str], few: Sequence[str]) -> tuple[Entrant, ...]:
    """The entrants that are named; where none is, the usual ones, or a few of them at size "smoke"."""
    return tuple(map(Entrant.parse, given or (few if size == "smoke" else usual)))
