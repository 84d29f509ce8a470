"""The training loop: batches, steps, progress, log, checkpoints, and a stop where the loss is not finite."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import flax.linen as nn
import jax

from isvs_jax._files import only_one
from isvs_jax.data import Split
from isvs_jax.models import Variables, logits_fn
from isvs_jax.training.batches import BatchIterator, make_loader
from isvs_jax.training.checkpoint import CHECKPOINT_DIR, Checkpoints, Kept, TerminatedError, TerminationNotice
from isvs_jax.training.config import Mapping, Resources, TrainConfig
from isvs_jax.training.devices import AXIS, Mapped, check_divides, chosen_devices, map_over_devices
from isvs_jax.training.log import RunLog
from isvs_jax.training.optimizer import make_optimizer
from isvs_jax.training.step import TrainState, init_state, make_train_step
from isvs_jax.training.trained import check_labels, evaluate, number_of_classes

LOCK_FILE = ".lock"


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
) -> TrainState:
    """Train a model on a split, on all devices of all processes.

    Whatever is random in a step is a function of (seed, step, position in the batch), so a run taken up again from a
    checkpoint ends with the same parameters as one that was never stopped, and one on many devices with those of one
    device, to rounding.

    Args:
        model: A module called as model(images, train=...).
        split: The training images.
        config: The configuration of the run.
        validation: The images on which the model is tested after every epoch; the best checkpoint is kept too.
        variables: The parameters and batch statistics to start from; by default they are drawn from the seed.
        run_dir: The folder where checkpoints, log.jsonl and the log for TensorBoard are kept, and from where the run
            goes on. It belongs to one (model, split, config, variables), which the caller sees to. None keeps nothing.
        resources: The devices, the loader, and how often to save.
        label: The name on the progress bar.
        progress: Whether to show progress bars.

    Returns:
        The state after the last step, on one device.

    Raises:
        FloatingPointError: The loss or the gradient is not finite; the step is named.
        TerminatedError: SIGTERM came; the state was saved.
        ValueError: A batch takes more images than there are, the devices do not divide it, or labels are outside of the
            classes.
        OSError: There is no room for a checkpoint, or another process trains in the folder.

    Example:
        >>> from isvs_jax import data, models
        >>> digits = data.load("digits", image_size=8, limit_train=64)
        >>> state = train(models.CNN(10, width=4), digits.train, TrainConfig(epochs=1, batch_size=32), progress=False)
        >>> int(state.step)
        2
    """
    check_trainable(model, split, config, validation=validation, resources=resources)
    folder = None if run_dir is None else Path(run_dir)
    shows = progress and jax.process_index() == 0
    first = functools.partial(_first_state, model, split, config, variables)
    validate = None if validation is None else functools.partial(_validate, model, validation)
    with contextlib.ExitStack() as stack:
        checkpoints = None
        if folder is not None:
            stack.enter_context(only_run(folder))
            kept_in = folder / CHECKPOINT_DIR
            checkpoints = stack.enter_context(Checkpoints(kept_in, resources.keep, tested=validation is not None))
        devices = tuple(chosen_devices(resources.devices))
        mapped = _compiled_step(model, config, config.num_steps(len(split)), devices, resources.mapping)
        # A checkpoint is read back onto the devices on which a new state would be.
        state = mapped.place_state(first())
        kept = checkpoints.restore(state) if checkpoints else None
        state = kept.state if kept else state
        done = int(jax.device_get(state.step))
        if done < config.num_steps(len(split)):
            batches = stack.enter_context(contextlib.closing(_loader(split, config, resources)))
            if kept:
                batches.set_state(kept.iterator)
            log = stack.enter_context(_log(folder, split, config, done, label, progress=shows))
            state = _steps(mapped, state, batches, log, checkpoints, resources, validate)
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), state)


def check_trainable(
    model: nn.Module,
    split: Split,
    config: TrainConfig,
    *,
    validation: Split | None = None,
    resources: Resources = Resources(),
) -> None:
    """Raise what `train` would refuse, before anything is computed or written; arguments and errors as of `train`."""
    devices = chosen_devices(resources.devices)
    if resources.mapping == "pmap" and jax.process_count() > 1:
        raise ValueError(f"mapping must be 'shard_map' for several processes; got 'pmap' with {jax.process_count()}.")
    check_divides(config.batch_size, len(devices), config.accumulate)
    config.steps_per_epoch(len(split))
    num_classes = number_of_classes(model, split.images.shape[1:])
    check_labels("labels of the training images", split.labels, num_classes)
    if validation is not None:
        check_labels("labels of the validation images", validation.labels, num_classes)


@contextlib.contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep a folder for this run while the block runs; of several processes of a run the first one holds it.

    Raises:
        BlockingIOError: Another run is in the folder.
    """
    if jax.process_index() > 0:
        yield
        return

    def taken() -> None:
        raise BlockingIOError(
            f"the folder of a run must be free; got {folder}, where another process trains. Wait, or give another one."
        )

    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / LOCK_FILE, taken):
        yield


