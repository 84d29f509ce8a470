"""The ε-curve and twice the steps find out attacks that fail."""

import jax
import numpy as np
import pytest

from isvs_jax.robustness import doubling_check, epsilon_curve, fgsm, pgd

KEY = jax.random.key(8)
# The same steps in all tests, so that they share what is compiled.
WALK = {"num_steps": 5, "random_start": False}


def test_a_sound_attack_takes_the_curve_to_chance(case):
    curve = epsilon_curve(
        case.logits_fn, case.images, case.labels, KEY, epsilons=[0.0, 0.02, 0.05, 0.5], **WALK, batch_size=5
    )
    assert curve.accuracy[0] == 1.0
    assert curve.accuracy[-1] <= curve.chance == 0.2
    assert curve.warnings == ()
    assert (curve.attack, curve.num_steps, curve.full_radius) == ("pgd", 5, 0.5)


def test_rounding_the_input_is_found_out(case, rounding):
    labels = rounding(case.images).argmax(1)
    common = (rounding, case.images, labels, KEY)
    curve = epsilon_curve(*common, epsilons=[0.02, 0.1, 0.5], **WALK)
    assert curve.accuracy == (1.0, 1.0, 1.0)
    assert len(curve.warnings) == 1
    assert "turned into grey" in curve.warnings[0]
    seeing = epsilon_curve(*common, epsilons=[0.02, 0.1, 0.5], **WALK, gradient_fn=case.logits_fn)
    assert seeing.warnings == ()


def test_batches_change_no_accuracy_of_a_deterministic_walk(case):
    options = {"epsilons": [0.01, 0.03], **WALK}
    common = (case.logits_fn, case.images, case.labels, KEY)
    whole = epsilon_curve(*common, **options)
    assert whole.accuracy == epsilon_curve(*common, **options, batch_size=5).accuracy


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


def test_the_second_radius_compiles_nothing(case, caplog):
    def compiled() -> int:
        return sum("Finished XLA compilation of" in record.message for record in caplog.records)

    common = (case.logits_fn, case.images, case.labels, KEY)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        # A batch of a size that no other test has compiled for.
        doubling_check(*common, epsilon=0.011, **WALK, batch_size=7)
        once = compiled()
        doubling_check(*common, epsilon=0.013, **WALK, batch_size=7)
    assert once > 0
    assert compiled() == once


def test_numpy_numbers_are_taken_and_other_kinds_refused(case):
    common = (case.logits_fn, case.images, case.labels, KEY)
    check = doubling_check(
        *common, epsilon=np.float32(0.1), num_steps=np.int64(5), random_start=False, attack=pgd, batch_size=5
    )
    assert type(check.num_steps) is int
    with pytest.raises(ValueError, match="epsilons must be increasing"):
        epsilon_curve(*common, epsilons=[0.2, 0.1])
    with pytest.raises(TypeError, match=r"num_steps must be an integer of at least 1; got 2\.5"):
        doubling_check(*common, epsilon=0.1, num_steps=2.5)
