"""The ε-curve finds out attacks that fail."""

import jax
import jax.numpy as jnp
import pytest

from isvs_jax.robustness.attacks import (
    curve_warnings,
    epsilon_curve,
    full_radius,
)

KEY = jax.random.key(8)


def test_a_sound_attack_takes_the_curve_to_chance(case):
    curve = epsilon_curve(
        case.logits_fn, case.images, case.labels, KEY, epsilons=[0.0, 0.02, 0.05, 0.5],
        num_steps=20, batch_size=5,
    )  # fmt: skip
    assert curve.accuracy[0] == 1.0
    assert curve.accuracy[-1] <= curve.chance == 0.2
    assert curve.warnings == ()


def test_rounding_the_input_is_found_out(case, rounding):
    labels = rounding(case.images).argmax(1)
    common = (rounding, case.images, labels, KEY)
    curve = epsilon_curve(*common, epsilons=[0.02, 0.1, 0.5], num_steps=5, random_start=False)
    assert curve.accuracy == (1.0, 1.0, 1.0)
    assert len(curve.warnings) == 1
    assert "turned into grey" in curve.warnings[0]
    seeing = epsilon_curve(*common, epsilons=[0.02, 0.1, 0.5], num_steps=20, gradient_fn=case.logits_fn)
    assert seeing.warnings == ()


def test_batches_change_no_accuracy_of_a_deterministic_walk(case):
    options = {"epsilons": [0.01, 0.03], "num_steps": 5, "random_start": False}
    common = (case.logits_fn, case.images, case.labels, KEY)
    whole = epsilon_curve(*common, **options)
    assert whole.accuracy == epsilon_curve(*common, **options, batch_size=5).accuracy


def test_warnings_of_curves():
    rises = curve_warnings([0.1, 0.2], [0.0, 0.1], chance=0.1, full=0.5)
    assert len(rises) == 1
    assert "rises with epsilon, from 0.0% at 0.1 to 10.0% at 0.2" in rises[0]
    short = curve_warnings([0.1, 0.2], [0.6, 0.5], chance=0.1, full=0.5)
    assert "go on to larger radii" in short[0]
    assert curve_warnings([0.1, 0.2], [0.6, 0.605], chance=0.7, full=0.5) == ()
    with pytest.raises(ValueError, match="it must increase"):
        curve_warnings([0.2, 0.1], [0.5, 0.5], chance=0.1, full=0.5)
    with pytest.raises(ValueError, match="lengths 1 and 1"):
        curve_warnings([0.2], [0.5], chance=0.1, full=0.5)


def test_at_the_full_radius_all_images_meet():
    images = jax.random.uniform(jax.random.key(0), (50, 4, 4, 3)).round()
    for norm in ("linf", "l2"):
        delta = (0.5 - images).reshape(50, -1)
        order = jnp.inf if norm == "linf" else 2
        largest = jnp.linalg.norm(delta, ord=order, axis=1).max()
        assert float(largest) == pytest.approx(full_radius((4, 4, 3), norm))
