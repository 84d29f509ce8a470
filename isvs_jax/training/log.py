"""The log of a run: a line of JSON for each few steps, and the same for TensorBoard."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isvs_jax._files import write_atomically

LOG_FILE = "log.jsonl"
TENSORBOARD_DIR = "tensorboard"


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of the log in a run's folder; none where there is no log. A line cut off by a kill is left out."""
    file = Path(folder) / LOG_FILE
    if not file.exists():
        return []
    lines = []
    for text in file.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


@dataclass
class RunLog:
    """Writes lines as a run goes on; taken up at a step, it goes on from the lines up to it.

    Attributes:
        folder: Where log.jsonl and the folder tensorboard lie; None writes nothing.
        step: The step at which the run is taken up: later lines are cut off, they will come again.
    """

    folder: Path | None
    step: int
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False)
    _writer: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        if self.folder is None:
            return
        from tensorboardX import SummaryWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        self._lines = [line for line in read_log(self.folder) if line["step"] <= self.step]
        write_atomically(self.folder / LOG_FILE, "".join(json.dumps(line) + "\n" for line in self._lines))
        self._writer = SummaryWriter(str(self.folder / TENSORBOARD_DIR), purge_step=self.step + 1)

    @property
    def seconds(self) -> float:
        """Seconds that the run took until now, those before it was taken up included."""
        earlier = self._lines[-1]["seconds"] if self._lines else 0.0
        return earlier + time.monotonic() - self._began

    def write(self, step: int, values: dict[str, float | int]) -> None:
        """Add a line; `step` is the number of steps done."""
        if self.folder is None:
            return
        line = {"step": step, **values, "seconds": round(self.seconds, 3)}
        # The clock goes on from this line.
        self._began = time.monotonic()
        self._lines.append(line)
        with (self.folder / LOG_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write out what TensorBoard has not got yet."""
        if self._writer is not None:
            self._writer.close()
