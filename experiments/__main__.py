"""`python -m experiments CLAIM`: an experiment from training to table and picture, or all of them."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Compilation leaves lines on the terminal that say nothing to the reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro

from experiments import ablation, corruptions, filtering, scales
from experiments.section import write_section
from experiments.study import Study

_DESCRIPTION = """Put a claim to the test: train, judge, and write a table and pictures.

    python -m experiments all
    python -m experiments corruptions --study.size cpu --study.data tfds:cifar10

What is finished is kept and used again; a command that was stopped goes on when it is given again."""

# In the order in which they are read. Each module has `run`, from the configuration to a `Section`.
_RUNS: dict[type, Any] = {
    corruptions.Corruptions: corruptions.run,
    filtering.Filtering: filtering.run,
    ablation.Ablation: ablation.run,
    scales.Scales: scales.run,
}


@dataclass(frozen=True)
class All:
    """Every experiment, one after another, and a page with all tables and pictures.

    Attributes:
        study: Size, data, seeds, folder.
    """

    study: Study = field(default_factory=Study)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    named = {kind.__name__.lower(): ((kind.__doc__ or "").partition("\n")[0], kind()) for kind in _RUNS}
    try:
        chosen = tyro.extras.overridable_config_cli(
            {**named, "all": ("Every experiment.", All())},
            prog="python -m experiments",
            description=_DESCRIPTION,
            args=arguments,
        )
        claims = [kind(study=chosen.study) for kind in _RUNS] if isinstance(chosen, All) else [chosen]
        for claim in claims:
            section = _RUNS[type(claim)](claim)
            print(write_section(section, claim.study.root, claim), flush=True)
    except KeyboardInterrupt:
        print("\nInterrupted. What is finished is kept: give the same command again to go on.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ModuleNotFoundError, FloatingPointError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(*_: object) -> None:
    """A polite kill ends like Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
