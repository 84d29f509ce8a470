"""The referee's report of every entrant and seed, made once and used by every experiment."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import jax

from experiments.entrants import Entrant
from experiments.sizes import Size
from experiments.study import Study
from experiments.trainings import check_training, train_one, training_folder, trainings
from isvs_jax import data
from isvs_jax.data import load_data
from isvs_jax.robustness import CORRUPTIONS, RESOLUTIONS, Report, evaluate
from isvs_jax.robustness.evaluation import read_report
from isvs_jax.robustness.evaluation.comparison import check_side_by_side
from isvs_jax.training import load_classifier

# Images at a time, and a few more where devices share them.
_BATCH = 100
# The last radius is one at which nothing may hold; the first lies where accuracy begins to fall.
_CURVE = (1 / 255, 4 / 255, 16 / 255, 0.5)


class NothingFinishedError(ValueError):
    """Only what is finished was asked for, and nothing is."""


def judged(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int] | None = None, *, attacks: bool = True
) -> Mapping[Entrant, tuple[Report, ...]]:
    """The reports of some entrants, a report a seed; what is missing is trained and judged first.

    Seed by seed, so that a study that is stopped has all entrants of its first seeds. Of a study that is to take only
    what is finished, entrants without a report are left out, and others may have fewer reports than there are seeds.

    Args:
        entrants: Whom to judge.
        study: Size, data and folder.
        seeds: Of the trainings; by default those of the study.
        attacks: Whether to attack them too.

    Raises:
        ValueError: There is no such training, nothing can stand before the network in that form, or nothing is
            finished where only that is asked for.
    """
    found = judged_by_seed(entrants, study, seeds, attacks=attacks)
    return {entrant: tuple(reports.values()) for entrant, reports in found.items()}


def judged_by_seed(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int] | None = None, *, attacks: bool = True
) -> Mapping[Entrant, Mapping[int, Report]]:
    """As `judged`, the reports of each entrant by seed."""
    size = study.scale
    wanted, numbers = tuple(dict.fromkeys(entrants)), tuple(size.seeds if seeds is None else seeds)
    check_entrants(wanted, size)
    if study.finished_only:
        return finished(wanted, study, numbers, attacks=attacks)
    found: dict[Entrant, dict[int, Report]] = {entrant: {} for entrant in wanted}
    for seed in numbers:
        for entrant in wanted:
            found[entrant][seed] = _judged_once(entrant, study, seed, attacks)
    return found


def finished(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int], *, attacks: bool = True
) -> Mapping[Entrant, Mapping[int, Report]]:
    """The reports that are in the folder of a study, by seed; entrants that have none are left out.

    Raises:
        ValueError: There is no report of any of them, or they are of different tests.
    """
    wanted, numbers = tuple(entrants), tuple(seeds)
    found: dict[Entrant, dict[int, Report]] = {}
    for entrant in wanted:
        for seed in numbers:
            kinds = (True,) if attacks else (True, False)
            folders = (report_folder(study.root, entrant, seed, attacked) for attacked in kinds)
            there = next(filter(_is_finished, folders), None)
            if there is not None:
                check_training(training_folder(study.root, entrant.training, seed), study.scale)
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
    for name in ("epsilons", "attacks", "attack_count", "curve", "curve_count", "curve_steps", "doubling"):
        if any(report.settings.get(name) != reports[0].settings.get(name) for report in reports):
            raise ValueError(f"{root} holds reports that differ in {name}; give another folder.")


def check_entrants(entrants: Sequence[Entrant], size: Size) -> None:
    """Raise a ValueError for all that can be known to be wrong before the first training."""
    if not entrants:
        raise ValueError("entrants is empty; it may hold one or more, TRAINING or TRAINING@BEFORE.")
    known = trainings(size)
    for entrant in entrants:
        if entrant.training not in known:
            raise ValueError(f"entrants holds {str(entrant)!r}; its training may be one of {', '.join(known)}.")
        entrant.defence(known[entrant.training].inputs.solver)


# Claims ask for the same reports: a process looks once whether all of one is there.
@functools.cache
def _judged_once(entrant: Entrant, study: Study, seed: int, attacks: bool) -> Report:
    return judge(entrant, study, seed, attacks=attacks)


def judge(entrant: Entrant, study: Study, seed: int, *, attacks: bool = True) -> Report:
    """The report of one entrant and seed; its cells are kept in the folder of the study.

    Without attacks, one that is there with them serves as well.
    """
    size = study.scale
    attacked = bool(size.epsilons) and (attacks or _is_finished(report_folder(study.root, entrant, seed)))
    config = trainings(size)[entrant.training]
    folder = train_one(entrant.training, config, size, seed, study.root, progress=study.progress)
    network, examples = load_classifier(folder), referee_images(study)
    return evaluate(
        network,
        data.as_float(examples.images),
        examples.labels,
        # The same for all: they are tested on the same corrupted images.
        jax.random.key(0),
        name=f"{entrant}, seed {seed}",
        preprocessing="" if entrant.before is None else f"{entrant.before} before the network",
        corruptions=size.corruptions or CORRUPTIONS,
        severities=size.severities,
        resolutions=RESOLUTIONS,
        attacks=size.attacks if attacked else (),
        epsilons={"linf": size.epsilons} if attacked else {},
        curve={"linf": _CURVE} if attacked else {},
        attack_count=size.attack_count,
        attack_steps=size.attack_steps,
        attack_queries=size.attack_queries,
        curve_count=size.check_count,
        curve_steps=size.attack_steps,
        doubling=size.doubling,
        defence=entrant.defence(config.inputs.solver),
        parameters=jax.tree.leaves(network),
        batch_size=-(-_BATCH // jax.device_count()) * jax.device_count(),
        folder=report_folder(study.root, entrant, seed, attacked or not size.epsilons),
        progress=study.progress,
    )


@functools.cache
def referee_images(study: Study) -> data.Split:
    """The test images that entrants are judged on."""
    size = study.scale
    return load_data(replace(size.data, limit_train=1, limit_test=size.corrupted_count), progress=study.progress).test


def report_folder(root: Path, entrant: Entrant, seed: int, attacked: bool = True) -> Path:
    """Where a report lies."""
    return root / ("reports" if attacked else "reports-without-attacks") / entrant.folder_name / str(seed)


def _is_finished(folder: Path) -> bool:
    return (folder / "report.json").exists()
