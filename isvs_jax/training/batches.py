"""Batches of a whole run, put together on the host ahead of the step that needs them.

Batch s of a run is a function of (seed, s): which examples it holds, and where each stands in it. Every process of a
run works that out for the whole batch and reads the rows that are its own, so that any number of processes sees one and
the same sequence of batches.
"""

import mmap
from pathlib import Path
from typing import Any, NamedTuple

import grain
import numpy as np
from absl import flags

from isvs_jax._checks import check_integer
from isvs_jax.data import Split
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.step import Batch

# The stream that orders are drawn from, apart from any other of the seed of a run.
_ORDER = 1


def make_loader(
    split: Split,
    config: TrainConfig,
    *,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    workers: int = 0,
    prefetch: int = 2,
) -> "BatchIterator":
    """The batches of all steps of a run, from `start_step` to the last.

    Each epoch goes through the images in an order of its own; the rest of it that fills no batch is left out.

    Args:
        split: The images that are trained on, in memory or mapped from a file.
        config: The configuration of the run, of which the epochs, batch size and seed are used.
        start_step: The first step that is wanted.
        process_index: The number of this process, from 0.
        process_count: The number of processes that share a batch; its rows are dealt to them in blocks.
        workers: The number of processes that read. 0 reads in threads of this process, which is the faster way where
            the arrays are in memory or in the cache of the file system; a worker holds its own copy of arrays that are
            not mapped from a file.
        prefetch: The number of batches made ahead of their use, each in a thread of its own (in every worker, where
            there are any).

    Returns:
        An iterator of `Batch` with arrays of NumPy, the rows of this process; Grain's checkpoint handlers can save and
        restore it.

    Raises:
        ValueError: The batch cannot be shared evenly, or a number is out of range.

    Example:
        >>> split = Split(np.zeros((10, 4, 4, 1), np.uint8), np.arange(10, dtype=np.int32))
        >>> loader = make_loader(split, TrainConfig(epochs=2, batch_size=4))
        >>> sum(1 for batch in loader), loader.get_state()
        (4, {'next_step': 4})
    """
    total = config.num_steps(len(split))
    check_integer("process_count", process_count)
    check_integer("process_index", process_index, 0, process_count - 1)
    check_integer("workers", workers, 0)
    check_integer("prefetch", prefetch)
    check_integer("start_step", start_step, 0, total)
    if config.batch_size % process_count:
        raise ValueError(
            f"batch_size must be a multiple of {process_count}, the number of processes; got {config.batch_size}."
        )
    rows = config.batch_size // process_count
    source = _Batches(split, config, slice(process_index * rows, (process_index + 1) * rows))
    return BatchIterator(source, total, start_step, workers, prefetch)


class BatchIterator(grain.DatasetIterator[Batch]):
    """The batches of a run from some step on, read ahead by Grain.

    Its state is the step to come and nothing else, so that it can be taken up with other numbers of workers, of batches
    read ahead and of processes than it was left with. `close` ends the threads and processes at once; so does dropping
    the iterator.
    """

    def __init__(self, source: "_Batches", total: int, start_step: int, workers: int, prefetch: int) -> None:
        super().__init__()
        self._source = source
        self._total = total
        self._workers = workers
        self._prefetch = prefetch
        self._go_to(start_step)

    def __next__(self) -> Batch:
        batch = next(self._ahead)
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """The step to come."""
        return {"next_step": self._step}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to the step that a state names.

        Raises:
            ValueError: The run has no such step.
        """
        step = check_integer("next_step", state["next_step"], 0, self._total)
        self._ahead.close()
        self._go_to(step)

    def start_prefetch(self) -> None:
        """Begin to read ahead before the first batch is asked for."""
        self._ahead.start_prefetch()

    def close(self) -> None:
        """End the threads and processes that read ahead."""
        super().close()
        self._ahead.close()

    def _go_to(self, step: int) -> None:
        steps = grain.MapDataset.range(step, self._total).map(self._source)
        ahead = steps.to_iter_dataset(grain.ReadOptions(self._prefetch, self._prefetch))
        if self._workers:
            # Grain asks the flags of absl for its settings when it starts a worker; where no main program of absl has
            # parsed them, they keep their defaults.
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()
            options = grain.MultiprocessingOptions(self._workers, per_worker_buffer_size=self._prefetch)
            ahead = ahead.mp_prefetch(options)
        self._step = step
        self._ahead = iter(ahead)

    def __str__(self) -> str:
        return f"BatchIterator(next_step={self._step} of {self._total}, workers={self._workers})"


class _Batches:
    """Batch s of a run as a function of s; what is kept from call to call only saves work."""

    def __init__(self, split: Split, config: TrainConfig, rows: slice) -> None:
        self._images = split.images
        self._labels = split.labels
        self._size = config.batch_size
        self._seed = config.seed
        self._rows = rows
        self._orders: dict[int, np.ndarray] = {}

    def __call__(self, step: int) -> Batch:
        step = int(step)
        epoch, index = divmod(step, len(self._labels) // self._size)
        chosen = self._order(epoch)[index * self._size : (index + 1) * self._size][self._rows]
        positions = np.arange(self._rows.start, self._rows.stop, dtype=np.int32)
        return Batch(np.asarray(self._images[chosen]), self._labels[chosen], positions)

    def _order(self, epoch: int) -> np.ndarray:
        """The order of the images in an epoch; those of two epochs are kept, as threads read across the border."""
        kept = self._orders
        if epoch not in kept:
            order = np.random.default_rng([self._seed, _ORDER, epoch]).permutation(len(self._labels))
            kept = {number: kept[number] for number in kept if abs(number - epoch) == 1} | {epoch: order}
            self._orders = kept
        return kept[epoch]

    def __getstate__(self) -> dict[str, Any]:
        # For worker processes: mapped arrays go as the names of their files, which the worker maps again.
        state = dict(self.__dict__, _orders={})
        return {name: _MappedFile.of(value) for name, value in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        opened = {name: value.open() if isinstance(value, _MappedFile) else value for name, value in state.items()}
        self.__dict__.update(opened)


class _MappedFile(NamedTuple):
    """Where an array lies that is mapped from a file."""

    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, value: Any) -> Any:
        """The place of an array that is the whole of a map; anything else as it is."""
        whole = isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap) and value.flags.c_contiguous
        if not whole:
            return value
        return cls(Path(value.filename), value.dtype, value.shape, value.offset)

    def open(self) -> np.memmap:
        """The array, mapped again."""
        return np.memmap(self.file, self.dtype, "r", self.offset, self.shape)
