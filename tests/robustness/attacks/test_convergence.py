"""Steps that reach, and steps that suffice."""

import jax
import pytest

from isvs_jax.robustness.attacks import doubling_check, fgsm, step_reach

KEY = jax.random.key(8)


def test_too_few_steps_are_found_out(case):
    def slow(logits_fn, images, labels, key, *, epsilon, norm, num_steps):
        share = min(num_steps / 50, 1.0)
        return fgsm(logits_fn, images, labels, key, epsilon=share * epsilon, norm=norm)

    common = (case.logits_fn, case.images, case.labels, KEY)
    few = doubling_check(*common, epsilon=0.1, attack=slow, num_steps=5)
    assert few.accuracy_doubled < few.accuracy
    assert "has not converged" in few.warnings[0]
    many = doubling_check(*common, epsilon=0.1, attack=slow, num_steps=50)
    assert many.accuracy_doubled == many.accuracy
    assert many.warnings == ()


def test_reach_is_said():
    assert step_reach(10, 0.25, 1.0).warnings == ()
    assert "cannot reach" in step_reach(10, 0.05, 1.0).warnings[0]
    assert "far side" in step_reach(10, 0.15, 1.0).warnings[0]
    assert step_reach(10, 0.15, 1.0, random_start=False).warnings == ()
    with pytest.raises(ValueError, match="epsilon is 0"):
        step_reach(10, 0.1, 0.0)
