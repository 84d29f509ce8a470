"""Defences say what they are, refuse wrong numbers, and do what they say."""

import pytest

from isvs_jax.robustness.defences import rounding_defence, smoothing_defence, total_variation_defence


def test_descriptions_tell_defences_apart():
    described = [smoothing_defence(1.0), smoothing_defence(2.0), rounding_defence(4), total_variation_defence(0.1)]
    assert len({defence.description for defence in described}) == 4


def test_broken_defences_refuse_wrong_numbers():
    with pytest.raises(ValueError, match="levels must be an integer of at least 2; got 1"):
        rounding_defence(1)
    with pytest.raises(ValueError, match="weight must be a finite number > 0; got 0"):
        total_variation_defence(0.0)
