"""What is kept of a training run, and a polite kill, which is told to save and leave.

Checkpoints are written by Orbax; nothing else in the package knows that it is Orbax.
"""

import logging
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from isvs_jax.training.step import TrainState

CHECKPOINT_DIR = "checkpoints"
_DAMAGED_DIR = "damaged"
_ACCURACY = "accuracy"
# Orbax wants a number for every checkpoint; less than any accuracy.
_NOT_TESTED = -1.0


class Kept(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        state: The state after a step.
        iterator: The state of the data iterator before the next step.
    """

    state: TrainState
    iterator: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder: the last few, and the best where accuracies are given.

    Saving is asynchronous and atomic: the run goes on while a checkpoint is written, and one killed meanwhile leaves
    the checkpoint before.

    Args:
        folder: The folder of the checkpoints; it is made where it does not exist.
        keep: The number of the last checkpoints that are kept.
        tested: Whether checkpoints may have an accuracy; the best is then kept too.
        read_only: Whether nothing in the folder is changed, so that a run may be writing into it.
    """

    def __init__(
        self, folder: str | os.PathLike[str], keep: int = 2, *, tested: bool = False, read_only: bool = False
    ) -> None:
        policies = ocp.checkpoint_managers.preservation_policy
        kept: list[Any] = [policies.LatestN(keep)]
        if tested:
            kept.append(policies.BestN(get_metric_fn=_metric, n=1, keep_checkpoints_without_metrics=False))
        options = ocp.CheckpointManagerOptions(
            # Every call of `save` saves; Orbax warns of a reader with an interval.
            save_interval_steps=0 if read_only else 1,
            create=not read_only,
            read_only=read_only,
            enable_async_checkpointing=True,
            # What a kill left half written. Of several processes none knows whether another is writing just now.
            cleanup_tmp_directories=not read_only and jax.process_count() == 1,
            best_fn=_metric if tested else None,
            preservation_policy=policies.AnyPreservationPolicy(kept),
        )
        self._tested = tested
        self._read_only = read_only
        self._folder = Path(folder).absolute()
        with _unwarned() if read_only else nullcontext():
            self._manager = ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """The step of the checkpoint with the best accuracy, or None where none has one."""
        accuracies = {step: _metric(self._manager.metrics(step) or {}) for step in self._manager.all_steps()}
        best = max(accuracies, key=lambda step: accuracies[step], default=None)
        return best if best is not None and accuracies[best] > _NOT_TESTED else None

    def save(self, kept: Kept, accuracy: float | None = None) -> None:
        """Keep a state under its step; the writing goes on in the background.

        Raises:
            OSError: The disk has no room for it.
        """
        _require_room(self._folder, kept.state)
        self._manager.save(
            int(jax.device_get(kept.state.step)),
            args=ocp.args.Composite(state=ocp.args.StandardSave(kept.state), iterator=ocp.args.JsonSave(kept.iterator)),
            metrics={_ACCURACY: _NOT_TESTED if accuracy is None else accuracy} if self._tested else None,
        )

    def wait(self) -> None:
        """Wait until everything is written."""
        self._manager.wait_until_finished()

    def restore(self, like: TrainState, step: int | None = None) -> Kept | None:
        """The newest checkpoint that can be read, or None where there is none.

        One that cannot be read is passed over with a warning, and put aside into the folder "NAME-damaged" beside that
        of the checkpoints, NAME: its step will come again.

        Args:
            like: A state of the same structure, shapes, dtypes and placement.
            step: The step of the one checkpoint to read; None tries them from the newest on.

        Raises:
            OSError: There are checkpoints, but none can be read; all stay where they are. With several processes: one
                cannot be read.
            ValueError: There is no checkpoint of `step`.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if step is not None and step not in steps:
            raise ValueError(f"step must be one of {steps[::-1]}, the checkpoints in {self._folder}; got {step}.")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        wanted = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), iterator=ocp.args.JsonRestore())
        failures: dict[int, Exception] = {}
        for number in steps if step is None else [step]:
            try:
                found = self._manager.restore(number, args=wanted)
            except Exception as error:  # Orbax names no exception for a damaged checkpoint
                failures[number] = error
                # What one process cannot read another may have read, and their states would differ from here on: only
                # a person can say what to do.
                if jax.process_count() > 1:
                    break
            else:
                self._pass_over(failures)
                return Kept(found.state, dict(found.iterator))
        if failures:
            tried = ", ".join(map(str, failures))
            first = next(iter(failures.values()))
            raise OSError(f"{self._folder}: no checkpoint can be read (tried: steps {tried}). The first said: {first}")
        return None

    def _pass_over(self, failures: dict[int, Exception]) -> None:
        # A damaged checkpoint that stayed would be the newest again at the next start, and its step could not be saved
        # when it comes again. It is moved and not deleted, so that what happened to it can still be found out.
        for step, error in failures.items():
            warnings.warn(f"The checkpoint of step {step} cannot be read and is passed over: {error}", stacklevel=3)
        if not failures or self._read_only:
            return
        aside = self._folder.with_name(f"{self._folder.name}-{_DAMAGED_DIR}")
        aside.mkdir(exist_ok=True)
        for step in failures:
            taken = len(list(aside.glob(f"{step}-*")))
            (self._folder / str(step)).rename(aside / f"{step}-{taken}")
        self._manager.reload()


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without the warning of Orbax that a folder which is asked for to be read is only read."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _metric(metrics: dict[str, float]) -> float:
    return metrics.get(_ACCURACY, _NOT_TESTED)


def _require_room(folder: Path, state: TrainState) -> None:
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.opt_state, state.average)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: a checkpoint takes {needed / 1e6:.1f} MB, but {free / 1e6:.1f} MB are free on the disk. Make "
            "room and give the same command again: the run goes on from the checkpoint before."
        )


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came in the middle of a training; the state is saved where the run keeps checkpoints."""


class TerminationNotice:
    """Whether SIGTERM has come, while the block runs; without effect outside of the main thread.

    With several processes all of them learn at the same step that one was told to go.
    """

    def __init__(self) -> None:
        self._told = False
        self._before: object = None
        self._listening = False

    def __enter__(self) -> "TerminationNotice":
        # With several processes JAX listens itself, and only the main thread may.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._hear)
            self._listening = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._listening:
            signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _hear(self, number: int, frame: FrameType | None) -> None:
        # Nothing is done here: a handler may interrupt the very call that writes a checkpoint.
        self._told = True

    def given(self, step: int) -> bool:
        """Whether the run should save and leave after this step."""
        if jax.process_count() > 1:
            # Each process may hear at another time, but a state is saved by all of them after the same step.
            return multihost_utils.reached_preemption_sync_point(step)
        return self._told
