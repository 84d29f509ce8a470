"""Files that are whole at every moment, folders that one process has to itself, and JSON that is read with its name."""

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Locks of the file system die with their holder; where there are none (Windows), nothing keeps processes apart.
HAS_LOCKS = importlib.util.find_spec("fcntl") is not None


def write_atomically(file: Path, text: str) -> None:
    """Write a file so that a reader finds the old text or the new one whole, even after a kill or a loss of power."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_json(file: Path) -> Any:
    """The value that a file of JSON holds.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is empty, cut off, or no JSON; the sentence names it.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} must hold JSON; got what cannot be read ({error}).") from None


@contextmanager
def sole_use(lock: Path, taken: str) -> Iterator[None]:
    """Hold a lock file while the block runs, so that of several processes one at a time is in such a block.

    Args:
        lock: The file, which stays where it is; its folder exists.
        taken: The sentence of the error where another process holds it.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    if not HAS_LOCKS:
        yield
        return
    import fcntl

    with lock.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(taken) from None
        except OSError:
            # A file system without locks, such as some of clusters: the run is worth more than the guard.
            pass
        yield
