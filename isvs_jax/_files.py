"""Text files that are whole at every moment."""

import os
from pathlib import Path


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
