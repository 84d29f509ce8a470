"""Entrants, and the referee's report of each and every seed, made once and used by every experiment."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax

from experiments.measures.noise_level import noise_level_defence
from experiments.study import Study, check_seeds
from experiments.trainings import check_training, train_one, training_folder, trainings
from isvs_jax import SplitLBI, data
from isvs_jax.augment import View
from isvs_jax.data import load_data
from isvs_jax.robustness import (
    CORRUPTIONS,
    RESOLUTIONS,
    Attacks,
    Corruptions,
    Defence,
    HardStopChecks,
    Report,
    Resources,
    evaluate,
    read_report,
    smoothing_defence,
)
from isvs_jax.robustness._resuming import differences
from isvs_jax.robustness.evaluation.comparison import check_side_by_side
from isvs_jax.training import load_classifier

# The number of images at a time, and a few more where devices share them.
_BATCH = 100
# The last radius is one at which nothing may hold; the first lies where accuracy begins to fall.
_CURVE = (1 / 255, 4 / 255, 16 / 255, 0.5)
_BY_NOISE = "by-noise"
_FORMS = f"dense:TIME, sparse:TIME or {_BY_NOISE}:TIME,TIME with increasing times"


class NothingFinishedError(ValueError):
    """Only what is finished was asked for, and nothing is."""


@dataclass(frozen=True)
class Entrant:
    """A training, and what stands before the network when it is tested.

    Attributes:
        training: A name of `experiments.trainings.trainings`.
        before: None for nothing; a view of the path such as "dense:4"; or "by-noise:4,8", smoothing to one of these
            times, or not at all, by the noise of each image.
    """

    training: str
    before: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Entrant":
        """Read "TRAINING" or "TRAINING@BEFORE"; the inverse of `str`.

        >>> Entrant.parse("mixed@dense:4")
        Entrant(training='mixed', before='dense:4')
        """
        training, at, before = text.partition("@")
        if not training or bool(at) != bool(before):
            raise ValueError(f"entrant must be TRAINING or TRAINING@BEFORE, such as mixed@dense:4; got {text!r}.")
        return cls(training, before or None)

    def __str__(self) -> str:
        return self.training if self.before is None else f"{self.training}@{self.before}"

    @property
    def folder_name(self) -> str:
        """A name for files."""
        return re.sub(r"[^\w.@-]", "_", str(self))

    def defence(self, solver: SplitLBI) -> Defence | None:
        """What stands before the network; None for nothing.

        Raises:
            ValueError: `before` has another form.
        """
        if self.before is None:
            return None
        kind, _, number = self.before.partition(":")
        try:
            if kind == _BY_NOISE:
                return noise_level_defence([float(time) for time in number.split(",")], solver)
            view = View.parse(self.before)
        except ValueError as error:
            raise ValueError(f"before must be {_FORMS}; got {self.before!r}. {error}") from None
        if not view.is_path:
            raise ValueError(f"before must be {_FORMS}; got {self.before!r}.")
        return smoothing_defence(view.strength, solver, "dense" if view.kind == "dense" else "sparse")


def judged(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int] | None = None, *, attacks: bool = True
) -> Mapping[Entrant, Mapping[int, Report]]:
    """The reports of some entrants by seed; what is missing is trained and judged first.

    Seed by seed, so that a study that is stopped has all entrants of its first seeds. Of a study that is to take only
    what is finished, entrants without a report are left out, and others may have fewer reports than there are seeds.

    Args:
        entrants: Whom to judge.
        study: The study.
        seeds: The seeds of the trainings; by default those of the study.
        attacks: Whether to attack them too.

    Raises:
        ValueError: There is no such training, nothing can stand before the network in that form, or nothing is
            finished where only that is asked for.
    """
    wanted, numbers = tuple(dict.fromkeys(entrants)), tuple(study.seeds if seeds is None else seeds)
    check_entrants(wanted, study)
    if study.finished_only:
        return _finished(wanted, study, numbers, attacks=attacks)
    found: dict[Entrant, dict[int, Report]] = {entrant: {} for entrant in wanted}
    for seed in numbers:
        for entrant in wanted:
            found[entrant][seed] = judge(entrant, study, seed, attacks=attacks)
    return found


def check_entrants(entrants: Sequence[Entrant], study: Study) -> None:
    """Raise a ValueError for all that can be known to be wrong before the first training."""
    check_seeds(study)
    if not entrants:
        raise ValueError("entrants must be one or more, TRAINING or TRAINING@BEFORE; got none.")
    known = trainings(study)
    for entrant in entrants:
        if entrant.training not in known:
            raise ValueError(f"the training of an entrant must be one of {', '.join(known)}; got {str(entrant)!r}.")
        entrant.defence(known[entrant.training].inputs.solver)


# Claims ask for the same reports: a process looks once whether all of one is there.
@functools.cache
def judge(entrant: Entrant, study: Study, seed: int, *, attacks: bool = True) -> Report:
    """The report of one entrant and seed; its cells are kept in the folder of the study.

    Without attacks, one that is there with them serves as well.
    """
    attacked = bool(study.epsilons) and (attacks or _is_finished(report_folder(study.root, entrant, seed)))
    solver = trainings(study)[entrant.training].inputs.solver
    network, examples = load_classifier(train_one(entrant.training, study, seed)), referee_images(study)
    return evaluate(
        network,
        data.as_float(examples.images),
        examples.labels,
        # The same for all: they are tested on the same corrupted images.
        jax.random.key(0),
        name=f"{entrant}, seed {seed}",
        preprocessing="" if entrant.before is None else f"{entrant.before} before the network",
        corruptions=Corruptions(study.corruptions or CORRUPTIONS, study.severities),
        resolutions=RESOLUTIONS,
        attacks=_attacks(study) if attacked else None,
        checks=HardStopChecks(curve=_CURVE, count=study.check_count, num_steps=study.num_steps, doubling=study.doubling)
        if attacked
        else None,
        defence=entrant.defence(solver),
        parameters=jax.tree.leaves(network),
        resources=Resources(-(-_BATCH // jax.device_count()) * jax.device_count()),
        folder=report_folder(study.root, entrant, seed, attacked or not study.epsilons),
        progress=study.progress,
    )


def _attacks(study: Study) -> Attacks:
    return Attacks(
        study.attacks,
        epsilons=study.epsilons,
        count=study.attack_count,
        num_steps=study.num_steps,
        num_queries=study.num_queries,
    )


@functools.cache
def referee_images(study: Study) -> data.Split:
    """The test images that entrants are judged on."""
    return load_data(replace(study.data, limit_train=1), progress=study.progress).test


def report_folder(root: Path, entrant: Entrant, seed: int, attacked: bool = True) -> Path:
    """The folder of a report."""
    return root / ("reports" if attacked else "reports-without-attacks") / entrant.folder_name / str(seed)


def _finished(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int], *, attacks: bool
) -> Mapping[Entrant, Mapping[int, Report]]:
    """The reports that are in the folder of a study, by seed; entrants that have none are left out."""
    wanted, numbers = tuple(entrants), tuple(seeds)
    found: dict[Entrant, dict[int, Report]] = {}
    for entrant in wanted:
        for seed in numbers:
            kinds = (True,) if attacks else (True, False)
            folders = (report_folder(study.root, entrant, seed, attacked) for attacked in kinds)
            there = next(filter(_is_finished, folders), None)
            if there is not None:
                check_training(training_folder(study.root, entrant.training, seed), study)
                found.setdefault(entrant, {})[seed] = read_report(there)
    if not found:
        raise NothingFinishedError(
            f"finished_only is set, but {study.root} holds no finished report of {', '.join(map(str, wanted))}, seeds "
            f"{', '.join(map(str, numbers))}."
        )
    every = [report for reports in found.values() for report in reports.values()]
    check_side_by_side(every)
    _check_same_attacks([report for report in every if report.attacks], study.root)
    return found


def _check_same_attacks(reports: Sequence[Report], root: Path) -> None:
    for report in reports:
        for group in ("attacks", "checks"):
            found = differences(report.settings.get(group), reports[0].settings.get(group), group)
            if found:
                raise ValueError(f"{root} holds reports that differ: {'; '.join(found)}. Give another folder.")


def _is_finished(folder: Path) -> bool:
    return (folder / "report.json").exists()
