"""The metrics of a few steps: fetched together, shown on the progress bar, written down as one line, and finite."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from isvs_jax.training.checkpoint import Checkpoints
from isvs_jax.training.log import RunLog
from isvs_jax.training.step import Metrics

# Metrics wait on the device for so many steps, so that the host does not hold up the next step.
_REPORT_EVERY = 8


@dataclass
class Window:
    """The metrics of the steps since the last line of the log.

    Attributes:
        label: The name of the run.
        log: Where lines go.
        batch_size: Images a step.
        per_epoch: Steps an epoch.
        done: Steps of the run whose metrics are known.
        checkpoints: Those of the run, named where it has to stop.
    """

    label: str
    log: RunLog
    batch_size: int
    per_epoch: int
    done: int
    checkpoints: Checkpoints | None = None
    waiting: list[Metrics] = field(default_factory=list, init=False)
    seen: list[Metrics] = field(default_factory=list, init=False)
    bar: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.began = self.log.seconds

    def add(self, metrics: Metrics, bar: Any) -> None:
        """Take the metrics of a step, which may not be done yet."""
        self.bar = bar
        self.waiting.append(metrics)
        if len(self.waiting) == _REPORT_EVERY:
            self.flush()

    def flush(self) -> None:
        """Fetch what waits, and stop the run where a number is not finite."""
        if not self.waiting:
            return
        values = jax.device_get(self.waiting)
        for value in values:
            self._require_finite(value)
            self.done += 1
        self.seen += values
        self.waiting = []
        self.bar.set_postfix(loss=f"{values[-1].loss:.3f}", accuracy=f"{values[-1].accuracy:.3f}", refresh=False)
        self.bar.update(len(values) * self.batch_size)

    def close(self, step: int, validate: Callable[[], float] | None = None) -> float | None:
        """Write a line of the log, with the accuracy that `validate` gives, which is returned."""
        self.flush()
        seconds = max(self.log.seconds - self.began, 1e-9)
        line: dict[str, float | int] = {"epoch": (step - 1) // self.per_epoch + 1}
        line |= {name: float(np.mean([getattr(m, name) for m in self.seen])) for name in Metrics._fields}
        line["images_per_second"] = round(len(self.seen) * self.batch_size / seconds, 1)
        accuracy = None if validate is None else validate()
        if accuracy is not None:
            line["validation_accuracy"] = accuracy
        self.log.write(step, line)
        self.began, self.seen = self.log.seconds, []
        return accuracy

    def _require_finite(self, metrics: Metrics) -> None:
        if math.isfinite(metrics.loss) and math.isfinite(metrics.grad_norm):
            return
        step = self.done + 1
        last = self.checkpoints.latest_step if self.checkpoints else None
        kept = "no checkpoint is kept" if last is None else f"the last checkpoint is of step {last}"
        epoch = self.done // self.per_epoch + 1
        raise FloatingPointError(
            f"{self.label}: at step {step} (epoch {epoch}) the loss is {metrics.loss} and the norm of the gradient "
            f"{metrics.grad_norm}; {kept}. Lower the learning rate, or look for pixels that are not finite."
        )
