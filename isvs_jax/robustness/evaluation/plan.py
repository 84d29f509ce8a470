"""Which cells an evaluation is made of, in which order, and the report that they add up to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation import attacked, engine
from isvs_jax.robustness.evaluation._hard_stop import SIX_WAYS
from isvs_jax.robustness.evaluation.attacked import attacks_of
from isvs_jax.robustness.evaluation.cells import (
    AttackResult,
    Cell,
    DoublingCheck,
    EpsilonCurve,
    ResolutionCell,
    StepReach,
    cell_of,
)
from isvs_jax.robustness.evaluation.effort import Effort, of_attacks, of_curve
from isvs_jax.robustness.evaluation.engine import Work
from isvs_jax.robustness.evaluation.error_growth import certainty_warnings
from isvs_jax.robustness.evaluation.examples import ShownExample
from isvs_jax.robustness.evaluation.hard_stop_rule import attack_reaches, judge_curve, judge_doubling
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.schedule import Task

Cells = Mapping[str, Cell]


def tasks(work: Work, cells: Cells) -> dict[str, Task]:
    """The functions that make the cells, by the key of the cell, in order: the table of corruptions first.

    Those of doubled steps read from `cells` what their attacks left there.
    """
    settings, corruptions, checks = work.settings, work.settings.corruptions, work.settings.checks
    each = Effort(len(work.examples.labels))
    found = {"clean": Task(partial(engine.clean_cell, work), each)}
    for name in corruptions.names:
        for severity in corruptions.severities:
            found[_corruption(name, severity)] = Task(partial(engine.corruption_cell, work, name, severity), each)
    for setting in settings.resolutions:
        found[_resolution(setting)] = Task(partial(engine.resolution_cell, work, setting), each)
    doubled = set(_doubled_on_curve(work))
    # Keys name all that tells cells of one evaluation apart, so that after a stop the finished ones are found again.
    for norm, radii in checks.curves.items():
        for epsilon in radii:
            for times in (1, 2) if (norm, epsilon) in doubled else (1,):
                steps = times * checks.num_steps
                make = partial(attacked.curve_cell, work, norm, epsilon, steps)
                found[_curve(norm, epsilon, steps)] = Task(make, of_curve(work, steps))
    attacks = settings.attacks
    for norm, epsilon in attacks.balls:
        for chunk in range(attacked.num_chunks(work)):
            count = min(attacked.ATTACK_CHUNK, attacks.count - chunk * attacked.ATTACK_CHUNK)
            make = partial(attacked.attack_cell, work, norm, epsilon, chunk)
            effort = of_attacks(work, count, attacks.num_steps, attacks.num_queries)
            found[_attack(norm, epsilon, chunk)] = Task(make, effort)
    for norm, epsilon in attacks.balls if checks.doubling else []:
        make = partial(attacked.doubling_cell, work, norm, epsilon, partial(_held, work, cells, norm, epsilon))
        effort = of_attacks(work, checks.count, 2 * attacks.num_steps, 2 * attacks.num_queries)
        found[_doubling(norm, epsilon)] = Task(make, effort)
    return found


def assemble(
    work: Work,
    cells: Cells,
    name: str,
    preprocessing: str,
    made: dict[str, Any],
    class_names: tuple[str, ...] = (),
    examples: tuple[ShownExample, ...] = (),
) -> Report:
    """The report of finished cells.

    Args:
        work: The evaluation.
        cells: All of its cells.
        name: The name of the model.
        preprocessing: What the model does to images before its first layer.
        made: Versions, hashes, sessions.
        class_names: The names of the classes, or () where they are not known.
        examples: Images on which the model fails.

    Returns:
        The report.
    """
    settings, table = work.settings, corruption_table(work, cells)
    resolutions = tuple(ResolutionCell(*entry, cell=cells[_resolution(entry)]) for entry in settings.resolutions)
    clean, balls = cells["clean"], settings.attacks.balls
    seconds: dict[str, float] = {}
    for key in tasks(work, cells):
        part = key.split("/")[0]
        seconds[part] = seconds.get(part, 0.0) + cells[key].seconds
    return Report(
        name=name,
        preprocessing=preprocessing,
        source=" and ".join(sorted({cell.source for row in table.values() for cell in row.values()})),
        count=clean.count,
        image_shape=tuple(int(side) for side in work.examples.images.shape[1:]),
        num_classes=work.num_classes,
        clean=clean,
        corruptions=table,
        resolutions=resolutions,
        attacks=tuple(_attack_result(work, cells, norm, epsilon) for norm, epsilon in balls),
        curves=tuple(_epsilon_curve(work, cells, norm) for norm in settings.checks.curves),
        doublings=(
            *(_attack_doubling(work, cells, norm, epsilon) for norm, epsilon in balls if settings.checks.doubling),
            *(_curve_doubling(work, cells, norm, epsilon) for norm, epsilon in _doubled_on_curve(work)),
        ),
        settings=settings.as_dict(),
        made=made | {"seconds": seconds, "batch_size": work.layout.batch_size},
        warnings=(*_not_finite(clean, table, resolutions), *_lopsided(work), *_too_sure(work, clean)),
        class_names=class_names,
        examples=examples,
    )


def corruption_table(work: Work, cells: Cells) -> dict[str, dict[int, Cell]]:
    """The cells of corruptions, by corruption and severity."""
    settings = work.settings.corruptions
    return {
        name: {severity: cells[_corruption(name, severity)] for severity in settings.severities}
        for name in settings.names
    }


def _corruption(name: str, severity: int) -> str:
    return f"corruption/{name}/{severity}"


def _resolution(setting: tuple[Any, ...]) -> str:
    return "resolution/" + "/".join(map(str, setting))


def _curve(norm: str, epsilon: float, num_steps: int) -> str:
    return f"curve/{norm}/{epsilon!r}/{num_steps}"


def _attack(norm: str, epsilon: float, chunk: int) -> str:
    return f"attack/{norm}/{epsilon!r}/{chunk}"


def _doubling(norm: str, epsilon: float) -> str:
    return f"doubling/{norm}/{epsilon!r}"


def _doubled_on_curve(work: Work) -> list[tuple[str, float]]:
    """Where the attack of the ε-curve runs with twice the steps: at its radii in norms that have no ball."""
    there, checks = {norm for norm, _ in work.settings.attacks.balls}, work.settings.checks
    curves = checks.curves.items() if checks.doubling else ()
    return [(norm, epsilon) for norm, radii in curves if norm not in there for epsilon in radii]


def _chunks(work: Work, cells: Cells, norm: str, epsilon: float) -> list[Cell]:
    return [cells[_attack(norm, epsilon, chunk)] for chunk in range(attacked.num_chunks(work))]


def _held(work: Work, cells: Cells, norm: str, epsilon: float) -> np.ndarray:
    """Which of the first attacked examples, as many as the ε-curve has, held."""
    whole = np.concatenate([cell.mask for cell in _chunks(work, cells, norm, epsilon)])
    return whole[: work.settings.checks.count]


def _attack_result(work: Work, cells: Cells, norm: str, epsilon: float) -> AttackResult:
    settings = work.settings.attacks
    reaches = attack_reaches(attacks_of(work), settings.num_steps, settings.num_queries)
    worst = attacked.joined(work, _chunks(work, cells, norm, epsilon))
    said = dict.fromkeys([*worst.warnings, *(text for reach in reaches for text in reach.warnings)])
    return AttackResult(
        norm,
        epsilon,
        dataclasses.replace(worst, warnings=tuple(said)),
        cumulative=work.defence is not None or not settings.individually,
        kind="attacks" if work.defence is None else "defence",
        reaches=reaches,
    )


def _epsilon_curve(work: Work, cells: Cells, norm: str) -> EpsilonCurve:
    checks, clean = work.settings.checks, cells["clean"]
    mask, labels = clean.mask[: checks.count], work.examples.labels[: checks.count]
    start = cell_of(mask, labels, work.num_classes, not_finite=clean.not_finite)
    radii = checks.curves[norm]
    found = [start, *(cells[_curve(norm, epsilon, checks.num_steps)] for epsilon in radii)]
    return judge_curve(
        norm,
        _curve_attack(work),
        checks.num_steps,
        (0.0, *radii),
        found,
        chance=1 / work.num_classes,
        shape=work.examples.images.shape[1:],
        reaches=_curve_reaches(work, checks.num_steps),
    )


def _curve_attack(work: Work) -> str:
    return "PGD" if work.defence is None else SIX_WAYS


def _curve_reaches(work: Work, num_steps: int) -> tuple[StepReach, ...]:
    attacks = ("pgd",) if work.defence is None else attacks_of(work)
    return attack_reaches(attacks, num_steps, work.settings.attacks.num_queries)


def _attack_doubling(work: Work, cells: Cells, norm: str, epsilon: float) -> DoublingCheck:
    settings = work.settings.attacks
    attacks = attacks_of(work)
    return judge_doubling(
        norm,
        ", ".join(attacks) if work.defence is None else SIX_WAYS,
        epsilon,
        settings.num_steps,
        settings.num_queries if "square" in attacks else None,
        _held(work, cells, norm, epsilon),
        cells[_doubling(norm, epsilon)],
        reaches=attack_reaches(attacks, 2 * settings.num_steps, 2 * settings.num_queries),
    )


def _curve_doubling(work: Work, cells: Cells, norm: str, epsilon: float) -> DoublingCheck:
    num_steps = work.settings.checks.num_steps
    once, twice = (cells[_curve(norm, epsilon, times * num_steps)] for times in (1, 2))
    reaches = _curve_reaches(work, 2 * num_steps)
    return judge_doubling(norm, _curve_attack(work), epsilon, num_steps, None, once.mask, twice, reaches=reaches)


def _not_finite(
    clean: Cell, table: dict[str, dict[int, Cell]], resolutions: tuple[ResolutionCell, ...]
) -> tuple[str, ...]:
    """Sentences on logits that are not finite."""
    named = [("clean", clean)]
    named += [(f"{name} {severity}", cell) for name, row in table.items() for severity, cell in row.items()]
    named += [("low resolution", entry.cell) for entry in resolutions]
    return tuple(
        f"{name}: the logits of {cell.not_finite} of {cell.count} images were not finite; they count as wrong and are "
        "left out of the calibration error."
        for name, cell in named
        if cell.not_finite
    )


def _lopsided(work: Work) -> tuple[str, ...]:
    """Sentences on first images, of which the attacks are, that lack classes which so many of all would hold."""
    labels, found = work.examples.labels, []
    for what, count in (("attacks", work.settings.attacks.count), ("ε-curve", work.settings.checks.count)):
        used = {"attacks": bool(work.settings.attacks.balls), "ε-curve": bool(work.settings.checks.curves)}[what]
        there = len(np.unique(labels[:count]))
        # So many images drawn at random would on average hold so many classes.
        shares = np.bincount(labels) / len(labels)
        expected = float((1 - (1 - shares) ** count).sum())
        if used and there < 0.5 * expected:
            found.append(
                f"{what}: the first {count} images hold {there} of {len(np.unique(labels))} classes, where as many "
                f"drawn at random would hold about {expected:.0f}: the images are sorted, and figures of the first "
                "ones are of these classes alone. Shuffle images and labels together."
            )
    return tuple(found)


def _too_sure(work: Work, clean: Cell) -> tuple[str, ...]:
    """Sentences on a network that is so sure of clean images that attacks along the cross-entropy may fail."""
    attacked_at_all = bool(work.settings.attacks.balls or work.settings.checks.curves)
    return tuple(f"attacks: {text}" for text in certainty_warnings(clean.entropy)) if attacked_at_all else ()
