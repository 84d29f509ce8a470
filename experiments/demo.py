"""Train small classifiers on raw images and along the path; test them on clean, corrupted, attacked and small images.

    python experiments/demo.py
    python experiments/demo.py --data tfds:cifar10 --limit-train 10000
    python experiments/demo.py --data path/to/folder/of/class/folders

The results go to a folder of their own: a report, all numbers, pictures and checkpoints. A run that was interrupted
goes on where it stopped when the same command is given again.
"""

import dataclasses
import os
import re
import signal
import sys
from pathlib import Path

# Compilation leaves lines on the terminal that say nothing to the reader of a demo.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro

from isvs_jax.comparison import Settings, compare

RESULTS = Path("results")


@dataclasses.dataclass(frozen=True)
class Demo(Settings):
    """Train classifiers on raw images and along the inverse scale space path, and test them side by side."""

    out: Path | None = None
    """Folder of the results; by default results/demo for the digits, else results/demo-NAME."""

    @property
    def folder(self) -> Path:
        """Where the results go."""
        if self.out is not None:
            return self.out
        if self.on_digits:
            return RESULTS / "demo"
        return RESULTS / f"demo-{re.sub(r'[^A-Za-z0-9]+', '-', self.data).strip('-')}"

    @property
    def settings(self) -> Settings:
        """Without the folder, on which no number depends."""
        fields = dataclasses.fields(Settings)
        return Settings(**{field.name: getattr(self, field.name) for field in fields})


def interrupt(*_: object) -> None:
    """A polite kill ends like Ctrl-C (which shells take away from what they run in the background)."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        demo = tyro.cli(Demo, args=arguments, description=__doc__)
        compare(demo.settings, demo.folder)
    except KeyboardInterrupt:
        print("\nInterrupted. Finished trainings and tests are kept: give the same command again to go on.")
        return 130
    except (ValueError, OSError, ModuleNotFoundError, FloatingPointError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"\nReport, numbers and pictures: {demo.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
