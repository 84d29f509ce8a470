"""Checkpoints of a training run, by Orbax; nothing else in the package knows that it is Orbax."""

import os
import warnings
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from isvs_jax.training.state import TrainState


class Checkpoints:
    """The checkpoints in a folder, the last two kept.

    Saving is atomic: a run killed while it saves leaves the checkpoint before.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(Path(folder).absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState) -> None:
        """Keep a state under its step."""
        self._manager.save(int(jax.device_get(state.step)), args=ocp.args.StandardSave(state))

    def restore(self, like: TrainState) -> TrainState | None:
        """The newest state that can be read, or None where there is none.

        One that cannot be read is passed over with a warning.

        Args:
            like: A state of the same structure, shapes, dtypes and placement.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
            except Exception as error:  # Orbax names no exception for a damaged checkpoint
                warnings.warn(f"The checkpoint of step {step} cannot be read and is passed over: {error}", stacklevel=2)
        return None
