"""Which cells an evaluation is made of, in which order, and the report that they add up to."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax.robustness.attacks import curve_warnings, full_radius
from isvs_jax.robustness.report import cells
from isvs_jax.robustness.report.cells import ATTACK_CHUNK, Told, Work
from isvs_jax.robustness.report.results import (
    AttackResult,
    Cell,
    Curve,
    Doubling,
    Report,
    ResolutionCell,
    packed,
    unpacked,
)
from isvs_jax.robustness.report.store import Store

# What an accuracy may rise with ε, or fall with twice the steps, without a warning.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Step:
    """One cell: its key in the store, and the function that makes it."""

    key: str
    make: Callable[[Told], dict[str, Any]]


def steps(work: Work) -> list[Step]:
    """All cells of an evaluation, the table first."""
    settings = work.settings
    found = [Step("clean", functools.partial(cells.clean_cell, work))]
    for name in settings.corruptions:
        for severity in settings.severities:
            make = functools.partial(cells.corruption_cell, work, name, severity)
            found.append(Step(_corruption_key(name, severity), make))
    for setting in settings.resolutions:
        make = functools.partial(cells.resolution_cell, work, setting)
        found.append(Step(_resolution_key(setting), make))
    for norm, radii in settings.curve.items():
        for epsilon in radii:
            make = functools.partial(cells.curve_cell, work, norm, epsilon, settings.curve_steps)
            found.append(Step(_curve_key(norm, epsilon, settings.curve_steps), make))
    for norm, epsilon in _doubled(work):
        for num_steps in (settings.curve_steps, 2 * settings.curve_steps):
            key = _curve_key(norm, epsilon, num_steps)
            if key not in {step.key for step in found}:
                found.append(Step(key, functools.partial(cells.curve_cell, work, norm, epsilon, num_steps)))
    for norm, epsilon in _balls(work):
        for chunk in range(-(-settings.attack_count // ATTACK_CHUNK)):
            make = functools.partial(cells.attack_cell, work, norm, epsilon, chunk)
            found.append(Step(_attack_key(norm, epsilon, chunk), make))
    return found


def assemble(work: Work, store: Store, name: str, preprocessing: str, made: dict[str, Any]) -> Report:
    """The report of finished cells."""
    settings = work.settings
    table = {
        corruption: {severity: store[_corruption_key(corruption, severity)] for severity in settings.severities}
        for corruption in settings.corruptions
    }
    sources = sorted({cell["source"] for row in table.values() for cell in row.values()})
    corruptions = {
        corruption: {severity: _cell(cell) for severity, cell in row.items()} for corruption, row in table.items()
    }
    resolutions = tuple(
        ResolutionCell(*setting, cell=Cell(**store[_resolution_key(setting)])) for setting in settings.resolutions
    )
    clean = Cell(**store["clean"])
    seconds: dict[str, float] = {}
    for step in steps(work):
        part = step.key.split("/")[0]
        seconds[part] = seconds.get(part, 0.0) + store[step.key]["seconds"]
    plain = {setting: value for setting, value in settings.as_dict().items() if setting != "batch_size"}
    return Report(
        name=name,
        preprocessing=preprocessing,
        source=" and ".join(sources),
        count=clean.count,
        image_shape=tuple(int(side) for side in work.examples.images.shape[1:]),
        num_classes=work.num_classes,
        clean=clean,
        corruptions=corruptions,
        resolutions=resolutions,
        attacks=tuple(_joined(work, store, norm, epsilon) for norm, epsilon in _balls(work)),
        curves=tuple(_curve(work, store, clean, norm) for norm in settings.curve),
        doublings=tuple(_doubling(work, store, norm, epsilon) for norm, epsilon in _doubled(work)),
        settings=plain,
        made={key: value for key, value in made.items() if key not in ("name", "preprocessing", "settings")}
        | {"seconds": seconds, "batch_size": settings.batch_size},
        warnings=_warnings(clean, corruptions, resolutions),
    )


def _cell(values: dict[str, Any]) -> Cell:
    return Cell(**{key: value for key, value in values.items() if key != "source"})


def _corruption_key(name: str, severity: int) -> str:
    return f"corruption/{name}/{severity}"


def _resolution_key(setting: tuple[Any, ...]) -> str:
    return "resolution/" + "/".join(map(str, setting))


def _curve_key(norm: str, epsilon: float, num_steps: int) -> str:
    return f"curve/{norm}/{epsilon!r}/{num_steps}"


def _attack_key(norm: str, epsilon: float, chunk: int) -> str:
    return f"attack/{norm}/{epsilon!r}/{chunk}"


def _balls(work: Work) -> list[tuple[str, float]]:
    settings = work.settings
    return [(norm, epsilon) for norm, radii in settings.epsilons.items() for epsilon in radii] * bool(settings.attacks)


def _doubled(work: Work) -> list[tuple[str, float]]:
    """Where the steps are doubled: every ball under attack, in the norms that have a curve."""
    settings = work.settings
    return [(norm, radius) for norm, radii in settings.curve.items() for radius in settings.epsilons.get(norm) or radii]


def _joined(work: Work, store: Store, norm: str, epsilon: float) -> AttackResult:
    """The chunks of one ball as one result."""
    chunks = range(-(-work.settings.attack_count // ATTACK_CHUNK))
    parts = [store[_attack_key(norm, epsilon, chunk)] for chunk in chunks]

    def whole(masks: list[str]) -> str:
        unpacked_ = [unpacked(mask, part["count"]) for mask, part in zip(masks, parts, strict=True)]
        return packed(np.concatenate(unpacked_))

    return AttackResult(
        norm=norm,
        epsilon=epsilon,
        count=sum(part["count"] for part in parts),
        masks={name: whole([part["masks"][name] for part in parts]) for name in parts[0]["masks"]},
        robust=whole([part["robust"] for part in parts]),
        cumulative=parts[0]["cumulative"],
        kind=parts[0]["kind"],
        warnings=tuple(dict.fromkeys(sentence for part in parts for sentence in part["warnings"])),
        seconds=sum(part["seconds"] for part in parts),
    )


def _attack_name(work: Work) -> str:
    return "PGD" if work.defence is None else "the six ways of attacking a defence"


def _curve(work: Work, store: Store, clean: Cell, norm: str) -> Curve:
    settings = work.settings
    radii, count = settings.curve[norm], settings.curve_count
    start = dataclasses.replace(clean, correct=packed(clean.mask[:count]), count=count, ece=None, seconds=0.0)
    found = (start, *(Cell(**store[_curve_key(norm, epsilon, settings.curve_steps)]) for epsilon in radii))
    epsilons, chance = (0.0, *radii), 1 / work.num_classes
    full = full_radius(work.examples.images.shape[1:], norm)
    warnings = curve_warnings(epsilons, [cell.accuracy for cell in found], chance, full, _TOLERANCE)
    return Curve(norm, _attack_name(work), settings.curve_steps, epsilons, found, chance, full, warnings)


def _doubling(work: Work, store: Store, norm: str, epsilon: float) -> Doubling:
    num_steps = work.settings.curve_steps
    once, twice = (Cell(**store[_curve_key(norm, epsilon, times * num_steps)]) for times in (1, 2))
    warnings: tuple[str, ...] = ()
    if twice.accuracy < once.accuracy - _TOLERANCE:
        warnings = (
            f"twice the steps ({2 * num_steps} for {num_steps}) lower the accuracy from {once.accuracy:.1%} to "
            f"{twice.accuracy:.1%}: the attack of the curve has not converged.",
        )
    seconds = twice.seconds
    return Doubling(
        norm, _attack_name(work), epsilon, num_steps, once.count, once.accuracy, twice.accuracy, warnings, seconds
    )


def _warnings(
    clean: Cell, corruptions: dict[str, dict[int, Cell]], resolutions: tuple[ResolutionCell, ...]
) -> tuple[str, ...]:
    """Logits that were not finite."""
    named = [("clean", clean)]
    named += [(f"{name} {severity}", cell) for name, row in corruptions.items() for severity, cell in row.items()]
    named += [("low resolution", entry.cell) for entry in resolutions]
    return tuple(
        f"{name}: the logits of {cell.not_finite} of {cell.count} images were not finite; they count as wrong and are "
        "left out of the calibration error."
        for name, cell in named
        if cell.not_finite
    )
