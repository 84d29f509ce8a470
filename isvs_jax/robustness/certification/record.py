"""The draws that are done, kept on disk, so that a stopped certification goes on where it was."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from isvs_jax._files import read_json, write_atomically
from isvs_jax.robustness._resuming import check_same, differing
from isvs_jax.robustness.certification._certificate import CERTIFICATE, Certificate, read_certificate
from isvs_jax.robustness.certification.tally import Tally

# Seconds between two writings.
_INTERVAL = 30.0


class Record:
    """The file of a certification, or nothing where there is no folder.

    Args:
        folder: Where certificate.json is kept; None keeps nothing.
        asked: What the draws depend on: settings, data, parameters, versions.
        probe: Logits [n, K] of a few images, which tell networks apart whose parameters are not known.
        session: Who draws from here on: command, machine, commit, date.
        tally: Filled with what is there.

    Raises:
        ValueError: The folder holds another certification; the differences are listed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        asked: dict[str, Any],
        probe: np.ndarray,
        session: dict[str, Any],
        tally: Tally,
    ) -> None:
        self._file = None if folder is None else Path(folder) / CERTIFICATE
        # Through JSON, so that tuples and lists compare as equal.
        self._asked = json.loads(json.dumps(asked))
        self._probe, self._tally = np.asarray(probe, np.float64), tally
        self._session: dict[str, Any] = {**session, "draws": 0, "seconds": 0.0}
        self.sessions: list[dict[str, Any]] = []
        self.certificate: Certificate | None = None
        self._said = self._begun = time.monotonic()
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.exists():
                self._take(self._file)

    def keep(self, draws: int = 0, *, now: bool = False, certificate: Certificate | None = None) -> None:
        """Count draws that were made, and write the tally where it is time to."""
        # Who only reads what others made is no session.
        if draws and not self._session["draws"]:
            self.sessions.append(self._session)
        self._session["draws"] += draws
        self._session["seconds"] = time.monotonic() - self._begun
        if self._file is not None and self._tally.whole and (now or time.monotonic() - self._said > _INTERVAL):
            self._said = time.monotonic()
            content = {
                "asked": self._asked,
                "probe": self._probe.tolist(),
                "sessions": self.sessions,
                "tally": self._tally.as_dict(),
                "certificate": None if certificate is None else certificate.as_dict(),
            }
            write_atomically(self._file, json.dumps(content) + "\n")

    @property
    def made(self) -> dict[str, Any]:
        """What the draws depend on, and the sessions that made them."""
        return self._asked | {"sessions": self.sessions}

    def _take(self, file: Path) -> None:
        content = read_json(file)
        try:
            found = differing((content["asked"], content["probe"]), (self._asked, self._probe))
            if not found:
                self._tally.fill(content["tally"])
                self.sessions = list(content["sessions"])
                self.certificate = None if content["certificate"] is None else read_certificate(file)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file} must be a certification; got something else ({error!r}). Move it away."
            ) from error
        check_same(found, file, "certification")
