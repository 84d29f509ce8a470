"""Classifiers trained in different ways, tested side by side on the same images."""

from isvs_jax.comparison.conditions import Condition, conditions
from isvs_jax.comparison.defended import smoothed_logits
from isvs_jax.comparison.run import compare
from isvs_jax.comparison.settings import Settings

__all__ = ["Condition", "Settings", "compare", "conditions", "smoothed_logits"]
