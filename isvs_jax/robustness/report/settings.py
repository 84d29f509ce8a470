"""The settings of an evaluation, checked."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isvs_jax.robustness.attacks._norms import NORMS
from isvs_jax.robustness.attacks.autoattack import ATTACKS, VERSIONS
from isvs_jax.robustness.corruptions._tables import CATEGORIES, NUM_SEVERITIES
from isvs_jax.robustness.resolution import Resolution

Radii = Mapping[str, Sequence[float]] | Sequence[float]
STANDARD = VERSIONS["standard"]


@dataclass(frozen=True)
class Settings:
    """What is tested. The arguments of `evaluate` of the same names say what each is."""

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    parameters: str | int
    quantize: bool
    resolutions: tuple[Resolution, ...]
    attacks: tuple[str, ...]
    epsilons: dict[str, tuple[float, ...]]
    curve: dict[str, tuple[float, ...]]
    attack_count: int
    attack_steps: int
    attack_queries: int
    curve_count: int
    curve_steps: int
    individually: bool
    batch_size: int

    def as_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and strings, as JSON gives them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def checked(settings: Settings) -> Settings:
    """Refuse settings that do not exist, in sentences."""
    for name, values in (("corruptions", settings.corruptions), ("severities", settings.severities)):
        if len(set(values)) != len(values):
            raise ValueError(f"{name} is {values}; it may name each once.")
    unknown = [name for name in settings.corruptions if name not in CATEGORIES]
    if unknown:
        raise ValueError(f"corruptions has {', '.join(map(repr, unknown))}; it may have {', '.join(CATEGORIES)}.")
    if settings.corruptions and not settings.severities:
        raise ValueError("severities is empty; with corruptions it may have 1 to 5. For no corruptions, say so there.")
    for severity in settings.severities:
        if not isinstance(severity, int | np.integer) or not 1 <= severity <= NUM_SEVERITIES:
            raise ValueError(f"severities has {severity!r}; it may have integers 1 to {NUM_SEVERITIES}.")
    for attack in settings.attacks:
        if attack not in ATTACKS:
            raise ValueError(f"attacks has {attack!r}; it may have {', '.join(ATTACKS)}.")
    for name in ("attack_count", "attack_steps", "attack_queries", "curve_count", "curve_steps", "batch_size"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} is {value!r}; it may be an integer of at least 1.")
    return settings


def radii(name: str, given: Radii, increasing: bool = False) -> dict[str, tuple[float, ...]]:
    """Radii by norm; a plain sequence is of L∞."""
    by_norm = given if isinstance(given, Mapping) else {"linf": given}
    found = {norm: tuple(float(value) for value in values) for norm, values in by_norm.items() if len(values)}
    for norm, values in found.items():
        if norm not in NORMS:
            raise ValueError(f"{name} has the norm {norm!r}; it may have {', '.join(NORMS)}.")
        for value in values:
            if not (math.isfinite(value) and value > 0) or (norm == "linf" and value > 1):
                raise ValueError(
                    f"{name} has {value} for {norm}; images lie in [0, 1]: it may be above 0, and for linf at most 1."
                )
        if len(set(values)) != len(values):
            raise ValueError(f"{name} is {values}; it may name each radius once.")
        if increasing and list(values) != sorted(values):
            raise ValueError(f"{name} is {values}; it may be increasing.")
    return found
