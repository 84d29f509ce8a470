"""The training loop: batches, steps, progress, log, checkpoints, and a stop where the loss is not finite."""

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
from tqdm import tqdm

from isvs_jax.data import Split, as_float
from isvs_jax.models import Variables, logits_fn
from isvs_jax.training.batches import BatchIterator, HostBatch, make_loader
from isvs_jax.training.checkpoint import Checkpoints, Kept
from isvs_jax.training.config import Mapping, Resources, TrainConfig
from isvs_jax.training.devices import AXIS, Mapped, check_divides, chosen_devices, map_over_devices
from isvs_jax.training.evaluate import evaluate
from isvs_jax.training.log import RunLog
from isvs_jax.training.optimizer import make_optimizer
from isvs_jax.training.placement import decide, measured, ready_views
from isvs_jax.training.state import Batch, TrainState, init_state
from isvs_jax.training.step import make_train_step
from isvs_jax.training.stopping import TerminatedError, TerminationNotice
from isvs_jax.training.window import Window

CHECKPOINT_DIR = "checkpoints"


def train(
    model: nn.Module,
    split: Split,
    config: TrainConfig,
    *,
    validation: Split | None = None,
    variables: Variables | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    resources: Resources = Resources(),
    label: str = "training",
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> TrainState:
    """Train a model on a split, on all devices of all processes.

    Whatever is random in a step is a function of (seed, step, position in the batch), so a run taken up again from a
    checkpoint ends with the same parameters as one that was never stopped, and one on many devices with those of one
    device, to rounding.

    Args:
        model: A module called as model(images, train=...).
        split: The training images.
        config: The run.
        validation: Images on which the model is tested after every epoch; the best checkpoint is kept too.
        variables: Parameters and batch statistics to start from; by default drawn from the seed.
        run_dir: Where to keep checkpoints, log.jsonl and the log for TensorBoard, and from where to go on; the folder
            belongs to one (model, split, config, variables), which the caller sees to. None keeps nothing.
        resources: Devices, loader, cache, how often to save.
        label: The name on the progress bar.
        progress: Whether to show progress bars.
        say: Where lines of text go; None says nothing.

    Returns:
        The state after the last step, on one device.

    Raises:
        FloatingPointError: The loss or the gradient is not finite; the step is named.
        TerminatedError: SIGTERM came; the state was saved.
        ValueError: A batch takes more images than there are, or the devices do not divide it.
        OSError: No room for a checkpoint or a cache.

    Example:
        >>> from isvs_jax import data, models
        >>> digits = data.load("digits", image_size=8, limit_train=64)
        >>> state = train(models.CNN(10, width=4), digits.train, TrainConfig(epochs=1, batch_size=32), progress=False)
        >>> int(state.step)
        2
    """
    devices = chosen_devices(resources.devices)
    if resources.mapping == "pmap" and jax.process_count() > 1:
        raise ValueError(
            f"mapping is 'pmap', which takes one process, not {jax.process_count()}; it may be 'shard_map'."
        )
    check_divides(config.batch_size, len(devices), config.accumulate)
    folder = None if run_dir is None else Path(run_dir)
    with contextlib.ExitStack() as stack:
        checkpoints = None
        if folder is not None:
            checkpoints = stack.enter_context(
                Checkpoints(folder / CHECKPOINT_DIR, resources.keep, tested=validation is not None)
            )
        shows = progress and jax.process_index() == 0
        run = _Run(
            model, split, config, validation, variables, folder, resources, devices, label, checkpoints, shows, say
        )
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), run.finish())