def _steps(
    mapped: Mapped,
    state: TrainState,
    batches: BatchIterator,
    log: RunLog,
    checkpoints: Checkpoints | None,
    resources: Resources,
    validate: Callable[[TrainState], float] | None,
) -> TrainState:
    """The steps that are left."""
    # Before the first step there is nothing to save, and SIGTERM ends the run at once.
    with TerminationNotice() as notice, _naming_the_last(checkpoints):
        for step in range(log.done + 1, log.num_steps + 1):
            batch = mapped.place_batch(next(batches))
            # Whatever the step needs is on the devices: a transfer here would be a mistake.
            with jax.transfer_guard("disallow"):
                state, metrics = mapped.advance(state, batch)
            log.add(metrics)
            accuracy = None
            tests = validate is not None and step % log.per_epoch == 0
            if step % log.per_epoch == 0 or step % resources.log_steps == 0:
                accuracy = log.end_line(functools.partial(validate, state) if validate and tests else None)
            told = notice.given(step)
            due = step == log.num_steps or tests or step % (resources.checkpoint_steps or log.per_epoch) == 0
            if told or due:
                # A state whose loss is not finite must not take the place of a good one: nothing is saved before the
                # metrics of its step were seen. The iterator is saved with it, so that the batch after a restart is the
                # next one here.
                log.fetch()
                if checkpoints is not None:
                    checkpoints.save(Kept(state, batches.get_state()), accuracy)
            if told and step < log.num_steps:
                _leave(log, checkpoints)
    return state


@contextlib.contextmanager
def _naming_the_last(checkpoints: Checkpoints | None) -> Iterator[None]:
    try:
        yield
    except FloatingPointError as error:
        last = checkpoints.latest_step if checkpoints else None
        kept = "No checkpoint is kept." if last is None else f"The last checkpoint is of step {last}."
        raise FloatingPointError(f"{error} {kept}") from None


def _leave(log: RunLog, checkpoints: Checkpoints | None) -> None:
    if checkpoints is None:
        raise TerminatedError(f"{log.label}: stopped by SIGTERM after step {log.done}; nothing is kept.")
    # Saving goes on in the background, which would end with the process.
    checkpoints.wait()
    raise TerminatedError(f"{log.label}: stopped by SIGTERM; saved after step {log.done} of {log.num_steps}.")


def _validate(model: nn.Module, validation: Split, state: TrainState) -> float:
    variables = jax.tree.map(lambda leaf: leaf.addressable_data(0), state.variables)
    return evaluate(logits_fn(model, variables), validation.images, validation.labels)


def _first_state(model: nn.Module, split: Split, config: TrainConfig, variables: Variables | None) -> TrainState:
    height, width, channels = split.images.shape[1:]
    optimizer = make_optimizer(config.optimizer, config.num_steps(len(split)))
    average = config.ema_decay > 0
    return init_state(model, optimizer, (height, width, channels), config.seed, variables=variables, average=average)


# One function for equal arguments, so that a run taken up in the same process compiles nothing anew.
@functools.lru_cache(maxsize=8)
def _compiled_step(
    model: nn.Module,
    config: TrainConfig,
    num_steps: int,
    devices: tuple[jax.Device, ...],
    mapping: Mapping,
) -> Mapped:
    optimizer = make_optimizer(config.optimizer, num_steps)
    step = make_train_step(model, optimizer, config, axis_name=AXIS, num_steps=num_steps)
    return map_over_devices(step, list(devices), mapping)


def _loader(split: Split, config: TrainConfig, resources: Resources) -> BatchIterator:
    return make_loader(
        split,
        config,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        workers=resources.workers,
        prefetch=resources.prefetch,
    )


def _log(folder: Path | None, split: Split, config: TrainConfig, done: int, label: str, *, progress: bool) -> RunLog:
    return RunLog(
        folder if jax.process_index() == 0 else None,
        label=label,
        batch_size=config.batch_size,
        per_epoch=config.steps_per_epoch(len(split)),
        num_steps=config.num_steps(len(split)),
        done=done,
        progress=progress,
    )
