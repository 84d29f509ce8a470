"""The normaliser, the network by whose errors mCE divides, from another report or from a table in a file."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._checks import brief, check_path
from isvs_jax._files import read_json
from isvs_jax.robustness.evaluation.report import Report, read_report

_SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Normaliser:
    """The errors of a network.

    Attributes:
        name: What mCE is said to be normalised by.
        errors: The mean error over the severities by corruption, in [0, 1].
        severities: The severities of the mean.
        clean_error: The error on clean images, or None where it is not known; then there is no relative CE.

    Raises:
        ValueError: There is no error, or one is outside [0, 1].
    """

    name: str
    errors: dict[str, float]
    severities: tuple[int, ...]
    clean_error: float | None = None

    def __post_init__(self) -> None:
        values = [*self.errors.values(), *([] if self.clean_error is None else [self.clean_error])]
        if not self.errors or not all(0 <= value <= 1 for value in values):
            raise ValueError(f"errors must be one or more numbers in [0, 1]; got {brief(values)} for {self.name!r}.")


def normaliser_of(report: Report) -> Normaliser:
    """Take another report as the normaliser.

    Raises:
        ValueError: It holds no corruptions.
    """
    if not report.corruptions:
        raise ValueError(f"report must hold corruptions to normalise mCE; got none in {report.name!r}.")
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
        path: The file, or the folder of a report.
        model: The row of a CSV table.

    Returns:
        The normaliser, over severities 1 to 5 for the tables.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no such row, or the file is of another form.
    """
    file = check_path("path", path)
    if file.is_dir():
        return normaliser_of(read_report(file))
    if not file.is_file():
        what = "normaliser must be a report.json, a JSON table or a CSV table"
        raise FileNotFoundError(f"{what}; got {file}, which is not there.")
    if file.suffix == ".csv":
        return _from_csv(file, model)
    values = read_json(file)
    if isinstance(values, dict) and "corruptions" in values:
        return normaliser_of(read_report(file))
    if not isinstance(values, dict) or not isinstance(values.get("errors"), dict):
        raise ValueError(
            f"{file} must be a table with name, clean_error and errors by corruption; got no mapping of errors."
        )
    errors = {name: _mean_error(file, name, given) for name, given in values["errors"].items()}
    clean = values.get("clean_error")
    return _normaliser(file, str(values.get("name", file.stem)), errors, _SEVERITIES, clean)


def _normaliser(file: Path, name: str, errors: dict[str, float], severities: tuple[int, ...], clean: Any) -> Normaliser:
    """The normaliser of a file, which is named where it holds other numbers than errors."""
    try:
        return Normaliser(name, errors, severities, None if clean is None else float(clean))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} must have errors in [0, 1]; got other values: {error}") from error


def _mean_error(file: Path, name: str, given: Any) -> float:
    """The mean of five errors, one a severity, or that mean itself."""
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in listed):
        raise ValueError(f"{file} must have numbers in [0, 1] as errors of {name}; got {brief(given)}.")
    if isinstance(given, list) and len(given) != len(_SEVERITIES):
        raise ValueError(
            f"{file} must have {len(_SEVERITIES)} errors of {name}, one a severity, or their mean; got {len(given)}."
        )
    return float(np.mean(listed))


def _from_csv(file: Path, model: str | None) -> Normaliser:
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            lines = [row for row in csv.reader(stream) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} must be a table of comma-separated values in UTF-8; got {error}.") from error
    if len(lines) < 3:
        raise ValueError(
            f"{file} must have two rows of corruptions and severities, then models; got {len(lines)} rows."
        )
    names, severities, *rows = lines
    models = {row[0]: row[1:] for row in rows if row[0]}
    if model not in models:
        raise ValueError(f"model must be one of the rows {', '.join(models)} of {file}; got {model!r}.")
    lengths = len(names), len(severities), 1 + len(models[model])
    if len(set(lengths)) != 1:
        raise ValueError(
            f"{file} must have rows of one length; got {lengths[0]} corruptions, {lengths[1]} severities and "
            f"{lengths[2]} values of {model}."
        )
    accuracies: dict[str, dict[int, float]] = {}
    for name, severity, value in zip(names[1:], severities[1:], models[model], strict=True):
        try:
            accuracies.setdefault(name, {})[int(severity)] = float(value)
        except ValueError as error:
            place = f"{name} {severity!r} of {model}"
            raise ValueError(f"{file} must have a number for {place}; got {value!r}.") from error
    used = tuple(sorted(next(iter(accuracies.values()))))
    short = [name for name, row in accuracies.items() if tuple(sorted(row)) != used]
    if short:
        raise ValueError(
            f"{file} must have the severities {used} for all corruptions; got others for {', '.join(short)}."
        )
    errors = {name: 1 - float(np.mean(list(row.values()))) for name, row in accuracies.items()}
    beside = file.parent / f"{model}.json"
    return _normaliser(file, f"{model} of {file.name}", errors, used, _clean_error(beside))


def _clean_error(file: Path) -> float | None:
    """The clean error that RobustBench's file of a model says, where there is one."""
    values = read_json(file) if file.is_file() else {}
    clean = values.get("clean_acc") if isinstance(values, dict) else values
    if clean is None:
        return None
    try:
        return 1 - float(clean) / 100
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} must have a number in percent as clean_acc; got {brief(clean)}.") from error
