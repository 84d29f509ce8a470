"""Defences say what they are, and refuse numbers that cannot be."""

import pytest

from isvs_jax.robustness.broken_defences import rounding_defence, total_variation_defence
from isvs_jax.robustness.defences import smoothing_defence


def test_descriptions_tell_defences_apart():
    described = [smoothing_defence(1.0), smoothing_defence(2.0), rounding_defence(4), total_variation_defence(0.1)]
    assert len({defence.description for defence in described}) == 4


def test_broken_defences_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="levels is 1"):
        rounding_defence(1)
    with pytest.raises(ValueError, match="weight is 0"):
        total_variation_defence(0.0)