@dataclass(frozen=True)
class _Run:
    """What stays the same while a run goes on."""

    model: nn.Module
    split: Split
    config: TrainConfig
    validation: Split | None
    variables: Variables | None
    folder: Path | None
    resources: Resources
    devices: list[jax.Device]
    label: str
    checkpoints: Checkpoints | None
    progress: bool
    say: Callable[[str], None] | None

    @property
    def per_epoch(self) -> int:
        return self.config.steps_per_epoch(len(self.split))

    @property
    def num_steps(self) -> int:
        return self.config.num_steps(len(self.split))

    def finish(self) -> TrainState:
        """Run the steps that are left."""
        mapped = self._mapped(chosen_before=True)
        state = mapped.place_state(self._first_state())
        kept = self.checkpoints.restore(state) if self.checkpoints else None
        state = kept.state if kept else state
        done = int(jax.device_get(state.step))
        if done >= self.num_steps:
            return state
        views = None
        if self.config.inputs.views:
            placement = decide(
                self.config.inputs, self.resources, self._share(), lambda: self._step_seconds(mapped), self.folder
            )
            if self.say:
                self.say(f"{self.label}: views from the {placement.place} ({placement.reason})")
            if placement.place == "cache":
                views = ready_views(self.split, self.config.inputs, self.resources, progress=self.progress)
            else:
                mapped = self._mapped(chosen_before=False)
        loader = self._loader(views)
        if kept:
            loader.set_state(kept.iterator)
        log_folder = self.folder if jax.process_index() == 0 else None
        log = RunLog(log_folder, done)
        # Before the first step there is nothing to save, and SIGTERM ends the run at once.
        with contextlib.closing(loader), contextlib.closing(log), TerminationNotice() as notice:
            return self._steps(mapped, state, loader, log, done, notice)

    def _steps(
        self,
        mapped: Mapped,
        state: TrainState,
        loader: BatchIterator,
        log: RunLog,
        done: int,
        notice: TerminationNotice,
    ) -> TrainState:
        """Steps `done` to the last."""
        window = Window(self.label, log, self.config.batch_size, self.per_epoch, done, self.checkpoints)
        size = self.config.batch_size
        bar = tqdm(
            total=self.num_steps * size,
            initial=done * size,
            desc=self.label,
            unit="image",
            unit_scale=True,
            disable=not self.progress,
        )
        with bar:
            for step in range(done + 1, self.num_steps + 1):
                batch = mapped.place_batch(next(loader))
                # Whatever the step needs is on the devices: a transfer here would be a mistake.
                with jax.transfer_guard("disallow"):
                    state, metrics = mapped.advance(state, batch)
                window.add(metrics, bar)
                epoch_ends, accuracy = step % self.per_epoch == 0, None
                if epoch_ends or step % self.resources.log_steps == 0:
                    tests = epoch_ends and self.validation is not None
                    accuracy = window.close(step, functools.partial(self._validate, state) if tests else None)
                told = notice.given(step)
                if told or self._due(step):
                    window.flush()
                    self._keep(state, loader, accuracy)
                if told and step < self.num_steps:
                    self._leave(step)
        return state

    def _due(self, step: int) -> bool:
        tested = self.validation is not None and step % self.per_epoch == 0
        return step == self.num_steps or tested or step % (self.resources.checkpoint_steps or self.per_epoch) == 0

    def _keep(self, state: TrainState, loader: BatchIterator, accuracy: float | None) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(Kept(state, loader.get_state()), accuracy)

    def _leave(self, step: int) -> None:
        if self.checkpoints is None:
            raise TerminatedError(f"{self.label}: stopped by SIGTERM after step {step}; nothing is kept.")
        self.checkpoints.wait()
        raise TerminatedError(
            f"{self.label}: stopped by SIGTERM; saved after step {step} of {self.num_steps}. The same command goes on."
        )

    def _validate(self, state: TrainState) -> float:
        assert self.validation is not None
        variables = jax.tree.map(lambda leaf: leaf.addressable_data(0), state.variables)
        return evaluate(logits_fn(self.model, variables), self.validation.images, self.validation.labels)

    def _first_state(self) -> TrainState:
        height, width, channels = self.split.images.shape[1:]
        optimizer = make_optimizer(self.config.optimizer, self.num_steps)
        return init_state(
            self.model,
            optimizer,
            (height, width, channels),
            self.config.seed,
            variables=self.variables,
            average=self.config.ema_decay > 0,
        )

    def _mapped(self, *, chosen_before: bool) -> Mapped:
        devices, mapping = tuple(self.devices), self.resources.mapping
        return _mapped_step(self.model, self.config, self.num_steps, devices, mapping, chosen_before)

    def _loader(self, views: np.ndarray | None) -> BatchIterator:
        return make_loader(
            self.split,
            self.config,
            views=views,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            workers=self.resources.workers,
            prefetch=self.resources.prefetch,
        )

    def _share(self) -> np.ndarray:
        """Images of a device's share of a batch."""
        count = self.config.batch_size // len(self.devices)
        return as_float(np.asarray(self.split.images[:count]))

    def _step_seconds(self, mapped: Mapped) -> float:
        """Seconds of a step whose versions are chosen before."""
        size = self.config.batch_size // jax.process_count()
        shape = (size, self.config.inputs.draws, *self.split.images.shape[1:])
        rows = HostBatch(
            np.zeros(shape, np.float16),
            np.zeros(size, np.int32),
            np.zeros((size, self.config.inputs.draws), np.int32),
            np.arange(size, dtype=np.int32),
        )
        batch: Batch = mapped.place_batch(rows)
        state = mapped.place_state(self._first_state())

        def step() -> object:
            # A state is used up by its step.
            nonlocal state
            state, metrics = mapped.advance(state, batch)
            return metrics

        return measured(step)


@functools.lru_cache(maxsize=8)
def _mapped_step(
    model: nn.Module,
    config: TrainConfig,
    num_steps: int,
    devices: tuple[jax.Device, ...],
    mapping: Mapping,
    chosen_before: bool,
) -> Mapped:
    """One function for equal arguments, so that a run taken up in the same process compiles nothing anew."""
    optimizer = make_optimizer(config.optimizer, num_steps)
    step = make_train_step(model, optimizer, config, axis_name=AXIS, chosen_before=chosen_before)
    return map_over_devices(step, list(devices), mapping)
