"""Objectives and batches that do not fit are refused before any work."""

from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.training.objective import Objective, make_loss

IMAGES = np.zeros((6, 3, 4, 4, 1), np.float32)
LABELS = np.zeros(6, np.int32)
KEYS = jax.random.split(jax.random.key(0), 6)


def untouched(params: Any, seen: Any, images: jax.Array, train: bool) -> tuple[jax.Array, Any]:
    """A network that nobody asks."""
    raise AssertionError("no network may be asked")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": "other"}, "name must be one of 'cross_entropy', .*; got 'other'"),
        ({"name": "trades", "weight": -1.0}, r"weight must be a finite number ≥ 0; got -1\.0"),
        ({"name": "trades", "weight": float("inf")}, "weight must be a finite number ≥ 0; got inf"),
        ({"weight": 1.0}, r"weight must be None for 'cross_entropy', which has no second term; got 1\.0"),
        ({"weighting": "energy"}, "weighting must be 'even' for 'cross_entropy', as only 'trades' has others"),
        ({"epsilon": 1.1}, r"epsilon must be a number in \[0, 1\]; got 1\.1"),
        ({"epsilon": -0.1}, r"epsilon must be a number in \[0, 1\]; got -0\.1"),
        ({"epsilon": float("nan")}, r"epsilon must be a number in \[0, 1\]; got nan"),
        ({"attack_steps": 0}, "attack_steps must be an integer of at least 1; got 0"),
        ({"attack_step_size": 0.0}, r"attack_step_size must be a finite number > 0; got 0\.0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Objective(**arguments)


def test_numbers_that_are_no_integers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"attack_steps must be an integer of at least 1; got 2\.5"):
        Objective(attack_steps=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\); got 1"):
        make_loss(Objective(), label_smoothing=1)


@pytest.mark.parametrize(
    ("name", "images", "labels", "keys", "named"),
    [
        ("cross_entropy", IMAGES[:, 0], LABELS, KEYS, r"images must be \[B, K, H, W, C\]; got shape"),
        (
            "cross_entropy",
            IMAGES,
            LABELS[:2],
            KEYS,
            r"labels must have shape \(6,\), one for each example; got shape \(2,\)",
        ),
        (
            "cross_entropy",
            IMAGES,
            LABELS,
            KEYS[:2],
            r"keys must have shape \(6,\), one for each example; got shape \(2,\)",
        ),
        ("consistency", IMAGES[:, :1], LABELS, KEYS, "K must be 2 or more for the objective 'consistency', .*; got 1"),
        ("augmix", IMAGES, LABELS, KEYS, "K must be 1 for the objective .*; got 3"),
        ("adversarial", IMAGES, LABELS, KEYS, "K must be 1 for the objective .*; got 3"),
        ("trades", IMAGES, LABELS, KEYS, "K must be 1 for the objective .*; got 3"),
    ],
)
def test_batches_that_do_not_fit_are_refused(name: Any, images: Any, labels: Any, keys: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_loss(Objective(name))(untouched, {}, {}, images, labels, keys)
