"""A progress bar over cells, which tqdm draws where it is installed."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """One bar for the whole evaluation: a unit a cell, the part of the cell at work beside it.

    Args:
        total: how many cells there are.
        shown: whether to show anything. Without tqdm every finished cell is a line on stderr.
    """

    def __init__(self, total: int, shown: bool) -> None:
        self._bar: Any = None
        self._total, self._done, self._shown = total, 0, shown
        if shown:
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                return
            self._bar = tqdm(total=total, unit="cell", dynamic_ncols=True)

    def start(self, label: str) -> None:
        """A cell begins."""
        if self._bar is not None:
            self._bar.set_description(label)

    def within(self, text: str) -> None:
        """How far the cell is."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def finish(self, label: str) -> None:
        """A cell is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str("", refresh=False)
            self._bar.update()
        elif self._shown:
            print(f"{self._done}/{self._total} {label}", file=sys.stderr)

    def close(self) -> None:
        """No more cells."""
        if self._bar is not None:
            self._bar.close()
