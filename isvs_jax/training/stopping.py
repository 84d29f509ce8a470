"""A polite kill: the run is told to save and leave."""

import signal
import threading
from types import FrameType

import jax
from jax.experimental import multihost_utils

# As shells know it.
EXIT_STATUS = 128 + int(signal.SIGTERM)


class TerminatedError(SystemExit):
    """SIGTERM came; the state is saved where the run keeps checkpoints. The exit status is `EXIT_STATUS`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = EXIT_STATUS

    def __str__(self) -> str:
        return self.message


class TerminationNotice:
    """Whether SIGTERM has come, while the block runs; without effect outside of the main thread.

    With several processes all of them learn at the same step that one was told to go.
    """

    def __init__(self) -> None:
        self._told = False
        self._before: object = None
        self._listening = False

    def __enter__(self) -> "TerminationNotice":
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._hear)
            self._listening = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._listening:
            signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def given(self, step: int) -> bool:
        """Whether the run should save and leave after this step."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._told
