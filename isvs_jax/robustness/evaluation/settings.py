"""The settings of an evaluation, checked."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.robustness.adaptive import check_gradient_attacks
from isvs_jax.robustness.attacks._autoattack import ATTACKS, VERSIONS
from isvs_jax.robustness.attacks._losses import CLASSES_NEEDED
from isvs_jax.robustness.attacks._norms import NORMS
from isvs_jax.robustness.attacks._square import check_square_size
from isvs_jax.robustness.corruptions._tables import CATEGORIES, NUM_SEVERITIES, TABLE_SIZES
from isvs_jax.robustness.resolution import Resolution, low_resolution

Radii = Mapping[str, Sequence[float]] | Sequence[float]
STANDARD = VERSIONS["standard"]
# Losses of attacks that are not defined for two classes.
_LOSSES = {"apgd-t": "targeted_dlr", "apgd-dlr": "dlr"}


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
    doubling: bool
    batch_size: int

    def as_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and strings, as JSON gives them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def checked(settings: Settings) -> Settings:
    """Refuse settings that do not exist, in sentences."""
    for name in ("corruptions", "severities", "resolutions", "attacks"):
        values = getattr(settings, name)
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
    if settings.parameters not in ("auto", *TABLE_SIZES):
        sizes = ", ".join(map(str, TABLE_SIZES))
        raise ValueError(f"table is {settings.parameters!r}; it may be 'auto', {sizes}.")
    for name in ("attack_count", "attack_steps", "attack_queries", "curve_count", "curve_steps", "batch_size"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} is {value!r}; it may be an integer of at least 1.")
    return settings


def check_fit(settings: Settings, shape: Sequence[int], num_classes: int, defended: bool) -> None:
    """Refuse settings that images [H, W, C], so few classes or a defence do not allow, before any of the work."""
    for setting in settings.resolutions:
        _check_resolution(setting, shape)
    for attack in settings.attacks:
        needed = CLASSES_NEEDED[_LOSSES.get(attack, "margin")]
        if num_classes < needed:
            raise ValueError(
                f"attacks has {attack!r}, which needs at least {needed} classes; the model has {num_classes}. It may "
                "have 'apgd-ce', 'apgd-margin', 'fab-t' and 'square'."
            )
    if "l2" in {**settings.epsilons, **settings.curve} and ("square" in settings.attacks or defended):
        check_square_size(jnp.zeros((1, *shape)), "l2")
    if defended and (settings.attacks or settings.curve):
        check_gradient_attacks(settings.attacks)


def _check_resolution(setting: Resolution, shape: Sequence[int]) -> None:
    try:
        jax.eval_shape(
            lambda images: low_resolution(
                images, setting.factor, down=setting.down, up=setting.up, jpeg_quality=setting.jpeg_quality
            ),
            jax.ShapeDtypeStruct((1, *shape), np.float32),
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"resolutions has {tuple(setting)}, which images of {shape[0]}×{shape[1]} pixels do not allow: {error}."
        ) from error


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
