"""Files that are whole at every moment, JSON that is whole or gets a sentence, and a lock among processes."""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from isvs_jax._extras import optional

# Seconds between two looks at a lock that another process has.
_POLL = 0.2


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


def write_json(file: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all.

    Names of files that are no UTF-8 are kept: what Python has in their place is written as an escape.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    escaped = re.sub("[\ud800-\udfff]", lambda lone: f"\\u{ord(lone[0]):04x}", text)
    write_atomically(file, f"{escaped}\n")


def read_json(file: Path, hint: str = "") -> Any:
    """Read a file of JSON.

    Args:
        file: The file.
        hint: A sentence for the end of the error, on what to do about it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, cut off or no JSON; it is named.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        size = file.stat().st_size
        raise ValueError(
            f"{file} must be a whole file of JSON; got {size:,} bytes with an error: {error}.{hint and ' '}{hint}"
        ) from error


@contextlib.contextmanager
def only_one(file: Path, taken: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that one process has at a time, and that dies with its holder.

    Args:
        file: The file of the lock, which is made and removed.
        taken: What is done where another process has it; after that this one waits, unless it raises.

    Raises:
        ModuleNotFoundError: filelock is not installed.
    """
    filelock = optional("filelock")
    lock = filelock.FileLock(file)
    with warnings.catch_warnings():
        # On file systems of clusters without locks a file stands for one, of which filelock warns.
        warnings.simplefilter("ignore", UserWarning)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            taken()
            lock.acquire(poll_interval=_POLL)
    try:
        yield
    finally:
        # Before it is released: who waits opens the file anew, and takes no lock on one that was removed.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()
