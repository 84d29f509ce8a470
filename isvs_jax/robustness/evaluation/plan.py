"""Which cells an evaluation is made of, in which order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax.robustness.evaluation import attack_cells, cells
from isvs_jax.robustness.evaluation.attack_cells import ATTACK_CHUNK
from isvs_jax.robustness.evaluation.cells import Told, Work
from isvs_jax.robustness.evaluation.results import unpacked
from isvs_jax.robustness.evaluation.store import Store

Ball = tuple[str, float]
"""A norm and a radius."""


@dataclass(frozen=True)
class Step:
    """One cell: its key in the store, and the function that makes it."""

    key: str
    make: Callable[[Told], dict[str, Any]]


def steps(work: Work, store: Store) -> list[Step]:
    """All cells of an evaluation, the table first; those of doubled steps read what their attacks left in the store."""
    settings = work.settings
    found = [Step("clean", functools.partial(cells.clean_cell, work))]
    for name in settings.corruptions:
        for severity in settings.severities:
            make = functools.partial(cells.corruption_cell, work, name, severity)
            found.append(Step(corruption_key(name, severity), make))
    for setting in settings.resolutions:
        make = functools.partial(cells.resolution_cell, work, setting)
        found.append(Step(resolution_key(setting), make))
    doubled = set(doubled_on_curve(work))
    for norm, radii in settings.curve.items():
        for epsilon in radii:
            for times in (1, 2) if (norm, epsilon) in doubled else (1,):
                num_steps = times * settings.curve_steps
                make = functools.partial(attack_cells.curve_cell, work, norm, epsilon, num_steps)
                found.append(Step(curve_key(norm, epsilon, num_steps), make))
    for norm, epsilon in balls(work):
        for chunk in chunks(work):
            make = functools.partial(attack_cells.attack_cell, work, norm, epsilon, chunk)
            found.append(Step(attack_key(norm, epsilon, chunk), make))
    for norm, epsilon in doubled_balls(work):
        robust = functools.partial(first_robust, work, store, norm, epsilon)
        make = functools.partial(attack_cells.doubling_cell, work, norm, epsilon, robust)
        found.append(Step(doubling_key(norm, epsilon), make))
    return found


def corruption_key(name: str, severity: int) -> str:
    """Of a cell of the table."""
    return f"corruption/{name}/{severity}"


def resolution_key(setting: tuple[Any, ...]) -> str:
    """Of a cell of low resolution."""
    return "resolution/" + "/".join(map(str, setting))


def curve_key(norm: str, epsilon: float, num_steps: int) -> str:
    """Of a point of the ε-curve."""
    return f"curve/{norm}/{epsilon!r}/{num_steps}"


def attack_key(norm: str, epsilon: float, chunk: int) -> str:
    """Of a chunk under attack."""
    return f"attack/{norm}/{epsilon!r}/{chunk}"


def doubling_key(norm: str, epsilon: float) -> str:
    """Of a ball under attack with twice the steps."""
    return f"doubling/{norm}/{epsilon!r}"


def balls(work: Work) -> list[Ball]:
    """Where the attacks run."""
    settings = work.settings
    return [(norm, epsilon) for norm, radii in settings.epsilons.items() for epsilon in radii] * bool(settings.attacks)


def chunks(work: Work) -> range:
    """Numbers of the chunks of attacked images."""
    return range(-(-work.settings.attack_count // ATTACK_CHUNK))


def doubled_balls(work: Work) -> list[Ball]:
    """Where the attacks run with twice the steps: in every ball."""
    return balls(work) if work.settings.doubling else []


def doubled_on_curve(work: Work) -> list[Ball]:
    """Where the attack of the ε-curve runs with twice the steps: at its radii in norms that have no ball."""
    attacked = {norm for norm, _ in balls(work)}
    curve = work.settings.curve.items() if work.settings.doubling else ()
    return [(norm, epsilon) for norm, radii in curve if norm not in attacked for epsilon in radii]


def first_robust(work: Work, store: Store, norm: str, epsilon: float) -> np.ndarray:
    """Which of the first attacked examples, as many as the ε-curve has, held."""
    parts = [store[attack_key(norm, epsilon, chunk)] for chunk in chunks(work)]
    whole = np.concatenate([unpacked(part["robust"], part["count"]) for part in parts])
    return whole[: work.settings.curve_count]
