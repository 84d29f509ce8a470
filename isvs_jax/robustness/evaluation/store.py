"""Finished cells on disk, so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import write_atomically

PARTIAL = "partial.json"
REPORT = "report.json"
# Logits of one network on another machine, or in batches of another size, differ by rounding only.
_PROBE_TOLERANCE = 1e-3


class Store:
    """Cells by key, written after each of them where there is a folder.

    Args:
        folder: where partial.json is kept; None keeps nothing.
        fingerprint: what the cells depend on: settings, data, parameters, versions.
        probe: logits [n, K] of a few images, which tell networks apart whose parameters are not known.
        session: who makes cells from here on: command, machine, commit, date. `sessions` lists those that made the
            cells, in order, each with how many cells and seconds.

    Raises:
        ValueError: the folder holds the cells of another evaluation; the differences are listed.
        FileExistsError: the folder holds a report and not its cells.
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
        self._cells: dict[str, Any] = {}
        self._session: dict[str, Any] = {**(session or {}), "cells": 0, "seconds": 0.0}
        self.sessions: list[dict[str, Any]] = []
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.is_file():
                self._cells = self._read(self._file)
            elif (self._file.parent / REPORT).exists():
                raise FileExistsError(
                    f"{self._file.parent / REPORT} exists and would be overwritten; give another folder, or move it."
                )

    def __contains__(self, key: str) -> bool:
        return key in self._cells

    def __getitem__(self, key: str) -> Any:
        return self._cells[key]

    def put(self, key: str, cell: dict[str, Any]) -> None:
        """Keep a finished cell."""
        self._cells[key] = cell
        if not self._session["cells"]:
            self.sessions.append(self._session)
        self._session["cells"] += 1
        self._session["seconds"] += cell.get("seconds", 0.0)
        if self._file is not None:
            content = {"fingerprint": self._fingerprint, "probe": self._probe.tolist(), "sessions": self.sessions}
            write_atomically(self._file, json.dumps(content | {"cells": self._cells}))

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            content = json.loads(file.read_text())
            there, probe, cells = content["fingerprint"], np.asarray(content["probe"], np.float64), content["cells"]
            self.sessions = list(content["sessions"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is not the partial result of an evaluation ({error!r}); move it away.") from error
        found = differences(there, self._fingerprint)
        if not found and not _same(probe, self._probe):
            found = ["the network: its logits on the first images"]
        if found:
            raise ValueError(
                f"{file} is of another evaluation, which would be mixed with this one; give another folder. "
                f"What differs: {'; '.join(found)}."
            )
        return dict(cells)


def differences(there: Any, here: Any, place: str = "") -> list[str]:
    """Where two trees of dictionaries differ, one sentence a place.

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
