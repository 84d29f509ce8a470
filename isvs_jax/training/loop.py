"""The training loop: batches, steps, progress, checkpoints, and a stop where the loss is not finite."""

import functools
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import flax.linen as nn
import jax
from tqdm import tqdm

from isvs_jax.data import Split
from isvs_jax.training.batches import Samples, draw_batch, epoch_order, load_samples
from isvs_jax.training.checkpoint import Checkpoints
from isvs_jax.training.config import TrainConfig
from isvs_jax.training.optimizer import make_optimizer
from isvs_jax.training.run_folder import write_atomically
from isvs_jax.training.state import TrainState, init_state
from isvs_jax.training.step import Metrics, make_train_step

LOG_FILE = "log.jsonl"
# Metrics wait on the device for so many steps, so that the host does not hold up the next step.
_REPORT_EVERY = 8


def train(
    model: nn.Module,
    split: Split,
    config: TrainConfig,
    *,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 5,
    label: str = "training",
    progress: bool = True,
) -> TrainState:
    """Train a model on a split.

    The order of the examples, the views and the augmentation are functions of (key, step), so a run taken up again from
    a checkpoint ends with the same parameters as one that was never stopped.

    Args:
        model: A module called as model(images, train=...).
        split: The training images.
        config: The run.
        checkpoint_dir: Where to keep checkpoints and log.jsonl (a line an epoch), and from where to go on; the folder
            belongs to one (model, split, config), which the caller sees to. None keeps nothing.
        checkpoint_every: Epochs between checkpoints; there is always one at the end.
        label: The name on the progress bar.
        progress: Whether to show progress bars.

    Returns:
        The state after the last step.

    Raises:
        FloatingPointError: The loss or the gradient is not finite; the step is named.
        ValueError: A batch takes more images than there are.

    Example:
        >>> from isvs_jax import data, models
        >>> digits = data.load("digits", image_size=8, limit_train=64)
        >>> state = train(models.CNN(10, width=4), digits.train, TrainConfig(epochs=1, batch_size=32), progress=False)
        >>> int(state.step)
        2
    """
    per_epoch = config.steps_per_epoch(len(split))
    optimizer = make_optimizer(config.optimizer, per_epoch * config.epochs)
    height, width, channels = split.images.shape[1:]
    state = init_state(model, optimizer, (height, width, channels), config.seed)
    advance = functools.partial(_advance, model=model, config=config)
    if checkpoint_dir is None:
        return _Run(config, per_epoch, advance, label, progress).finish(state, split)
    with Checkpoints(checkpoint_dir) as checkpoints:
        state = checkpoints.restore(state) or state
        log_file = Path(checkpoint_dir) / LOG_FILE
        run = _Run(config, per_epoch, advance, label, progress, checkpoints, log_file, checkpoint_every)
        return run.finish(state, split)


Advance = Callable[[TrainState, Samples, jax.Array], tuple[TrainState, Metrics]]


@dataclass(frozen=True)
class _Run:
    """What stays the same while a run goes on."""

    config: TrainConfig
    per_epoch: int
    advance: Advance
    label: str
    progress: bool
    checkpoints: Checkpoints | None = None
    log_file: Path | None = None
    checkpoint_every: int = 1

    def finish(self, state: TrainState, split: Split) -> TrainState:
        """Run the epochs that are left."""
        done = int(jax.device_get(state.step)) // self.per_epoch
        log = self._earlier_log(done)
        if done >= self.config.epochs:
            return state
        samples = load_samples(split, self.config, progress=self.progress)
        images = self.per_epoch * self.config.batch_size
        with tqdm(
            total=images * self.config.epochs,
            initial=images * done,
            desc=self.label,
            unit="image",
            unit_scale=True,
            disable=not self.progress,
        ) as bar:
            for epoch in range(done, self.config.epochs):
                order = epoch_order(state.key, jax.device_put(epoch), num_examples=len(split))
                state, means = self._epoch(state, samples, order, bar)
                log.append({"epoch": epoch + 1, **means})
                self._keep(state, epoch + 1, log)
        return state

    def _epoch(
        self, state: TrainState, samples: Samples, order: jax.Array, bar: tqdm
    ) -> tuple[TrainState, dict[str, float]]:
        """One epoch, and the means of its metrics."""
        waiting: list[Metrics] = []
        seen: list[Metrics] = []
        for index in range(self.per_epoch):
            # Whatever the loop needs is on the device: a transfer here would be a mistake.
            with jax.transfer_guard("disallow"):
                state, metrics = self.advance(state, samples, order)
            waiting.append(metrics)
            if len(waiting) == _REPORT_EVERY or index == self.per_epoch - 1:
                values = jax.device_get(waiting)
                step = int(jax.device_get(state.step)) - len(values)
                for offset, value in enumerate(values):
                    self._require_finite(value, step + offset)
                seen += values
                waiting = []
                bar.set_postfix(loss=f"{values[-1].loss:.3f}", accuracy=f"{values[-1].accuracy:.3f}", refresh=False)
                bar.update(len(values) * self.config.batch_size)
        means = {name: float(sum(getattr(m, name) for m in seen)) / len(seen) for name in ("loss", "accuracy")}
        return state, means

    def _require_finite(self, metrics: Metrics, step: int) -> None:
        if math.isfinite(metrics.loss) and math.isfinite(metrics.grad_norm):
            return
        last = self.checkpoints.latest_step if self.checkpoints else None
        kept = "no checkpoint is kept" if last is None else f"the last checkpoint is of step {last}"
        raise FloatingPointError(
            f"{self.label}: at step {step} (epoch {step // self.per_epoch + 1}) the loss is {metrics.loss} and the "
            f"norm of the gradient {metrics.grad_norm}; {kept}. Lower the learning rate, or look for "
            "pixels that are not finite."
        )

    def _keep(self, state: TrainState, epoch: int, log: list[dict[str, float]]) -> None:
        last = epoch == self.config.epochs
        if self.checkpoints is None or not (last or epoch % self.checkpoint_every == 0):
            return
        # The log first: a kill in between leaves lines too many, which are cut off when the run is taken up.
        if self.log_file is not None:
            write_atomically(self.log_file, "".join(json.dumps(line) + "\n" for line in log))
        self.checkpoints.save(state)

    def _earlier_log(self, done: int) -> list[dict[str, float]]:
        if self.log_file is None or not self.log_file.exists():
            return []
        return [json.loads(line) for line in self.log_file.read_text().splitlines()][:done]


@functools.partial(jax.jit, static_argnames=("model", "config"), donate_argnames="state")
def _advance(
    state: TrainState, samples: Samples, order: jax.Array, *, model: nn.Module, config: TrainConfig
) -> tuple[TrainState, Metrics]:
    """Draw a batch and take a step, compiled as one; the state that goes in is used up."""
    optimizer = make_optimizer(config.optimizer, config.epochs * config.steps_per_epoch(len(order)))
    train_step = make_train_step(model, optimizer, label_smoothing=config.optimizer.label_smoothing)
    return train_step(state, draw_batch(samples, order, state.key, state.step, config))
