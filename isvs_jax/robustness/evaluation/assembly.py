"""The report that finished cells add up to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from isvs_jax.robustness.attacks import curve_warnings, doubling_warnings, full_radius
from isvs_jax.robustness.evaluation import plan
from isvs_jax.robustness.evaluation.attack_cells import ATTACK_CHUNK, attacks_of, mask_warnings
from isvs_jax.robustness.evaluation.cells import Work
from isvs_jax.robustness.evaluation.reach import attack_reaches, pgd_reach
from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.results import (
    AttackResult,
    Cell,
    Curve,
    Doubling,
    ResolutionCell,
    StepReach,
    packed,
    unpacked,
)
from isvs_jax.robustness.evaluation.store import Store
from isvs_jax.robustness.evaluation.text import grouped, radius

# What an accuracy may rise with ε, or fall with twice the steps, without a warning.
_TOLERANCE = 0.01
SIX_WAYS = "the six ways of attacking a defence"


def assemble(work: Work, store: Store, name: str, preprocessing: str, made: dict[str, Any]) -> Report:
    """The report of finished cells."""
    settings = work.settings
    table = {
        corruption: {severity: store[plan.corruption_key(corruption, severity)] for severity in settings.severities}
        for corruption in settings.corruptions
    }
    sources = sorted({cell["source"] for row in table.values() for cell in row.values()})
    corruptions = {
        corruption: {severity: _cell(cell) for severity, cell in row.items()} for corruption, row in table.items()
    }
    resolutions = tuple(
        ResolutionCell(*setting, cell=_cell(store[plan.resolution_key(setting)])) for setting in settings.resolutions
    )
    clean = _cell(store["clean"])
    seconds: dict[str, float] = {}
    for step in plan.steps(work, store):
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
        attacks=tuple(_joined(work, store, norm, epsilon) for norm, epsilon in plan.balls(work)),
        curves=tuple(_curve(work, store, clean, norm) for norm in settings.curve),
        doublings=(
            *(_attack_doubling(work, store, norm, epsilon) for norm, epsilon in plan.doubled_balls(work)),
            *(_curve_doubling(work, store, norm, epsilon) for norm, epsilon in plan.doubled_on_curve(work)),
        ),
        settings=plain,
        made={key: value for key, value in made.items() if key not in ("name", "preprocessing", "settings")}
        | {"seconds": seconds, "batch_size": settings.batch_size},
        warnings=_warnings(clean, corruptions, resolutions),
    )


def _cell(values: dict[str, Any]) -> Cell:
    known = {key: value for key, value in values.items() if key != "source"}
    return Cell(**known | {"warnings": tuple(values["warnings"])})


def _joined(work: Work, store: Store, norm: str, epsilon: float) -> AttackResult:
    """The chunks of one ball as one result."""
    parts = [store[plan.attack_key(norm, epsilon, chunk)] for chunk in plan.chunks(work)]

    def whole(masks: list[str]) -> np.ndarray:
        unpacked_ = [unpacked(mask, part["count"]) for mask, part in zip(masks, parts, strict=True)]
        return np.concatenate(unpacked_)

    masks = {name: whole([part["masks"][name] for part in parts]) for name in parts[0]["masks"]}
    settings = work.settings
    reaches = attack_reaches(attacks_of(work), settings.attack_steps, settings.attack_queries)
    said = _said(parts) + mask_warnings(work, masks) + [text for reach in reaches for text in reach.warnings]
    return AttackResult(
        norm=norm,
        epsilon=epsilon,
        count=sum(part["count"] for part in parts),
        masks={name: packed(mask) for name, mask in masks.items()},
        robust=packed(whole([part["robust"] for part in parts])),
        cumulative=work.defence is not None or not settings.individually,
        kind="attacks" if work.defence is None else "defence",
        reaches=reaches,
        warnings=tuple(dict.fromkeys(said)),
        seconds=sum(part["seconds"] for part in parts),
    )


def _said(parts: list[dict[str, Any]]) -> list[str]:
    """The warnings of chunks; what only some of them say, with the images that it is of."""
    everywhere = [text for text in parts[0]["warnings"] if all(text in part["warnings"] for part in parts)]
    found = list(everywhere)
    for chunk, part in enumerate(parts):
        first = chunk * ATTACK_CHUNK
        place = f"images {first} to {first + part['count'] - 1}: "
        found += [place + text for text in part["warnings"] if text not in everywhere]
    return found


def _curve(work: Work, store: Store, clean: Cell, norm: str) -> Curve:
    settings = work.settings
    radii, count = settings.curve[norm], settings.curve_count
    start = dataclasses.replace(clean, correct=packed(clean.mask[:count]), count=count, ece=None, seconds=0.0)
    cells = [_cell(store[plan.curve_key(norm, epsilon, settings.curve_steps)]) for epsilon in radii]
    found, epsilons, chance = (start, *cells), (0.0, *radii), 1 / work.num_classes
    full = full_radius(work.examples.images.shape[1:], norm)
    reaches = _curve_reaches(work, settings.curve_steps)
    warnings = [*curve_warnings(epsilons, [cell.accuracy for cell in found], chance, full, _TOLERANCE)]
    said = [(radius(epsilon), text) for epsilon, cell in zip(radii, cells, strict=True) for text in cell.warnings]
    warnings += [f"ε = {where}: {text}" for where, text in grouped(said)]
    warnings += [text for reach in reaches for text in reach.warnings]
    return Curve(
        norm, _curve_attack(work), settings.curve_steps, epsilons, found, chance, full, reaches, tuple(warnings)
    )


def _curve_attack(work: Work) -> str:
    return "PGD" if work.defence is None else SIX_WAYS


def _curve_reaches(work: Work, num_steps: int) -> tuple[StepReach, ...]:
    if work.defence is None:
        return (pgd_reach(num_steps),)
    return attack_reaches(attacks_of(work), num_steps, work.settings.attack_queries)


def _attack_doubling(work: Work, store: Store, norm: str, epsilon: float) -> Doubling:
    settings, held = work.settings, plan.first_robust(work, store, norm, epsilon)
    twice = _cell(store[plan.doubling_key(norm, epsilon)])
    attack = ", ".join(settings.attacks) if work.defence is None else SIX_WAYS
    asks = "square" in attacks_of(work)
    reaches = attack_reaches(attacks_of(work), 2 * settings.attack_steps, 2 * settings.attack_queries)
    queries = settings.attack_queries if asks else None
    return _doubling((norm, attack, epsilon), settings.attack_steps, queries, held, twice, reaches)


def _curve_doubling(work: Work, store: Store, norm: str, epsilon: float) -> Doubling:
    num_steps = work.settings.curve_steps
    once, twice = (_cell(store[plan.curve_key(norm, epsilon, times * num_steps)]) for times in (1, 2))
    reaches = _curve_reaches(work, 2 * num_steps)
    twice = dataclasses.replace(twice, correct=packed(once.mask & twice.mask))
    return _doubling((norm, _curve_attack(work), epsilon), num_steps, None, once.mask, twice, reaches)


def _doubling(
    what: tuple[str, str, float],
    num_steps: int,
    num_queries: int | None,
    once: np.ndarray,
    twice: Cell,
    reaches: tuple[StepReach, ...],
) -> Doubling:
    accuracy, doubled = float(once.mean()), twice.accuracy
    named = "steps" if num_queries is None else "steps and queries"
    warnings = doubling_warnings(num_steps, accuracy, doubled, _TOLERANCE, named) + twice.warnings
    norm, attack, epsilon = what
    return Doubling(
        norm=norm,
        attack=attack,
        epsilon=epsilon,
        num_steps=num_steps,
        num_queries=num_queries,
        count=len(once),
        accuracy=accuracy,
        accuracy_doubled=doubled,
        reaches=reaches,
        warnings=warnings,
        seconds=twice.seconds,
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
