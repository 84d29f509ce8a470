"""RobustBench's fields, for reports of what it asks for and for no others."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isvs_jax.robustness import CORRUPTIONS, Attacks
from isvs_jax.robustness.evaluation import (
    AttackResult,
    Cell,
    Report,
    packed,
    robustbench_entry,
    write_robustbench_entry,
)
from isvs_jax.robustness.evaluation.fit import chosen

ABOUT: dict[str, Any] = {
    "dataset": "cifar10",
    "title": "A title",
    "authors": "A. Author, B. Author",
    "link": "https://arxiv.org/abs/0000.00000",
    "venue": "Unpublished",
    "architecture": "ResNet-20",
    "additional_data": False,
}
# The fields of model_info/cifar10/Linf/Bartoldson2024Adversarial_WRN-94-16.json at RobustBench's commit ae5814d290.
FIELDS = {
    "link": str,
    "name": str,
    "authors": str,
    "additional_data": bool,
    "number_forward_passes": int,
    "dataset": str,
    "venue": str,
    "architecture": str,
    "eps": str,
    "clean_acc": str,
    "reported": str,
    "autoattack_acc": str,
    "footnote": str,
    "unreliable": bool,
}


def cell(right: int, count: int = 10_000) -> Cell:
    return Cell(packed(np.arange(count) < right), count)


@pytest.fixture(scope="module")
def whole() -> Report:
    settings = chosen(None, (), Attacks(epsilons=(8 / 255,), count=10_000), None, 10_000).as_dict()
    table = {name: {severity: cell(9000) for severity in (1, 2, 3, 4, 5)} for name in CORRUPTIONS}
    attack = AttackResult("linf", 8 / 255, cell(5012))
    return Report("x", "", "official", 10_000, (32, 32, 3), 10, cell(8734), table, attacks=(attack,), settings=settings)


def test_an_entry_has_the_fields_of_the_leaderboard(whole: Report, tmp_path: Path) -> None:
    entry = write_robustbench_entry(whole, tmp_path / "entry.json", threat="Linf", footnote="A note.", **ABOUT)
    assert json.loads((tmp_path / "entry.json").read_text()) == entry
    assert {name: type(value) for name, value in entry.items()} == FIELDS
    shown = (entry["eps"], entry["clean_acc"], entry["autoattack_acc"], entry["reported"], entry["unreliable"])
    assert shown == ("8/255", "87.34", "50.12", "50.12", False)
    corrupted = robustbench_entry(whole, threat="corruptions", reported=91.0, **ABOUT)
    assert (corrupted["eps"], corrupted["corruptions_acc"], corrupted["reported"]) == (None, "90.00", "91.00")
    assert "autoattack_acc" not in corrupted
    warned = dataclasses.replace(whole.attacks[0], worst=dataclasses.replace(cell(5012), warnings=("It fails.",)))
    assert robustbench_entry(dataclasses.replace(whole, attacks=(warned,)), threat="Linf", **ABOUT)["unreliable"]


@pytest.mark.parametrize(
    ("change", "threat", "said"),
    [
        ({"attacks": ()}, "Linf", "no attack within L∞, ε = 8/255"),
        (
            {"attacks": (AttackResult("linf", 8 / 255, cell(500, 1000)),)},
            "Linf",
            "1,000 images under attack for 10,000",
        ),
        ({"count": 1000}, "Linf", "1,000 images for 10,000"),
        ({"made": {"defence": "rounding"}}, "Linf", "a defence before the network"),
        ({}, "L2", "no attack within L2, ε = 0.5"),
        ({"source": "regenerated"}, "corruptions", "regenerated corruptions for the published files"),
        ({"num_classes": 100}, "corruptions", "100 classes for 10"),
    ],
)
def test_what_is_not_the_leaderboard_s_is_refused(
    whole: Report, change: dict[str, Any], threat: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        write_robustbench_entry(dataclasses.replace(whole, **change), tmp_path / "x.json", threat=threat, **ABOUT)
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(("key", "value"), [("names", ["apgd-ce", "square"]), ("num_steps", 20), ("num_queries", 100)])
def test_a_weaker_attack_is_refused(whole: Report, key: str, value: Any) -> None:
    settings = whole.settings | {"attacks": whole.settings["attacks"] | {key: value}}
    with pytest.raises(ValueError, match="of the standard AutoAttack"):
        robustbench_entry(dataclasses.replace(whole, settings=settings), threat="Linf", **ABOUT)


def test_leaderboards_that_do_not_exist_are_refused(whole: Report) -> None:
    with pytest.raises(ValueError, match="threat must be one that RobustBench has for imagenet"):
        robustbench_entry(whole, threat="L2", **ABOUT | {"dataset": "imagenet"})
    with pytest.raises(ValueError, match="dataset must be one of 'cifar10'"):
        robustbench_entry(whole, threat="Linf", **ABOUT | {"dataset": "mnist"})
