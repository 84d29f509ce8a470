"""Finished cells on disk, so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import read_json, write_atomically
from isvs_jax.robustness._resuming import check_same, differing
from isvs_jax.robustness.evaluation.cells import Cell, rebuilt
from isvs_jax.robustness.evaluation.examples import ShownExample

PARTIAL = "partial.json"
REPORT = "report.json"


class Store(Mapping[str, Cell]):
    """Cells by key, written after each of them where there is a folder.

    Args:
        folder: Where partial.json is kept; None keeps nothing.
        fingerprint: What the cells depend on: settings, data, parameters, versions.
        probe: Logits [n, K] of a few images, which tell networks apart whose parameters are not known.
        session: Who makes cells from here on: command, machine, commit, date. `sessions` lists those that made the
            cells, in order, each with its number of cells, their seconds by the clock, and the seconds of all cores.

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
        self._session: dict[str, Any] = {**(session or {}), "cells": 0, "seconds": 0.0, "processor_seconds": 0.0}
        self._processor_began = time.process_time()
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
        self._session["processor_seconds"] = round(time.process_time() - self._processor_began, 1)
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
            self.sessions = list(content["sessions"])
            # A cell is taken over only where everything that it depends on is the same.
            found = differing((content["fingerprint"], content["probe"]), (self._fingerprint, self._probe))
            # What differs is said first: cells of an older version have another form.
            cells = {} if found else rebuilt(dict[str, Cell], content["cells"], str(file))
            if not found and "examples" in content:
                self._examples = rebuilt(tuple[ShownExample, ...], content["examples"], str(file))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file} must be the partial result of an evaluation; got something else ({error!r}). Move it away."
            ) from error
        check_same(found, file, "evaluation")
        return cells
