"""The referee's report of every entrant and seed, made once and used by every experiment."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import jax

from experiments.entrants import Entrant
from experiments.sizes import Size
from experiments.study import Study
from experiments.trainings import train_one, trainings
from isvs_jax import data
from isvs_jax.robustness import CORRUPTIONS, RESOLUTIONS, Report, evaluate
from isvs_jax.training import load_classifier

# The last radius is one at which nothing may hold; the first lies where accuracy begins to fall.
_CURVE = (1 / 255, 4 / 255, 16 / 255, 0.5)


def judged(
    entrants: Iterable[Entrant], study: Study, seeds: Iterable[int] | None = None, *, attacks: bool = True
) -> Mapping[Entrant, tuple[Report, ...]]:
    """The reports of some entrants, a report a seed; what is missing is trained and judged first.

    Seed by seed, so that a study that is stopped has all entrants of its first seeds.

    Args:
        entrants: Whom to judge.
        study: Size, data and folder.
        seeds: Of the trainings; by default those of the study.
        attacks: Whether to attack them too.
    """
    size = study.scale
    wanted = tuple(dict.fromkeys(entrants))
    examples = referee_images(size, study)
    found: dict[Entrant, list[Report]] = {entrant: [] for entrant in wanted}
    for seed in size.seeds if seeds is None else seeds:
        for entrant in wanted:
            found[entrant].append(judge(entrant, study, seed, examples, attacks=attacks))
    return {entrant: tuple(reports) for entrant, reports in found.items()}


def judge(entrant: Entrant, study: Study, seed: int, examples: data.Split, *, attacks: bool = True) -> Report:
    """The report of one entrant and seed; its cells are kept in the folder of the study.

    Without attacks, one that is there with them serves as well.
    """
    size = study.scale
    attacked = bool(size.epsilons) and (attacks or _is_finished(report_folder(study.root, entrant, seed)))
    config = trainings(size)[entrant.training]
    folder = train_one(entrant.training, config, size, seed, study.root, progress=study.progress)
    network = load_classifier(folder)
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
        defence=entrant.defence(config.inputs.solver),
        parameters=jax.tree.leaves(network),
        batch_size=100,
        folder=report_folder(study.root, entrant, seed, attacked or not size.epsilons),
        progress=study.progress,
    )


def referee_images(size: Size, study: Study) -> data.Split:
    """The test images that entrants are judged on."""
    chosen = size.data
    loaded = data.load(
        chosen.spec, data_dir=chosen.data_dir, limit_train=1, limit_test=size.corrupted_count, progress=study.progress
    )
    return loaded.test


def report_folder(root: Path, entrant: Entrant, seed: int, attacked: bool = True) -> Path:
    """Where a report lies."""
    return root / ("reports" if attacked else "reports-without-attacks") / entrant.folder_name / str(seed)


def _is_finished(folder: Path) -> bool:
    return (folder / "report.json").exists()
