"""The log of a run: the metrics of a few steps as one line of JSON, for TensorBoard, and on a progress bar."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from isvs_jax._files import write_atomically
from isvs_jax._progress import progress_bar
from isvs_jax.training.step import Metrics

LOG_FILE = "log.jsonl"
TENSORBOARD_DIR = "tensorboard"
# Metrics wait on the device for so many steps, so that the host does not hold up the next step.
_FETCH_EVERY = 8


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of the log in a run's folder; none where there is no log. A line cut off by a kill is left out."""
    file = Path(folder) / LOG_FILE
    if not file.exists():
        return []
    lines = []
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


class RunLog:
    """The log of a run from some step on; a context that closes its files and its progress bar.

    Lines of later steps that a run left before it was killed are cut off: they will come again.

    Args:
        folder: The folder where log.jsonl and the folder tensorboard lie; None writes nothing.
        label: The name of the run, on the progress bar and in errors.
        batch_size: The number of images in a step.
        per_epoch: The number of steps in an epoch.
        num_steps: The number of steps of the run.
        done: The number of steps done when the run is taken up.
        progress: Whether to show a progress bar.

    Attributes:
        label: As given, like `per_epoch` and `num_steps`.
        done: The number of steps whose metrics are known.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        label: str = "training",
        batch_size: int,
        per_epoch: int,
        num_steps: int,
        done: int = 0,
        progress: bool = False,
    ) -> None:
        self.label, self.per_epoch, self.num_steps, self.done = label, per_epoch, num_steps, done
        self._batch_size = batch_size
        self._folder = folder
        self._waiting: list[Metrics] = []
        self._seen: list[Metrics] = []
        self._earlier = self._earlier_processor = 0.0
        self._writer: Any = None
        if folder is not None:
            self._take_up(folder)
        self._began, self._processor_began = time.monotonic(), time.process_time()
        self._line_began = self.seconds
        self._bar = progress_bar(
            shown=progress,
            total=num_steps * batch_size,
            initial=done * batch_size,
            desc=label,
            unit="image",
            unit_scale=True,
        )

    def _take_up(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        lines = [line for line in read_log(folder) if line["step"] <= self.done]
        write_atomically(folder / LOG_FILE, "".join(json.dumps(line) + "\n" for line in lines))
        if lines:
            self._earlier = lines[-1]["seconds"]
            # Versions before 0.2.0 did not measure it.
            self._earlier_processor = lines[-1].get("processor_seconds", 0.0)
        self._writer = SummaryWriter(str(folder / TENSORBOARD_DIR), purge_step=self.done + 1)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()

    @property
    def seconds(self) -> float:
        """The seconds that the run took until now, those before it was taken up included."""
        return self._earlier + time.monotonic() - self._began

    @property
    def processor_seconds(self) -> float:
        """The seconds of all cores of this process, as `seconds`."""
        return self._earlier_processor + time.process_time() - self._processor_began

    def add(self, metrics: Metrics) -> None:
        """Take the metrics of a step, which may not be done yet."""
        self._waiting.append(metrics)
        if len(self._waiting) == _FETCH_EVERY:
            self.fetch()

    def fetch(self) -> None:
        """Fetch the metrics that wait.

        Raises:
            FloatingPointError: A loss or the norm of a gradient is not finite; the step is named.
        """
        if not self._waiting:
            return
        values = jax.device_get(self._waiting)
        for value in values:
            self._check_finite(value)
            self.done += 1
        self._seen += values
        self._waiting = []
        self._bar.set_postfix(loss=f"{values[-1].loss:.3f}", accuracy=f"{values[-1].accuracy:.3f}", refresh=False)
        self._bar.update(len(values) * self._batch_size)

    def end_line(self, validate: Callable[[], float] | None = None) -> float | None:
        """Write a line, the means of the steps since the last one, and the accuracy that `validate` gives.

        Returns:
            That accuracy; None without `validate`.
        """
        self.fetch()
        seconds = max(self.seconds - self._line_began, 1e-9)
        values: dict[str, float | int] = {"epoch": self._epoch(self.done)}
        values |= {name: float(np.mean([getattr(m, name) for m in self._seen])) for name in Metrics._fields}
        values["images_per_second"] = round(len(self._seen) * self._batch_size / seconds, 1)
        accuracy = None if validate is None else validate()
        if accuracy is not None:
            values["validation_accuracy"] = accuracy
        self._write(values)
        self._line_began, self._seen = self.seconds, []
        return accuracy

    def _write(self, values: dict[str, float | int]) -> None:
        if self._folder is None:
            return
        spent = {"seconds": round(self.seconds, 3), "processor_seconds": round(self.processor_seconds, 1)}
        line = {"step": self.done, **values, **spent}
        with (self._folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(name, value, self.done)

    def _epoch(self, step: int) -> int:
        return (step - 1) // self.per_epoch + 1

    def _check_finite(self, metrics: Metrics) -> None:
        if math.isfinite(metrics.loss) and math.isfinite(metrics.grad_norm):
            return
        step = self.done + 1
        raise FloatingPointError(
            f"{self.label}: at step {step} (epoch {self._epoch(step)}) the loss is {metrics.loss} and the norm of the "
            f"gradient {metrics.grad_norm}. Lower the learning rate, or look for pixels that are not finite."
        )
