"""Finished cells on disk, so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import read_json, write_atomically
from isvs_jax.robustness.evaluation.cells import Cell, rebuilt
from isvs_jax.robustness.evaluation.examples import ShownExample

PARTIAL = "partial.json"
REPORT = "report.json"
# Logits of one network on another machine, or in batches of another size, differ by rounding only.
_PROBE_TOLERANCE = 1e-3


class Store(Mapping[str, Cell]):
    """Cells by key, written after each of them where there is a folder.

    Args:
        folder: Where partial.json is kept; None keeps nothing.
        fingerprint: What the cells depend on: settings, data, parameters, versions.
        probe: Logits [n, K] of a few images, which tell networks apart whose parameters are not known.
        session: Who makes cells from here on: command, machine, commit, date. `sessions` lists those that made the
            cells, in order, each with its number of cells and seconds.

    Raises:
        ValueError: The folder holds the cells of another evaluation; the differences are listed.
        FileExistsError: The folder holds a report and not its cells.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        fingerprint: dict[str, Any],
        probe: np.ndarray,
        session: dict[str, Any] | None = None,
    ) -> None:
        self._file = None if folder is None else Path(folder) / PARTIAL
        # Through JSON, so that tuples and lists compare as equal.
        self._fingerprint = json.loads(json.dumps(fingerprint))
        self._probe = np.asarray(probe, np.float64)
        self._cells: dict[str, Cell] = {}
        self._examples: tuple[ShownExample, ...] | None = None
        self._session: dict[str, Any] = {**(session or {}), "cells": 0, "seconds": 0.0}
        self.sessions: list[dict[str, Any]] = []
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.is_file():
                self._cells = self._read(self._file)
            elif (self._file.parent / REPORT).exists():
                raise FileExistsError(
                    f"folder must be one without a report whose cells are not there; got {self._file.parent / REPORT}, "
                    "which would be overwritten."
                )

    def __getitem__(self, key: str) -> Cell:
        return self._cells[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def put(self, key: str, cell: Cell) -> None:
        """Keep a finished cell."""
        self._cells[key] = cell
        # Who only reads what others made is no session of the report.
        if not self._session["cells"]:
            self.sessions.append(self._session)
        self._session["cells"] += 1
        self._session["seconds"] += cell.seconds
        self._write()

    def examples(self, make: Callable[[], tuple[ShownExample, ...]]) -> tuple[ShownExample, ...]:
        """The examples that are shown, which are made once."""
        if self._examples is None:
            self._examples = make()
            self._write()
        return self._examples

    def _write(self) -> None:
        if self._file is not None:
            content = {"fingerprint": self._fingerprint, "probe": self._probe.tolist(), "sessions": self.sessions}
            content["cells"] = {name: dataclasses.asdict(entry) for name, entry in self._cells.items()}
            if self._examples is not None:
                content["examples"] = [dataclasses.asdict(entry) for entry in self._examples]
            write_atomically(self._file, json.dumps(content))

    def _read(self, file: Path) -> dict[str, Cell]:
        content = read_json(file)
        try:
            there, probe = content["fingerprint"], np.asarray(content["probe"], np.float64)
            self.sessions = list(content["sessions"])
            # A cell is taken over only where everything that it depends on is the same. The probe stands for networks
            # whose parameters are not known.
            found = differences(there, self._fingerprint)
            if not found and not _same(probe, self._probe):
                found = ["the network: its logits on the first images"]
            # What differs is said first: cells of an older version have another form.
            cells = {} if found else rebuilt(dict[str, Cell], content["cells"], str(file))
            if not found and "examples" in content:
                self._examples = rebuilt(tuple[ShownExample, ...], content["examples"], str(file))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file} must be the partial result of an evaluation; got something else ({error!r}). Move it away."
            ) from error
        if found:
            raise ValueError(
                f"folder must be that of the same evaluation, or a new one; got {file}, which differs: "
                f"{'; '.join(found)}."
            )
        return cells


def differences(there: Any, here: Any, place: str = "") -> list[str]:
    """Where two trees of dictionaries differ, one sentence a place.

    Example:
        >>> differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
        ['b.c is 2 there and 3 here']
    """
    if isinstance(there, dict) and isinstance(here, dict):
        names = sorted(set(there) | set(here))
        return [
            sentence
            for name in names
            for sentence in differences(there.get(name), here.get(name), f"{place}.{name}" if place else name)
        ]
    return [] if there == here else [f"{place} is {there!r} there and {here!r} here"]


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return False
    scale = np.nanmax(np.abs(second), initial=1.0, where=np.isfinite(second))
    return bool(np.allclose(first, second, rtol=0, atol=_PROBE_TOLERANCE * scale, equal_nan=True))
