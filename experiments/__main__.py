"""`python -m experiments CLAIM`: an experiment from training to table and picture, or all of them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Compilation leaves lines on the terminal that say nothing to the reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro

from experiments.claims import (
    ablation,
    additions,
    adversarial,
    corruptions,
    filtering,
    methods,
    resolution,
    scales,
    sizes,
)
from experiments.judging import NothingFinishedError
from experiments.section import Section, write_index, write_section
from experiments.study import Study, usual_study
from isvs_jax._command import exit_status, keep_compiled

_PROG = "python -m experiments"
_DESCRIPTION = f"""Put a claim to the test: train, judge, and write a table and pictures.

    {_PROG} all
    {_PROG} corruptions --size cpu --data tfds:cifar10
    {_PROG} methods --size cpu --finished-only

What is finished is kept and used again. Each experiment leaves FOLDER/NAME/report.md, result.json and pictures; "all" a
page FOLDER/README.md too. `{_PROG} CLAIM --size SIZE --help` shows what is usual at a size."""

# In the order in which they are read. Each module has `run`, from the configuration to a `Section`.
_RUNS: dict[type, Any] = {
    corruptions.Corruptions: corruptions.run,
    adversarial.Adversarial: adversarial.run,
    resolution.Resolution: resolution.run,
    filtering.Filtering: filtering.run,
    sizes.Sizes: sizes.run,
    ablation.Ablation: ablation.run,
    scales.Scales: scales.run,
    additions.Additions: additions.run,
    methods.Methods: methods.run,
}


@dataclass(frozen=True)
class All:
    """Every experiment, one after another, and a page with all tables and pictures.

    Attributes:
        study: Size, data, seeds, folder.
    """

    study: Study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    study = usual_study(arguments, "smoke")
    claims = {kind.__name__.lower(): (_first_line(kind), kind(study=study)) for kind in (*_RUNS, All)}

    def work() -> None:
        chosen = tyro.extras.overridable_config_cli(
            claims, prog=_PROG, description=_DESCRIPTION, args=arguments, config=(tyro.conf.OmitArgPrefixes,)
        )
        if isinstance(chosen, All):
            _run_all(chosen.study)
        else:
            print(write_section(_RUNS[type(chosen)](chosen), chosen.study.root, chosen), flush=True)

    return exit_status(work, _PROG)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _run_all(study: Study) -> None:
    """Every experiment; the page grows by one after another.

    Of a study that is to take only what is finished, experiments without anything finished are left out.
    """
    sections: list[Section] = []
    for number, (kind, run) in enumerate(_RUNS.items(), start=1):
        print(f"claim {number} of {len(_RUNS)}: {kind.__name__.lower()}", flush=True)
        claim = kind(study=study)
        try:
            sections.append(run(claim))
        except NothingFinishedError as error:
            print(f"left out: {error}", file=sys.stderr, flush=True)
            continue
        print(write_section(sections[-1], study.root, claim), flush=True)
        write_index(sections, study.root)
    if not sections:
        raise ValueError(f"finished_only is set, but {study.root} holds nothing that is finished.")
    print(study.root / "README.md", flush=True)


if __name__ == "__main__":
    keep_compiled()
    sys.exit(main())
