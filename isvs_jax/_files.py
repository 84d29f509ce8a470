"""Files that are whole at every moment, JSON that is whole or gets a sentence, and a lock among processes."""

import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def only_one(file: Path, taken: Callable[[], None]) -> Iterator[None]:
    """Hold a lock of the file system that one process has at a time, and that dies with its holder.

    Where the system (Windows) or the file system has no `flock`, nothing keeps processes apart.

    Args:
        file: The file of the lock, which is made and removed.
        taken: What is done where another process has it; after that this one waits, unless it raises.
    """
    if not HAS_LOCKS:
        yield
        return
    import fcntl

    while True:
        with open(file, "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                taken()
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                # Some file systems of clusters have no locks, and the work is worth more than the guard.
                pass
            # Its holder removed it, and another process may have made a new one: that one counts.
            if not _is_at(lock.fileno(), file):
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
