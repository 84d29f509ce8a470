"""The reference network by whose errors mCE divides, from another report or from a table in a file."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isvs_jax.robustness.report.results import Report


@dataclass(frozen=True)
class Normaliser:
    """Errors of a reference network.

    Attributes:
        name: what mCE is said to be normalised by.
        errors: mean error over the severities by corruption, in [0, 1].
        severities: those of the mean.
        clean_error: on clean images, or None where it is not known; then there is no relative CE.
    """

    name: str
    errors: dict[str, float]
    severities: tuple[int, ...]
    clean_error: float | None = None

    def __post_init__(self) -> None:
        values = [*self.errors.values(), *([] if self.clean_error is None else [self.clean_error])]
        if not self.errors or not all(0 <= value <= 1 for value in values):
            raise ValueError(
                f"the errors of the normaliser {self.name!r} are {values}; they may be in [0, 1], one each."
            )


def normaliser_of(report: Report) -> Normaliser:
    """Another report as the normaliser."""
    if not report.corruptions:
        raise ValueError(f"the report {report.name!r} holds no corruptions; it cannot normalise mCE.")
    label = f"{report.name} ({report.source}, {report.count} images)"
    return Normaliser(label, report.corruption_errors(), report.severities, 1 - report.clean.accuracy)


def read_normaliser(path: str | os.PathLike[str], model: str | None = None) -> Normaliser:
    """A normaliser from a file.

    - A report.json of this referee.
    - A JSON table: {"name": ..., "clean_error": ..., "errors": {corruption: [five errors] or their mean}}.
    - RobustBench's unaggregated_results.csv: header rows of corruption and severity, then a row of accuracies for each
      model. The clean accuracy is taken from MODEL.json beside it where there is one.

    Args:
        path: the file.
        model: the row of a CSV table.

    Returns:
        The normaliser, over severities 1 to 5 for the tables.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such row, or a file of another form.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}; a normaliser is a report.json, a JSON table or a CSV table.")
    if file.suffix == ".csv":
        return _from_csv(file, model)
    values = json.loads(file.read_text())
    if "corruptions" in values:
        return normaliser_of(Report.from_dict(values))
    if "errors" not in values:
        raise ValueError(f"{file} has the keys {', '.join(values)}; a table may have name, clean_error and errors.")
    errors = {name: float(np.mean(error)) for name, error in values["errors"].items()}
    return Normaliser(values.get("name", file.stem), errors, (1, 2, 3, 4, 5), values.get("clean_error"))


def _from_csv(file: Path, model: str | None) -> Normaliser:
    with file.open(newline="") as stream:
        names, severities, *rows = [row for row in csv.reader(stream) if any(row)]
    models = {row[0]: row[1:] for row in rows if row[0]}
    if model not in models:
        raise ValueError(f"model is {model!r}; {file} has rows for {', '.join(models)}.")
    accuracies: dict[str, dict[int, float]] = {}
    for name, severity, value in zip(names[1:], severities[1:], models[model], strict=True):
        accuracies.setdefault(name, {})[int(severity)] = float(value)
    used = tuple(sorted(next(iter(accuracies.values()))))
    errors = {name: 1 - float(np.mean(list(row.values()))) for name, row in accuracies.items()}
    beside = file.parent / f"{model}.json"
    clean = json.loads(beside.read_text()).get("clean_acc") if beside.is_file() else None
    return Normaliser(f"{model} of {file.name}", errors, used, None if clean is None else 1 - float(clean) / 100)
