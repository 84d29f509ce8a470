"""A folder of arrays that is made in parts: whole or absent, taken up again after a kill, by one process at a time."""

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from isvs_jax._files import only_one, read_json, write_json

PLAN, PROGRESS = "plan.json", "progress.json"
_ANEW = "Delete {folder}, and it is made anew."
# Seconds between the points from which a killed process is taken up again: each waits for the disk.
INTERVAL = 5.0


class ArraySpec(NamedTuple):
    """The shape and dtype of an array on disk."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """The number of bytes of the values."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@contextmanager
def only_maker(folder: Path) -> Iterator[Path | None]:
    """The place in which to make a folder, FOLDER.partial, for this process alone; None where the folder is there.

    A process that finds another one at it waits until that one is done or dead.
    """
    if folder.exists():
        yield None
        return

    def taken() -> None:
        print(f"{folder} is being made by another process; waiting for it.", file=sys.stderr)

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with only_one(lock, taken):
        # It may have appeared while this process waited.
        if folder.exists():
            yield None
            return
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir(exist_ok=True)
        yield partial


class PartialFolder:
    """Arrays that are filled in order, with a note of how far they are; a context that closes their files.

    Args:
        partial: The folder in which they are made; what an earlier process left there of the same plan is kept.
        plan: All that the arrays depend on, as values of JSON.
        arrays: The arrays by name; each becomes NAME.npy.

    Attributes:
        done: The number of parts that are there; the unit is the caller's.

    Raises:
        OSError: The disk has less room than the arrays need.
        ValueError: The place holds the beginning of something else.
    """

    def __init__(self, partial: Path, plan: Mapping[str, Any], arrays: Mapping[str, ArraySpec]) -> None:
        self._folder = partial
        self._arrays = dict(arrays)
        self._saved = time.monotonic()
        self._finished = False
        self._claim(json.loads(json.dumps(plan)))
        self._require_room()
        progress = partial / PROGRESS
        self.done = self._done(progress) if progress.exists() else 0
        self._files = {name: _opened(self._path(name), spec) for name, spec in arrays.items()}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"

    def _claim(self, plan: dict[str, Any]) -> None:
        file = self._folder / PLAN
        if not file.exists():
            write_json(file, plan)
            return
        there, progress = self._read(file), self._folder / PROGRESS
        if there != plan and not (progress.exists() and self._done(progress)):
            # Nothing was made of what was refused; what is asked for now begins here.
            for left in (*self._folder.glob("*.npy"), progress):
                left.unlink(missing_ok=True)
            write_json(file, plan)
            return
        changed = sorted(name for name in there.keys() | plan.keys() if there.get(name) != plan.get(name))
        if changed:
            raise ValueError(
                f"{self._folder} must hold the beginning of the same arrays; got one that differs in "
                f"{', '.join(changed)}. Delete it, or give another folder."
            )

    def _done(self, file: Path) -> int:
        done = self._read(file).get("done")
        if not isinstance(done, int) or done < 0:
            hint = _ANEW.format(folder=self._folder)
            raise ValueError(f"{file} must say how many parts are done; got {done!r}. {hint}")
        return done

    def _read(self, file: Path) -> dict[str, Any]:
        hint = _ANEW.format(folder=self._folder)
        values = read_json(file, hint)
        if not isinstance(values, dict):
            raise ValueError(f"{file} must be a mapping in JSON; got {type(values).__name__}. {hint}")
        return values

    def _require_room(self) -> None:
        needed = sum(spec.nbytes for spec in self._arrays.values())
        # Files are made at full length at once, but take room only as they are filled.
        there = [self._path(name).stat() for name in self._arrays if self._path(name).exists()]
        missing = needed - sum(getattr(stat, "st_blocks", 0) * 512 for stat in there)
        free = shutil.disk_usage(self._folder).free
        if missing > free:
            raise OSError(
                f"{self._folder} needs {_size(missing)}, but its disk has {_size(free)} free: make room, or give a "
                "folder on another disk."
            )

    def write(self, name: str, offset: int, values: np.ndarray) -> None:
        """Write values in C order to an array, from its element number `offset` on.

        By plain writes: through a map, a disk that fills up would end the process without a word.
        """
        file, start = self._files[name]
        spec = self._arrays[name]
        if values.dtype != spec.dtype:
            raise TypeError(f"values for {name} must be {spec.dtype}; got dtype {values.dtype}.")
        file.seek(start + offset * spec.dtype.itemsize)
        left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            raise self._explained(error) from error

    def advance(self, done: int) -> None:
        """Note that `done` parts are there; now and then the note goes to the disk."""
        self.done = done
        if time.monotonic() - self._saved > INTERVAL:
            self.save()

    def save(self) -> None:
        """Bring the arrays to the disk, and then the note of how far they are."""
        try:
            for file, _ in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            write_json(self._folder / PROGRESS, {"done": self.done})
        except OSError as error:
            raise self._explained(error) from error
        self._saved = time.monotonic()

    def finish(self, folder: Path) -> None:
        """Give the folder its name, all arrays being whole."""
        self.save()
        self._finished = True
        self._close()
        for file in (PLAN, PROGRESS):
            (self._folder / file).unlink(missing_ok=True)
        os.rename(self._folder, folder)

    def _explained(self, error: OSError) -> OSError:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            return error
        return OSError(f"The disk of {self._folder} is full: make room and do the same again; what is there is kept.")

    def __enter__(self) -> "PartialFolder":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if not self._finished and not isinstance(error, OSError):
                self.save()
        finally:
            self._close()

    def _close(self) -> None:
        for file, _ in self._files.values():
            file.close()


def _opened(path: Path, spec: ArraySpec) -> tuple[FileIO, int]:
    """An .npy file of full length for reading and writing, and where its values begin."""
    if not path.exists():
        descr = np.lib.format.dtype_to_descr(spec.dtype)
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": descr, "fortran_order": False, "shape": tuple(map(int, spec.shape))}
            )
            file.truncate(file.tell() + spec.nbytes)
    start = path.stat().st_size - spec.nbytes
    return open(path, "r+b", buffering=0), start


def _size(count: int) -> str:
    return f"{count:,} bytes ({count / 2**30:.2f} GiB)"
