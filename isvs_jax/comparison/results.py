"""The results of a comparison, written down one by one, so that an interrupted one goes on where it stopped."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import write_atomically
from isvs_jax.robustness.report import wilson

FILE = "metrics.json"


class Results:
    """metrics.json: whatever was measured, each number of correct images with its interval."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self.values: dict[str, Any] = {"trainings": {}, "results": {}}
        if self._file.exists():
            self.values |= json.loads(self._file.read_text())

    def note(self, name: str, value: Any) -> None:
        """Write down something that is not a count."""
        self.values[name] = value
        self._write()

    def note_training(self, name: str, value: dict[str, Any]) -> None:
        """Write down how a training went."""
        self.values["trainings"][name] = value
        self._write()

    def record(self, contestant: str, condition: str, correct: np.ndarray) -> None:
        """Write down which images a contestant got right under a condition."""
        self._put(contestant, condition, proportion(correct))

    def record_attacks(self, contestant: str, condition: str, clean: np.ndarray, after: dict[str, np.ndarray]) -> None:
        """Write down which images are right without attack and after one attack after another; the last one counts."""
        last = list(after.values())[-1]
        counts = {name: int(standing.sum()) for name, standing in {"clean": clean, **after}.items()}
        self._put(
            contestant, condition, proportion(last) | {"after": counts, "standing": np.flatnonzero(last).tolist()}
        )

    def _put(self, contestant: str, condition: str, cell: dict[str, Any]) -> None:
        self.values["results"].setdefault(contestant, {})[condition] = cell
        self._write()

    def has(self, contestant: str, condition: str) -> bool:
        """Whether it is written down."""
        return condition in self.values["results"].get(contestant, {})

    def cell(self, contestant: str, condition: str) -> dict[str, Any]:
        """What is written down."""
        return self.values["results"][contestant][condition]

    def _write(self) -> None:
        write_atomically(self._file, json.dumps(self.values, indent=2, ensure_ascii=False) + "\n")


def proportion(correct: np.ndarray) -> dict[str, Any]:
    """A count with its share and Wilson's interval of 95%.

    Example:
        >>> proportion(np.array([True, False]))["accuracy"]
        0.5
    """
    count, total = int(correct.sum()), len(correct)
    low, high = wilson(count, total)
    return {"correct": count, "images": total, "accuracy": count / total, "low": low, "high": high}
