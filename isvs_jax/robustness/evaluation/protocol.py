"""The protocols by name, and what an evaluation leaves out of the standard one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from isvs_jax._checks import check_choice
from isvs_jax.robustness.evaluation.fit import Settings, chosen
from isvs_jax.robustness.evaluation.settings import EPSILONS, Attacks, Corruptions, HardStopChecks
from isvs_jax.robustness.resolution import RESOLUTIONS, Resolution
from isvs_jax.robustness.text import listed

Name = Literal["standard", "quick"]

# The settings that may be chosen in any protocol: they say what is asked, not how hard it is tried.
_FREE = ("attacks.epsilons", "attacks.epsilons_l2", "checks.curve", "checks.curve_l2", "corruptions.table")


def standard() -> dict[str, Any]:
    """The arguments of `evaluate` for the standard protocol, which are also their defaults.

    All images, fifteen corruptions at five severities, twelve settings of low resolution; the four attacks of
    AutoAttack on 1,000 images at three radii; an ε-curve, and every attack with twice the steps.

    Example:
        >>> sorted(standard())
        ['attacks', 'checks', 'corruptions', 'count', 'resolutions']
    """
    return {
        "count": None,
        "corruptions": Corruptions(),
        "resolutions": RESOLUTIONS,
        "attacks": Attacks(),
        "checks": HardStopChecks(),
    }


def quick() -> dict[str, Any]:
    """The arguments of `evaluate` for a look that takes minutes: evaluate(..., **quick()).

    The first 200 images, fifteen corruptions at severities 1, 3 and 5, two settings of low resolution; APGD and Square
    on 50 images at two radii, with few steps and queries; a short ε-curve, and nothing with twice the steps. A robust
    accuracy of so weak an attack shows that a model is not robust, and never that it is.

    Example:
        >>> quick()["corruptions"].severities, quick()["count"]
        ((1, 3, 5), 200)
    """
    return {
        "count": 200,
        "corruptions": Corruptions(severities=(1, 3, 5)),
        "resolutions": (Resolution(2), Resolution(4)),
        "attacks": Attacks(("apgd-ce", "square"), (EPSILONS[0], EPSILONS[-1]), count=50, num_steps=20, num_queries=100),
        "checks": HardStopChecks((*EPSILONS, 0.5), count=50, num_steps=10, doubling=False),
    }


def arguments_of(name: str) -> dict[str, Any]:
    """The arguments of `evaluate` for a protocol by its name, "standard" or "quick".

    Raises:
        ValueError: There is no such protocol.
    """
    check_choice("protocol", name, ("standard", "quick"))
    return quick() if name == "quick" else standard()


def protocol_name(settings: Mapping[str, Any], count: int) -> Name | None:
    """The protocol of the settings of a report of so many images, whatever its radii; None where it is another."""
    names: tuple[Name, ...] = ("standard", "quick")
    for name in names:
        given = {key: value for key, value in arguments_of(name).items() if key != "count"}
        if not _differing(settings, chosen(**given, count=count)):
            return name
    return None


def left_out(settings: Mapping[str, Any], count: int, given: int | None) -> list[str]:
    """What an evaluation leaves out of the standard protocol, as phrases.

    Args:
        settings: The settings of a report.
        count: The number of images that were tested.
        given: The number of images that there were, where it is known.

    Example:
        >>> settings = chosen(None, (), None, None, 50).as_dict()
        >>> left_out(settings, 50, 100)
        ['50 of the 100 images', 'no corruptions', 'no low resolution', 'no attacks', 'no ε-curve', 'no doubled steps']
    """
    usual = chosen(**{key: value for key, value in standard().items() if key != "count"}, count=count).as_dict()
    found = [f"{count} of the {given} images"] if given is not None and given > count else []
    found += _less_corrupted(settings.get("corruptions", {}), usual["corruptions"])
    resolutions = settings.get("resolutions", [])
    if len(resolutions) < len(usual["resolutions"]):
        some = f"{len(resolutions)} of {len(usual['resolutions'])} settings of low resolution"
        found.append(some if resolutions else "no low resolution")
    return found + _less_attacked(settings.get("attacks", {}), settings.get("checks", {}), usual)


def _less_corrupted(here: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    if not here.get("names"):
        return ["no corruptions"]
    names = [name for name in usual["names"] if name in here["names"]]
    found = [] if len(names) == len(usual["names"]) else [f"{len(names)} of {len(usual['names'])} corruptions"]
    severities = here.get("severities", [])
    return found + ([] if len(severities) == 5 else [f"severities {listed(severities)} of 1 to 5"])


def _less_attacked(here: Mapping[str, Any], checks: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    names = here.get("names") if here.get("epsilons") or here.get("epsilons_l2") else []
    found = [] if names else ["no attacks"]
    if names:
        missing = [name for name in usual["attacks"]["names"] if name not in names]
        found += [f"without {listed(missing)}"] if missing else []
        spent = {"count": "images under attack", "num_steps": "steps", "num_queries": "queries of Square"}
        for key, what in spent.items():
            if here.get(key, 0) < usual["attacks"][key] and (key != "num_queries" or "square" in names):
                found.append(f"{here.get(key)} of {usual['attacks'][key]} {what}")
    if not (checks.get("curve") or checks.get("curve_l2")):
        found.append("no ε-curve")
    else:
        for key, what in (("count", "images"), ("num_steps", "steps")):
            if checks.get(key, 0) < usual["checks"][key]:
                found.append(f"{checks.get(key)} of {usual['checks'][key]} {what} in the ε-curve")
    return found + ([] if checks.get("doubling") else ["no doubled steps"])


def _differing(settings: Mapping[str, Any], usual: Settings) -> bool:
    expected = usual.as_dict()
    for group in ("corruptions", "attacks", "checks"):
        here = settings.get(group, {})
        if any(here.get(key) != value for key, value in expected[group].items() if f"{group}.{key}" not in _FREE):
            return True
    return settings.get("resolutions") != expected["resolutions"]
