"""The progress of long work on stderr: a bar on a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from isvs_jax._extras import optional

# Seconds between two lines where stderr is no terminal.
_INTERVAL = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"


def progress_bar(items: Iterable[Any] | None = None, /, *, shown: bool, **options: Any) -> Any:
    """A progress bar of tqdm, or where stderr is no terminal a line every half minute.

    Args:
        items: What is iterated over; None where `update` is called by hand.
        shown: Whether anything is shown.
        options: Arguments of `tqdm.tqdm`, such as `total`, `desc` and `unit`.

    Returns:
        The `tqdm.tqdm`: an iterator over `items`, and a context that closes the bar.

    Raises:
        ModuleNotFoundError: tqdm is not installed.
    """
    bar = optional("tqdm").tqdm
    if not shown or sys.stderr.isatty():
        return bar(items, disable=not shown, **options)
    # In a log nothing can be taken back, so the last line is always there.
    lines = {"file": _Lines(sys.stderr), "mininterval": _INTERVAL, "bar_format": _LINE, "leave": True}
    return bar(items, **options | lines)


class _Lines:
    """A stream on which what would overwrite a line of a terminal is a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()
