"""The reference network by whose errors mCE divides, from another report or from a table in a file."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation.report import Report

_SEVERITIES = (1, 2, 3, 4, 5)


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
    counts = {cell.count for row in report.corruptions.values() for cell in row.values()}
    # The errors of other images than the clean ones are not above the clean error of these.
    clean = 1 - report.clean.accuracy if counts == {report.clean.count} else None
    return Normaliser(label, report.corruption_errors(), report.severities, clean)


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
    try:
        values = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(
            f"{file} is not JSON ({error}); a normaliser is a report.json, a JSON or a CSV table."
        ) from error
    if isinstance(values, dict) and "corruptions" in values:
        return normaliser_of(Report.from_dict(values))
    if not isinstance(values, dict) or not isinstance(values.get("errors"), dict):
        raise ValueError(f"{file} has no mapping errors; a table may have name, clean_error and errors by corruption.")
    errors = {name: _mean_error(file, name, given) for name, given in values["errors"].items()}
    return Normaliser(values.get("name", file.stem), errors, _SEVERITIES, values.get("clean_error"))


def _mean_error(file: Path, name: str, given: Any) -> float:
    """The mean of five errors, one a severity, or that mean itself."""
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in listed):
        raise ValueError(f"{file} has the errors {given!r} of {name}; they may be numbers in [0, 1].")
    if isinstance(given, list) and len(given) != len(_SEVERITIES):
        raise ValueError(
            f"{file} has {len(given)} errors of {name}; it may have {len(_SEVERITIES)}, one a severity, or their mean."
        )
    return float(np.mean(listed))


def _from_csv(file: Path, model: str | None) -> Normaliser:
    with file.open(newline="") as stream:
        lines = [row for row in csv.reader(stream) if any(row)]
    if len(lines) < 3:
        raise ValueError(f"{file} has {len(lines)} rows; it may have two of corruptions and severities, then models.")
    names, severities, *rows = lines
    models = {row[0]: row[1:] for row in rows if row[0]}
    if model not in models:
        raise ValueError(f"model is {model!r}; {file} has rows for {', '.join(models)}.")
    if not len(names) == len(severities) == 1 + len(models[model]):
        raise ValueError(
            f"{file} has {len(names)} corruptions, {len(severities)} severities and {1 + len(models[model])} values of "
            f"{model}; these rows may have one length."
        )
    accuracies: dict[str, dict[int, float]] = {}
    for name, severity, value in zip(names[1:], severities[1:], models[model], strict=True):
        try:
            accuracies.setdefault(name, {})[int(severity)] = float(value)
        except ValueError as error:
            raise ValueError(f"{file} has {value!r} for {name} {severity!r} of {model}; it may be a number.") from error
    used = tuple(sorted(next(iter(accuracies.values()))))
    short = [name for name, row in accuracies.items() if tuple(sorted(row)) != used]
    if short:
        raise ValueError(
            f"{file} has other severities for {', '.join(short)} than {used}; a mean takes the same of all."
        )
    errors = {name: 1 - float(np.mean(list(row.values()))) for name, row in accuracies.items()}
    beside = file.parent / f"{model}.json"
    clean = json.loads(beside.read_text()).get("clean_acc") if beside.is_file() else None
    return Normaliser(f"{model} of {file.name}", errors, used, None if clean is None else 1 - float(clean) / 100)
