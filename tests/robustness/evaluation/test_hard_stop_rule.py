"""The hard stop rule, read from accuracies: what it passes, what it stops, and what it asks of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness import curve_warnings, doubling_warnings, full_radius, step_reach
from isvs_jax.robustness.evaluation import Cell, packed
from isvs_jax.robustness.evaluation.hard_stop_rule import judge_curve, judge_doubling


def cell(*right: int, warnings: tuple[str, ...] = ()) -> Cell:
    return Cell(packed(np.array(right, bool)), len(right), warnings=warnings)


def test_warnings_of_curves():
    rises = curve_warnings([0.1, 0.2], [0.0, 0.1], chance=0.1, full=0.5)
    assert len(rises) == 1
    assert "rises with epsilon, from 0.0% at 0.1 to 10.0% at 0.2" in rises[0]
    short = curve_warnings([0.1, 0.2], [0.6, 0.5], chance=0.1, full=0.5)
    assert "go on to larger radii" in short[0]
    assert curve_warnings([0.1, 0.2], [0.6, 0.605], chance=0.7, full=0.5) == ()
    with pytest.raises(ValueError, match=r"epsilons must be increasing; got \(0.2, 0.1\)"):
        curve_warnings([0.2, 0.1], [0.5, 0.5], chance=0.1, full=0.5)
    with pytest.raises(ValueError, match="epsilons must have at least 2 radii; got 1"):
        curve_warnings([0.2], [0.5], chance=0.1, full=0.5)
    with pytest.raises(ValueError, match="accuracy must have a value for each of 2 radii; got 1"):
        curve_warnings([0.1, 0.2], [0.5], chance=0.1, full=0.5)


def test_a_curve_says_what_its_attacks_said_and_where():
    cells = [cell(1, 1), cell(1, 0, warnings=("it fails.", "once.")), cell(0, 0, warnings=("it fails.",))]
    curve = judge_curve("linf", "PGD", 5, (0.0, 2 / 255, 0.5), cells, chance=0.5, shape=(4, 4, 3))
    assert curve.accuracy == (1.0, 0.5, 0.0)
    assert curve.full_radius == 0.5
    assert curve.warnings == ("ε = 2/255; 0.5: it fails.", "ε = 2/255: once.")


def test_what_either_number_of_steps_breaks_is_broken():
    once, twice = np.array([1, 1, 0, 0], bool), cell(0, 1, 1, 0, warnings=("it fails.",))
    check = judge_doubling("l2", "square", 0.5, 10, 100, once, twice)
    assert (check.count, check.accuracy, check.accuracy_doubled) == (4, 0.5, 0.25)
    rule, own = check.warnings
    assert "twice the steps and queries (20 for 10) lower the accuracy from 50.0% to 25.0%" in rule
    assert own == "it fails."
    # Shares of examples: a difference of just the tolerance is none.
    assert doubling_warnings(40, 0.07, 0.06) == ()


def test_at_the_full_radius_all_images_meet():
    images = jax.random.uniform(jax.random.key(0), (50, 4, 4, 3)).round()
    for norm in ("linf", "l2"):
        delta = (0.5 - images).reshape(50, -1)
        order = jnp.inf if norm == "linf" else 2
        largest = jnp.linalg.norm(delta, ord=order, axis=1).max()
        assert float(largest) == pytest.approx(full_radius((4, 4, 3), norm))


def test_reach_is_said():
    assert step_reach(10, 0.25, 1.0).warnings == ()
    assert "cannot reach" in step_reach(10, 0.05, 1.0).warnings[0]
    assert "far side" in step_reach(10, 0.15, 1.0).warnings[0]
    assert step_reach(10, 0.15, 1.0, random_start=False).warnings == ()
    with pytest.raises(ValueError, match="epsilon must be a finite number > 0; got 0"):
        step_reach(10, 0.1, 0.0)
