"""The groups of settings check themselves, and keep Python's own numbers."""

import json
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness import VALIDATION_CORRUPTIONS, Attacks, Corruptions, HardStopChecks, Resolution, Resources
from isvs_jax.robustness.evaluation.fit import chosen


@pytest.mark.parametrize(
    ("group", "changes", "kind", "said"),
    [
        (Corruptions, {"names": ("rain",)}, ValueError, r"corruptions.names must be a sequence of .*; got \('rain',\)"),
        (Corruptions, {"names": "fog"}, TypeError, "corruptions.names must be a sequence of .*; got 'fog'"),
        (Corruptions, {"names": ("fog", "fog")}, ValueError, "corruptions.names must be .* each at most once"),
        (Corruptions, {"severities": 3}, TypeError, "corruptions.severities must be a sequence of integers .*; got 3"),
        (Corruptions, {"severities": (0,)}, ValueError, "each of corruptions.severities must be .* 1 to 5; got 0"),
        (Corruptions, {"severities": (1.5,)}, TypeError, "each of corruptions.severities must be .*; got 1.5"),
        (Corruptions, {"severities": ()}, ValueError, "corruptions.severities must be one or more"),
        (Corruptions, {"table": 48}, ValueError, "corruptions.table must be one of 'auto', 32, 64, 224; got 48"),
        (Corruptions, {"read": "folder"}, TypeError, "corruptions.read must be a function"),
        (Attacks, {"names": ("pgd-hard",)}, ValueError, r"attacks.names must be a sequence of .*; got \('pgd-hard',\)"),
        (Attacks, {"names": ("apgd-ce", "apgd-ce")}, ValueError, "attacks.names must be .* each at most once"),
        (Attacks, {"epsilons": 8 / 255}, TypeError, "attacks.epsilons must be a sequence of radii; got 0.03"),
        (Attacks, {"epsilons": (8.0,)}, ValueError, "each of attacks.epsilons must be .*; got 8. .* write 8 / 255"),
        (Attacks, {"epsilons": ("8/255",)}, TypeError, "each of attacks.epsilons must be .*; got '8/255'"),
        (Attacks, {"epsilons": {"linf": (0.1,)}}, TypeError, "attacks.epsilons must be a sequence of radii"),
        (Attacks, {"epsilons_l2": (0.0,)}, ValueError, "each of attacks.epsilons_l2 must be .* > 0; got 0"),
        (Attacks, {"count": 0}, ValueError, "attacks.count must be an integer of at least 1; got 0"),
        (Attacks, {"num_steps": 2.5}, TypeError, "attacks.num_steps must be an integer of at least 1; got 2.5"),
        (Attacks, {"num_queries": True}, TypeError, "attacks.num_queries must be an integer"),
        (HardStopChecks, {"curve": (0.2, 0.1)}, ValueError, "checks.curve must be increasing"),
        (HardStopChecks, {"curve": 0.5}, TypeError, "checks.curve must be a sequence of radii; got 0.5"),
        (HardStopChecks, {"num_steps": 0}, ValueError, "checks.num_steps must be an integer"),
        (Resources, {"batch_size": 0}, ValueError, "resources.batch_size must be an integer of at least 1; got 0"),
        (Resources, {"devices": 1}, TypeError, "resources.devices must be a sequence of devices; got 1"),
        (Resources, {"devices": ()}, TypeError, "resources.devices must be one or more"),
    ],
)
def test_what_does_not_exist_is_refused(group: Any, changes: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        group(**changes)


def test_numbers_of_numpy_become_python_s() -> None:
    settings = chosen(
        Corruptions(names=np.array(["fog"]).tolist(), severities=np.arange(1, 3), table=np.int64(64)),  # type: ignore[arg-type]
        [Resolution(2)],
        Attacks(epsilons=np.array([0.1, 0.2]), count=np.int64(7), num_steps=np.int32(3)),  # type: ignore[arg-type]
        HardStopChecks(curve=list(np.float32([0.25, 0.5])), count=np.int64(9)),  # type: ignore[arg-type]
        count=5,
    )
    plain = settings.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["corruptions"] == {"names": ["fog"], "severities": [1, 2], "table": 64, "quantize": False}
    # Of how many images a figure is, not of how many it was asked to be.
    assert (plain["attacks"]["count"], plain["checks"]["count"], plain["attacks"]["num_steps"]) == (5, 5, 3)
    assert plain["checks"]["curve"] == [0.25, 0.5]


def test_none_leaves_a_group_out() -> None:
    settings = chosen(None, (), None, None, count=5)
    assert settings.corruptions.names == ()
    assert settings.attacks.balls == []
    assert settings.checks.curves == {}
    assert not settings.checks.doubling


def test_the_validation_corruptions_are_names_too() -> None:
    assert Corruptions(VALIDATION_CORRUPTIONS).names == VALIDATION_CORRUPTIONS
